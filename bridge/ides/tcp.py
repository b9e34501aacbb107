"""TCP sockets of this machine, from the sources that every system has: ``/proc`` on Linux, psutil elsewhere.

Both are slow: the kernel walks all slots of its tables to print ``/proc/net/tcp``, which takes milliseconds on
an idle machine too. `bridge.ides.sock_diag` is the fast way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final, NamedTuple

import psutil

__all__ = ["Report", "Socket", "address_of", "from_proc", "from_psutil", "parse_proc_net_tcp"]

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")  # the second is absent where IPv6 is off
_LISTEN: Final = "0A"  # TCP_LISTEN and TCP_ESTABLISHED of the kernel's include/net/tcp_states.h
_ESTABLISHED: Final = "01"
_OVER: Final = frozenset({"06", "07"})  # TCP_TIME_WAIT, TCP_CLOSE: nobody's any more
_End = tuple[str, int] | tuple[()]  # as psutil gives it; empty for the far side of a listener


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP socket that listens (no remote port) or is connected."""

    address: IPv4Address | IPv6Address  # ours; an IPv4 address that is mapped into IPv6 is IPv4 here
    port: int
    remote_port: int | None
    uid: int | None  # None: the system does not say
    remote: IPv4Address | IPv6Address | None = field(default=None, compare=False)  # as far as somebody asks for it
    inode: int = field(default=0, compare=False)  # no other socket has had it lately; 0: the system does not say


class Report(NamedTuple):
    """What one source tells of the ports that were asked about."""

    sockets: list[Socket]
    complete: bool  # else a socket that is missing here may exist all the same


def address_of(packed: bytes | str) -> IPv4Address | IPv6Address:
    """Read an address of 4 or 16 bytes in network order, or as text; one that is mapped into IPv6 is IPv4."""
    address = ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address


def from_proc(ports: Collection[int], *, fleeting: bool = False) -> Report:
    """Read the kernel's tables as text. Raises `OSError` if they cannot be read."""
    texts = [Path(table).read_text("ascii") for table in _TABLES if os.path.exists(table)]
    found = [socket for text in texts for socket in parse_proc_net_tcp(text, ports, fleeting=fleeting)]
    return Report(found, complete=True)


def parse_proc_net_tcp(text: str, ports: Collection[int], *, fleeting: bool = False) -> Iterator[Socket]:
    """Find the sockets on `ports` that listen or are connected.

    Args:
        text: all of ``/proc/net/tcp`` or ``tcp6``, heading included. Columns: slot, local address and port,
            remote address and port, state, three that do not matter here, uid, one more, inode (proc_pid_net(5)).
        ports: all other lines are passed over before anything in them is understood.
        fleeting: connections that are being made or closed count too.
    """
    wanted = {f"{port:04X}" for port in ports}
    for line in text.splitlines()[1:]:
        local = line.split(None, 2)[1]
        if local[-4:] not in wanted:
            continue
        _, _, remote, state, _, _, _, uid, _, inode = line.split(None, 10)[:10]
        if state in (_LISTEN, _ESTABLISHED) or (fleeting and state not in _OVER):
            remote_port = None if state == _LISTEN else int(remote[-4:], 16)
            address = address_of(_packed(local[:-5]))
            yield Socket(address, int(local[-4:], 16), remote_port, int(uid), inode=int(inode))


def _packed(digits: str) -> bytes:
    """Read an address that the kernel printed as 32-bit words in its own byte order."""
    words = (int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
    return b"".join(word.to_bytes(4, sys.byteorder) for word in words)


def from_psutil(ports: Collection[int]) -> Report:
    """Ask about all processes; where the others are hidden (macOS), about our own, which is not complete.

    Raises `OSError` or `psutil.Error` if the system does not tell even that.
    """
    try:
        found = [_socket(c.status, c.laddr, c.raddr, _owner(c.pid)) for c in psutil.net_connections("tcp")]
        complete = True
    except psutil.AccessDenied:
        found = list(_sockets_of(os.geteuid()))
        complete = False
    return Report([s for s in found if s is not None and s.port in ports], complete)


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


def _socket(status: str, local: _End, remote: _End, uid: int | None) -> Socket | None:
    if not local or status not in (psutil.CONN_LISTEN, psutil.CONN_ESTABLISHED):
        return None
    return Socket(address_of(local[0]), local[1], remote[1] if remote else None, uid)
