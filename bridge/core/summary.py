"""A review in brief: what the human did to each file, and the diff from the proposal to what was accepted.

An agent knows what it proposed. What it needs back is what became of it: so results tell of each file in a line,
and show the human's edits alone. Both are slow for large files, as `hunks` are: call them in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.core.hunks import diff, stats, unified
from bridge.core.lines import split_lf
from bridge.core.reviews import Change, Outcome, Review

__all__ = [
    "LIMIT",
    "FileSummary",
    "Verdict",
    "changes_made",
    "name_within",
    "some_names",
    "summary",
    "verdict_on",
]

LIMIT: Final = 20_000  # characters of a diff for an agent's eyes: about 5,000 of its tokens


class Verdict(StrEnum):
    """What the human said of one file."""

    ACCEPTED = "accepted"
    EDITED = "edited"  # accepted, with another text than the proposed one
    REJECTED = "rejected"  # the file stays as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """One file of a review; `added` and `removed` count lines against what was there.

    They are those of the accepted text, and of the proposed one where none is accepted.
    """

    name: str  # as `name_within` gives it
    new: bool
    verdict: Verdict | None  # None: no human has decided
    added: int
    removed: int


def summary(review: Review) -> tuple[FileSummary, ...]:
    """Tell of each file in brief, in the review's order."""
    return tuple(_summary(review, change) for change in review.files)


def _summary(review: Review, change: Change) -> FileSummary:
    added, removed = stats(diff(change.base, change.proposed if change.final is None else change.final, context=0))
    return FileSummary(
        name=name_within(review.workspace, change.path),
        new=change.base_hash is None,
        verdict=verdict_on(review, change),
        added=added,
        removed=removed,
    )


def verdict_on(review: Review, change: Change) -> Verdict | None:
    """Say what became of one file of the review; None while it is undecided, or when nobody decided it."""
    if change.final is not None:
        return Verdict.ACCEPTED if change.final == change.proposed else Verdict.EDITED
    return Verdict.REJECTED if review.accepted or review.outcome is Outcome.REJECTED else None


def changes_made(review: Review, limit: int = LIMIT) -> str:
    """Write what the human changed in the proposal: a unified diff from it to the accepted text, over all files.

    Empty when every file was accepted as proposed, or none was accepted. A file that was rejected has no part in it.
    The names are ``a/NAME`` and ``b/NAME``, as `name_within` gives them. Whole lines of at most `limit` characters
    in all; a last line says how many more there are.
    """
    return _cut(
        (
            _difference(name_within(review.workspace, change.path), change.proposed, change.final)
            for change in review.files
            if change.final is not None
        ),
        limit,
    )


def _difference(name: str, before: str, after: str) -> str:
    name = name.lstrip("/")
    return unified(before, after, f"a/{name}", f"b/{name}")


def _cut(diffs: Iterable[str], limit: int) -> str:
    lines = split_lf("".join(diffs))
    length = 0
    for at, line in enumerate(lines):
        length += len(line)
        if length > limit:
            left = len(lines) - at
            return "".join(lines[:at]) + f"\\ {left} more line{'s' if left > 1 else ''} of this diff left out\n"
    return "".join(lines)


def name_within(workspace: bytes, path: bytes) -> str:
    """Name a file as seen from the workspace: relative when it lies in it, else absolute.

    As strings of the file system are: an undecodable byte is a surrogate escape.
    """
    return os.fsdecode(path).removeprefix(os.fsdecode(workspace).rstrip("/") + "/")


def some_names(names: Sequence[str], most: int = 3) -> str:
    """List names on one line; of more than `most` only the first ones, and how many follow."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
