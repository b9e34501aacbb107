"""The bridge as an IDE over WebSocket: the server that unmodified agents connect to.

On aiohttp, whose framing is in C: with `websockets` the same hop costs nearly twice as much (docs/decisions.md).

Sending never waits. What fits into the socket's buffer is written at once; what does not goes to an outbox that a
task of the agent's own empties, so that an agent that does not read stalls nobody and costs a bounded amount.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from aiohttp import WSMsgType, web
from aiohttp.client_exceptions import ClientConnectionResetError

from bridge.agents.gate import AUTHORIZATION, MOST_BYTES, Welcome, refusal
from bridge.core import jsonrpc
from bridge.core.outbox import Outbox
from bridge.web import FIRST_REQUEST_S, Admits

__all__ = ["WebSocketFront"]

# A transport makes writers wait from `HIGH_BYTES` in its buffer on, until no more than `LOW_BYTES` are left.
HIGH_BYTES: Final = 64 * 1024
LOW_BYTES: Final = 16 * 1024
HEADER_BYTES: Final = 14
MOST_AGENTS: Final = 2000  # at one front
BACKLOG_PAUSE_S: Final = 0.1  # after accepting failed for want of files
STOP_S: Final = 1.0  # for agents to answer our goodbye


class WebSocketFront:
    """Serves agents at one port.

    Args:
        tasks: where the connections' tasks live.
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
        self._asking: set[asyncio.Transport] = set()  # connections that have not asked anything yet

    @property
    def agents(self) -> int:
        """How many agents are connected."""
        return len(self._wires)

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound, listening socket."""
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._server = web.Server(self._serve, access_log=None)
        self._accepting = self._tasks.create_task(self._accept(), name=f"front on port {self._port}")

    async def stop(self) -> None:
        """Take no more agents, say goodbye to those that are there (1001), and return when the port is free."""
        self._accepting.cancel()
        self._listener.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(wire.goodbye() for wire in list(self._wires)))
        await self._server.shutdown(0)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, (_, port) = await loop.sock_accept(self._listener)
            except OSError:  # the client is gone already, or files ran out
                await asyncio.sleep(BACKLOG_PAUSE_S)
                continue
            if len(self._wires) + len(self._asking) >= MOST_AGENTS or not self._admits(port, self._port):
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, _ = await loop.connect_accepted_socket(self._server, connection)
            self._asking.add(transport)
            loop.call_later(FIRST_REQUEST_S, self._lose_patience, transport)

    def _lose_patience(self, transport: asyncio.Transport) -> None:
        if transport in self._asking:
            self._asking.discard(transport)
            transport.abort()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            self._asking.discard(request.transport)
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
        # ``mcp`` is chosen if it is offered; some clients offer nothing, and get in without.
        there = web.WebSocketResponse(protocols=("mcp",), compress=False, max_msg_size=MOST_BYTES, decode_text=False)
        if not there.can_prepare(request):
            return _turned_away(426, "this is a WebSocket server: see the lock file's transport")
        await there.prepare(request)
        assert request.transport is not None
        await self._converse(_Wire(there, request.transport, self._tasks))
        return there

    async def _converse(self, wire: _Wire) -> None:
        """Serve one agent until its connection ends, however it ends."""
        self._wires.add(wire)
        guest = await self._welcome(wire)
        try:
            async for message in wire.socket:
                if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                    await guest.take(message.data)
        finally:
            self._wires.discard(wire)
            wire.stop()
            await guest.left()


def _turned_away(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=words + "\n", headers={"Connection": "close"})


class _Wire:
    """The way to one agent over its WebSocket."""

    def __init__(self, there: web.WebSocketResponse, transport: asyncio.Transport, tasks: asyncio.TaskGroup) -> None:
        self.socket = there
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_BYTES, LOW_BYTES)
        self._tasks = tasks
        self._outbox = Outbox()
        self._sending: asyncio.Task[None] | None = None

    def send(self, frame: bytes) -> None:
        """Send an answer; an agent that has left too much unread is cut off instead."""
        if self._fits(frame):
            _at_once(self.socket.send_frame(frame, WSMsgType.TEXT))
        else:
            self._outbox.answer(frame)
            self._send_later()

    def tell(self, method: str, params: bytes) -> None:
        """Send a notification, or keep the newest for when the agent reads."""
        frame = jsonrpc.notification(method, params)
        if self._fits(frame):
            _at_once(self.socket.send_frame(frame, WSMsgType.TEXT))
        else:
            self._outbox.tell(method, params)
            self._send_later()

    def _fits(self, frame: bytes) -> bool:
        """Tell whether a frame can be written without waiting, and without overtaking another."""
        if self._sending is not None:
            return False
        waiting = self._transport.get_write_buffer_size()
        return waiting <= LOW_BYTES and waiting + len(frame) + HEADER_BYTES < HIGH_BYTES

    def _send_later(self) -> None:
        if self._outbox.full:
            self._transport.abort()
        elif self._sending is None:
            self._sending = self._tasks.create_task(self._empty(), name="sending to an agent")

    async def _empty(self) -> None:
        """Send what waits, at the agent's pace."""
        with suppress(ClientConnectionResetError, ConnectionError):  # its reader notices
            while self._outbox:
                await self.socket.send_frame(self._outbox.next(), WSMsgType.TEXT)
        self._sending = None

    async def goodbye(self) -> None:
        """Close from our side."""
        await self.socket.close(code=1001, message=b"the bridge stops")

    def stop(self) -> None:
        """Send nothing more."""
        if self._sending is not None:
            self._sending.cancel()


def _at_once(sending: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that has nothing to wait for: the socket's buffer has room."""
    try:
        sending.send(None)
    except (StopIteration, ClientConnectionResetError):  # the latter: it is closing, and its reader notices
        return
    sending.close()
    raise AssertionError("writing to a buffer with room waited")
