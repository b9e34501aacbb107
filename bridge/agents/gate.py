"""Who may come in where the bridge poses as an IDE, whatever the transport.

Three things keep everybody else out. No agent sends an ``Origin`` and every browser does. ``Host`` is the name that was
dialled, so that no DNS name can be pointed at us. And the token, which stands only in a lock file of this user's.
That a connection is our own user's at all is seen to before a byte of it is read.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from bridge.core.official import AUTHORIZATION

__all__ = ["Guest", "Refusal", "Welcome", "Wire", "refusal"]


class Refusal(NamedTuple):
    """Why a request is turned away."""

    status: HTTPStatus
    words: str


_WANTED: Final = f"{AUTHORIZATION} does not hold the token of the lock file"


def refusal(
    *,
    origins: Sequence[str],
    hosts: Sequence[str],
    tokens: Sequence[str],
    port: int,
    token: str,
    wanted: str = _WANTED,
) -> Refusal | None:
    """Say why a request is turned away, or None.

    Args:
        origins, hosts, tokens: every value of the header in question.
        port: ours.
        token: the one that lets in.
        wanted: what to say to who does not have it.
    """
    if origins:
        return Refusal(HTTPStatus.FORBIDDEN, "a web page may not ask")
    if len(hosts) != 1 or hosts[0].lower() not in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        return Refusal(HTTPStatus.MISDIRECTED_REQUEST, "this address is not ours")
    given = ",".join(tokens)  # a repeated header fits nothing
    if not hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode()):
        return Refusal(HTTPStatus.UNAUTHORIZED, wanted)
    return None


class Wire(Protocol):
    """The way to one agent. Nothing here waits: what an agent does not take is kept for it, within bounds."""

    def send(self, frame: bytes, sent: Callable[[], None] | None = None) -> None:
        """Send an answer; `sent` is called when it has left, and never if it cannot."""

    def tell(self, method: str, params: bytes) -> None:
        """Send a notification, or put it in the place of an older one that it makes needless; `params` is JSON."""


class Guest(Protocol):
    """One agent's session, behind its wire."""

    async def take(self, frame: bytes) -> None:
        """Take a frame of the agent's; returns when the next one may come."""

    async def left(self) -> None:
        """Learn that the agent is gone."""


class Welcome(Protocol):
    """What makes a session of a connection."""

    def __call__(self, wire: Wire) -> Awaitable[Guest]:
        """Begin a session."""
