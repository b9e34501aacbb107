"""WebSockets as lean as Python has them: ends that cost less than what lies between them.

With a library at both ends most of a call would be theirs, and a hop of any price would look cheap. So frames are
read and written by hand, all that has arrived in one go, on uvloop. It is for both sides of a benchmark and good for
nothing else: text frames and pings, each whole, and what the other side sends is taken on trust.

``python -m benchmarks.lean WORKSPACE LOCK_DIR`` is an IDE of this kind, which gives everybody the same answer, until
the end of standard input. It announces itself as Neovim, see `benchmarks.ide`.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
import sys
import uuid
from pathlib import Path
from typing import Final, cast

import msgspec
from websockets.utils import accept_key, apply_mask

from benchmarks.ide import SIZES, uri
from bridge.core.official import AUTHORIZATION
from ide_plugins.emulator.lock import LockFile
from ide_plugins.emulator.tools import official_tools, text_result

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
NO_MASK: Final = bytes(4)  # a client must mask, but zeros are a mask (RFC 6455, section 5.3)
HEAD_END: Final = b"\r\n\r\n"
BACKLOG = 1000  # agents that connect at once


def frame(payload: bytes, opcode: int = TEXT, *, masked: bool = False) -> bytes:
    first, bit, length = 0x80 | opcode, 0x80 if masked else 0, len(payload)
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    return head + NO_MASK + payload if masked else head + payload


def frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Take whole frames from the beginning of `data`: opcode and payload of each, and the bytes that are left."""
    found = []
    at, size = 0, len(data)
    while size - at >= 2:
        length, begin = data[at + 1] & 0x7F, at + 2
        if length >= 126:
            wide = 2 if length == 126 else 8
            length, begin = int.from_bytes(data[begin : begin + wide], "big"), begin + wide
        if data[at + 1] & 0x80:
            begin += 4
        end = begin + length
        if end > size:
            break
        payload = data[begin:end]
        if data[at + 1] & 0x80 and (mask := data[begin - 4 : begin]) != NO_MASK:
            payload = apply_mask(payload, mask)
        found.append((data[at] & 0x0F, payload))
        at = end
    return found, data[at:]


class Connection(asyncio.Protocol):
    """One end: first the head of an HTTP message, then frames."""

    transport: asyncio.Transport
    masked = False

    def __init__(self) -> None:
        self._rest = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none to `isinstance`

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if not self._open:
            head, end, rest = self._rest.partition(HEAD_END)
            if not end:
                return
            self._open, self._rest = True, rest
            self.upgrade(head)
        taken, self._rest = frames(self._rest)
        out = []
        for opcode, payload in taken:
            if opcode == TEXT:
                out.append(self.heard(payload))
            elif opcode == PING:
                out.append(frame(payload, PONG, masked=self.masked))
            elif opcode == CLOSE:
                self.transport.close()
        if out := [answer for answer in out if answer]:
            self.transport.write(b"".join(out))

    def upgrade(self, head: bytes) -> None:
        """Take the head of the upgrade, or of its answer."""
        raise NotImplementedError

    def heard(self, message: bytes) -> bytes:
        """Take a message; give the frame to send at once, or nothing."""
        raise NotImplementedError


class Request(msgspec.Struct):
    id: int | str | None = None
    method: str = ""


REQUEST: Final = msgspec.json.Decoder(Request)
ASKED_FOR: Final = uri(SIZES["200 B"])
DIAGNOSTICS: Final = [{"uri": ASKED_FOR, "diagnostics": [{"message": "x" * (SIZES["200 B"] - 100)}]}]
RESULTS: Final = {
    "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "lean"}},
    "tools/list": {"tools": [tool.to_json() for tool in official_tools().values()]},
    "tools/call": text_result(msgspec.json.encode(DIAGNOSTICS).decode()),
}
ENCODED: Final = {method: msgspec.json.encode(result) for method, result in RESULTS.items()}


class Ide(Connection):
    """The IDE's end of a connection."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token.encode()

    def upgrade(self, head: bytes) -> None:
        key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head)
        if key is None or self._token not in head:
            self.transport.abort()
            return
        accept = accept_key(key[1].decode())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: mcp\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept.encode()
        )

    def heard(self, message: bytes) -> bytes:
        request = REQUEST.decode(message)
        if request.id is None:
            return b""
        result = ENCODED.get(request.method, b"{}")
        return frame(b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (msgspec.json.encode(request.id), result))


def request_head(port: int, token: str) -> bytes:
    """Build an agent's upgrade request."""
    lines = (
        "GET / HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol: mcp",
        f"{AUTHORIZATION}: {token}",
    )
    return "\r\n".join(lines).encode() + HEAD_END


async def main(workspace: Path, lock_dir: Path) -> None:
    token = str(uuid.uuid4())
    server = await asyncio.get_running_loop().create_server(lambda: Ide(token), "127.0.0.1", 0, backlog=BACKLOG)
    port: int = server.sockets[0].getsockname()[1]
    lock = LockFile(
        directory=lock_dir,
        port=port,
        pid=os.getpid(),
        ide_name="Neovim",
        workspace_folders=(str(workspace),),
        auth_token=token,
    )
    lock.write()
    try:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    finally:
        lock.remove()
        server.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
