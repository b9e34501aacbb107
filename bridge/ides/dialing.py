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
from dataclasses import dataclass
from typing import Final, NamedTuple

from bridge.core.reach import LOOPBACK, Route, Silence, Way
from bridge.core.selection import Listener
from bridge.ides.ports import OtherEnd, has_stranger, other_end, snapshot

__all__ = ["CONNECT_S", "Connected", "Dialer", "NobodyThere", "NotTrustworthy", "Reach"]

CONNECT_S: Final = 0.4
KNOWN_S: Final = 2.0  # for so long a look at a port on the other side is good enough
KNOWN_MOST: Final = 4096
LOOKS_MOST: Final = 128  # at the same time, of two sockets at most; a process may have 1024 files
WINNERS_MOST: Final = 16
_REFUSALS: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED})


class NobodyThere(Exception):
    """No way led to the port; `silences` has what became of each host."""

    def __init__(self, silences: dict[str, Silence]) -> None:
        super().__init__(", ".join(f"{host}: {silence}" for host, silence in silences.items()))
        self.silences = silences


class NotTrustworthy(Exception):
    """Who answers may not be told a token: another user, or somebody whom the system does not name."""


_Port = tuple[int, tuple[Way, ...]]


class Connected(NamedTuple):
    """A TCP connection to somebody who may be told the token."""

    endpoint: socket.socket
    here: bool  # to a socket of this machine, whose tables thus tell of it


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a port on the other side takes connections, as of `seen` (seconds of the dialer's clock)."""

    silences: dict[str, Silence] | None  # None: it does
    seen: float

    @property
    def answers(self) -> bool:
        """Whether somebody is there."""
        return self.silences is None


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
        self._reaches: dict[_Port, Reach] = {}
        self._looking: dict[_Port, asyncio.Future[Reach]] = {}
        self._places = asyncio.Semaphore(LOOKS_MOST)

    async def connect(self, port: int, route: Route, *, limit_s: float = CONNECT_S) -> Connected:
        """Connect to the first way that answers, and look who is there.

        Behind NAT another user may have the port on our loopback, and answer sooner than Windows does at the gateway:
        who may not be told a token is passed over. Raises `NobodyThere`, or `NotTrustworthy` if he is the only one.
        """
        ways = [way for way in route.ways if self._leads(way)]
        silences = {way.host: Silence.UNREACHABLE for way in route.ways if way not in ways}
        winner = self._winners.get(route.ways)
        for group in ([way for way in ways if way == winner], [way for way in ways if way != winner]):
            found = await _race(port, group, limit_s, silences)
            if found is not None:
                self._remember(route.ways, found[1])
                return found[0]
        if Silence.UNTRUSTED in silences.values():
            raise NotTrustworthy
        raise NobodyThere({way.host: silences[way.host] for way in route.ways})

    async def reach(self, port: int, route: Route) -> Reach:
        """Tell whether anybody takes connections on the port; nothing is sent.

        What is closed at once takes no place: plugins give one to a client that has upgraded. The answer may
        be `KNOWN_S` old.
        """
        key = (port, route.ways)
        known = self._reaches.get(key)
        if known is not None and self._clock() - known.seen < KNOWN_S:
            return known
        look = self._looking.get(key)
        if look is None:
            look = self._looking[key] = asyncio.ensure_future(self._look(port, route))
        return await asyncio.shield(look)  # others may wait for it too

    def forget(self, port: int, route: Route) -> None:
        """Look anew the next time: the connection ended."""
        self._reaches.pop((port, route.ways), None)

    async def _look(self, port: int, route: Route) -> Reach:
        key = (port, route.ways)
        try:
            async with self._places:
                found = Reach(await self._silences(port, route), self._clock())
        finally:
            del self._looking[key]
        self._reaches.pop(key, None)
        self._reaches[key] = found
        if len(self._reaches) > KNOWN_MOST:
            del self._reaches[next(iter(self._reaches))]
        return found

    async def _silences(self, port: int, route: Route) -> dict[str, Silence] | None:
        try:
            connected = await self.connect(port, route)
        except NobodyThere as nobody:
            return nobody.silences
        except NotTrustworthy:
            return {way.host: Silence.UNTRUSTED for way in route.ways}
        connected.endpoint.close()
        return None

    def _remember(self, ways: tuple[Way, ...], winner: Way) -> None:
        """Remember who won, but not a program of ours: that it has one port says nothing of the next."""
        self._winners.pop(ways, None)
        if not winner.vouched:
            return
        self._winners[ways] = winner
        if len(self._winners) > WINNERS_MOST:
            del self._winners[next(iter(self._winners))]


async def _race(
    port: int, ways: list[Way], limit_s: float, silences: dict[str, Silence]
) -> tuple[Connected, Way] | None:
    """Connect to all at once, keep the first that may be told a token; note what became of those that failed.

    A way that nobody vouches for wins only if no other does: behind NAT a program of ours may have the same port, and
    loopback is always quicker than Windows.
    """
    attempts = {asyncio.ensure_future(_connect(way.host, port, limit_s)): way for way in ways}
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


async def _connect(host: str, port: int, limit_s: float) -> socket.socket | Silence:
    loop = asyncio.get_running_loop()
    try:
        endpoint = socket.socket()
    except OSError:  # we have too many files open
        return Silence.UNREACHABLE
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
    try:
        return Connected(endpoint, _is_here(way, endpoint, port))
    except NotTrustworthy:
        endpoint.close()
        return Silence.UNTRUSTED


def _is_here(way: Way, endpoint: socket.socket, port: int) -> bool:
    """Look who accepted the connection, now that it is made: before, the port might have changed hands.

    Whose socket the other end is counts, and who listens: the first may be unknown until it is accepted, the second
    may change hands. Returns whether it is our own user on our loopback; raises `NotTrustworthy` if it may not be told
    a token.
    """
    end = other_end(port, endpoint.getsockname()[1])
    if end in (OtherEnd.STRANGERS, OtherEnd.UNKNOWN):  # what is not known when files run out is not trusted either
        raise NotTrustworthy
    listener = snapshot([port])[port].listener if way.host == LOOPBACK else Listener.NONE
    if listener is Listener.OURS and end in (OtherEnd.OURS, OtherEnd.UNTOLD):
        return True
    if not way.vouched:
        raise NotTrustworthy
    # A host that the configuration names may be this machine by another name.
    if end is OtherEnd.OURS and (way.host == LOOPBACK or has_stranger(*endpoint.getpeername())):
        raise NotTrustworthy
    return False
