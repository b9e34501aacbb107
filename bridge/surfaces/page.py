"""The review page: where a human decides when no IDE is there, or when the browser is nearer.

One small HTTP server on 127.0.0.1, started on first use. Any navigation gets a shell without data; data move
only by requests (`routes`) of the page's own script, which shows a cookie and a secret (`access`), past the
rules of `guard`. The server decides nothing: it asks the `Desk`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from bridge.listening import HOST, listen
from bridge.surfaces.access import Access
from bridge.surfaces.guard import Guard
from bridge.surfaces.routes import Desk, Routes
from bridge.web import Admits, Server

__all__ = ["AccessStore", "Desk", "Invitation", "PageServer"]

CONNECTIONS: Final = 200  # a browser opens six; one more is cut off


class AccessStore(Protocol):
    """One small JSON object in the journal; it holds hashes, never a token."""

    async def load(self) -> dict[str, Any] | None:
        """Return what was saved last, if anything."""
        ...

    async def save(self, state: dict[str, Any]) -> None:
        """Keep `state`; it is on disk when this returns."""
        ...


class Invitation(NamedTuple):
    """How to reach a review. `link` opens it once and is for the human's eyes only (design.md D11)."""

    address: str
    link: str

    def __repr__(self) -> str:
        return f"Invitation(address={self.address!r}, link=…)"


class _Running(NamedTuple):
    access: Access
    routes: Routes
    server: Server
    task: asyncio.Task[None]


class PageServer:
    """Serves review pages from the first `invite` until `stop`.

    Args:
        tasks: the group that holds the server's task. Call `stop` before it is cancelled, else browsers
            wait for their time-outs.
        admits: tells whether a connection from that port may come in: is it our own user's?
        clock: monotonic seconds, for `last_used`.
    """

    def __init__(
        self,
        desk: Desk,
        store: AccessStore,
        tasks: asyncio.TaskGroup,
        *,
        admits: Admits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._admits = admits
        self._switching = asyncio.Lock()
        self._running: _Running | None = None
        self.last_used = clock()  # the end of the last answer

    @property
    def running(self) -> bool:
        """Whether a port is open."""
        return self._running is not None

    @property
    def busy(self) -> bool:
        """Whether a browser is being served; an open page nearly always is, since it waits for news."""
        return self._running is not None and self._running.routes.requests > 0

    async def resume(self) -> None:
        """Start again after a restart of the daemon, if a browser may still hold an open page."""
        access = Access.from_state(await self._store.load())
        if access and access.pages:
            await self.start()

    async def start(self) -> None:
        """Open the port of the last time, so that pages in browsers live on; harmless when running."""
        await self._start()

    async def stop(self) -> None:
        """Answer whoever waits, close the port, and return when it is closed; harmless when not running."""
        async with self._switching:
            if self._running:
                self._running.routes.stop()
                self._running.server.should_exit = True
                await self._running.task
                self._running = None

    async def invite(self, review_id: str) -> Invitation:
        """Give a new one-time link to an undecided review; starts the server if need be."""
        access = await self._start()
        name, code = access.invite(review_id)
        await self._store.save(access.to_state())
        address = f"http://{HOST}:{access.port}/r/{name}/"
        return Invitation(address, f"{address}#code={code}")

    async def forget(self, review_id: str) -> None:
        """End a review's access: its codes die, and browsers that are in may read its end until `stop`."""
        access = self._running.access if self._running else Access.from_state(await self._store.load())
        if access:
            access.end(review_id)
            await self._store.save(access.to_state())

    async def _start(self) -> Access:
        async with self._switching:
            if not self._running:
                access, listener = _listen(Access.from_state(await self._store.load()))
                await self._store.save(access.to_state())
                self._running = self._serve(access, listener)
                self.last_used = self._clock()
            return self._running.access

    def _serve(self, access: Access, listener: socket.socket) -> _Running:
        async def save() -> None:
            await self._store.save(access.to_state())

        def used() -> None:
            self.last_used = self._clock()

        routes = Routes(self._desk, access, save, used)
        server = Server(Guard(routes.app(), f"{HOST}:{access.port}"), self._admits, CONNECTIONS)
        task = self._tasks.create_task(server.serve([listener]), name="review page")
        return _Running(access, routes, server, task)


def _listen(before: Access | None) -> tuple[Access, socket.socket]:
    """Listen on the port of the last time.

    If another program has it now, a new port is chosen and all access that was given dies: whoever
    listens on the old one is shown the old cookies by the browser.
    """
    if before:
        with contextlib.suppress(OSError):
            return before, listen(before.port)
    listener = listen(0)
    return Access(listener.getsockname()[1]), listener
