"""Finding the daemon, and starting it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.client import Client
from bridge.errors import BadConfiguration, NotTrusted, Unavailable
from bridge.finding import start
from bridge.paths import Paths
from tests.fakedaemon import FakeDaemon


@pytest.fixture
def bridge() -> Iterator[Client]:
    with Client(name="me", cwd="/w", environ=os.environ, spawn=False) as client:
        yield client


ADDRESSES = [
    *("", "nonsense", "[]", "{}", "\x80", '{"socket": 7}', '{"socket": "/nowhere"}', '{"socket": "/\\u0000"}'),
    *('{"socket": "127.0.0.1:x", "token": "t"}', '{"socket": "127.0.0.1:99999", "token": "t"}'),
    *('{"socket": "127.0.0.1:1", "token": "t"}', '{"socket": "127.0.0.1:1", "token": 7}'),
]


@pytest.mark.parametrize("said", ADDRESSES)
def test_an_announcement_that_leads_nowhere_is_no_daemon(bridge: Client, places: Paths, said: str) -> None:
    os.makedirs(places.state, mode=0o700)
    Path(places.address).write_bytes(said.encode("latin-1"))
    with pytest.raises(Unavailable, match="not running"):
        bridge.status()


def test_somebody_else_s_daemon_is_not_trusted(
    daemon: FakeDaemon, bridge: Client, places: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.getuid()
    uids = iter([uid, uid + 1])  # whose file it is, whose socket
    monkeypatch.setattr(os, "getuid", lambda: next(uids))
    with pytest.raises(NotTrusted, match="socket belongs to user"):
        bridge.status()
    assert daemon.asked == []
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(NotTrusted, match=r"daemon\.json belongs to somebody else"):
        bridge.status()
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr("sys.platform", "darwin")
    daemon.answers["status"] = lambda asked, say: {}
    assert bridge.status() == {}


def test_without_a_home_there_is_no_client() -> None:
    with pytest.raises(BadConfiguration, match="HOME"):
        Client(environ={}, cwd="/")


def test_an_interpreter_that_is_gone_is_told(places: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(BadConfiguration, match="cannot start /nowhere/python"):
        start(places, os.environ)


@pytest.mark.parametrize(("program", "message"), [("/bin/true", "did not start"), ("/bin/false", "did not start")])
def test_a_daemon_that_says_nothing_did_not_start(
    places: Paths, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    monkeypatch.setattr("sys.executable", program)
    with pytest.raises(Unavailable, match=message) as caught:
        start(places, os.environ)
    assert caught.value.hint is not None
    assert places.log in caught.value.hint


def test_what_keeps_the_daemon_from_starting_is_told(places: Paths) -> None:
    Path(places.config).parent.mkdir(parents=True)
    Path(places.config).write_text("takeovr = true", encoding="utf-8")
    with pytest.raises(BadConfiguration, match="takeovr"), Client(environ=os.environ) as bridge:
        bridge.status()


# ---- systems without what POSIX has

_LACKING = """
import asyncio, _socket, os, select, signal, socket, sys
for module, names in [
    (os, ("getuid", "geteuid", "posix_spawn", "fork", "setsid", "POSIX_SPAWN_OPEN")),
    (_socket, ("AF_UNIX", "SO_PEERCRED")), (socket, ("AF_UNIX", "SO_PEERCRED")),
]:
    for name in names:
        delattr(module, name)
from bridge import AsyncClient, Client
from bridge.agents import control, threshold
from bridge.cli import status
from bridge.errors import Unavailable
from bridge.finding import read_address
from bridge.paths import make_private, paths
places = paths(os.environ)
make_private(places.state)
with open(places.address, "w") as file:
    file.write('{"socket": "127.0.0.1:1", "token": "t"}')
assert read_address(places)["token"] == "t"
try:
    Client(spawn=False).status()
except Unavailable as error:
    print(error)
"""


def test_where_there_are_no_unix_sockets_and_no_users_a_client_is_a_client_all_the_same() -> None:
    """As on Windows; nobody listens on port 1."""
    done = subprocess.run([sys.executable, "-c", _LACKING], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("the bridge is not running\n", "", 0)
