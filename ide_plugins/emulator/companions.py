"""What the companions of Gemini CLI and Qwen Code do otherwise: two tools, and news about the rest.

``openDiff`` is answered at once; what the human decided is told later, to everybody, by the path of the file. The two
differ: to Gemini's companion a closed or rejected diff is ``ide/diffRejected`` and ``closeDiff`` tells nobody; Qwen's
says ``ide/diffClosed`` of all three, unless ``closeDiff`` asks it not to. Source: docs/protocol.md, "The companions of
Gemini CLI and Qwen Code".
"""

from __future__ import annotations

import json
from typing import Any, Final

from .diffs import Diff, DiffTabs
from .tools import STRING, Arguments, Tool, text_result
from .window import Selection, Window

__all__ = ["context", "gemini_outcome", "gemini_tools", "proposal", "qwen_outcome", "qwen_tools", "server"]

MAX_FILES: Final = 10
MAX_SELECTED: Final = 16_384  # UTF-16 units in VS Code; characters here
CUT_MARK: Final = "... [TRUNCATED]"

BOOLEAN: Final = {"type": "boolean"}


def server(name: str) -> dict[str, Any]:
    """Give what ``initialize`` is answered beside the version."""
    return {
        "capabilities": {"logging": {}, "tools": {"listChanged": True}},
        "serverInfo": {"name": name, "version": "1.0.0"},
    }


def proposal(arguments: Arguments) -> Arguments:
    """Give the arguments of ``openDiff`` as the official extension has them; the tab is named by the file."""
    path = arguments["filePath"]
    return {
        "old_file_path": path,
        "new_file_path": path,
        "new_file_contents": arguments["newContent"],
        "tab_name": path,
    }


def gemini_outcome(diff: Diff) -> tuple[str, dict[str, Any]]:
    """Tell what became of `diff`."""
    return _accepted(diff) or ("ide/diffRejected", {"filePath": diff.new_file_path})


def qwen_outcome(diff: Diff) -> tuple[str, dict[str, Any]]:
    """Tell what became of `diff`; a rejection says what the editor held."""
    return _accepted(diff) or ("ide/diffClosed", {"filePath": diff.new_file_path, "content": diff.contents})


def _accepted(diff: Diff) -> tuple[str, dict[str, Any]] | None:
    match diff.answer:
        case ("FILE_SAVED", text):
            return "ide/diffAccepted", {"filePath": diff.new_file_path, "content": text}
    return None


def gemini_tools() -> dict[str, Tool]:
    """Give the two tools of Gemini's companion, which knows ``suppressNotification`` and need not heed it."""
    return _tools(_close_quietly)


def qwen_tools() -> dict[str, Tool]:
    """Give the two tools of Qwen's companion."""
    return _tools(_close)


def _tools(close: Any) -> dict[str, Tool]:
    tools = (
        Tool(
            name="openDiff",
            description="Show a proposed change; the decision is told later",
            run=None,
            required={"filePath": STRING, "newContent": STRING},
        ),
        Tool(
            name="closeDiff",
            description="Close the diff of a file",
            run=close,
            required={"filePath": STRING},
            optional={"suppressNotification": BOOLEAN},
        ),
    )
    return {tool.name: tool for tool in tools}


def _close(window: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    if arguments.get("suppressNotification", False):
        return _close_quietly(window, tabs, arguments)
    diff = _oldest(tabs, arguments)
    if diff is not None:
        tabs.close(diff)
    return _last_text(tabs, diff)


def _close_quietly(_: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    diff = _oldest(tabs, arguments)
    if diff is not None:
        tabs.withdraw(diff)
    return _last_text(tabs, diff)


def _oldest(tabs: DiffTabs, arguments: Arguments) -> Diff | None:
    """Find the diff to close: of several for one file, the one that was opened first."""
    return next((diff for diff in tabs.tabs if diff.new_file_path == arguments["filePath"]), None)


def _last_text(tabs: DiffTabs, diff: Diff | None) -> dict[str, Any]:
    return text_result(json.dumps({} if diff is None else {"content": tabs.shown(diff)}, separators=(",", ":")))


def context(window: Window) -> dict[str, Any]:
    """Give the parameters of ``ide/contextUpdate``: the files that were active, the latest first."""
    latest = list(reversed(window.visited.items()))[:MAX_FILES]
    files = [_file(window, str(window.names.path(path)), seconds) for path, seconds in latest]
    if files and window.selection is not None:
        files[0] |= {"isActive": True} | _cursor(window.selection)
    return {"workspaceState": {"openFiles": files, "isTrusted": True}}


def _file(window: Window, path: str, seconds: float) -> dict[str, Any]:
    return {"path": path, "timestamp": int(seconds * 1000)}


def _cursor(selection: Selection) -> dict[str, Any]:
    """Give the cursor and what is selected.

    The line counts from one. So should the character, by the specification; the companion leaves it as VS Code gives
    it, from zero.
    """
    line, character = selection.end
    cursor = {"cursor": {"line": line + 1, "character": character}}
    cut = selection.text if len(selection.text) <= MAX_SELECTED else selection.text[:MAX_SELECTED] + CUT_MARK
    return cursor | ({"selectedText": cut} if cut else {})
