"""Links to IDEs: real sockets, the emulator, and servers that behave worse than any emulator."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from bridge.core import jsonrpc
from bridge.core.events import Event, LinkClosed, LinkMessage, LinkOpened, LinkState
from bridge.core.lockfile import LockFile, Transport
from bridge.core.reach import HERE, Route
from bridge.ides import dialing, sockets
from bridge.ides.dialing import Dialer
from bridge.ides.ports import snapshot
from bridge.ides.sockets import Sockets
from ide_plugins.emulator import Emulator
from tests.emulator.agent import agent
from tests.ides.listeners import STRANGER, listening, port_of

PATIENCE_S = 20.0
TOKEN = "6b2f1c1e-0000-4000-8000-00000000feed"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")


def lock_of(port: int, token: str | None = TOKEN, **more: Any) -> LockFile:
    return LockFile(port=port, pid=1, workspace_folders=("/w",), auth_token=token, **more)


class Links:
    """Sockets, and what they report."""

    def __init__(self, tasks: asyncio.TaskGroup, dialer: Dialer | None = None, **options: Any) -> None:
        self.dialer = dialer or Dialer()
        self.sockets = Sockets(tasks, self.feed, self.dialer, **options)
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.on_event: Callable[[Event], Awaitable[None]] | None = None

    async def feed(self, event: Event) -> None:
        if self.on_event is not None:
            await self.on_event(event)
        self.events.put_nowait(event)

    async def next(self) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            return await self.events.get()

    async def opened(self, lock: LockFile, route: Route = HERE) -> None:
        self.sockets.dial(lock, route)
        event = await self.next()
        assert isinstance(event, LinkOpened), event
        assert event.ide_id == lock.ide_id

    async def closed(self) -> tuple[LinkState, str]:
        """Wait for the link's end; messages before it do not matter."""
        while not isinstance(event := await self.next(), LinkClosed):
            pass
        return event.state, event.reason

    async def fails(self, lock: LockFile, route: Route = HERE) -> tuple[LinkState, str]:
        """Dial in vain: no `LinkOpened` may come first."""
        self.sockets.dial(lock, route)
        event = await self.next()
        assert isinstance(event, LinkClosed), event
        return event.state, event.reason

    async def call(self, lock: LockFile, method: str, params: Any, id_: int = 1) -> Any:
        await self.sockets.send(lock.ide_id, jsonrpc.request(id_, method, jsonrpc.dump(params)))
        event = await self.next()
        assert isinstance(event, LinkMessage), event
        assert event.message.id == id_
        return jsonrpc.load(event.message.result)


@asynccontextmanager
async def linked(**options: Any) -> AsyncIterator[Links]:
    """Sockets with these options, whose links are hung up at the end."""
    async with asyncio.TaskGroup() as tasks:
        links = Links(tasks, **options)
        yield links
        for ide_id in list(links.sockets._lines):
            links.sockets.hang_up(ide_id)


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    async with linked() as links:
        yield links


@pytest.fixture
def make_ide(tmp_path: Path) -> Callable[..., Emulator]:
    def make(**options: Any) -> Emulator:
        workspace = tmp_path / "ws"
        workspace.mkdir(exist_ok=True)
        return Emulator(workspace=workspace, lock_dir=tmp_path / "ide", **options)

    return make


MakeIde = Callable[..., Emulator]


# ---- a link that lives


async def test_a_link_carries_requests_and_their_answers(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock)
        answer = await links.call(lock, "initialize", {"protocolVersion": "2025-06-18"})
        assert answer["serverInfo"]["name"] == "Claude Code Visual Studio Code MCP"
        assert (ide.connections, ide.unauthorised) == (1, 0)
        assert len(links.dialer.ports) == 1


async def test_an_ide_without_a_token_is_sent_none(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(token=None) as ide:
        lock = lock_of(ide.port, None)
        await links.opened(lock)
        assert await links.call(lock, "ping", {}) == {}


async def test_three_megabytes_cross_both_ways(links: Links, make_ide: MakeIde) -> None:
    text = "x\U0001f600" * (3 * 2**20 // 5)
    async with make_ide(human="accept") as ide:
        lock = lock_of(ide.port, ide.token)
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
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock)
        await links.sockets.send(lock.ide_id, jsonrpc.request(1, "ping"))
        events = [await links.next(), await links.next()]
        assert [event.message.id for event in events if isinstance(event, LinkMessage)] == ["nobody-asked", 1]


async def test_a_selection_that_is_cut_inside_an_emoji_arrives(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(faults=["surrogate"]) as ide:
        await links.opened(lock_of(ide.port, ide.token))
        await ide.until(lambda: ide._listener.clients)
        await ide.select(Path("/w/a"), "half")
        event = await links.next()
        assert isinstance(event, LinkMessage)
        assert jsonrpc.load(event.message.params)["text"] == "half\ud83d"


# ---- hanging up


async def test_after_hanging_up_nothing_more_is_reported(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock)
        links.sockets.hang_up(lock.ide_id)
        links.sockets.hang_up(lock.ide_id)
        await links.sockets.send(lock.ide_id, b"{}")
        links.sockets.watch(lock.ide_id, closely=True)
        await ide.until(lambda: not ide._listener.clients, PATIENCE_S)
        await links.opened(lock)
        assert links.events.empty()


async def test_one_may_hang_up_while_a_message_is_reported(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock)

        async def hang_up(event: Event) -> None:
            links.sockets.hang_up(lock.ide_id)
            await links.sockets.send(lock.ide_id, b"{}")

        links.on_event = hang_up
        await links.sockets.send(lock.ide_id, jsonrpc.request(1, "ping"))
        assert isinstance(await links.next(), LinkMessage)
        await ide.until(lambda: not ide._listener.clients, PATIENCE_S)
        links.on_event = None
        assert links.events.empty()
        assert links.dialer.ports == frozenset()


async def test_a_dial_that_nobody_wants_any_more_takes_no_place(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_of(ide.port, ide.token)
        links.sockets.dial(lock)
        links.sockets.hang_up(lock.ide_id)
        await ide.until(lambda: ide.connections, PATIENCE_S)
        await ide.until(lambda: not ide._listener.clients, PATIENCE_S)
        assert links.events.empty()


# ---- how a link ends


async def test_a_refused_token_is_told_from_a_dropped_connection(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_of(ide.port, "wrong"))
        assert await links.closed() == (LinkState.REFUSED, "it refused the token (close code 1008)")


async def test_a_dropped_connection_leaves_the_ide_listening(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_of(ide.port, ide.token))
        await ide.until(lambda: ide._listener.clients)
        await ide.drop_client()
        assert (await links.closed())[0] is LinkState.LISTENING


async def test_another_client_in_our_place_means_that_the_slot_is_lost(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_of(ide.port, ide.token))
        async with agent(ide):
            assert (await links.closed())[0] is LinkState.SLOT_LOST


async def test_an_ide_that_quits_is_gone(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_of(ide.port, ide.token))
    assert await links.closed() == (LinkState.GONE, "the IDE ended")


@pytest.fixture
def process(tmp_path: Path) -> Any:
    """An emulator in a process of its own, which may be stopped and killed."""
    command = [sys.executable, "-m", "ide_plugins.emulator", "--workspace", str(tmp_path), "--no-token"]
    with subprocess.Popen(
        [*command, "--lock-dir", str(tmp_path / "ide"), "--port", "0"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        ready = jsonrpc.load(process.stdout.readline())
        yield process, ready["port"]
        process.kill()
        process.stdout.read()


async def test_an_ide_that_is_killed_is_gone(links: Links, process: tuple[subprocess.Popen[bytes], int]) -> None:
    ide, port = process
    await links.opened(lock_of(port, None))
    ide.kill()
    assert (await links.closed())[0] is LinkState.GONE


async def test_a_silent_ide_is_noticed_within_five_seconds_while_it_is_watched(
    links: Links, process: tuple[subprocess.Popen[bytes], int]
) -> None:
    assert 2 * sockets.CLOSELY_S < 5.0  # one ping may just have been answered
    ide, port = process
    lock = lock_of(port, None)
    await links.opened(lock)
    links.sockets.watch(lock.ide_id, closely=True)
    ide.send_signal(signal.SIGSTOP)
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it did not answer a ping")


async def test_an_ide_that_falls_silent_when_a_diff_opens_is_noticed(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(faults=["hang-after-diff"]) as ide:
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock)
        links.sockets.watch(lock.ide_id, closely=True)
        links.sockets.watch(lock.ide_id, closely=False)
        links.sockets.watch(lock.ide_id, closely=True)
        arguments = {"old_file_path": "/a", "new_file_path": "/a", "new_file_contents": "", "tab_name": "t"}
        params = jsonrpc.dump({"name": "openDiff", "arguments": arguments})
        await links.sockets.send(lock.ide_id, jsonrpc.request(1, "tools/call", params))
        assert (await links.closed())[0] is LinkState.NOT_ANSWERING


async def test_an_ide_that_answers_pings_is_kept(
    links: Links, make_ide: MakeIde, monkeypatch: pytest.MonkeyPatch
) -> None:
    pongs: asyncio.Queue[Awaitable[float]] = asyncio.Queue()
    ping = ClientConnection.ping

    async def heard(connection: ClientConnection) -> Awaitable[float]:
        pong = await ping(connection)
        pongs.put_nowait(pong)
        return pong

    monkeypatch.setattr(ClientConnection, "ping", heard)
    monkeypatch.setattr(sockets, "CLOSELY_S", 1.0)
    monkeypatch.setattr(sockets, "AT_LEISURE_S", 1.0)
    async with make_ide() as ide, asyncio.timeout(PATIENCE_S):
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock)
        for n, closely in enumerate([True, False, True]):
            links.sockets.watch(lock.ide_id, closely)
            await (await pongs.get())
            assert await links.call(lock, "ping", {}, n) == {}


async def test_an_ide_that_takes_no_data_is_cut_off(
    links: Links, process: tuple[subprocess.Popen[bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PATIENCE_S", 0.2)
    ide, port = process
    lock = lock_of(port, None)
    await links.opened(lock)
    ide.send_signal(signal.SIGSTOP)
    frame = jsonrpc.request(1, "ping", jsonrpc.dump({"x": "x" * 2**24}))
    await links.sockets.send(lock.ide_id, frame)
    await links.closed()
    await links.sockets.send(lock.ide_id, frame)


# ---- dialling in vain

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def rude_server(behave: Serve, heard: bytearray | None = None) -> AsyncIterator[int]:
    """A TCP server on the loopback that does what it wants; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def says(answer: bytes) -> Serve:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return behave


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


def http(status: str, *headers: str) -> Serve:
    return says("\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""]).encode())


_UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")

# (how it behaves, what that means, a word of the reason)
VAIN = {
    "302 to a path": (http("302 Found", "Location: /elsewhere"), LinkState.PORT_TAKEN, "HTTP 302"),
    "302 to a page": (http("302 Found", "Location: http://127.0.0.1:1/"), LinkState.PORT_TAKEN, "HTTP 302"),
    "307 to a WebSocket": (http("307 Moved", "Location: ws://127.0.0.1:1/"), LinkState.PORT_TAKEN, "HTTP 307"),
    "200": (http("200 OK"), LinkState.PORT_TAKEN, "HTTP 200"),
    "400": (http("400 Bad Request"), LinkState.REFUSED, "HTTP 400"),
    "401": (http("401 Unauthorized"), LinkState.REFUSED, "HTTP 401"),
    "403": (http("403 Forbidden"), LinkState.REFUSED, "HTTP 403"),
    "404": (http("404 Not Found"), LinkState.PORT_TAKEN, "HTTP 404"),
    "500": (http("500 Oops"), LinkState.PORT_TAKEN, "HTTP 500"),
    "a wrong key": (http("101 Switching", *_UPGRADE, "Sec-WebSocket-Accept: x"), LinkState.PORT_TAKEN, "no WebSocket"),
    "garbage": (says(b"\x00\xff\x1b[31m\r\n\r\n" * 9), LinkState.PORT_TAKEN, "no WebSocket"),
    "a mail server": (says(b"220 mail ESMTP\r\n"), LinkState.PORT_TAKEN, "no WebSocket"),
    "an endless line": (says(b"x" * 2**20), LinkState.PORT_TAKEN, "no WebSocket"),
    "the end": (_hangs_up, LinkState.NOT_ANSWERING, "broke the connection off"),
    "a reset": (_resets, LinkState.NOT_ANSWERING, "broke the connection off"),
    "silence": (_silence, LinkState.NOT_ANSWERING, "no answer within"),
}


@pytest.mark.parametrize(("behave", "state", "reason"), VAIN.values(), ids=VAIN)
async def test_what_is_no_ide_is_told_apart(links: Links, behave: Serve, state: LinkState, reason: str) -> None:
    async with rude_server(behave) as port:
        found, why = await links.fails(lock_of(port))
    assert found is state
    assert reason in why
    assert why.isprintable()
    assert TOKEN not in why
    assert links.dialer.ports == frozenset()


async def test_where_nobody_listens_the_ide_is_gone(links: Links) -> None:
    with listening() as listener:
        port = port_of(listener)
    assert (await links.fails(lock_of(port)))[0] is LinkState.GONE


async def test_an_unknown_transport_is_not_dialled(links: Links) -> None:
    with listening() as listener:
        lock = lock_of(port_of(listener), transport=Transport.SSE)
        state, reason = await links.fails(lock)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (state, reason) == (LinkState.PORT_TAKEN, "its transport sse is not supported yet")


async def test_a_port_that_takes_no_connection_is_given_up(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HANDSHAKE_S", 0.2)
    with listening() as listener:
        listener.listen(0)
        port = port_of(listener)
        waiting = [await asyncio.open_connection("127.0.0.1", port)]  # fills the queue of one
        state, _ = await links.fails(lock_of(port))
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
async def test_a_stranger_on_a_dead_ide_s_port_never_sees_a_token(links: Links) -> None:
    command = [sys.executable, "-I", "-S", "-c", _RECORD_AS, str(STRANGER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/") as stranger:
        assert stranger.stdout is not None
        port = int(stranger.stdout.readline())
        state, reason = await links.fails(lock_of(port))
        heard, _ = stranger.communicate(timeout=PATIENCE_S)
    assert (state, reason) == (LinkState.PORT_TAKEN, "its port does not belong to your user")
    assert heard == b""


async def test_nothing_is_sent_before_the_owner_is_known(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = bytearray()
    seen: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))

    look = snapshot

    def looking(ports: list[int]) -> Any:
        seen.append(bytes(heard))
        return look(ports)

    monkeypatch.setattr(dialing, "snapshot", looking)
    async with rude_server(record) as port:
        await links.fails(lock_of(port))
    assert seen[0] == b""
    assert f"{sockets.AUTHORIZATION}: {TOKEN}\r\n".encode() in heard
    assert b"Sec-WebSocket-Protocol: mcp\r\n" in heard


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
        lock = lock_of(ide.port, ide.token)
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
