"""Letting clients in: the token, who has a place, and what is the same whatever carries the messages.

The official extension has one place, and a newcomer throws the old client out (observed). Two rules are ours
and meant to be copied: nothing with an ``Origin`` gets in, since browsers always send one and agents never do;
and the token is compared in constant time. `websocket` and `sse` are the two carriers.
"""

from __future__ import annotations

import asyncio
import hmac
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

__all__ = [
    "KEEP_ALIVE_S",
    "MAX_FRAME_BYTES",
    "OPEN_TIMEOUT_S",
    "TOKEN_HEADER",
    "Client",
    "Endpoint",
    "Listener",
    "Newcomer",
]

Newcomer = Literal["displaces", "joins", "usurps"]  # who usurps lets the old client wait for ever

TOKEN_HEADER: Final = "X-Claude-Code-Ide-Authorization"
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024  # openDiff carries whole files
OPEN_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 15.0  # agents in Python give a stream up that says nothing for 300 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How a server of streamable HTTP is spoken to."""

    path: str = "/mcp"
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")  # what it may be called, with its port
    answers: Literal["events", "json"] = "events"  # what a request gets: a stream of one event, or plain JSON


class Client(Protocol):
    """One agent's connection, whatever carries it."""

    async def deliver(self, frame: str) -> bool:
        """Send one message; return whether it left. That a client is gone is its reader's business."""

    def frames(self) -> AsyncIterator[str | bytes]:
        """Give what the agent sends, until the connection ends, however it ends."""

    async def close(self, code: int = 1000) -> None:
        """End the connection, on a WebSocket with `code`."""

    async def displace(self) -> None:
        """Throw the client out, because a newcomer takes its place."""

    async def wait_closed(self) -> None:
        """Return when the connection has ended."""


@dataclass(eq=False, kw_only=True)
class Listener(ABC):
    """The server and its clients. `receive` gets every message, `welcome` runs when a client has its place."""

    token: str | None = field(repr=False)  # None: everybody gets in
    newcomer: Newcomer = "displaces"  # what a new client does to the old one
    host: str = "127.0.0.1"  # the official extension listens nowhere else (observed)
    receive: Callable[[Client, str | bytes], Awaitable[None]] = field(repr=False)
    welcome: Callable[[], Awaitable[None]] = field(repr=False)
    left: Callable[[Client], None] = field(repr=False)
    happened: Callable[[str], None] = field(repr=False)
    silent: bool = False  # from the start on, see `fall_silent`
    open_timeout_s: float | None = OPEN_TIMEOUT_S  # a caller that is not through its upgrade by then is cut off
    max_frame_bytes: int = MAX_FRAME_BYTES
    clients: list[Client] = field(init=False, repr=False, default_factory=list)  # oldest first
    connections: int = field(init=False, default=0)
    unauthorised: int = field(init=False, default=0)

    @abstractmethod
    async def start(self, port: int) -> int:
        """Listen on `port` (0: any) of `host` and return which it is; raises `OSError` if it is taken."""

    @abstractmethod
    async def stop(self) -> None:
        """Tell the clients that we go, and return when they are gone."""

    @abstractmethod
    def abort(self) -> None:
        """Stop without a word to anybody; `stop` is still needed to wait for the end."""

    @abstractmethod
    def cut(self) -> None:
        """Cut every connection without a closing handshake."""

    @abstractmethod
    def fall_silent(self) -> None:
        """Do nothing any more, as a stopped process: only the system still takes connections and data."""

    async def send(self, client: Client, frame: str) -> bool:
        """Send one message; return whether it left."""
        return not self.silent and await client.deliver(frame)

    def authorises(self, tokens: Sequence[str]) -> bool:
        """Hold the token's headers against the token, and count who is refused."""
        given = ",".join(tokens)  # a repeated header fits nothing
        if self.token is None or hmac.compare_digest(given.encode(errors="surrogateescape"), self.token.encode()):
            return True
        self.unauthorised += 1
        self.happened("unauthorised")
        return False

    async def serve(self, client: Client) -> None:
        """Serve one client until its connection ends, however it ends."""
        async with asyncio.TaskGroup() as tasks:
            for old in self._enter(client):
                if self.newcomer == "displaces":
                    tasks.create_task(old.displace())  # may take a while; the newcomer need not wait
            try:
                await self.welcome()
                await self._listen(client)
            finally:
                self._leave(client)

    def _enter(self, client: Client) -> Sequence[Client]:
        """Give `client` a place; return who loses one."""
        losers = [] if self.newcomer == "joins" else self.clients.copy()
        for old in losers:
            self.clients.remove(old)
        self.clients.append(client)
        self.happened("connected")
        return losers

    async def _listen(self, client: Client) -> None:
        async for frame in client.frames():
            if client in self.clients:  # else it lost its place: nobody hears it
                await self.receive(client, frame)
            if self.silent:
                await client.wait_closed()  # what has arrived already stays unread too

    def _leave(self, client: Client) -> None:
        if client in self.clients:  # one that lost its place is out already
            self.clients.remove(client)
        self.left(client)
        self.happened("disconnected")
