"""What the MCP tools answer: a summary in words for a model, and the same as data.

Whole texts come only when they are asked for, and everything has a limit: what a model reads costs its attention.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.core.reviews import Change, Comment, Outcome, Review
from bridge.core.status import Ide as IdeRow
from bridge.core.summary import FileSummary, changes_made, summary
from bridge.errors import BridgeError

__all__ = [
    "MOST_PROBLEMS",
    "MOST_SELECTED",
    "MOST_TEXTS",
    "NOWHERE",
    "WAIT_MS",
    "Answer",
    "Diagnostics",
    "Editors",
    "Ides",
    "Opened",
    "ReviewReport",
    "Selected",
    "Where",
    "failed",
    "of_diagnostics",
    "of_editors",
    "of_ides",
    "of_opened",
    "of_review",
    "of_selection",
    "whereabouts",
]

WAIT_MS: Final = 45_000  # clients give up a call after 60 s, and the answer must be on its way before
MOST_TEXTS: Final = 400_000  # characters of final texts; hosts let through 500,000 of a result at most
MOST_SELECTED: Final = 20_000
MOST_PROBLEMS: Final = 200
MOST_EDITORS: Final = 500
MOST_COMMENT: Final = 20_000


class Answer(NamedTuple):
    """What a tool answers: words for the model and, if it did not fail, data that fit the tool's result."""

    text: str
    data: Struct | None
    is_error: bool = False
    refusal: Mapping[str, Any] | None = None  # the typed error, for programs: a model reads the words

    @property
    def structured(self) -> dict[str, Any] | None:
        """The data as JSON has them; nothing in them is half a character."""
        return None if self.data is None else _whole(msgspec.to_builtins(self.data))


_HALF: Final = re.compile("[\ud800-\udfff]")


def _whole(value: Any) -> Any:
    """Put U+FFFD in the place of lone surrogates: names that are not UTF-8, a selection that was cut in an emoji."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return value


def _answer(text: str, data: Struct) -> Answer:
    return Answer(_whole(text), data)


def failed(error: BridgeError) -> Answer:
    """Say what went wrong, and what to do about it."""
    words = error.message + (f"\nWhat to do: {error.hint}" if error.hint else "")
    return Answer(_whole(words), None, is_error=True, refusal=_whole(error.to_json()))


class _Result(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """What every tool's result is; `forbid_unknown_fields` closes its schema."""


# ---- files


class Opened(_Result, kw_only=True):
    """Result of ``open_file``."""

    path: Annotated[str, Meta(description="Absolute path of the file.")]
    ide: Annotated[str, Meta(description="Name of the IDE that shows it.")]
    positioned: Annotated[bool, Meta(description="Whether the IDE went to the line.")]


def of_opened(path: str, result: Mapping[str, Any]) -> Answer:
    """Say which IDE opened the file."""
    positioned = bool(result["positioned"])
    words = f"{path} is open in {result['ide']}." + ("" if positioned else " It did not go to the line.")
    return _answer(words, Opened(path=path, ide=result["ide"], positioned=positioned))


# ---- reviews


class CommentRow(_Result, kw_only=True):
    """One comment of the human's."""

    text: str
    path: Annotated[str | None, Meta(description="The file that it is about; null: all of them.")]
    line: Annotated[int | None, Meta(description="The line that it is about, from 1; null: the whole file.")]


class FileRow(_Result, kw_only=True):
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


class ReviewReport(_Result, kw_only=True):
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


def of_review(review: Review, where: Where = NOWHERE, *, texts: bool = False) -> Answer:
    """Say how a review stands.

    Args:
        where: where an undecided one is shown.
        texts: whether the final texts are wanted.
    """
    fits = sum(len(change.final or "") for change in review.files) <= MOST_TEXTS
    given = texts and review.accepted and fits
    write: Literal["nothing", "proposal", "final_texts"] = "nothing"
    if review.accepted:
        write = "proposal" if review.outcome is Outcome.ACCEPTED else "final_texts"
    report = ReviewReport(
        review_id=review.id,
        status=review.outcome.value if review.outcome is not None else "pending",
        write=write,
        next=_next(review, given=given, omitted=texts and not fits),
        shown=whereabouts(review.id, where) if review.is_open else None,
        comments=[_comment(said, review.files) for said in review.comments],
        files=[_file(*pair, given) for pair in zip(review.files, summary(review), strict=True)],
        diff=changes_made(review),
    )
    return _answer(_in_words(report), report)


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
            return (
                "The human said no. Do not write anything; read the comments, if there are any, or ask what is wanted."
            )
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
        text=_cut(said.text, MOST_COMMENT),
        path=None if about is None else os.fsdecode(about.path),
        line=None if said.line is None else said.line + 1,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + f" … ({len(text) - most} characters more)"


_VERDICTS: Final = {"accepted": "accepted", "edited": "edited by the human", "rejected": "rejected"}


def _in_words(report: ReviewReport) -> str:
    lines = [f"Review {report.review_id}: {report.status.replace('_', ' ')}. {report.next}"]
    if report.shown is not None:
        lines.append(f"The review is {report.shown}.")
    for file in report.files:
        told = ["new"] if file.is_new else []
        told += [] if file.verdict is None else [_VERDICTS[file.verdict]]
        lines.append(f"- {file.path} ({', '.join([f'+{file.added} -{file.removed}', *told])})")
    for said in report.comments:
        at = ":".join(str(part) for part in (said.path, said.line) if part is not None)
        lines.append(f"Comment{f' on {at}' if at else ''}: {said.text}")
    if report.diff:
        lines.append(f"What the human changed in the proposal:\n{report.diff}")
    for file in report.files:
        if file.final_text is not UNSET:
            lines.append(f"Final text of {file.path}, to the end:\n{file.final_text}")
    return "\n".join(lines)


# ---- what the IDE knows


class Selection(_Result, kw_only=True):
    """Where the human is, and what is selected there."""

    path: str
    line: Annotated[int | None, Meta(description="From 1.")]
    column: int | None
    end_line: int | None
    end_column: int | None
    text: Annotated[str, Meta(description="The selected text; empty: nothing is selected, this is the cursor.")]
    text_cut: Annotated[bool, Meta(description="Whether more is selected than what is given of it.")]


class Selected(_Result, kw_only=True):
    """Result of ``get_selection``."""

    selection: Annotated[Selection | None, Meta(description="null: no editor is open.")]


def of_selection(found: Mapping[str, Any] | None) -> Answer:
    """Say what is selected; `found` is as `readings.read_selection` gives it."""
    if found is None:
        return _answer("The IDE has no editor open.", Selected(selection=None))
    cut = len(found["text"]) > MOST_SELECTED
    selection = Selection(**{**found, "text": found["text"][:MOST_SELECTED]}, text_cut=cut)
    at = _at(selection.path, selection.line, selection.column)
    if not selection.text:
        return _answer(f"Nothing is selected; the cursor is at {at}.", Selected(selection=selection))
    more = "\n(and more: the text is cut)" if cut else ""
    return _answer(f"Selected at {at}:\n{selection.text}{more}", Selected(selection=selection))


def _at(path: str, line: int | None, column: int | None) -> str:
    return ":".join(str(part) for part in (path, line, column) if part is not None)


class Editor(_Result, kw_only=True):
    """One open editor."""

    path: Annotated[str, Meta(description="Absolute path, or the URI of what is no file.")]
    active: Annotated[bool | None, Meta(description="Whether the human looks at it; null: the IDE does not say.")]
    dirty: Annotated[bool | None, Meta(description="Whether it has unsaved changes; null: the IDE does not say.")]


class Editors(_Result, kw_only=True):
    """Result of ``get_open_editors``."""

    editors: list[Editor]
    omitted: Annotated[int, Meta(description="How many there are besides those.")]


def of_editors(found: Sequence[Mapping[str, Any]]) -> Answer:
    """List open editors, as `readings.read_editors` gives them."""
    editors = [Editor(**editor) for editor in found[:MOST_EDITORS]]
    data = Editors(editors=editors, omitted=len(found) - len(editors))
    lines = [f"{e.path}{' (active)' if e.active else ''}{' (unsaved changes)' if e.dirty else ''}" for e in editors]
    return _answer(_listed("No editor is open in the IDE.", lines, data.omitted), data)


def _listed(nothing: str, lines: Iterable[str], omitted: int) -> str:
    rest = [f"(and {omitted} more)"] if omitted else []
    return "\n".join([*lines, *rest]) or nothing


class Problem(_Result, kw_only=True):
    """One problem."""

    path: str
    line: Annotated[int | None, Meta(description="From 1.")]
    column: int | None
    severity: Literal["error", "warning", "info", "hint"]
    message: str
    source: Annotated[str | None, Meta(description="The tool that found it.")]
    code: Annotated[str | None, Meta(description="That tool's name for it.")]


class Diagnostics(_Result, kw_only=True):
    """Result of ``get_diagnostics``."""

    diagnostics: list[Problem]
    omitted: Annotated[int, Meta(description="How many there are besides those; errors are given first.")]


_SEVERITIES: Final = ("error", "warning", "info", "hint")


def of_diagnostics(found: Sequence[Mapping[str, Any]]) -> Answer:
    """List problems, as `readings.read_diagnostics` gives them, the worst first where they are too many."""
    if len(found) > MOST_PROBLEMS:
        found = sorted(found, key=lambda problem: _SEVERITIES.index(problem["severity"]))
    problems = [_problem(problem) for problem in found[:MOST_PROBLEMS]]
    data = Diagnostics(diagnostics=problems, omitted=len(found) - len(problems))
    return _answer(_listed("The IDE knows of no problem.", map(_told, problems), data.omitted), data)


def _problem(said: Mapping[str, Any]) -> Problem:
    named = {name: None if said[name] is None else str(said[name]) for name in ("source", "code")}
    return Problem(**{**said, **named, "message": _cut(said["message"], 2000)})


def _told(problem: Problem) -> str:
    origin = " ".join(filter(None, (problem.source, problem.code)))
    at = _at(problem.path, problem.line, problem.column)
    return f"{at}: {problem.severity}: {problem.message}" + (f" [{origin}]" if origin else "")


# ---- IDEs


class IdeEntry(_Result, kw_only=True):
    """One IDE."""

    name: str
    port: int
    workspace_folders: list[str]
    state: str
    chosen: Annotated[bool, Meta(description="Whether this is the one that would be used for the workspace.")]
    reason: Annotated[str, Meta(description="Why it is, or is not.")]


class Ides(_Result, kw_only=True):
    """Result of ``list_ides``."""

    workspace: str
    ides: list[IdeEntry]


def of_ides(workspace: str, rows: Iterable[IdeRow]) -> Answer:
    """List the IDEs as ``bridge status`` sees them."""
    ides = [
        IdeEntry(
            name=row["name"],
            port=row["port"],
            workspace_folders=row["workspace"],
            state=row["state"],
            chosen=row["chosen"],
            reason=row["reason"],
        )
        for row in rows
    ]
    lines = [f"{'* ' if i.chosen else '  '}{i.name} (port {i.port}, {i.state}): {i.reason}" for i in ides]
    nothing = "No IDE is running. Reviews are shown in the browser."
    return _answer(_listed(nothing, lines, 0), Ides(workspace=workspace, ides=ides))
