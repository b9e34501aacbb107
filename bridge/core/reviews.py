"""A review: one proposed change that waits for a human, and how it may end.

A review is a frozen record; `advance` is the only way from one record to the next and owns the table below
(design.md D6). Every step raises `version` by one, and whoever wants to decide names the version that it
saw: the first decision wins, the second learns that it came late.

::

    PROPOSED --show--> SHOWN --decide--> DECIDED --deliver--> DELIVERED
        ^                |
        +----unshow------+        either of the first two may also end
                                  CANCELLED, SUPERSEDED or EXPIRED

Two rules of the house. *No decision is guessed*: a closed tab, a dead link or silence is `Step.UNSHOW`, never
an answer. *No decision is lost*: a record is on disk before anybody hears of it; the journal keeps what
`Showing` says, so that an answer that arrives late, on another socket, still finds its review.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from bridge.errors import Conflict

__all__ = [
    "EXPIRES_AFTER_S",
    "OPEN",
    "TRANSITIONS",
    "Change",
    "Comment",
    "Outcome",
    "Review",
    "Showing",
    "State",
    "Step",
    "Surface",
    "Trigger",
    "advance",
    "decide",
    "decision",
    "digest",
    "same_proposal",
]

EXPIRES_AFTER_S: Final = 7 * 24 * 3600.0  # undecided; decided texts are purged after the same time


class State(StrEnum):
    """Where a review is on its way."""

    PROPOSED = "proposed"
    SHOWN = "shown"
    DECIDED = "decided"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class Step(StrEnum):
    """What may happen to a review."""

    SHOW = "show"
    UNSHOW = "unshow"
    DECIDE = "decide"
    DELIVER = "deliver"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"
    EXPIRE = "expire"


class Outcome(StrEnum):
    """How a review ended, for the agent."""

    ACCEPTED = "accepted"
    ACCEPTED_WITH_EDITS = "accepted_with_edits"
    PARTIALLY_ACCEPTED = "partially_accepted"  # some files, as proposed or edited; the others were rejected
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class Trigger(StrEnum):
    """What made a review end, as exactly as the surface can tell."""

    ACCEPTED_IN_IDE = "accepted_in_ide"
    REJECTED_IN_IDE = "rejected_in_ide"
    REJECTED_OR_CLOSED = "rejected_or_closed"  # the plugin answers both alike
    ACCEPTED_ON_PAGE = "accepted_on_page"
    REJECTED_ON_PAGE = "rejected_on_page"
    CANCELLED = "cancelled"
    MOVED_TO_TERMINAL = "moved_to_terminal"  # nobody decided in time: the agent asks its user itself
    NEWER_PROPOSAL = "newer_proposal"
    AGE = "age"


class Surface(StrEnum):
    """Where the asker wants the review to be shown."""

    AUTO = "auto"  # the IDE that is being worked in, else the page
    IDE = "ide"
    PAGE = "page"


_UNDECIDED: Final = {
    Step.SHOW: State.SHOWN,
    Step.UNSHOW: State.PROPOSED,
    Step.DECIDE: State.DECIDED,
    Step.CANCEL: State.CANCELLED,
    Step.SUPERSEDE: State.SUPERSEDED,
    Step.EXPIRE: State.EXPIRED,
}
TRANSITIONS: Final[dict[State, dict[Step, State]]] = {
    State.PROPOSED: _UNDECIDED,
    State.SHOWN: _UNDECIDED,
    State.DECIDED: {Step.DELIVER: State.DELIVERED},
    State.DELIVERED: {Step.DELIVER: State.DELIVERED},  # applying again is harmless
    State.CANCELLED: {},
    State.SUPERSEDED: {},
    State.EXPIRED: {},
}
OPEN: Final = frozenset({State.PROPOSED, State.SHOWN})

_ENDS: Final = {
    Step.CANCEL: (Outcome.CANCELLED, Trigger.CANCELLED),
    Step.SUPERSEDE: (Outcome.SUPERSEDED, Trigger.NEWER_PROPOSAL),
    Step.EXPIRE: (Outcome.EXPIRED, Trigger.AGE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a review does to one file."""

    path: bytes  # absolute, as the file system has it (`os.fsencode`)
    base_hash: str | None  # `digest` of the bytes that were there; None: the file is new
    base: str  # the text that was there; "" when new
    proposed: str
    final: str | None = None  # what the human accepted of it; None unless decided in favour, of this file too


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What the human says to the agent; `file` and `line` are 0-based, None means the whole."""

    text: str
    file: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """One ``openDiff`` that was sent for a review; journaled before it is sent."""

    ide_id: str  # port and a hash of the token: one life of one IDE
    request_id: int
    tab_name: str  # by which it is closed: its file's path, where a plugin knows diffs by that


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One proposed change and all that happened to it. Times are epoch seconds."""

    id: str
    files: tuple[Change, ...]
    workspace: bytes  # the asker's working directory; a request key counts within it
    created: float
    changed: float
    title: str = ""
    agent: str = ""  # the asker's own name for itself; hostile text
    request_key: str | None = None
    surface: Surface = Surface.AUTO
    ide: str | None = None  # the IDE that the user named
    state: State = State.PROPOSED
    version: int = 1
    outcome: Outcome | None = None
    trigger: Trigger | None = None
    comments: tuple[Comment, ...] = ()
    showings: tuple[Showing, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the human may still decide."""
        return self.state in OPEN

    @property
    def accepted(self) -> bool:
        """Whether the human said yes, to all or to some of it."""
        return self.outcome in (Outcome.ACCEPTED, Outcome.ACCEPTED_WITH_EDITS, Outcome.PARTIALLY_ACCEPTED)


def advance(review: Review, step: Step, now: float, **changes: Any) -> Review:
    """Apply `step` to `review` and return the next record, with `changes` to its other fields.

    Raises `Conflict` when the table has no such way: somebody decided or ended the review before.
    """
    after = TRANSITIONS[review.state].get(step)
    if after is None:
        raise Conflict(
            f"review {review.id} is already {review.outcome or review.state}", f"bridge review show {review.id}"
        )
    if step in _ENDS:
        outcome, trigger = _ENDS[step]
        changes = {"outcome": outcome, "trigger": trigger} | changes
    return replace(review, state=after, version=review.version + 1, changed=now, **changes)


def decide(
    review: Review,
    now: float,
    *,
    finals: tuple[str | None, ...] | None,
    trigger: Trigger,
    comments: tuple[Comment, ...] = (),
) -> Review:
    """Record the human's decision.

    Args:
        finals: the accepted text of each file, in the review's order and already settled to the proposal's
            line endings (`text.settle`), or None for a file that was rejected; None means that all were.
        trigger: how the human said it.

    Raises `Conflict` when the review has ended already.
    """
    if finals is None or not any(final is not None for final in finals):
        return advance(review, Step.DECIDE, now, outcome=Outcome.REJECTED, trigger=trigger, comments=comments)
    files = tuple(replace(file, final=final) for file, final in zip(review.files, finals, strict=True))
    if None in finals:
        outcome = Outcome.PARTIALLY_ACCEPTED
    elif any(file.final != file.proposed for file in files):
        outcome = Outcome.ACCEPTED_WITH_EDITS
    else:
        outcome = Outcome.ACCEPTED
    return advance(review, Step.DECIDE, now, files=files, outcome=outcome, trigger=trigger, comments=comments)


def digest(data: bytes) -> str:
    """Name the contents of a file: SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def same_proposal(one: Review, other: Review) -> bool:
    """Whether two reviews propose the same change, so that a request key may join them."""
    return [(f.path, f.base_hash, f.proposed) for f in one.files] == [
        (f.path, f.base_hash, f.proposed) for f in other.files
    ]


def decision(review: Review) -> dict[str, Any]:
    """Tell the asker how a review stands: the shape of ``review/wait`` and ``bridge review result --json``.

    ``files[].final`` is the text to write, null for a file that the human did not accept: it stays as it is, although
    others may be accepted (``partially_accepted``). Paths are real, as strings with surrogate escapes (`os.fsdecode`).
    """
    return {
        "id": review.id,
        "state": review.state,
        "outcome": review.outcome,
        "trigger": review.trigger,
        "title": review.title,
        "comments": [{"text": said.text, "file": said.file, "line": said.line} for said in review.comments],
        "files": [
            {
                "path": os.fsdecode(change.path),
                "base_hash": change.base_hash,
                "edited": change.final is not None and change.final != change.proposed,
                "final": change.final,
            }
            for change in review.files
        ],
    }
