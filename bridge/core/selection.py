"""Which IDE gets the work: filter, then rank (design.md D8), and a reason for every IDE there is.

Filter. An IDE *lives* if a listener that is ours holds its port. There are four tiers: the IDEs whose
workspace matches the file; those whose workspace matches the working directory; the one that the terminal
belongs to; those that do not say which folders they have, and are asked. Only the first tier in which any IDE
lives counts. One that is occupied, has trouble or lacks what is asked for is passed over but lives: the others
of its tier are tried, the next tier stays closed, for that would show the work in a window that has less to do
with it, and the page is better than that. A named IDE is that one or none.

Rank. First difference wins: the fields of `bridge.core.ranking.Rank`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from bridge.core.lockfile import Family, LockFile
from bridge.core.ranking import (
    UNANNOUNCED,
    Candidate,
    Fit,
    How,
    Listener,
    Own,
    Pid,
    Place,
    Rank,
    Standing,
    Tier,
    stand,
)
from bridge.core.terminal import Terminal, family_of_name, family_of_process
from bridge.errors import Unavailable

__all__ = [
    "UNPIN",
    "Candidate",
    "Listener",
    "Pid",
    "Pinned",
    "Place",
    "Selection",
    "Verdict",
    "is_named",
    "no_ide",
    "select",
    "why_none",
]


class Pinned(StrEnum):
    """What an IDE was named for once and for all, with ``bridge use``."""

    TERMINAL = "terminal"
    WORKSPACE = "workspace"


UNPIN: Final = {Pinned.TERMINAL: "bridge use auto", Pinned.WORKSPACE: "bridge use auto --workspace"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided about one candidate."""

    candidate: Candidate
    chosen: bool

    usable: bool
    """Chosen, or next in turn if those before it turn out not to work."""

    reason: str
    """For people, e.g. ``nothing listens on port 4001``. Names and folders are quoted as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The IDE to use, if any, and a verdict for every candidate, best first."""

    chosen: Candidate | None
    verdicts: tuple[Verdict, ...]
    pinned: Pinned | None = None  # the IDE was named by a pin


def select(
    candidates: Sequence[Candidate],
    place: Place,
    terminal: Terminal,
    *,
    named: str | None = None,
    pinned: Pinned | None = None,
    takeover: bool = False,
) -> Selection:
    """Choose the IDE for work at `place`, asked for from `terminal`; the rules stand at the module's top.

    Args:
        candidates: in any order, at most one per `LockFile.ide_id`.
        place: the file and the working directory.
        terminal: the hints of the asking terminal, verified here: a port counts only for an IDE that lives.
        named: the IDE that the user wants: a port (``31439``), a product as its command or name spells it
            (``code``, ``pycharm``, ``cursor``), whose companion (``gemini``, ``qwen``) announces it, or the
            beginning of an IDE's name, whatever its case. Then an
            occupied one is taken over, but nothing else is overridden: trouble, what it lacks, a listener that is
            not ours. If nothing usable fits, nothing is chosen. None or empty: the user named none.
        pinned: the user named it not now, but for this terminal or workspace.
        takeover: the user allows an occupied IDE to be taken over.

    Returns:
        `chosen` is None if no IDE will do: the page takes its place. Never raises.
    """
    question = _Question(place, (named or "").strip() or None, pinned, takeover)
    standings = sorted((stand(candidate, place, terminal) for candidate in candidates), key=lambda s: s.rank)
    open_tier = min((s.tier for s in standings if s.lives), default=Tier.OUTSIDE)
    obstacles = [(s, _obstacle(s, question, open_tier)) for s in standings]
    usable = [s for s, obstacle in obstacles if obstacle is None]
    others = [(s, obstacle) for s, obstacle in obstacles if obstacle is not None]
    others.sort(key=lambda other: (not other[0].lives, other[0].tier))  # stable: then by rank
    return Selection(
        chosen=usable[0].candidate if usable else None,
        verdicts=(
            *(_verdict(s, _why_chosen(usable, question), chosen=True, usable=True) for s in usable[:1]),
            *(_verdict(s, _why_behind(s, usable[0]), usable=True) for s in usable[1:]),
            *(_verdict(s, obstacle) for s, obstacle in others),
        ),
        pinned=pinned,
    )


_PORT: Final = re.compile("[0-9]{1,5}")


class _Question(NamedTuple):
    place: Place
    named: str | None
    pinned: Pinned | None
    takeover: bool


def _obstacle(standing: Standing, question: _Question, open_tier: Tier) -> str | None:
    """Say why this one cannot be used, whatever its rank; None: it can."""
    candidate, named = standing.candidate, question.named
    if candidate.foreign is not None:
        return candidate.foreign
    if not standing.lives:
        return _why_lifeless(candidate)
    if named is not None and not is_named(candidate.lock, named):
        return f"you {_way(question)[0]} another IDE{_way(question)[1]}"
    if named is None and (standing.tier > open_tier or open_tier is Tier.OUTSIDE):
        return _why_elsewhere(candidate, question.place, open_tier)
    if candidate.lacks is not None:
        return candidate.lacks
    if candidate.trouble is not None:
        return candidate.trouble
    if candidate.occupied and not (named is not None or question.takeover or candidate.shareable):
        return "occupied by another client"
    return None


_COMPANIONS: Final = {"gemini": Family.GEMINI, "qwen": Family.QWEN}


def is_named(lock: LockFile, named: str) -> bool:
    """Tell whether the user means this IDE; see `select` for what may be a name."""
    if _PORT.fullmatch(named):
        return lock.port == int(named)
    if (companion := _COMPANIONS.get(named.casefold())) is not None:
        return lock.family is companion
    family = family_of_process(named)  # people call an IDE by its command: code, pycharm, nvim
    if family is not None:
        return family_of_name(lock.ide_name) is family
    return lock.ide_name.casefold().startswith(named.casefold())


def why_none(selection: Selection, named: str | None) -> str:
    """Say why `selection`, which has chosen none, could not have the best IDE, or the best of those that were named."""
    best = _best(selection, named)
    pinned = selection.pinned
    reason = best.reason if best else f"no IDE{_called(named)} is running"
    return f"{reason}; it is pinned for this {pinned}: {UNPIN[pinned]}" if pinned else reason


def no_ide(selection: Selection, named: str | None) -> Unavailable:
    """Build the error of a request that only an IDE can serve, when none was chosen."""
    called, best = _called(named), _best(selection, named)
    why = f": {best.reason}" if best else ""
    mends = best.candidate.silence.fix if best and best.candidate.silence else None
    if called and (pinned := selection.pinned):
        return Unavailable(f"no IDE{called}, which is pinned for this {pinned}, can be used{why}", UNPIN[pinned])
    if called:
        return Unavailable(f"no IDE{called} can be used{why}", mends or "bridge status lists the IDEs")
    hint = "open the folder in an IDE with its Claude Code plugin, or see bridge status"
    return Unavailable(f"no IDE can be used here{why}", mends or hint)


def _best(selection: Selection, named: str | None) -> Verdict | None:
    wanted = (named or "").strip()
    return next((v for v in selection.verdicts if not wanted or is_named(v.candidate.lock, wanted)), None)


# From here on, words. `_MERITS` and `_BEHIND` have an entry for each field of `Rank`.

_TARGETS: Final = {Tier.FILE: "file", Tier.DIRECTORY: "working directory"}

_FITS: Final = {
    How.HOLDS: "its folder {folder} holds the {target}",
    How.INSIDE: "its folder {folder} lies in the project of the {target}",
    How.REPOSITORY: "it has the repository of the {target} open",
}

_OWN: Final = {
    Own.PORT: "the terminal's port variable names it",
    Own.ANCESTRY: "the terminal runs inside it",
    Own.FAMILY: "the terminal is of its kind",
    Own.GROUP: "the terminal is of its kind",
}

_LISTENERS: Final = {
    Listener.FOREIGN: "port {port} belongs to another user",
    Listener.UNKNOWN: "cannot tell who listens on port {port}",
    Listener.NONE: "nothing listens on port {port}",
    Listener.UNREACHABLE: "{silence}",
}

# What put the chosen one before the next, of how many; for "own" and "fit" the tables above say it.
_MERITS: Final = {
    "gone": "",
    "family": "its plugin can do the most of {count}",
    "unfocused": "most recently focused of {count}",
    "age": "newest of {count}",
    "port": "lowest port of {count}",
    "ide_id": "",
}

# What put another one behind the chosen.
_BEHIND: Final = {
    "gone": "{gone}, so it comes last",
    "own": "the terminal rather belongs to {better}",
    "fit": "less specific than {better}",
    "family": "the plugin of {better} can do more",
    "unfocused": "{better} was focused more recently",
    "age": "{better} is newer",
    "port": "{better} has the lower port",
    "ide_id": "announced twice, like {better}",
}

_PIDS: Final = {Pid.DEAD: "PID {pid} is dead", Pid.REUSED: "PID {pid} is another process now"}


def _way(question: _Question) -> tuple[str, str]:
    """Say how the IDE was named, and what for."""
    pinned = question.pinned
    return ("pinned", f" for this {pinned}: {UNPIN[pinned]}") if pinned else ("named", "")


def _called(named: str | None) -> str:
    wanted = (named or "").strip()
    if not wanted:
        return ""
    return f" on port {wanted}" if _PORT.fullmatch(wanted) else f" called {wanted}"


def _verdict(standing: Standing, reason: str, *, chosen: bool = False, usable: bool = False) -> Verdict:
    return Verdict(candidate=standing.candidate, chosen=chosen, usable=usable, reason=reason)


def _why_lifeless(candidate: Candidate) -> str:
    words = (_PIDS.get(candidate.pid), _LISTENERS[candidate.listener])
    silence = candidate.silence.reason if candidate.silence else "nobody answers"
    return " and ".join(filter(None, words)).format(pid=candidate.lock.pid, port=candidate.lock.port, silence=silence)


def _why_elsewhere(candidate: Candidate, place: Place, open_tier: Tier) -> str:
    if candidate.lock.family in UNANNOUNCED:
        return "it announces no folder, so it is asked only where no other IDE has the file or the directory"
    if not candidate.folders:
        return "none of its folders exists here" if candidate.lock.workspace_folders else "it has no folder open"
    first, *more = candidate.folders
    workspace = f"its workspace {first}" + (f" (and {len(more)} more)" if more else "")
    if place.file is None:
        return f"{workspace} does not hold the working directory"
    if open_tier is Tier.FILE:
        return f"{workspace} does not hold the file"
    return f"{workspace} holds neither the file nor the working directory"


def _why_chosen(usable: Sequence[Standing], question: _Question) -> str:
    """Say what brought the first of `usable` in, and what put it before the second."""
    first = usable[0]
    reasons = ["{} by you{}".format(*_way(question)) if question.named else _why_in(first)]
    if len(usable) > 1:
        reasons.append(_merit(first, usable))
    return "; ".join(filter(None, dict.fromkeys(reasons)))


def _why_in(standing: Standing) -> str:
    if standing.tier is Tier.ASKED:
        return "it announces no folder, and is asked whether what is asked about is its own"
    return _OWN[standing.rank.own] if standing.tier is Tier.TERMINAL else _why_fit(standing.fit)


def _why_fit(fit: Fit) -> str:
    return _FITS[fit.how].format(folder=fit.folder, target=_TARGETS[fit.tier])


def _merit(first: Standing, usable: Sequence[Standing]) -> str:
    field = _difference(first.rank, usable[1].rank)
    before = Rank._fields.index(field)
    count = sum(other.rank[:before] == first.rank[:before] for other in usable)
    match field:
        case "own":
            return _OWN[first.rank.own]
        case "fit":
            return _why_fit(first.fit)
        case _:
            return _MERITS[field].format(count=count)


def _why_behind(standing: Standing, chosen: Standing) -> str:
    lock, better = standing.candidate.lock, chosen.candidate.lock
    return _BEHIND[_difference(chosen.rank, standing.rank)].format(
        gone=_PIDS.get(standing.candidate.pid, "only a relay may get to it").format(pid=lock.pid),
        better=f"{better.ide_name} on port {better.port}",
    )


def _difference(a: Rank, b: Rank) -> str:
    """Name the first field that tells two apart; the last one, if it is the same lock file twice."""
    fields = zip(Rank._fields, a, b, strict=True)
    return next((field for field, x, y in fields if x != y), Rank._fields[-1])
