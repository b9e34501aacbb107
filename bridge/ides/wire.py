"""A wire: what carries the frames of one link, whatever its transport (`bridge.ides.websocket`, `sse`, `streamable`).

A wire is opened over TCP connections that somebody else has made and judged (`Connect`): none dials by itself, so no
token goes to one who was not looked at. It knows what its own transport says of an end; what an end means is for
`bridge.ides.sockets` to conclude.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from bridge.core.events import LinkState
from bridge.core.lockfile import Family, LockFile
from bridge.core.official import AUTHORIZATION, MOST_BYTES

__all__ = [
    "PATIENCE_S",
    "WAITING_MOST",
    "Connect",
    "LinkFailed",
    "Take",
    "Wire",
    "WireEnded",
    "broken_off",
    "is_set_within",
    "silent_for",
    "token_of",
    "too_slow",
]

PATIENCE_S: Final = 5.0  # an IDE that takes no data for so long is cut off
WAITING_MOST: Final = 2 * MOST_BYTES  # of all messages that an IDE has not taken yet

Connect = Callable[[], Awaitable[socket.socket]]
"""Gives a connection to one who may be told the token, non-blocking; raises `LinkFailed`."""

Take = Callable[[bytes | bytearray], None]
"""Takes a frame, at once."""


class LinkFailed(Exception):
    """Why a link cannot be, or cannot go on, in the router's words."""

    def __init__(self, state: LinkState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class WireEnded(Exception):
    """The connection ended, and who listens and is connected now tells what that means.

    Args:
        abrupt: nobody said goodbye; a process that dies closes its sockets one after the other.
        displaced: it ended as official plugins end the connection of one whose place another takes.
    """

    def __init__(self, *, abrupt: bool = True, displaced: bool = False) -> None:
        super().__init__("the connection ended")
        self.abrupt = abrupt
        self.displaced = displaced


class Wire(Protocol):
    """An open wire. Frames are JSON-RPC messages, in order both ways."""

    def send(self, frame: bytes) -> None:
        """Send a frame, without waiting; an IDE that takes none, or leaves too many waiting, is cut off."""

    async def serve(self, take: Take) -> None:
        """Give every frame to `take`, for hours if need be.

        Ends with the wire only: raises `WireEnded`, or `LinkFailed` if the end says what it means.
        """

    def ping(self) -> Awaitable[object]:
        """Ask whether the IDE lives; what is given is done when it has answered. Raises what ended the wire."""

    def abort(self) -> None:
        """Cut the connection; `serve` raises `WireEnded`."""

    async def close(self) -> None:
        """End it in good order, which may take half a second; never raises. Twice does no harm."""


def token_of(lock: LockFile) -> dict[str, str]:
    """Give the header with the token, if the IDE has one."""
    if lock.auth_token is None:
        return {}
    if lock.family is Family.CLAUDE:
        return {AUTHORIZATION: lock.auth_token}
    return {"Authorization": f"Bearer {lock.auth_token}"}


def broken_off(why: str = "") -> LinkFailed:
    """Say that a connection ended before the IDE had answered."""
    return LinkFailed(LinkState.NOT_ANSWERING, f"it broke the connection off{why and f': {why}'}")


def silent_for(seconds: float) -> LinkFailed:
    """Say that an IDE took the connection, and no more."""
    return LinkFailed(LinkState.NOT_ANSWERING, f"no answer within {seconds:g} s")


def too_slow() -> LinkFailed:
    """Say that an IDE left too many messages waiting."""
    return LinkFailed(LinkState.NOT_ANSWERING, "it takes messages too slowly")


async def is_set_within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event, and tell whether it came."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
