"""The tools of the MCP server that JetBrains IDEs have built in, those that the bridge uses and some that it must not.

The workspace is the one open project. Names, arguments and results are those of JetBrains' source, which was read
(docs/protocol.md "JetBrains' MCP server"). Errors are results that say ``isError``; every tool takes ``projectPath``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from .diffs import DiffTabs
from .faults import Fault, Faults
from .tools import INTEGER, NO, STRING, YES, Arguments, Tool, text_result
from .window import Selection, Window

__all__ = ["SERVER", "refusal", "tools"]

SUCCESS: Final = "[success]"  # of a tool that gives nothing
_SEVERITIES: Final = {"Error": "ERROR", "Warning": "WARNING", "Information": "WEAK WARNING", "Hint": "WEAK WARNING"}


class _Failure(Exception):
    """What the tool answers, in words."""


SERVER: Final = {
    "capabilities": {"tools": {"listChanged": True}},
    "serverInfo": {"name": "IntelliJ IDEA MCP Server", "version": "2025.3.1"},
}
"""What it says of itself."""


def tools() -> dict[str, Tool]:
    """Give the tools by name."""
    return {tool.name: tool for tool in _TOOLS}


def refusal(faults: Faults) -> dict[str, Any] | None:
    """Give what every call is answered while these faults last; None: they do not matter."""
    if Fault.NO_PROJECT in faults:
        return text_result("No project opened", is_error=True)
    if Fault.TOOL_ERROR in faults:
        return text_result("MCP tool call has been failed: read access is allowed from inside only", is_error=True)
    return None


def _tool(
    name: str,
    description: str,
    run: Callable[[Window, Arguments], str],
    required: dict[str, Any] | None = None,
    optional: dict[str, Any] | None = None,
) -> Tool:
    def answer(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
        try:
            _check_project(window, arguments.get("projectPath"))
            return text_result(run(window, arguments))
        except _Failure as failure:
            return text_result(str(failure), is_error=True)

    extra = {**(optional or {}), "projectPath": STRING}
    return Tool(name=name, description=description, run=answer, required=required or {}, optional=extra)


def _check_project(window: Window, path: str | None) -> None:
    """Hold a call against the open project; which it is may be left unsaid while there is one only."""
    if path and not _real(window, path).is_relative_to(window.workspace):
        projects = json.dumps({"projects": [{"path": window.names.path(window.workspace)}]})
        raise _Failure(
            f"`projectPath`=`{path}` doesn't correspond to any open project.\n"
            " You may specify the project path via `projectPath` parameter when calling a tool. \n"
            f" Currently open projects: {projects}"
        )


def _real(window: Window, name: str) -> Path:
    try:
        return Path(os.path.normpath(window.names.real(window.workspace, name)))
    except ValueError:
        raise _Failure(f"Illegal path: {name}") from None


def _file(window: Window, name: str) -> Path:
    path = _real(window, name)
    if not path.is_relative_to(window.workspace):
        raise _Failure(f"Specified path '{name}' points to the location outside of the project directory")
    return path


def _open_file(window: Window, arguments: Arguments) -> str:
    name = arguments["filePath"]
    path = _file(window, name)
    try:
        window.open(path)
    except OSError:
        raise _Failure(f"File {name} doesn't exist or can't be opened") from None
    window.selection = Selection(path)
    return SUCCESS


def _open_files(window: Window, _: Arguments) -> str:
    active = window.selection.path if window.selection is not None else None
    found = {
        "activeFilePath": None if active is None else str(active.relative_to(window.workspace)),
        "openFiles": [str(path.relative_to(window.workspace)) for path in window.documents],
    }
    return json.dumps(found)


def _file_problems(window: Window, arguments: Arguments) -> str:
    path = _file(window, arguments["filePath"])
    if not path.is_file():
        raise _Failure(f"File not found: {arguments['filePath']}")
    lines = path.read_text("utf-8", "replace").split("\n")
    found = [_problem(problem, lines) for problem in window.problems(window.names.uri(path))]
    errors = [one for one in found if one["severity"] == "ERROR" or not arguments.get("errorsOnly", True)]
    return json.dumps({"filePath": str(path.relative_to(window.workspace)), "errors": errors})


def _problem(problem: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    start = problem["range"]["start"]
    return {
        "severity": _SEVERITIES[problem["severity"]],
        "description": problem["message"],
        "lineContent": lines[start["line"]],
        "line": start["line"] + 1,
        "column": start["character"] + 1,
    }


def _succeed(_: Window, __: Arguments) -> str:
    """Do nothing: whoever calls this is seen in the events."""
    return SUCCESS


_TOOLS: Final = (
    _tool("open_file_in_editor", "Open a file in the editor", _open_file, {"filePath": STRING}),
    _tool("get_all_open_file_paths", "List the open editors", _open_files),
    _tool(
        "get_file_problems",
        "Analyze a file",
        _file_problems,
        {"filePath": STRING},
        {"errorsOnly": YES, "timeout": INTEGER},
    ),
    _tool("create_new_file", "Create a file", _succeed, {"pathInProject": STRING}, {"text": STRING, "overwrite": NO}),
    _tool("execute_terminal_command", "Run a command", _succeed, {"command": STRING}),
    _tool(
        "replace_text_in_file",
        "Change a file",
        _succeed,
        {"pathInProject": STRING, "oldText": STRING, "newText": STRING},
    ),
)
