"""Connecting to an IDE's port, on the way that leads there, and knowing who answered before any token is sent.

All ways of a route are tried at the same time, each for `CONNECT_S`: a dead port of Windows in mirrored mode does
not refuse but hangs for two minutes (docs/protocol.md "Reaching Windows"). The one that led there is tried
first the next time. Who answers on this machine must be our own user (design.md D7); what answers without a
socket of this machine is believed where the `Way` vouches for it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple
from weakref import WeakSet

from bridge.core.reach import LOOPBACK, Route, Silence, Way
from bridge.core.selection import Listener
from bridge.ides.ports import OtherEnd, has_stranger, other_end, snapshot

__all__ = ["CONNECT_S", "Connected", "Dialer", "NobodyThere", "Silences"]

CONNECT_S: Final = 0.4
KNOWN_S: Final = 2.0  # for so long a look at a port on the other side is good enough
KNOWN_MOST: Final = 4096
LOOKS_MOST: Final = 128  # at the same time, of two sockets at most; a process may have 1024 files
WINNERS_MOST: Final = 16
_REFUSALS: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED})


class NobodyThere(Exception):
    """No way led to somebody who may be told a token; `silences` has what became of each host."""

    def __init__(self, silences: dict[str, Silence]) -> None:
        super().__init__(", ".join(f"{host}: {silence}" for host, silence in silences.items()))
        self.silences = silences


_Port = tuple[int, tuple[Way, ...]]
Silences = dict[str, Silence] | None  # by host; None: somebody is there


class Connected(NamedTuple):
    """A TCP connection to somebody who may be told the token."""

    endpoint: socket.socket
    here: bool  # to a socket of this machine, whose tables thus tell of it


class Dialer:
    """Connects; remembers which way led to the other side, and for a moment who was there.

    Args:
        clock: seconds, never set back.
        leads: tells whether a way that was one when the route was made still is: the network may have changed.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, leads: Callable[[Way], bool] = lambda way: True
    ) -> None:
        self._clock = clock
        self._leads = leads
        self._winners: dict[tuple[Way, ...], Way] = {}  # a new gateway makes other ways: nothing here outlives it
        self._seen: dict[_Port, tuple[float, Silences]] = {}
        self._looking: dict[_Port, asyncio.Future[Silences]] = {}
        self._places = asyncio.Semaphore(LOOKS_MOST)
        self._sockets: WeakSet[socket.socket] = WeakSet()

    @property
    def ports(self) -> frozenset[int]:
        """Our own ends of all connections that are being made, looked at, or used."""
        return frozenset(endpoint.getsockname()[1] for endpoint in self._sockets if endpoint.fileno() != -1)

    async def connect(self, port: int, route: Route, *, limit_s: float = CONNECT_S) -> Connected:
        """Connect to the first way that answers, and look who is there.

        Behind NAT another user may have the port on our loopback, and answer sooner than Windows does at the gateway:
        who may not be told a token is passed over. Raises `NobodyThere`.
        """
        ways = [way for way in route.ways if self._leads(way)]
        silences = {way.host: Silence.MOVED for way in route.ways if way not in ways}
        winner = self._winners.get(route.ways)
        for group in ([way for way in ways if way == winner], [way for way in ways if way != winner]):
            found = await _race(port, group, limit_s, silences, self._sockets)
            if found is not None:
                self._remember(route.ways, found[1])
                return found[0]
        raise NobodyThere({way.host: silences[way.host] for way in route.ways})

    async def silences(self, port: int, route: Route) -> Silences:
        """Tell what becomes of each host when one connects to the port; None: somebody takes the connection.

        Nothing is sent, and what is closed at once takes no place: plugins give one to a client that has upgraded.
        The answer may be `KNOWN_S` old.
        """
        key = (port, route.ways)
        seen = self._seen.get(key)
        if seen is not None and self._clock() - seen[0] < KNOWN_S:
            return seen[1]
        look = self._looking.get(key)
        if look is None:
            look = self._looking[key] = asyncio.ensure_future(self._look(port, route))
        return await asyncio.shield(look)  # others may wait for it too

    def forget(self, port: int, route: Route) -> None:
        """Look anew the next time: the connection ended."""
        self._seen.pop((port, route.ways), None)

    async def _look(self, port: int, route: Route) -> Silences:
        key = (port, route.ways)
        silences: Silences = None
        try:
            async with self._places:
                (await self.connect(port, route)).endpoint.close()
        except NobodyThere as nobody:
            silences = nobody.silences
        finally:
            del self._looking[key]
        self._seen.pop(key, None)
        self._seen[key] = self._clock(), silences
        if len(self._seen) > KNOWN_MOST:
            del self._seen[next(iter(self._seen))]
        return silences

    def _remember(self, ways: tuple[Way, ...], winner: Way) -> None:
        """Remember who won, but not a program of ours: that it has one port says nothing of the next."""
        self._winners.pop(ways, None)
        if not winner.vouched:
            return
        self._winners[ways] = winner
        if len(self._winners) > WINNERS_MOST:
            del self._winners[next(iter(self._winners))]


async def _race(
    port: int, ways: list[Way], limit_s: float, silences: dict[str, Silence], sockets: WeakSet[socket.socket]
) -> tuple[Connected, Way] | None:
    """Connect to all at once, keep the first that may be told a token; note what became of those that failed.

    A way that nobody vouches for wins only if no other does: behind NAT a program of ours may have the same port, and
    loopback is always quicker than Windows.
    """
    attempts = {asyncio.ensure_future(_connect(way.host, port, limit_s, sockets)): way for way in ways}
    pending = set(attempts)
    won: tuple[Connected, Way] | None = None
    try:
        while pending and (won is None or any(attempts[other].vouched > won[1].vouched for other in pending)):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                way, endpoint = attempts[attempt], attempt.result()
                result = endpoint if isinstance(endpoint, Silence) else _judge(way, endpoint, port)
                if isinstance(result, Silence):
                    silences[way.host] = result
                elif won is None:
                    won = result, way
                elif way.vouched > won[1].vouched:
                    won[0].endpoint.close()
                    won = result, way
                else:
                    result.endpoint.close()
        return won
    except BaseException:
        if won is not None:
            won[0].endpoint.close()
        raise
    finally:
        for attempt in pending:
            attempt.cancel()
        for late in await asyncio.gather(*pending, return_exceptions=True):
            if isinstance(late, socket.socket):
                late.close()


async def _connect(host: str, port: int, limit_s: float, sockets: WeakSet[socket.socket]) -> socket.socket | Silence:
    loop = asyncio.get_running_loop()
    try:
        endpoint = socket.socket()
    except OSError:
        return Silence.NO_FILES
    sockets.add(endpoint)
    try:
        endpoint.setblocking(False)
        async with asyncio.timeout(limit_s):
            await loop.sock_connect(endpoint, (await _address(host), port))
    except TimeoutError:
        endpoint.close()
        return Silence.TIMEOUT
    except OSError as exc:
        endpoint.close()
        return Silence.REFUSED if exc.errno in _REFUSALS else Silence.UNREACHABLE
    except BaseException:
        endpoint.close()
        raise
    return endpoint


async def _address(host: str) -> str:
    """Resolve what is no IPv4 address; one name has one address here, the first."""
    with suppress(OSError):
        socket.inet_pton(socket.AF_INET, host)
        return host
    found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _judge(way: Way, endpoint: socket.socket, port: int) -> Connected | Silence:
    """Look who accepted the connection, now that it is made: before, the port might have changed hands.

    Whose socket the other end is counts, and who listens: the first may be unknown until it is accepted, the second
    may change hands.
    """
    end = other_end(port, endpoint.getsockname()[1])
    listener = snapshot([port])[port].listener if way.host == LOOPBACK else Listener.NONE
    if listener is Listener.OURS and end in (OtherEnd.OURS, OtherEnd.UNTOLD):
        return Connected(endpoint, here=True)
    if end is OtherEnd.UNKNOWN:  # as when files run out: not trusted, and not his fault
        endpoint.close()
        return Silence.UNTOLD
    # A host that the configuration names may be this machine by another name.
    local = end is OtherEnd.OURS and (way.host == LOOPBACK or has_stranger(*endpoint.getpeername()))
    foreign = end is OtherEnd.STRANGERS or listener in (Listener.FOREIGN, Listener.UNKNOWN)
    if way.vouched and not local and not foreign:
        return Connected(endpoint, here=False)
    endpoint.close()
    return Silence.UNTRUSTED
