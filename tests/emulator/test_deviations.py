from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ide_plugins.emulator.deviations import el_selection, el_tools, monet_tools, nvim_tools
from ide_plugins.emulator.diffs import Diff, DiffTabs
from ide_plugins.emulator.rpc import Refused
from ide_plugins.emulator.tools import Tool, official_tools
from ide_plugins.emulator.window import Selection, Window, as_json

PROBLEM = {"message": "m", "severity": "Information", "range": {"start": as_json((0, 0)), "end": as_json((0, 3))}}

Tools = Callable[[], dict[str, Tool]]


@pytest.fixture
def window(workspace: Path) -> Window:
    return Window(workspace=workspace)


@pytest.fixture
def tabs() -> DiffTabs:
    tabs = DiffTabs(decided=lambda _: None)
    arguments = {"old_file_path": "/a", "new_file_path": "/a", "new_file_contents": "", "tab_name": "tab"}
    tabs.open(Diff.of_call(None, 1, arguments))
    return tabs


def run(tools: Tools, window: Window, tool: str, tabs: DiffTabs | None = None, **arguments: Any) -> str:
    """Run a tool that has one text for an answer, and no error."""
    chosen = tools()[tool]
    chosen.check(arguments)
    assert chosen.run is not None
    answer = chosen.run(window, tabs or DiffTabs(decided=lambda _: None), arguments)
    assert answer.keys() == {"content"}
    (item,) = answer["content"]
    return str(item["text"])


OFFICIAL = set(official_tools())
EL = {"openFile", "openDiff", "close_tab", "closeAllDiffTabs", "getDiagnostics"}


@pytest.mark.parametrize(
    ("tools", "known", "hidden"),
    [
        (nvim_tools, OFFICIAL - {"executeCode"}, {"close_tab"}),
        (el_tools, EL, set()),
        (monet_tools, OFFICIAL - {"executeCode"}, set()),
    ],
)
def test_each_has_its_tools(tools: Tools, known: set[str], hidden: set[str]) -> None:
    assert tools().keys() == known
    assert {name for name, tool in tools().items() if not tool.listed} == hidden


# plugin, tool, required arguments, optional ones that tell it from others
SCHEMAS: list[tuple[Tools, str, list[str], set[str]]] = [
    (nvim_tools, "openFile", ["filePath"], {"startLine", "endLine", "startText", "endText", "preview"}),
    (el_tools, "openFile", ["filePath"], {"startLine", "endLine", "startText", "endText"}),
    (el_tools, "close_tab", ["tab_name"], {"path"}),
    (monet_tools, "openFile", ["uri"], {"startText", "endText", "preview"}),
    (monet_tools, "checkDocumentDirty", ["uri"], set()),
    (monet_tools, "saveDocument", ["uri"], set()),
    (monet_tools, "openDiff", ["old_file_path", "new_file_path", "new_file_contents"], {"tab_name"}),
]


@pytest.mark.parametrize(("tools", "tool", "required", "optional"), SCHEMAS)
def test_their_arguments_have_other_names(tools: Tools, tool: str, required: list[str], optional: set[str]) -> None:
    schema = tools()[tool].to_json()["inputSchema"]
    assert schema["required"] == required
    assert optional <= schema["properties"].keys()
    assert ("filePath" in schema["properties"]) == ("filePath" in required)


# ---- claudecode.nvim


def test_nvim_opens_a_file_at_a_line(window: Window) -> None:
    assert "lines 2 to 2" in run(nvim_tools, window, "openFile", filePath="a.py", startLine=2)
    assert window.selection is not None
    assert window.selection.text == "two = 2"


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [("openFile", {"filePath": "/missing"}, -32000), ("getDiagnostics", {"uri": "file:///missing"}, -32001)],
)
def test_nvim_reports_failures_as_errors(window: Window, tool: str, arguments: dict[str, Any], code: int) -> None:
    with pytest.raises(Refused, match="/missing") as caught:
        run(nvim_tools, window, tool, **arguments)
    assert caught.value.code == code


def test_nvim_has_its_own_word_for_a_severity(window: Window) -> None:
    uri = (window.workspace / "a.py").as_uri()
    window.diagnostics[uri] = [PROBLEM, {**PROBLEM, "severity": "Error"}]
    ((file),) = json.loads(run(nvim_tools, window, "getDiagnostics"))
    assert [problem["severity"] for problem in file["diagnostics"]] == ["Info", "Error"]
    window.diagnostics.clear()
    window.open(window.workspace / "a.py")
    assert json.loads(run(nvim_tools, window, "getDiagnostics", uri=uri)) == [{"uri": uri, "diagnostics": []}]


# ---- claude-code-ide.el


@pytest.mark.parametrize(("path", "opened"), [("a.py", True), ("/missing", False)])
def test_el_opens_every_file(window: Window, path: str, opened: bool) -> None:
    assert run(el_tools, window, "openFile", filePath=path) == "FILE_OPENED"
    assert bool(window.documents) == opened


def test_el_closes_what_is_there(window: Window, tabs: DiffTabs) -> None:
    assert run(el_tools, window, "close_tab", tabs, tab_name="tab", path="/a") == "TAB_CLOSED"
    with pytest.raises(Refused, match="No such tab: tab") as caught:
        run(el_tools, window, "close_tab", tabs, tab_name="tab")
    assert caught.value.code == -32603


def test_el_counts_from_one(window: Window) -> None:
    bounds = {"start": as_json((1, 1)), "end": as_json((1, 4))}
    window.diagnostics = {"file:///a": [PROBLEM, {"message": "nowhere"}], "file:///b": []}
    problems = [{**PROBLEM, "range": bounds}, {"message": "nowhere"}]
    assert json.loads(run(el_tools, window, "getDiagnostics")) == [{"uri": "file:///a", "diagnostics": problems}]
    assert run(el_tools, window, "getDiagnostics", uri="file:///c") == "[]"
    selection = Selection(Path("/a"), "abc", (0, 0), (0, 3))
    assert el_selection(selection.to_json()) == {"text": "abc", "filePath": "/a", "selection": bounds}


# ---- monet


def test_monet_opens_a_uri(window: Window) -> None:
    path = window.workspace / "a.py"
    assert run(monet_tools, window, "openFile", uri=path.as_uri(), startText="two") == (
        'Opened file and selected text from "two" to "two"'
    )
    assert [*window.documents] == [path]


@pytest.mark.parametrize(
    "arguments", [{"filePath": "a.py"}, {"uri": "a.py"}, {"uri": 1}, {"uri": "file:///missing"}, {}], ids=str
)
def test_monet_calls_its_failure_a_success(window: Window, arguments: dict[str, Any]) -> None:
    assert run(monet_tools, window, "openFile", **arguments).startswith("Error opening file: ")
    assert not window.documents


def test_monet_answers_in_other_shapes(window: Window) -> None:
    path = window.workspace / "a.py"
    uri = path.as_uri()
    for tool, answer in (("saveDocument", {"saved": False}), ("checkDocumentDirty", {"isDirty": False})):
        assert json.loads(run(monet_tools, window, tool, uri=uri)) == answer
        assert json.loads(run(monet_tools, window, tool, filePath=str(path))) == answer
    run(monet_tools, window, "openFile", uri=uri)
    window.dirty.add(path)
    shapes: dict[str, Any] = {
        "checkDocumentDirty": {"isDirty": True},
        "saveDocument": {"saved": True},
        "getOpenEditors": {"editors": [{"uri": uri, "name": "a.py", "path": str(path)}]},
        "getWorkspaceFolders": {"folders": [{"uri": window.workspace.as_uri(), "name": "ws"}]},
    }
    for tool, shape in shapes.items():
        arguments: dict[str, Any] = {"uri": uri} if "Document" in tool else {}
        assert json.loads(run(monet_tools, window, tool, **arguments)) == shape
    assert not window.dirty
    assert window.selection is not None
    assert json.loads(run(monet_tools, window, "getCurrentSelection")) == window.selection.to_json()


def test_monet_closes_diffs_alone(window: Window, tabs: DiffTabs) -> None:
    assert run(monet_tools, window, "close_tab", tabs, tab_name="a.py") == "TAB_NOT_DIFF"
    assert run(monet_tools, window, "close_tab", tabs, tab_name="tab") == "TAB_CLOSED"


def test_a_diff_of_monet_needs_no_name() -> None:
    arguments = {"old_file_path": "/a", "new_file_path": "/a", "new_file_contents": ""}
    monet_tools()["openDiff"].check(arguments)
    assert Diff.of_call(None, 1, arguments).tab_name == "/a"
