"""The bridge as an IDE over SSE: MCP's HTTP+SSE transport (2024-11-05) for agents whose lock file says ``sse``.

``GET /sse`` opens the stream, whose first event names the address to post to; a ``POST`` there is answered by an empty
202, and everything that the bridge says is an event of the stream. Comments keep the stream alive while nobody says
anything. Source: docs/protocol.md "SSE shape".
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bridge.agents.gate import Guest, Welcome, refusal
from bridge.core import jsonrpc
from bridge.core.official import AUTHORIZATION, MOST_BYTES
from bridge.core.outbox import Outbox
from bridge.web import Admits, Server

__all__ = ["EventStreamFront"]

KEEP_ALIVE_S: Final = 15.0  # between comments
BODY_S: Final = 30.0  # for a message to arrive whole
CONNECTIONS: Final = 4000  # an agent has two: its stream, and what it posts
SESSION_ID: Final = "session_id"


class EventStreamFront:
    """Serves agents at one port; see `WebSocketFront` for the arguments."""

    transport = "sse"

    def __init__(self, tasks: asyncio.TaskGroup, token: str, welcome: Welcome, admits: Admits) -> None:
        del tasks  # the server's connections are its own
        self._token = token
        self._welcome = welcome
        self._port = 0
        self._sessions: dict[str, _Session] = {}
        routes = [Route("/sse", _Stream(self)), Route("/message", self._post, methods=["POST"])]
        self._app = Starlette(routes=routes)
        self._server = Server(self._answer, admits, CONNECTIONS)

    @property
    def agents(self) -> int:
        """How many agents are connected."""
        return len(self._sessions)

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound, listening socket."""
        self._port = listener.getsockname()[1]
        await self._server.open(listener)

    async def stop(self) -> None:
        """End the streams, and return when the port is free."""
        for session in self._sessions.values():
            session.wire.close()
        await self._server.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refused = refusal(
            origins=headers.getlist("origin"),
            hosts=headers.getlist("host"),
            tokens=headers.getlist(AUTHORIZATION),
            port=self._port,
            token=self._token,
        )
        app = self._app if refused is None else PlainTextResponse(refused.words + "\n", refused.status)
        await app(scope, receive, send)

    async def converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one agent while its stream is open."""
        wire = _Wire(partial(self._server.cut_off, scope["client"]))
        guest = await self._welcome(wire)
        name = secrets.token_hex(16)
        self._sessions[name] = _Session(wire, guest)
        try:
            stream = _Events(wire.events(f"/message?{SESSION_ID}={name}"), ping=KEEP_ALIVE_S)
            await stream(scope, receive, send)
        finally:
            del self._sessions[name]
            wire.close()
            await guest.left()

    async def _post(self, request: Request) -> Response:
        names = request.query_params.getlist(SESSION_ID)
        if len(names) != 1 or not names[0]:
            return _refused(HTTPStatus.BAD_REQUEST, f"{SESSION_ID} is missing: post to the stream's endpoint")
        session = self._sessions.get(names[0])
        if session is None:
            return _refused(HTTPStatus.NOT_FOUND, "no such session: its stream has ended")
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            return _refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except TimeoutError:
            return _refused(HTTPStatus.REQUEST_TIMEOUT, "the message never came whole")
        if body is None:
            return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_BYTES} bytes")
        try:
            jsonrpc.decode(body)
        except ValueError:
            return _refused(HTTPStatus.BAD_REQUEST, "not a JSON-RPC message")
        async with session.turn:  # posts may come on several connections
            if names[0] not in self._sessions:
                return _refused(HTTPStatus.NOT_FOUND, "the session's stream has ended")
            await session.guest.take(body)
        return Response(status_code=HTTPStatus.ACCEPTED)


class _Stream:
    """The route of the streams: an ASGI application, for it serves as long as the agent stays."""

    def __init__(self, front: EventStreamFront) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            refused = _refused(HTTPStatus.METHOD_NOT_ALLOWED, "open the stream by GET", {"Allow": "GET"})
            await refused(scope, receive, send)
            return
        await self._front.converse(scope, receive, send)


class _Events(EventSourceResponse):
    """An event stream that ends when we end it."""

    @staticmethod
    async def _listen_for_exit_signal() -> None:
        """Wait for nothing: the library would wake twice a second, for ever, to see whether its server stops."""
        await asyncio.Event().wait()


class _Session:
    def __init__(self, wire: _Wire, guest: Guest) -> None:
        self.wire = wire
        self.guest = guest
        self.turn = asyncio.Lock()


class _Wire:
    """The way to one agent over its event stream; `cut_off` ends the connection that it is on."""

    def __init__(self, cut_off: Callable[[], None]) -> None:
        self._cut_off = cut_off
        self._outbox = Outbox()
        self._news = asyncio.Event()
        self._closed = False

    def send(self, frame: bytes, sent: Callable[[], None] | None = None) -> None:
        """Send an answer; the stream of an agent that has left too much unread ends instead."""
        if not self._closed:
            self._outbox.answer(frame, sent)
            self._wake()

    def tell(self, method: str, params: bytes) -> None:
        """Send a notification, or keep the newest for when the agent reads."""
        if not self._closed:
            self._outbox.tell(method, params)
            self._wake()

    def close(self) -> None:
        """End the stream."""
        self._closed = True
        self._news.set()

    def _wake(self) -> None:
        if self._outbox.full:  # it does not read: the end of the stream would not reach it either
            self.close()
            self._cut_off()
        self._news.set()

    async def events(self, address: str) -> AsyncIterator[Mapping[str, str]]:
        """Give the stream's events, of which the first says where to post."""
        yield {"event": "endpoint", "data": address}
        while not self._closed:
            while self._outbox and not self._closed:
                frame, sent = self._outbox.next()
                yield {"event": "message", "data": frame.decode()}
                if sent is not None:
                    sent()
            self._news.clear()
            if not self._outbox and not self._closed:
                await self._news.wait()


async def _body(request: Request) -> bytes | None:
    """Read what is posted; None is too much, or broke off."""
    if int(request.headers.get("content-length", "0")) > MOST_BYTES:
        return None
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)


def _refused(status: HTTPStatus, words: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(words + "\n", status, headers)
