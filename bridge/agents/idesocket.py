"""The bridge as an IDE over WebSocket: the server that unmodified agents connect to.

On aiohttp, whose framing is in C: with `websockets` the same hop costs nearly twice as much (docs/decisions.md).

Sending never waits. What fits into the socket's buffer is written at once; what does not goes to an outbox that a
task of the agent's own empties, so that an agent that does not read stalls nobody and costs a bounded amount.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from aiohttp import HttpVersion11, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError

from bridge.agents.gate import Welcome, refusal
from bridge.core import jsonrpc
from bridge.core.official import AUTHORIZATION, MOST_BYTES
from bridge.core.outbox import Outbox, Parcel
from bridge.web import FIRST_REQUEST_S, Admits

__all__ = ["WebSocketFront"]

HIGH_BYTES: Final = 64 * 1024  # unsent in the socket's buffer: beyond that, frames wait in the outbox
LOW_BYTES: Final = 16 * 1024  # when they go on
MOST_AGENTS: Final = 2000  # at one front
STOP_S: Final = 1.0  # for agents to answer our goodbye


class WebSocketFront:
    """Serves agents at one port.

    Args:
        tasks: where what is sent later is sent from.
        token: lets an agent in.
        welcome: begins a session.
        admits: tells whether a connection is our own user's.
    """

    transport = "ws"

    def __init__(self, tasks: asyncio.TaskGroup, token: str, welcome: Welcome, admits: Admits) -> None:
        self._tasks = tasks
        self._token = token
        self._welcome = welcome
        self._admits = admits
        self._port = 0
        self._wires: set[_Wire] = set()
        self._asking: set[web.RequestHandler] = set()  # connections that have not asked anything yet

    @property
    def agents(self) -> int:
        """How many agents are connected."""
        return len(self._wires)

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound, listening socket, which is ours to close from now on."""
        self._port = listener.getsockname()[1]
        self._server = web.Server(self._serve)
        loop = asyncio.get_running_loop()
        self._door = await loop.create_server(lambda: _Door(self, self._server, loop), sock=listener)

    async def stop(self) -> None:
        """Take no more agents, and say goodbye to those that are there (1001); who does not hear it is cut off.

        Nothing is cancelled: a message that is being handled is handled to its end.
        """
        self._door.close()
        asyncio.get_running_loop().call_later(STOP_S, self._cut_off)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(wire.goodbye() for wire in list(self._wires)))

    def _cut_off(self) -> None:
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def comes_in(self, connection: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Cut a connection off before anything is read from it, or within `FIRST_REQUEST_S` if it asks nothing."""
        client = transport.get_extra_info("peername")  # None: it is gone already
        if len(self._server.connections) > MOST_AGENTS or not client or not self._admits(client[1], self._port):
            transport.abort()
            return
        self._asking.add(connection)
        asyncio.get_running_loop().call_later(FIRST_REQUEST_S, self._lose_patience, connection)

    def goes(self, connection: web.RequestHandler) -> None:
        """Forget a connection."""
        self._asking.discard(connection)

    def _lose_patience(self, connection: web.RequestHandler) -> None:
        if connection in self._asking and connection.transport is not None:
            connection.transport.abort()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._asking.discard(request.protocol)
        headers = request.headers
        refused = refusal(
            origins=headers.getall("Origin", ()),
            hosts=headers.getall("Host", ()),
            tokens=headers.getall(AUTHORIZATION, ()),
            port=self._port,
            token=self._token,
        )
        if refused is not None:
            return _turned_away(refused.status, refused.words)
        # ``mcp`` is chosen if it is offered; some clients offer nothing, and get in without. Our wire does what waits.
        there = web.WebSocketResponse(
            protocols=("mcp",),
            compress=False,
            max_msg_size=MOST_BYTES,
            decode_text=False,
            autoping=False,
            writer_limit=sys.maxsize,
        )
        if request.method != "GET" or request.version < HttpVersion11 or not there.can_prepare(request):
            return _turned_away(HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket server, and this no upgrade")
        await there.prepare(request)
        if request.transport is not None:
            await self._converse(_Wire(there, request.transport, request.writer, self._tasks))
        return there

    async def _converse(self, wire: _Wire) -> None:
        """Serve one agent until its connection ends, however it ends."""
        self._wires.add(wire)
        try:
            guest = await self._welcome(wire)
            try:
                async for message in wire.socket:
                    if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                        await guest.take(message.data)
                    elif message.type is WSMsgType.PING:
                        await wire.pong(message.data)
            finally:
                await guest.left()
        finally:
            self._wires.discard(wire)
            wire.stop()


class _Door(web.RequestHandler):
    """The protocol of one connection: who comes in is seen to before a byte is read."""

    def __init__(self, front: WebSocketFront, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, access_log=None)  # type: ignore[arg-type]  # as `web.Server` takes it
        self._front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self._front.comes_in(self, self.transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._front.goes(self)
        super().connection_lost(exc)

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Log bugs, but not what is no HTTP: anybody can say that, and it may quote a token."""
        if not isinstance(more.get("exc_info"), HttpProcessingError):
            super().log_exception(*args, **more)


def _turned_away(status: HTTPStatus, words: str) -> web.Response:
    upgrade = {"Upgrade": "websocket"} if status is HTTPStatus.UPGRADE_REQUIRED else {}  # RFC 9110 section 15.5.22
    response = web.Response(status=status, text=words + "\n", headers=upgrade)
    response.force_close()
    return response


class _Wire:
    """The way to one agent over its WebSocket."""

    def __init__(
        self,
        there: web.WebSocketResponse[Any],
        transport: asyncio.Transport,
        writer: AbstractStreamWriter,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.socket = there
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_BYTES, LOW_BYTES)
        self._writer = writer
        self._tasks = tasks
        self._outbox = Outbox()
        self._sending: asyncio.Task[None] | None = None

    def send(self, frame: bytes, sent: Callable[[], None] | None = None) -> None:
        """Send an answer; an agent that has left too much unread is cut off instead."""
        if self._has_room:
            self._write(Parcel(frame, sent))
        else:
            self._outbox.answer(frame, sent)
            self._send_later()

    def tell(self, method: str, params: bytes) -> None:
        """Send a notification, or keep the newest for when the agent reads."""
        if self._has_room:
            self._write(Parcel(jsonrpc.notification(method, params)))
        else:
            self._outbox.tell(method, params)
            self._send_later()

    async def pong(self, data: bytes) -> None:
        """Answer a ping; who pings and does not read is not read from either."""
        with suppress(ConnectionError):  # the reader notices
            await self.socket.pong(data)
            await self._writer.drain()

    @property
    def _has_room(self) -> bool:
        """Whether a frame can be written now, without overtaking another."""
        return self._sending is None and self._transport.get_write_buffer_size() < HIGH_BYTES

    def _send_later(self) -> None:
        if self._outbox.full:
            self._transport.abort()
        elif self._sending is None:
            self._sending = self._tasks.create_task(self._empty(), name="sending to an agent")

    async def _empty(self) -> None:
        """Send what waits, at the agent's pace."""
        try:
            while self._outbox:
                await self._writer.drain()
                self._write(self._outbox.next())
        except ConnectionError:  # the reader notices
            pass
        finally:
            self._sending = None

    def _write(self, parcel: Parcel) -> None:
        if _at_once(self.socket.send_frame(parcel.frame, WSMsgType.TEXT)) and parcel.sent is not None:
            parcel.sent()

    async def goodbye(self) -> None:
        """Close from our side."""
        await self.socket.close(code=1001, message=b"the bridge stops")

    def stop(self) -> None:
        """Send nothing more."""
        if self._sending is not None:
            self._sending.cancel()


def _at_once(sending: Coroutine[Any, Any, None]) -> bool:
    """Run a coroutine that never waits, for nothing is compressed and the writer has no limit of its own.

    Gives whether it wrote: else the connection is closing, which its reader notices.
    """
    try:
        sending.send(None)
    except StopIteration:
        return True
    except ConnectionError:
        return False
    sending.close()
    raise AssertionError("writing a frame waited")
