"""What tests of relays share: IDEs that are servers of a few lines, and the ends of processes."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.ides.listeners import port_of
from tests.wsl.interop import STAND_INS

PATIENCE_S = 20.0
MUCH = 8 << 20  # bytes, many times what all buffers on the way take
each_program = pytest.mark.parametrize("name", list(STAND_INS))
each_script = pytest.mark.parametrize("name", ["python.exe", "node.exe"])  # those that really run

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def ide(handler: Handler) -> AsyncIterator[int]:
    """A server on the loopback, which is Windows' own here."""
    busy: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.add(asyncio.current_task())
        with suppress(ConnectionError):
            await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with asyncio.timeout(PATIENCE_S), server:
        yield port_of(server.sockets[0])
        await asyncio.gather(*filter(None, busy))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def receive(endpoint: socket.socket, most: int = sys.maxsize) -> bytes:
    """Read that many bytes, or all until the end."""
    loop, found = asyncio.get_running_loop(), bytearray()
    while len(found) < most and (data := await loop.sock_recv(endpoint, 1 << 16)):
        found += data
    return bytes(found)


async def send(endpoint: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(endpoint, data)


async def ended(*pids: int) -> None:
    """Wait until these processes have ended; whether anybody has asked how does not matter."""
    for pid in pids:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                readable, _, _ = await asyncio.to_thread(select.select, [handle], [], [], PATIENCE_S)
                assert readable, f"{pid} lives on"
            finally:
                os.close(handle)
