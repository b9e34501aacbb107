"""Lock files: what an IDE announces about itself in a file, such as ``<config dir>/ide/<port>.lock``.

Whoever can write into that directory is not thereby believed: a file is parsed strictly, within limits, or
refused with a reason. It may hold a token, so no error of this module quotes it, holds it, or is chained to
an exception that does. Those of the Claude family are read here (docs/protocol.md "Lock file"), those of others, and
where all of them are, in `bridge.core.announcements`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bridge.core.strictjson import MAX_BYTES, TOO_DEEP, Refusal, read_object
from bridge.errors import LockFileError

__all__ = [
    "MAX_BYTES",
    "MAX_FOLDERS",
    "TOKEN",
    "Family",
    "IncompleteLockFile",
    "LockFile",
    "Member",
    "Transport",
    "parsed",
    "port_in_name",
    "port_of",
    "present",
]

MAX_FOLDERS: Final = 64

_NAME: Final = re.compile(r"([1-9][0-9]{0,4})\.lock")
_TOKEN: Final = r"^[!-~]+$"  # it becomes the value of an HTTP header

# An empty path would be resolved to the daemon's own directory; one with a NUL cannot be resolved at all.
_Path = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")]


class Member(NamedTuple):
    """A member of a file."""

    field: str  # of `LockFile`, which it becomes
    problem: str  # what it is when that refuses it


TOKEN: Final = Member("auth_token", "not printable ASCII without spaces")

_MEMBERS: Final = {
    "pid": Member("pid", "not a process number"),
    "workspaceFolders": Member("workspace_folders", f"not a list of at most {MAX_FOLDERS} paths"),
    "ideName": Member("ide_name", "not a string"),
    "transport": Member("transport", "unknown transport"),
    "authToken": TOKEN,
    "runningInWindows": Member("running_in_windows", "neither true nor false"),
}


class Family(StrEnum):
    """Whose plugins an IDE belongs to: where it announces itself, and which tools it has."""

    CLAUDE = "claude"  # lock files of ``~/.claude/ide``, the official plugins' tools
    GEMINI = "gemini"  # discovery files of the Gemini CLI companion
    QWEN = "qwen"  # those of the Qwen Code companion
    JETBRAINS = "jetbrains"  # the MCP server that JetBrains IDEs have built in; it announces itself nowhere


class Transport(StrEnum):
    """How the IDE is spoken to. Every lock file seen says ``ws``; SSE is known from its name alone."""

    WEBSOCKET = "ws"
    SSE = "sse"
    HTTP = "http"  # MCP's streamable HTTP; of other families only, no lock file says it


class IncompleteLockFile(LockFileError):
    """Not JSON, perhaps not yet: some plugins write in place. Read it again before judging it."""


class LockFile(BaseModel):
    """One announcement, after which nobody sees a dict. The token is in no `repr`."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    port: int = Field(ge=1, le=65535)
    """On which the IDE listens; from the file's name, the JSON does not repeat it."""

    pid: int | None = Field(ge=1, le=2**31 - 1)
    """A hint: may be the listener's parent, shared by several windows, or live on Windows. None: nobody named one."""

    workspace_folders: tuple[_Path, ...] = Field(strict=False, max_length=MAX_FOLDERS)
    """As the IDE wrote them: the path style varies per string, whatever `running_in_windows` says."""

    ide_name: str = "IDE"
    """As people read it, e.g. ``Visual Studio Code - Insiders`` or ``Emacs (key)``; may be hostile."""

    transport: Transport = Field(default=Transport.WEBSOCKET, strict=False)

    family: Family = Family.CLAUDE

    auth_token: str | None = Field(default=None, repr=False, pattern=_TOKEN)
    """None: the plugin asks for none, a weak lock."""

    running_in_windows: bool = False
    """By its own word; admission makes it true where the rest of the file shows it (`core.reach.runs_in_windows`)."""

    @cached_property
    def ide_id(self) -> str:
        """Name this life of the IDE: its port, and 48 bits of its token's SHA-256 (``31439-a1b2c3d4e5f6``).

        A new token on the same port is another IDE, and so is one on the other side of the Windows boundary. Lives
        without a token cannot be told apart.
        """
        secret = (self.auth_token or "") + ("\n" if self.running_in_windows else "")  # no token holds one
        return f"{self.port}-{hashlib.sha256(secret.encode()).hexdigest()[:12]}"

    @classmethod
    def parse(cls, name: str, data: bytes) -> LockFile:
        """Read the lock file of the Claude family called `name` (no directory) that holds `data`.

        Limits: see `strictjson.read_object`; and 64 folders. Unknown members are tolerated; null and ``""`` count as
        absent. ``pid`` and ``workspaceFolders`` are required.

        Raises `LockFileError` with the reason, `IncompleteLockFile` if a second look may help; nothing else.
        Both are the plugin's fault, or a stranger's.
        """
        return parsed(name, data, _fields, _MEMBERS)


def parsed(
    name: str,
    data: bytes,
    fields: Callable[[str, dict[str, Any]], dict[str, Any]],
    members: Mapping[str, Member],
) -> LockFile:
    """Read a file as `LockFile.parse` does, and raise as it does.

    Args:
        fields: makes the fields of a `LockFile` of the file's name and members; raises `Refusal`.
        members: of this kind of file, for the reasons.
    """
    try:
        return LockFile(**fields(name, read_object(data)))
    except (ValueError, RecursionError) as exc:
        error = _refusal(name, exc, members)
    # Raised out here, for `exc` holds the file's text, and ``from None`` only hides the link to it.
    raise error


def port_of(name: str) -> int | None:
    """Give the port in a name ``<port>.lock``; None: it is no such name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match is not None and int(match[1]) <= 65535 else None


def port_in_name(name: str) -> int:
    """Give that port, or raise `Refusal`."""
    port = port_of(name)
    if port is None:
        raise Refusal("the name is not <port>.lock")
    return port


def present(value: Mapping[str, Any], members: Mapping[str, Member]) -> dict[str, Any]:
    """Give the fields that the file has something for."""
    return {field: found for key, (field, _) in members.items() if (found := value.get(key)) not in (None, "")}


def _fields(name: str, value: dict[str, Any]) -> dict[str, Any]:
    fields = {"port": port_in_name(name), **present(value, _MEMBERS)}
    if fields.get("transport") == Transport.HTTP:  # no plugin of this family does, and no agent would know how to
        raise Refusal(f"transport: {_MEMBERS['transport'].problem}")
    return fields


def _refusal(name: str, exc: ValueError | RecursionError, members: Mapping[str, Member]) -> LockFileError:
    match exc:
        case json.JSONDecodeError():
            return IncompleteLockFile(name, "not JSON")
        case UnicodeDecodeError(reason="unexpected end of data"):  # cut inside a character
            return IncompleteLockFile(name, "not JSON")
        case UnicodeDecodeError():
            return LockFileError(name, "not UTF-8")
        case UnicodeEncodeError():
            return LockFileError(name, "a string holds half a surrogate pair")
        case RecursionError():
            return LockFileError(name, TOO_DEEP)
        case ValidationError():
            return LockFileError(name, _reason(exc, members))
        case _:
            return LockFileError(name, str(exc))


def _reason(exc: ValidationError, members: Mapping[str, Member]) -> str:
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    key, problem = next((key, problem) for key, (field, problem) in members.items() if field == first["loc"][0])
    return f"{key}: {'missing' if first['type'] == 'missing' else problem}"
