"""A listening socket on this machine's loopback, for whatever the daemon serves over TCP."""

from __future__ import annotations

import socket
from typing import Final

__all__ = ["HOST", "listen"]

HOST: Final = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Listen on `port` of this machine only, 0 for any; connections wait until somebody accepts them.

    Raises `OSError` when another program has the port.
    """
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past TIME_WAIT, not past a listener
        listener.bind((HOST, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
