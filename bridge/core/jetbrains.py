"""JetBrains' MCP server: its own tools in place of the official ones, and what it says of projects.

One server serves all windows of the IDE, each a project; a call says which it is about. A file is told by its absolute
path: the server opens it only in a project that holds it, and otherwise says which are open. So no file is shown in a
window that has nothing to do with it, though nobody here knows the IDE's projects (design.md D8). Tools that write, or
run anything, have no row and are never called. Facts and their certainty: docs/protocol.md "JetBrains' MCP server".
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bridge.core import jsonrpc
from bridge.core.answers import Answer, text_result
from bridge.core.dialects import Tools, utf8
from bridge.errors import Unavailable
from pathconv import PathConvError, to_uri

__all__ = [
    "MARK",
    "PROJECT",
    "TOOLS",
    "asks_for_projects",
    "diagnostics",
    "disowned",
    "editors",
    "product_of",
    "project_of",
    "put",
]

PROJECT: Final = "projectPath"  # older servers took none: they opened any file in the window that was focused last
MARK: Final = "open_file_in_editor"  # a program without this tool is not the IDE, or no use
ANALYSIS_MS: Final = 8000  # of one file; less than `CALL_S`, so that what was found by then is told
_MOST_NAME: Final = 100  # characters
_MOST_PROJECTS: Final = 5  # in a reason
_MOST_PATH: Final = 300  # characters of each


class Own(NamedTuple):
    """The tool that an official one is made of."""

    name: str
    file: str | None = None  # the argument that names the file, if it is about one
    always: Mapping[str, Any] = {}


TOOLS: Final[Mapping[str, Own]] = {
    "openFile": Own(MARK, "filePath"),  # it takes no line
    "getOpenEditors": Own("get_all_open_file_paths"),  # relative to the project, which is not told
    "getDiagnostics": Own("get_file_problems", "filePath", {"errorsOnly": False, "timeout": ANALYSIS_MS}),
}
"""By the official tool's name."""


# ---- asking


def put(tools: Tools, tool: str, file: str | None, directory: str) -> tuple[str, dict[str, Any]]:
    """Put a call of an official tool in the server's words: its tool, and the arguments.

    Args:
        tool: a key of `TOOLS`.
        file: what it is about, absolute.
        directory: where the asker is; decides the project of what is about no file.

    Raises `BadData` for a path that is not UTF-8, `Unavailable` where the tool needs a file and there is none.
    """
    own = TOOLS[tool]
    given = {PROJECT: utf8(directory), **own.always}  # any directory in the project will do
    if own.file is not None:
        if file is None:
            raise Unavailable("this IDE tells the problems of one file at a time", "name the file")
        given |= {own.file: utf8(file), PROJECT: utf8(file.rpartition("/")[0] or "/")}
    return own.name, tools.fit(own.name, given)


def asks_for_projects(tools: Tools) -> tuple[str, dict[str, Any]]:
    """Give a call that is about no project, which is answered with those that are open."""
    return put(tools, "getOpenEditors", None, "/")


# ---- what it says

_PREFIX: Final = "JetBrains "
_SUFFIX: Final = " MCP Server"


def product_of(initialized: jsonrpc.Message) -> str:
    """Name the product by its answer to ``initialize``, e.g. ``JetBrains PyCharm``; empty when it does not say."""
    try:
        result = jsonrpc.load(initialized.result)
    except ValueError:
        return ""
    server = result.get("serverInfo") if isinstance(result, dict) else None
    name = server.get("name") if isinstance(server, dict) else None
    if not isinstance(name, str) or not name.endswith(_SUFFIX):
        return ""
    return _PREFIX + name.removesuffix(_SUFFIX).removeprefix(_PREFIX)[:_MOST_NAME]


_DISOWNED: Final = re.compile(
    r"doesn't correspond to any open project"
    r"|multiple projects are open"
    r"|determine the target project"
    r"|^No project opened"
    r"|outside of the project director"
)
_PROJECTS: Final = re.compile(r"Currently open projects: (\{.*\})", re.DOTALL)


def disowned(answer: Answer) -> str | None:
    """Say in words that what was asked about is in none of its projects, if that is what it answered."""
    if answer.error is None or _DISOWNED.search(answer.error) is None:
        return None
    return none_of(_projects(answer.error))


def none_of(projects: Sequence[str]) -> str:
    """Say that what was asked about is in none of these."""
    shown = ", ".join(path[:_MOST_PATH] for path in projects[:_MOST_PROJECTS])
    shown += ", …" if len(projects) > _MOST_PROJECTS else ""
    return f"what is asked about is in none of its open projects{shown and f' ({shown})'}"


def _projects(error: str) -> list[str]:
    """Find the open projects in an error that lists them."""
    listed = _PROJECTS.search(error)
    try:
        value = json.loads(listed[1]) if listed else None
    except (ValueError, RecursionError):
        return []
    projects = value.get("projects") if isinstance(value, dict) else None
    found = projects if isinstance(projects, list) else []
    return [project["path"] for project in found if isinstance(project, dict) and isinstance(project.get("path"), str)]


def project_of(answer: Answer, directory: str) -> tuple[str | None, str]:
    """Find the project that holds a directory, in the answer to `asks_for_projects`; None, and why, if none does."""
    if answer.error is None:  # then "/" is one
        return "/", ""
    projects = _projects(answer.error)
    holding = [path for path in projects if path.startswith("/") and _holds(path, directory)]
    return max(holding, key=len, default=None), none_of(projects)


def _holds(project: str, directory: str) -> bool:
    return f"{directory}/".startswith(f"{project.rstrip('/')}/")


def editors(answer: Answer, project: str) -> dict[str, Any] | None:
    """Put the open files of a project as the official ``getOpenEditors`` does; None for an answer that lists none."""
    value = answer.value()
    files = value.get("openFiles") if isinstance(value, dict) else None
    if not isinstance(files, list):
        return None
    tabs = (_tab(name, project, name == value.get("activeFilePath")) for name in files if isinstance(name, str))
    return text_result({"tabs": [tab for tab in tabs if tab is not None]})


def _tab(name: str, project: str, active: bool) -> dict[str, Any] | None:
    path = posixpath.normpath(posixpath.join(project, name))
    try:
        uri = to_uri(path)
    except PathConvError:  # no file has that name
        return None
    return {"uri": uri, "fileName": path, "label": posixpath.basename(path), "isActive": active}


_SEVERITIES: Final = {"ERROR": "Error", "WARNING": "Warning", "WEAK WARNING": "Warning"}


def diagnostics(answer: Answer, file: str) -> dict[str, Any] | None:
    """Put the problems of a file as the official ``getDiagnostics`` does; None for an answer that lists none.

    They come with the place where each begins, from 1; where it ends is not told, so it is empty.
    """
    value = answer.value()
    problems = value.get("errors") if isinstance(value, dict) else None
    if not isinstance(problems, list):
        return None
    found = [_problem(problem) for problem in problems if isinstance(problem, dict)]
    return text_result([{"uri": to_uri(file), "diagnostics": found}])


def _problem(problem: dict[str, Any]) -> dict[str, Any]:
    place = {"line": _from_zero(problem.get("line")), "character": _from_zero(problem.get("column"))}
    return {
        "message": str(problem.get("description") or ""),
        "severity": _SEVERITIES.get(str(problem.get("severity")), "Information"),
        "range": {"start": place, "end": place},
    }


def _from_zero(number: object) -> int:
    return max(number - 1, 0) if type(number) is int else 0
