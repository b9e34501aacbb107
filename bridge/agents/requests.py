"""What may be asked on the control socket: one row a method, one shape for each method's parameters.

Unknown parameters are ignored, so that a newer client may say more; missing or wrong ones are the asker's
fault (`Usage`) and the message says where. Paths are strings with surrogate escapes (`os.fsdecode`); a
relative one counts from the session's directory.

On a TCP socket ``prove`` comes before everything else (`bridge.proof`). An error's ``code`` is an exit code of
`bridge.errors`, and its ``data`` has ``code`` (a name) and ``hint``; a line that is no request gets -32700. The daemon
also notifies: ``review/surface`` ``{id, surface, ide, reason}`` to whoever waits for a review, each time it moves,
``daemon/stopping`` ``{restart}`` to everybody, and ``event`` to those who subscribed (`bridge.news`). After
``mcp/serve`` the connection speaks MCP; two notifications on it are for `bridge.forwarder` and not for the agent:
``daemon/stopping``, and ``review/page`` ``{id, door}`` when a review of the agent's is on the page (`door`: a file for
the browser). Results of what `bridge.asking` describes are those of the clients' methods; the others are for the
command line.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from bridge.core import jsonrpc
from bridge.core.reviews import Surface
from bridge.errors import Usage

__all__ = [
    "CAPABILITIES",
    "MOST_TEXT",
    "Call",
    "Cancel",
    "Dirty",
    "File",
    "Hello",
    "HookAnswer",
    "HookBegin",
    "List",
    "Nothing",
    "One",
    "Open",
    "OpenReview",
    "Propose",
    "PublishChild",
    "PublishRun",
    "PublishSet",
    "Replace",
    "Status",
    "Stop",
    "TakeBack",
    "Use",
    "Wait",
    "parse",
]

# For clients of other versions: the first parts of the methods' names, and what came to them later
# (`bridge.connection.Daemon.require`).
CAPABILITIES: Final = (
    *("open", "call", "dirty", "review", "page", "status"),
    *("events", "request", "publish", "replace", "terminal", "use", "mcp", "hook"),
)


Published = Literal["ws", "sse"]  # how the bridge is spoken to as an IDE; agents know no other way
ReviewId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Name = Annotated[str, msgspec.Meta(max_length=4096)]  # titles, keys, names: for eyes, and kept in memory
MOST_TEXT: Final = 8 * 2**20  # characters of one file's text


class Nothing(msgspec.Struct):
    """No parameters."""


class Hello(msgspec.Struct):
    """``hello``, first of all: who asks. Without it a session has no directory and no terminal."""

    cwd: str
    environ: dict[str, str] = {}
    version: Name = ""
    terminal_pid: int | None = None  # in the terminal that shows the asker, if that is no ancestor's: in tmux
    name: Name = ""  # of the agent, for the human


class Status(msgspec.Struct):
    """``status``: as data; with `render` also as ``text``, for a terminal of so many columns."""

    render: bool = False
    color: bool = False
    columns: int = 100
    ide: Name | None = None


class Use(msgspec.Struct):
    """``use``: pin an IDE for the session's terminal or workspace; ``auto`` removes the pin, None only asks."""

    ide: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    workspace: bool = False


class Open(msgspec.Struct):
    """``open``: `line` and `column` are 1-based.

    With `may_launch` the answer may have ``launch``: no IDE's plugin opens the file, but an editor's own command does.
    These are its words, for the asker to start; who may not is refused.
    """

    path: str
    line: int | None = None
    column: int | None = None
    ide: Name | None = None
    may_launch: bool = False


class Call(msgspec.Struct):
    """``call``: one of the IDE's own tools; `path` says whose IDE (default: the session's directory).

    `file` is the one file that the tool is about, in place of `arguments` and `path`: plugins name that argument
    differently.
    """

    tool: str
    arguments: msgspec.Raw = msgspec.Raw(jsonrpc.EMPTY)
    path: str | None = None
    file: str | None = None
    ide: Name | None = None


class Dirty(msgspec.Struct):
    """``dirty``: whether an IDE has unsaved changes in the file."""

    path: str


class File(msgspec.Struct):
    """One file of a proposal; without `base` what is on disk is what the change is made from."""

    path: str
    proposed: Annotated[str, msgspec.Meta(max_length=MOST_TEXT)]
    base: Annotated[str, msgspec.Meta(max_length=MOST_TEXT)] | None = None


class Propose(msgspec.Struct):
    """``review/propose``: one review of all `files`, which is decided once.

    One that would not change is left out of several. Several are shown on the page: no IDE's diff shows them as one.
    """

    files: list[File]
    title: Name = ""
    request_key: Name | None = None
    surface: Surface = Surface.AUTO
    ide: Name | None = None
    supersedes: ReviewId | None = None


class Wait(msgspec.Struct):
    """``review/wait``: `timeout` in seconds, none by default; a `bound` review ends when the session does."""

    id: ReviewId
    timeout: float | None = None
    bound: bool = False


class One(msgspec.Struct):
    """``review/get``, ``review/link`` and ``review/delivered``: one review."""

    id: ReviewId


class Cancel(msgspec.Struct):
    """``review/cancel``; `moved`: because the agent asks its user in its terminal instead."""

    id: ReviewId
    moved: bool = False


Agent = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{1,20}\Z")]


class HookBegin(msgspec.Struct):
    """``hook/begin``: what an agent said to ``bridge hook``, and what matters of its environment.

    `with_ide`: also where the agent shows the change in an IDE itself.
    """

    agent: Agent
    said: str
    environ: dict[str, str] = {}
    with_ide: bool = False


class HookAnswer(msgspec.Struct):
    """``hook/answer``: the review has ended; what is the agent told?"""

    agent: Agent
    said: str
    id: ReviewId


class OpenReview(msgspec.Struct):
    """``review/open``."""

    id: ReviewId
    surface: Surface = Surface.AUTO
    ide: Name | None = None


class List(msgspec.Struct):
    """``review/list``: undecided ones, or the newest of all."""

    all: bool = False
    most: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100


class PublishRun(msgspec.Struct):
    """``publish/run``: be an IDE for a child that is about to start; `port` is the one of the last time, or 0."""

    transport: Published = "ws"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0


class PublishChild(msgspec.Struct):
    """``publish/child``: the child has started."""

    port: int
    pid: Annotated[int, msgspec.Meta(ge=1)]


class PublishSet(msgspec.Struct):
    """``publish/set``: be an IDE for every agent, or no longer."""

    on: bool
    transport: Published = "ws"


class TakeBack(msgspec.Struct):
    """``request/cancel``: no answer to this unanswered request of the session's own is wanted any more."""

    id: jsonrpc.RequestId


class Replace(msgspec.Struct):
    """``daemon/replace``: a client of a newer `version` wants a daemon of its own, if nobody needs this one."""

    version: Name


class Stop(msgspec.Struct):
    """``daemon/stop``: `restart` tells waiting clients that another daemon comes."""

    restart: bool = False


def parse(kind: type[Any], params: msgspec.Raw) -> Any:
    """Read parameters as `kind`. Raises `Usage` for what does not fit."""
    try:
        return msgspec.json.decode(params or jsonrpc.EMPTY, type=kind)
    except msgspec.ValidationError as exc:
        raise Usage(f"wrong parameters: {exc}") from exc
    except (msgspec.DecodeError, UnicodeError):  # lone surrogates: a name that is not UTF-8, or a cut emoji
        return _parse_slowly(kind, params)


def _parse_slowly(kind: type[Any], params: msgspec.Raw) -> Any:
    try:
        value = jsonrpc.load(params)
        if kind is Call and isinstance(value, dict) and "arguments" in value:
            value["arguments"] = msgspec.Raw(jsonrpc.dump(value["arguments"]))
        return msgspec.convert(value, kind)
    except ValueError as exc:
        raise Usage(f"wrong parameters: {exc}") from exc
