"""The wire of streamable HTTP: towards the MCP SDK's server, and towards servers that behave worse."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn
from aiohttp import web
from mcp import types
from mcp.server.lowlevel import Server as SdkServer

from bridge.core import dialects, jsonrpc
from bridge.core.announcements import LockDirectory
from bridge.core.events import LinkClosed, LinkMessage, LinkState
from bridge.core.lockfile import Family, LockFile, Transport
from bridge.core.official import AUTHORIZATION
from bridge.core.reach import Route, Silence
from bridge.ides import http, posting, sockets, streamable
from bridge.ides.dialing import Connected, Dialer, NobodyThere
from bridge.ides.locks import LockScanner
from tests.ides.linking import (
    PATIENCE_S,
    TOKEN,
    Links,
    MakeIde,
    Serve,
    hangs_up,
    linked,
    lock_of,
    replies,
    resets,
    rude_server,
    says,
    silence,
)
from tests.ides.listeners import stranger_listening

INITIALIZED: Final = jsonrpc.notification("notifications/initialized")
SESSION: Final = "a-session-of-128-bits"
AGREED: Final = "2025-03-26"


def http_lock(port: int, token: str | None = TOKEN, family: Family = Family.GEMINI) -> LockFile:
    return lock_of(port, token, transport=Transport.HTTP, family=family)


Answer = Callable[[web.BaseRequest, jsonrpc.Message], Awaitable[web.StreamResponse | None]]


class Server:
    """A server of a few lines, which answers as SDKs do.

    `accept` may answer a message in another way, or leave it to the usual (None), and `push` a GET.
    """

    def __init__(self) -> None:
        self.heads: list[web.BaseRequest] = []
        self.peers: set[tuple[str, int]] = set()
        self.posted: asyncio.Queue[bytes] = asyncio.Queue()
        self.streams: asyncio.Queue[web.StreamResponse] = asyncio.Queue()  # one for every GET
        self.session: str | None = SESSION
        self.agreed: Any = AGREED
        self.accept: Answer = self.as_usual
        self.push: Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]] = self.as_usual
        self.port = 0
        self.ended = asyncio.Event()
        self.over = asyncio.Event()

    @property
    def lock(self) -> LockFile:
        return http_lock(self.port)

    async def as_usual(self, *_: object) -> web.StreamResponse | None:
        return None

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.heads.append(request)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        if request.method == "GET":
            return await self.push(request) or await self.stream(request)
        if request.method == "DELETE":
            self.ended.set()
            return web.Response(status=200)
        self.posted.put_nowait(body := await request.content.read())
        message = jsonrpc.decode(body)
        if (unusual := await self.accept(request, message)) is not None:
            return unusual
        if not message.is_request:
            return web.Response(status=202)
        said = result(message, {"protocolVersion": self.agreed, "echo": message.method})
        return await as_events(request, said, session=self.session if message.method == "initialize" else None)

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        self.streams.put_nowait(stream)
        await self.over.wait()
        return stream

    async def listened_to(self) -> web.StreamResponse:
        """Wait until pushes are asked for."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.streams.get()

    async def got(self) -> bytes:
        """Wait for the next message that is no ping."""
        async with asyncio.timeout(PATIENCE_S):
            while (body := await self.posted.get()) == posting.PING:
                pass
        return body

    async def pinged(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await self.posted.get() != posting.PING:
                pass

    def requests(self, method: str) -> list[web.BaseRequest]:
        return [head for head in self.heads if head.method == method]


def result(request: jsonrpc.Message, value: Any) -> bytes:
    assert request.id is not None
    return jsonrpc.result(request.id, jsonrpc.dump(value))


async def as_events(request: web.BaseRequest, *frames: bytes, session: str | None = None) -> web.StreamResponse:
    """Answer with events; what is given afterwards ends the answer."""
    headers = {"Content-Type": "text/event-stream", **({"mcp-session-id": session} if session else {})}
    answer = web.StreamResponse(headers=headers)
    await answer.prepare(request)
    for frame in frames:
        await answer.write(event(frame))
    return answer


def note(value: Any) -> bytes:
    return jsonrpc.notification("note", jsonrpc.dump(value))


def event(frame: bytes) -> bytes:
    return b"event: message\ndata: " + frame + b"\n\n"


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[Server]:
    server = Server()
    runner = web.ServerRunner(web.Server(server.answer), shutdown_timeout=0.02)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        server.over.set()
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer may take longer than one that waits for a human is told by."""
    monkeypatch.setattr(posting, "HELD_S", PATIENCE_S)


async def message(links: Links) -> jsonrpc.Message:
    event = await links.next()
    assert isinstance(event, LinkMessage), event
    return event.message


async def noted(links: Links) -> Any:
    """Wait for the next message, and give its parameters."""
    return jsonrpc.load((await message(links)).params)


def ask(links: Links, lock: LockFile, id_: int, method: str, params: Any = None) -> None:
    links.sockets.send(lock.ide_id, jsonrpc.request(id_, method, jsonrpc.dump(params or {})))


async def answered(links: Links, id_: int) -> Any:
    found = await message(links)
    assert found.id == id_, found
    return jsonrpc.load(found.result)


async def shake(links: Links, lock: LockFile) -> Any:
    """Dial and go through the handshake as the core does; give the IDE's answer."""
    await links.opened(lock)
    links.sockets.send(lock.ide_id, jsonrpc.request(0, "initialize", dialects.initialize("1.0")))
    agreed = await answered(links, 0)
    links.sockets.send(lock.ide_id, INITIALIZED)
    return agreed


# ---- a server that is not ours


@asynccontextmanager
async def sdk(decided: asyncio.Event, *, json: bool = False) -> AsyncIterator[int]:
    """The SDK's server with a tool that a human answers, and one that answers at once and tells more unasked."""

    async def tools(*_: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="openDiff", input_schema={"type": "object"})])

    async def call(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name == "wait":
            await decided.wait()
        else:
            await context.session.send_tool_list_changed()
        return types.CallToolResult(content=[types.TextContent(type="text", text=params.name)])

    app = SdkServer("an IDE", on_list_tools=tools, on_call_tool=call)
    served = uvicorn.Server(
        uvicorn.Config(app.streamable_http_app(json_response=json), log_level="critical", timeout_graceful_shutdown=1)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(served.serve([listener]))
            yield listener.getsockname()[1]
            decided.set()
            served.should_exit = True


def text_of(outcome: Any) -> str:
    text: str = outcome["content"][0]["text"]
    return text


@pytest.mark.parametrize("json", [False, True], ids=["events", "JSON"])
async def test_the_sdk_s_server_is_spoken_to(json: bool) -> None:
    """Other calls go on while a human is waited for, and what is told unasked comes in a stream of its own."""
    decided = asyncio.Event()
    async with sdk(decided, json=json) as port, linked() as links:
        lock = http_lock(port)
        assert (await shake(links, lock))["protocolVersion"] == dialects.PROTOCOL_VERSION
        ask(links, lock, 1, "tools/call", {"name": "wait"})
        ask(links, lock, 2, "tools/list")
        assert (await answered(links, 2))["tools"][0]["name"] == "openDiff"
        ask(links, lock, 3, "tools/call", {"name": "quick"})
        heard = [await message(links), await message(links)]
        assert {one.method for one in heard} == {None, "notifications/tools/list_changed"}
        (quick,) = (one for one in heard if one.method is None)
        assert (quick.id, text_of(jsonrpc.load(quick.result))) == (3, "quick")
        decided.set()
        assert text_of(await answered(links, 1)) == "wait"


# ---- the emulator's companions


@pytest.fixture
def transport() -> Transport:
    return Transport.HTTP


def announced(tmp_path: Path, family: Family) -> LockFile:
    """Find the one IDE that announces itself."""
    (found,) = LockScanner().scan([LockDirectory(str(tmp_path / "ide"), family)]).admitted
    return found.lock


@pytest.mark.parametrize("family", [Family.GEMINI, Family.QWEN])
async def test_a_companion_is_found_dialled_and_tells_what_the_human_decided(
    links: Links, make_ide: MakeIde, tmp_path: Path, family: Family
) -> None:
    async with make_ide(personality=family.value, human="accept") as ide:
        lock = announced(tmp_path, family)
        await shake(links, lock)
        assert (await message(links)).method == "ide/contextUpdate"
        arguments = {"filePath": str(ide.workspace / "a.py"), "newContent": "new\n"}
        ask(links, lock, 1, "tools/call", {"name": "openDiff", "arguments": arguments})
        assert (await answered(links, 1))["content"] == []
        decided = await message(links)
        assert decided.method == "ide/diffAccepted"
        assert jsonrpc.load(decided.params) == {"filePath": arguments["filePath"], "content": "new\n"}
        assert ide.unauthorised == 0


@pytest.mark.parametrize("family", [Family.GEMINI, Family.QWEN])
async def test_a_companion_that_has_another_token_refuses_ours(
    links: Links, make_ide: MakeIde, tmp_path: Path, family: Family
) -> None:
    async with make_ide(personality=family.value):
        lock = announced(tmp_path, family).model_copy(update={"auth_token": "another"})
        await links.opened(lock)
        ask(links, lock, 0, "initialize")
        assert await links.closed() == (LinkState.REFUSED, "it refused the token (HTTP 401)")


async def test_a_companion_that_restarts_its_server_is_dialled_again(
    links: Links, make_ide: MakeIde, tmp_path: Path
) -> None:
    async with make_ide(personality="gemini") as ide:
        lock = announced(tmp_path, Family.GEMINI)
        await shake(links, lock)
        assert (await message(links)).method == "ide/contextUpdate"
        await ide.drop_client()
        assert (await links.closed())[0] is LinkState.LISTENING
        await shake(links, lock)


async def test_no_proxy_sees_anything(
    links: Links, make_ide: MakeIde, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits: list[None] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(None)

    async with rude_server(record) as port, make_ide(personality="qwen"):
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        await shake(links, announced(tmp_path, Family.QWEN))
        assert (await message(links)).method == "ide/contextUpdate"
    assert visits == []


@pytest.fixture
def companion(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], LockFile]]:
    """One in a process of its own, which may be stopped and killed."""
    command = [sys.executable, "-m", "ide_plugins.emulator", "--workspace", str(tmp_path), "--personality", "gemini"]
    with subprocess.Popen([*command, "--lock-dir", str(tmp_path / "ide")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process, announced(tmp_path, Family.GEMINI)
        process.kill()
        process.stdout.read()


async def test_a_companion_that_is_killed_is_gone(
    links: Links, companion: tuple[subprocess.Popen[bytes], LockFile]
) -> None:
    process, lock = companion
    await shake(links, lock)
    assert (await message(links)).method == "ide/contextUpdate"
    process.kill()
    assert await links.closed() == (LinkState.GONE, "the IDE ended")


async def test_a_silent_companion_is_noticed_within_five_seconds_while_it_is_watched(
    links: Links, companion: tuple[subprocess.Popen[bytes], LockFile]
) -> None:
    process, lock = companion
    await shake(links, lock)
    assert (await message(links)).method == "ide/contextUpdate"
    links.sockets.watch(lock.ide_id, closely=True)
    process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it did not answer a ping")
    assert time.monotonic() - begun < 5.0


async def test_a_companion_that_takes_no_data_is_cut_off_and_holds_nobody_up(
    links: Links, companion: tuple[subprocess.Popen[bytes], LockFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "PATIENCE_S", 0.2)
    process, lock = companion
    await shake(links, lock)
    assert (await message(links)).method == "ide/contextUpdate"
    process.send_signal(signal.SIGSTOP)
    links.sockets.send(lock.ide_id, note("x" * 2**24))
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it took no data for 0.2 s")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
async def test_a_stranger_on_a_dead_companion_s_port_never_sees_a_token(links: Links) -> None:
    with stranger_listening() as port:
        told = await links.fails(http_lock(port))
    assert told == (LinkState.PORT_TAKEN, "its port does not belong to your user")


# ---- what is sent


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("family", [Family.GEMINI, Family.QWEN])
async def test_every_request_shows_token_session_and_version_and_nothing_that_is_not_needed(
    links: Links, server: Server, family: Family
) -> None:
    lock = http_lock(server.port, family=family)
    assert await shake(links, lock) == {"protocolVersion": AGREED, "echo": "initialize"}
    await server.listened_to()
    ask(links, lock, 1, "tools/list")
    assert (await answered(links, 1))["echo"] == "tools/list"
    links.sockets.hang_up(lock.ide_id)
    await asyncio.wait_for(server.ended.wait(), PATIENCE_S)
    shown = [
        (head.method, head.headers.get("Mcp-Session-Id"), head.headers.get("MCP-Protocol-Version"))
        for head in server.heads
    ]
    assert sorted(shown[1:]) == sorted(
        [("POST", SESSION, AGREED), ("GET", SESSION, AGREED), ("POST", SESSION, AGREED), ("DELETE", SESSION, AGREED)]
    )
    assert shown[0] == ("POST", None, None)
    for head in server.heads:
        assert (head.raw_path, head.headers.getall("Host")) == ("/mcp", [f"127.0.0.1:{server.port}"])
        assert head.headers.getall("Authorization") == [f"Bearer {TOKEN}"]
        assert head.headers["Accept-Encoding"] == "identity"
        assert not {"Origin", "Cookie", "Transfer-Encoding", AUTHORIZATION} & set(head.headers)
    accepted = {head.method: head.headers["Accept"] for head in server.heads}
    assert accepted == {"POST": "application/json, text/event-stream", "GET": "text/event-stream", "DELETE": "*/*"}


async def test_a_server_without_sessions_is_spoken_to_and_told_no_end(links: Links, server: Server) -> None:
    server.session, server.agreed = None, 7
    await shake(links, server.lock)
    await server.listened_to()
    ask(links, server.lock, 1, "tools/list")
    await answered(links, 1)
    links.sockets.hang_up(server.lock.ide_id)
    async with asyncio.timeout(PATIENCE_S):
        while links.dialer.ports:
            await asyncio.sleep(0.01)  # until the connections are closed
    assert server.requests("DELETE") == []
    assert {name for head in server.heads for name in head.headers if name.startswith(("Mcp-", "MCP-"))} == set()


async def test_an_ide_without_a_token_is_sent_none(links: Links, server: Server) -> None:
    await shake(links, http_lock(server.port, None))
    assert "Authorization" not in server.heads[0].headers


@pytest.mark.usefixtures("patient")
async def test_messages_are_posted_in_order_over_few_connections(links: Links, server: Server) -> None:
    await shake(links, server.lock)
    await server.listened_to()
    for number in range(100):
        ask(links, server.lock, number, "x")
    assert [(await message(links)).id for _ in range(100)] == [*range(100)]
    said = [jsonrpc.decode(await server.got()) for _ in range(102)]
    assert [one.id for one in said] == [0, None, *range(100)]
    assert len(server.peers) < 20


@pytest.mark.usefixtures("patient")
async def test_four_megabytes_cross_both_ways(links: Links, server: Server) -> None:
    async def echo(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        return web.json_response(body=result(said, jsonrpc.load(said.params))) if said.method == "echo" else None

    server.accept = echo
    text = "x\U0001f600" * (4 * 2**20 // 5)
    await shake(links, server.lock)
    ask(links, server.lock, 1, "echo", {"text": text})
    assert (await answered(links, 1))["text"] == text


class Recording(Dialer):
    """A dialer that remembers its connections, and may find nobody from some time on."""

    def __init__(self) -> None:
        super().__init__()
        self.made: set[tuple[str, int]] = set()
        self.nobody: Silence | None = None

    async def connect(self, port: int, route: Route, **more: Any) -> Connected:
        if self.nobody is not None:
            raise NobodyThere({"127.0.0.1": self.nobody})
        connected = await super().connect(port, route, **more)
        self.made.add(connected.endpoint.getsockname())
        return connected


async def test_every_connection_is_one_that_was_looked_at(server: Server) -> None:
    async with linked(dialer=(dialer := Recording())) as links:
        await shake(links, server.lock)
        await server.listened_to()
        ask(links, server.lock, 1, "x")
        await answered(links, 1)
    assert server.peers <= dialer.made


async def test_who_takes_the_port_meanwhile_is_sent_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "KEPT_S", 0.0)
    async with linked(dialer=(dialer := Recording())) as links:
        await shake(links, server.lock)
        await server.listened_to()
        before, dialer.nobody = len(server.heads), Silence.UNTRUSTED
        ask(links, server.lock, 1, "secret")
        assert await links.closed() == (LinkState.LISTENING, "it closed the connection")
        assert await links.fails(server.lock) == (LinkState.PORT_TAKEN, "its port does not belong to your user")
    assert len(server.heads) == before


# ---- dialling in vain

# (how it behaves, what that means, a word of the reason)
VAIN = {
    "302 to a path": (replies("302 Found", "Location: /elsewhere"), LinkState.PORT_TAKEN, "HTTP 302"),
    "400": (replies("400 Bad Request"), LinkState.PORT_TAKEN, "HTTP 400"),
    "401": (replies("401 Unauthorized"), LinkState.REFUSED, "it refused the token (HTTP 401)"),
    "403": (replies("403 Forbidden"), LinkState.REFUSED, "it refused the token (HTTP 403)"),
    "404": (replies("404 Not Found"), LinkState.PORT_TAKEN, "HTTP 404"),
    "500": (replies("500 Oops"), LinkState.PORT_TAKEN, "HTTP 500"),
    "202": (replies("202 Accepted"), LinkState.PORT_TAKEN, "no answer of an MCP server"),
    "a page": (
        replies("200 OK", "Content-Type: text/html"),
        LinkState.PORT_TAKEN,
        "no answer of an MCP server: text/html",
    ),
    "a bad session": (
        replies("200 OK", "Content-Type: application/json", "Mcp-Session-Id: two words"),
        LinkState.PORT_TAKEN,
        "a name that cannot be",
    ),
    "garbage": (says(b"\x00\xff\x1b[31m\r\n\r\n" * 9), LinkState.PORT_TAKEN, "no HTTP server"),
    "a mail server": (says(b"220 mail ESMTP\r\n"), LinkState.PORT_TAKEN, "no HTTP server"),
    "the end": (hangs_up, LinkState.NOT_ANSWERING, "broke the connection off"),
    "a reset": (resets, LinkState.NOT_ANSWERING, "broke the connection off"),
    "an empty stream": (
        replies("200 OK", "Content-Type: text/event-stream"),
        LinkState.LISTENING,
        "it closed the connection",
    ),
    "half a stream": (
        says(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\ndata: {"),
        LinkState.LISTENING,
        "it closed the connection",
    ),
    "nothing in JSON": (replies("200 OK", "Content-Type: application/json"), LinkState.LISTENING, "it closed"),
}


@pytest.mark.parametrize(("behave", "state", "reason"), VAIN.values(), ids=VAIN)
async def test_what_is_no_ide_is_told_apart(links: Links, behave: Serve, state: LinkState, reason: str) -> None:
    async with rude_server(behave) as port:
        lock = http_lock(port)
        await links.opened(lock)
        ask(links, lock, 0, "initialize")
        found, why = await links.closed()
    assert found is state
    assert reason in why
    assert why.isprintable()
    assert TOKEN not in why
    assert links.dialer.ports == frozenset()


async def test_where_nobody_listens_the_link_is_not_opened(links: Links) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    state, reason = await links.fails(http_lock(port))
    assert (state, f"nothing listens on port {port}" in reason) == (LinkState.GONE, True)


async def test_a_server_that_never_answers_is_left_to_the_core_s_deadline(links: Links) -> None:
    """As any IDE that does not answer ``initialize``."""
    async with rude_server(silence) as port:
        lock = http_lock(port)
        await links.opened(lock)
        ask(links, lock, 0, "initialize")
        links.sockets.hang_up(lock.ide_id)
        async with asyncio.timeout(PATIENCE_S):
            while links.dialer.ports:
                await asyncio.sleep(0.01)  # until its connection is closed
    assert links.events.empty()


async def test_whatever_a_server_says_ends_its_own_link_only(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "DYING_S", 0.0)
    said = event(jsonrpc.result(0, b'{"protocolVersion":"2025-06-18"}'))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nMcp-Session-Id: abc\r\n"
    whole = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(said), said)
    for seed in range(100):
        dice = random.Random(seed)
        answer = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            answer[dice.randrange(len(answer))] = dice.randrange(256)
        async with rude_server(says(bytes(answer))) as port:
            lock = http_lock(port)
            await links.opened(lock)
            ask(links, lock, 0, "initialize")
            heard = await links.next()
            if isinstance(heard, LinkMessage):
                links.sockets.hang_up(lock.ide_id)
            else:
                assert isinstance(heard, LinkClosed)
    async with asyncio.timeout(PATIENCE_S):
        while links.dialer.ports:
            await asyncio.sleep(0.01)


# ---- answers

# (how a call is answered, what becomes of it)
Cut = Callable[[web.BaseRequest, jsonrpc.Message], Awaitable[web.StreamResponse]]


async def _json(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse:
    return web.json_response(body=result(said, 1))


async def _events_around(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse:
    return await as_events(request, note("before"), result(said, 1), note("after"))


async def _in_pieces(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse:
    answer = await as_events(request)
    for byte in b"\xef\xbb\xbf: ping\r\n\r\nid: 1\r\n" + event(result(said, 1)).replace(b"\n", b"\r\n"):
        await answer.write(bytes([byte]))
    return answer


@pytest.mark.parametrize(
    ("how", "heard"),
    [(_json, [1]), (_events_around, ["before", 1, "after"]), (_in_pieces, [1])],
    ids=["JSON", "events around it", "in pieces"],
)
async def test_an_answer_may_come_in_many_ways(links: Links, server: Server, how: Cut, heard: list[Any]) -> None:
    async def accept(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        return await how(request, said) if said.method == "x" else None

    server.accept = accept
    await shake(links, server.lock)
    ask(links, server.lock, 1, "x")
    found = [await message(links) for _ in heard]
    assert [jsonrpc.load(one.result or one.params) for one in found] == heard
    ask(links, server.lock, 2, "y")
    assert (await answered(links, 2))["echo"] == "y"


async def _cut_in_an_event(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse:
    answer = await as_events(request)
    await answer.write(event(result(said, 1))[:-9])
    assert request.transport is not None
    request.transport.abort()
    return answer


async def _ends_unanswered(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse:
    return await as_events(request, note("before"))


async def _other_s_answer(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse:
    return await as_events(request, jsonrpc.result(99), b"no JSON")


@pytest.mark.parametrize("how", [_cut_in_an_event, _ends_unanswered, _other_s_answer])
async def test_an_answer_that_is_broken_off_ends_the_link(links: Links, server: Server, how: Cut) -> None:
    """A human may be waited for, and nobody else would tell that his answer will never come."""

    async def accept(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        return await how(request, said) if said.method == "x" else None

    server.accept = accept
    await shake(links, server.lock)
    ask(links, server.lock, 1, "x")
    assert await links.closed() == (LinkState.LISTENING, "it closed the connection")
    assert links.dialer.ports == frozenset()


async def test_what_is_broken_off_after_the_answer_does_no_harm(links: Links, server: Server) -> None:
    async def accept(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        if said.method != "x":
            return None
        answer = await as_events(request, result(said, 1))
        await heard.wait()
        assert request.transport is not None
        request.transport.abort()
        return answer

    heard, server.accept = asyncio.Event(), accept
    await shake(links, server.lock)
    ask(links, server.lock, 1, "x")
    assert await answered(links, 1) == 1
    heard.set()
    ask(links, server.lock, 2, "y")
    assert (await answered(links, 2))["echo"] == "y"


@pytest.mark.parametrize("events", [True, False], ids=["events", "JSON"])
async def test_an_answer_without_end_is_not_kept(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch, events: bool
) -> None:
    monkeypatch.setattr(streamable, "MOST_BYTES", 2**20)

    async def accept(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        if said.method != "x":
            return None
        body = result(said, "x" * 2**20)
        return await as_events(request, body) if events else web.json_response(body=body)

    server.accept = accept
    await shake(links, server.lock)
    ask(links, server.lock, 1, "x")
    assert await links.closed() == (LinkState.LISTENING, "it sent a message of more than 1 MiB")


# (the answer to a message, what that means, the reason)
REFUSALS = [
    (307, LinkState.LISTENING, "it answered a message with HTTP 307"),
    (400, LinkState.LISTENING, "it does not know our session any more (HTTP 400)"),
    (401, LinkState.REFUSED, "it refused the token (HTTP 401)"),
    (403, LinkState.REFUSED, "it refused the token (HTTP 403)"),
    (404, LinkState.LISTENING, "it does not know our session any more (HTTP 404)"),
    (500, LinkState.LISTENING, "it answered a message with HTTP 500"),
]


@pytest.mark.parametrize(("status", "state", "reason"), REFUSALS)
@pytest.mark.parametrize("is_request", [True, False], ids=["a request", "a notification"])
async def test_a_message_that_is_not_accepted_ends_the_link(
    links: Links, server: Server, status: int, state: LinkState, reason: str, is_request: bool
) -> None:
    async with serving() as elsewhere:

        async def refuse(_: object, said: jsonrpc.Message) -> web.StreamResponse | None:
            where = f"http://127.0.0.1:{elsewhere.port}/"
            return web.Response(status=status, headers={"Location": where}) if said.method in ("x", "note") else None

        server.accept = refuse
        await shake(links, server.lock)
        links.sockets.send(server.lock.ide_id, jsonrpc.request(1, "x") if is_request else note(1))
        assert await links.closed() == (state, reason)
    assert elsewhere.heads == []


@pytest.mark.parametrize("family", [Family.GEMINI, Family.QWEN])
async def test_a_message_that_is_too_large_for_a_companion_is_refused_alone(
    links: Links, make_ide: MakeIde, tmp_path: Path, family: Family
) -> None:
    """Who posed it is told; to dial anew and to pose it again would go on for ever."""
    async with make_ide(personality=family.value, max_frame_bytes=2**20) as ide:
        lock = announced(tmp_path, family)
        await shake(links, lock)
        assert (await message(links)).method == "ide/contextUpdate"
        arguments = {"filePath": str(ide.workspace / "a.py"), "newContent": "x" * 2**24}
        ask(links, lock, 1, "tools/call", {"name": "openDiff", "arguments": arguments})
        refused = await message(links)
        assert (refused.id, jsonrpc.load(refused.error)["message"]) == (
            1,
            "it takes no message as large as this (HTTP 413)",
        )
        ask(links, lock, 2, "tools/list")
        assert len((await answered(links, 2))["tools"]) == 2


async def test_a_session_that_is_lost_is_begun_anew(links: Links, server: Server) -> None:
    lost = True

    async def forget(request: web.BaseRequest, _: object) -> web.StreamResponse | None:
        return web.Response(status=404) if lost and request.headers.get("Mcp-Session-Id") == SESSION else None

    await shake(links, server.lock)
    server.accept = forget
    ask(links, server.lock, 1, "x")
    assert (await links.closed())[0] is LinkState.LISTENING
    lost, server.session = False, "another"
    await shake(links, server.lock)
    ask(links, server.lock, 1, "x")
    await answered(links, 1)
    assert server.requests("POST")[-1].headers["Mcp-Session-Id"] == "another"


async def test_a_notification_may_be_answered_with_anything(links: Links, server: Server) -> None:
    async def babble(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        if said.method == "note":
            return web.Response(status=200, body=b"x" * 2**20)
        if said.method == "notifications/initialized":
            return await server.stream(request)  # and never ends
        return None

    server.accept = babble
    await shake(links, server.lock)
    for number in range(3):
        links.sockets.send(server.lock.ide_id, note(number))
    ask(links, server.lock, 1, "x")
    await answered(links, 1)
    assert [jsonrpc.decode(await server.got()).method for _ in range(6)][2:] == ["note"] * 3 + ["x"]


# ---- pushes


async def test_pushes_are_asked_for_once_the_handshake_is_over_and_come_in_order(links: Links, server: Server) -> None:
    await links.opened(server.lock)
    ask(links, server.lock, 0, "initialize")
    await answered(links, 0)
    ask(links, server.lock, 1, "x")
    await answered(links, 1)
    assert server.requests("GET") == []
    links.sockets.send(server.lock.ide_id, INITIALIZED)
    stream = await server.listened_to()
    for number in range(5):
        await stream.write(event(note(number)))
    assert [await noted(links) for _ in range(5)] == [*range(5)]


async def test_a_ping_without_an_id_keeps_a_connection_busy_and_says_nothing(links: Links, server: Server) -> None:
    await shake(links, server.lock)
    stream = await server.listened_to()
    await stream.write(event(b'{"jsonrpc":"2.0","method":"ping"}') + b"data: no JSON\n\n" + event(note(1)))
    assert await noted(links) == 1


async def test_pushes_are_asked_for_until_they_can_be_heard(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamable, "AGAIN_S", (0.01, 0.02))
    asked = 0

    async def later(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            assert request.transport is not None
            request.transport.abort()
        if asked <= 2:
            return web.Response(status=409)  # it has not noticed yet that an earlier listener is gone
        return await server.stream(request)

    server.push = later
    await shake(links, server.lock)
    stream = await server.listened_to()
    await stream.write(event(note(3)))
    assert await noted(links) == 3


@pytest.mark.parametrize("abruptly", [False, True])
async def test_pushes_that_end_have_ended_the_link(links: Links, server: Server, abruptly: bool) -> None:
    """What is decided until the next ones come would be lost: the diff is shown again instead."""

    async def once(request: web.BaseRequest) -> web.StreamResponse:
        said = await as_events(request, note(1))
        if abruptly:
            assert request.transport is not None
            await said.drain()
            request.transport.close()
        return said

    server.push = once
    await shake(links, server.lock)
    assert await noted(links) == 1
    assert (await links.closed())[0] is LinkState.LISTENING


@pytest.mark.parametrize("status", [200, 204, 400, 404, 405])
async def test_an_ide_may_have_nothing_to_say_unasked(links: Links, server: Server, status: int) -> None:
    async def nothing(_: object) -> web.StreamResponse:
        asked.set()
        return web.Response(status=status)

    asked, server.push = asyncio.Event(), nothing
    await shake(links, server.lock)
    await asyncio.wait_for(asked.wait(), PATIENCE_S)
    for number in range(3):
        ask(links, server.lock, number, "x")
        await answered(links, number)
    assert len(server.requests("GET")) == 1


@pytest.mark.parametrize(
    ("status", "state"),
    [(401, LinkState.REFUSED), (403, LinkState.REFUSED), (409, LinkState.LISTENING), (500, LinkState.LISTENING)],
)
async def test_pushes_that_are_refused_end_the_link(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch, status: int, state: LinkState
) -> None:
    """Of what the IDE decides meanwhile nobody would hear."""
    monkeypatch.setattr(streamable, "DEAF_S", 0.1)
    monkeypatch.setattr(streamable, "AGAIN_S", (0.01, 0.02))

    async def refuse(_: object) -> web.StreamResponse:
        return web.Response(status=status)

    server.push = refuse
    await shake(links, server.lock)
    assert (await links.closed())[0] is state


async def test_a_push_without_end_is_not_kept(links: Links, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamable, "MOST_BYTES", 2**20)
    await shake(links, server.lock)
    stream = await server.listened_to()
    await stream.write(event(note("x" * 2**20)))
    assert await links.closed() == (LinkState.LISTENING, "it sent a message of more than 1 MiB")


async def test_an_answer_that_left_before_a_push_comes_before_it(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a diff that is acknowledged and decided, where the connection of the first is the slower one."""
    monkeypatch.setattr(streamable, "BEFORE_S", PATIENCE_S)
    pushed = asyncio.Event()

    async def slowly(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        if said.method != "openDiff":
            return None
        answer = await as_events(request)
        await stream.write(event(note("decided")))
        await pushed.wait()
        await answer.write(event(result(said, "shown")))
        return answer

    await shake(links, server.lock)
    stream, server.accept = await server.listened_to(), slowly
    ask(links, server.lock, 1, "openDiff")
    ask(links, server.lock, 2, "x")  # what is answered comes at once
    assert (await answered(links, 2))["echo"] == "x"
    pushed.set()
    assert await answered(links, 1) == "shown"
    assert await noted(links) == "decided"


async def test_a_push_does_not_wait_for_a_human(links: Links, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is waited for once is not waited for again."""
    monkeypatch.setattr(streamable, "BEFORE_S", 0.05)

    async def wait(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        if said.method == "wait":
            await server.over.wait()
        return None

    server.accept = wait
    await shake(links, server.lock)
    stream = await server.listened_to()
    ask(links, server.lock, 1, "wait")
    await server.got()
    begun = time.monotonic()
    for number in range(100):
        await stream.write(event(note(number)))
    assert [await noted(links) for _ in range(100)] == [*range(100)]
    assert time.monotonic() - begun < 100 * 0.05


# ---- humans


async def test_a_call_may_wait_for_a_human_before_its_answer_begins_and_others_go_on(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "HELD_S", 0.01)
    decided = asyncio.Event()

    async def wait(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        if said.method == "wait":
            await decided.wait()
        return None

    server.accept = wait
    await shake(links, server.lock)
    ask(links, server.lock, 1, "wait")
    ask(links, server.lock, 2, "wait")
    ask(links, server.lock, 3, "other")
    assert (await answered(links, 3))["echo"] == "other"
    decided.set()
    assert {(await message(links)).id, (await message(links)).id} == {1, 2}


@pytest.mark.parametrize(("limit", "begun"), [("HELD_MOST", False), ("OPEN_MOST", True)])
async def test_not_every_call_may_wait(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch, limit: str, begun: bool
) -> None:
    monkeypatch.setattr(posting, limit, 5)
    monkeypatch.setattr(posting, "HELD_S", 0.01)

    async def hold(request: web.BaseRequest, said: jsonrpc.Message) -> web.StreamResponse | None:
        if said.method != "wait":
            return None
        if begun:
            await as_events(request)
        await server.over.wait()
        return None

    await shake(links, server.lock)
    server.accept = hold
    for number in range(6):
        ask(links, server.lock, number, "wait")
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it left 5 messages unanswered")


# ---- life and death


async def test_a_call_may_wait_for_as_long_as_pings_are_answered(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "CLOSELY_S", 1.0)
    monkeypatch.setattr(http, "KEPT_S", 0.01)  # each ping has a connection of its own
    await shake(links, server.lock)
    links.sockets.watch(server.lock.ide_id, closely=True)
    for _ in range(2):
        await server.pinged()
    stream = await server.listened_to()
    await stream.write(event(note("decided")))
    assert await noted(links) == "decided"


async def test_no_ping_comes_before_the_session(links: Links, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "CLOSELY_S", 0.05)
    await links.opened(server.lock)
    links.sockets.watch(server.lock.ide_id, closely=True)
    await asyncio.sleep(0.2)  # four pings long: no event tells of what does not come
    assert server.heads == []
    ask(links, server.lock, 0, "initialize")
    await answered(links, 0)
    await server.pinged()


async def test_an_ide_that_falls_silent_is_noticed(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "CLOSELY_S", 0.2)

    async def hold(*_: object) -> web.StreamResponse:
        await server.over.wait()
        raise AssertionError

    await shake(links, server.lock)
    await server.listened_to()
    server.accept = hold
    links.sockets.watch(server.lock.ide_id, closely=True)
    ask(links, server.lock, 1, "openDiff")
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it did not answer a ping")


async def test_an_ide_that_ends_is_gone(links: Links) -> None:
    async with serving() as server:
        await shake(links, server.lock)
        await server.listened_to()
        lock = server.lock
    assert await links.closed() == (LinkState.GONE, "the IDE ended")
    async with serving(lock.port) as server:
        await shake(links, lock)


async def test_what_was_sent_before_hanging_up_arrives_and_then_the_end(links: Links, server: Server) -> None:
    await shake(links, server.lock)
    for number in range(20):
        links.sockets.send(server.lock.ide_id, note(number))
    links.sockets.hang_up(server.lock.ide_id)
    await asyncio.wait_for(server.ended.wait(), PATIENCE_S)
    said = [await server.got() for _ in range(22)]
    assert said[2:] == [note(number) for number in range(20)]


def test_aiohttp_is_not_loaded_for_those_who_do_not_need_it() -> None:
    code = "import sys, bridge.ides.sockets; print({'aiohttp', 'bridge.ides.streamable'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
