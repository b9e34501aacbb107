from __future__ import annotations

import os
import socket
import sys
from collections.abc import Collection
from ipaddress import ip_address

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.selection import Listener
from bridge.ides import ports, sock_diag, tcp
from bridge.ides.ports import OtherEnd, PortFacts, callers, facts, has_stranger, other_end, snapshot
from bridge.ides.tcp import Report, Socket, from_proc, from_psutil
from tests.ides.listeners import connected, listening, port_of, stranger_listening

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")


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
    pytest.param([listener("127.0.0.1"), listener("::", OTHER)], True, Listener.OURS, id="the closest bound"),
    pytest.param([listener("0.0.0.0"), listener("::", OTHER)], True, Listener.OURS, id="the closer bound"),
    pytest.param([listener("127.0.0.1"), listener("127.0.0.1", OTHER)], True, Listener.FOREIGN, id="both"),
    pytest.param([listener("127.0.0.1", None)], True, Listener.UNKNOWN, id="somebody"),
    pytest.param([listener("127.0.0.1", None), listener("127.0.0.1")], True, Listener.UNKNOWN, id="we or not"),
    pytest.param([listener("::", OTHER), listener("::", None)], True, Listener.FOREIGN, id="not we"),
    pytest.param([listener("::1", OTHER), listener("127.0.0.1")], True, Listener.OURS, id="unreached"),
    pytest.param([listener("::1"), listener("127.0.0.2")], True, Listener.NONE, id="we, but unreached"),
    pytest.param([Socket(ip_address("127.0.0.1"), 4001, 9, ME)], True, Listener.NONE, id="a connection"),
]


@pytest.mark.parametrize(("sockets", "complete", "expected"), OWNERS)
def test_the_owner_of_what_we_would_reach_counts(sockets: list[Socket], complete: bool, expected: Listener) -> None:
    for order in (sockets, sockets[::-1]):
        assert facts([4001], Report(order, complete), me=ME)[4001].listener is expected


@pytest.mark.parametrize(
    ("address", "beyond"),
    [
        *(("127.0.0.1", False), ("127.0.0.2", False), ("::1", False)),
        *(("0.0.0.0", True), ("::", True), ("192.168.0.2", True)),
    ],
)
def test_a_listener_that_other_machines_reach_is_told(address: str, beyond: bool) -> None:
    assert facts([4001], Report([listener(address)], complete=True), me=ME)[4001].bound_beyond_loopback is beyond


@pytest.mark.parametrize(
    ("peers", "ours", "occupied"),
    [((), (), False), ((1,), (), True), ((1,), (1, 2), False), ((1, 2), (1,), True), ((), (1,), False)],
)
def test_a_peer_that_is_not_ours_occupies(peers: Collection[int], ours: Collection[int], occupied: bool) -> None:
    assert PortFacts(peers=frozenset(peers)).without(ours).occupied is occupied


SOURCES = {
    "netlink": sock_diag.from_netlink,
    "the kernel's table": from_proc,
    "psutil": from_psutil,
    "psutil, for our own processes only": from_psutil,
}


@pytest.fixture(params=SOURCES)
def all_seen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Each way of learning about sockets, the last two being those of other systems; whether it tells all."""
    source = SOURCES[request.param]
    if source is not from_psutil and sys.platform != "linux":
        pytest.skip("only Linux has it")
    monkeypatch.setattr(ports, "_SOURCES", (source,))
    if request.param == "psutil, for our own processes only":
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
        found = snapshot([port])
        assert found[port].peers == {theirs, ours}
        assert found[port].without([ours]).peers == {theirs}
        assert not found[port].without([ours, theirs]).occupied


def test_a_connection_that_goes_out_from_the_port_is_nobody_s_client(all_seen: bool) -> None:
    with listening() as listener, connected(listener) as client:
        assert snapshot([client])[client] == snapshot([1])[1]
        assert snapshot([client])[client].listener is (Listener.NONE if all_seen else Listener.UNKNOWN)


@pytest.mark.usefixtures("all_seen")
def test_a_connection_that_ended_occupies_no_longer() -> None:
    with listening() as listener:
        with connected(listener):
            pass
        assert snapshot([port_of(listener)])[port_of(listener)].peers == frozenset()


def test_nobody_asks_about_nothing() -> None:
    assert snapshot([]) == {}


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has both sources")
NO_PROTOCOL = 31  # of netlink: the kernel refuses it, as a sandbox or another kernel may refuse sock_diag


@linux
def test_where_netlink_is_refused_the_kernel_s_table_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "_NETLINK_SOCK_DIAG", NO_PROTOCOL)
    with pytest.raises(OSError, match="not supported"):
        sock_diag.from_netlink([4001])
    with listening() as listener:
        port = port_of(listener)
        assert snapshot([port]) == {port: PortFacts(listener=Listener.OURS)}


@linux
def test_where_the_system_tells_nothing_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "_NETLINK_SOCK_DIAG", NO_PROTOCOL)
    monkeypatch.setattr(tcp, "_TABLES", ("/proc/self/mem",))  # opens, but cannot be read
    assert snapshot([4001]) == {4001: PortFacts(listener=Listener.UNKNOWN)}


# ---- who calls from here


@linux
def test_who_is_connected_to_a_port_elsewhere_is_seen_from_this_side() -> None:
    with listening() as listener, listening() as other, connected(listener) as one, connected(listener) as two:
        port, quiet = port_of(listener), port_of(other)
        assert callers([port, quiet]) == {port: {("127.0.0.1", one), ("127.0.0.1", two)}, quiet: frozenset()}


@linux
def test_callers_are_seen_however_many_ports_are_asked_for() -> None:
    """A Windows profile may hold more lock files than the kernel's filter takes ports."""
    with listening() as listener, listening() as other, connected(listener) as one, connected(other):
        port = port_of(listener)
        many = {port, *(number for number in range(1, sock_diag.PORTS_MAX + 2) if number != port_of(other))}
        assert {found: told for found, told in callers(many).items() if told} == {port: {("127.0.0.1", one)}}


@linux
def test_where_the_system_tells_of_no_callers_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "_NETLINK_SOCK_DIAG", NO_PROTOCOL)
    with listening() as listener, connected(listener):
        assert callers([port_of(listener)]) == {port_of(listener): frozenset()}
    assert callers([]) == {}


# ---- the other end of a connection of ours


@linux
@pytest.mark.parametrize("protocol", [sock_diag._NETLINK_SOCK_DIAG, NO_PROTOCOL])
def test_the_other_end_is_ours_accepted_or_not(monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.setattr(sock_diag, "_NETLINK_SOCK_DIAG", protocol)
    with listening() as listener, socket.create_connection(listener.getsockname()) as client:
        mine = port_of(client)
        assert other_end(port_of(listener), mine) is OtherEnd.OURS
        with listener.accept()[0]:
            assert other_end(port_of(listener), mine) is OtherEnd.OURS
        assert other_end(port_of(listener), 1) is OtherEnd.ELSEWHERE


@linux
@pytest.mark.parametrize("protocol", [sock_diag._NETLINK_SOCK_DIAG, NO_PROTOCOL])
def test_the_other_end_is_known_while_it_is_being_closed(monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    """Else a local program that shuts its side down at once would pass for another machine."""
    monkeypatch.setattr(sock_diag, "_NETLINK_SOCK_DIAG", protocol)
    with (
        listening() as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as end,
    ):
        end.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        assert other_end(port_of(listener), port_of(client)) is OtherEnd.OURS


@linux
@needs_root
def test_the_other_end_may_be_a_stranger_s() -> None:
    with stranger_listening() as port, socket.create_connection(("127.0.0.1", port)) as client:
        assert other_end(port, port_of(client)) is OtherEnd.STRANGERS
        assert has_stranger("127.0.0.1", port)
        assert not has_stranger("127.0.0.2", port)  # he listens on the other address only


@linux
def test_nothing_is_known_of_the_other_end_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "_NETLINK_SOCK_DIAG", NO_PROTOCOL)
    monkeypatch.setattr(tcp, "_TABLES", ("/proc/self/mem",))
    assert other_end(4001, 4002) is OtherEnd.UNKNOWN
    assert has_stranger("127.0.0.1", 4001)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert other_end(4001, 4002) is OtherEnd.UNTOLD


def test_nobody_is_no_stranger_and_neither_are_we() -> None:
    with listening("::") as listener:
        assert not has_stranger("127.0.0.1", port_of(listener))
    assert not has_stranger("127.0.0.1", port_of_nobody())


def port_of_nobody() -> int:
    with listening() as listener:
        return port_of(listener)
