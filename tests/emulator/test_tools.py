from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ide_plugins.emulator.diffs import DiffTabs
from ide_plugins.emulator.rpc import INVALID_PARAMS, Refused
from ide_plugins.emulator.tools import official_tools
from ide_plugins.emulator.window import Selection, Window, as_json

# name, required and optional arguments of the official extension 1.0.44
OFFICIAL = {
    "openDiff": (["old_file_path", "new_file_path", "new_file_contents", "tab_name"], []),
    "getDiagnostics": ([], ["uri"]),
    "close_tab": (["tab_name"], []),
    "closeAllDiffTabs": ([], []),
    "openFile": (["filePath", "startText", "endText"], ["preview", "selectToEndOfLine", "makeFrontmost"]),
    "getOpenEditors": ([], []),
    "getWorkspaceFolders": ([], []),
    "getCurrentSelection": ([], []),
    "checkDocumentDirty": (["filePath"], []),
    "saveDocument": (["filePath"], []),
    "getLatestSelection": ([], []),
    "executeCode": (["code"], []),
}


@pytest.fixture
def window(workspace: Path) -> Window:
    return Window(workspace=workspace)


def run(window: Window, tool: str, **arguments: Any) -> str:
    """Run a tool that takes lines as well; give its one text."""
    answer = result(window, tool, **arguments)
    assert "isError" not in answer
    (item,) = answer["content"]
    assert item["type"] == "text"
    return str(item["text"])


def result(window: Window, tool: str, /, **arguments: Any) -> dict[str, Any]:
    chosen = official_tools(needs_text=False, lines=True)[tool]
    chosen.check(arguments)
    assert chosen.run is not None
    return chosen.run(window, DiffTabs(decided=lambda _: None), arguments)


def structure(window: Window, tool: str, **arguments: Any) -> Any:
    """Run a tool whose one text is JSON, indented by two."""
    text = run(window, tool, **arguments)
    value = json.loads(text)
    assert text == json.dumps(value, indent=2, ensure_ascii=False)
    return value


def test_the_official_twelve_are_listed() -> None:
    listed = [tool.to_json() for tool in official_tools().values()]
    assert {tool["name"] for tool in listed} == set(OFFICIAL)
    for tool in listed:
        required, optional = OFFICIAL[tool["name"]]
        schema = tool["inputSchema"]
        assert tool["description"]
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert (schema["type"], schema["additionalProperties"]) == ("object", False)
        assert schema.get("required", []) == required
        assert list(schema["properties"]) == required + optional


def test_only_open_file_is_announced_as_harmless() -> None:
    listed = [tool.to_json() for tool in official_tools().values()]
    assert {t["name"]: t.get("annotations") for t in listed if "annotations" in t} == {
        "openFile": {"readOnlyHint": True}
    }


@pytest.mark.parametrize(
    ("options", "required", "extra"),
    [
        ({}, ["filePath", "startText", "endText"], set()),
        ({"needs_text": False}, ["filePath"], set()),
        ({"needs_text": False, "lines": True}, ["filePath"], {"startLine", "endLine"}),
    ],
)
def test_open_file_differs_by_plugin(options: dict[str, bool], required: list[str], extra: set[str]) -> None:
    schema = official_tools(**options)["openFile"].to_json()["inputSchema"]
    assert schema["required"] == required
    assert set(schema["properties"]) - {*OFFICIAL["openFile"][0], *OFFICIAL["openFile"][1]} == extra
    assert schema["properties"]["makeFrontmost"] == {"type": "boolean", "default": True}


@pytest.mark.parametrize(
    ("tool", "arguments", "complaint"),
    [
        ("close_tab", {}, "tab_name is required"),
        ("close_tab", {"tab_name": 1}, "tab_name is not of type string"),
        ("close_tab", {"tab_name": "t", "path": "/a"}, "path is unknown"),
        ("openFile", {"filePath": "/a", "preview": 1}, "preview is not of type boolean"),
        ("openFile", {"filePath": "/a", "startLine": True}, "startLine is not of type integer"),
        ("getDiagnostics", {"uri": None}, "uri is not of type string"),
        ("closeAllDiffTabs", [], "not an object"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tool: str, arguments: Any, complaint: str) -> None:
    with pytest.raises(Refused) as caught:
        official_tools(needs_text=False, lines=True)[tool].check(arguments)
    assert caught.value.code == INVALID_PARAMS
    assert caught.value.message == f"MCP error -32602: Invalid arguments for tool {tool}: {complaint}"


def test_a_loose_tool_takes_any_object() -> None:
    tool = replace(official_tools()["close_tab"], loose=True)
    tool.check({"path": 1})
    with pytest.raises(Refused, match="not an object"):
        tool.check([])
    assert tool.to_json()["inputSchema"]["additionalProperties"] is True


TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates included
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda j: st.lists(j), max_leaves=3)
NAMES = st.sampled_from(["filePath", "startText", "endText", "preview", "uri"]) | TEXT


@settings(deadline=None)
@given(st.sampled_from(sorted({*OFFICIAL} - {"openDiff"})), st.dictionaries(NAMES, JSON))
def test_any_arguments_are_answered_or_refused(tool: str, arguments: Any) -> None:
    try:
        answer = result(Window(workspace=Path("/missing")), tool, **arguments)
    except Refused:
        return
    assert answer["content"][0]["type"] == "text"


# a.py is "one = 1\ntwo = 2\n"
SELECTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "", "Opened file: {path}"),
    ({"startText": "", "endText": ""}, "", "Opened file: {path}"),
    ({"startText": "one", "endText": "two"}, "one = 1\ntwo", 'Opened file and selected text from "one" to "two"'),
    ({"startText": "one"}, "one", 'Opened file and selected text from "one" to "one"'),
    (
        {"startText": "one", "endText": "two", "selectToEndOfLine": True},
        "one = 1\ntwo = 2",
        'Opened file and selected text from "one" to "two"',
    ),
    ({"startText": "x", "endText": "two"}, "", 'Opened file, but text "x" not found'),
    ({"startText": "two", "endText": "one"}, "", 'Opened file, but text "one" not found'),  # not after "two"
    ({"startLine": 2}, "two = 2", "Opened file and selected lines 2 to 2"),
    ({"startLine": 1, "endLine": 2}, "one = 1\ntwo = 2", "Opened file and selected lines 1 to 2"),
    ({"startLine": 0, "endLine": 99}, "one = 1\ntwo = 2\n", "Opened file and selected lines 0 to 99"),
]


@pytest.mark.parametrize(("arguments", "selected", "sentence"), SELECTIONS)
def test_open_file_selects_and_says_so(window: Window, arguments: dict[str, Any], selected: str, sentence: str) -> None:
    path = window.workspace / "a.py"
    assert run(window, "openFile", filePath=str(path), **arguments) == sentence.format(path=path)
    assert window.selection is not None
    assert window.selection.text == selected


def test_the_end_of_the_line_may_be_the_end_of_the_file(window: Window) -> None:
    (window.workspace / "b.py").write_text("one", encoding="utf-8")
    run(window, "openFile", filePath="b.py", startText="o", selectToEndOfLine=True)
    assert window.selection == Selection(window.workspace / "b.py", "one", (0, 0), (0, 3))


def test_a_file_opened_behind_the_others_is_described(window: Window) -> None:
    path = window.workspace / "a.py"
    described = structure(window, "openFile", filePath=str(path), startText="x", makeFrontmost=False)
    assert described == {
        "success": True,
        "filePath": str(path),
        "fileUrl": path.as_uri(),
        "message": 'Opened file, but text "x" not found',
        "languageId": "python",
        "lineCount": 3,
        "isDirty": False,
        "isUntitled": False,
        "isClosed": False,
    }
    assert window.selection is None


@pytest.mark.parametrize("path", ["/missing", "", "a\0b", "\ud83d"], ids=ascii)
def test_what_is_no_file_is_an_error(window: Window, path: str) -> None:
    assert result(window, "openFile", filePath=path) == {
        "content": [{"type": "text", "text": f"File not found: {path}"}],
        "isError": True,
    }


def test_the_open_editors_are_listed_with_the_active_ones_selection(window: Window) -> None:
    (window.workspace / "b.py").write_text("", encoding="utf-8")
    run(window, "openFile", filePath="b.py", preview=True)
    run(window, "openFile", filePath="a.py", startText="two")
    window.dirty.add(window.workspace / "a.py")
    behind, active = structure(window, "getOpenEditors")["tabs"]
    assert active == {
        "uri": (window.workspace / "a.py").as_uri(),
        "isActive": True,
        "isPinned": False,
        "isPreview": False,
        "isDirty": True,
        "label": "a.py",
        "groupIndex": 0,
        "viewColumn": 1,
        "isGroupActive": True,
        "fileName": str(window.workspace / "a.py"),
        "languageId": "python",
        "lineCount": 3,
        "isUntitled": False,
        "selection": {"start": as_json((1, 0)), "end": as_json((1, 3)), "isReversed": False},
    }
    assert (behind["label"], behind["isActive"], behind["isPreview"]) == ("b.py", False, True)
    assert "selection" not in behind


def test_the_workspace_is_the_only_folder(window: Window) -> None:
    root = window.workspace
    assert structure(window, "getWorkspaceFolders") == {
        "success": True,
        "folders": [{"name": "ws", "uri": root.as_uri(), "path": str(root), "index": 0}],
        "rootPath": str(root),
        "workspaceFile": None,
    }


@pytest.mark.parametrize(
    ("tool", "missing", "extra"),
    [
        ("getCurrentSelection", "No active editor found", {"success": True}),
        ("getLatestSelection", "No selection available", {}),
    ],
)
def test_the_selection_is_given_if_there_is_one(
    window: Window, tool: str, missing: str, extra: dict[str, bool]
) -> None:
    assert structure(window, tool) == {"success": False, "message": missing}
    window.selection = Selection(window.workspace / "a.py", "é\ud83d", (0, 0), (0, 2))
    assert json.loads(run(window, tool)) == {**extra, **window.selection.to_json()}


def test_diagnostics_are_given_of_one_file_or_of_all(window: Window) -> None:
    problem = {"message": "m", "severity": "Error", "range": {}, "source": "s", "code": 1}
    window.diagnostics = {"file:///a": [problem], "file:///b": []}
    all_of_them = [{"uri": "file:///a", "diagnostics": [problem]}, {"uri": "file:///b", "diagnostics": []}]
    assert structure(window, "getDiagnostics") == all_of_them
    assert structure(window, "getDiagnostics", uri="file:///a") == all_of_them[:1]
    assert structure(window, "getDiagnostics", uri="file:///c") == [{"uri": "file:///c", "diagnostics": []}]


@pytest.mark.parametrize("tool", ["checkDocumentDirty", "saveDocument"])
def test_a_document_must_be_open_to_be_asked_about(window: Window, tool: str) -> None:
    path = str(window.workspace / "a.py")
    assert structure(window, tool, filePath=path) == {
        "success": False,
        "message": f"Document not open: {path}",
    }


def test_saving_makes_a_document_clean(window: Window) -> None:
    path = window.workspace / "a.py"
    window.dirty.add(path)
    state = {"success": True, "filePath": str(path), "isUntitled": False}
    assert structure(window, "checkDocumentDirty", filePath=str(path)) == {**state, "isDirty": True}
    saved = structure(window, "saveDocument", filePath=str(path))
    assert saved == {
        "success": True,
        "filePath": str(path),
        "saved": True,
        "message": "Document saved successfully",
    }
    window.open(path)
    assert structure(window, "checkDocumentDirty", filePath=str(path)) == {**state, "isDirty": False}


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("close_tab", {"tab_name": "unknown"}, "TAB_CLOSED"),
        ("closeAllDiffTabs", {}, "CLOSED_0_DIFF_TABS"),
        ("executeCode", {"code": "1"}, "No active notebook editor found."),
    ],
)
def test_some_tools_answer_one_word(window: Window, tool: str, arguments: dict[str, str], text: str) -> None:
    assert run(window, tool, **arguments) == text
