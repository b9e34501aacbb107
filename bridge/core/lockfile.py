"""Lock files: what an IDE announces about itself in ``<config dir>/ide/<port>.lock``.

Whoever can write into that directory is not thereby believed: a file is parsed strictly, within limits, or
refused with a reason. It may hold a token, so no error of this module quotes it, holds it, or is chained to
an exception that does. What the fields mean: docs/protocol.md "Lock file".
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bridge.errors import LockFileError

__all__ = ["MAX_BYTES", "Family", "IncompleteLockFile", "LockFile", "Transport"]

MAX_BYTES: Final = 64 * 1024
_MAX_DEPTH: Final = 16
_MAX_FOLDERS: Final = 64
_MAX_STRING_BYTES: Final = 4 * 1024
_MAX_DIGITS: Final = 19  # a signed 64-bit number; `int` itself would take time in the square of the length

_NAME: Final = re.compile(r"([1-9][0-9]{0,4})\.lock")
_TOKEN: Final = r"^[!-~]+$"  # it becomes the value of an HTTP header

# An empty path would be resolved to the daemon's own directory; one with a NUL cannot be resolved at all.
_Path = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")]

_TOO_DEEP: Final = f"nested more than {_MAX_DEPTH} levels deep"

# Member of the file: the field it becomes, and what it is when that refuses it.
_MEMBERS: Final = {
    "pid": ("pid", "not a process number"),
    "workspaceFolders": ("workspace_folders", f"not a list of at most {_MAX_FOLDERS} paths"),
    "ideName": ("ide_name", "not a string"),
    "transport": ("transport", "unknown transport"),
    "authToken": ("auth_token", "not printable ASCII without spaces"),
    "runningInWindows": ("running_in_windows", "neither true nor false"),
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

    workspace_folders: tuple[_Path, ...] = Field(strict=False, max_length=_MAX_FOLDERS)
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
        """Read the lock file called `name` (no directory) that holds `data`.

        Limits: 64 KiB, 16 levels, 4 KiB a string, 64 folders, numbers of 64 bits; everywhere in the file, and
        no key twice in one object. Unknown members are tolerated; null and ``""`` count as absent. ``pid``
        and ``workspaceFolders`` are required.

        Raises `LockFileError` with the reason, `IncompleteLockFile` if a second look may help; nothing else.
        Both are the plugin's fault, or a stranger's.
        """
        try:
            return cls(port=_port(name), **_members(data))
        except (ValueError, RecursionError) as exc:
            error = _refusal(name, exc)
        # Raised out here, for `exc` holds the file's text, and ``from None`` only hides the link to it.
        raise error


class _RefusedError(ValueError):
    """A rule of ours is broken; the message is the reason."""


def _port(name: str) -> int:
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) > 65535:
        raise _RefusedError("the name is not <port>.lock")
    return int(match[1])


def _members(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise _RefusedError(f"larger than {MAX_BYTES // 1024} KiB")
    value = _DECODER.decode(data.decode("utf-8"))
    if not isinstance(value, dict):
        raise _RefusedError("not a JSON object")
    if _may_exceed(data):
        _check(value)
    return {field: found for key, (field, _) in _MEMBERS.items() if (found := value.get(key)) not in (None, "")}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _RefusedError("an object has the same key twice")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _RefusedError("a number is too large")
    return int(digits)


def _fraction(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):  # 1e999
        raise _RefusedError("a number is too large")
    return value


def _constant(_: str) -> Any:
    raise _RefusedError("NaN and Infinity are not JSON")


# Made once: that takes as long as to read a lock file with it.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)


def _may_exceed(data: bytes) -> bool:
    """Whether anything in the file can be beyond the limits of `_check`: hardly any file is, and it takes time.

    A long string makes a long file, depth takes brackets, and half a surrogate pair can only be written as an
    escape.
    """
    return len(data) > _MAX_STRING_BYTES or data.count(b"[") + data.count(b"{") > _MAX_DEPTH or b"\\u" in data


def _check(value: Any, depth: int = 1) -> None:
    """Hold every part of the file, known or not, to the limits that `json` does not know."""
    if isinstance(value, str) and len(value.encode("utf-8")) > _MAX_STRING_BYTES:
        raise _RefusedError(f"a string is longer than {_MAX_STRING_BYTES // 1024} KiB")
    if isinstance(value, dict | list):
        if depth > _MAX_DEPTH:
            raise _RefusedError(_TOO_DEEP)
        for part in chain(value, value.values()) if isinstance(value, dict) else value:
            _check(part, depth + 1)


def _refusal(name: str, exc: ValueError | RecursionError) -> LockFileError:
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
            return LockFileError(name, _TOO_DEEP)
        case ValidationError():
            return LockFileError(name, _reason(exc))
        case _:
            return LockFileError(name, str(exc))


def _reason(exc: ValidationError) -> str:
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    key, problem = next((key, problem) for key, (field, problem) in _MEMBERS.items() if field == first["loc"][0])
    return f"{key}: {'missing' if first['type'] == 'missing' else problem}"
