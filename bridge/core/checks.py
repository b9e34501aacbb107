"""What `bridge doctor` concludes about the bridge's files and its machine: facts in, findings out.

The daemon has checks of its own (`bridge.core.daemonchecks`), and so has the way to the human (`idechecks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Final

from bridge.core.findings import Finding, refusal
from bridge.errors import BridgeError, ExitCode

__all__ = ["Directory", "Facts", "File", "Quota", "examine"]

FREE_BYTES: Final = (256 * 2**20, 16 * 2**20)  # of the journal's disk: less is a warning, a failure
NEARLY: Final = 0.9  # of a limit
AHEAD_S: Final = 120.0  # file systems and clocks of virtual machines differ by less
EARLIEST: Final = 1767225600.0  # 2026-01-01: no clock that is right shows an earlier time

# Connections that checkpoint at the same moment may corrupt a database (sqlite.org/wal.html, "The WAL-Reset Bug").
_WAL_RESET_BUG: Final = ((3, 7, 0), (3, 51, 2))


# ---- facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory that must be this user's alone."""

    check: str
    path: str
    exists: bool = True
    trouble: BridgeError | None = None  # why it is not trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the bridge's own."""

    path: str
    uid: int
    mode: int  # permission bits
    size: int  # bytes
    modified: float  # epoch seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Something that runs out."""

    name: str
    used: int
    limit: int
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was looked at."""

    version: str  # of this bridge
    python: str
    sqlite: tuple[int, ...]
    now: float  # epoch seconds
    uid: int
    home: str
    home_uid: int | None  # None: there is no such directory
    directories: tuple[Directory, ...]
    files: tuple[File, ...]  # in them, the socket too
    journal: str  # its path
    writable: str  # the state directory, or the nearest above it that exists
    free_bytes: int | None  # there; None: it cannot be written
    config: str
    has_config: bool
    config_error: BridgeError | None
    running: bool  # a daemon answers
    quotas: tuple[Quota, ...]


# ---- checks


def examine(facts: Facts) -> list[Finding]:
    """Check everything, in the order in which it is best mended."""
    return [finding for check in _CHECKS for finding in check(facts)]


def _home(facts: Facts) -> Iterator[Finding]:
    if facts.home_uid is None:
        found = f"HOME is {facts.home}, which is no directory"
        yield Finding(check="home", found=found, fix="set HOME to your home directory", code=ExitCode.CONFIGURATION)
    elif facts.home_uid != facts.uid:
        found = f"HOME is {facts.home}, which belongs to user {facts.home_uid}; you are user {facts.uid}"
        yield Finding(check="home", found=found, fix="without sudo, or with sudo -H: bridge doctor")


def _directories(facts: Facts) -> Iterator[Finding]:
    for directory in facts.directories:
        if directory.trouble is not None:
            yield refusal(directory.check, directory.trouble)
        elif directory.exists:
            yield Finding(check=directory.check, found=f"{directory.path} is yours alone")
        else:
            yield Finding(check=directory.check, found=f"{directory.path} is made when the bridge starts")


def _disk(facts: Facts) -> Iterator[Finding]:
    place, free = facts.writable, facts.free_bytes
    if free is None:
        fix = f"see why: ls -ld {quote(place)}; df -h {quote(place)}"
        yield Finding(check="disk", found=f"{place} cannot be written", fix=fix, code=ExitCode.CONFIGURATION)
        return
    few, too_few = FREE_BYTES
    yield Finding(
        check="disk",
        found=f"{_size(free)} free at {place}",
        fix=f"make room: df -h {quote(place)}" if free < few else None,
        code=ExitCode.UNAVAILABLE if free < too_few else ExitCode.DONE,
    )


def _files(facts: Facts) -> Iterator[Finding]:
    for file in facts.files:
        if file.uid != facts.uid:
            yield Finding(
                check="files",
                found=f"{file.path} belongs to user {file.uid}, as after sudo",
                fix=f"sudo chown {facts.uid} {quote(file.path)}",
                code=ExitCode.NOT_TRUSTED,
            )
        elif file.mode & 0o077:
            found = f"{file.path} has mode {file.mode:04o}; its directory protects it"
            yield Finding(check="files", found=found, fix=f"chmod 600 {quote(file.path)}")


def _journal(facts: Facts) -> Iterator[Finding]:
    size = next((file.size for file in facts.files if file.path == facts.journal), None)
    if size is not None:
        yield Finding(check="journal", found=f"{facts.journal}, {_size(size)}")
    elif facts.running:
        found = f"{facts.journal} was deleted while the daemon writes it: its reviews end with the daemon"
        yield Finding(check="journal", found=found, fix="bridge restart", code=ExitCode.UNAVAILABLE)
    else:
        yield Finding(check="journal", found="none yet")
    aside = f"{facts.journal}.broken-"
    for file in facts.files:
        if file.path.removeprefix(aside).isdigit():
            found = f"{file.path} was found broken and replaced by a new journal; undecided reviews may be in it"
            yield Finding(check="journal", found=found, fix=f"if you do not miss any: rm -f {_with_wal(file.path)}")


def _configuration(facts: Facts) -> Iterator[Finding]:
    if facts.config_error is not None:
        yield refusal("configuration", facts.config_error)
    else:
        found = facts.config if facts.has_config else f"the defaults: there is no {facts.config}"
        yield Finding(check="configuration", found=found)


def _quotas(facts: Facts) -> Iterator[Finding]:
    for quota in facts.quotas:
        found = f"{quota.used} of {quota.limit} {quota.name} in use"
        full = quota.used >= quota.limit * NEARLY
        yield Finding(check="limits", found=found, fix=quota.fix if full else None)


def _clock(facts: Facts) -> Iterator[Finding]:
    if facts.now < EARLIEST:
        yield Finding(check="clock", found="the clock shows the past", fix="sudo timedatectl set-ntp true")
        return
    ahead = [file for file in facts.files if file.modified > facts.now + AHEAD_S]
    if ahead:
        names = " ".join(quote(file.path) for file in ahead)
        found = f"{ahead[0].path} is from the future ({_hours(ahead[0].modified - facts.now)}): the clock was set back"
        fix = f"set the clock: sudo timedatectl set-ntp true; if it is right now: touch {names}"
        yield Finding(check="clock", found=found, fix=fix)


def _versions(facts: Facts) -> Iterator[Finding]:
    first, last = _WAL_RESET_BUG
    note = " (its WAL-reset bug needs two connections; the journal has one)" if first <= facts.sqlite <= last else ""
    sqlite = ".".join(map(str, facts.sqlite))
    yield Finding(check="versions", found=f"bridge {facts.version}, Python {facts.python}, SQLite {sqlite}{note}")


_CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    _home,
    _configuration,
    _directories,
    _files,
    _disk,
    _journal,
    _quotas,
    _clock,
    _versions,
)


def _with_wal(path: str) -> str:
    """Name a database and what SQLite keeps beside it."""
    return " ".join(quote(path + suffix) for suffix in ("", "-wal", "-shm"))


_UNITS: Final = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def _size(count: int) -> str:
    return next((f"{count / unit:.1f} {name}" for unit, name in _UNITS if count >= unit), f"{count} B")


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"
