"""Errors the bridge raises on purpose, and the exit code each gives the command line.

* BridgeError
    * Usage                 2   the request itself makes no sense
    * BadData              65   data that is refused: binary, not UTF-8, malformed
        * Conflict         65   the file changed, is dirty in the IDE, or the request key is taken
    * Unavailable          69   no IDE, no daemon, no such review
        * Outdated         69   the daemon that runs is older than what is asked of it
    * WriteFailed          74   accepted, but the file could not be written; the text is kept
    * StillPending         75   nobody decided before the caller's time-out; the review stays
    * NotTrusted           77   wrong owner, wrong mode, foreign listener, refused token
        * LockFileError    77   a lock file that is not admitted
    * BadConfiguration     78   the user's configuration, or a home that cannot be used

Any other exception is a bug (70). Standard library only: the thin client imports this module.
"""

from __future__ import annotations

from enum import IntEnum

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = [
    "BadConfiguration",
    "BadData",
    "BridgeError",
    "Conflict",
    "ExitCode",
    "LockFileError",
    "NotTrusted",
    "Outdated",
    "StillPending",
    "Unavailable",
    "Usage",
    "WriteFailed",
    "error_from_json",
    "render",
]


class ExitCode(IntEnum):
    """What a script learns from `bridge`; published in ``bridge --help``."""

    DONE = 0
    REJECTED = 1
    USAGE = 2
    UNDECIDED = 3
    BAD_DATA = 65
    UNAVAILABLE = 69
    BUG = 70
    WRITE_FAILED = 74
    PENDING = 75
    NOT_TRUSTED = 77
    CONFIGURATION = 78
    INTERRUPTED = 130


class BridgeError(Exception):
    """One line that says what happened; `hint`, if any, says what to do.

    `code` names the class on the wire, so that an agent in any language can tell errors apart. `review` is the
    id of the review that is left behind, where the asker could not know it otherwise.
    """

    code: ClassVar[str] = "bug"
    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    review: str | None = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-RPC error object: ``code`` is the exit code, ``data.code`` the name."""
        more = {"hint": self.hint, "review": self.review}
        data = {"code": self.code} | {name: value for name, value in more.items() if value}
        return {"code": int(self.exit_code), "message": self.message, "data": data}


class Usage(BridgeError):
    """The request makes no sense; the caller's fault."""

    code = "usage"
    exit_code = ExitCode.USAGE


class BadData(BridgeError):
    """The data are refused as they are: binary, not UTF-8, malformed; the caller's fault."""

    code = "bad_data"
    exit_code = ExitCode.BAD_DATA


class Conflict(BadData):
    """Two truths meet: the file changed meanwhile, or a request key names something else."""

    code = "conflict"


class Unavailable(BridgeError):
    """Nothing there to do the work: no IDE, no daemon, no such review."""

    code = "unavailable"
    exit_code = ExitCode.UNAVAILABLE


class Outdated(Unavailable):
    """The daemon that runs is of another version, and does not know what is asked."""

    code = "outdated"


class WriteFailed(BridgeError):
    """The human accepted but the file could not be written; the journal keeps the text."""

    code = "write_failed"
    exit_code = ExitCode.WRITE_FAILED


class StillPending(BridgeError):
    """Nobody decided in the time that the caller gave; the review stays open."""

    code = "pending"
    exit_code = ExitCode.PENDING


class NotTrusted(BridgeError):
    """Wrong owner, wrong mode, a foreign listener: using it would trust a stranger."""

    code = "not_trusted"
    exit_code = ExitCode.NOT_TRUSTED


class LockFileError(NotTrusted):
    """A lock file that is not admitted. `reason` never quotes the file, which may hold a token."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class BadConfiguration(BridgeError):
    """The user's configuration or home directory cannot be used; the hint says how to mend it."""

    code = "configuration"
    exit_code = ExitCode.CONFIGURATION


_BY_CODE: dict[str, type[BridgeError]] = {
    kind.code: kind
    for kind in (
        *(Usage, BadData, Conflict, Unavailable, Outdated),
        *(WriteFailed, StillPending, NotTrusted, BadConfiguration),
    )
}


def error_from_json(error: dict[str, Any]) -> BridgeError:
    """Turn a JSON-RPC error object of the daemon into the exception it was; unknown codes are bugs."""
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    kind = _BY_CODE.get(str(data.get("code")), BridgeError)
    return kind(str(error.get("message", "unknown error")), data.get("hint"))


def render(error: BridgeError) -> str:
    """Format `error` for stderr: what happened, a blank line, what to do."""
    return f"error: {error.message}" + (f"\n\nhint: {error.hint}" if error.hint else "")
