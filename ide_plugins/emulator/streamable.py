"""MCP's streamable HTTP (2025-03-26 to 2025-11-25), as the companions of Gemini CLI and Qwen Code serve it.

One address. ``POST`` of ``initialize`` begins a session, whose id every later request shows; a request is answered by
what its POST gets, everything else goes on the stream of ``GET``, if one is open, and is lost if not. A session
outlives its streams. Source: docs/protocol.md, "The companions of Gemini CLI and Qwen Code".
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import rpc
from .listener import Client, Endpoint
from .web import WebListener, is_json

__all__ = ["Session", "StreamableListener"]

SESSION_HEADER: Final = "mcp-session-id"
EVENTS: Final = "text/event-stream"
NO_SESSION: Final = {"code": -32000, "message": "Bad Request: No valid session ID provided for non-initialize request."}
PING: Final = json.dumps({"jsonrpc": "2.0", "method": "ping"}, separators=(",", ":"))  # without an id: no request
QUIET_S: Final = 3600.0  # between comments on the stream of one answer: the companions send none


class Session:
    """One agent, over as many connections as it likes."""

    def __init__(self) -> None:
        self.session_id = str(uuid.uuid4())
        self.streams = False  # whether the agent hears what is pushed
        self._pushed: asyncio.Queue[str | None] = asyncio.Queue()  # None: no more
        self._answers: dict[rpc.RequestId, asyncio.Future[str | None]] = {}
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ended = asyncio.Event()

    async def deliver(self, frame: str) -> bool:
        """Send an answer to who asked, and everything else on the stream; return whether somebody was there."""
        id_ = rpc.answered(frame)
        if id_ is not None:
            answer = self._answers.pop(id_, None)
            if answer is not None:
                answer.set_result(frame)
            return answer is not None
        if self.streams:
            self._pushed.put_nowait(frame)
        return self.streams

    async def ask(self, id_: rpc.RequestId, body: bytes) -> str | None:
        """Take the request `id_` and wait for its answer; None: the session ended before."""
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answers[id_] = answer
        await self.take(body)
        try:
            return await answer
        finally:
            if self._answers.get(id_) is answer:
                del self._answers[id_]  # who asked is gone

    async def take(self, body: bytes) -> None:
        """Let one message be the next of `frames`."""
        self._incoming.put_nowait(body)

    async def frames(self) -> AsyncIterator[bytes]:
        """Give what is posted, until the session ends."""
        while (body := await self._incoming.get()) is not None:
            yield body

    async def pushes(self, attends: Callable[[], Awaitable[None]]) -> AsyncIterator[Mapping[str, str]]:
        """Give the stream's events from now on; `attends` runs first, and may push."""
        self.streams = True
        try:
            await attends()
            while (frame := await self._pushed.get()) is not None:
                yield {"event": "message", "data": frame}
        finally:
            self.streams = False
            self._pushed = asyncio.Queue()  # what was not heard is lost

    def end(self) -> None:
        """End the session, after what is still on its way."""
        if not self._ended.is_set():
            self._ended.set()
            self._pushed.put_nowait(None)
            self._incoming.put_nowait(None)
            for answer in self._answers.values():
                answer.set_result(None)
            self._answers.clear()

    async def close(self, code: int = 1000) -> None:
        """End the session; HTTP has no words for why."""
        self.end()

    async def displace(self) -> None:
        """End the session."""
        self.end()

    async def wait_closed(self) -> None:
        """Return when the session has ended."""
        await self._ended.wait()


@dataclass(eq=False, kw_only=True)
class StreamableListener(WebListener):
    """An HTTP server with one address; every request must show the token (``Authorization: Bearer``)."""

    endpoint: Endpoint
    attends: Callable[[Client], Awaitable[None]] = field(repr=False)  # runs whenever a client opens its stream
    keep_alive_s: float  # between JSON-RPC pings on an open stream
    _sessions: dict[str, Session] = field(init=False, repr=False, default_factory=dict)
    _lives: set[asyncio.Task[None]] = field(init=False, repr=False, default_factory=set)

    def routes(self) -> Sequence[Route]:
        """Post to the one address, and open a stream there."""
        path = self.endpoint.path
        return [Route(path, self._post, methods=["POST"]), Route(path, self._open, methods=["GET"])]

    def sessions(self) -> Iterable[Client]:
        """Give who has a session."""
        return list(self._sessions.values())

    def refusal(self, method: str, headers: Headers) -> HTTPStatus | None:
        """Refuse browsers, other names of ours, who lacks the token, and methods that have no route."""
        ours = {f"{host}:{self.bound_port}" for host in self.endpoint.hosts}
        if "origin" in headers or headers.getlist("host")[0] not in ours:
            return HTTPStatus.FORBIDDEN
        if not self.authorises([_bearer(value) for value in headers.getlist("authorization")]):
            return HTTPStatus.UNAUTHORIZED
        if method not in ("GET", "POST"):
            return HTTPStatus.NOT_FOUND  # a DELETE too: sessions are not ended by their agents
        return None

    def cut(self) -> None:
        """Cut every connection, and forget the sessions: whoever comes again begins anew."""
        super().cut()
        for session in self._sessions.values():
            session.end()

    async def stop(self) -> None:
        """End the sessions."""
        await super().stop()
        await asyncio.gather(*self._lives)

    async def _post(self, request: Request) -> Response:
        accepted = request.headers.get("accept", "")
        if EVENTS not in accepted or "application/json" not in accepted:
            return Response(status_code=HTTPStatus.NOT_ACCEPTABLE)
        if not is_json(request):
            return Response(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        body = await self.body(request)
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        asked = rpc.parse(body)
        session = self._known(request)
        if session is None and SESSION_HEADER not in request.headers and asked and asked.method == "initialize":
            session = self._begin()
        if session is None:
            refused = {"jsonrpc": "2.0", "error": NO_SESSION, "id": None}
            return JSONResponse(refused, HTTPStatus.BAD_REQUEST)
        if asked is None:
            # In the background: a message may end us, and the 202 shall have left before.
            return Response(status_code=HTTPStatus.ACCEPTED, background=BackgroundTask(session.take, body))
        return await self._answered(session, asked.id, body)

    async def _answered(self, session: Session, id_: rpc.RequestId, body: bytes) -> Response:
        headers = {SESSION_HEADER: session.session_id}
        if self.endpoint.answers == "json":
            answer = await session.ask(id_, body)
            return Response(answer, headers=headers, media_type="application/json")

        async def events() -> AsyncIterator[Mapping[str, str]]:
            answer = await session.ask(id_, body)
            if answer is not None:
                yield {"event": "message", "data": answer}

        return EventSourceResponse(events(), headers=headers, ping=QUIET_S)

    async def _open(self, request: Request) -> Response:
        session = self._known(request)
        if session is None:
            return Response("Invalid or missing session ID", HTTPStatus.BAD_REQUEST)
        if EVENTS not in request.headers.get("accept", ""):
            return Response(status_code=HTTPStatus.NOT_ACCEPTABLE)
        if session.streams:
            return Response(status_code=HTTPStatus.CONFLICT)
        return EventSourceResponse(
            session.pushes(partial(self.attends, session)),
            headers={SESSION_HEADER: session.session_id},
            ping=self.keep_alive_s,
            ping_message_factory=lambda: ServerSentEvent(PING, event="message"),
        )

    def _known(self, request: Request) -> Session | None:
        return self._sessions.get(request.headers.get(SESSION_HEADER, ""))

    def _begin(self) -> Session:
        session = Session()
        self._sessions[session.session_id] = session
        self.connections += 1
        life = asyncio.get_running_loop().create_task(self._live(session))  # `stop` waits for it
        self._lives.add(life)
        return session

    async def _live(self, session: Session) -> None:
        """Serve a session until it ends."""
        try:
            await self.serve(session)
        finally:
            del self._sessions[session.session_id]
            session.end()


def _bearer(value: str) -> str:
    """Give the token of an ``Authorization`` header; what is none fits no token."""
    words = value.split(" ")
    return words[1] if len(words) == 2 and words[0] == "Bearer" else ""
