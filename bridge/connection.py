"""A connection to the daemon: what it takes to get one, and to ask on it. Standard library only, and little of it."""

from __future__ import annotations

import _socket  # what `socket` wraps: that would be a tenth of a quick command's time
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence

from bridge import __version__
from bridge.errors import BadData, Outdated, Unavailable, Usage, error_from_json
from bridge.finding import dial, start
from bridge.paths import paths

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

    Notified = Callable[[str, dict[str, Any]], None]

__all__ = ["CALL_S", "SENT", "Caller", "Daemon", "Lost", "Silent", "Stopped", "Wire", "encode", "heard", "result_of"]

CALL_S = 30.0  # every answer but a human's
MOST_LINE = 63 << 20  # bytes of one request; the daemon takes a little more
_CHUNK = 1 << 16
_MOST_GREETINGS = 3  # of daemons that leave just then

# The capability that a method needs is the first part of its name, but for these.
_NEEDS = {"hello": "", "daemon/stop": "", "daemon/replace": "replace", "review/link": "page"}

# What the daemon may know of a terminal's environment; tests hold it to what `core.terminal` reads.
SENT = (
    "ANTIGRAVITY_CLI_ALIAS",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CONFIG_DIR",
    "CURSOR_TRACE_ID",
    "GEMINI_CLI_IDE_SERVER_PORT",
    "INSIDE_EMACS",
    "NVIM",
    "POSITRON",
    "QWEN_CODE_IDE_SERVER_PORT",
    "STY",
    "TEMP",
    "TERMINAL_EMULATOR",
    "TERM_PRODUCT",
    "TERM_PROGRAM",
    "TMP",
    "TMPDIR",
    "TMUX",
    "ZED_SESSION_ID",
)


class Stopped(Unavailable):
    """The user stopped the daemon; an undecided review stays in its journal."""


class Silent(Unavailable):
    """A daemon runs and does not answer; ``bridge restart`` ends it, and its reviews are safe."""


class Lost(Exception):
    """The connection broke; another daemon may know more."""


class Caller:
    """Who asks, and the way from there to the daemon; shared by the blocking client and the asyncio one.

    `daemon_pid` is the daemon's PID as the kernel knows it (on TCP: as the daemon wrote it down): None before we are
    connected, 0 where the kernel does not say, or where the daemon is in a PID namespace that cannot be seen from here.
    """

    def __init__(
        self, name: str, spawn: bool, cwd: str | None, environ: Mapping[str, str] | None, patience: float
    ) -> None:
        self.daemon_pid: int | None = None
        self._environ = dict(os.environ if environ is None else environ)
        self._cwd = _cwd() if cwd is None else cwd
        self._name = name
        self._spawn = spawn
        self._patience = patience
        self._paths = paths(self._environ)

    def connect(self) -> Wire:
        """Find the daemon, or start it, and say hello; one that is older and idle is replaced by one of our version.

        Raises `Unavailable` when there is none, and what the daemon refuses with.
        """
        wire = self._greet()
        if self._spawn and wire.daemon.is_replaceable and self._replace(wire):
            wire.close()
            wire = self._greet()
        return wire

    def _greet(self, left: int = _MOST_GREETINGS) -> Wire:
        """Say hello. A daemon that leaves just then has begun nothing for us: the next one is asked."""
        wire = self._reach()
        try:
            wire.daemon = Daemon(wire.ask("hello", self._hello(), self._patience))
        except BaseException as exc:
            wire.close()  # it does not know who we are
            if isinstance(exc, ConnectionError) and left > 1:
                return self._greet(left - 1)
            raise
        return wire

    def _replace(self, wire: Wire) -> bool:
        """Ask an older daemon to make room; tell whether it does, which it decides: only one that is idle."""
        try:
            answer = wire.ask("daemon/replace", {"version": __version__}, self._patience)
            if not answer["replacing"]:
                wire.daemon.sessions = answer["sessions"]
                return False
            wire.wait_for_end(self._patience)
        except ConnectionError:
            return True
        except BaseException:
            wire.close()
            raise
        return True

    def _reach(self) -> Wire:
        found = dial(self._paths, self._patience)
        if found is None and self._spawn:
            start(self._paths, self._environ)
            found = dial(self._paths, self._patience)
        if found is None:
            raise Unavailable("the bridge is not running", "bridge up")
        connection, self.daemon_pid = found
        return Wire(connection)

    def _hello(self) -> dict[str, Any]:
        seen: Mapping[str, str] = self._environ
        terminal = None
        if "TMUX" in seen:
            from bridge.tmux import look_through  # lazily: most are not in tmux

            seen, terminal = look_through(seen)
        environ = {name: seen[name] for name in SENT if name in seen}
        hello = {"cwd": self._cwd, "environ": environ, "name": self._name, "version": __version__}
        return hello if terminal is None else {**hello, "terminal_pid": terminal}


class Daemon:
    """What the daemon answered to ``hello``: its version, and what it can do."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self.version: str = about.get("version", "")
        self.capabilities: Sequence[str] | None = about.get("capabilities")  # None: it does not say
        self.sessions = 0  # other ones, for which it would not make room

    @property
    def is_replaceable(self) -> bool:
        """Whether it is older than we are, and can make room for one of our version."""
        if self.version == __version__ or "replace" not in (self.capabilities or ()):
            return False
        from bridge.versions import newer  # only who meets another version pays for it

        return newer(__version__, self.version)

    def can(self, capability: str) -> bool:
        """Tell whether it has a capability; one that does not say is believed to have all."""
        return self.capabilities is None or capability in self.capabilities

    def require(self, method: str) -> None:
        """Raise `Outdated` for a method that this daemon does not have."""
        needed = _NEEDS.get(method, method.partition("/")[0])
        if not needed or self.can(needed):
            return
        from bridge.versions import newer, restart

        if newer(self.version, __version__):
            raise Outdated(f"the running bridge is newer ({self.version}) and cannot do this", "upgrade this one")
        raise Outdated(f"the running bridge is older ({self.version}) and cannot do this", restart(self.sessions))


class Wire:
    """One connection to a daemon, with one request at a time; what fails is an `OSError`."""

    def __init__(self, connection: _socket.socket) -> None:
        self.daemon = Daemon({})
        self._socket = connection
        self._buffer = bytearray()
        self._count = 0

    def close(self) -> None:
        """Leave; undecided reviews stay."""
        self._socket.close()

    def fileno(self) -> int:
        """The connection's file descriptor."""
        return self._socket.fileno()

    def detach(self) -> tuple[int, bytes]:
        """Give the connection away: its file descriptor, and what was read from it and belongs to no answer."""
        return self._socket.detach(), bytes(self._buffer)

    def ask(
        self, method: str, params: Mapping[str, Any], timeout: float | None, notified: Notified | None = None
    ) -> Any:
        """Ask and wait for the answer; `notified` is told what comes out of turn.

        Raises what the daemon refuses with, `Outdated`, `Stopped` when it leaves for good, `TimeoutError`, and
        `ConnectionError` when it goes away.
        """
        self.daemon.require(method)
        self._count += 1
        line = encode(self._count, method, params)
        self._socket.settimeout(CALL_S)
        self._socket.sendall(line)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            message = self.read(deadline)
            if message.get("id") == self._count and "method" not in message:
                return result_of(message)
            heard(message, notified)

    def wait_for_end(self, timeout: float) -> None:
        """Wait until the daemon has closed this connection; raises `TimeoutError`."""
        try:
            while True:
                self.read(time.monotonic() + timeout)
        except ConnectionError:
            return

    def read(self, deadline: float | None) -> dict[str, Any]:
        """Wait for one message, until the monotonic clock shows `deadline`."""
        while (end := self._buffer.find(b"\n")) < 0:
            self._socket.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise ConnectionResetError("it closed the connection")
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message


def encode(id_: int, method: str, params: Mapping[str, Any]) -> bytes:
    """Write a request as the line that it is. Raises `BadData` for one that is too long."""
    line = json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n"
    if len(line) > MOST_LINE:
        raise BadData("the change is too large for a review", "propose it in parts")
    return line


def result_of(message: dict[str, Any]) -> Any:
    """Read an answer; raises what it refuses with."""
    if "error" in message:
        raise error_from_json(message["error"])
    return message["result"]


def heard(message: dict[str, Any], notified: Notified | None) -> None:
    """Pass on what the daemon says out of turn; raises what it means that the daemon leaves."""
    method, params = message.get("method"), message.get("params", {})
    if method == "daemon/stopping":
        if params.get("restart"):
            raise ConnectionResetError("it is being restarted")
        raise Stopped("the bridge was stopped", "its reviews stay: bridge review ls")
    if notified is not None and isinstance(method, str):
        notified(method, params)


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise Usage("the working directory is gone", "cd to one that exists") from None
