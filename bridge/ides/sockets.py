"""Links to IDEs: they carry what the router sends and report what happens. They decide nothing.

What a link's frames travel on is its wire (`bridge.ides.wire`), of which each transport has its own. The token goes out
on it before the other side has proved anything. So every TCP connection is made here first (`bridge.ides.dialing`),
and only if the one who accepted it may be told the token anything is sent on that very connection (design.md D7):
whoever takes the port afterwards gets nothing. Where no way leads to an IDE in Windows, a process of its own may carry
the connection (`bridge.ides.relay`), and ends with it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from bridge.core import jsonrpc
from bridge.core.events import Event, LinkClosed, LinkMessage, LinkOpened, LinkState
from bridge.core.links import HANDSHAKE_S
from bridge.core.lockfile import LockFile, Transport
from bridge.core.reach import HERE, Route, Silence, passing
from bridge.core.selection import Listener
from bridge.ides.dialing import CONNECT_S, Dialer, NobodyThere
from bridge.ides.ports import snapshot
from bridge.ides.relay import Relay, RelayError, Trouble
from bridge.ides.wire import Connect, LinkFailed, Wire, WireEnded, is_set_within

__all__ = ["Sockets"]

# A silent IDE must be noticed within 5 s while it shows a diff (D10); otherwise a rare ping is enough.
CLOSELY_S: Final = 2.4  # from one ping to the next; by then its pong must be there
AT_LEISURE_S: Final = 30.0
DYING_S: Final = 0.1  # a process that is killed closes its sockets one after the other, in any order


# Each is imported when the first IDE that speaks so is dialled: who only looks at the status needs none, and aiohttp,
# which few need, is a fifth of the daemon's memory.


async def _websocket(lock: LockFile, connect: Connect, _: asyncio.TaskGroup) -> Wire:
    from bridge.ides.websocket import open_websocket

    return await open_websocket(lock, connect)


async def _sse(lock: LockFile, connect: Connect, tasks: asyncio.TaskGroup) -> Wire:
    from bridge.ides.sse import open_sse

    return await open_sse(lock, connect, tasks)


async def _streamable(lock: LockFile, connect: Connect, tasks: asyncio.TaskGroup) -> Wire:
    from bridge.ides.streamable import open_streamable

    return await open_streamable(lock, connect, tasks)


_OPENERS: Final[Mapping[Transport, Callable[[LockFile, Connect, asyncio.TaskGroup], Awaitable[Wire]]]] = {
    Transport.WEBSOCKET: _websocket,
    Transport.SSE: _sse,
    Transport.HTTP: _streamable,
}


class _Line:
    """One link, from dialling to its end."""

    def __init__(self, lock: LockFile, route: Route) -> None:
        self.lock = lock
        self.route = route
        self.here = False  # the other end is a socket of this machine
        self.ports: set[int] = set()  # our own ends of its connections; none behind a relay
        self.relay: Relay | None = None
        self.wire: Wire | None = None
        self.closely = asyncio.Event()
        self.quiet = False  # we hung up: nothing more is reported


class Sockets:
    """All links to IDEs, one for each `ide_id`.

    Args:
        tasks: where their tasks live.
        feed: takes every event, at once and in the order in which an IDE sent its messages.
        dialer: makes the TCP connections.
        open_relay: starts a relay to a port of Windows' own loopback; raises `RelayError` if it cannot.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        feed: Callable[[Event], None],
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
        return frozenset(ide_id for ide_id, line in self._lines.items() if line.wire is not None)

    def dial(self, lock: LockFile, route: Route = HERE) -> None:
        """Begin to connect; `LinkOpened` or `LinkClosed` will be reported."""
        line = self._lines[lock.ide_id] = _Line(lock, route)
        self._tasks.create_task(self._run(line), name=f"link to port {lock.port}")

    def send(self, ide_id: str, frame: bytes) -> None:
        """Send a frame; an IDE that does not take it is cut off, and its reader reports that."""
        line = self._lines.get(ide_id)
        if line is not None and line.wire is not None:
            line.wire.send(frame)

    def hang_up(self, ide_id: str) -> None:
        """Close the connection; nothing more is reported of it."""
        line = self._lines.pop(ide_id, None)
        if line is not None:
            line.quiet = True
            if line.wire is not None:  # while still dialling, `_run` closes it
                self._tasks.create_task(line.wire.close(), name="hanging up")

    def watch(self, ide_id: str, closely: bool) -> None:
        """Ping more often, or less."""
        line = self._lines.get(ide_id)
        if line is not None:
            (line.closely.set if closely else line.closely.clear)()

    async def _run(self, line: _Line) -> None:
        try:
            line.wire = await self._open(line)
            if line.quiet:
                return
            state, reason = await self._serve(line, line.wire)
        except LinkFailed as failure:
            state, reason = failure.state, failure.reason
        finally:
            if line.wire is not None:
                await line.wire.close()
            if line.relay is not None:
                await line.relay.close()
            self._dialer.forget(line.lock.port, line.route)
            if self._lines.get(line.lock.ide_id) is line:
                del self._lines[line.lock.ide_id]
        self._report(line, LinkClosed(time.time(), line.lock.ide_id, state, reason))

    def _report(self, line: _Line, event: Event) -> None:
        if not line.quiet:
            self._feed(event)

    def _heard(self, line: _Line, frame: bytes | bytearray) -> None:
        try:
            message = jsonrpc.decode(frame)
        except ValueError:
            return  # not JSON-RPC: whoever waits for an answer has a deadline
        if message.method == "ping" and message.is_notification:
            return  # how companions keep connections busy; one with an id is to be answered
        self._report(line, LinkMessage(time.time(), line.lock.ide_id, message))

    async def _serve(self, line: _Line, wire: Wire) -> tuple[LinkState, str]:
        """Report every message until the wire ends; give what its end means. Raises `LinkFailed` if that says it."""
        self._report(line, LinkOpened(time.time(), line.lock.ide_id))
        pulse = self._tasks.create_task(_pulse(wire, line.closely), name="pulse")
        try:
            await wire.serve(partial(self._heard, line))
            raise AssertionError("a wire is served until it ends")
        except WireEnded as ended:
            silent = pulse.done() and not pulse.cancelled() and pulse.result()
            return await self._why_closed(line, ended, silent)
        finally:
            pulse.cancel()

    # ---- connecting

    async def _open(self, line: _Line) -> Wire:
        """Connect, look who is there, then send the token. Raises `LinkFailed`."""
        return await _OPENERS[line.lock.transport](line.lock, partial(self._connect, line), self._tasks)

    async def _connect(self, line: _Line) -> socket.socket:
        """Connect to one who may be told the token. Raises `LinkFailed`."""
        # A busy IDE on this machine may take its time; on the other side silence is the common answer.
        limit_s = HANDSHAKE_S if line.route.here else CONNECT_S
        try:
            endpoint, line.here = await self._dialer.connect(line.lock.port, line.route, limit_s=limit_s)
        except NobodyThere as nobody:
            return await self._relayed(line, nobody)
        line.ports.add(endpoint.getsockname()[1])
        return endpoint

    async def _relayed(self, line: _Line, nobody: NobodyThere) -> socket.socket:
        """Have a Windows process carry the connection, where that may help."""
        out_of_files = Silence.NO_FILES in nobody.silences.values()  # a program wants more of them than a way does
        if not line.route.relay or self._open_relay is None or out_of_files:
            raise _nobody(line, nobody)
        if line.lock.transport is not Transport.WEBSOCKET:
            raise LinkFailed(
                LinkState.UNREACHABLE, "it speaks HTTP, which needs more than the one connection of a relay"
            )
        try:
            line.relay = await self._open_relay(line.lock.port)
        except RelayError as error:
            if error.trouble is Trouble.REFUSED:
                raise LinkFailed(LinkState.GONE, str(error)) from None
            how = f" ({error.hint})" if error.hint else ""
            raise LinkFailed(LinkState.UNREACHABLE, f"through a relay: {error}{how}") from None
        return line.relay.endpoint

    # ---- ending

    async def _why_closed(self, line: _Line, ended: WireEnded, silent: bool) -> tuple[LinkState, str]:
        """Say what the end of a wire means: whose slot it was, and whether anybody is still there."""
        if silent:
            return LinkState.NOT_ANSWERING, "it did not answer a ping"
        if ended.abrupt:
            await asyncio.sleep(DYING_S)
        if not line.here:
            return await self._ended_elsewhere(line, ended)
        return _ended_here(line) or (LinkState.LISTENING, "it closed the connection")

    async def _ended_elsewhere(self, line: _Line, ended: WireEnded) -> tuple[LinkState, str]:
        """Conclude from how it ended and from whether its port still answers: its sockets cannot be seen."""
        self._dialer.forget(line.lock.port, line.route)
        if ended.displaced:
            return LinkState.SLOT_LOST, "another client took its one place"
        if line.relay is None and await self._dialer.silences(line.lock.port, line.route) is None:
            return LinkState.LISTENING, "it closed the connection"
        return LinkState.GONE, "the IDE ended"


def _nobody(line: _Line, nobody: NobodyThere) -> LinkFailed:
    if Silence.UNTRUSTED in nobody.silences.values():
        return LinkFailed(LinkState.PORT_TAKEN, "its port does not belong to your user")
    if (obstacle := passing(nobody.silences)) is not None:
        return LinkFailed(LinkState.NOT_ANSWERING, obstacle.reason)
    if set(nobody.silences.values()) == {Silence.TIMEOUT}:
        return LinkFailed(LinkState.NOT_ANSWERING, "its port takes no connection")
    return LinkFailed(LinkState.GONE, f"nothing listens on port {line.lock.port}: {nobody}")


async def _pulse(wire: Wire, closely: asyncio.Event) -> bool:
    """Ping until a pong is not there by the time of the next ping; then cut the wire and give True."""
    with suppress(WireEnded, LinkFailed):
        while True:
            pong = asyncio.ensure_future(wire.ping())
            if closely.is_set():
                await asyncio.sleep(CLOSELY_S)
            elif await is_set_within(AT_LEISURE_S, closely):
                continue  # the last ping was sent at leisure: from now on a new one counts
            if not pong.done():
                wire.abort()
                return True
    return False


def _ended_here(line: _Line) -> tuple[LinkState, str] | None:
    """Conclude from the sockets of this machine; None: the IDE listens on, and nobody else is there."""
    facts = snapshot([line.lock.port])[line.lock.port]
    if facts.listener is Listener.NONE:
        return LinkState.GONE, "the IDE ended"
    if facts.without(line.ports).occupied:
        return LinkState.SLOT_LOST, "another client took its one place"
    return None
