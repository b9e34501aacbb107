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
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.surfaces.access import Access
from bridge.surfaces.guard import Guard
from bridge.surfaces.routes import Desk, Routes

__all__ = ["AccessStore", "Desk", "Invitation", "PageServer"]

HOST: Final = "127.0.0.1"
STOP_S: Final = 2  # patience with answers that are on their way when the server stops
CONNECTIONS: Final = 200  # a browser opens six; one more is cut off
FIRST_REQUEST_S: Final = 10.0  # a connection that asks nothing for so long is cut off

Admits = Callable[[int, int], bool]  # client's port, our port


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


class _Uvicorn(uvicorn.Server):
    """A server among other tasks: signals are the daemon's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers alone."""
        yield


def _door(admits: Admits) -> type[H11Protocol]:
    """Make the protocol that lets in our own user's connections only, not too many, and not for nothing.

    Whoever took the port while the daemon was away may have been shown a browser's cookie and secret; so
    these are worth something only to processes of our user.
    """

    class Door(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            client, mine = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            if len(self.connections) > CONNECTIONS or not admits(client[1], mine[1]):
                transport.abort()
                return
            self.loop.call_later(FIRST_REQUEST_S, self._lose_patience)

        def _lose_patience(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.abort()

    return Door


class _Running(NamedTuple):
    access: Access
    routes: Routes
    server: _Uvicorn
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
        server = _Uvicorn(_configure(Guard(routes.app(), f"{HOST}:{access.port}"), _door(self._admits)))
        task = self._tasks.create_task(server.serve([listener]), name="review page")
        return _Running(access, routes, server, task)


def _listen(before: Access | None) -> tuple[Access, socket.socket]:
    """Listen on the port of the last time.

    If another program has it now, a new port is chosen and all access that was given dies: whoever
    listens on the old one is shown the old cookies by the browser.
    """
    if before:
        with contextlib.suppress(OSError):
            return before, _bind(before.port)
    listener = _bind(0)
    return Access(listener.getsockname()[1]), listener


def _bind(port: int) -> socket.socket:
    """Listen on `port` of this machine only, 0 for any; connections wait until the server is up."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past TIME_WAIT, not past a listener
        listener.bind((HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _configure(app: Guard, http: type[H11Protocol]) -> uvicorn.Config:
    """No paths in logs, nothing told about the server, no trust in proxies' headers."""
    return uvicorn.Config(
        app,
        http=http,
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
