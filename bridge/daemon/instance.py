"""One daemon per user: the instance lock, the socket, and what the daemon says of itself on disk."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from bridge.errors import BadConfiguration, BridgeError, Unavailable
from bridge.finding import dial
from bridge.listening import HOST, listen
from bridge.paths import Paths, make_private, socket_path
from bridge.proof import new_secret

__all__ = ["AlreadyRunning", "Instance", "claim", "write_private"]

_PATIENCE_S = 10.0  # a daemon that is coming or going, on a busy machine
_PAUSE_S = 0.05
_ANSWER_S = 1.0


class AlreadyRunning(BridgeError):
    """Another daemon of this user runs; not an error for who only wanted one to run."""


class Instance:
    """The claim to be this user's daemon."""

    def __init__(self, paths: Paths, address: str, listener: socket.socket, token: str | None) -> None:
        self.paths = paths
        self.address = address  # a path; on TCP 127.0.0.1:<port>
        self.listener = listener
        self.token = token  # on TCP: what clients must prove to know

    def announce(self, about: Mapping[str, object]) -> None:
        """Write ``daemon.json``, by which clients find the socket."""
        known = {} if self.token is None else {"token": self.token}
        write_private(self.paths.address, json.dumps({"socket": self.address, **known, **about}).encode())


@contextmanager
def claim(paths: Paths, environ: Mapping[str, str], *, tcp: bool = False) -> Iterator[Instance]:
    """Become this user's only daemon, with its socket bound; give everything back at the end.

    The lock decides: who holds it may replace a socket file that nobody answers on, and nobody else touches
    one. A daemon that is on its way in or out is waited for. With `tcp` the socket is a port of 127.0.0.1.

    Raises:
        AlreadyRunning: another daemon holds the lock, or answers.
        Unavailable: another daemon holds the lock and cannot be found.
        NotTrusted: a directory belongs to somebody else or may be entered by others.
        BadConfiguration: a directory cannot be made, or the socket not be bound.
    """
    os.umask(0o077)
    make_private(paths.state)
    lock = FileLock(paths.lock, mode=0o600)
    _acquire(lock, paths)
    try:
        instance = _listen_on_tcp(paths) if tcp else _listen(paths, environ)
        try:
            yield instance
        finally:
            instance.listener.close()
            for name in (paths.address,) if tcp else (instance.address, paths.address):
                with suppress(OSError):
                    os.unlink(name)
    finally:
        lock.release()


def _listen(paths: Paths, environ: Mapping[str, str]) -> Instance:
    address = socket_path(environ, paths.state)
    make_private(os.path.dirname(address))
    if _takes_connections(address) or _answers(paths):
        raise _without_lock()
    return Instance(paths, address, _bind(address), None)


def _listen_on_tcp(paths: Paths) -> Instance:
    if _answers(paths):
        raise _without_lock()
    try:
        listener = listen(0)
    except OSError as exc:
        raise BadConfiguration(f"cannot listen on {HOST}: {exc.strerror}", "bridge doctor") from exc
    return Instance(paths, f"{HOST}:{listener.getsockname()[1]}", listener, new_secret())


def _without_lock() -> AlreadyRunning:
    return AlreadyRunning("the bridge is already running, although its lock file was removed")


def _acquire(lock: FileLock, paths: Paths) -> None:
    """Take the lock; while another daemon has it and does not answer, that one is coming or going."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if _answers(paths):
                raise AlreadyRunning("the bridge is already running") from None
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"a bridge holds {paths.lock}, but {paths.address} does not say where it answers",
                    f"end the process that fuser '{paths.lock}' names, then bridge up",
                ) from None
            time.sleep(_PAUSE_S)
        else:
            return


def _answers(paths: Paths) -> bool:
    """Tell whether the daemon that announced itself last takes connections; on TCP also whether it is that one."""
    found = dial(paths, _ANSWER_S)
    if found is not None:
        found[0].close()
    return found is not None


def _takes_connections(address: str) -> bool:
    """Tell whether somebody answers at that path."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ANSWER_S)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def _bind(address: str) -> socket.socket:
    """Bind the socket; a file in the way was left by a daemon that died, since we hold the lock."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            os.unlink(address)
        listener.bind(address)
        os.chmod(address, 0o600)
        listener.listen(128)
    except OSError as exc:
        listener.close()
        raise BadConfiguration(f"cannot bind {address}: {exc.strerror}", "bridge doctor") from exc
    listener.setblocking(False)
    return listener


def write_private(path: str, data: bytes) -> None:
    """Write a file whole, with mode 0600."""
    fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
