"""The WebSocket wire: the transport of every plugin that was seen.

The token goes out with the upgrade request, on the very connection whose other end was looked at before. What bytes
mean `websockets` says, its core without I/O: that makes no connection, so it follows no redirect and heeds no proxy.
A frame goes from the socket to whoever takes it in one go, for to wake a task costs more (docs/decisions.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import count
from typing import Final, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import BINARY, CONT, PONG, TEXT, CloseCode, Frame
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bridge.core.events import LinkState
from bridge.core.links import HANDSHAKE_S
from bridge.core.lockfile import LockFile
from bridge.core.official import MOST_BYTES
from bridge.core.reach import LOOPBACK
from bridge.core.text import visible
from bridge.ides.wire import (
    PATIENCE_S,
    WAITING_MOST,
    Connect,
    LinkFailed,
    Take,
    WireEnded,
    broken_off,
    is_set_within,
    silent_for,
    token_of,
    too_slow,
)

__all__ = ["WebSocket", "open_websocket"]

CLOSE_S: Final = 0.5  # for the other end to say goodbye, and to close the connection
_REFUSED_STATUS: Final = frozenset({400, 401, 403})


class WebSocket(asyncio.Protocol):
    """A wire, see `bridge.ides.wire.Wire`; it asks for the upgrade as soon as it is connected.

    All frames that are sent in one turn of the event loop are written together: a write costs more than a frame.
    """

    def __init__(self, lock: LockFile) -> None:
        # Wherever the IDE is: plugins may refuse any other Host.
        uri = parse_uri(f"ws://{LOOPBACK}:{lock.port}/")
        self._core = ClientProtocol(uri, subprotocols=[Subprotocol("mcp")], max_size=MOST_BYTES)
        self._upgrade = self._core.connect()
        self._upgrade.headers.update(token_of(lock))
        self._loop = asyncio.get_running_loop()
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._ending: WireEnded | LinkFailed | None = None
        self._early: list[bytes | bytearray] = []  # frames that came before anybody took them
        self._take: Take = self._early.append
        self._partial = bytearray()  # of a message in several frames
        self._collecting = False  # what is sent in this turn will be written at its end
        self._written = 0  # bytes, of all times
        self._patience: asyncio.TimerHandle | None = None  # while the IDE does not take what was written
        self._leaving = False
        self._numbers = count()
        self._pinged = b""
        self._pong: asyncio.Future[None] | None = None

    # ---- opening and ending

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none to `isinstance`
        self._core.send_request(self._upgrade)
        self._flush()

    async def opened(self) -> None:
        """Wait for the answer to the upgrade; raises `LinkFailed` if it is no consent."""
        await self._answered.wait()
        if self._core.handshake_exc is not None:
            raise _meaning(self._core.handshake_exc)

    def eof_received(self) -> None:
        """Let the connection end: whoever says nothing any more is told nothing."""
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        self._core.receive_eof()
        self.resume_writing()
        self._end(_ended(self._core))
        self._answered.set()
        self._over.set()

    def _end(self, ending: WireEnded | LinkFailed) -> None:
        """Cut the connection; this, or what ended the wire before, is what `serve` raises."""
        self._ending = self._ending or ending
        self._transport.abort()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    async def close(self) -> None:
        """End it in good order."""
        if self._core.state is OPEN:
            self._core.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
            await is_set_within(CLOSE_S, self._over)
        self.abort()
        await self._over.wait()

    # ---- reading

    async def serve(self, take: Take) -> None:
        """Give every frame to `take`."""
        early, self._early = self._early, []
        self._take = take
        for frame in early:
            take(frame)
        await self._over.wait()
        assert self._ending is not None
        raise self._ending

    def data_received(self, data: bytes) -> None:
        """Take what the socket brings."""
        core = self._core
        core.receive_data(data)
        for event in core.events_received():
            if isinstance(event, Frame):
                self._heard(event)
        if not self._answered.is_set() and (core.state is OPEN or core.handshake_exc is not None):
            self._answered.set()
        self._flush()  # the core's pongs, and its goodbye
        if core.close_expected() and not self._leaving:
            self._leaving = True
            self._loop.call_later(CLOSE_S, self.abort)

    def _heard(self, frame: Frame) -> None:
        opcode, data = frame.opcode, cast(bytearray, frame.data)  # only of frames to send it is another type
        if opcode is TEXT or opcode is BINARY:
            if frame.fin:
                self._take(data)
            else:
                self._partial = data
        elif opcode is CONT:  # the core adds up how large it becomes
            self._partial += data
            if frame.fin:
                message, self._partial = self._partial, bytearray()
                self._take(message)
        elif opcode is PONG and data == self._pinged and self._pong is not None and not self._pong.done():
            self._pong.set_result(None)

    # ---- writing

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        if self._core.state is OPEN:
            self._core.send_text(frame)
            if not self._collecting:
                self._collecting = True
                self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what the core wants written."""
        self._collecting = False
        data = b"".join(self._core.data_to_send())
        if data:
            self._written += len(data)
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > WAITING_MOST:
                self._end(too_slow())

    def ping(self) -> Awaitable[object]:
        """Ping; only the pong to the latest ping counts."""
        if self._core.state is not OPEN:
            raise self._ending or WireEnded()
        self._pinged, self._pong = b"%d" % next(self._numbers), self._loop.create_future()
        self._core.send_ping(self._pinged)
        self._flush()
        return self._pong

    def pause_writing(self) -> None:
        """Begin to lose patience: the socket's buffer and ours are full."""
        self._patience = self._loop.call_later(PATIENCE_S, self._lose_patience, self._taken())

    def resume_writing(self) -> None:
        """Be patient again."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self, before: int) -> None:
        if self._taken() == before:
            self._end(LinkFailed(LinkState.NOT_ANSWERING, f"it took no data for {PATIENCE_S:g} s"))
        else:
            self.pause_writing()

    def _taken(self) -> int:
        """Say how many bytes the system has taken."""
        return self._written - self._transport.get_write_buffer_size()


def _ended(core: ClientProtocol) -> WireEnded | LinkFailed:
    if core.close_rcvd is None:
        return WireEnded()
    if core.close_rcvd.code == CloseCode.POLICY_VIOLATION:
        return LinkFailed(LinkState.REFUSED, "it refused the token (close code 1008)")
    return WireEnded(abrupt=False, displaced=core.close_rcvd.code == CloseCode.NO_STATUS_RCVD)


# ---- opening


async def open_websocket(lock: LockFile, connect: Connect) -> WebSocket:
    """Connect, then send the upgrade with the token. Raises `LinkFailed`."""
    endpoint = await connect()
    try:
        _, wire = await asyncio.get_running_loop().create_connection(lambda: WebSocket(lock), sock=endpoint)
    except BaseException as exc:
        endpoint.close()
        raise broken_off(visible(str(exc))) if isinstance(exc, OSError) else exc from None
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            await wire.opened()
    except BaseException as exc:
        await wire.close()
        raise silent_for(HANDSHAKE_S) if isinstance(exc, TimeoutError) else exc from None
    return wire


def _meaning(exc: Exception) -> LinkFailed:
    """Say what it means that the upgrade was not agreed to."""
    if isinstance(exc, InvalidStatus):
        status = exc.response.status_code
        state = LinkState.REFUSED if status in _REFUSED_STATUS else LinkState.PORT_TAKEN
        return LinkFailed(state, f"it answered HTTP {status}")
    if isinstance(exc.__cause__, EOFError):
        return broken_off()
    return LinkFailed(LinkState.PORT_TAKEN, f"no WebSocket server: {visible(str(exc))}")
