"""The WebSocket wire: the transport of every plugin that was seen.

The token goes out with the upgrade request, on the very connection whose other end was looked at before.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from bridge.core.events import LinkState
from bridge.core.links import HANDSHAKE_S
from bridge.core.lockfile import LockFile
from bridge.core.reach import LOOPBACK
from bridge.core.text import visible
from bridge.ides.wire import MOST_BYTES, PATIENCE_S, Connect, LinkFailed, WireEnded, broken_off, silent_for, token_of

__all__ = ["WebSocket", "open_websocket"]

AT_ONCE_BYTES: Final = 8 * 1024  # asyncio buffers 32 KiB as `websockets` sets it up, before a sender has to wait
_REFUSED_STATUS: Final = frozenset({400, 401, 403})


class WebSocket:
    """A wire, see `bridge.ides.wire.Wire`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, frame: bytes) -> None:
        """Send a frame; an IDE that does not take it is cut off."""
        try:
            async with asyncio.timeout(self._patience(frame)):
                await self._connection.send(frame, text=True)
        except TimeoutError:
            self.abort()
        except ConnectionClosed:
            pass

    def _patience(self, frame: bytes) -> float | None:
        """Say how long sending may take; None: it cannot wait, for the buffer takes it all, and a timer is not free."""
        fits = len(frame) <= AT_ONCE_BYTES and self._connection.transport.get_write_buffer_size() == 0
        return None if fits else PATIENCE_S

    async def recv(self) -> bytes:
        """Wait for a frame."""
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as closed:
            raise _ended(closed) from None

    async def ping(self) -> Awaitable[object]:
        """Ping; the pong is awaited by whoever wants it."""
        try:
            return await self._connection.ping()
        except ConnectionClosed as closed:
            raise _ended(closed) from None

    def abort(self) -> None:
        """Cut the connection."""
        self._connection.transport.abort()

    async def close(self) -> None:
        """End it in good order."""
        with suppress(Exception):  # it is over, however it ends
            await self._connection.close()


def _ended(closed: ConnectionClosed) -> WireEnded | LinkFailed:
    if closed.rcvd is None:
        return WireEnded()
    if closed.rcvd.code == CloseCode.POLICY_VIOLATION:
        return LinkFailed(LinkState.REFUSED, "it refused the token (close code 1008)")
    return WireEnded(abrupt=False, displaced=closed.rcvd.code == CloseCode.NO_STATUS_RCVD)


# ---- opening


class _Connect(connect):
    """Connects to one place only: a token does not follow a redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Report the redirect as the answer that it is."""
        return exc


async def open_websocket(lock: LockFile, connect: Connect) -> WebSocket:
    """Connect, then send the upgrade with the token. Raises `LinkFailed`."""
    endpoint = await connect()
    try:
        return WebSocket(await _upgrade(lock, endpoint))
    except BaseException:
        endpoint.close()
        raise


async def _upgrade(lock: LockFile, endpoint: socket.socket) -> ClientConnection:
    try:
        return await _Connect(
            f"ws://{LOOPBACK}:{lock.port}/",  # wherever it is: plugins may refuse any other Host
            sock=endpoint,
            subprotocols=[Subprotocol("mcp")],
            additional_headers=token_of(lock),
            proxy=None,  # the default would send the token through http_proxy
            compression=None,
            max_size=MOST_BYTES,
            open_timeout=HANDSHAKE_S,
            close_timeout=0.5,
            ping_interval=None,  # `bridge.ides.sockets` knows when it matters
        )
    except InvalidStatus as exc:
        status = exc.response.status_code
        state = LinkState.REFUSED if status in _REFUSED_STATUS else LinkState.PORT_TAKEN
        raise LinkFailed(state, f"it answered HTTP {status}") from None
    except TimeoutError:
        raise silent_for(HANDSHAKE_S) from None
    except (InvalidHandshake, WebSocketException) as exc:
        if isinstance(exc.__cause__, EOFError):
            raise broken_off() from None
        raise LinkFailed(LinkState.PORT_TAKEN, f"no WebSocket server: {visible(str(exc))}") from None
    except (OSError, EOFError) as exc:
        raise broken_off(str(exc)) from None
