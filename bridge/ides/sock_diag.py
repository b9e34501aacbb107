"""Linux's own account of TCP sockets, through netlink: sock_diag(7), with the kernel's filter.

Tells what ``/proc/net/tcp`` tells in a thirtieth of its time, for nothing is printed or parsed that was not
asked for. Listeners are asked for first: their table is tiny. That of the connections has hundreds of
thousands of slots even when it is empty, so it is walked only for a port that somebody listens on, and in the
listener's address family: what an IPv6 socket accepts is an IPv6 socket, by whatever address it was reached.

A uid is given as our own user namespace sees it, as that of a file is; one without a name there is the
overflow uid (user_namespaces(7)), which is somebody else's.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from struct import Struct
from typing import Final

from bridge.ides.tcp import Report, Socket, address_of

__all__ = ["callers_of", "connections_of", "from_netlink", "parse", "request"]

# Names and numbers of linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NLM_F_REQUEST_DUMP: Final = 0x301
_INET_DIAG_REQ_BYTECODE: Final = 1
_JMP: Final = 1  # INET_DIAG_BC_JMP; _S_EQ and _D_EQ: "the local, the remote port is", since Linux 4.16
_S_EQ: Final = 11
_D_EQ: Final = 12
ESTABLISHED: Final = 1 << 1  # states as a bit mask
LISTEN: Final = 1 << 10
# And those that are being closed, or made: a server that defers accepting has a connection only when data has come.
CONNECTED: Final = ESTABLISHED | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12
_LISTENS: Final = 10

_HEADER: Final = Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
_REQUEST: Final = Struct("=BBxxI48x")  # inet_diag_req_v2: family, protocol, states, no particular socket
_ATTRIBUTE: Final = Struct("=HH")  # nlattr: length, type
_OPERATION: Final = Struct("=BBH")  # inet_diag_bc_op: code, bytes to go on if it is true, and if it is not
# inet_diag_msg: family, state, local port, remote port, local address, remote address, uid, inode
_ANSWER: Final = Struct("=BBxx2s2s16s16s24xII")
_CODE: Final = Struct("=i")  # what DONE and ERROR carry: 0 or a negated errno

PORTS_MAX: Final = 256
BATCH_BYTES: Final = 64 * 1024  # the kernel fills at most 32 KiB at once
BATCHES_MAX: Final = 1024
TIMEOUT_S: Final = 0.2  # the kernel answers while it is asked; an emulation of one may never


def from_netlink(ports: Collection[int]) -> Report:
    """List the listeners on `ports` and the connections that they accepted.

    Raises `OSError` where the kernel or a sandbox around us refuses, or answers what cannot be understood.
    """
    found: list[Socket] = []
    with _kernel() as kernel:
        for family in (socket.AF_INET, socket.AF_INET6):
            listeners = [s for s in _ask(kernel, request(family, LISTEN)) if s.port in ports]
            if listeners:
                taken = {s.port for s in listeners}
                found += [*listeners, *_ask(kernel, request(family, ESTABLISHED, taken))]
    return Report(found, complete=True)


def connections_of(port: int) -> list[Socket]:
    """List the connections whose local port is `port`, those that are being made or closed among them.

    Raises `OSError` as `from_netlink` does.
    """
    with _kernel() as kernel:
        families = (socket.AF_INET, socket.AF_INET6)
        return [found for family in families for found in _ask(kernel, request(family, CONNECTED, [port]))]


def callers_of(ports: Collection[int]) -> list[Socket]:
    """List the connections from this machine to one of `ports` of any, each with its remote address.

    Raises `OSError` as `from_netlink` does.
    """
    filtered = ports if len(ports) <= PORTS_MAX else ()  # who has more lock files than that is told of all connections
    with _kernel() as kernel:
        questions = [request(family, ESTABLISHED, filtered, _D_EQ) for family in (socket.AF_INET, socket.AF_INET6)]
        return [found for question in questions for found in _ask(kernel, question) if found.remote_port in ports]


@contextmanager
def _kernel() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(TIMEOUT_S)
        kernel.connect((0, 0))  # from now on nobody else can send us anything
        yield kernel


def request(family: int, states: int, ports: Collection[int] = (), test: int = _S_EQ) -> bytes:
    """Build the question for all sockets in one of `states` (a bit mask); only those on `ports`, if any are given.

    By `test` these are the local ones, or the remote ones.

    Raises `OSError` for more than `PORTS_MAX`: the kernel checks a filter in the square of its length.
    """
    if len(ports) > PORTS_MAX:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, states)
    if ports:
        code = _program(ports, test)
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(code), _INET_DIAG_REQ_BYTECODE) + code
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0) + body


def _program(ports: Collection[int], test: int) -> bytes:
    """Compile "the port is one of `ports`": who gets exactly to the end is in, who jumps beyond is out.

    Per port: go on to the jump behind it if the port is equal, else to the next test. A test takes two
    operations, of which the second only holds the port.
    """
    size = _OPERATION.size
    code = _OPERATION.pack(_JMP, size, 2 * size)  # no test was true: one operation too far
    for port in ports:
        tested = _OPERATION.pack(test, 2 * size, 3 * size) + _OPERATION.pack(0, 0, port)
        code = tested + _OPERATION.pack(_JMP, size, size + len(code)) + code
    return code


def _ask(kernel: socket.socket, question: bytes) -> list[Socket]:
    kernel.send(question)
    found: list[Socket] = []
    for _ in range(BATCHES_MAX):
        batch, _, flags, _ = kernel.recvmsg(BATCH_BYTES)
        if flags & socket.MSG_TRUNC:
            raise _unintelligible()
        sockets, done = parse(batch)
        found += sockets
        if done:
            return found
    raise _unintelligible()


def parse(batch: bytes) -> tuple[list[Socket], bool]:
    """Read the messages that came at once; tell whether the answer ends with them.

    Raises `OSError`: the error that the kernel reports, or `errno.EBADMSG` for what is no answer.
    """
    found: list[Socket] = []
    for kind, payload in _messages(batch):
        if kind == _SOCK_DIAG_BY_FAMILY and len(payload) >= _ANSWER.size:
            found.append(_socket(payload))
        elif kind in (_NLMSG_DONE, _NLMSG_ERROR) and len(payload) >= _CODE.size:
            (code,) = _CODE.unpack_from(payload)
            if code < 0 or kind == _NLMSG_ERROR:
                raise OSError(-code, os.strerror(-code))
            return found, True
        else:
            raise _unintelligible()
    return found, False


def _messages(batch: bytes) -> Iterator[tuple[int, bytes]]:
    """Take a batch apart: type and payload of each message."""
    at = 0
    while at < len(batch):
        rest = len(batch) - at
        length, kind = _HEADER.unpack_from(batch, at)[:2] if rest >= _HEADER.size else (0, 0)
        if not _HEADER.size <= length <= rest:
            raise _unintelligible()
        yield kind, batch[at + _HEADER.size : at + length]
        at += length + -length % 4  # NLMSG_ALIGN


def _socket(payload: bytes) -> Socket:
    family, state, port, remote_port, address, remote, uid, inode = _ANSWER.unpack_from(payload)
    length = 4 if family == socket.AF_INET else 16
    return Socket(
        address_of(address[:length]),
        int.from_bytes(port, "big"),
        None if state == _LISTENS else int.from_bytes(remote_port, "big"),
        uid,
        None if state == _LISTENS else address_of(remote[:length]),
        inode,
    )


def _unintelligible() -> OSError:
    return OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
