"""The main job with ``socket = "tcp"``, as where there are no Unix sockets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import AsyncClient
from bridge.client import Client
from bridge.proof import prove
from tests.e2e.mcpagents import agent
from tests.e2e.outsiders import decide_on_page, status
from tests.e2e.support import PATIENCE_S, Running, bridge, daemon_about, kill_daemon

NEW = b"a\nB\n"


@pytest.fixture(autouse=True)
def file(workspace: Path, home: Path, started: list[Any]) -> Path:
    config = home / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('socket = "tcp"\n')
    path = workspace / "a.txt"
    path.write_bytes(b"a\nb\n")
    return path


def about() -> dict[str, Any]:
    found = daemon_about()
    assert found is not None
    return found


def port() -> int:
    return int(about()["socket"].rpartition(":")[2])


def test_a_change_is_decided_and_nobody_is_shown_the_token(
    file: Path, home: Path, running: Callable[..., Running]
) -> None:
    diff = running("diff", "a.txt", "--proposed", "-", "--apply", stdin=NEW)
    review = diff.review_id()
    said = status(file.parent)
    token = about()["token"]
    assert (said["daemon"]["socket"], said["daemon"]["pid"]) == (about()["socket"], about()["pid"])
    decide_on_page(review)
    assert (diff.end(), file.read_bytes()) == (0, NEW)
    doctor = bridge("doctor", "--json", cwd=file.parent)
    assert [found["check"] for found in json.loads(doctor.stdout) if found["level"] == "fail"] == []
    shown = [json.dumps(said), doctor.stdout, *diff.err.seen, *diff.out.seen, bridge("status", cwd=file.parent).stdout]
    shown += [(home / ".local/state/bridge/log/daemon.log").read_text()]
    process = Path(f"/proc/{about()['pid']}")
    shown += [(process / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
    assert [text for text in shown if token in text] == []


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_a_wait_outlives_the_daemon_its_port_and_its_token(
    file: Path, running: Callable[..., Running], end: str
) -> None:
    diff = running("diff", "a.txt", "--proposed", "-", stdin=NEW)
    review = diff.review_id()
    diff.err.until(lambda line: "the review page" in line)
    before = about()
    if end == "kill":
        kill_daemon()
    assert bridge("restart", cwd=file.parent).returncode == 0
    assert about()["token"] != before["token"]
    decide_on_page(review)
    assert (diff.end(), diff.process.returncode) == (0, 0)


async def test_the_asyncio_client_takes_the_same_way(file: Path) -> None:
    async with AsyncClient(cwd=str(file.parent)) as client, asyncio.timeout(PATIENCE_S):
        review = await client.propose("a.txt", NEW.decode(), surface="page")
        events = client.events()
        assert await anext(events) == {"type": "missed"}
        waiting = asyncio.ensure_future(client.wait(review))
        await client.cancel(review)
        assert (await anext(events))["outcome"] == (await waiting)["outcome"] == "cancelled"
        assert client.daemon_pid == about()["pid"]


def test_who_has_another_token_or_none_is_refused_and_the_others_go_on(file: Path) -> None:
    with Client(cwd=str(file.parent)) as client:
        client.status()
        with socket.create_connection(("127.0.0.1", port()), PATIENCE_S) as stranger:
            assert not prove(stranger, "0" * 64, port())
        for said in (b"GET / HTTP/1.1\r\n\r\n", b'{"id":1,"method":"daemon/stop","params":{}}\n'):
            with socket.create_connection(("127.0.0.1", port()), PATIENCE_S) as stranger:
                stranger.sendall(said)
                heard = b"".join(iter(lambda: stranger.recv(65536), b""))
                assert b"result" not in heard
        assert client.status()["daemon"]["pid"] == about()["pid"]


def test_the_token_is_not_sent_to_who_took_the_port_of_a_dead_daemon(file: Path) -> None:
    assert bridge("up", cwd=file.parent).returncode == 0
    dead = about()
    taken = port()
    kill_daemon()
    with socket.create_server(("127.0.0.1", taken), reuse_port=False) as stranger:
        done = bridge("status", "--json", cwd=file.parent)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["daemon"]["pid"] != dead["pid"]
        stranger.setblocking(False)
        heard = _all_of(stranger)
    assert b"nonce" in heard
    assert b"proof" not in heard
    assert dead["token"].encode() not in heard
    assert os.stat(file).st_size == 4


def _all_of(listener: socket.socket) -> bytes:
    """Read what every caller said that has called so far."""
    heard = b""
    while True:
        try:
            caller, _ = listener.accept()
        except BlockingIOError:
            return heard
        with caller:
            caller.settimeout(PATIENCE_S)
            heard += b"".join(iter(lambda: caller.recv(65536), b""))  # noqa: B023  at once


async def test_an_agent_that_speaks_mcp_takes_the_same_way(file: Path) -> None:
    """Over a daemon's death too: the next one has another port, and another token."""
    proposed = {"path": "a.txt", "content": NEW.decode()}
    async with agent(file.parent) as ann:
        pending = await ann.call("propose_changes", files=[proposed], wait_ms=1000)
        await ann.told("on the review page")
        before = about()["token"]
        kill_daemon()
        waiting = asyncio.ensure_future(ann.call("get_review", review_id=pending["review_id"], wait_ms=20_000))
        await ann.told("on the review page")
        assert about()["token"] != before
        await asyncio.to_thread(decide_on_page, pending["review_id"])
        assert (await waiting)["status"] == "accepted"
