"""Progress: how far a call is, told to who made it, under the token that it chose.

Two agents may choose the same token, so an IDE gets the id of our request in its place, which no other request has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bridge.core import jsonrpc
from bridge.core.events import Notify, SessionId

__all__ = ["Progress", "call_of", "swapped"]


class Progress(NamedTuple):
    """Who wants to hear how far a call is, and under which token (JSON)."""

    session: SessionId
    token: bytes

    def told(self, params: dict[str, Any]) -> Notify:
        """Pass on what an IDE says; raises `RecursionError` for what is nested too deeply to be written again."""
        params = params | {"progressToken": jsonrpc.load(self.token)}
        return Notify(self.session, "notifications/progress", jsonrpc.dump(params))


def swapped(meta: bytes, request_id: int, session: SessionId | None) -> tuple[bytes, Progress | None]:
    """Put our own token in the place of the asker's in a call's ``_meta`` (JSON), if there is one; give both.

    What nobody can read nobody misses: then the call has no ``_meta``.
    """
    try:
        value = jsonrpc.load(meta)
        if not isinstance(value, dict) or "progressToken" not in value:
            return meta, None
        own, token = jsonrpc.dump(value | {"progressToken": request_id}), jsonrpc.dump(value["progressToken"])
    except (ValueError, RecursionError):
        return b"", None
    return own, None if session is None else Progress(session, token)


def call_of(params: Any) -> int | None:
    """Tell which of our requests an IDE speaks of; None: of none."""
    token = params.get("progressToken") if isinstance(params, dict) else None
    return token if type(token) is int else None  # true is no 1
