"""What tests of links share: links that tell what they report, and servers that behave worse than any emulator."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from bridge.core import jsonrpc
from bridge.core.events import Event, LinkClosed, LinkMessage, LinkOpened, LinkState
from bridge.core.lockfile import LockFile, Transport
from bridge.core.reach import HERE, Route
from bridge.ides.dialing import Dialer
from bridge.ides.sockets import Sockets
from ide_plugins.emulator import Emulator

PATIENCE_S = 20.0
MakeIde = Callable[..., Emulator]
IdeProcess = tuple[subprocess.Popen[bytes], int]
"""An emulator in a process of its own, and its port."""

TOKEN = "6b2f1c1e-0000-4000-8000-00000000feed"


def lock_of(port: int, token: str | None = TOKEN, **more: Any) -> LockFile:
    return LockFile(port=port, pid=1, workspace_folders=("/w",), auth_token=token, **more)


def lock_to(ide: Emulator) -> LockFile:
    return lock_of(ide.port, ide.token, transport=Transport(ide.transport))


class Links:
    """Sockets, and what they report."""

    def __init__(self, tasks: asyncio.TaskGroup, dialer: Dialer | None = None, **options: Any) -> None:
        self.dialer = dialer or Dialer()
        self.sockets = Sockets(tasks, self.feed, self.dialer, **options)
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.on_event: Callable[[Event], None] | None = None

    def feed(self, event: Event) -> None:
        if self.on_event is not None:
            self.on_event(event)
        self.events.put_nowait(event)

    async def next(self) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            return await self.events.get()

    async def opened(self, lock: LockFile, route: Route = HERE) -> None:
        self.sockets.dial(lock, route)
        event = await self.next()
        assert isinstance(event, LinkOpened), event
        assert event.ide_id == lock.ide_id

    async def closed(self) -> tuple[LinkState, str]:
        """Wait for the link's end; messages before it do not matter."""
        while not isinstance(event := await self.next(), LinkClosed):
            pass
        return event.state, event.reason

    async def fails(self, lock: LockFile, route: Route = HERE) -> tuple[LinkState, str]:
        """Dial in vain: no `LinkOpened` may come first."""
        self.sockets.dial(lock, route)
        event = await self.next()
        assert isinstance(event, LinkClosed), event
        return event.state, event.reason

    async def call(self, lock: LockFile, method: str, params: Any, id_: int = 1) -> Any:
        self.sockets.send(lock.ide_id, jsonrpc.request(id_, method, jsonrpc.dump(params)))
        event = await self.next()
        assert isinstance(event, LinkMessage), event
        assert event.message.id == id_
        return jsonrpc.load(event.message.result)


@asynccontextmanager
async def linked(**options: Any) -> AsyncIterator[Links]:
    """Sockets with these options, whose links are hung up at the end."""
    async with asyncio.TaskGroup() as tasks:
        links = Links(tasks, **options)
        yield links
        for ide_id in list(links.sockets._lines):
            links.sockets.hang_up(ide_id)


# ---- servers of the test's own

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def rude_server(behave: Serve) -> AsyncIterator[int]:
    """A TCP server on the loopback that does what it wants; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def says(answer: bytes) -> Serve:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return behave


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


def replies(status: str, *headers: str) -> Serve:
    return says("\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""]).encode())
