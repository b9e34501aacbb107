"""What `bridge doctor` concludes about other programs' entries for the bridge. Facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.core.findings import Finding
from bridge.core.installing import WHAT
from bridge.core.programs import PROGRAMS, Part
from bridge.errors import BridgeError, ExitCode

__all__ = ["Registration", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What was found in the place of one program for one part."""

    program: str  # its name in `PROGRAMS`
    part: Part
    path: str  # of the file, which need not exist
    starts: str | None = None  # the path of the bridge in our entry; None: there is no entry
    runs: bool = False  # that is there, and may be executed
    is_this: bool = False  # and is this very bridge
    trouble: BridgeError | None = None  # the file cannot be read


def examine(found: Iterable[Registration]) -> list[Finding]:
    """Check the entries in the programs that are there; not to be registered is nobody's fault."""
    rows = list(found)
    absent = [f"{PROGRAMS[one.program].title} ({WHAT[one.part]})" for one in rows if not one.starts and not one.trouble]
    findings = [finding for one in rows for finding in _check(one)]
    if absent:
        findings.append(Finding(check="install", found=f"not registered, see bridge install: {', '.join(absent)}"))
    return findings


def _check(one: Registration) -> Iterator[Finding]:
    title, what = PROGRAMS[one.program].title, WHAT[one.part]
    again = f"bridge install {one.program} --only {one.part}"
    if one.trouble is not None:
        fix = one.trouble.hint or f"mend {one.path}"
        yield Finding(check="install", found=f"{title}: {one.trouble.message}", fix=fix)
    elif one.starts is None:
        return
    elif one.runs and one.is_this:
        yield Finding(check="install", found=f"{title}: the {what} is in {one.path}")
    elif one.runs:
        found = f"{title}: the {what} in {one.path} starts another bridge, {one.starts}"
        yield Finding(check="install", found=found, fix=f"if you want this one: {again}")
    else:
        # An agent goes on without a hook that it cannot start: nothing is reviewed any more, and nobody says so.
        code = ExitCode.CONFIGURATION if one.part is Part.HOOK else ExitCode.DONE
        found = f"{title}: the {what} in {one.path} starts {one.starts}, which cannot be executed"
        yield Finding(check="install", found=found, fix=again, code=code)
