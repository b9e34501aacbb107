"""Which listener carries which transport."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from .faults import FOREIGN_ORIGIN, Fault, Faults
from .listener import Client, Listener
from .lock import Transport
from .personality import Personality
from .websocket import WebSocketListener

__all__ = ["carrier"]


def carrier(
    transport: Transport,
    plugin: Personality,
    faults: Faults,
    *,
    keep_alive_s: float,
    attends: Callable[[Client], Awaitable[None]],
) -> Callable[..., Listener]:
    """Give what makes a listener of all that is the same for each; `attends` is that of streamable HTTP.

    Those over HTTP are imported here: they load a web framework, for which nobody else shall wait.
    """
    if transport == "sse":
        from .sse import SseListener

        origin = FOREIGN_ORIGIN if Fault.FOREIGN_ENDPOINT in faults else ""
        return partial(SseListener, origin=origin, keep_alive_s=keep_alive_s)
    if transport == "http":
        from .streamable import StreamableListener

        return partial(StreamableListener, endpoint=plugin.endpoint, attends=attends, keep_alive_s=keep_alive_s)
    return partial(WebSocketListener, refuses_early=plugin.refuses_early)
