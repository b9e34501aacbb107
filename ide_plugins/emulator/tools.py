"""The official tools: what ``tools/list`` says, which arguments are taken, what each answers.

Names, arguments and results are those of the official VS Code extension 1.0.44 as seen on the wire
(docs/protocol.md). Results that have a structure are JSON text, indented by two, in one text item.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .diffs import DiffTabs
from .rpc import INVALID_PARAMS, Refused
from .window import Document, Selection, Window, as_json, position

__all__ = [
    "FLAGS",
    "INTEGER",
    "STRING",
    "Arguments",
    "Tool",
    "file_not_found",
    "json_result",
    "official_tools",
    "text_result",
]

Arguments = dict[str, Any]
Schema = Mapping[str, Any]

STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
NO: Final[Schema] = {"type": "boolean", "default": False}
YES: Final[Schema] = {"type": "boolean", "default": True}
FLAGS: Final = {"preview": NO, "selectToEndOfLine": NO, "makeFrontmost": YES}  # of openFile

PYTHON_TYPES: Final = {"string": str, "boolean": bool, "integer": int}


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool. `run` is None for ``openDiff``: a human answers it, later."""

    name: str
    description: str
    run: Callable[[Window, DiffTabs, Arguments], dict[str, Any]] | None
    required: Mapping[str, Schema] = field(default_factory=dict)
    optional: Mapping[str, Schema] = field(default_factory=dict)
    read_only: bool = False  # announced as an annotation
    listed: bool = True  # by ``tools/list``; it is answered all the same
    loose: bool = False  # takes any arguments, whatever its schema says

    def to_json(self) -> dict[str, Any]:
        """Give the entry of ``tools/list``."""
        schema = {
            "type": "object",
            "properties": {**self.required, **self.optional},
            "additionalProperties": self.loose,
            "$schema": "http://json-schema.org/draft-07/schema#",
        }
        if self.required:
            schema["required"] = list(self.required)
        entry = {"name": self.name, "description": self.description, "inputSchema": schema}
        return entry | ({"annotations": {"readOnlyHint": True}} if self.read_only else {})

    def check(self, arguments: Any) -> None:
        """Hold `arguments` against the schema; raises `Refused` (-32602) at the first that does not fit."""
        complaint = self._complaint(arguments)
        if complaint is not None:
            message = f"MCP error -32602: Invalid arguments for tool {self.name}: {complaint}"
            raise Refused(INVALID_PARAMS, message)

    def _complaint(self, arguments: Any) -> str | None:
        if not isinstance(arguments, dict):
            return "not an object"
        if self.loose:
            return None
        known = {**self.required, **self.optional}
        for name in self.required:
            if name not in arguments:
                return f"{name} is required"
        for name, value in arguments.items():
            if name not in known:
                return f"{name} is unknown"
            if type(value) is not PYTHON_TYPES[known[name]["type"]]:  # exact: in Python a bool is an int
                return f"{name} is not of type {known[name]['type']}"
        return None


def official_tools(*, needs_text: bool = True, lines: bool = False) -> dict[str, Tool]:
    """Give the twelve official tools by name.

    Args:
        needs_text: whether openFile requires startText and endText, as some versions do.
        lines: whether openFile offers startLine and endLine, as the Neovim plugin does.
    """
    tools = (_open_file_tool(needs_text=needs_text, lines=lines), *_TOOLS)
    return {tool.name: tool for tool in tools}


def text_result(*items: str, is_error: bool = False) -> dict[str, Any]:
    """Build a tool's result of text items."""
    content = [{"type": "text", "text": item} for item in items]
    return {"content": content} | ({"isError": True} if is_error else {})


def file_not_found(name: str) -> dict[str, Any]:
    """Build the result for a path that is no file to the IDE, as the official extension words it."""
    return text_result(f"File not found: {name}", is_error=True)


def json_result(value: Any) -> dict[str, Any]:
    """Build a tool's result of a structure."""
    return text_result(json.dumps(value, indent=2, ensure_ascii=False))


def _failure(message: str) -> dict[str, Any]:
    return json_result({"success": False, "message": message})


def _open_file_tool(*, needs_text: bool, lines: bool) -> Tool:
    texts = {"startText": STRING, "endText": STRING}
    line_numbers = {"startLine": INTEGER, "endLine": INTEGER} if lines else {}
    return Tool(
        name="openFile",
        description="Open a file in the editor and select a part of it",
        run=_open_file,
        required={"filePath": STRING, **(texts if needs_text else {})},
        optional={**({} if needs_text else texts), **line_numbers, **FLAGS},
        read_only=True,
    )


def _open_file(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    try:
        path = window.names.real(window.workspace, arguments["filePath"])
        document = window.open(path, preview=arguments.get("preview", False))
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return file_not_found(arguments["filePath"])
    message, start, end = _part(document, arguments, window.names.path(path))
    if arguments.get("makeFrontmost", True):
        text = document.text
        window.selection = Selection(path, text[start:end], position(text, start), position(text, end))
        return text_result(message)
    return json_result(
        {
            "success": True,
            "filePath": window.names.path(path),
            "fileUrl": window.names.uri(path),
            "message": message,
            "languageId": document.language_id,
            "lineCount": document.line_count,
            "isDirty": path in window.dirty,
            "isUntitled": False,
            "isClosed": False,
        }
    )


def _part(document: Document, arguments: Arguments, name: str) -> tuple[str, int, int]:
    """Find what openFile shall select: the sentence that reports it, and two offsets."""
    if "startLine" in arguments:
        first_line: int = arguments["startLine"]
        return _lines(document, first_line, arguments.get("endLine", first_line))
    text, first = document.text, arguments.get("startText")
    if not first:
        return f"Opened file: {name}", 0, 0
    last = arguments.get("endText") or first
    start = text.find(first)
    last_start = text.find(last, max(start, 0))
    if start < 0 or last_start < 0:
        return f'Opened file, but text "{first if start < 0 else last}" not found', 0, 0
    end = last_start + len(last)
    if arguments.get("selectToEndOfLine"):
        end = _line_end(text, end)
    return f'Opened file and selected text from "{first}" to "{last}"', start, end


def _lines(document: Document, first: int, last: int) -> tuple[str, int, int]:
    """Find the lines `first` to `last`, counted from one; beyond the text, the last line."""
    starts = [0, *(i + 1 for i, char in enumerate(document.text) if char == "\n")]
    start, last_start = (starts[min(max(number, 1), len(starts)) - 1] for number in (first, last))
    return f"Opened file and selected lines {first} to {last}", start, _line_end(document.text, last_start)


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _close_tab(_: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    tabs.close_named(arguments["tab_name"])
    return text_result("TAB_CLOSED")  # for an unknown name too


def _close_all_diff_tabs(_: Window, tabs: DiffTabs, __: Arguments) -> dict[str, Any]:
    return text_result(f"CLOSED_{tabs.close_all()}_DIFF_TABS")


def _get_open_editors(window: Window, _: DiffTabs, __: Arguments) -> dict[str, Any]:
    return json_result({"tabs": [_tab(window, document) for document in window.documents.values()]})


def _tab(window: Window, document: Document) -> dict[str, Any]:
    path, selection = document.path, window.selection
    is_active = selection is not None and selection.path == path
    tab = {
        "uri": window.names.uri(path),
        "isActive": is_active,
        "isPinned": False,
        "isPreview": document.is_preview,
        "isDirty": path in window.dirty,
        "label": path.name,
        "groupIndex": 0,
        "viewColumn": 1,
        "isGroupActive": True,
        "fileName": window.names.path(path),
        "languageId": document.language_id,
        "lineCount": document.line_count,
        "isUntitled": False,
    }
    if selection is not None and is_active:
        bounds = {"start": as_json(selection.start), "end": as_json(selection.end)}
        tab["selection"] = {**bounds, "isReversed": False}
    return tab


def _get_workspace_folders(window: Window, _: DiffTabs, __: Arguments) -> dict[str, Any]:
    root, path = window.workspace, window.names.path(window.workspace)
    folder = {"name": root.name, "uri": window.names.uri(root), "path": path, "index": 0}
    return json_result({"success": True, "folders": [folder], "rootPath": path, "workspaceFile": None})


def _get_current_selection(window: Window, _: DiffTabs, __: Arguments) -> dict[str, Any]:
    if window.selection is None:
        return _failure("No active editor found")
    return json_result({"success": True, **window.selection.to_json(window.names)})


def _get_latest_selection(window: Window, _: DiffTabs, __: Arguments) -> dict[str, Any]:
    if window.selection is None:
        return _failure("No selection available")
    return json_result(window.selection.to_json(window.names))


def _get_diagnostics(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    uris = [arguments["uri"]] if "uri" in arguments else list(window.diagnostics)
    return json_result([{"uri": uri, "diagnostics": window.problems(uri)} for uri in uris])


def _check_document_dirty(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    path = window.find(arguments["filePath"])
    if path is None or not window.is_open(path):
        return _failure(f"Document not open: {arguments['filePath']}")
    is_dirty = path in window.dirty
    return json_result({"success": True, "filePath": window.names.path(path), "isDirty": is_dirty, "isUntitled": False})


def _save_document(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    path = window.find(arguments["filePath"])
    if path is None or not window.is_open(path):
        return _failure(f"Document not open: {arguments['filePath']}")
    window.dirty.discard(path)
    message = "Document saved successfully"
    return json_result({"success": True, "filePath": window.names.path(path), "saved": True, "message": message})


def _execute_code(_: Window, __: DiffTabs, ___: Arguments) -> dict[str, Any]:
    return text_result("No active notebook editor found.")


_FILE: Final = {"filePath": STRING}

_TOOLS: Final = (
    Tool(
        name="openDiff",
        description="Show a proposed change and wait for the human's decision",
        run=None,
        required=dict.fromkeys(("old_file_path", "new_file_path", "new_file_contents", "tab_name"), STRING),
    ),
    Tool(
        name="getDiagnostics",
        description="List problems, of one file or of all",
        run=_get_diagnostics,
        optional={"uri": STRING},
    ),
    Tool(name="close_tab", description="Close a tab", run=_close_tab, required={"tab_name": STRING}),
    Tool(name="closeAllDiffTabs", description="Close every diff", run=_close_all_diff_tabs),
    Tool(name="getOpenEditors", description="List the open editors", run=_get_open_editors),
    Tool(name="getWorkspaceFolders", description="List the open folders", run=_get_workspace_folders),
    Tool(
        name="getCurrentSelection",
        description="Give the active editor's selection",
        run=_get_current_selection,
    ),
    Tool(
        name="checkDocumentDirty",
        description="Tell whether a document has unsaved changes",
        run=_check_document_dirty,
        required=_FILE,
    ),
    Tool(name="saveDocument", description="Save a document", run=_save_document, required=_FILE),
    Tool(name="getLatestSelection", description="Give the selection that came last", run=_get_latest_selection),
    Tool(
        name="executeCode",
        description="Run code in the active notebook",
        run=_execute_code,
        required={"code": STRING},
    ),
)
