"""Serving HTTP to this machine: a uvicorn among other tasks, and who may come in.

What is served, and what a request must show, is the business of who serves it: the review page
(`bridge.surfaces.page`), agents that speak SSE (`bridge.agents.idestream`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["FIRST_REQUEST_S", "Admits", "Server"]

STOP_S: Final = 2  # patience with answers that are on their way when the server stops
FIRST_REQUEST_S: Final = 10.0  # a connection that asks nothing for so long is cut off

Admits = Callable[[int, int], bool]  # client's port, our port: is it our own user's?


class Server(uvicorn.Server):
    """A server among other tasks: signals are the daemon's; no paths in logs, nothing told, no proxies trusted.

    Args:
        app: the ASGI application.
        admits: tells whether a connection may come in.
        most: connections at once; one more is cut off.
    """

    def __init__(self, app: Any, admits: Admits, most: int) -> None:
        config = uvicorn.Config(
            app,
            interface="asgi3",  # it does not see that in every callable
            http=_door(admits, most),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # anybody on this machine can make it warn
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_S,
        )
        super().__init__(config)

    async def open(self, listener: socket.socket) -> None:
        """Serve on a bound socket from now on, without the loop of `serve`, which wakes ten times a second."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup([listener])

    async def close(self) -> None:
        """Take no more connections, and return when those that there are have been answered, or cut off."""
        await self.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers alone."""
        yield


def _door(admits: Admits, most: int) -> type[H11Protocol]:
    """Make the protocol that lets in our own user's connections only, not too many, and not for nothing.

    Whoever took the port while the daemon was away may have been shown what clients show; so that is worth something
    only to processes of our user.
    """

    class Door(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            client, mine = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            if len(self.connections) > most or not admits(client[1], mine[1]):
                transport.abort()
                return
            self.loop.call_later(FIRST_REQUEST_S, self._lose_patience)

        def _lose_patience(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.abort()

    return Door
