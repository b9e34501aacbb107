import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import dialects, jsonrpc
from bridge.core.dialects import OFFICIAL, Answer, Spot, Tools, Traits, Verdict
from bridge.errors import BadData, Unavailable


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


def message(*, result: Any = None, error: Any = None) -> jsonrpc.Message:
    body = jsonrpc.error(1, jsonrpc.dump(error)) if error is not None else jsonrpc.result(1, jsonrpc.dump(result))
    return jsonrpc.decode(body)


# ---- the plugins


@pytest.mark.parametrize(
    ("name", "tools", "traits"),
    [
        ("Visual Studio Code", OFFICIAL_TOOLS, OFFICIAL),
        ("PyCharm", Tools(), OFFICIAL),
        ("Neovim", NEOVIM, Traits(several_clients=True, several_diffs=True)),
        ("Emacs (monet)", MONET, Traits(keep_open=True)),
        ("Emacs", NEOVIM, Traits(one_based=True)),
    ],
)
def test_a_plugin_is_known_by_its_name_and_its_tools(name: str, tools: Tools, traits: Traits) -> None:
    assert dialects.traits_of(name, tools) == traits


LISTS: list[tuple[Any, set[str]]] = [
    ({"tools": [{"name": "a", "inputSchema": {"type": "object"}}, {"name": "b"}, {"name": 5}, "c"]}, {"a", "b"}),
    ({"tools": [{"name": "a", "inputSchema": 5}]}, {"a"}),
    ({"tools": {}}, set()),
    ([], set()),
    (None, set()),
]


@pytest.mark.parametrize(("listed", "names"), LISTS)
def test_what_is_no_tool_is_skipped(listed: Any, names: set[str]) -> None:
    tools = Tools.parse(message(result=listed))
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


TEXT = "one\ntwo\n  three\ntwo\n\nlast two"
SPOTS = [
    (TEXT, 1, None, Spot("on", "on")),
    (TEXT, 2, None, Spot("two\n ", "three")),
    (TEXT, 3, None, Spot("th", "ree")),
    (TEXT, 4, None, Spot("two\n\n", "last two")),
    (TEXT, 5, None, Spot("\nl", "ast two")),
    (TEXT, 6, 6, None),
    (TEXT, 3, 99, Spot("\ntwo\n\n", "last two")),
    (TEXT, 7, None, None),
    (TEXT, 0, None, None),
    ("", 1, None, None),
    ("same\n" * 50, 1, None, None),
    ("a\r\nb\rc", 3, None, Spot("c", "c")),
    ("form\x0cfeed\nx", 2, None, Spot("x", "x")),
]


@pytest.mark.parametrize(("text", "line", "column", "spot"), SPOTS)
def test_a_place_is_named_by_a_text_that_is_there_once(
    text: str, line: int, column: int | None, spot: Spot | None
) -> None:
    assert dialects.find_spot(text, line, column) == spot


@given(st.text("ab \n\r", max_size=60), st.integers(0, 12), st.none() | st.integers(1, 9))
@settings(deadline=None)
def test_a_spot_is_unique_and_lies_in_its_line_or_begins_there(text: str, line: int, column: int | None) -> None:
    spot = dialects.find_spot(text, line, column)
    if spot is not None:
        assert text.count(spot.start) == 1
        before = text[: text.index(spot.start)].replace("\r\n", "\n").replace("\r", "\n")
        assert before.count("\n") + 1 == line
        assert spot.end == spot.start or text.count(spot.end) == 1


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


def test_an_ide_without_openfile_cannot_open_files() -> None:
    with pytest.raises(Unavailable, match="cannot open files"):
        dialects.open_file_arguments(Tools({"openDiff": {}}), "/w/a.py")


@pytest.mark.parametrize(("tools", "path"), [(OFFICIAL_TOOLS, "/w/\udcff"), (MONET, "/w/\udcff"), (MONET, "relative")])
def test_a_path_that_cannot_be_told_is_bad_data(tools: Tools, path: str) -> None:
    with pytest.raises(BadData, match="no IDE can be told this"):
        dialects.file_arguments(tools, "checkDocumentDirty", path)


def test_a_tool_for_one_file_gets_its_path_or_its_uri() -> None:
    assert dialects.file_arguments(OFFICIAL_TOOLS, "checkDocumentDirty", "/w/a b") == {"filePath": "/w/a b"}
    assert dialects.file_arguments(MONET, "checkDocumentDirty", "/w/a b") == {"uri": "file:///w/a%20b"}


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
    assert dialects.close_tab_arguments(OFFICIAL_TOOLS, "tab") == {"tab_name": "tab"}
    with pytest.raises(BadData):
        dialects.open_diff_arguments(OFFICIAL_TOOLS, "/w/\udcff", "text", "tab")


# ---- reading


def content(*texts: Any, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text} for text in texts], **more}


VAGUE = "the IDE reports an error"
ANSWERS: list[tuple[jsonrpc.Message, Answer]] = [
    (message(result=content("a", "b")), Answer(("a", "b"))),
    (message(result=content("a", 5)), Answer(("a",))),
    (message(result={"content": ["a", {"type": "image"}]}), Answer()),
    (message(result={"content": "a"}), Answer()),
    (message(result=None), Answer()),
    (message(result=content("no", "way", isError=True)), Answer(error="no way")),
    (message(result={"isError": True}), Answer(error=VAGUE)),
    (message(result=content("a", isError="yes")), Answer(("a",))),
    (message(error={"code": 1, "message": "no"}), Answer(error="no")),
    (message(error={"code": 1, "message": ""}), Answer(error=VAGUE)),
    (message(error={"message": 5}), Answer(error=VAGUE)),
    (message(error="no"), Answer(error=VAGUE)),
    (jsonrpc.decode(b'{"id":1,"result":{},"error":{"message":"no"}}'), Answer(error="no")),
    (jsonrpc.decode(b'{"id":1,"result":%b}' % (b"1" * 5000)), Answer(error="the IDE's answer is not JSON")),
]


@pytest.mark.parametrize(("said", "answer"), ANSWERS)
def test_an_answer_is_read_in_both_error_styles(said: jsonrpc.Message, answer: Answer) -> None:
    assert dialects.read_answer(said) == answer


VERDICTS = [
    (Answer(("FILE_SAVED", "text")), Verdict.SAVED, "text"),
    (Answer(("FILE_SAVED", "")), Verdict.SAVED, ""),
    (Answer(("FILE_SAVED", "text", "more")), Verdict.SAVED, "text"),
    (Answer(("FILE_SAVED",)), Verdict.FAILED, "the IDE did not say which text was accepted"),
    (Answer(("DIFF_REJECTED", "tab")), Verdict.REJECTED, ""),
    (Answer(("DIFF_REJECTED",)), Verdict.REJECTED, ""),
    (Answer(("TAB_CLOSED",)), Verdict.CLOSED, ""),
    (Answer(("file_saved", "text")), Verdict.FAILED, "the IDE's answer to openDiff is not understood"),
    (Answer(()), Verdict.FAILED, "the IDE's answer to openDiff is not understood"),
    (Answer(("FILE_SAVED", "text"), error="no"), Verdict.FAILED, "no"),
]


@pytest.mark.parametrize(("answer", "verdict", "said"), VERDICTS)
def test_no_decision_is_guessed(answer: Answer, verdict: Verdict, said: str) -> None:
    assert dialects.read_verdict(answer) == (verdict, said)


OPENED: list[tuple[Answer, str | None, bool]] = [
    (Answer(("Opened file: /w/a.py",)), None, True),
    (Answer(("FILE_OPENED",)), None, True),
    (Answer(('{"success": true}',)), None, True),
    (Answer(), None, True),
    (Answer(('Opened file, but text "x" not found',)), None, False),
    (Answer(("Error opening file: no such file",)), "Error opening file: no such file", False),
    (Answer((" failed to open",)), " failed to open", False),
    (Answer(("Errors.py opened",)), None, True),
    (Answer(('{"success": false, "message": "no"}',)), "no", False),
    (Answer(('{"success": false}',)), "the IDE could not open the file", False),
    (Answer(error="no"), "no", False),
]


@pytest.mark.parametrize(("answer", "failure", "found"), OPENED)
def test_a_success_may_be_a_failure_in_disguise(answer: Answer, failure: str | None, found: bool) -> None:
    assert dialects.read_open_file(answer) == (failure, found)


@pytest.mark.parametrize(
    ("text", "dirty"),
    [('{"isDirty": true}', True), ('{"isDirty": false}', False), ('{"isDirty": 1}', None), ("[]", None), ("{", None)],
)
def test_dirty_is_what_the_ide_says_or_unknown(text: str, dirty: bool | None) -> None:
    assert dialects.read_dirty(Answer((text,))) is dirty


def test_a_text_that_is_nested_too_deeply_is_no_value() -> None:
    assert Answer(("[" * 100_000,)).value() is None
    assert Answer().value() is None


SHIFTED: list[tuple[Any, Any]] = [
    ({"line": 3, "character": 1}, {"line": 2, "character": 0}),
    ({"line": 0, "character": 0, "x": 1}, {"line": 0, "character": 0, "x": 1}),
    ([{"range": {"start": {"line": 1, "character": 5}}}], [{"range": {"start": {"line": 0, "character": 4}}}]),
    ({"line": 3}, {"line": 3}),
    ({"line": True, "character": 1}, {"line": True, "character": 1}),
    ({"line": "3", "character": 1}, {"line": "3", "character": 1}),
    (5, 5),
]


@pytest.mark.parametrize(("value", "shifted"), SHIFTED)
def test_positions_and_nothing_else_are_shifted(value: Any, shifted: Any) -> None:
    assert dialects.zero_based(value) == shifted
    result = content(json.dumps(value), "plain text")
    assert dialects.zero_based_result(result) == content(json.dumps(shifted), "plain text")


@pytest.mark.parametrize("odd", [None, [], {}, {"content": 5}, {"content": [5, {"type": "image"}]}], ids=repr)
def test_a_result_of_another_shape_stays_as_it_is(odd: Any) -> None:
    assert dialects.zero_based_result(odd) == odd
