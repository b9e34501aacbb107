"""Forwards MCP between an agent, on two file descriptors, and the daemon. Standard library only, and little of it.

Lines cross as they are. What the daemon has not answered yet is remembered, so that its end is none of the agent's
business: the next daemon is told once more how the agent said hello (``initialize``, in the protocol's older era), and
asked again. All tools of the daemon may be called again.
"""

from __future__ import annotations

import _socket  # what `socket` wraps: that would be a tenth of a quick command's time
import json
import os
import select
import time
from collections.abc import Callable

from bridge.asking import Deaths
from bridge.connection import CALL_S, Caller
from bridge.errors import BridgeError, Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Forwarder"]

MOST_LINE = 63 << 20  # bytes; the daemon takes a little more
MOST_BEHIND = 1 << 20  # bytes that one side has not taken, until no more is read from the other
LAST_WORDS_S = 1.0  # for answers that are on their way when the agent has closed its end
FIRST_WORDS_S = 5.0  # for the agent's first request, where all that it gets is an error
_CHUNK = 1 << 16
_AGAIN = "bridge: initialize again"  # an id that no agent gives
_NO_SERVICE, _TOO_LONG = -32603, -32600  # JSON-RPC: internal error, invalid request


class Forwarder:
    """One agent's connection.

    Args:
        caller: the way to the daemon.
        source, sink: file descriptors: where the agent's messages come from, and where the daemon's go.
        lead: opens a file in the human's browser; it leads to the page of a review.
    """

    def __init__(self, caller: Caller, source: int, sink: int, lead: Callable[[str], None]) -> None:
        self._caller = caller
        self._source = source
        self._sink = sink
        self._lead = lead
        self._led: set[str] = set()  # reviews
        self._deaths = Deaths()
        self._wire: _socket.socket | None = None
        self._stopped = False  # the user stopped the daemon: nothing starts another one but the agent's next request
        self._asked, self._told = Lines(), Lines()  # what comes from the agent, and from the daemon
        self._up, self._down = bytearray(), bytearray()  # what goes to the daemon, and to the agent
        self._open: dict[str, bytes] = {}  # requests without an answer, by id
        self._initialize: tuple[str, bytes] | None = None  # the request, by id
        self._initialized = b""

    def run(self) -> None:
        """Forward until the agent closes its end. Raises what keeps us from the daemon at the beginning."""
        try:
            self._connect()
        except BridgeError as error:
            self._fail(error)
            raise
        try:
            while self._take():
                pass
            self._finish()
        finally:
            self._close()

    # ---- the daemon

    def _connect(self) -> None:
        """Find the daemon, or start it, and say again what it must know."""
        fd, left = self._begin()
        self._wire = _socket.socket(fileno=fd)
        self._wire.setblocking(False)
        self._stopped = False
        self._told = Lines()
        self._up = bytearray()
        if self._initialize is not None and self._initialize[0] not in self._open:
            again = json.loads(self._initialize[1]) | {"id": _AGAIN}
            self._up += json.dumps(again).encode() + b"\n" + self._initialized
        for line in self._open.values():
            self._up += line
        for line in self._told.add(left):
            self._hear(line)

    def _begin(self) -> tuple[int, bytes]:
        """Give a connection that speaks MCP, and what was read from it already.

        A daemon that dies while it learns MCP, which takes a second, has begun nothing: the next one is asked.
        """
        while True:
            self._deaths.begin()
            try:
                return self._serve()
            except ConnectionError as exc:
                self._deaths.lost(exc)
            except OSError as exc:
                raise Unavailable(f"the bridge does not answer: {exc}", "bridge restart") from exc

    def _serve(self) -> tuple[int, bytes]:
        wire = self._caller.connect()
        try:
            wire.ask("mcp/serve", {}, CALL_S)
        except BaseException:
            wire.close()
            raise
        return wire.detach()

    def _close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _reconnect(self) -> None:
        """Go on with the next daemon; what cannot be asked there is answered with the reason."""
        try:
            self._connect()
        except BridgeError as error:
            self._refuse(error)

    def _lost(self, why: str) -> None:
        """The daemon is gone: go on with the next one at once if it owes us answers, else when there is a request."""
        self._close()
        if self._stopped:
            self._refuse(Unavailable("the bridge was stopped", "its reviews stay; the next call starts it again"))
        elif self._open:
            try:
                self._deaths.lost(ConnectionError(why))
            except Unavailable as error:
                self._refuse(error)
            else:
                self._reconnect()

    def _refuse(self, error: BridgeError) -> None:
        """Answer every open request with an error."""
        for key in list(self._open):
            self._down += _refusal(json.loads(key), _NO_SERVICE, error)
        self._open.clear()

    def _fail(self, error: BridgeError) -> None:
        """Tell the agent, which may show no stderr, why there is no bridge: in answer to its first request."""
        deadline = time.monotonic() + FIRST_WORDS_S
        while not self._open and (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._source], [], [], left)
            data = self._read_source() if ready else b""
            if not data:
                break
            for line in self._asked.add(data):
                self._note(line)
        self._refuse(error)
        self._finish()

    # ---- both ways

    def _take(self) -> bool:
        """Wait until something can be read or written, and do that; tell whether the agent may say more."""
        wire = self._wire
        readers: list[Any] = [self._source] if len(self._up) < MOST_BEHIND else []
        if wire is not None and len(self._down) < MOST_BEHIND:
            readers.append(wire)
        writers = ([wire] if wire is not None and self._up else []) + ([self._sink] if self._down else [])
        readable, writable, _ = select.select(readers, writers, [])
        if self._sink in writable:
            self._write_agent()
        if wire in readable:  # first: its last words say whether it is being restarted
            self._read_daemon()
        if wire in writable and self._wire is wire:
            self._write_daemon()
        return self._source not in readable or self._read_agent()

    def _finish(self) -> None:
        """Let answers out that are on their way."""
        deadline = time.monotonic() + LAST_WORDS_S
        while (self._down or (self._open and self._wire is not None)) and (left := deadline - time.monotonic()) > 0:
            wire = self._wire
            readers = [] if wire is None else [wire]
            writers = ([wire] if wire is not None and self._up else []) + ([self._sink] if self._down else [])
            readable, writable, _ = select.select(readers, writers, [], left)
            self._stopped = True  # another daemon would come too late
            if self._sink in writable:
                self._write_agent()
            if wire in readable:
                self._read_daemon()
            if wire in writable and self._wire is wire:
                self._write_daemon()

    def _write_agent(self) -> None:
        # No more than a pipe takes without waiting, when it says that it takes anything.
        del self._down[: os.write(self._sink, self._down[: select.PIPE_BUF])]

    def _write_daemon(self) -> None:
        assert self._wire is not None
        try:
            del self._up[: self._wire.send(self._up[:_CHUNK])]
        except BlockingIOError:
            pass
        except OSError as exc:
            self._lost(str(exc))

    def _read_daemon(self) -> None:
        assert self._wire is not None
        try:
            data = self._wire.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lost(str(exc))
            return
        for line in self._told.add(data):
            self._hear(line)
        if not data:
            self._lost("it closed the connection")

    def _read_agent(self) -> bool:
        """Read what the agent says; False when it has closed its end."""
        data = self._read_source()
        for line in self._asked.add(data):
            self._say(line)
        if self._asked.is_too_long:
            self._asked.skip()
            too_long = Unavailable(f"a message of more than {MOST_LINE} bytes is not taken", "send less at a time")
            self._down += _refusal(None, _TOO_LONG, too_long)
        return bool(data)

    def _read_source(self) -> bytes:
        try:
            return os.read(self._source, _CHUNK)
        except OSError:  # a terminal that is gone
            return b""

    # ---- messages

    def _say(self, line: bytes) -> None:
        """Forward what the agent says; a request finds a daemon again that is gone."""
        self._note(line)
        if self._wire is not None:
            self._up += line
        elif self._open:
            self._reconnect()  # it sends what is open

    def _note(self, line: bytes) -> None:
        """Remember what the next daemon would have to know."""
        message = _read(line)
        id_, method = message.get("id"), message.get("method")
        if isinstance(method, str) and _is_id(id_):
            self._open[json.dumps(id_)] = line
            if method == "initialize":
                self._initialize = json.dumps(id_), line
        elif method == "notifications/initialized":
            self._initialized = line
        elif method == "notifications/cancelled" and isinstance(params := message.get("params"), dict):
            self._open.pop(json.dumps(params.get("requestId")), None)

    def _hear(self, line: bytes) -> None:
        """Forward what the daemon says, unless it says it to us."""
        message = _read(line)
        id_, method, params = message.get("id"), message.get("method"), message.get("params", {})
        if method == "daemon/stopping":
            self._stopped = not params["restart"]
        elif method == "review/page":
            if params["id"] not in self._led:
                self._led.add(params["id"])
                self._lead(params["door"])
        elif id_ != _AGAIN:
            if method is None:
                self._open.pop(json.dumps(id_), None)
            self._down += line


class Lines:
    """Cuts what comes into lines, with their ends; one without an end is kept, up to `MOST_LINE` bytes of it."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False

    def add(self, data: bytes) -> list[bytes]:
        """Give the lines that are complete now."""
        if b"\n" not in data:
            if not self._skipping:
                self._rest += data
            return []
        first, *others = data.split(b"\n")
        rest = others.pop()
        head = [] if self._skipping else [bytes(self._rest + first)]
        self._rest, self._skipping = bytearray(rest), False
        return [line + b"\n" for line in (*head, *others) if line.strip()]

    @property
    def is_too_long(self) -> bool:
        """Whether a line has no end within the limit."""
        return len(self._rest) > MOST_LINE

    def skip(self) -> None:
        """Leave out the line that has no end yet."""
        self._rest, self._skipping = bytearray(), True


def _read(line: bytes) -> dict[str, Any]:
    """Read a message as far as we must; what is none is the other side's to refuse."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _is_id(value: object) -> bool:
    return isinstance(value, str) or type(value) is int


def _refusal(id_: object, code: int, error: BridgeError) -> bytes:
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    return json.dumps({"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}}).encode() + b"\n"
