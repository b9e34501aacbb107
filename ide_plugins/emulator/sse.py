"""MCP's HTTP+SSE transport (2024-11-05): what comes is posted, what goes is an event of one endless answer.

``GET /sse`` opens the stream, whose first event names the address to post to; a ``POST`` there is answered by an
empty 202, and everything else goes on the stream. No plugin of this family was seen to serve it. Source: MCP's
specification of that version; the limits and statuses are those of its Python SDK.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from sse_starlette import EventSourceResponse
from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .listener import KEEP_ALIVE_S, TOKEN_HEADER, Client
from .web import WebListener, is_json

__all__ = ["SseClient", "SseListener"]

STREAM_PATH: Final = "/sse"
POST_PATH: Final = "/message"
SESSION_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class SseClient:
    """One stream, and what its agent posts."""

    def __init__(self) -> None:
        self.session_id = uuid.uuid4().hex
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue()  # None: no more
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ended = asyncio.Event()

    async def deliver(self, frame: str) -> bool:
        """Let one message be the stream's next event; return whether there is a stream."""
        if self._ended.is_set():
            return False
        self._outgoing.put_nowait(frame)
        return True

    async def take(self, body: bytes) -> None:
        """Let one message be the next of `frames`."""
        self._incoming.put_nowait(body)

    async def frames(self) -> AsyncIterator[bytes]:
        """Give what is posted, until the stream ends."""
        while (body := await self._incoming.get()) is not None:
            yield body

    async def events(self, address: str) -> AsyncIterator[Mapping[str, str]]:
        """Give the stream's events, of which the first says where to post."""
        yield {"event": "endpoint", "data": address}
        while (frame := await self._outgoing.get()) is not None:
            yield {"event": "message", "data": frame}

    async def close(self, code: int = 1000) -> None:
        """End the stream after what is still on its way; HTTP has no words for why."""
        self._outgoing.put_nowait(None)

    async def displace(self) -> None:
        """End the stream."""
        await self.close()

    async def wait_closed(self) -> None:
        """Return when the stream has ended."""
        await self._ended.wait()

    def ended(self) -> None:
        """Take note that the stream has ended."""
        self._ended.set()
        self._incoming.put_nowait(None)


@dataclass(eq=False, kw_only=True)
class SseListener(WebListener):
    """An HTTP server; every GET and every POST must show the token."""

    keep_alive_s: float = KEEP_ALIVE_S  # between comments
    origin: str = ""  # before the address to post to; "" is ours, and all that a client shall follow
    _sessions: dict[str, SseClient] = field(init=False, repr=False, default_factory=dict)

    def routes(self) -> Sequence[Route]:
        """Open a stream, and post to it."""
        return [Route(STREAM_PATH, self._open, methods=["GET"]), Route(POST_PATH, self._post, methods=["POST"])]

    def sessions(self) -> Iterable[Client]:
        """Give who has a stream."""
        return self._sessions.values()

    def refusal(self, method: str, headers: Headers) -> HTTPStatus | None:
        """Refuse browsers, other names of ours, methods that are none, and who lacks the token."""
        hosts = headers.getlist("host")
        ours = {f"{host}:{self.bound_port}" for host in ("127.0.0.1", "localhost", "[::1]", self.host)}
        if len(hosts) != 1 or hosts[0].lower() not in ours:
            return HTTPStatus.MISDIRECTED_REQUEST  # a name that somebody made resolve to us
        if "origin" in headers:
            return HTTPStatus.FORBIDDEN
        if method not in ("GET", "POST"):
            return HTTPStatus.METHOD_NOT_ALLOWED  # a HEAD would be a GET to the routes
        if not self.authorises(headers.getlist(TOKEN_HEADER)):
            return HTTPStatus.UNAUTHORIZED
        return None

    async def _open(self, _: Request) -> Any:
        self.connections += 1
        return partial(self._stream, SseClient())

    async def _stream(self, client: SseClient, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a client while its stream is open."""
        self._sessions[client.session_id] = client
        address = f"{self.origin}{POST_PATH}?session_id={client.session_id}"
        stream = EventSourceResponse(client.events(address), ping=self.keep_alive_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.serve(client))
            try:
                await stream(scope, receive, send)
            finally:
                del self._sessions[client.session_id]
                client.ended()

    async def _post(self, request: Request) -> Response:
        ids = request.query_params.getlist("session_id")
        if len(ids) != 1 or not SESSION_ID.fullmatch(ids[0]):
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        client = self._sessions.get(ids[0])
        if client is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        if not is_json(request):
            return Response(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        body = await self.body(request)
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        # In the background: a message may end us, and the 202 shall have left before.
        return Response(status_code=HTTPStatus.ACCEPTED, background=BackgroundTask(client.take, body))
