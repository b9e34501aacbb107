"""The SSE wire: what only it does, towards the emulator and towards servers that behave worse."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import web

from bridge.core import jsonrpc
from bridge.core.events import Event, LinkMessage, LinkState
from bridge.core.lockfile import LockFile, Transport
from bridge.core.official import AUTHORIZATION
from bridge.core.reach import Route, Silence
from bridge.ides import http, posting, sockets, sse
from bridge.ides.dialing import Connected, Dialer, NobodyThere
from tests.ides.linking import (
    PATIENCE_S,
    TOKEN,
    IdeProcess,
    Links,
    MakeIde,
    Serve,
    hangs_up,
    linked,
    lock_of,
    lock_to,
    replies,
    resets,
    rude_server,
    says,
    silence,
)

STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED: Final = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
ADDRESS: Final = "/messages/?session_id=0af%2B%2f&x"


@pytest.fixture
def transport() -> Transport:
    return Transport.SSE


def sse_lock(port: int, **more: Any) -> LockFile:
    return lock_of(port, transport=Transport.SSE, **more)


class Server:
    """A server of a few lines. `accept` answers a POST; what it does not know it leaves to the test."""

    def __init__(self) -> None:
        self.begin = f"event: endpoint\ndata: {ADDRESS}\n\n".encode()
        self.heads: list[web.BaseRequest] = []
        self.peers: set[tuple[str, int]] = set()
        self.posted: asyncio.Queue[bytes] = asyncio.Queue()
        self.accept: Callable[[bytes], Awaitable[web.StreamResponse]] = self.accepts
        self.stream: web.StreamResponse
        self.port = 0
        self._over = asyncio.Event()

    @property
    def lock(self) -> LockFile:
        return sse_lock(self.port)

    async def accepts(self, _: bytes) -> web.StreamResponse:
        return web.Response(status=202)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.heads.append(request)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        if request.method == "POST":
            self.posted.put_nowait(body := await request.content.read())
            return await self.accept(body)
        self.stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Set-Cookie": "a=b"})
        await self.stream.prepare(request)
        await self.stream.write(self.begin)
        await self._over.wait()
        return self.stream

    async def say(self, frame: bytes) -> None:
        await self.stream.write(b"data: " + frame + b"\n\n")

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

    def end(self) -> None:
        """End the streams in good order, and listen on."""
        self._over.set()


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
        server.end()
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer may take longer than one that waits for a human is told by."""
    monkeypatch.setattr(posting, "HELD_S", PATIENCE_S)


async def message(links: Links) -> Any:
    """Wait for the next message, and give its parameters."""
    event = await links.next()
    assert isinstance(event, LinkMessage), event
    return jsonrpc.load(event.message.params)


def note(value: Any) -> bytes:
    return jsonrpc.notification("note", jsonrpc.dump(value))


# ---- what is sent


@pytest.mark.usefixtures("patient")
async def test_every_request_shows_the_token_and_nothing_that_is_not_needed(links: Links, server: Server) -> None:
    await links.opened(server.lock)
    links.sockets.send(server.lock.ide_id, note(1))
    assert await server.got() == note(1)
    stream, post = server.heads
    assert (stream.method, stream.raw_path, stream.headers["Accept"]) == ("GET", "/sse", "text/event-stream")
    assert (post.method, post.raw_path, post.headers["Content-Type"]) == ("POST", ADDRESS, "application/json")
    assert post.headers["Content-Length"] == str(len(note(1)))
    for request in server.heads:
        assert request.headers.getall("Host") == [f"127.0.0.1:{server.port}"]
        assert request.headers.getall(AUTHORIZATION) == [TOKEN]
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"Origin", "Cookie", "Transfer-Encoding"} & set(request.headers)


@pytest.mark.parametrize("named", ["?a=%2f", "http://127.0.0.1:{}?a=%2f", "http://127.0.0.1:{}", "/a/../b"])
async def test_an_address_may_be_written_in_many_ways(links: Links, server: Server, named: str) -> None:
    server.begin = f"event: endpoint\ndata: {named.format(server.port)}\n\n".encode()
    await links.opened(server.lock)
    links.sockets.send(server.lock.ide_id, note(1))
    assert await server.got() == note(1)
    expected = {"?a=%2f": "/sse?a=%2f", "http://127.0.0.1:{}?a=%2f": "/?a=%2f", "/a/../b": "/b"}
    assert server.heads[1].raw_path == expected.get(named, "/")


async def test_an_ide_without_a_token_is_sent_none(links: Links, server: Server) -> None:
    lock = lock_of(server.port, None, transport=Transport.SSE)
    await links.opened(lock)
    links.sockets.send(lock.ide_id, note(1))
    await server.got()
    assert [AUTHORIZATION in request.headers for request in server.heads] == [False, False]


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


@pytest.mark.usefixtures("patient")
async def test_every_connection_is_one_that_was_looked_at(server: Server) -> None:
    async def closing(_: bytes) -> web.StreamResponse:
        response = web.Response(status=202)
        response.force_close()
        return response

    server.accept = closing
    async with linked(dialer=(dialer := Recording())) as links:
        await links.opened(server.lock)
        for number in range(5):
            links.sockets.send(server.lock.ide_id, note(number))
            assert await server.got() == note(number)
    assert server.peers == dialer.made
    assert len(dialer.made) == 6


async def test_who_takes_the_port_meanwhile_is_sent_nothing(server: Server) -> None:
    async with linked(dialer=(dialer := Recording())) as links:
        await links.opened(server.lock)
        dialer.nobody = Silence.UNTRUSTED
        links.sockets.send(server.lock.ide_id, note("secret"))
        assert await links.closed() == (LinkState.LISTENING, "it closed the connection")
        assert await links.fails(server.lock) == (LinkState.PORT_TAKEN, "its port does not belong to your user")
    assert [request.method for request in server.heads] == ["GET"]


def test_aiohttp_is_not_loaded_for_those_who_do_not_need_it() -> None:
    code = "import sys, bridge.ides.sockets; print({'aiohttp', 'bridge.ides.sse'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


# ---- dialling in vain


def begins(*chunks: bytes) -> Serve:
    return says(CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks))


async def _stays(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begins(b": nothing but comments\n")(reader, writer)
    await reader.read()


# (how it behaves, what that means, a word of the reason)
VAIN = {
    "302 to a path": (replies("302 Found", "Location: /elsewhere"), LinkState.PORT_TAKEN, "HTTP 302"),
    "307 to a server": (replies("307 Moved", "Location: http://127.0.0.1:1/"), LinkState.PORT_TAKEN, "HTTP 307"),
    "101": (replies("101 Switching Protocols", "Upgrade: x", "Connection: Upgrade"), LinkState.PORT_TAKEN, "HTTP 101"),
    "204": (replies("204 No Content"), LinkState.PORT_TAKEN, "HTTP 204"),
    "400": (replies("400 Bad Request"), LinkState.PORT_TAKEN, "HTTP 400"),
    "401": (replies("401 Unauthorized"), LinkState.REFUSED, "it refused the token (HTTP 401)"),
    "403": (replies("403 Forbidden"), LinkState.REFUSED, "HTTP 403"),
    "404": (replies("404 Not Found"), LinkState.PORT_TAKEN, "HTTP 404"),
    "426": (replies("426 Upgrade Required"), LinkState.PORT_TAKEN, "HTTP 426"),
    "500": (replies("500 Oops"), LinkState.PORT_TAKEN, "HTTP 500"),
    "a page": (replies("200 OK", "Content-Type: text/html"), LinkState.PORT_TAKEN, "no event stream: text/html"),
    "no type": (replies("200 OK"), LinkState.PORT_TAKEN, "no event stream"),
    "garbage": (says(b"\x00\xff\x1b[31m\r\n\r\n" * 9), LinkState.PORT_TAKEN, "no HTTP server"),
    "a mail server": (says(b"220 mail ESMTP\r\n"), LinkState.PORT_TAKEN, "no HTTP server"),
    "an endless line": (says(b"x" * 2**20), LinkState.PORT_TAKEN, "no HTTP server"),
    "another server": (
        begins(b"event: endpoint\ndata: http://attacker.invalid/m\n\n"),
        LinkState.PORT_TAKEN,
        "it wants messages posted to another server",
    ),
    "no address": (begins(b"event: endpoint\ndata: a b\n\n"), LinkState.PORT_TAKEN, "it names no address to post to"),
    "the end": (hangs_up, LinkState.NOT_ANSWERING, "broke the connection off"),
    "a reset": (resets, LinkState.NOT_ANSWERING, "broke the connection off"),
    "silence": (silence, LinkState.NOT_ANSWERING, "no answer within"),
    "comments": (_stays, LinkState.NOT_ANSWERING, "no answer within"),
    "an empty stream": (
        replies("200 OK", "Content-Type: text/event-stream"),
        LinkState.NOT_ANSWERING,
        "broke the conn",
    ),
    "half a stream": (begins(b"event: endpoint\n"), LinkState.NOT_ANSWERING, "broke the connection off"),
    "a bad chunk": (says(CHUNKED + b"x\r\n"), LinkState.PORT_TAKEN, "no HTTP server"),
}


@pytest.mark.parametrize(("behave", "state", "reason"), VAIN.values(), ids=VAIN)
async def test_what_is_no_ide_is_told_apart(links: Links, behave: Serve, state: LinkState, reason: str) -> None:
    async with rude_server(behave) as port:
        found, why = await links.fails(sse_lock(port))
    assert found is state
    assert reason in why
    assert why.isprintable()
    assert TOKEN not in why
    assert links.dialer.ports == frozenset()


async def test_a_refused_token_is_told_at_once(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        assert await links.fails(sse_lock(ide.port)) == (LinkState.REFUSED, "it refused the token (HTTP 401)")


async def test_an_ide_that_sends_us_elsewhere_is_not_followed(links: Links, make_ide: MakeIde) -> None:
    async with make_ide(faults=["foreign-endpoint"]) as ide:
        told = await links.fails(lock_to(ide))
    assert told == (LinkState.PORT_TAKEN, "it wants messages posted to another server")


async def test_whatever_a_server_says_ends_its_own_link_only(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "DYING_S", 0.0)
    event = b"event: endpoint\ndata: /m\n\n"
    for seed in range(100):
        dice = random.Random(seed)
        answer = bytearray(CHUNKED + b"%x\r\n%b\r\n" % (len(event), event))
        for _ in range(dice.randint(1, 6)):
            answer[dice.randrange(len(answer))] = dice.randrange(256)
        async with rude_server(says(bytes(answer))) as port:
            links.sockets.dial(sse_lock(port))
            await links.closed()
    assert links.dialer.ports == frozenset()


# ---- the stream


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
async def test_messages_may_come_in_any_pieces(links: Links, server: Server, end: bytes) -> None:
    server.begin = b"\xef\xbb\xbf: hello" + end + b"event: endpoint" + end + b"data: /m" + end + end
    await links.opened(server.lock)
    lines = [
        b": ping",
        b"event: message",
        b'data: {"jsonrpc":"2.0",',
        'data: "method":"note","params":"€"}'.encode(),
        b"",
        b"",
    ]
    for byte in end.join(lines):
        await server.stream.write(bytes([byte]))
    assert await message(links) == "€"


async def test_other_events_are_passed_over(links: Links, server: Server) -> None:
    await links.opened(server.lock)
    await server.stream.write(b"event: endpoint\ndata: http://attacker.invalid/\n\nevent: news\ndata: {}\n\n")
    await server.say(note(1))
    assert await message(links) == 1
    links.sockets.send(server.lock.ide_id, note(2))
    assert await server.got() == note(2)


async def test_a_message_that_never_ends_is_not_kept(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MOST_BYTES", 2**20)
    await links.opened(server.lock)
    await server.say(note("x" * (2**20 - 100)))
    assert len(await message(links)) == 2**20 - 100
    await server.say(note("x" * 2**20))
    assert await links.closed() == (LinkState.LISTENING, "it sent a message of more than 1 MiB")


async def test_the_end_of_the_stream_is_the_end_of_the_link(links: Links, server: Server) -> None:
    await links.opened(server.lock)
    await server.say(note(1))
    server.end()
    assert await message(links) == 1
    assert await links.closed() == (LinkState.LISTENING, "it closed the connection")
    assert links.dialer.ports == frozenset()


@pytest.mark.parametrize("nonsense", [b"x\r\n", b"5\r\ndata:x"], ids=["a bad chunk", "half a chunk"])
async def test_a_stream_that_is_no_http_any_more_ends_the_link(links: Links, nonsense: bytes) -> None:
    opened = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begins(b"event: endpoint\ndata: /m\n\n")(reader, writer)
        await opened.wait()
        writer.write(nonsense)
        await writer.drain()

    async with rude_server(behave) as port:
        await links.opened(sse_lock(port))
        opened.set()
        assert await links.closed() == (LinkState.LISTENING, "it closed the connection")
    assert links.dialer.ports == frozenset()


async def test_the_system_probes_a_stream_that_is_silent(links: Links, server: Server) -> None:
    """A host that vanishes closes nothing."""
    await links.opened(server.lock)
    (endpoint,) = links.dialer._sockets
    assert endpoint.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, every, count = (
        endpoint.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + every * count < 5


# ---- posting


@pytest.mark.usefixtures("patient")
async def test_messages_are_posted_in_order_over_one_connection(links: Links, server: Server) -> None:
    await links.opened(server.lock)
    for number in range(300):
        links.sockets.send(server.lock.ide_id, note(number))
    assert [await server.got() for _ in range(300)] == [note(number) for number in range(300)]
    assert len(server.peers) == 2


async def test_calls_and_answers_under_load_keep_their_order(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        lock = lock_to(ide)
        await links.opened(lock)
        for number in range(200):
            links.sockets.send(lock.ide_id, jsonrpc.request(number, "ping"))
        events = [await links.next() for _ in range(200)]
    assert [event.message.id for event in events if isinstance(event, LinkMessage)] == list(range(200))


@pytest.mark.usefixtures("patient")
async def test_four_megabytes_cross_both_ways(links: Links, server: Server) -> None:
    async def echo(body: bytes) -> web.StreamResponse:
        await server.say(body)  # before the POST is answered
        return web.Response(status=200, text="thank you")

    server.accept = echo
    text = "x\U0001f600" * (4 * 2**20 // 5)
    await links.opened(server.lock)
    for _ in range(2):
        links.sockets.send(server.lock.ide_id, note(text))
        assert await message(links) == text
    assert len(server.peers) == 2


# (the answer to a POST, what that means, the reason)
REFUSALS = [
    (301, LinkState.LISTENING, "it answered a message with HTTP 301"),
    (307, LinkState.LISTENING, "it answered a message with HTTP 307"),
    (400, LinkState.LISTENING, "it answered a message with HTTP 400"),
    (401, LinkState.REFUSED, "it refused the token (HTTP 401)"),
    (403, LinkState.REFUSED, "it refused the token (HTTP 403)"),
    (404, LinkState.LISTENING, "it answered a message with HTTP 404"),
    (413, LinkState.LISTENING, "it answered a message with HTTP 413"),
    (500, LinkState.LISTENING, "it answered a message with HTTP 500"),
]


@pytest.mark.parametrize(("status", "state", "reason"), REFUSALS)
async def test_a_message_that_is_not_accepted_ends_the_link(
    links: Links, server: Server, status: int, state: LinkState, reason: str
) -> None:
    async with serving() as elsewhere:

        async def refuse(_: bytes) -> web.StreamResponse:
            where = f"http://127.0.0.1:{elsewhere.port}/"
            return web.Response(status=status, headers={"Location": where})

        server.accept = refuse
        await links.opened(server.lock)
        links.sockets.send(server.lock.ide_id, note(1))
        assert await links.closed() == (state, reason)
    assert elsewhere.heads == []


async def test_a_post_that_is_broken_off_ends_the_link(links: Links, server: Server) -> None:
    async def cut(_: bytes) -> web.StreamResponse:
        transport = server.heads[-1].transport
        assert transport is not None
        transport.abort()
        return web.Response()

    server.accept = cut
    await links.opened(server.lock)
    links.sockets.send(server.lock.ide_id, note(1))
    assert await links.closed() == (LinkState.LISTENING, "it closed the connection")


@pytest.mark.usefixtures("patient")
async def test_an_answer_that_comes_in_pieces_costs_no_connection(links: Links, server: Server) -> None:
    async def slowly(_: bytes) -> web.StreamResponse:
        answer = web.StreamResponse(status=202)
        await answer.prepare(server.heads[-1])
        for word in (b"thank", b"you"):
            await answer.write(word)
            await asyncio.sleep(0.01)  # else they come as one
        return answer

    server.accept = slowly
    await links.opened(server.lock)
    for number in range(5):
        links.sockets.send(server.lock.ide_id, note(number))
    assert [await server.got() for _ in range(5)] == [note(number) for number in range(5)]
    assert len(server.peers) == 2


async def test_an_endless_answer_to_a_post_is_not_read(links: Links, server: Server) -> None:
    async def babble(_: bytes) -> web.StreamResponse:
        return web.Response(status=202, body=b"x" * 2**20)

    server.accept = babble
    await links.opened(server.lock)
    for number in range(3):
        links.sockets.send(server.lock.ide_id, note(number))
        assert await server.got() == note(number)


async def test_what_was_sent_before_hanging_up_arrives(links: Links, server: Server) -> None:
    await links.opened(server.lock)
    for number in range(50):
        links.sockets.send(server.lock.ide_id, note(number))
    links.sockets.hang_up(server.lock.ide_id)
    assert [await server.got() for _ in range(50)] == [note(number) for number in range(50)]


# ---- POSTs that stay open


async def test_a_post_may_stay_open_while_a_human_thinks(links: Links, server: Server) -> None:
    """As with servers that answer when the tool is done."""
    decided = asyncio.Event()

    async def wait_for_human(body: bytes) -> web.StreamResponse:
        if body == note("diff"):
            await decided.wait()
            await server.say(note("decided"))
        return web.Response(status=202)

    server.accept = wait_for_human
    await links.opened(server.lock)
    for what in ("diff", "other", "another"):
        links.sockets.send(server.lock.ide_id, note(what))
    assert [await server.got() for _ in range(3)] == [note(what) for what in ("diff", "other", "another")]
    decided.set()
    assert await message(links) == "decided"
    links.sockets.send(server.lock.ide_id, note("after"))
    assert await server.got() == note("after")


async def test_not_every_post_may_stay_open(links: Links, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "HELD_MOST", 3)
    monkeypatch.setattr(posting, "HELD_S", 0.01)

    async def hold(body: bytes) -> web.StreamResponse:
        if body != posting.PING:
            await asyncio.Event().wait()
        return web.Response(status=202)

    server.accept = hold
    await links.opened(server.lock)
    for number in range(4):
        links.sockets.send(server.lock.ide_id, note(number))
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it left 3 messages unanswered")


# ---- life and death


async def test_a_diff_may_wait_for_as_long_as_pings_are_answered(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "CLOSELY_S", 1.0)
    monkeypatch.setattr(sockets, "AT_LEISURE_S", 1.0)
    monkeypatch.setattr(http, "KEPT_S", 0.01)  # each ping has a connection of its own
    await links.opened(server.lock)
    for closely in (True, False, True):
        links.sockets.watch(server.lock.ide_id, closely)
        await server.pinged()
    await server.say(note("decided"))
    assert await message(links) == "decided"


async def test_a_ping_is_no_request_and_comes_later_than_initialize(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "AT_LEISURE_S", 2.0)

    def initialize(event: Event) -> None:
        links.sockets.send(server.lock.ide_id, note("initialize"))
        links.sockets.send(server.lock.ide_id, note("initialized"))

    assert jsonrpc.decode(posting.PING).is_notification
    links.on_event = initialize
    await links.opened(server.lock)
    async with asyncio.timeout(PATIENCE_S):
        said = [await server.posted.get() for _ in range(3)]
    assert said == [note("initialize"), note("initialized"), posting.PING]


async def test_a_server_whose_stream_lives_but_takes_no_posts_is_noticed(
    links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "CLOSELY_S", 0.2)

    async def hold(_: bytes) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    server.accept = hold
    await links.opened(server.lock)
    links.sockets.watch(server.lock.ide_id, closely=True)
    links.sockets.send(server.lock.ide_id, note("diff"))
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it did not answer a ping")


async def test_an_ide_that_takes_no_data_is_cut_off_and_holds_nobody_up(
    links: Links, process: IdeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "PATIENCE_S", 0.2)
    ide, port = process
    lock = lock_of(port, None, transport=Transport.SSE)
    await links.opened(lock)
    ide.send_signal(signal.SIGSTOP)
    frame = note("x" * 2**24)
    links.sockets.send(lock.ide_id, frame)
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it took no data for 0.2 s")
    links.sockets.send(lock.ide_id, frame)


async def test_an_ide_that_is_too_slow_is_cut_off(
    links: Links, process: IdeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "WAITING_MOST", 2**16)
    ide, port = process
    lock = lock_of(port, None, transport=Transport.SSE)
    await links.opened(lock)
    ide.send_signal(signal.SIGSTOP)
    for number in range(65):
        links.sockets.send(lock.ide_id, note(number))
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it takes messages too slowly")


async def test_a_server_that_has_restarted_is_dialled_again(links: Links) -> None:
    async with serving() as server:
        await links.opened(server.lock)
    assert await links.closed() == (LinkState.GONE, "the IDE ended")
    async with serving(server.port) as server:
        await links.opened(server.lock)
        links.sockets.send(server.lock.ide_id, note(1))
        assert await server.got() == note(1)
