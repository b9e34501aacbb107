"""WebSocket, the carrier of every plugin that was seen: one text frame for each message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from .listener import TOKEN_HEADER, Listener

__all__ = ["WebSocketClient", "WebSocketListener"]

POLICY_VIOLATION: Final = 1008  # RFC 6455, section 7.4.1
CLOSE_TIMEOUT_S: Final = 1.0  # a client that ignores our close frame keeps us no longer


class WebSocketClient(ServerConnection):
    """One agent's socket, as a `Client`."""

    async def deliver(self, frame: str) -> bool:
        """Send one frame; return whether it left."""
        try:
            await self.send(frame)
        except ConnectionClosed:
            return False
        return True

    async def frames(self) -> AsyncIterator[str | bytes]:
        """Give the frames that come, until the connection ends."""
        with suppress(ConnectionClosed):
            async for frame in self:
                yield frame

    async def displace(self) -> None:
        """Close without a status, so that the client sees 1005 as from the official extension."""
        await self.close(None)  # type: ignore[arg-type]  # the annotation is narrower than the protocol


@dataclass(eq=False, kw_only=True)
class WebSocketListener(Listener):
    """A WebSocket server. A bad token is told after the upgrade, as the official extension does."""

    refuses_early: bool = False  # a bad token gets a 400 instead of an upgrade

    async def start(self, port: int) -> int:
        """Listen."""
        self._ended = asyncio.Event()
        self._server: Server = await serve(
            self._serve,
            self.host,
            port,
            process_request=self._before_upgrade,
            select_subprotocol=_subprotocol,
            create_connection=WebSocketClient,
            origins=[None],
            compression=None,
            max_size=self.max_frame_bytes,
            open_timeout=self.open_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the official extension was not seen to ping
        )
        bound: int = next(iter(self._server.sockets)).getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Say 1001 to the clients."""
        self._ended.set()
        if self.silent:
            self.cut()  # it would not even say goodbye
        self._server.close()
        await self._server.wait_closed()

    def abort(self) -> None:
        """Stop without a word."""
        self._ended.set()
        self._server.close(close_connections=False)
        self.cut()

    def cut(self) -> None:
        """Cut every socket."""
        for client in self._server.connections:
            client.transport.abort()

    def fall_silent(self) -> None:
        """Neither read, write nor pong any more."""
        self.silent = True
        for client in self._server.connections:
            client.transport.pause_reading()

    async def _before_upgrade(self, client: ServerConnection, request: Request) -> Response | None:
        if self.silent:
            await self._ended.wait()
            client.transport.abort()  # so that not even this leaves
            return client.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        if self.refuses_early and not self.authorises(request.headers.get_all(TOKEN_HEADER)):
            return client.respond(HTTPStatus.BAD_REQUEST, "Unauthorized\n")
        return None

    async def _serve(self, client: ServerConnection) -> None:
        assert isinstance(client, WebSocketClient)  # see `create_connection`
        assert client.request is not None  # it is set before the upgrade
        self.connections += 1
        if self.authorises(client.request.headers.get_all(TOKEN_HEADER)):
            await self.serve(client)
        else:
            await client.close(POLICY_VIOLATION, "Unauthorized")


def _subprotocol(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose ``mcp`` if it is offered, and do without if not."""
    return Subprotocol("mcp") if "mcp" in offered else None
