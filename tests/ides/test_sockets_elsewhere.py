"""Links to IDEs that are not on this machine's loopback: on another host, and behind a relay."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core.events import LinkState
from bridge.core.reach import Route, Way
from bridge.ides.dialing import Dialer
from bridge.ides.surroundings import Surroundings
from ide_plugins.emulator import Emulator
from tests.emulator.agent import agent
from tests.ides.linking import PATIENCE_S, Links, MakeIde, linked, lock_of, lock_to
from tests.ides.listeners import listening, port_of
from tests.ides.relaying import ended
from tests.ides.wslmachine import WslMachine
from tests.wsl.interop import install

HOST = "127.0.0.5"  # stands for another one: its sockets are looked at like those of Windows, not at all
THERE = Route(here=False, ways=(Way(HOST, vouched=True), Way("127.0.0.1")))
NOWHERE = Route(here=False, ways=(Way("127.0.0.6", vouched=True),))


@pytest.fixture
def make_ide(tmp_path: Path) -> MakeIde:
    def make(**options: Any) -> Emulator:
        workspace = tmp_path / "ws"
        workspace.mkdir(exist_ok=True)
        return Emulator(workspace=workspace, lock_dir=tmp_path / "ide", **{"host": HOST, **options})

    return make


# ---- on another host


async def test_an_ide_on_another_host_is_spoken_to(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock, THERE)
        assert (await links.call(lock, "ping", {})) == {}
        assert links.sockets.linked == {lock.ide_id}
    assert await links.closed() == (LinkState.GONE, "the IDE ended")
    assert links.sockets.linked == frozenset()


async def test_one_that_hangs_up_and_listens_on_is_let_alone(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_of(ide.port, ide.token), THERE)
        await ide.until(lambda: ide._listener.clients)
        await ide._listener.clients[0].close(1001)
        assert await links.closed() == (LinkState.LISTENING, "it closed the connection")


async def test_that_the_place_was_taken_shows_in_how_the_connection_ends(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(host="127.0.0.1") as ide:
        far = Route(here=False, ways=(Way("127.0.0.1"),))
        await links.opened(lock_of(ide.port, ide.token), far)
        async with agent(ide):
            assert await links.closed() == (LinkState.SLOT_LOST, "another client took its one place")


async def test_a_refused_token_is_one_there_too(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_of(ide.port, "wrong"), THERE)
        assert (await links.closed())[0] is LinkState.REFUSED


async def test_who_is_not_vouched_for_gets_no_token(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        state, reason = await links.fails(lock_of(ide.port, ide.token), Route(here=False, ways=(Way(HOST),)))
        assert (state, reason) == (LinkState.PORT_TAKEN, "its port does not belong to your user")
        assert ide.connections == 0


async def test_that_nobody_answers_is_told_with_what_became_of_each_way(links: Links) -> None:
    with listening() as listener:
        port = port_of(listener)
    assert await links.fails(lock_of(port), THERE) == (
        LinkState.GONE,
        f"nothing listens on port {port}: {HOST}: refused, 127.0.0.1: refused",
    )


async def test_that_the_network_has_changed_says_nothing_of_the_ide() -> None:
    """Else the user would be told that nothing listens where nobody has looked."""
    async with linked(dialer=Dialer(leads=lambda way: False)) as links:
        assert await links.fails(lock_of(4001), THERE) == (LinkState.NOT_ANSWERING, "the network has just changed")


async def test_an_ide_on_another_host_may_speak_sse(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(transport="sse") as ide:
        lock = lock_to(ide)
        await links.opened(lock, THERE)
        assert (await links.call(lock, "ping", {})) == {}
    assert await links.closed() == (LinkState.GONE, "the IDE ended")


# ---- behind a relay


@pytest.fixture
def wsl(tmp_path: Path) -> WslMachine:
    """A WSL machine with a Python for Windows."""
    machine = WslMachine(tmp_path)
    install(machine.mounts / "c/Python/python.exe", sys.executable, log=tmp_path / "started")
    return machine


@pytest.fixture
async def relayed(wsl: WslMachine) -> AsyncIterator[Links]:
    surroundings = Surroundings(wsl.probe({"PATH": f"/usr/bin:{wsl.mounts}/c/Python"}))
    async with linked(open_relay=surroundings.open_relay) as links:
        yield links


HIDDEN = Route(here=False, ways=NOWHERE.ways, relay=True)


async def test_where_no_way_leads_a_relay_does_and_ends_with_the_link(relayed: Links, make_ide: MakeIde) -> None:
    async with make_ide(host="127.0.0.1") as ide:
        lock = lock_of(ide.port, ide.token)
        await relayed.opened(lock, HIDDEN)
        assert (await relayed.call(lock, "ping", {})) == {}
        relay = relayed.sockets._lines[lock.ide_id].relay
        assert relay is not None
        relayed.sockets.hang_up(lock.ide_id)
        await ended(relay.pid)
        await ide.until(lambda: not ide._listener.clients, PATIENCE_S)


async def test_a_relay_is_not_started_where_a_way_leads(relayed: Links, make_ide: MakeIde, tmp_path: Path) -> None:
    async with make_ide() as ide:
        await relayed.opened(lock_of(ide.port, ide.token), Route(here=False, ways=THERE.ways, relay=True))
    assert not (tmp_path / "started").exists()


async def test_no_relay_is_started_for_an_ide_that_speaks_sse(
    relayed: Links, make_ide: MakeIde, tmp_path: Path
) -> None:
    """It wants a connection for each POST that is under way, and a relay is one."""
    async with make_ide(host="127.0.0.1", transport="sse") as ide:
        state, reason = await relayed.fails(lock_to(ide), HIDDEN)
    assert (state, reason) == (
        LinkState.UNREACHABLE,
        "it speaks HTTP, which needs more than the one connection of a relay",
    )
    assert not (tmp_path / "started").exists()


async def test_the_end_of_an_ide_behind_a_relay_is_the_end_of_both(relayed: Links, make_ide: MakeIde) -> None:
    async with make_ide(host="127.0.0.1") as ide:
        lock = lock_of(ide.port, ide.token)
        await relayed.opened(lock, HIDDEN)
        relay = relayed.sockets._lines[lock.ide_id].relay
    assert await relayed.closed() == (LinkState.GONE, "the IDE ended")
    assert relay is not None
    await ended(relay.pid)


async def test_a_relay_that_finds_nobody_says_so(relayed: Links) -> None:
    with listening() as listener:
        port = port_of(listener)
    state, reason = await relayed.fails(lock_of(port), HIDDEN)
    assert state is LinkState.GONE
    assert reason == f"nothing listens on Windows' 127.0.0.1:{port}"


async def test_a_relay_that_no_program_can_carry_says_so(tmp_path: Path) -> None:
    surroundings = Surroundings(WslMachine(tmp_path).probe())
    async with linked(open_relay=surroundings.open_relay) as links:
        state, reason = await links.fails(lock_of(4001), HIDDEN)
    assert state is LinkState.UNREACHABLE
    assert "through a relay: none of python.exe, node.exe, powershell.exe was found" in reason


async def test_without_a_file_left_interop_is_not_blamed(relayed: Links) -> None:
    """It looks as if it were off then, and the user would be told to shut WSL down."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(free := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        told = await relayed.fails(lock_of(4001), HIDDEN)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert told == (LinkState.NOT_ANSWERING, "the bridge has too many files open")


async def test_a_route_without_a_relay_starts_none(relayed: Links, make_ide: MakeIde, tmp_path: Path) -> None:
    async with make_ide(host="127.0.0.1") as ide:
        state, _ = await relayed.fails(lock_of(ide.port, ide.token), NOWHERE)
    assert state is LinkState.GONE
    assert not (tmp_path / "started").exists()
