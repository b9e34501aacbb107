"""The tools of other plugins, where they deviate from the official ones. Source: see `personality`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from .diffs import DiffTabs
from .rpc import Refused
from .tools import FLAGS, INTEGER, STRING, Arguments, Tool, json_result, official_tools, text_result
from .window import Window

__all__ = ["el_selection", "el_tools", "monet_tools", "nvim_tools"]

NO_SUCH_FILE: Final = -32000
NOT_OPEN: Final = -32001
INTERNAL_ERROR: Final = -32603

_OFFICIAL: Final = official_tools(needs_text=False, lines=True)


# ---- claudecode.nvim


def nvim_tools() -> dict[str, Tool]:
    """Give the official tools without ``executeCode``; failures are errors, and one tool is not listed."""
    tools = {name: tool for name, tool in _OFFICIAL.items() if name != "executeCode"}
    return tools | {
        "openFile": replace(tools["openFile"], run=_nvim_open_file),
        "getDiagnostics": replace(tools["getDiagnostics"], run=_nvim_get_diagnostics),
        "close_tab": replace(tools["close_tab"], listed=False),
    }


def _nvim_open_file(window: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    answer = _run("openFile", window, tabs, arguments)
    if answer.get("isError"):
        raise Refused(NO_SUCH_FILE, _text(answer))
    return answer


def _nvim_get_diagnostics(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    uris = [arguments["uri"]] if "uri" in arguments else list(window.diagnostics)
    for uri in uris:
        if not window.problems(uri) and not window.is_open(window.meant(uri)):
            raise Refused(NOT_OPEN, f"File not open: {uri}")
    return json_result([{"uri": uri, "diagnostics": [*map(_nvim_problem, window.problems(uri))]} for uri in uris])


def _nvim_problem(problem: dict[str, Any]) -> dict[str, Any]:
    severity = problem.get("severity")
    return {**problem, "severity": "Info"} if severity == "Information" else problem


# ---- claude-code-ide.el


def el_tools() -> dict[str, Tool]:
    """Give five tools; positions count from one."""
    places = {"startLine": INTEGER, "endLine": INTEGER, "startText": STRING, "endText": STRING}
    return {
        "openFile": replace(_OFFICIAL["openFile"], run=_el_open_file, optional=places, read_only=False),
        "openDiff": _OFFICIAL["openDiff"],
        "close_tab": replace(_OFFICIAL["close_tab"], run=_el_close_tab, optional={"path": STRING}),
        "closeAllDiffTabs": _OFFICIAL["closeAllDiffTabs"],
        "getDiagnostics": replace(_OFFICIAL["getDiagnostics"], run=_el_get_diagnostics),
    }


def el_selection(params: dict[str, Any]) -> dict[str, Any]:
    """Give the selection as it is pushed: from one, and with less in it."""
    return {name: params[name] for name in ("text", "filePath")} | {"selection": _from_one(params["selection"])}


def _el_open_file(window: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    _run("openFile", window, tabs, arguments)
    return text_result("FILE_OPENED")  # for a missing file too


def _el_close_tab(_: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    if not tabs.close_named(arguments["tab_name"]):
        raise Refused(INTERNAL_ERROR, f"No such tab: {arguments['tab_name']}")
    return text_result("TAB_CLOSED")


def _el_get_diagnostics(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    uris = [arguments["uri"]] if "uri" in arguments else list(window.diagnostics)
    files = [{"uri": uri, "diagnostics": [*map(_el_problem, window.problems(uri))]} for uri in uris]
    return json_result([file for file in files if file["diagnostics"]])


def _el_problem(problem: dict[str, Any]) -> dict[str, Any]:
    return {**problem, "range": _from_one(problem["range"])} if "range" in problem else problem


def _from_one(bounds: dict[str, Any]) -> dict[str, Any]:
    return {end: {name: count + 1 for name, count in bounds[end].items()} for end in ("start", "end")}


# ---- monet


def monet_tools() -> dict[str, Tool]:
    """Give the official tools without ``executeCode``; files are named by URI, and no argument is checked."""
    tools = {name: tool for name, tool in _OFFICIAL.items() if name != "executeCode"}
    (*diff, _), uri = tools["openDiff"].required, {"uri": STRING}  # tab_name is the last
    texts = {"startText": STRING, "endText": STRING}
    return tools | {
        "openFile": replace(tools["openFile"], run=_monet_open_file, required=uri, optional=texts | FLAGS, loose=True),
        "openDiff": replace(tools["openDiff"], required=dict.fromkeys(diff, STRING), optional={"tab_name": STRING}),
        "close_tab": replace(tools["close_tab"], run=_monet_close_tab),
        "getCurrentSelection": replace(tools["getCurrentSelection"], run=tools["getLatestSelection"].run),
        "getOpenEditors": replace(tools["getOpenEditors"], run=_monet_get_open_editors),
        "getWorkspaceFolders": replace(tools["getWorkspaceFolders"], run=_monet_get_workspace_folders),
        "checkDocumentDirty": replace(
            tools["checkDocumentDirty"], run=_monet_check_document_dirty, required=uri, loose=True
        ),
        "saveDocument": replace(tools["saveDocument"], run=_monet_save_document, required=uri, loose=True),
    }


def _monet_open_file(window: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    path = _file(window, arguments.get("uri"))
    if path is None or not path.is_file():
        return text_result(f"Error opening file: {arguments.get('uri')}")  # and no error to the protocol
    known = {name: value for name, value in arguments.items() if name in FLAGS or name in ("startText", "endText")}
    return _run("openFile", window, tabs, known | {"filePath": window.names.path(path)})


def _monet_close_tab(_: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    return text_result("TAB_CLOSED" if tabs.close_named(arguments["tab_name"]) else "TAB_NOT_DIFF")


def _monet_get_open_editors(window: Window, _: DiffTabs, __: Arguments) -> dict[str, Any]:
    names, paths = window.names, window.documents
    return json_result({"editors": [{"uri": names.uri(p), "name": p.name, "path": names.path(p)} for p in paths]})


def _monet_get_workspace_folders(window: Window, _: DiffTabs, __: Arguments) -> dict[str, Any]:
    root = window.workspace
    return json_result({"folders": [{"uri": window.names.uri(root), "name": root.name}]})


def _monet_check_document_dirty(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    return json_result({"isDirty": _file(window, arguments.get("uri")) in window.dirty})


def _monet_save_document(window: Window, _: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    path = _file(window, arguments.get("uri"))
    if path is None or not window.is_open(path):
        return json_result({"saved": False})
    window.dirty.discard(path)
    return json_result({"saved": True})


def _file(window: Window, uri: Any) -> Path | None:
    """Find the file that `uri` means, if it is the URI of one."""
    meant = window.meant(uri) if isinstance(uri, str) else None
    return meant if isinstance(meant, Path) else None


def _run(tool: str, window: Window, tabs: DiffTabs, arguments: Arguments) -> dict[str, Any]:
    """Do as the official tool does."""
    run = _OFFICIAL[tool].run
    assert run is not None  # that is openDiff alone
    return run(window, tabs, arguments)


def _text(answer: dict[str, Any]) -> str:
    return str(answer["content"][0]["text"])
