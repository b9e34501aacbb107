"""What `bridge doctor` says, one finding a line, and what it exits with.

A finding without a fix is fine; one with a fix is a warning: things work, but less well, or not for long. One with
an exit code too is a failure: the bridge cannot do its work, or must not be trusted to. A fix is a command to type
wherever there is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.errors import BridgeError, ExitCode

__all__ = ["Finding", "Level", "exit_code", "refusal"]


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. Paths and names are quoted as they are: hostile text."""

    check: str  # which check says it; a word that scripts may rely on
    found: str
    fix: str | None = None
    code: ExitCode = ExitCode.DONE  # of a failure: what `bridge doctor` exits with if nothing is worse

    @property
    def level(self) -> Level:
        """How bad it is, from what it takes to mend it."""
        if self.code is not ExitCode.DONE:
            return Level.FAIL
        return Level.OK if self.fix is None else Level.WARN

    def to_json(self) -> dict[str, str | None]:
        """Give what ``--json`` prints."""
        return {"check": self.check, "level": self.level, "found": self.found, "fix": self.fix}


_WORST_FIRST: Final = (ExitCode.NOT_TRUSTED, ExitCode.CONFIGURATION, ExitCode.UNAVAILABLE)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Choose the exit code: of the worst failure, trust before configuration before reachability; else 0."""
    codes = {finding.code for finding in findings}
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.DONE)


def refusal(check: str, error: BridgeError) -> Finding:
    """Turn what a part of the bridge refused to work with into a failure."""
    code = error.exit_code if error.exit_code in _WORST_FIRST else ExitCode.UNAVAILABLE
    return Finding(check=check, found=error.message, fix=error.hint or "bridge logs", code=code)
