"""Letting clients in: a WebSocket server on the loopback, the token, and who has a place.

The official extension has one place, and a newcomer throws the old client out (observed). Two rules are ours
and meant to be copied: nothing with an ``Origin`` gets in, since browsers always send one and agents never do;
and the token is compared in constant time.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

__all__ = ["MAX_FRAME_BYTES", "OPEN_TIMEOUT_S", "Client", "Listener"]

Client = ServerConnection

TOKEN_HEADER: Final = "X-Claude-Code-Ide-Authorization"
POLICY_VIOLATION: Final = 1008  # RFC 6455, section 7.4.1
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024  # openDiff carries whole files
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0  # a client that ignores our close frame keeps us no longer


@dataclass(eq=False, kw_only=True)
class Listener:
    """The server and its clients. `receive` gets every frame, `welcome` runs when a client has its place."""

    token: str | None = field(repr=False)  # None: everybody gets in
    several: bool  # False: a newcomer displaces
    host: str = "127.0.0.1"  # the official extension listens nowhere else (observed)
    receive: Callable[[Client, str | bytes], Awaitable[None]] = field(repr=False)
    welcome: Callable[[], Awaitable[None]] = field(repr=False)
    happened: Callable[[str], None] = field(repr=False)
    silent: bool = False  # from the start on, see `fall_silent`
    open_timeout_s: float | None = OPEN_TIMEOUT_S  # a caller that is not through its upgrade by then is cut off
    clients: list[Client] = field(init=False, repr=False, default_factory=list)  # oldest first
    connections: int = field(init=False, default=0)
    unauthorised: int = field(init=False, default=0)

    async def start(self, port: int) -> int:
        """Listen on `port` (0: any) of `host` and return which it is; raises `OSError` if it is taken."""
        self._ended = asyncio.Event()
        self._server: Server = await serve(
            self._serve,
            self.host,
            port,
            process_request=self._before_upgrade,
            select_subprotocol=_subprotocol,
            origins=[None],
            compression=None,
            max_size=MAX_FRAME_BYTES,
            open_timeout=self.open_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the official extension was not seen to ping
        )
        bound: int = next(iter(self._server.sockets)).getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Tell the clients that we go (1001), and return when they are gone."""
        self._ended.set()
        if self.silent:
            self.cut()  # it would not even say goodbye
        self._server.close()
        await self._server.wait_closed()

    def abort(self) -> None:
        """Stop without a word to anybody; `stop` is still needed to wait for the end."""
        self._ended.set()
        self._server.close(close_connections=False)
        self.cut()

    def cut(self) -> None:
        """Cut every connection without a closing handshake."""
        for client in self._server.connections:
            client.transport.abort()

    def fall_silent(self) -> None:
        """Do nothing any more, as a stopped process: only the system still takes connections and data."""
        self.silent = True
        for client in self.clients:
            client.transport.pause_reading()

    async def send(self, client: Client, frame: str) -> bool:
        """Send one frame; return whether it left. That a client is gone is its reader's business."""
        if self.silent:
            return False
        try:
            await client.send(frame)
        except ConnectionClosed:
            return False
        return True

    async def _before_upgrade(self, client: Client, _: Request) -> Response | None:
        if not self.silent:
            return None
        await self._ended.wait()
        client.transport.abort()  # so that not even this leaves
        return client.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")

    async def _serve(self, client: Client) -> None:
        """Serve one client until its connection ends, however it ends."""
        self.connections += 1
        if not self._authorised(client):
            self.unauthorised += 1
            self.happened("unauthorised")
            await client.close(POLICY_VIOLATION, "Unauthorized")  # after the upgrade, as the official one
            return
        async with asyncio.TaskGroup() as tasks:
            for old in self._enter(client):
                tasks.create_task(_displace(old))  # may take a while; the newcomer need not wait
            try:
                await self.welcome()
                await self._listen(client)
            finally:
                self._leave(client)

    def _authorised(self, client: Client) -> bool:
        if self.token is None:
            return True
        assert client.request is not None  # it is set before the upgrade
        given = ",".join(client.request.headers.get_all(TOKEN_HEADER))  # a repeated header fits nothing
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self.token.encode())

    def _enter(self, client: Client) -> Sequence[Client]:
        """Give `client` a place; return whom it displaces."""
        displaced = [] if self.several else self.clients.copy()
        for old in displaced:
            self.clients.remove(old)
        self.clients.append(client)
        self.happened("connected")
        return displaced

    async def _listen(self, client: Client) -> None:
        with suppress(ConnectionClosed):
            async for frame in client:
                if client not in self.clients:
                    return
                await self.receive(client, frame)
                if self.silent:
                    await client.wait_closed()  # what has arrived already stays unread too

    def _leave(self, client: Client) -> None:
        if client in self.clients:  # a displaced one is out already
            self.clients.remove(client)
        self.happened("disconnected")


def _subprotocol(_: Client, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose ``mcp`` if it is offered, and do without if not."""
    return Subprotocol("mcp") if "mcp" in offered else None


async def _displace(client: Client) -> None:
    """Close without a status, so that the client sees 1005 as from the official extension."""
    await client.close(None)  # type: ignore[arg-type]  # the annotation is narrower than the protocol
