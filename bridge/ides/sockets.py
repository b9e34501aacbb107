"""The WebSockets to IDEs: they carry what the router sends and report what happens. They decide nothing.

The token goes out with the upgrade request, before the other side has proved anything. So the TCP connection
is made first (`bridge.ides.dialing`), and only if the one who accepted it may be told the token the upgrade is
sent on that very connection (design.md D7): whoever takes the port afterwards gets nothing. Where no way leads to
an IDE in Windows, a process of its own may carry the connection (`bridge.ides.relay`), and ends with it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from bridge.core import jsonrpc
from bridge.core.events import Event, LinkClosed, LinkMessage, LinkOpened, LinkState
from bridge.core.links import HANDSHAKE_S
from bridge.core.lockfile import LockFile, Transport
from bridge.core.reach import HERE, LOOPBACK, Route, Silence, passing
from bridge.core.selection import Listener
from bridge.core.text import visible
from bridge.ides.dialing import CONNECT_S, Dialer, NobodyThere
from bridge.ides.ports import snapshot
from bridge.ides.relay import Relay, RelayError, Trouble

__all__ = ["AUTHORIZATION", "Sockets"]

AUTHORIZATION: Final = "X-Claude-Code-Ide-Authorization"
MOST_BYTES: Final = 64 * 2**20  # of one message: an openDiff carries a whole file, escaped
PATIENCE_S: Final = 5.0  # an IDE that takes no data for so long is cut off
AT_ONCE_BYTES: Final = 8 * 1024  # asyncio buffers 32 KiB as `websockets` sets it up, before a sender has to wait
# A silent IDE must be noticed within 5 s while it shows a diff (D10); otherwise a rare ping is enough.
CLOSELY_S: Final = 2.4  # from one ping to the next; by then its pong must be there
AT_LEISURE_S: Final = 30.0
DYING_S: Final = 0.1  # a process that is killed closes its sockets one after the other, in any order
_REFUSED_CODE: Final = 1008
_REFUSED_STATUS: Final = frozenset({400, 401, 403})


class _Failure(Exception):
    """Why a link cannot be, in the router's words."""

    def __init__(self, state: LinkState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class _Connect(connect):
    """Connects to one place only: a token does not follow a redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Report the redirect as the answer that it is."""
        return exc


class _Line:
    """One connection, from dialling to its end."""

    def __init__(self, lock: LockFile, route: Route) -> None:
        self.lock = lock
        self.route = route
        self.here = False  # the other end is a socket of this machine
        self.relay: Relay | None = None
        self.connection: ClientConnection | None = None
        self.closely = asyncio.Event()
        self.quiet = False  # we hung up: nothing more is reported


class Sockets:
    """All WebSockets to IDEs, one for each `ide_id`.

    Args:
        tasks: where their tasks live.
        feed: takes every event; awaited, so that messages of one IDE stay in order.
        dialer: makes the TCP connections.
        open_relay: starts a relay to a port of Windows' own loopback; raises `RelayError` if it cannot.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        feed: Callable[[Event], Awaitable[None]],
        dialer: Dialer,
        open_relay: Callable[[int], Awaitable[Relay]] | None = None,
    ) -> None:
        self._tasks = tasks
        self._feed = feed
        self._dialer = dialer
        self._open_relay = open_relay
        self._lines: dict[str, _Line] = {}

    @property
    def linked(self) -> frozenset[str]:
        """The IDEs that we are connected to."""
        return frozenset(ide_id for ide_id, line in self._lines.items() if line.connection is not None)

    def dial(self, lock: LockFile, route: Route = HERE) -> None:
        """Begin to connect; `LinkOpened` or `LinkClosed` will be reported."""
        line = self._lines[lock.ide_id] = _Line(lock, route)
        self._tasks.create_task(self._run(line), name=f"link to port {lock.port}")

    async def send(self, ide_id: str, frame: bytes) -> None:
        """Send a frame; an IDE that does not take it is cut off, and its reader reports that."""
        line = self._lines.get(ide_id)
        if line is None or line.connection is None:
            return
        try:
            async with asyncio.timeout(_patience(line.connection, frame)):
                await line.connection.send(frame, text=True)
        except TimeoutError:
            line.connection.transport.abort()
        except ConnectionClosed:
            pass

    def hang_up(self, ide_id: str) -> None:
        """Close the connection; nothing more is reported of it."""
        line = self._lines.pop(ide_id, None)
        if line is not None:
            line.quiet = True
            if line.connection is not None:  # while still dialling, `_run` closes it
                self._tasks.create_task(_close(line.connection), name="hanging up")

    def watch(self, ide_id: str, closely: bool) -> None:
        """Ping more often, or less."""
        line = self._lines.get(ide_id)
        if line is not None:
            (line.closely.set if closely else line.closely.clear)()

    async def _run(self, line: _Line) -> None:
        try:
            line.connection = await self._connect(line)
            if line.quiet:
                return
            state, reason = await self._serve(line, line.connection)
        except _Failure as failure:
            state, reason = failure.state, failure.reason
        finally:
            if line.connection is not None:
                await _close(line.connection)
            if line.relay is not None:
                await line.relay.close()
            self._dialer.forget(line.lock.port, line.route)
            if self._lines.get(line.lock.ide_id) is line:
                del self._lines[line.lock.ide_id]
        await self._report(line, LinkClosed(time.time(), line.lock.ide_id, state, reason))

    async def _report(self, line: _Line, event: Event) -> None:
        if not line.quiet:
            await self._feed(event)

    async def _serve(self, line: _Line, connection: ClientConnection) -> tuple[LinkState, str]:
        """Report every message until the connection ends; give what its end means."""
        ide_id = line.lock.ide_id
        pulse = self._tasks.create_task(_pulse(connection, line.closely), name="pulse")
        try:
            await self._report(line, LinkOpened(time.time(), ide_id))
            while True:
                frame = await connection.recv(decode=False)
                try:
                    message = jsonrpc.decode(frame)
                except ValueError:
                    continue  # not JSON-RPC: whoever waits for an answer has a deadline
                await self._report(line, LinkMessage(time.time(), ide_id, message))
        except ConnectionClosed as closed:
            silent = pulse.done() and not pulse.cancelled() and pulse.result()
            return await self._why_closed(line, connection, closed, silent)
        finally:
            pulse.cancel()

    # ---- connecting

    async def _connect(self, line: _Line) -> ClientConnection:
        """Connect, look who is there, then send the upgrade with the token. Raises `_Failure`."""
        lock = line.lock
        if lock.transport is not Transport.WEBSOCKET:
            raise _Failure(LinkState.PORT_TAKEN, f"its transport {lock.transport} is not supported yet")
        # A busy IDE on this machine may take its time; on the other side silence is the common answer.
        limit_s = HANDSHAKE_S if line.route.here else CONNECT_S
        try:
            endpoint, line.here = await self._dialer.connect(lock.port, line.route, limit_s=limit_s)
        except NobodyThere as nobody:
            endpoint = await self._relayed(line, nobody)
        try:
            return await _upgrade(lock, endpoint)
        except BaseException:
            endpoint.close()
            raise

    async def _relayed(self, line: _Line, nobody: NobodyThere) -> socket.socket:
        """Have a Windows process carry the connection, where that may help."""
        out_of_files = Silence.NO_FILES in nobody.silences.values()  # a program wants more of them than a way does
        if not line.route.relay or self._open_relay is None or out_of_files:
            raise _nobody(line, nobody)
        try:
            line.relay = await self._open_relay(line.lock.port)
        except RelayError as error:
            if error.trouble is Trouble.REFUSED:
                raise _Failure(LinkState.GONE, str(error)) from None
            how = f" ({error.hint})" if error.hint else ""
            raise _Failure(LinkState.UNREACHABLE, f"through a relay: {error}{how}") from None
        return line.relay.endpoint

    # ---- ending

    async def _why_closed(
        self, line: _Line, connection: ClientConnection, closed: ConnectionClosed, silent: bool
    ) -> tuple[LinkState, str]:
        """Say what the end of a connection means: whose slot it was, and whether anybody is still there."""
        if silent:
            return LinkState.NOT_ANSWERING, "it did not answer a ping"
        if closed.rcvd is None:
            await asyncio.sleep(DYING_S)
        elif closed.rcvd.code == _REFUSED_CODE:
            return LinkState.REFUSED, "it refused the token (close code 1008)"
        if line.here and (ended := _ended_here(connection)) is not None:
            return ended
        if not line.here:
            return await self._ended_elsewhere(line, closed)
        return LinkState.LISTENING, "it closed the connection"

    async def _ended_elsewhere(self, line: _Line, closed: ConnectionClosed) -> tuple[LinkState, str]:
        """Conclude from the close code and from whether its port still answers: its sockets cannot be seen."""
        self._dialer.forget(line.lock.port, line.route)
        if closed.rcvd is not None and closed.rcvd.code == CloseCode.NO_STATUS_RCVD:
            return LinkState.SLOT_LOST, "another client took its one place"
        if line.relay is None and await self._dialer.silences(line.lock.port, line.route) is None:
            return LinkState.LISTENING, "it closed the connection"
        return LinkState.GONE, "the IDE ended"


def _nobody(line: _Line, nobody: NobodyThere) -> _Failure:
    if Silence.UNTRUSTED in nobody.silences.values():
        return _Failure(LinkState.PORT_TAKEN, "its port does not belong to your user")
    if (obstacle := passing(nobody.silences)) is not None:
        return _Failure(LinkState.NOT_ANSWERING, obstacle.reason)
    if set(nobody.silences.values()) == {Silence.TIMEOUT}:
        return _Failure(LinkState.NOT_ANSWERING, "its port takes no connection")
    return _Failure(LinkState.GONE, f"nothing listens on port {line.lock.port}: {nobody}")


async def _upgrade(lock: LockFile, endpoint: socket.socket) -> ClientConnection:
    headers = {AUTHORIZATION: lock.auth_token} if lock.auth_token is not None else {}
    try:
        return await _Connect(
            f"ws://{LOOPBACK}:{lock.port}/",  # wherever it is: plugins may refuse any other Host
            sock=endpoint,
            subprotocols=[Subprotocol("mcp")],
            additional_headers=headers,
            proxy=None,  # the default would send the token through http_proxy
            compression=None,
            max_size=MOST_BYTES,
            open_timeout=HANDSHAKE_S,
            close_timeout=0.5,
            ping_interval=None,  # `_pulse` knows when it matters
        )
    except InvalidStatus as exc:
        status = exc.response.status_code
        state = LinkState.REFUSED if status in _REFUSED_STATUS else LinkState.PORT_TAKEN
        raise _Failure(state, f"it answered HTTP {status}") from None
    except TimeoutError:
        raise _Failure(LinkState.NOT_ANSWERING, f"no answer within {HANDSHAKE_S:g} s") from None
    except (InvalidHandshake, WebSocketException) as exc:
        if isinstance(exc.__cause__, EOFError):
            raise _Failure(LinkState.NOT_ANSWERING, "it broke the connection off") from None
        raise _Failure(LinkState.PORT_TAKEN, f"no WebSocket server: {visible(str(exc))}") from None
    except (OSError, EOFError) as exc:
        raise _Failure(LinkState.NOT_ANSWERING, f"it broke the connection off: {exc}") from None


def _patience(connection: ClientConnection, frame: bytes) -> float | None:
    """Say how long sending may take; None: it cannot wait, for the buffer takes it all, and a timer is not free."""
    fits = len(frame) <= AT_ONCE_BYTES and connection.transport.get_write_buffer_size() == 0
    return None if fits else PATIENCE_S


async def _pulse(connection: ClientConnection, closely: asyncio.Event) -> bool:
    """Ping until a pong is not there by the time of the next ping; then cut the connection off and give True."""
    with suppress(ConnectionClosed):
        while True:
            pong = asyncio.ensure_future(await connection.ping())
            if closely.is_set():
                await asyncio.sleep(CLOSELY_S)
            elif await _is_set_within(AT_LEISURE_S, closely):
                continue  # the last ping was sent at leisure: from now on a new one counts
            if not pong.done():
                connection.transport.abort()
                return True
    return False


async def _is_set_within(seconds: float, event: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def _close(connection: ClientConnection) -> None:
    with suppress(Exception):  # it is over, however it ends
        await connection.close()


def _ended_here(connection: ClientConnection) -> tuple[LinkState, str] | None:
    """Conclude from the sockets of this machine; None: the IDE listens on, and nobody else is there."""
    port = connection.remote_address[1]
    facts = snapshot([port])[port]
    if facts.listener is Listener.NONE:
        return LinkState.GONE, "the IDE ended"
    if facts.peers - {connection.local_address[1]}:
        return LinkState.SLOT_LOST, "another client took its one place"
    return None
