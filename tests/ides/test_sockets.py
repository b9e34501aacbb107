"""Links to IDEs, which are the same whatever the transport: real sockets, and the emulator."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core import jsonrpc
from bridge.core.events import Event, LinkMessage, LinkState
from bridge.core.lockfile import Transport
from bridge.core.official import AUTHORIZATION
from bridge.ides import dialing, sockets
from bridge.ides.ports import snapshot
from ide_plugins.emulator import Emulator
from tests.emulator.agent import agent, sse_agent
from tests.ides.linking import PATIENCE_S, TOKEN, IdeProcess, Links, MakeIde, lock_of, lock_to, rude_server
from tests.ides.listeners import STRANGER, listening, port_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")

AGENTS: dict[Transport, Callable[[Emulator], Any]] = {Transport.WEBSOCKET: agent, Transport.SSE: sse_agent}


@pytest.fixture(params=list(AGENTS))
def transport(request: pytest.FixtureRequest) -> Any:
    return request.param


# ---- a link that lives


async def test_nothing_is_sent_before_the_owner_is_known(
    links: Links, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = bytearray()
    seen: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))

    def looking(ports: list[int]) -> Any:
        seen.append(bytes(heard))
        return snapshot(ports)

    monkeypatch.setattr(dialing, "snapshot", looking)
    async with rude_server(record) as port:
        await links.fails(lock_of(port, transport=transport))
    assert seen[0] == b""
    assert f"{AUTHORIZATION}: {TOKEN}\r\n".encode() in heard
    assert (b"Sec-WebSocket-Protocol: mcp\r\n" in heard) is (transport is Transport.WEBSOCKET)


async def test_a_link_carries_requests_and_their_answers(links: Links, transport: Transport, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_to(ide)
        await links.opened(lock)
        answer = await links.call(lock, "initialize", {"protocolVersion": "2025-06-18"})
        assert answer["serverInfo"]["name"] == "Claude Code Visual Studio Code MCP"
        assert (ide.connections, ide.unauthorised) == (1, 0)
        assert len(links.dialer.ports) == {Transport.WEBSOCKET: 1, Transport.SSE: 2}[transport]


async def test_an_ide_without_a_token_is_sent_none(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(token=None) as ide:
        lock = lock_to(ide)
        await links.opened(lock)
        assert await links.call(lock, "ping", {}) == {}


async def test_three_megabytes_cross_both_ways(links: Links, make_ide: MakeIde) -> None:
    text = "x\U0001f600" * (3 * 2**20 // 5)
    async with make_ide(human="accept") as ide:
        lock = lock_to(ide)
        await links.opened(lock)
        arguments = {
            "old_file_path": "/w/a",
            "new_file_path": "/w/a",
            "new_file_contents": text,
            "tab_name": "t",
        }
        answer = await links.call(lock, "tools/call", {"name": "openDiff", "arguments": arguments})
        assert [item["text"] for item in answer["content"]] == ["FILE_SAVED", text]


async def test_what_is_not_json_rpc_is_passed_over(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(faults=["garbage"]) as ide:
        lock = lock_to(ide)
        await links.opened(lock)
        links.sockets.send(lock.ide_id, jsonrpc.request(1, "ping"))
        events = [await links.next(), await links.next()]
        assert [event.message.id for event in events if isinstance(event, LinkMessage)] == ["nobody-asked", 1]


async def test_a_selection_that_is_cut_inside_an_emoji_arrives(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(faults=["surrogate"]) as ide:
        await links.opened(lock_to(ide))
        await ide.until(lambda: ide._listener.clients)
        await ide.select(Path("/w/a"), "half")
        event = await links.next()
        assert isinstance(event, LinkMessage)
        assert jsonrpc.load(event.message.params)["text"] == "half\ud83d"


# ---- hanging up


async def test_after_hanging_up_nothing_more_is_reported(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_to(ide)
        await links.opened(lock)
        links.sockets.hang_up(lock.ide_id)
        links.sockets.hang_up(lock.ide_id)
        links.sockets.send(lock.ide_id, b"{}")
        links.sockets.watch(lock.ide_id, closely=True)
        await ide.until(lambda: not ide._listener.clients, PATIENCE_S)
        await links.opened(lock)
        assert links.events.empty()


async def test_one_may_hang_up_while_a_message_is_reported(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_to(ide)
        await links.opened(lock)

        def hang_up(event: Event) -> None:
            links.sockets.hang_up(lock.ide_id)
            links.sockets.send(lock.ide_id, b"{}")

        links.on_event = hang_up
        links.sockets.send(lock.ide_id, jsonrpc.request(1, "ping"))
        assert isinstance(await links.next(), LinkMessage)
        await ide.until(lambda: not ide._listener.clients, PATIENCE_S)
        links.on_event = None
        assert links.events.empty()
        assert links.dialer.ports == frozenset()


async def test_a_dial_that_nobody_wants_any_more_takes_no_place(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_to(ide)
        links.sockets.dial(lock)
        links.sockets.hang_up(lock.ide_id)
        await ide.until(lambda: ide.connections, PATIENCE_S)
        await ide.until(lambda: not ide._listener.clients, PATIENCE_S)
        assert links.events.empty()


# ---- how a link ends


async def test_a_dropped_connection_leaves_the_ide_listening(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_to(ide))
        await ide.until(lambda: ide._listener.clients)
        await ide.drop_client()
        assert (await links.closed())[0] is LinkState.LISTENING


async def test_another_client_in_our_place_means_that_the_slot_is_lost(
    links: Links, transport: Transport, make_ide: MakeIde
) -> None:
    async with make_ide() as ide:
        await links.opened(lock_to(ide))
        async with AGENTS[transport](ide):
            assert (await links.closed())[0] is LinkState.SLOT_LOST


async def test_an_ide_that_quits_is_gone(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_to(ide))
    assert await links.closed() == (LinkState.GONE, "the IDE ended")


async def test_an_ide_that_is_killed_is_gone(links: Links, transport: Transport, process: IdeProcess) -> None:
    ide, port = process
    await links.opened(lock_of(port, None, transport=transport))
    ide.kill()
    assert (await links.closed())[0] is LinkState.GONE


async def test_a_silent_ide_is_noticed_within_five_seconds_while_it_is_watched(
    links: Links, transport: Transport, process: IdeProcess
) -> None:
    assert 2 * sockets.CLOSELY_S < 5.0  # one ping may just have been answered
    ide, port = process
    lock = lock_of(port, None, transport=transport)
    await links.opened(lock)
    links.sockets.watch(lock.ide_id, closely=True)
    ide.send_signal(signal.SIGSTOP)
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it did not answer a ping")


async def test_an_ide_that_falls_silent_when_a_diff_opens_is_noticed(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(faults=["hang-after-diff"]) as ide:
        lock = lock_to(ide)
        await links.opened(lock)
        links.sockets.watch(lock.ide_id, closely=True)
        links.sockets.watch(lock.ide_id, closely=False)
        links.sockets.watch(lock.ide_id, closely=True)
        arguments = {"old_file_path": "/a", "new_file_path": "/a", "new_file_contents": "", "tab_name": "t"}
        params = jsonrpc.dump({"name": "openDiff", "arguments": arguments})
        links.sockets.send(lock.ide_id, jsonrpc.request(1, "tools/call", params))
        assert (await links.closed())[0] is LinkState.NOT_ANSWERING


# ---- dialling in vain


async def test_where_nobody_listens_the_ide_is_gone(links: Links, transport: Transport) -> None:
    with listening() as listener:
        port = port_of(listener)
    assert (await links.fails(lock_of(port, transport=transport)))[0] is LinkState.GONE


async def test_a_port_that_takes_no_connection_is_given_up(
    links: Links, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "HANDSHAKE_S", 0.2)
    with listening() as listener:
        listener.listen(0)
        port = port_of(listener)
        waiting = [await asyncio.open_connection("127.0.0.1", port)]  # fills the queue of one
        state, _ = await links.fails(lock_of(port, transport=transport))
        for _, writer in waiting:
            writer.close()
    assert state is LinkState.NOT_ANSWERING


# ---- the token


_RECORD_AS = """
import os, socket, sys
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
heard = b""
while chunk := connection.recv(65536):
    heard += chunk
sys.stdout.buffer.write(heard)
"""


@needs_root
async def test_a_stranger_on_a_dead_ide_s_port_never_sees_a_token(links: Links, transport: Transport) -> None:
    command = [sys.executable, "-I", "-S", "-c", _RECORD_AS, str(STRANGER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/") as stranger:
        assert stranger.stdout is not None
        port = int(stranger.stdout.readline())
        state, reason = await links.fails(lock_of(port, transport=transport))
        heard, _ = stranger.communicate(timeout=PATIENCE_S)
    assert (state, reason) == (LinkState.PORT_TAKEN, "its port does not belong to your user")
    assert heard == b""


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "ws_proxy"])
async def test_no_proxy_sees_anything(
    links: Links, make_ide: MakeIde, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    visits: list[None] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(None)

    async with rude_server(record) as port, make_ide() as ide:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        lock = lock_to(ide)
        await links.opened(lock)
        assert await links.call(lock, "ping", {}) == {}
    assert visits == []


def test_events_carry_the_time_of_day() -> None:
    async def story() -> float:
        async with asyncio.TaskGroup() as tasks:
            links = Links(tasks)
            links.sockets.dial(lock_of(1))
            return (await links.next()).now

    before = time.time()
    assert before <= asyncio.run(story()) <= time.time()
