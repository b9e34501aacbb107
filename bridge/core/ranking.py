"""What is known of each IDE, and how well each suits a piece of work: the ranking half of selection.

A workspace matches a path if one of its folders holds the path, or lies inside the path's own project, or is
of the same repository or a worktree of it, the better in this order. Within one of these the folder counts
that has the most leading directories in common with the path: the longest, where folders hold the path.
Paths are compared by whole components, without case where the mounts say so (`Place.mapper`); nothing here looks
at a file system.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import takewhile
from typing import Final, NamedTuple

from bridge.core.lockfile import Family, LockFile
from bridge.core.reach import HERE, Diagnosis, Route
from bridge.core.terminal import Group, Terminal, family_of_name, related
from pathconv import PathMapper

__all__ = [
    "UNANNOUNCED",
    "Candidate",
    "Fit",
    "How",
    "Listener",
    "Own",
    "Pid",
    "Place",
    "Rank",
    "Standing",
    "Tier",
    "stand",
]


class Pid(StrEnum):
    """What became of the process that the lock file names. A hint: listener and PID may differ."""

    ALIVE = "alive"
    DEAD = "dead"
    REUSED = "reused"  # it started after the lock file was written
    UNKNOWN = "unknown"  # a Windows process seen from WSL, another PID namespace


class Listener(StrEnum):
    """Who holds the port that the lock file names; nobody but OURS and HIDDEN is ever sent a token (design.md D7)."""

    OURS = "ours"  # of our uid; or on a host that WSL or the user's configuration vouches for
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    NONE = "none"
    UNREACHABLE = "unreachable"  # nobody answers on the other side of the Windows boundary, or of the container
    HIDDEN = "hidden"  # perhaps on Windows' own loopback, where only a relay gets to


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One admitted lock file and all that the shell found out about it."""

    lock: LockFile

    folders: tuple[str, ...]
    """Real, absolute paths of the lock's workspace folders on our side; others match nothing."""

    repositories: frozenset[str]
    """The git common directories of `folders`: worktrees of one repository share it."""

    modified: float
    """When the lock file was written, in seconds of the epoch."""

    pid: Pid
    listener: Listener

    occupied: bool = False
    """Another client than we is connected to its port."""

    shareable: bool = False
    """Its dialect serves several clients, so that `occupied` does not matter."""

    ancestor: bool = False
    """The asking terminal descends from the lock's PID."""

    last_focus: float | None = None
    """When an open link last said that the user was there, in seconds of the epoch."""

    trouble: str | None = None
    """Why its link cannot be used now, in words, e.g. ``its token was refused``."""

    lacks: str | None = None
    """Why it cannot do what is asked for, in words, e.g. ``it shows no diffs``."""

    weak: tuple[str, ...] = ()
    """What `status` should warn about, e.g. ``no token``; selection does not mind."""

    route: Route = HERE
    """How it is reached."""

    silence: Diagnosis | None = None
    """Why nobody answers, for what is `Listener.UNREACHABLE` or `HIDDEN`."""

    foreign: str | None = None
    """Why it is no business of this machine's, in words, e.g. all its folders are in another distribution."""


_WINDOWS: Final = re.compile(r"[A-Za-z]:\\|\\\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the work is about: real, absolute paths on our side."""

    directory: str
    """The agent's working directory."""

    file: str | None = None
    """The file to show, if there is one."""

    project: str | None = None
    """The root of the project that `file` is in."""

    repository: str | None = None
    """The git common directory of `project`."""

    cwd_project: str | None = None
    """The root of the project that `directory` is in."""

    cwd_repository: str | None = None
    """The git common directory of `cwd_project`."""

    mapper: PathMapper | None = None
    """Knows where case does not matter (Windows drives seen from WSL); None: it matters everywhere."""

    def knows(self, path: str) -> bool:
        """Tell whether a path is an absolute one of our side, and may thus be compared."""
        on_windows = self.mapper is not None and self.mapper.facts.local == "windows"
        return _WINDOWS.match(path) is not None if on_windows else path.startswith("/")

    def key(self, path: str) -> str:
        """Give what is the same for all spellings of one path."""
        return path if self.mapper is None else self.mapper.key(path)


class Tier(IntEnum):
    """Why an IDE comes into question at all."""

    FILE = 0
    DIRECTORY = 1
    TERMINAL = 2
    ASKED = 3  # it does not say which folders it has, but knows whether a file is in one of them
    OUTSIDE = 4


class How(IntEnum):
    """How a workspace matches a path."""

    HOLDS = 0
    INSIDE = 1  # the project that the path is in
    REPOSITORY = 2


class Own(IntEnum):
    """What says that the terminal belongs to an IDE, the strongest first; the last two only break ties."""

    PORT = 0
    ANCESTRY = 1
    FAMILY = 2
    GROUP = 3  # a fork's marker may be inherited, its TERM_PROGRAM is sure: so kin beats strangers
    NOTHING = 4


# By what their tools can do; less is better.
_ABILITY: Final = {Family.CLAUDE: 0, Family.GEMINI: 1, Family.QWEN: 1, Family.JETBRAINS: 2}


class Fit(NamedTuple):
    """The best match of a workspace; less is better."""

    tier: Tier
    how: How
    apart: int  # minus the number of leading directories in common
    folder: str


class Rank(NamedTuple):
    """The order of the IDEs that come into question; less is better."""

    gone: bool  # a dead or reused PID comes last, and so does what may not be there at all
    own: Own
    fit: tuple[Tier, How, int]
    family: int  # a window that runs several plugins is there several times: before focus, which is the window's
    unfocused: float
    age: float
    port: int
    ide_id: str  # so that no two are equal


class Standing(NamedTuple):
    """A candidate as one place and one terminal see it."""

    candidate: Candidate
    tier: Tier
    fit: Fit
    rank: Rank

    @property
    def lives(self) -> bool:
        """Whether it may be spoken to at all; a dead or reused PID does not matter then."""
        return self.candidate.foreign is None and self.candidate.listener in (Listener.OURS, Listener.HIDDEN)


UNANNOUNCED: Final = {Family.JETBRAINS: Group.JETBRAINS}
"""Families whose IDEs do not say which folders they have, nor, before they are asked, which product they are."""

_NO_FIT: Final = Fit(Tier.OUTSIDE, How.REPOSITORY, 0, "")


def stand(candidate: Candidate, place: Place, terminal: Terminal) -> Standing:
    """Rank one candidate. The hints of `terminal` are taken as they are: they count only if it `lives`."""
    fit, own = _fit(candidate, place), _own(candidate, terminal)
    asked = candidate.lock.family in UNANNOUNCED
    weakest = Own.GROUP if asked else Own.ANCESTRY  # that makes it the terminal's: its folders would say more
    otherwise = Tier.ASKED if asked else Tier.OUTSIDE
    rank = Rank(
        gone=candidate.pid in (Pid.DEAD, Pid.REUSED) or candidate.listener is Listener.HIDDEN,
        own=own,
        fit=(fit.tier, fit.how, fit.apart),
        family=_ABILITY[candidate.lock.family],
        unfocused=math.inf if candidate.last_focus is None else -candidate.last_focus,
        age=-candidate.modified,
        port=candidate.lock.port,
        ide_id=candidate.lock.ide_id,
    )
    return Standing(candidate, min(fit.tier, Tier.TERMINAL if own <= weakest else otherwise), fit, rank)


def _own(candidate: Candidate, terminal: Terminal) -> Own:
    family = family_of_name(candidate.lock.ide_name)
    kind = family or UNANNOUNCED.get(candidate.lock.family)
    signs = {
        Own.PORT: candidate.lock.port == terminal.port or candidate.lock.port in terminal.companions,
        Own.ANCESTRY: candidate.ancestor,
        Own.FAMILY: family is not None and family is terminal.family,
        Own.GROUP: related(kind, terminal.group),
    }
    return next((own for own, seen in signs.items() if seen), Own.NOTHING)


def _fit(candidate: Candidate, place: Place) -> Fit:
    """Match the file or, failing that, the working directory."""
    targets = (
        (Tier.FILE, place.file, place.project, place.repository),
        (Tier.DIRECTORY, place.directory, place.cwd_project, place.cwd_repository),
    )
    fits = [
        fit
        for tier, path, project, repository in targets
        if path is not None
        for fit in _fits(candidate, place, tier, path, project, repository)
    ]
    return min(fits, default=_NO_FIT)


def _fits(
    candidate: Candidate, place: Place, tier: Tier, path: str, project: str | None, repository: str | None
) -> Iterator[Fit]:
    target = place.key(path)
    for folder in candidate.folders:
        if not place.knows(folder):
            continue
        opened = place.key(folder)
        apart = -_shared(opened, target)
        if _holds(opened, target):
            yield Fit(tier, How.HOLDS, apart, folder)
        elif project is not None and _holds(place.key(project), opened):
            yield Fit(tier, How.INSIDE, apart, folder)
    if repository in candidate.repositories:
        yield Fit(tier, How.REPOSITORY, 0, "")


def _holds(folder: str, path: str) -> bool:
    return _shared(folder, path) == len(_parts(folder))


def _shared(a: str, b: str) -> int:
    """Count the leading components in common."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(_parts(a), _parts(b), strict=False))))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]
