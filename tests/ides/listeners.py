"""Real listeners and connections on 127.0.0.1, of our own and of another user."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STRANGER = 65534

_LISTEN_AS = """
import os, socket, sys
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
listener = socket.create_server((sys.argv[2], 0))
if sys.argv[3:]:
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, int(sys.argv[3]))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, dualstack_ipv6=":" in host) as listener:
        yield listener


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@contextmanager
def connected(listener: socket.socket, host: str = "127.0.0.1") -> Iterator[int]:
    """Connect to `host`, accept, and give the client's own port."""
    with socket.create_connection((host, port_of(listener))) as client:
        accepted, _ = listener.accept()
        with accepted:
            yield port_of(client)


@contextmanager
def stranger_listening(host: str = "127.0.0.1", *options: str) -> Iterator[int]:
    """Give the port of an IPv4 listener that belongs to another user; needs root.

    `options`: for how many seconds it accepts no connection on which nothing has come, if for any.
    """
    command = [sys.executable, "-I", "-S", "-c", _LISTEN_AS, str(STRANGER), host, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate(timeout=10)
