"""Dialling: every way at once, none for long, and nobody is believed who may not be told a token."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from bridge.core.reach import HERE, Route, Silence, Way
from bridge.core.selection import Listener
from bridge.ides import dialing
from bridge.ides.dialing import CONNECT_S, Dialer, NobodyThere
from bridge.ides.ports import OtherEnd, PortFacts, snapshot
from tests.ides.listeners import listening, port_of, stranger_listening

ELSEWHERE = "127.0.0.2"  # stands for another host; what listens on it is not asked for its owner
NOWHERE = "255.255.255.255"  # TCP to it fails at once, within this machine
SHARED = Route(here=False, ways=(Way("127.0.0.1", vouched=True),))


def route(*hosts: str, vouched: bool = True) -> Route:
    return Route(here=False, ways=tuple(Way(host, vouched) for host in hosts))


@contextmanager
def listening_on(host: str, port: int = 0, backlog: int = 64) -> Iterator[socket.socket]:
    with closing(socket.socket()) as listener:
        listener.bind((host, port))
        listener.listen(backlog)
        yield listener


@contextmanager
def deaf(host: str) -> Iterator[int]:
    """A port that neither takes nor refuses a connection: its queue is full (tcp(7) drops what comes then)."""
    with listening_on(host, backlog=0) as listener:
        waiting = []
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
            waiting.append(caller)
        yield port_of(listener)
        for caller in waiting:
            caller.close()


@contextmanager
def nobody_to_be_trusted(why: Silence = Silence.UNTRUSTED) -> Iterator[None]:
    with pytest.raises(NobodyThere) as caught:
        yield
    assert set(caught.value.silences.values()) == {why}


def free_port() -> int:
    with listening() as listener:
        return port_of(listener)


async def test_our_own_listener_is_here() -> None:
    with listening() as listener:
        endpoint, here = await Dialer().connect(port_of(listener), HERE)
        with closing(endpoint):
            assert here
            assert endpoint.getpeername() == listener.getsockname()


async def test_the_first_way_that_answers_is_taken_and_the_silent_one_is_not_waited_for() -> None:
    with deaf("127.0.0.3") as port, listening_on(ELSEWHERE, port) as listener:
        loop = asyncio.get_running_loop()
        before = loop.time()
        endpoint, here = await Dialer().connect(port, route("127.0.0.3", ELSEWHERE), limit_s=30)
        with closing(endpoint):
            assert (endpoint.getpeername(), here) == (listener.getsockname(), False)
        assert loop.time() - before < 10


async def test_what_became_of_every_way_is_told() -> None:
    with deaf("127.0.0.3") as port, pytest.raises(NobodyThere) as caught:
        await Dialer().connect(port, route("127.0.0.3", ELSEWHERE, NOWHERE))
    assert caught.value.silences == {
        "127.0.0.3": Silence.TIMEOUT,
        ELSEWHERE: Silence.REFUSED,
        NOWHERE: Silence.UNREACHABLE,
    }
    assert str(caught.value) == f"127.0.0.3: timeout, {ELSEWHERE}: refused, {NOWHERE}: unreachable"


async def test_a_dead_port_that_hangs_costs_its_limit_and_no_more() -> None:
    """As in mirrored mode, where it takes the system two minutes."""
    loop = asyncio.get_running_loop()
    with deaf("127.0.0.3") as port:
        before = loop.time()
        with pytest.raises(NobodyThere):
            await Dialer().connect(port, route("127.0.0.3"))
    assert loop.time() - before < CONNECT_S + 5


async def test_the_way_that_led_there_is_tried_first_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[str]] = []
    race = dialing._race

    async def counting(port: int, ways: list[Way], *rest: Any) -> Any:
        tried.append([way.host for way in ways])
        return await race(port, ways, *rest)

    monkeypatch.setattr(dialing, "_race", counting)
    dialer, both = Dialer(), route("127.0.0.3", ELSEWHERE)
    with listening_on(ELSEWHERE) as listener:
        for _ in range(2):
            (await dialer.connect(port_of(listener), both)).endpoint.close()
        gone = port_of(listener)
    with pytest.raises(NobodyThere):
        await dialer.connect(gone, both)
    assert [hosts for hosts in tried if hosts] == [
        ["127.0.0.3", ELSEWHERE],
        [ELSEWHERE],
        [ELSEWHERE],
        ["127.0.0.3"],
    ]


async def test_a_way_that_leads_there_no_more_is_not_dialled() -> None:
    """The network changed since the route was made, and its gateway may be anybody now."""
    dialer = Dialer(leads=lambda way: way.host != ELSEWHERE)
    with listening_on(ELSEWHERE) as listener:
        with pytest.raises(NobodyThere) as caught:
            await dialer.connect(port_of(listener), route(ELSEWHERE, "127.0.0.3"))
        assert caught.value.silences == {ELSEWHERE: Silence.MOVED, "127.0.0.3": Silence.REFUSED}
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_only_so_many_winners_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialing, "WINNERS_MOST", 1)
    dialer = Dialer()
    with listening_on("127.0.0.3") as listener:
        for host in (ELSEWHERE, "127.0.0.4"):
            (await dialer.connect(port_of(listener), route(host, "127.0.0.3"))).endpoint.close()
    assert list(dialer._winners) == [route("127.0.0.4", "127.0.0.3").ways]


# ---- who is believed


async def test_what_no_way_vouches_for_is_not_believed() -> None:
    with listening_on(ELSEWHERE) as listener, nobody_to_be_trusted():
        await Dialer().connect(port_of(listener), route(ELSEWHERE, vouched=False))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
@pytest.mark.parametrize("there", [HERE, SHARED])
async def test_another_user_s_listener_is_no_window_of_windows(there: Route) -> None:
    with stranger_listening() as port:
        with nobody_to_be_trusted():
            await Dialer().connect(port, there)
        assert await Dialer().silences(port, there) == {"127.0.0.1": Silence.UNTRUSTED}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux defers accepting")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
async def test_a_stranger_who_defers_accepting_is_no_window_of_windows() -> None:
    """Until something is sent the kernel counts the connection neither as his nor as established."""
    with stranger_listening("127.0.0.1", "30") as port, nobody_to_be_trusted():
        await Dialer().connect(port, SHARED)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux defers accepting")
async def test_our_own_may_defer_accepting() -> None:
    with listening() as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
        endpoint, here = await Dialer().connect(port_of(listener), SHARED)
        endpoint.close()
        assert here


async def test_who_stops_listening_before_we_look_is_seen_by_his_end_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A local program could pose as Windows that way: the connection is his, and nobody listens any more."""
    with listening() as listener:
        port, look = port_of(listener), snapshot
        accepted = []

        def looking(ports: list[int]) -> Any:
            accepted.append(listener.accept()[0])
            listener.close()
            return look(ports)

        monkeypatch.setattr(dialing, "snapshot", looking)
        with nobody_to_be_trusted():
            await Dialer().connect(port, SHARED)
    accepted[0].close()


@pytest.mark.parametrize("there", [SHARED, HERE, route(ELSEWHERE)])
async def test_where_the_system_does_not_tell_nobody_is_believed(monkeypatch: pytest.MonkeyPatch, there: Route) -> None:
    """As when files run out, which another user may bring about."""
    monkeypatch.setattr(dialing, "other_end", lambda port, our_port: OtherEnd.UNKNOWN)
    with listening_on(there.ways[0].host) as listener, nobody_to_be_trusted(Silence.UNTOLD):
        await Dialer().connect(port_of(listener), there)


async def test_where_no_connection_is_ever_told_the_listener_must_be_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(dialing, "other_end", lambda port, our_port: OtherEnd.UNTOLD)
    with listening() as listener, listening_on(ELSEWHERE) as named:
        endpoint, here = await Dialer().connect(port_of(listener), HERE)
        endpoint.close()
        assert here
        endpoint, here = await Dialer().connect(port_of(named), route(ELSEWHERE))
        endpoint.close()
        assert not here
        monkeypatch.setattr(dialing, "snapshot", lambda ports: dict.fromkeys(ports, PortFacts()))
        with nobody_to_be_trusted():
            await Dialer().connect(port_of(listener), HERE)


async def test_what_leaves_this_machine_is_windows_where_loopback_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stories in namespaces have the real thing; here the kernel's word is replaced."""
    monkeypatch.setattr(dialing, "other_end", lambda port, our_port: OtherEnd.ELSEWHERE)
    monkeypatch.setattr(dialing, "snapshot", lambda ports: dict.fromkeys(ports, PortFacts()))
    with listening() as listener:
        endpoint, here = await Dialer().connect(port_of(listener), SHARED)
        endpoint.close()
        assert not here
        with nobody_to_be_trusted():
            await Dialer().connect(port_of(listener), HERE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
@pytest.mark.parametrize("spelled", ["127.0.0.1", "127.1", "0.0.0.0", "2130706433"])
async def test_a_named_host_that_is_this_machine_is_looked_at_like_it(spelled: str) -> None:
    with stranger_listening() as port, nobody_to_be_trusted():
        await Dialer().connect(port, route(spelled))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
async def test_who_has_the_connection_counts_also_if_we_listen_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger accepts and stops listening, and an IDE of ours takes the port before we look."""
    monkeypatch.setattr(dialing, "snapshot", lambda ports: dict.fromkeys(ports, PortFacts(listener=Listener.OURS)))
    with stranger_listening() as port, nobody_to_be_trusted():
        await Dialer().connect(port, HERE)


# ---- looking whether anybody is there


async def test_a_look_is_good_for_a_moment_and_until_the_link_ends() -> None:
    now = 0.0
    dialer, there = Dialer(lambda: now), route(ELSEWHERE)
    with listening_on(ELSEWHERE) as listener:
        port = port_of(listener)
        assert await dialer.silences(port, there) is None
    assert await dialer.silences(port, there) is None
    dialer.forget(port, there)
    assert await dialer.silences(port, there) == {ELSEWHERE: Silence.REFUSED}
    with listening_on(ELSEWHERE, port):
        assert await dialer.silences(port, there) is not None
        now = dialing.KNOWN_S
        assert await dialer.silences(port, there) is None


async def test_without_a_way_there_is_nobody() -> None:
    nowhere = Route(here=False, ways=())
    assert await Dialer().silences(free_port(), nowhere) == {}


async def test_only_so_many_looks_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialing, "KNOWN_MOST", 2)
    dialer = Dialer()
    for port in (free_port(), free_port(), free_port()):
        await dialer.silences(port, route(ELSEWHERE))
    assert len(dialer._seen) == 2


async def test_those_who_ask_at_the_same_time_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    race = dialing._race

    async def counting(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        return await race(*args)

    monkeypatch.setattr(dialing, "_race", counting)
    dialer = Dialer()
    with listening_on(ELSEWHERE) as listener:
        ask = [asyncio.ensure_future(dialer.silences(port_of(listener), route(ELSEWHERE))) for _ in range(8)]
        await asyncio.sleep(0)
        ask.pop().cancel()  # one who leaves takes nothing from the others
        assert await asyncio.gather(*ask) == [None] * len(ask)
    assert looks == 2  # of the way that led there before, of which there is none, and of the others


async def test_a_thousand_dead_locks_take_turns_and_no_more_files_than_there_are() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    dialer, ports = Dialer(), range(20_000, 21_000)
    here = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + 2 * dialing.LOOKS_MOST + 50, hard))
    try:
        both = route("127.0.0.3", ELSEWHERE)
        looks = await asyncio.gather(*(dialer.silences(port, both) for port in ports))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    refused = {"127.0.0.3": Silence.REFUSED, ELSEWHERE: Silence.REFUSED}
    assert looks == [refused] * len(ports)


async def test_without_a_file_left_nobody_is_blamed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening_on(ELSEWHERE) as listener:
        os.close(free := os.dup(0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with pytest.raises(NobodyThere) as caught:
                await Dialer().connect(port_of(listener), route(ELSEWHERE))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.silences == {ELSEWHERE: Silence.NO_FILES}


async def test_a_program_of_ours_that_won_once_is_not_tried_first_ever_after() -> None:
    nat = Route(here=False, ways=(Way(ELSEWHERE, vouched=True), Way("127.0.0.1")))
    dialer = Dialer()
    with listening() as ours:
        (await dialer.connect(port_of(ours), nat)).endpoint.close()
        with listening_on(ELSEWHERE, port_of(ours)) as windows:
            endpoint, _ = await dialer.connect(port_of(ours), nat)
            with closing(endpoint):
                assert endpoint.getpeername() == windows.getsockname()


async def test_cancelling_leaves_no_socket_behind() -> None:
    """Sockets that are forgotten warn, and warnings are errors here."""
    with deaf("127.0.0.3") as port:
        task = asyncio.ensure_future(Dialer().connect(port, route("127.0.0.3", "127.0.0.3"), limit_s=30))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_two_that_answer_at_once_give_one_connection() -> None:
    with listening_on(ELSEWHERE) as one, listening_on("127.0.0.3", port_of(one)):
        for _ in range(20):
            (await Dialer().connect(port_of(one), route(ELSEWHERE, "127.0.0.3"))).endpoint.close()


async def test_windows_wins_over_a_program_of_ours_that_has_the_same_port() -> None:
    """Behind NAT; loopback answers sooner."""
    nat = Route(here=False, ways=(Way(ELSEWHERE, vouched=True), Way("127.0.0.1")))
    for ways in (nat.ways, nat.ways[::-1]):
        with listening() as ours, listening_on(ELSEWHERE, port_of(ours)) as windows:
            endpoint, here = await Dialer().connect(port_of(ours), Route(here=False, ways=ways))
            with closing(endpoint):
                assert (endpoint.getpeername(), here) == (windows.getsockname(), False)


async def test_a_program_of_ours_carries_the_connection_where_windows_refuses() -> None:
    with listening() as ours:
        nat = Route(here=False, ways=(Way(ELSEWHERE, vouched=True), Way("127.0.0.1")))
        endpoint, here = await Dialer().connect(port_of(ours), nat)
        with closing(endpoint):
            assert (endpoint.getpeername(), here) == (ours.getsockname(), True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
async def test_windows_is_found_although_another_user_has_the_port_here() -> None:
    with stranger_listening() as port, listening_on(ELSEWHERE, port) as windows:
        nat = Route(here=False, ways=(Way(ELSEWHERE, vouched=True), Way("127.0.0.1")))
        endpoint, here = await Dialer().connect(port, nat)
        with closing(endpoint):
            assert (endpoint.getpeername(), here) == (windows.getsockname(), False)
