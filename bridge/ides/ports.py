"""Who listens on a port of ours, and who is connected to it.

The owner of the listener is what makes sending a token safe (docs/protocol.md "Lock file admission"): on a
dead IDE's port another user may listen. We dial 127.0.0.1 and nothing else, so only listeners that such a
connection can reach count, and one foreign among them is enough to refuse.

Linux tells everything in ``/proc/net/tcp`` and ``tcp6``, in a few milliseconds for thousands of connections.
Elsewhere psutil does, if the system lets us; where it does not, our own processes at least can be asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

import psutil

from bridge.core.selection import Listener

__all__ = ["PortFacts", "Socket", "parse_proc_net_tcp", "snapshot"]

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")  # the second is absent where IPv6 is off
_LISTEN: Final = "0A"  # TCP_LISTEN and TCP_ESTABLISHED of the kernel's include/net/tcp_states.h
_ESTABLISHED: Final = "01"
_REACHED: Final = frozenset(map(ip_address, ("127.0.0.1", "0.0.0.0", "::")))  # by dialling 127.0.0.1
_Address = tuple[str, int] | tuple[()]  # as psutil gives it; empty for the far side of a listener


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP socket that listens (no remote port) or is connected."""

    address: IPv4Address | IPv6Address  # ours; an IPv4 address that is mapped into IPv6 is IPv4 here
    port: int
    remote_port: int | None
    uid: int | None  # None: the system does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """What is known of one port."""

    listener: Listener = Listener.NONE
    bound_beyond_loopback: bool = False  # other machines may reach it
    peers: frozenset[int] = frozenset()  # remote ports of the connections that were accepted here

    def occupied(self, ours: Collection[int]) -> bool:
        """Say whether somebody is connected whose own port is not among `ours`."""
        return not self.peers <= frozenset(ours)


def snapshot(ports: Collection[int]) -> dict[int, PortFacts]:
    """Give the facts of every port in `ports`, as of now; never raises, at worst nothing is known."""
    if not ports:
        return {}
    try:
        sockets, complete = _from_proc(ports) if sys.platform == "linux" else _from_psutil(ports)
    except (OSError, psutil.Error):
        sockets, complete = [], False
    return facts(ports, sockets, complete=complete, me=os.geteuid())


def facts(ports: Iterable[int], sockets: Iterable[Socket], *, complete: bool, me: int) -> dict[int, PortFacts]:
    """Conclude from `sockets`; if they are not `complete`, absence proves nothing."""
    by_port: dict[int, list[Socket]] = {port: [] for port in ports}
    for found in sockets:
        by_port[found.port].append(found)
    return {port: _facts_of(found, complete, me) for port, found in by_port.items()}


def _facts_of(sockets: list[Socket], complete: bool, me: int) -> PortFacts:
    listeners = [s for s in sockets if s.remote_port is None]
    return PortFacts(
        listener=_listener({s.uid for s in listeners if s.address in _REACHED}, complete, me),
        bound_beyond_loopback=any(not s.address.is_loopback for s in listeners),
        peers=frozenset(s.remote_port for s in sockets if s.remote_port is not None),
    )


def _listener(owners: set[int | None], complete: bool, me: int) -> Listener:
    if owners - {me, None}:
        return Listener.FOREIGN
    if None in owners:
        return Listener.UNKNOWN
    if owners:
        return Listener.OURS
    return Listener.NONE if complete else Listener.UNKNOWN


def _from_proc(ports: Collection[int]) -> tuple[list[Socket], bool]:
    texts = [Path(table).read_text("ascii") for table in _TABLES if os.path.exists(table)]
    return [found for text in texts for found in parse_proc_net_tcp(text, ports)], True


def parse_proc_net_tcp(text: str, ports: Collection[int]) -> Iterator[Socket]:
    """Find the sockets on `ports` that listen or are connected.

    Args:
        text: all of ``/proc/net/tcp`` or ``tcp6``, heading included. Columns: slot, local address and port,
            remote address and port, state, three that do not matter here, uid (proc_pid_net(5)).
        ports: all other lines are passed over before anything in them is understood.
    """
    wanted = {f"{port:04X}" for port in ports}
    for line in text.splitlines()[1:]:
        local = line.split(None, 2)[1]
        if local[-4:] not in wanted:
            continue
        _, _, remote, state, _, _, _, uid = line.split(None, 8)[:8]
        if state in (_LISTEN, _ESTABLISHED):
            remote_port = None if state == _LISTEN else int(remote[-4:], 16)
            yield Socket(_address(local[:-5]), int(local[-4:], 16), remote_port, int(uid))


def _address(digits: str) -> IPv4Address | IPv6Address:
    """Read an address that the kernel printed as 32-bit words in its own byte order."""
    words = (int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
    return _unmapped(ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words)))


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def _from_psutil(ports: Collection[int]) -> tuple[list[Socket], bool]:
    """Ask about all processes; where the others are hidden (macOS), about our own, which is not complete."""
    try:
        found = [_socket(c.status, c.laddr, c.raddr, _owner(c.pid)) for c in psutil.net_connections("tcp")]
        complete = True
    except psutil.AccessDenied:
        found = list(_sockets_of(os.geteuid()))
        complete = False
    return [s for s in found if s is not None and s.port in ports], complete


def _sockets_of(uid: int) -> Iterator[Socket | None]:
    for process in psutil.process_iter():
        try:
            if process.uids().effective == uid:
                yield from (_socket(c.status, c.laddr, c.raddr, uid) for c in process.net_connections("tcp"))
        except psutil.Error:  # it left, or the system hides it from us after all
            continue


def _owner(pid: int | None) -> int | None:
    try:
        return None if pid is None else psutil.Process(pid).uids().effective
    except psutil.Error:
        return None


def _socket(status: str, local: _Address, remote: _Address, uid: int | None) -> Socket | None:
    if not local or status not in (psutil.CONN_LISTEN, psutil.CONN_ESTABLISHED):
        return None
    return Socket(_unmapped(ip_address(local[0])), local[1], remote[1] if remote else None, uid)
