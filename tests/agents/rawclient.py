"""An agent written from the facts: sockets and bytes, RFC 6455 and HTTP/1.1 by hand, none of our code and no library.

So that what it finds is what any program would find; and so that it can say what no library lets one say.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "FIN",
    "PING",
    "PONG",
    "TEXT",
    "TOKEN",
    "Answer",
    "Raw",
    "all_leave",
    "frame",
    "upgrade",
]

PATIENCE_S = 20.0
TOKEN = "X-Claude-Code-Ide-Authorization"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

Headers = Iterable[tuple[str, str]]
_opened: list[Raw] = []


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def frame(opcode: int, payload: bytes = b"", *, first: int = FIN, masked: bool = True, length: int = -1) -> bytes:
    """Build a frame as RFC 6455 section 5.2 has it.

    Args:
        first: the upper bits of the first byte: FIN, and three reserved ones.
        length: what is announced; default: the truth.
    """
    length = len(payload) if length < 0 else length
    mark = 0x80 if masked else 0
    head = bytes([first | opcode])
    if length < 126:
        head += bytes([mark | length])
    elif length < 65536:
        head += bytes([mark | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mark | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    stretched = (key * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return head + key + mixed.to_bytes(len(payload), "big")


def head(line: str, headers: Headers) -> bytes:
    """Write a request's head; what is no ASCII comes as Latin-1."""
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


def upgrade(port: int, token: str, *more: tuple[str, str], without: Iterable[str] = ()) -> tuple[list[Any], str]:
    """Give the headers of a proper upgrade, and the ``Sec-WebSocket-Accept`` that must come back."""
    key = base64.b64encode(os.urandom(16)).decode()
    usual = [
        ("Host", f"127.0.0.1:{port}"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
        (TOKEN, token),
    ]
    gone = {*without, *(name for name, _ in more)}
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    return [*((name, value) for name, value in usual if name not in gone), *more], accept


class Raw:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._lines: list[bytes] = []  # of an event stream, read already
        _opened.append(self)

    @classmethod
    async def to(cls, port: int, *, small: bool = False) -> Raw:
        """Connect; `small`: the kernel keeps next to nothing for us, and we read only when we read."""
        wire = socket.socket()
        if small:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", port))
        except OSError:
            wire.close()
            raise
        reader, writer = await asyncio.open_connection(sock=wire, limit=2**12 if small else 2**20)
        return cls(reader, writer)

    @classmethod
    async def agent(cls, port: int, token: str, *, small: bool = False) -> Raw:
        """Connect and upgrade, as an agent does."""
        raw = await cls.to(port, small=small)
        headers, accept = upgrade(port, token, ("Sec-WebSocket-Protocol", "mcp"))
        answer = await raw.request("GET / HTTP/1.1", headers)
        assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, accept)
        assert answer.headers["sec-websocket-protocol"] == "mcp"
        return raw

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def request(self, line: str, headers: Headers, body: bytes = b"") -> Answer:
        """Send a request and read the answer."""
        self.send(head(line, headers) + body)
        return await self.answer()

    async def answer(self) -> Answer:
        """Read a response; the body of one that announces no length is not read."""
        async with asyncio.timeout(PATIENCE_S):
            line, *rows = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
            status = int(line.split()[1])
            length = int(headers.get("content-length", "0"))
            return Answer(status, headers, await self.reader.readexactly(length))

    # ---- WebSocket

    def say(self, message: Any) -> None:
        """Send a JSON message in one text frame."""
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.send(frame(TEXT, text))

    async def frame(self) -> tuple[int, bytes]:
        """Read a frame: its opcode, and what it carries. A server's is whole and not masked."""
        async with asyncio.timeout(PATIENCE_S):
            first, second = await self.reader.readexactly(2)
            assert first & 0xF0 == FIN
            length = second
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(length)

    async def hear(self) -> Any:
        """Read a JSON message."""
        opcode, payload = await self.frame()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    async def ask(self, id_: Any, method: str, params: Any = None) -> Any:
        """Send a request and read the next message."""
        self.say({"jsonrpc": "2.0", "id": id_, "method": method, **({} if params is None else {"params": params})})
        return await self.hear()

    async def closed(self) -> tuple[int, bytes]:
        """Read up to a close frame, and to the end of the connection; give the code and the reason."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                self.send(frame(CLOSE, payload[:2]))
                await self.end()
                return struct.unpack("!H", payload[:2])[0], payload[2:]

    # ---- SSE

    async def stream(self, port: int, token: str) -> str:
        """Open an event stream; give the address to post to."""
        answer = await self.request("GET /sse HTTP/1.1", sse_headers(port, token))
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        name, data = await self.event()
        assert name == "endpoint"
        return data

    async def event(self) -> tuple[str, str]:
        """Read the next event: its name, and its data; comments are skipped."""
        name, data = "message", list[str]()
        while True:
            field, _, value = (await self.line()).decode().partition(": ")
            if field == "data":
                data.append(value)
            elif field == "event":
                name = value
            elif not field and not value and data:
                return name, "\n".join(data)

    async def line(self) -> bytes:
        """Read one line of the stream, out of the chunks that HTTP packs it in; each of ours is whole lines."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._lines:
                size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
                chunk = await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
                if not size:
                    raise EOFError("the stream has ended")
                self._lines = chunk.split(b"\r\n")[:-1]
            return self._lines.pop(0)

    # ---- the end

    async def end(self) -> bytes:
        """Wait for the end of the connection, however it comes; give what came before it."""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def close(self) -> None:
        """Leave."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    def break_off(self) -> None:
        """Leave as a process does that is killed: with a reset."""
        self.writer.transport.abort()


async def all_leave() -> None:
    """End every connection that a test left open."""
    while _opened:
        raw = _opened.pop()
        raw.break_off()
        await raw.close()


def sse_headers(port: int, token: str) -> list[tuple[str, str]]:
    """Give the headers of every request of an agent that speaks SSE."""
    return [("Host", f"127.0.0.1:{port}"), (TOKEN, token)]


async def post(
    port: int, token: str, address: str, body: bytes, *more: tuple[str, str], raw: Raw | None = None
) -> Answer:
    """Post a message, on a connection of its own or a given one."""
    wire = raw or await Raw.to(port)
    headers = [*sse_headers(port, token), ("Content-Length", str(len(body)))]
    if not any(name == "Content-Type" for name, _ in more):
        headers.append(("Content-Type", "application/json"))
    answer = await wire.request(f"POST {address} HTTP/1.1", [*headers, *more], body)
    if raw is None:
        await wire.close()
    return answer
