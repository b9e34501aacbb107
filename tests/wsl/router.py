"""The router of the local network, as a process: ``python -m tests.wsl.router DIR``.

Whoever dials it, on any port, is let in and told nothing. It writes down everything: in ``DIR/frames`` what came
over the wire, whole frames, by AF_PACKET (packet(7)); in ``DIR/calls`` a line for each connection, the port that was
dialled and what was said on it, in hexadecimal. Says ``ready`` when it listens. The end of stdin ends it.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from pathlib import Path
from typing import TextIO

SINK = 9  # the discard port (RFC 863); nft redirects all others to it
_EVERY_PROTOCOL = 3  # ETH_P_ALL
_ORIGINAL_DESTINATION = 80  # SO_ORIGINAL_DST of linux/netfilter_ipv4.h
_SO_RCVBUFFORCE = 33


def main() -> None:
    """Listen and write down until stdin ends."""
    directory = Path(sys.argv[1])
    with (
        (directory / "frames").open("ab", buffering=0) as frames,
        (directory / "calls").open("a", encoding="ascii", buffering=1) as calls,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL)) as wire,
        socket.create_server(("0.0.0.0", SINK)) as listener,
        selectors.DefaultSelector() as ready,
    ):
        wire.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 2**24)
        for source in (sys.stdin, wire, listener):
            ready.register(source, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in ready.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is wire:
                    frames.write(wire.recv(65536))
                elif key.fileobj is listener:
                    caller, _ = listener.accept()
                    ready.register(caller, selectors.EVENT_READ, _dialled(caller))
                    calls.write(f"{_dialled(caller)} \n")
                else:
                    _hear(key, ready, calls)


def _hear(key: selectors.SelectorKey, ready: selectors.BaseSelector, calls: TextIO) -> None:
    assert isinstance(key.fileobj, socket.socket)
    try:
        said = key.fileobj.recv(65536)
    except OSError:
        said = b""
    if said:
        calls.write(f"{key.data} {said.hex()}\n")
    else:
        ready.unregister(key.fileobj)
        key.fileobj.close()


def _dialled(caller: socket.socket) -> int:
    """Give the port that was dialled, before it was redirected here."""
    address = caller.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16)
    port: int = struct.unpack_from("!2xH", address)[0]
    return port


if __name__ == "__main__":
    main()
