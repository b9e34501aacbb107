"""An HTTP server as a listener: what the two carriers over HTTP (`sse`, `http`) share."""

from __future__ import annotations

import asyncio
import socket
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .listener import Client, Listener

__all__ = ["WebListener", "is_json"]

STOP_S: Final = 1  # a client that does not read to the end keeps us no longer


@dataclass(eq=False, kw_only=True)
class WebListener(Listener):
    """An HTTP server. Its heirs say who is refused, what is routed where, and who has a session."""

    async def start(self, port: int) -> int:
        """Listen."""
        self._ended = asyncio.Event()
        listening = socket.create_server((self.host, port))
        port = listening.getsockname()[1]
        self.bound_port = port
        self._app = Starlette(routes=self.routes())
        # `Server.serve` would also take the signals and tick ten times a second.
        self._server = uvicorn.Server(_configure(self._answer))
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup([listening])
        return port

    async def stop(self) -> None:
        """End the sessions."""
        if self.silent:
            self.cut()  # it would not even say goodbye
        self._ended.set()
        for client in self.sessions():
            await client.close()
        await self._server.shutdown()
        self.cut()  # whoever did not read to the end

    def abort(self) -> None:
        """Stop without a word."""
        for server in self._server.servers:
            server.close()
        self.cut()
        self._ended.set()

    def cut(self) -> None:
        """Cut every connection."""
        for transport in self._transports():
            transport.abort()

    def fall_silent(self) -> None:
        """Neither read nor write any more."""
        self.silent = True
        for transport in self._transports():
            transport.pause_reading()

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Say what is answered where."""

    @abstractmethod
    def refusal(self, method: str, headers: Headers) -> HTTPStatus | None:
        """Tell why a caller does not even come to the routes."""

    @abstractmethod
    def sessions(self) -> Iterable[Client]:
        """Give who has a session, those that lost their place included."""

    async def body(self, request: Request) -> bytes | None:
        """Read what is posted; None is too much, or never came whole."""
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > self.max_frame_bytes:
                    return None
        except ClientDisconnect:
            return None
        return bytes(body)

    def _transports(self) -> Sequence[asyncio.Transport]:
        connections = self._server.server_state.connections
        return [connection.transport for connection in connections if isinstance(connection, H11Protocol)]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless we are silent."""

        async def send_unless_silent(message: Message) -> None:
            if self.silent:
                await self._ended.wait()  # the connection is cut by then
            await send(message)

        if self.silent:
            await self._ended.wait()
            return
        status = self.refusal(scope["method"], Headers(scope=scope))
        app = self._app if status is None else Response(status_code=status)
        await app(scope, receive, send_unless_silent)


def is_json(request: Request) -> bool:
    """Whether what is posted says that it is JSON."""
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    return kind.strip().lower() == "application/json"


def _configure(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=H11Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # a client that we cut would make it complain
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
    )
