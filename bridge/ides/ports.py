"""Who listens on a port of ours, and who is connected to it.

The owner of the listener is what makes sending a token safe (docs/protocol.md "Lock file admission"): on a
dead IDE's port another user may listen. Only listeners that a connection to 127.0.0.1 can reach count, and one
foreign among them is enough to refuse.

Linux tells everything, and in a fraction of a millisecond. Elsewhere psutil does, if the system lets us; where
it does not, our own processes at least can be asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from typing import Final

import psutil

from bridge.core.selection import Listener
from bridge.ides.sock_diag import callers_of, connections_of, from_netlink
from bridge.ides.tcp import Report, Socket, address_of, from_proc, from_psutil

__all__ = ["OtherEnd", "PortFacts", "callers", "facts", "has_stranger", "is_client_ours", "other_end", "snapshot"]

_Source = Callable[[Collection[int]], Report]
# The first that tells anything is believed: netlink is refused in some sandboxes, and by kernels before 4.16.
_SOURCES: Final[tuple[_Source, ...]] = (from_netlink, from_proc) if sys.platform == "linux" else (from_psutil,)
# What dialling 127.0.0.1 reaches: the listener that is bound most closely, whoever else has the port.
_REACHED: Final = tuple(map(address_of, ("127.0.0.1", "0.0.0.0", "::")))


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """What is known of one port."""

    listener: Listener = Listener.NONE
    bound_beyond_loopback: bool = False  # other machines may reach it
    peers: frozenset[int] = frozenset()  # remote ports of the connections that its listener accepted
    # Of the listening sockets: others, once another program has the port.
    inodes: frozenset[int] = field(default=frozenset(), compare=False)

    @property
    def occupied(self) -> bool:
        """Whether somebody is connected."""
        return bool(self.peers)

    def without(self, ports: Collection[int]) -> PortFacts:
        """Leave out the connections from these, our own."""
        return self if self.peers.isdisjoint(ports) else replace(self, peers=self.peers.difference(ports))


def snapshot(ports: Collection[int]) -> dict[int, PortFacts]:
    """Give the facts of every port in `ports`, as of now; never raises, at worst nothing is known."""
    wanted = frozenset(ports)
    return facts(wanted, _report(wanted), me=os.geteuid())


def _report(ports: Collection[int]) -> Report:
    if not ports:
        return Report([], complete=True)
    for source in _SOURCES:
        with suppress(OSError, psutil.Error):
            return source(ports)
    return Report([], complete=False)


def is_client_ours(client_port: int, server_port: int) -> bool:
    """Tell whether the process that connected from `client_port` to a loopback port of ours is our own user's.

    Where the system does not tell, the answer is yes: there the page's own secrets must do.
    """
    try:
        connections = connections_of(client_port) if sys.platform == "linux" else None
    except OSError:
        connections = None
    if connections is None:
        return True
    return any(s.uid == os.geteuid() for s in connections if s.remote_port == server_port)


class OtherEnd(Enum):
    """Whose socket is the other end of a connection of ours."""

    ELSEWHERE = auto()  # of another machine; or of Windows, where WSL shares 127.0.0.1 with it
    OURS = auto()  # of our own user, or not accepted yet, for then older kernels give it to root
    STRANGERS = auto()
    UNKNOWN = auto()  # the system did not tell, though it could
    UNTOLD = auto()  # the system never tells: who listens must do


def other_end(port: int, our_port: int) -> OtherEnd:
    """Look for the other end of our connection from `our_port` to `port` among the sockets of this machine."""
    if sys.platform != "linux":
        return OtherEnd.UNTOLD
    try:
        try:
            sockets = connections_of(port)
        except OSError:
            sockets = from_proc([port], fleeting=True).sockets
    except OSError:
        return OtherEnd.UNKNOWN
    owners = {found.uid for found in sockets if found.remote_port == our_port}
    if not owners:
        return OtherEnd.ELSEWHERE
    return OtherEnd.OURS if owners <= {os.geteuid(), *_unaccepted()} else OtherEnd.STRANGERS


def _unaccepted() -> frozenset[int]:
    """Give the uids that an older kernel says of a connection that nobody has accepted yet: root's, as seen from here.

    In a user namespace in which root has no name that is the overflow uid (user_namespaces(7)).
    """
    with suppress(OSError, ValueError):
        if Path("/proc/self/uid_map").read_text("ascii").split() != ["0", "0", "4294967295"]:
            return frozenset({0, int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))})
    return frozenset({0})


def callers(ports: Collection[int]) -> dict[int, frozenset[tuple[str, int]]]:
    """Tell who on this machine is connected to each of `ports` elsewhere: the remote host, and the caller's own port.

    An agent here that an IDE in Windows serves is seen by that. Where the system does not tell, nobody is.
    """
    found: dict[int, set[tuple[str, int]]] = {port: set() for port in ports}
    with suppress(OSError):
        for caller in callers_of(ports) if ports and sys.platform == "linux" else ():
            found[caller.remote_port or 0].add((str(caller.remote), caller.port))
    return {port: frozenset(known) for port, known in found.items()}


def has_stranger(host: str, port: int) -> bool:
    """Tell whether another user listens where a connection to an address of this machine gets; if unknown, yes."""
    report = _report([port])
    reached = {address_of(host), *map(address_of, ("0.0.0.0", "::"))}
    owners = {found.uid for found in report.sockets if found.remote_port is None and found.address in reached}
    return not report.complete or not owners <= {os.geteuid()}


def facts(ports: Iterable[int], report: Report, *, me: int) -> dict[int, PortFacts]:
    """Conclude from what a source reported on `ports`; if it is not complete, absence proves nothing.

    Args:
        me: the uid that counts as ours.
    """
    nothing = PortFacts(listener=Listener.NONE if report.complete else Listener.UNKNOWN)
    by_port: dict[int, list[Socket]] = {}
    for found in report.sockets:
        by_port.setdefault(found.port, []).append(found)
    return dict.fromkeys(ports, nothing) | {port: _facts_of(found, nothing, me) for port, found in by_port.items()}


def _facts_of(sockets: list[Socket], nothing: PortFacts, me: int) -> PortFacts:
    listeners = [s for s in sockets if s.remote_port is None]
    if not listeners:  # a connection that goes out from this port, or outlived its listener
        return nothing
    owners = next((found for reach in _REACHED if (found := {s.uid for s in listeners if s.address == reach})), set())
    return PortFacts(
        listener=_listener(owners, me) if owners else nothing.listener,
        bound_beyond_loopback=any(not s.address.is_loopback for s in listeners),
        peers=frozenset(s.remote_port for s in sockets if s.remote_port is not None),
        inodes=frozenset(s.inode for s in listeners),
    )


def _listener(owners: set[int | None], me: int) -> Listener:
    if owners - {me, None}:
        return Listener.FOREIGN
    return Listener.UNKNOWN if None in owners else Listener.OURS
