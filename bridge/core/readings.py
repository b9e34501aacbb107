"""What the IDE's own tools answered, read for a person, a program or an agent. Standard library only.

Plugins differ in what they say and how; what comes out of here does not. Lines and columns count from 1. Facts:
docs/protocol.md "Tools and their shapes".
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from bridge.errors import Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

__all__ = ["SELECTION_TOOLS", "position", "read_diagnostics", "read_editors", "read_selection", "values"]

SELECTION_TOOLS = ("getCurrentSelection", "getLatestSelection")  # the second knows more when no editor has the focus

# As IDEs say it, in words or by LSP's number, and as compilers do (docs/protocol.md).
SEVERITIES = {
    "error": "error",
    "warning": "warning",
    "information": "info",
    "info": "info",
    "hint": "hint",
    "1": "error",
    "2": "warning",
    "3": "info",
    "4": "hint",
}


def values(result: Any) -> list[Any]:
    """Give what the texts of a tool's result say as JSON; a text that is none is passed over.

    Raises `Unavailable` for a result that says it is an error, in the IDE's words.
    """
    content = result.get("content") if isinstance(result, dict) else None
    items = content if isinstance(content, list) else ()
    texts = [item["text"] for item in items if isinstance(item, dict) and isinstance(item.get("text"), str)]
    if isinstance(result, dict) and result.get("isError") is True:
        raise Unavailable(f"the IDE could not do it: {' '.join(texts)}", "bridge status")
    return [value for value in map(_json, texts) if value is not None]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def position(value: Any) -> tuple[int, int] | None:
    """Read a position, which counts from 0, as line and column that count from 1; None for what is none."""
    line, character = (value.get("line"), value.get("character")) if isinstance(value, dict) else (None, None)
    return (line + 1, character + 1) if type(line) is int and type(character) is int else None


def _path(uri: str) -> str:
    """Give the file of a URI; one that names no file stays as it is."""
    from pathconv import PathConvError, WslPath, parse_uri  # lazily: a command reads with this too

    try:
        path = parse_uri(uri)
    except PathConvError:
        return uri
    return uri if isinstance(path, WslPath) else str(path)


# ---- the selection


def read_selection(result: Any) -> dict[str, Any] | None:
    """Read the answer to one of `SELECTION_TOOLS`: path, text, and both ends; None when there is no selection.

    Raises `Unavailable` for an answer that says it is an error.
    """
    for value in values(result):
        if isinstance(value, dict) and isinstance(value.get("filePath"), str):
            return _selection(value)
    return None


def _selection(value: dict[str, Any]) -> dict[str, Any]:
    text, bounds = value.get("text"), value.get("selection")
    bounds = bounds if isinstance(bounds, dict) else {}
    line, column = position(bounds.get("start")) or (None, None)
    end_line, end_column = position(bounds.get("end")) or (None, None)
    return {
        "path": value["filePath"],
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "text": text if isinstance(text, str) else "",
    }


# ---- problems


def read_diagnostics(result: Any) -> list[dict[str, Any]]:
    """Read the answer to ``getDiagnostics``: path, line, column, severity, message, source and code of each problem.

    Raises `Unavailable` for an answer that says it is an error.
    """
    return [problem for value in values(result) for problem in _problems(value)]


def _problems(value: Any) -> Iterator[dict[str, Any]]:
    """Read one text of the answer: a list of files with their problems or, as Neovim has it, one problem."""
    if isinstance(value, dict) and isinstance(value.get("filePath"), str):
        line, column = value.get("line"), value.get("character")
        at = (line, column) if type(line) is int and type(column) is int else None  # these count from 1
        yield _problem(value["filePath"], value, at)
    for file in value if isinstance(value, list) else ():
        if not isinstance(file, dict) or not isinstance(file.get("uri"), str):
            continue
        found = file.get("diagnostics")
        for problem in found if isinstance(found, list) else ():
            if isinstance(problem, dict):
                bounds = problem.get("range")
                start = bounds.get("start") if isinstance(bounds, dict) else None
                yield _problem(_path(file["uri"]), problem, position(start))


def _problem(path: str, said: dict[str, Any], at: tuple[int, int] | None) -> dict[str, Any]:
    code = said.get("code")
    code = code.get("value") if isinstance(code, dict) else code  # VS Code may give it with a link
    return {
        "path": path,
        "line": at[0] if at else None,
        "column": at[1] if at else None,
        "severity": SEVERITIES.get(str(said.get("severity")).lower(), "error"),
        "message": str(said.get("message", "")),
        "source": said.get("source"),
        "code": code,
    }


# ---- open editors


def read_editors(result: Any) -> list[dict[str, Any]]:
    """Read the answer to ``getOpenEditors``: path, and whether it is active and dirty, None where nobody says.

    What has no file, such as a settings page, has its URI for a path. Raises `Unavailable` for an answer that says it
    is an error.
    """
    lists = (value.get("tabs", value.get("editors")) for value in values(result) if isinstance(value, dict))
    tabs = [tab for tabs in lists if isinstance(tabs, list) for tab in tabs if isinstance(tab, dict)]
    return [_editor(path, tab) for tab in tabs if (path := _editor_path(tab)) is not None]


def _editor_path(tab: dict[str, Any]) -> str | None:
    for name in ("fileName", "path"):  # official and nvim; monet
        if isinstance(tab.get(name), str) and tab[name]:
            return str(tab[name])
    return _path(tab["uri"]) if isinstance(tab.get("uri"), str) and tab["uri"] else None


def _editor(path: str, tab: dict[str, Any]) -> dict[str, Any]:
    active, dirty = tab.get("isActive"), tab.get("isDirty")
    return {
        "path": path,
        "active": active if isinstance(active, bool) else None,
        "dirty": dirty if isinstance(dirty, bool) else None,
    }
