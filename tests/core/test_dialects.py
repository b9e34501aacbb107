import json
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import dialects, jsonrpc
from bridge.core.dialects import Tools
from bridge.core.official import TOOLS
from bridge.core.spots import Spot
from bridge.errors import BadData


def schema(*arguments: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"properties": {name: {"type": "string"} for name in arguments}, "required": list(required)}


OFFICIAL_TOOLS = Tools(
    {
        "openFile": schema(
            *("filePath", "preview", "startText", "endText", "makeFrontmost"),
            required=("filePath", "startText", "endText"),
        ),
        "openDiff": schema("old_file_path", "new_file_path", "new_file_contents", "tab_name"),
        "checkDocumentDirty": schema("filePath"),
    }
)
NEOVIM = Tools({"openFile": schema("filePath", "startLine", "endLine", "startText", "endText")})
MONET = Tools({"openFile": schema("uri"), "checkDocumentDirty": schema("uri")})


def listing(result: Any) -> jsonrpc.Message:
    return jsonrpc.decode(jsonrpc.result(1, jsonrpc.dump(result)))


# ---- the tools


LISTS: list[tuple[Any, set[str]]] = [
    ({"tools": [{"name": "a", "inputSchema": {"type": "object"}}, {"name": "b"}, {"name": 5}, "c"]}, {"a", "b"}),
    ({"tools": [{"name": "a", "inputSchema": 5}]}, {"a"}),
    ({"tools": {}}, set()),
    ([], set()),
    (None, set()),
]


@pytest.mark.parametrize(("listed", "names"), LISTS)
def test_what_is_no_tool_is_skipped(listed: Any, names: set[str]) -> None:
    tools = Tools.parse(listing(listed))
    assert set(tools.schemas) == names
    assert tools.properties("a") == frozenset()


def test_a_list_of_tools_that_cannot_be_read_is_empty() -> None:
    assert Tools.parse(jsonrpc.decode(b'{"id":1,"result":%b}' % (b"1" * 5000))) == Tools()


FITTED: list[tuple[Any, dict[str, Any]]] = [
    (None, {"x": 1, "y": 2}),
    ({}, {"x": 1, "y": 2}),
    ({"properties": {"x": {}}}, {"x": 1}),
    ({"properties": {"x": {}}, "required": ["x", "z", 5]}, {"x": 1, "z": None}),
    ({"properties": {"z": {"type": "string"}}, "required": ["z"]}, {"z": ""}),
    ({"properties": {"z": {"type": "string", "default": "d"}}, "required": ["z"]}, {"z": "d"}),
    ({"properties": {"z": {"type": ["array"]}}, "required": ["z"]}, {"z": None}),
    ({"properties": {"z": 5}, "required": ["z"]}, {"z": None}),
    ({"properties": 5, "required": ["z"]}, {"x": 1, "y": 2, "z": None}),
    ({"required": "z"}, {"x": 1, "y": 2}),
]


@pytest.mark.parametrize(("described", "arguments"), FITTED)
def test_a_tool_gets_the_arguments_that_it_takes(described: Any, arguments: dict[str, Any]) -> None:
    tools = Tools({} if described is None else {"tool": described})
    assert tools.fit("tool", {"x": 1, "y": 2}) == arguments


# ---- asking


def test_the_first_words_are_mcps() -> None:
    said = json.loads(dialects.initialize("1.0"))
    assert said["clientInfo"] == {"name": "bridge", "version": "1.0"}
    assert set(said) == {"protocolVersion", "capabilities", "clientInfo"}
    assert dialects.call("a b", b'{"x": 1}') == b'{"name":"a b","arguments":{"x": 1}}'
    assert dialects.call("a", b"{}", b'{"t": 1}') == b'{"name":"a","arguments":{},"_meta":{"t": 1}}'


class Opening(NamedTuple):
    tools: Tools
    arguments: dict[str, Any]
    positioned: bool
    line: int | None = 2
    spot: Spot | None = Spot("here", "there")


USUAL = {"filePath": "/w/ä.py", "preview": False, "makeFrontmost": True}
OPENINGS = [
    Opening(OFFICIAL_TOOLS, {**USUAL, "startText": "here", "endText": "there"}, True),
    Opening(OFFICIAL_TOOLS, {**USUAL, "startText": "", "endText": ""}, False, spot=None),
    Opening(OFFICIAL_TOOLS, {**USUAL, "startText": "", "endText": ""}, True, line=None, spot=None),
    Opening(NEOVIM, {"filePath": "/w/ä.py", "startLine": 2, "endLine": 2}, True),
    Opening(MONET, {"uri": "file:///w/%C3%A4.py"}, False),
    Opening(Tools(), USUAL, False),
]


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_file_is_opened_with_what_the_plugin_takes(opening: Opening) -> None:
    given, positioned = dialects.open_file_arguments(opening.tools, "/w/ä.py", line=opening.line, spot=opening.spot)
    assert (given, positioned) == (opening.arguments, opening.positioned)


@pytest.mark.parametrize(("tools", "path"), [(OFFICIAL_TOOLS, "/w/\udcff"), (MONET, "/w/\udcff"), (MONET, "relative")])
def test_a_path_that_cannot_be_told_is_bad_data(tools: Tools, path: str) -> None:
    with pytest.raises(BadData, match="no IDE can be told this"):
        dialects.file_arguments(tools, "checkDocumentDirty", path)


def test_a_tool_for_one_file_gets_its_path_or_its_uri() -> None:
    assert dialects.file_arguments(OFFICIAL_TOOLS, "checkDocumentDirty", "/w/a b") == {"filePath": "/w/a b"}
    assert dialects.file_arguments(MONET, "checkDocumentDirty", "/w/a b") == {"uri": "file:///w/a%20b"}
    for tools in (OFFICIAL_TOOLS, Tools()):
        assert dialects.file_arguments(tools, "getDiagnostics", "/w/a b") == {"uri": "file:///w/a%20b"}


# ---- what an agent names as the official plugin does


LAX = Tools({name: schema(*tool.arguments, required=tool.required) for name, tool in TOOLS.items()})
POSED = b'{"filePath": "/w/a b.py", "startText": "x", "selectToEndOfLine": true, "own": 1}'


@pytest.mark.parametrize(
    "tools", [Tools(), LAX, Tools({"openFile": {"properties": LAX.schemas["openFile"]["properties"]}})]
)
@pytest.mark.parametrize("arguments", [POSED, b"not JSON"])
def test_what_the_plugin_takes_so_crosses_untouched(tools: Tools, arguments: bytes) -> None:
    assert dialects.fitted(tools, "openFile", arguments) == arguments


class Fitting(NamedTuple):
    tools: Tools
    tool: str
    given: dict[str, Any]
    fitted: dict[str, Any]


STRICT = Tools({"openFile": schema(*TOOLS["openFile"].arguments, required=("filePath", "startText", "endText"))})
FITTINGS = [
    Fitting(STRICT, "openFile", {"filePath": "/a"}, {"filePath": "/a", "startText": "", "endText": ""}),
    Fitting(NEOVIM, "openFile", {"filePath": "/a", "preview": True}, {"filePath": "/a"}),
    Fitting(MONET, "openFile", {"filePath": "/a b"}, {"uri": "file:///a%20b"}),
    Fitting(MONET, "openFile", {"filePath": 5}, {}),
    Fitting(MONET, "openFile", {}, {}),
    Fitting(MONET, "checkDocumentDirty", {"filePath": "/a"}, {"uri": "file:///a"}),
    Fitting(Tools({"getDiagnostics": {}}), "getDiagnostics", {"uri": "u"}, {"uri": "u"}),
    Fitting(Tools({"openFile": {"required": 5}}), "openFile", {"filePath": "/a"}, {"filePath": "/a"}),
]  # fmt: skip


@pytest.mark.parametrize("fitting", FITTINGS)
def test_other_arguments_are_named_as_the_plugin_names_them(fitting: Fitting) -> None:
    fitted = dialects.fitted(fitting.tools, fitting.tool, json.dumps(fitting.given).encode())
    assert json.loads(fitted) == fitting.fitted


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (b"[]", "no JSON object"),
        (b"NaN", "not JSON"),
        (b'{"x":' + b"[" * 5000, "not JSON"),
        (b'{"filePath":"relative"}', "no IDE can be told"),
        (rb'{"filePath":"/\udcff"}', "no IDE can be told"),
    ],
)
def test_arguments_that_cannot_be_fitted_are_bad_data(arguments: bytes, why: str) -> None:
    with pytest.raises(BadData, match=why):
        dialects.fitted(MONET, "openFile", arguments)


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_no_depth_breaks_the_fitting(depth: int) -> None:
    """Between what can be read and what can be written lie a few levels."""
    with suppress(BadData):
        dialects.fitted(Tools({"openFile": {}}), "openFile", b'{"x":%b%b}' % (b"[" * depth, b"]" * depth))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.dictionaries(st.sampled_from(["filePath", "uri", "startText", "x"]), JSON), st.sampled_from(sorted(TOOLS)), JSON
)
def test_whatever_an_ide_lists_and_an_agent_says_an_object_comes_out_or_bad_data(
    given: dict[str, Any], tool: str, described: Any
) -> None:
    listed = Tools.parse(listing({"tools": [{"name": tool, "inputSchema": described}]}))
    with suppress(BadData):
        assert isinstance(json.loads(dialects.fitted(listed, tool, jsonrpc.dump(given))), dict)


SCHEMAS = st.fixed_dictionaries({}, optional={"properties": JSON | st.dictionaries(st.text(), JSON), "required": JSON})


@given(st.sampled_from(sorted(TOOLS)), SCHEMAS)
def test_no_schema_breaks_the_fitting(tool: str, described: dict[str, Any]) -> None:
    with suppress(BadData):
        dialects.fitted(Tools({tool: described}), tool, b'{"filePath":"/a"}')


def test_a_tab_has_the_name_that_the_official_plugins_handle() -> None:
    name = dialects.tab_name("/w/a b\udcff.py", "r1")
    assert name == dialects.tab_name("/x/a b\udcff.py", "r1") != dialects.tab_name("/w/a b\udcff.py", "r2")
    assert name.startswith("✻ [Claude Code] a b?.py (")
    assert name.endswith(") ⧉")


def test_a_diff_is_opened_and_closed_by_its_tab() -> None:
    assert dialects.open_diff_arguments(OFFICIAL_TOOLS, "/w/a.py", "text", "tab") == {
        "old_file_path": "/w/a.py",
        "new_file_path": "/w/a.py",
        "new_file_contents": "text",
        "tab_name": "tab",
    }
    assert dialects.closing(OFFICIAL_TOOLS, "tab", by_file=False) == ("close_tab", {"tab_name": "tab"})
    with pytest.raises(BadData):
        dialects.open_diff_arguments(OFFICIAL_TOOLS, "/w/\udcff", "text", "tab")
