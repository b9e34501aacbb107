"""What the MCP tools answer about a review: how it stands, what may be written, and what the human changed.

Whole texts come only when they are asked for, and everything has a limit: what a model reads costs its attention.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import UNSET, Meta, UnsetType

from bridge.core.reviews import Change, Comment, Outcome, Review, Trigger
from bridge.core.summary import FileSummary, changes_made, some_names, summary
from bridge.core.text import visible
from bridge.core.toolanswers import WAIT_MS, Answer, Result, answered, cut

__all__ = ["MOST_TEXTS", "NOWHERE", "ReviewReport", "Where", "of_review", "whereabouts"]

MOST_TEXTS: Final = 400_000  # characters of final texts; hosts let through 500,000 of a result at most
MOST_COMMENT: Final = 20_000


class CommentRow(Result, kw_only=True):
    """One comment of the human's."""

    text: str
    path: Annotated[str | None, Meta(description="The file that it is about; null: all of them.")]
    line: Annotated[int | None, Meta(description="The line that it is about, from 1; null: the whole file.")]


class FileRow(Result, kw_only=True):
    """One file of a review."""

    path: Annotated[str, Meta(description="Absolute path.")]
    is_new: Annotated[bool, Meta(description="Whether the file did not exist when it was proposed.")]
    verdict: Annotated[
        Literal["accepted", "edited", "rejected"] | None,
        Meta(
            description="What the human said of this file; edited: accepted, with another text than yours; "
            "rejected: it stays as it is. null: nobody decided."
        ),
    ]
    added: Annotated[int, Meta(description="Lines added, by the accepted text or else by the proposed one.")]
    removed: Annotated[int, Meta(description="Lines removed, likewise.")]
    final_text: (
        Annotated[str, Meta(description="The whole text to write; with include_texts, after an acceptance.")]
        | UnsetType
    ) = UNSET


class ReviewReport(Result, kw_only=True):
    """Result of ``propose_changes``, ``get_review`` and ``cancel_review``."""

    review_id: str
    status: Annotated[
        Literal[
            "pending",
            "accepted",
            "accepted_with_edits",
            "partially_accepted",
            "rejected",
            "cancelled",
            "superseded",
            "expired",
        ],
        Meta(description="The human's decision; pending: there is none yet."),
    ]
    write: Annotated[
        Literal["nothing", "proposal", "final_texts"],
        Meta(
            description="What you may write now. nothing: leave the files alone. proposal: your own texts. "
            "final_texts: only those of the human, which get_review gives with include_texts."
        ),
    ]
    next: Annotated[str, Meta(description="What to do now.")]
    shown: Annotated[str | None, Meta(description="Where the human finds it while it is pending.")]
    comments: Annotated[list[CommentRow], Meta(description="What the human says to you.")]
    files: list[FileRow]
    diff: Annotated[
        str,
        Meta(description="Unified diff from the proposal to the final text: what the human changed. Empty: nothing."),
    ]


class Where(NamedTuple):
    """Where an undecided review is, as the router tells its waiters."""

    surface: str | None
    ide: str | None = None
    reason: str = ""


NOWHERE: Final = Where(None)


def whereabouts(review_id: str, where: Where) -> str:
    """Say where the human finds an undecided review. Never an address: its code is the human's alone (D11)."""
    command = f"bridge review open {review_id}"
    reason = f" ({where.reason})" if where.reason else ""
    match where.surface:
        case "ide":
            return f"shown in {where.ide}"
        case "queued":
            return f"queued in {where.ide}{reason}; the human can open it at once with: {command}"
        case "page":
            return f"on the review page in the browser{reason}; the human opens it with: {command}"
    return f"not shown yet{reason}; the human opens it with: {command}"


def of_review(review: Review, where: Where = NOWHERE, *, texts: bool = False, changed: Sequence[Change] = ()) -> Answer:
    """Say how a review stands.

    Args:
        where: where an undecided one is shown.
        texts: whether the final texts are wanted.
        changed: the files that are no more what the human saw, nor what was accepted: to write would undo that.
    """
    may_write = review.accepted and not changed
    fits = sum(len(change.final or "") for change in review.files) <= MOST_TEXTS
    given = texts and may_write and fits
    write: Literal["nothing", "proposal", "final_texts"] = "nothing"
    if may_write:
        write = "proposal" if review.outcome is Outcome.ACCEPTED else "final_texts"
    report = ReviewReport(
        review_id=review.id,
        status=review.outcome.value if review.outcome is not None else "pending",
        write=write,
        next=_changed(changed)
        if review.accepted and changed
        else _next(review, given=given, omitted=texts and not fits),
        shown=whereabouts(review.id, where) if review.is_open else None,
        comments=[_comment(said, review.files) for said in review.comments],
        files=[_file(*pair, given) for pair in zip(review.files, summary(review), strict=True)],
        diff=changes_made(review),
    )
    return answered(_in_words(report), report)


def _changed(files: Sequence[Change]) -> str:
    names = visible(some_names([os.fsdecode(change.path) for change in files]))
    return (
        f"The human accepted this, but meanwhile {names} changed on disk. Do not write anything: "
        "read it again, then propose the change anew."
    )


def _next(review: Review, *, given: bool, omitted: bool) -> str:
    fetch = f"call get_review with review_id {review.id} and include_texts, and write each final_text exactly"
    if omitted:
        fetch = f"the texts are too long for a result: let the human run `bridge review apply {review.id}`"
    match review.outcome:
        case None:
            return (
                "The human has not decided yet. Do not write anything; "
                f"call get_review with review_id {review.id} and wait_ms {WAIT_MS} to wait on."
            )
        case Outcome.ACCEPTED:
            return "The human accepted the proposal as it is. Write the proposed text to each file now."
        case Outcome.ACCEPTED_WITH_EDITS:
            how = "write each final_text exactly" if given else fetch
            return f"The human changed the proposal and accepted the result. Do not write your own text: {how}."
        case Outcome.PARTIALLY_ACCEPTED:
            how = "write each final_text exactly" if given else fetch
            return f"The human accepted some of the files. Leave those alone that were rejected; of the others {how}."
        case Outcome.REJECTED:
            closed = review.trigger is Trigger.REJECTED_OR_CLOSED
            no = "The human said no, or closed the tab (the IDE answers both alike)" if closed else "The human said no"
            return f"{no}. Do not write anything; read the comments, if there are any, or ask what is wanted."
    return f"The review ended undecided ({review.outcome}). Nobody accepted it: do not write anything."


def _file(change: Change, told: FileSummary, texts: bool) -> FileRow:
    return FileRow(
        path=os.fsdecode(change.path),
        is_new=told.new,
        verdict=None if told.verdict is None else told.verdict.value,
        added=told.added,
        removed=told.removed,
        final_text=change.final if texts and change.final is not None else UNSET,
    )


def _comment(said: Comment, files: Sequence[Change]) -> CommentRow:
    about = files[said.file] if said.file is not None and said.file < len(files) else None
    return CommentRow(
        text=cut(said.text, MOST_COMMENT),
        path=None if about is None else os.fsdecode(about.path),
        line=None if said.line is None else said.line + 1,
    )


_VERDICTS: Final = {"accepted": "accepted", "edited": "edited by the human", "rejected": "rejected"}


def _in_words(report: ReviewReport) -> str:
    lines = [f"Review {report.review_id}: {report.status.replace('_', ' ')}. {report.next}"]
    if report.shown is not None:
        lines.append(f"The review is {visible(report.shown)}.")
    for file in report.files:
        told = ["new"] if file.is_new else []
        told += [] if file.verdict is None else [_VERDICTS[file.verdict]]
        lines.append(f"- {visible(file.path)} ({', '.join([f'+{file.added} -{file.removed}', *told])})")
    for said in report.comments:
        at = ":".join(str(part) for part in (said.path, said.line) if part is not None)
        lines.append(f"Comment{f' on {visible(at)}' if at else ''}: {said.text}")
    if report.diff:
        lines.append(f"What the human changed in the proposal:\n{report.diff}")
    for file in report.files:
        if file.final_text is not UNSET:
            lines.append(f"Final text of {visible(file.path)}, to the end:\n{file.final_text}")
    return "\n".join(lines)
