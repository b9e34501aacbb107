from __future__ import annotations

import os
import sys
from collections.abc import Collection
from ipaddress import ip_address

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.selection import Listener
from bridge.ides import ports
from bridge.ides.ports import PortFacts, Socket, facts, parse_proc_net_tcp, snapshot
from tests.ides.listeners import connected, listening, port_of, stranger_listening

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the sample is of such a machine")

TCP4 = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0FA1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 21 1 0 100 0 0 10 0
   1: 00000000:0FA2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1 0 100 0 0 10 0
   2: 0100007F:0FA1 0100007F:C350 01 00000000:00000000 02:000A7D8C 00000000  1000        0 23 2 0 20 4 30 10 -1
   3: 0100007F:C350 0100007F:0FA1 01 00000000:00000000 00:00000000 00000000  1000        0 24 1 0 20 4 30 10 -1
   4: 0100007F:0FA1 0100007F:C351 06 00000000:00000000 03:00000D4C 00000000     0        0 0 3 0
   5: 0200A8C0:0FA3 01010101:01BB 01 00000000:00000000 00:00000000 00000000  1001        0 25 1 0 20 4 30 10 -1
12345: 0100007F:FFFF 00000000:0000 0A 00000000:00000000 00:00000000 00000000 4294967294   0 26 1 0 100 0 0 10 0
"""
ZERO6 = "00000000000000000000000000000000"
TCP6 = f"""\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: {ZERO6}:0FA4 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31 1 0 100 0 0 10 0
   1: 00000000000000000000000001000000:0FA5 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 32 1 0
   2: 0000000000000000FFFF00000100007F:0FA6 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 33 1 0
   3: B80D0120000000000000000001000000:0FA7 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 34 1 0
   4: 0000000000000000FFFF00000100007F:0FA6 0000000000000000FFFF00000100007F:C352 01 0:0 00:0 0  1000 0 35 1 0
"""

# (table, port, what is there: address, remote port, uid)
PROC = [
    pytest.param(TCP4, 4001, [("127.0.0.1", None, 1000), ("127.0.0.1", 50000, 1000)], id="no TIME_WAIT"),
    pytest.param(TCP4, 4002, [("0.0.0.0", None, 0)], id="wildcard"),
    pytest.param(TCP4, 4003, [("192.168.0.2", 443, 1001)], id="another address"),
    pytest.param(TCP4, 50000, [("127.0.0.1", 4001, 1000)], id="the client's side"),
    pytest.param(TCP4, 65535, [("127.0.0.1", None, 4294967294)], id="a wide slot and uid"),
    pytest.param(TCP4, 0, [], id="a far side's port is not a local one"),
    pytest.param(TCP6, 4004, [("::", None, 1000)], id="IPv6 wildcard"),
    pytest.param(TCP6, 4005, [("::1", None, 1000)], id="IPv6 loopback"),
    pytest.param(TCP6, 4006, [("127.0.0.1", None, 1000), ("127.0.0.1", 50002, 1000)], id="mapped IPv4"),
    pytest.param(TCP6, 4007, [("2001:db8::1", None, 1000)], id="IPv6"),
]


@little_endian
@pytest.mark.parametrize(("text", "port", "expected"), PROC)
def test_the_kernel_s_table_is_read(text: str, port: int, expected: list[tuple[str, int | None, int]]) -> None:
    found = list(parse_proc_net_tcp(text, [port]))
    assert found == [Socket(ip_address(address), port, remote, uid) for address, remote, uid in expected]


def test_a_line_that_is_not_wanted_is_not_understood() -> None:
    assert list(parse_proc_net_tcp("heading\n   0: nonsense:0FA1\n", [4002])) == []


@settings(deadline=None)
@given(st.sets(st.integers(1, 65535)))
def test_every_port_that_is_asked_for_gets_an_answer(wanted: set[int]) -> None:
    assert snapshot(wanted).keys() == wanted


ME, OTHER = 1000, 1001


def listener(address: str, uid: int | None = ME) -> Socket:
    return Socket(ip_address(address), 4001, None, uid)


# (sockets on the port, all of the system's?, who listens as far as a dial of 127.0.0.1 is concerned)
OWNERS = [
    pytest.param([], True, Listener.NONE, id="nobody"),
    pytest.param([], False, Listener.UNKNOWN, id="nobody that we may see"),
    pytest.param([listener("127.0.0.1")], True, Listener.OURS, id="we"),
    pytest.param([listener("127.0.0.1")], False, Listener.OURS, id="we, and nobody else can on this port"),
    pytest.param([listener("0.0.0.0")], True, Listener.OURS, id="we, everywhere"),
    pytest.param([listener("::")], True, Listener.OURS, id="we, on both IPs"),
    pytest.param([listener("127.0.0.1", OTHER)], True, Listener.FOREIGN, id="another user"),
    pytest.param([listener("127.0.0.1", 0)], True, Listener.FOREIGN, id="root is another user"),
    pytest.param([listener("127.0.0.1"), listener("::", OTHER)], True, Listener.FOREIGN, id="both"),
    pytest.param([listener("127.0.0.1", None)], True, Listener.UNKNOWN, id="somebody"),
    pytest.param([listener("0.0.0.0", None), listener("127.0.0.1")], True, Listener.UNKNOWN, id="we or not"),
    pytest.param([listener("::", OTHER), listener("::", None)], True, Listener.FOREIGN, id="not we"),
    pytest.param([listener("::1", OTHER), listener("127.0.0.1")], True, Listener.OURS, id="unreached"),
    pytest.param([listener("::1"), listener("127.0.0.2")], True, Listener.NONE, id="we, but unreached"),
    pytest.param([Socket(ip_address("127.0.0.1"), 4001, 9, ME)], True, Listener.NONE, id="a connection"),
]


@pytest.mark.parametrize(("sockets", "complete", "expected"), OWNERS)
def test_the_owner_of_what_we_would_reach_counts(sockets: list[Socket], complete: bool, expected: Listener) -> None:
    for order in (sockets, sockets[::-1]):
        assert facts([4001], order, complete=complete, me=ME)[4001].listener is expected


@pytest.mark.parametrize(
    ("address", "beyond"),
    [
        *(("127.0.0.1", False), ("127.0.0.2", False), ("::1", False)),
        *(("0.0.0.0", True), ("::", True), ("192.168.0.2", True)),
    ],
)
def test_a_listener_that_other_machines_reach_is_told(address: str, beyond: bool) -> None:
    assert facts([4001], [listener(address)], complete=True, me=ME)[4001].bound_beyond_loopback is beyond


@pytest.mark.parametrize(
    ("peers", "ours", "occupied"),
    [((), (), False), ((1,), (), True), ((1,), (1, 2), False), ((1, 2), (1,), True), ((), (1,), False)],
)
def test_a_peer_that_is_not_ours_occupies(peers: Collection[int], ours: Collection[int], occupied: bool) -> None:
    assert PortFacts(peers=frozenset(peers)).occupied(ours) is occupied


@pytest.fixture(params=["the kernel's table", "psutil", "our own processes only"])
def all_seen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Each way of learning about sockets, the last two being those of other systems; whether it tells all."""
    if request.param == "the kernel's table" and sys.platform != "linux":
        pytest.skip("only Linux has one")
    if request.param != "the kernel's table":
        monkeypatch.setattr(ports, "_from_proc", ports._from_psutil)
    if request.param == "our own processes only":
        monkeypatch.setattr(psutil, "net_connections", _denied)  # as macOS does for all but root
        return False
    return True


def _denied(_: str) -> None:
    raise psutil.AccessDenied


@pytest.mark.parametrize(("host", "beyond"), [("127.0.0.1", False), ("0.0.0.0", True), ("::", True)])
@pytest.mark.usefixtures("all_seen")
def test_our_own_listener_is_ours(host: str, beyond: bool) -> None:
    with listening(host) as listener:
        port = port_of(listener)
        assert snapshot([port]) == {port: PortFacts(listener=Listener.OURS, bound_beyond_loopback=beyond)}


def test_a_port_that_nobody_listens_on(all_seen: bool) -> None:
    with listening() as listener:
        port = port_of(listener)
    assert snapshot([port])[port].listener is (Listener.NONE if all_seen else Listener.UNKNOWN)


@needs_root
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_another_user_s_listener_is_foreign(host: str, all_seen: bool) -> None:
    with stranger_listening(host) as port:
        assert snapshot([port])[port].listener is (Listener.FOREIGN if all_seen else Listener.UNKNOWN)


@pytest.mark.usefixtures("all_seen")
def test_connections_to_the_port_are_told_apart_from_ours() -> None:
    with listening() as listener, connected(listener) as theirs, connected(listener) as ours:
        port = port_of(listener)
        found = snapshot([port, theirs])
        assert found[port].peers == {theirs, ours}
        assert found[port].occupied([ours])
        assert not found[port].occupied([ours, theirs])
        assert found[theirs].peers == {port}  # the same connection, seen from its other end


@pytest.mark.usefixtures("all_seen")
def test_a_connection_that_ended_occupies_no_longer() -> None:
    with listening() as listener:
        with connected(listener):
            pass
        assert snapshot([port_of(listener)])[port_of(listener)].peers == frozenset()


def test_a_process_that_the_system_hides_after_all_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "uids", _hidden)
    with listening() as listener:
        sockets, complete = ports._from_psutil([port_of(listener)])
        assert ([s.uid for s in sockets], complete) == ([None], True)
        monkeypatch.setattr(psutil, "net_connections", _denied)
        assert ports._from_psutil([port_of(listener)]) == ([], False)


def _hidden(process: psutil.Process) -> None:
    raise psutil.AccessDenied(process.pid)


def test_nobody_asks_about_nothing() -> None:
    assert snapshot([]) == {}


def test_where_the_system_tells_nothing_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_TABLES", ("/proc/self/mem",))  # opens, but cannot be read
    assert snapshot([4001]) == {4001: PortFacts(listener=Listener.UNKNOWN)}
