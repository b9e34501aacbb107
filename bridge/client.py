"""The blocking client of the bridge: what the command line uses, and agent authors in Python.

::

    from bridge.client import Client

    with Client(name="my agent") as bridge:
        review = bridge.propose("src/app.py", new_text, title="Fix the off-by-one")
        decision = bridge.wait(review)  # hours, if need be
        if decision["files"][0]["final"] is not None:
            ...  # write it, then:
            bridge.delivered(review)

Standard library only, and little of it. It finds the daemon, or starts it. A review outlives the daemon: `wait`
and `propose` go on with the next one when it dies.
"""

from __future__ import annotations

import _socket  # what `socket` wraps: that would be a tenth of a quick command's time
import json
import os
import select
import struct
import sys
import time
from collections.abc import Callable, Mapping

from bridge.errors import (
    BadConfiguration,
    BadData,
    BridgeError,
    NotTrusted,
    StillPending,
    Unavailable,
    Usage,
    error_from_json,
)
from bridge.paths import Paths, paths

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

__all__ = ["SENT", "Client", "Silent", "Stopped"]

CALL_S = 30.0  # every answer but a human's
START_S = 20.0  # for a daemon to start on a busy machine
MOST_LINE = 63 << 20  # bytes of one request; the daemon takes a little more
_CHUNK = 1 << 16
_SHORT_LIFE_S = 5.0
_MOST_DEATHS = 5  # daemons that lived shorter than that, one after the other

# What the daemon may know of a terminal's environment; tests hold it to what `core.terminal` reads.
SENT = (
    "ANTIGRAVITY_CLI_ALIAS",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CONFIG_DIR",
    "CURSOR_TRACE_ID",
    "INSIDE_EMACS",
    "NVIM",
    "POSITRON",
    "STY",
    "TERMINAL_EMULATOR",
    "TERM_PRODUCT",
    "TERM_PROGRAM",
    "TMUX",
    "ZED_SESSION_ID",
)
# What a daemon needs that is started from here; everything else stays with whoever started it.
_INHERITED = (
    *("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "PYTHONPATH", "TZ", "USER"),
    *("USERPROFILE", "WSL_DISTRO_NAME", "WSL_INTEROP"),  # what WSL's terminals know and nothing else does
)
_INHERITED_PREFIXES = ("XDG_", "COVERAGE_")  # the second for measuring tests


class Stopped(Unavailable):
    """The user stopped the daemon; an undecided review stays in its journal."""


class Silent(Unavailable):
    """A daemon runs and does not answer; ``bridge restart`` ends it, and its reviews are safe."""


class _Lost(Exception):
    """The connection broke; another daemon may know more."""


class Client:
    """A connection to the user's daemon; a context manager.

    Args:
        name: what the human sees as the asker.
        spawn: start a daemon if none runs.
        cwd: the directory that relative paths count from, and that IDEs are matched with; default: ours.
        environ: default: ours.
        patience: seconds that a daemon has to answer a new connection; default 30.

    `daemon_pid` is the daemon's PID as the kernel knows it: None before we are connected, 0 where the kernel does
    not say, or where the daemon is in a PID namespace that cannot be seen from here.

    Every method raises `BridgeError` with a hint of what to do; `Unavailable` when there is no daemon.
    """

    def __init__(
        self,
        *,
        name: str = "",
        spawn: bool = True,
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
        patience: float = CALL_S,
    ) -> None:
        self.daemon_pid: int | None = None
        self._environ: Mapping[str, str] = dict(os.environ if environ is None else environ)
        self._cwd = _cwd() if cwd is None else cwd
        self._name = name
        self._spawn = spawn
        self._patience = patience
        self._paths = paths(self._environ)
        self._socket: _socket.socket | None = None
        self._buffer = bytearray()
        self._count = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; undecided reviews stay."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer.clear()

    # ---- for agents

    def open_file(
        self, path: str, line: int | None = None, column: int | None = None, *, ide: str | None = None
    ) -> dict[str, Any]:
        """Open a file in the IDE that the user works in.

        Args:
            path: relative to `cwd`, or absolute.
            line, column: 1-based.
            ide: a port, or the beginning of an IDE's name; default: the daemon chooses.

        Returns ``ide`` (name), ``port``, and ``positioned``: whether the IDE went to the line.
        Raises `BadData` when there is no such file, `Unavailable` when no IDE can be used.
        """
        result: dict[str, Any] = self.request("open", {"path": path, "line": line, "column": column, "ide": ide})
        return result

    def call_tool(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        path: str | None = None,
        file: str | None = None,
        ide: str | None = None,
    ) -> dict[str, Any]:
        """Call one of the IDE's own tools (``getDiagnostics``, ``getCurrentSelection``, …).

        Args:
            arguments: as the IDE's plugin names them; paths in them are absolute.
            path: a file whose IDE is meant; default: the one for `cwd`.
            file: the one file that the tool is about, relative to `cwd` or absolute, in place of `arguments` and
                `path`: the daemon knows what the plugin calls that argument.
            ide: a port, or the beginning of an IDE's name; default: the daemon chooses.

        Returns the tool's MCP result as the IDE gave it, with our names for its files.
        """
        params = {"tool": tool, "arguments": dict(arguments or {}), "path": path, "file": file, "ide": ide}
        result: dict[str, Any] = self.request("call", params)
        return result

    def is_dirty(self, path: str) -> bool | None:
        """Tell whether an IDE has unsaved changes in the file; None: no IDE has it open, or none is there."""
        dirty: bool | None = self.request("dirty", {"path": path})["dirty"]
        return dirty

    def propose(
        self,
        path: str,
        proposed: str,
        *,
        title: str = "",
        request_key: str | None = None,
        surface: str = "auto",
        ide: str | None = None,
        base: str | None = None,
        supersedes: str | None = None,
    ) -> str:
        """Show the human a change and return the review's id at once; the file is not touched.

        Args:
            proposed: the whole new text.
            title: one line for the human.
            request_key: your own name for this proposal: the same key with the same change joins the same
                review, also after a crash of yours. Another change under the same key is a `Conflict`.
            surface: ``auto`` (an IDE, else the page), ``ide`` or ``page``.
            base: the text to compare with; default: what is on disk.
            supersedes: the id of an undecided review that this one replaces.

        Raises `BadData` for binary files and for a change that changes nothing.
        """
        params = {
            "files": [{"path": path, "proposed": proposed, "base": base}],
            "title": title,
            "request_key": request_key or os.urandom(16).hex(),  # so that asking again is harmless
            "surface": surface,
            "ide": ide,
            "supersedes": supersedes,
        }
        review_id: str = self._insist("review/propose", params)["id"]
        return review_id

    def wait(
        self,
        review_id: str,
        timeout: float | None = None,
        *,
        on_surface: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Wait until the review has ended, and return how.

        Args:
            timeout: seconds; None waits for as long as the human takes.
            on_surface: is told where the review is shown, now and whenever that changes: ``surface`` (``ide``,
                ``queued``, ``page`` or None), ``ide`` (name), ``reason``.

        Returns ``outcome``, ``trigger``, ``comments`` and ``files``, each with ``path``, ``edited`` and
        ``final``, the text to write (None unless accepted).
        Raises `StillPending` at the time-out: the review stays. `Stopped` when the user stopped the bridge.
        """

        def notified(method: str, params: dict[str, Any]) -> None:
            if method == "review/surface" and params.get("id") == review_id and on_surface is not None:
                on_surface(params)

        deadline = None if timeout is None else time.monotonic() + timeout
        deaths = 0
        while True:
            begun = time.monotonic()
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            patience = None if left is None else left + CALL_S
            try:
                result: dict[str, Any] = self._exchange(
                    "review/wait", {"id": review_id, "timeout": left}, patience, notified
                )
            except _Lost as exc:
                deaths = deaths + 1 if time.monotonic() - begun < _SHORT_LIFE_S else 1
                if left == 0.0:
                    raise StillPending(
                        f"review {review_id} is still undecided", f"bridge review wait {review_id}"
                    ) from None
                if deaths > _MOST_DEATHS:
                    raise Unavailable(f"the bridge dies again and again: {exc}", "bridge logs") from None
                continue
            return result

    def cancel(self, review_id: str) -> dict[str, Any]:
        """End an undecided review; one that has ended stays as it is. Returns how it ended."""
        result: dict[str, Any] = self._insist("review/cancel", {"id": review_id})
        return result

    def delivered(self, review_id: str) -> None:
        """Acknowledge the decision: the file is written, or need not be."""
        self._insist("review/delivered", {"id": review_id})

    def status(self) -> dict[str, Any]:
        """Return what the daemon sees; the shape is `bridge.core.status.Status`."""
        result: dict[str, Any] = self.request("status")
        return result

    # ---- requests

    def request(self, method: str, params: Mapping[str, Any] | None = None, timeout: float = CALL_S) -> Any:
        """Ask the daemon and return its answer. Raises `Unavailable` when it goes away meanwhile."""
        try:
            return self._exchange(method, params or {}, timeout, None)
        except _Lost as exc:
            raise Unavailable(f"the bridge went away: {exc}", "try again; bridge logs tells why") from None

    def _insist(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask what may be asked again; once more if the daemon dies."""
        try:
            return self._exchange(method, params, CALL_S, None)
        except _Lost:
            return self.request(method, params)

    def _exchange(
        self,
        method: str,
        params: Mapping[str, Any],
        timeout: float | None,
        notified: Callable[[str, dict[str, Any]], None] | None,
    ) -> Any:
        try:
            return self._ask(self._connect(), method, params, timeout, notified)
        except TimeoutError:
            self.close()
            raise Silent(f"the bridge does not answer {method}", "bridge restart") from None
        except OSError as exc:
            self.close()
            raise _Lost(str(exc)) from exc
        except (KeyboardInterrupt, Stopped):  # what may still come answers nobody's next request
            self.close()
            raise

    def _ask(
        self,
        connection: _socket.socket,
        method: str,
        params: Mapping[str, Any],
        timeout: float | None,
        notified: Callable[[str, dict[str, Any]], None] | None,
    ) -> Any:
        self._count += 1
        mine = self._count
        connection.settimeout(CALL_S)
        line = _line(mine, method, params)
        if len(line) > MOST_LINE:
            raise BadData("the change is too large for a review", "propose it in parts")
        connection.sendall(line)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            message = self._read(connection, deadline)
            if message.get("id") == mine and "method" not in message:
                return _result(message)
            _notice(message, notified)

    def _read(self, connection: _socket.socket, deadline: float | None) -> dict[str, Any]:
        while (end := self._buffer.find(b"\n")) < 0:
            connection.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
            chunk = connection.recv(_CHUNK)
            if not chunk:
                raise ConnectionResetError("it closed the connection")
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def wait_for_end(self, timeout: float = CALL_S) -> None:
        """Wait until the daemon has closed this connection. Raises `Unavailable` when it does not."""
        if self._socket is None:
            return
        try:
            while True:
                self._read(self._socket, time.monotonic() + timeout)
        except TimeoutError:
            raise Unavailable("the bridge does not end", "bridge logs") from None
        except OSError:
            self.close()

    # ---- finding and starting the daemon

    def _connect(self) -> _socket.socket:
        if self._socket is None:
            connection = self._dial()
            if connection is None and self._spawn:
                start(self._paths, self._environ)
                connection = self._dial()
            if connection is None:
                raise Unavailable("the bridge is not running", "bridge up")
            self._socket = connection
            self._buffer.clear()
            try:
                self._ask(connection, "hello", self._hello(), self._patience, None)
            except BridgeError:
                self.close()  # it does not know who we are
                raise
        return self._socket

    def _hello(self) -> dict[str, Any]:
        seen, terminal = self._environ, None
        if "TMUX" in seen:
            from bridge.tmux import look_through  # lazily: most are not in tmux

            seen, terminal = look_through(seen)
        environ = {name: seen[name] for name in SENT if name in seen}
        hello = {"cwd": self._cwd, "environ": environ, "name": self._name}
        return hello if terminal is None else {**hello, "terminal_pid": terminal}

    def _dial(self) -> _socket.socket | None:
        """Connect to the daemon that announced itself; None when none answers."""
        address = read_address(self._paths)
        if address is None:
            return None
        connection = _socket.socket(_socket.AF_UNIX)
        try:
            connection.settimeout(self._patience)
            connection.connect(address["socket"])
            self.daemon_pid = _check_peer(connection)
        except OSError:
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise
        return connection


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise Usage("the working directory is gone", "cd to one that exists") from None


def _line(id_: int, method: str, params: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n"


def _result(message: dict[str, Any]) -> Any:
    if "error" in message:
        raise error_from_json(message["error"])
    return message["result"]


def _notice(message: dict[str, Any], notified: Callable[[str, dict[str, Any]], None] | None) -> None:
    method, params = message.get("method"), message.get("params", {})
    if method == "daemon/stopping":
        if params.get("restart"):
            raise ConnectionResetError("it is being restarted")
        raise Stopped("the bridge was stopped", "its reviews stay: bridge review ls")
    if notified is not None and isinstance(method, str):
        notified(method, params)


def _check_peer(connection: _socket.socket) -> int:
    """Refuse a daemon that is somebody else's; where the kernel does not say, the directory's mode must do.

    Returns its PID, or 0.
    """
    if sys.platform != "linux":
        return 0
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
    if uid != os.getuid():
        raise NotTrusted(
            f"the daemon's socket belongs to user {uid}", f"rm '{connection.getpeername()}', then bridge up"
        )
    return int(pid)


def read_address(places: Paths) -> dict[str, Any] | None:
    """Read what the running daemon says of itself: ``socket``, ``pid``, ``version``, ``started``."""
    try:
        with open(places.address, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                raise NotTrusted(f"{places.address} belongs to somebody else", "remove it, then bridge up")
            address = json.load(file)
    except (OSError, ValueError):
        return None
    return address if isinstance(address, dict) and isinstance(address.get("socket"), str) else None


def start(places: Paths, environ: Mapping[str, str]) -> dict[str, Any]:
    """Start a daemon in a session of its own, in ``/``, and wait until clients may connect.

    It runs in UTF-8 mode: names come from terminals with any locale, and the first one's must not bind the rest.
    Returns what it said: ``already`` is true when another one ran. Raises what kept it from starting.
    """
    kept = {
        name: value for name, value in environ.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    if "PYTHONPATH" in kept:  # like -P below: the directory that we stand in may be a hostile repository
        kept["PYTHONPATH"] = os.pathsep.join(p for p in kept["PYTHONPATH"].split(os.pathsep) if p.startswith("/"))
    reader, writer = os.pipe()
    with open(reader, "rb") as said:
        try:
            os.set_inheritable(writer, True)
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-X", "utf8", "-m", "bridge.daemon", str(writer)],
                kept,
                file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)],
            )
        except OSError as exc:
            raise BadConfiguration(f"cannot start {sys.executable}: {exc.strerror}", "install the bridge anew") from exc
        finally:
            os.close(writer)
        os.waitpid(pid, 0)  # it leaves the daemon behind at once
        ready, _, _ = select.select([said], [], [], START_S)
        line = said.readline() if ready else b""
    if not line:
        raise Unavailable("the bridge did not start", f"look into {places.log}, or try bridge up --foreground")
    message: dict[str, Any] = json.loads(line)
    if not message.get("ok"):
        raise error_from_json(message["error"])
    return message
