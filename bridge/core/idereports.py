"""What the MCP tools answer about IDEs: what is open, selected and wrong there, and which IDEs there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from bridge.core.status import Ide
from bridge.core.text import visible
from bridge.core.toolanswers import Answer, Result, answered, cut

__all__ = [
    "MOST_PROBLEMS",
    "MOST_SELECTED",
    "Diagnostics",
    "Editors",
    "Ides",
    "Opened",
    "Selected",
    "of_diagnostics",
    "of_editors",
    "of_ides",
    "of_opened",
    "of_selection",
]

MOST_SELECTED: Final = 20_000  # characters
MOST_PROBLEMS: Final = 200
MOST_EDITORS: Final = 500


# ---- files


class Opened(Result, kw_only=True):
    """Result of ``open_file``."""

    path: Annotated[str, Meta(description="Absolute path of the file.")]
    ide: Annotated[str, Meta(description="Name of the IDE that shows it.")]
    positioned: Annotated[bool, Meta(description="Whether the IDE went to the line.")]


def of_opened(path: str, result: Mapping[str, Any]) -> Answer:
    """Say which IDE opened the file."""
    positioned = bool(result["positioned"])
    missed = "" if positioned else " It did not go to the line."
    words = f"{visible(path)} is open in {visible(result['ide'])}.{missed}"
    return answered(words, Opened(path=path, ide=result["ide"], positioned=positioned))


# ---- what the IDE knows


class Selection(Result, kw_only=True):
    """Where the human is, and what is selected there."""

    path: str
    line: Annotated[int | None, Meta(description="From 1.")]
    column: int | None
    end_line: int | None
    end_column: int | None
    text: Annotated[str, Meta(description="The selected text; empty: nothing is selected, this is the cursor.")]
    text_cut: Annotated[bool, Meta(description="Whether more is selected than what is given of it.")]


class Selected(Result, kw_only=True):
    """Result of ``get_selection``."""

    selection: Annotated[Selection | None, Meta(description="null: no editor is open.")]


def of_selection(found: Mapping[str, Any] | None) -> Answer:
    """Say what is selected; `found` is as `readings.read_selection` gives it."""
    if found is None:
        return answered("The IDE has no editor open.", Selected(selection=None))
    cut = len(found["text"]) > MOST_SELECTED
    selection = Selection(**{**found, "text": found["text"][:MOST_SELECTED]}, text_cut=cut)
    at = _at(selection.path, selection.line, selection.column)
    if not selection.text:
        return answered(f"Nothing is selected; the cursor is at {at}.", Selected(selection=selection))
    more = "\n(and more: the text is cut)" if cut else ""
    return answered(f"Selected at {at}:\n{selection.text}{more}", Selected(selection=selection))


def _at(path: str, line: int | None, column: int | None) -> str:
    """Name a place on one line: whoever named a file must not be able to add lines to what we say."""
    return ":".join(str(part) for part in (visible(path), line, column) if part is not None)


class Editor(Result, kw_only=True):
    """One open editor."""

    path: Annotated[str, Meta(description="Absolute path, or the URI of what is no file.")]
    active: Annotated[bool | None, Meta(description="Whether the human looks at it; null: the IDE does not say.")]
    dirty: Annotated[bool | None, Meta(description="Whether it has unsaved changes; null: the IDE does not say.")]


class Editors(Result, kw_only=True):
    """Result of ``get_open_editors``."""

    editors: list[Editor]
    omitted: Annotated[int, Meta(description="How many there are besides those.")]


def of_editors(found: Sequence[Mapping[str, Any]]) -> Answer:
    """List open editors, as `readings.read_editors` gives them."""
    editors = [Editor(**editor) for editor in found[:MOST_EDITORS]]
    data = Editors(editors=editors, omitted=len(found) - len(editors))
    lines = [
        f"{visible(e.path)}{' (active)' if e.active else ''}{' (unsaved changes)' if e.dirty else ''}" for e in editors
    ]
    return answered(_listed("No editor is open in the IDE.", lines, data.omitted), data)


def _listed(nothing: str, lines: Iterable[str], omitted: int) -> str:
    rest = [f"(and {omitted} more)"] if omitted else []
    return "\n".join([*lines, *rest]) or nothing


class Problem(Result, kw_only=True):
    """One problem."""

    path: str
    line: Annotated[int | None, Meta(description="From 1.")]
    column: int | None
    severity: Literal["error", "warning", "info", "hint"]
    message: str
    source: Annotated[str | None, Meta(description="The tool that found it.")]
    code: Annotated[str | None, Meta(description="That tool's name for it.")]


class Diagnostics(Result, kw_only=True):
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
    return answered(_listed("The IDE knows of no problem.", map(_told, problems), data.omitted), data)


def _problem(said: Mapping[str, Any]) -> Problem:
    named = {name: None if said[name] is None else str(said[name]) for name in ("source", "code")}
    return Problem(**{**said, **named, "message": cut(said["message"], 2000)})


def _told(problem: Problem) -> str:
    origin = " ".join(filter(None, (problem.source, problem.code)))
    message = visible(problem.message, multiline=True).replace("\n", "\n    ")  # no line of it is another problem's
    at = _at(problem.path, problem.line, problem.column)
    return f"{at}: {problem.severity}: {message}" + (f" [{visible(origin)}]" if origin else "")


# ---- IDEs


class IdeEntry(Result, kw_only=True):
    """One IDE."""

    name: str
    port: int
    workspace_folders: list[str]
    state: str
    chosen: Annotated[bool, Meta(description="Whether this is the one that would be used for the workspace.")]
    reason: Annotated[str, Meta(description="Why it is, or is not.")]


class Ides(Result, kw_only=True):
    """Result of ``list_ides``."""

    workspace: str
    ides: list[IdeEntry]


def of_ides(workspace: str, rows: Iterable[Ide]) -> Answer:
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
    lines = [
        f"{'* ' if i.chosen else '  '}{visible(i.name)} (port {i.port}, {i.state}): {visible(i.reason)}" for i in ides
    ]
    nothing = "No IDE is running. Reviews are shown in the browser."
    return answered(_listed(nothing, lines, 0), Ides(workspace=workspace, ides=ides))
