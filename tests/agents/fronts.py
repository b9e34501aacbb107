"""A front with sessions of the test's own behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bridge.agents.gate import Wire
from bridge.daemon.tasks import Tasks
from bridge.listening import listen
from tests.agents.rawclient import all_leave

PATIENCE_S = 20.0
SECRET = "the-secret-of-this-front"


class Visitor:
    """One agent's session: it sends back what it is sent, when it may."""

    def __init__(self, desk: Desk, wire: Wire) -> None:
        self.desk = desk
        self.wire = wire

    async def take(self, frame: bytes) -> None:
        self.desk.heard.put_nowait(frame)
        await self.desk.open.wait()
        self.wire.send(bytes(frame))

    async def left(self) -> None:
        self.desk.gone.put_nowait(self)


class Desk:
    """What is behind the front, and where it is."""

    def __init__(self) -> None:
        self.there: asyncio.Queue[Visitor] = asyncio.Queue()
        self.gone: asyncio.Queue[Visitor] = asyncio.Queue()
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()
        self.admitted: Callable[[int, int], bool] = lambda client, mine: True
        self.port = 0
        self.front: Any = None

    async def welcome(self, wire: Wire) -> Visitor:
        visitor = Visitor(self, wire)
        self.there.put_nowait(visitor)
        return visitor


@asynccontextmanager
async def front(kind: Any) -> AsyncIterator[Desk]:
    """Open a front of this kind; it is stopped at the end, if it was not before."""
    desk = Desk()
    async with Tasks() as tasks:
        desk.front = kind(tasks, SECRET, desk.welcome, lambda client, mine: desk.admitted(client, mine))
        listener = listen(0)
        desk.port = listener.getsockname()[1]
        await desk.front.start(listener)
        try:
            yield desk
        finally:
            desk.open.set()
            await desk.front.stop()
            await all_leave()


async def soon(queue: asyncio.Queue[Any]) -> Any:
    """Wait for the next one."""
    async with asyncio.timeout(PATIENCE_S):
        return await queue.get()


async def until(fits: Callable[[], bool]) -> None:
    """Wait for what sends no event."""
    async with asyncio.timeout(PATIENCE_S):
        while not fits():
            await asyncio.sleep(0.005)
