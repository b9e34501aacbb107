"""Paths in messages: by field, both ways, and nothing else (design.md D9)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from bridge.core import jsonrpc
from bridge.core.jsonrpc import Message
from bridge.core.translate import (
    MOST_BYTES,
    TABLE,
    Direction,
    Kind,
    Row,
    Unmappable,
    map_message,
    to_agent,
    to_agent_result,
    to_ide,
)
from bridge.errors import BadData
from pathconv import Code, PathConvError, PathMapper
from tests.core.boundaries import ELSEWHERE, WSL, boundary, told
from tests.pathconv.test_cases import mapper as profile_mapper

ROOT = Path(__file__).parents[2]
FILE = json.loads((ROOT / "tests/cases/pathconv.json").read_text(encoding="utf-8"))
ROWS = [row for row in FILE["cases"] if row["op"] == "map_message"]

HERE, THERE = "/mnt/c/p/a b.py", "C:\\p\\a b.py"
HERE_URI, THERE_URI = "file:///mnt/c/p/a%20b.py", "file:///c%3A/p/a%20b.py"


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_a_row_of_the_case_file(row: dict[str, Any]) -> None:
    mapped = map_message(profile_mapper(row["profile"]), row["input"]["direction"], row["input"]["message"])
    assert mapped == row["expected"]


# ---- the table


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.direction} {row.tool or row.method} {row.field}")
def test_every_field_is_mapped_and_its_neighbours_are_not(row: Row) -> None:
    names = (HERE, THERE) if row.kind is Kind.PATH else (HERE_URI, THERE_URI)
    given, wanted = names if row.direction == "to_ide" else names[::-1]
    before = told(row, given, given)
    mapped = map_message(WSL, row.direction, before, tool=row.tool or None)
    assert mapped == told(row, wanted, given)
    assert before == told(row, given, given)  # it is a copy that was changed


def test_every_row_has_its_fact() -> None:
    facts = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    for row in TABLE:
        line = next(line for line in facts.splitlines() if line.startswith(f"| {row.source} |"))
        field = re.findall(r"\w+", row.field)[-1]
        assert all(word in line for word in (f"`{row.tool or row.method}", field, "core/translate.py: TABLE")), row


def test_a_request_has_no_json_in_strings() -> None:
    """For an error in there would be taken for a text that is no JSON."""
    assert not [row for row in TABLE if row.direction == "to_ide" and "{}" in row.field]


# ---- one string

TO_AGENT = [
    # an IDE's name, ours; "" stands for the same
    ("c:\\p\\a.py", "/mnt/c/p/a.py"),
    ("C:/p/a.py", "/mnt/c/p/a.py"),
    ("C:\\", "/mnt/c/"),
    ("\\\\wsl.localhost\\Ubuntu\\home\\u", "/home/u"),
    ("\\\\wsl$\\Ubuntu\\home\\u", "/home/u"),
    ("/mnt/c/p/a.py", ""),
    ("/home/u/a.py", ""),
    ("/C:/p/a.py", "/mnt/c/p/a.py"),
    ("file:///c%3A/p/a.py", "file:///mnt/c/p/a.py"),
    ("src/a.py", ""),
    ("src\\a.py", ""),
    ("dir/", ""),
    ("", ""),
]
URIS_TO_AGENT = [
    ("file:///C:/p/a.py#L3", "file:///mnt/c/p/a.py#L3"),
    ("file://wsl.localhost/Ubuntu/home/u/a.py", "file:///home/u/a.py"),
    ("vscode-remote://wsl%2Bubuntu/home/u/a.py", "file:///home/u/a.py"),
    ("file:///home/u/a.py", ""),
    ("_claude_fs_right:/c%3A/p/a.py", "_claude_fs_right:/mnt/c/p/a.py"),
    ("_claude_fs_left:/c:/p/a.py", "_claude_fs_left:/mnt/c/p/a.py"),
    ("_claude_fs_right://wsl.localhost/Ubuntu/home/u/a.py", "_claude_fs_right:/home/u/a.py"),
    ("_claude_fs_right:/home/u/a.py", ""),
    ("untitled:Untitled-1", ""),
    ("git:/c%3A/p/a.py?%7B%7D", ""),
    ("output:exthost", ""),
    ("c:\\p\\a.py", "/mnt/c/p/a.py"),  # a path where a URI belongs
    ("", ""),
]
UNTRANSLATED = ["E:\\x", "\\\\nas\\share\\x", "\\\\wsl.localhost\\Debian\\x", "C:\\..\\x", "/mnt/e/x", "file:///e%3A/x"]
UNTRANSLATED_URIS = [
    "file:///e%3A/x",
    "_claude_fs_right:/e%3A/x",
    "vscode-remote://ssh-remote%2Bhost/x",
    "file:///c%zz",
]


def to_us(kind: Kind, text: str, mapper: PathMapper = WSL) -> tuple[str, int]:
    """Let an IDE notify us of one path."""
    field = "filePath" if kind is Kind.PATH else "fileUrl"
    said, count = to_agent(mapper, notification("selection_changed", {field: text}))
    return str(jsonrpc.load(said.params)[field]), count


def notification(method: str, params: Any) -> Message:
    return jsonrpc.decode(jsonrpc.notification(method, jsonrpc.dump(params)))


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [*((Kind.PATH, *row) for row in TO_AGENT), *((Kind.URI, *row) for row in URIS_TO_AGENT)],
)
def test_what_an_ide_on_windows_says(kind: Kind, theirs: str, ours: str) -> None:
    assert to_us(kind, theirs) == (ours or theirs, 0)


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [*((Kind.PATH, text) for text in UNTRANSLATED), *((Kind.URI, text) for text in UNTRANSLATED_URIS)],
)
def test_what_has_no_name_here_passes_and_is_counted(kind: Kind, theirs: str) -> None:
    assert to_us(kind, theirs) == (theirs, 1)


def test_mnt_is_what_the_ide_calls_its_drives_wherever_they_are_mounted() -> None:
    assert to_us(Kind.PATH, "/mnt/c/p", boundary(mounts=ELSEWHERE)) == ("/c/p", 0)


def test_on_windows_an_ide_in_wsl_is_translated_too() -> None:
    windows = boundary(local="windows")
    assert to_us(Kind.PATH, "/home/u/a.py", windows) == ("\\\\wsl.localhost\\Ubuntu\\home\\u\\a.py", 0)
    assert to_us(Kind.PATH, "/mnt/c/p/a.py", windows) == ("C:\\p\\a.py", 0)
    assert to_us(Kind.URI, "file:///mnt/c/p/a.py", windows) == ("file:///c%3A/p/a.py", 0)
    assert ask({"filePath": "c:\\p\\a.py"}, windows) == {"filePath": "/mnt/c/p/a.py"}


TO_IDE = [
    ("/mnt/c/p/a.py", "C:\\p\\a.py"),
    ("/home/u/ä.py", "\\\\wsl.localhost\\Ubuntu\\home\\u\\ä.py"),
    ("c:\\p\\a.py", "C:\\p\\a.py"),  # an agent may hand back what it read elsewhere
    ("\\\\wsl$\\ubuntu\\home\\u", "\\\\wsl.localhost\\Ubuntu\\home\\u"),
    ("file:///mnt/c/p/a.py", "file:///c%3A/p/a.py"),
    ("", ""),
]
URIS_TO_IDE = [
    ("file:///home/u/a.py", "file://wsl.localhost/Ubuntu/home/u/a.py"),
    ("file:///c%3A/p/a.py", "file:///c%3A/p/a.py"),
    ("_claude_fs_right:/mnt/c/p/a.py", "_claude_fs_right:/c%3A/p/a.py"),
    ("_claude_fs_right:/home/u/a.py", "_claude_fs_right://wsl.localhost/Ubuntu/home/u/a.py"),
    ("untitled:Untitled-1", "untitled:Untitled-1"),
    ("/mnt/c/p/a.py", "C:\\p\\a.py"),
]


def ask(arguments: Any, mapper: PathMapper = WSL, tool: str = "openFile") -> Any:
    return jsonrpc.load(to_ide(mapper, tool, jsonrpc.dump(arguments)))


@pytest.mark.parametrize(("ours", "theirs"), TO_IDE)
def test_what_an_ide_on_windows_is_told(ours: str, theirs: str) -> None:
    assert ask({"filePath": ours}) == {"filePath": theirs}


@pytest.mark.parametrize(("ours", "theirs"), URIS_TO_IDE)
def test_what_an_ide_on_windows_is_told_as_a_uri(ours: str, theirs: str) -> None:
    assert ask({"uri": ours}) == {"uri": theirs}


NO_NAME = [
    ("src/a.py", Code.RELATIVE, "not an absolute path of that kind: src/a.py", "give the absolute path"),
    ("/home/u/a.py", Code.NO_DISTRO, "the name of this distribution is not known: /home/u/a.py", "bridge restart"),
    ("E:\\x", Code.UNMAPPED, "E: is not mounted here: E:\\x", "bridge path"),
    ("file:///e%3A/x", Code.UNMAPPED, "E: is not mounted here: file:///e%3A/x", "bridge path"),
    ("_claude_fs_right:/e%3A/x", Code.UNMAPPED, "E: is not mounted here: _claude_fs_right:/e%3A/x", "bridge path"),
    ("/mnt/c/\udcff", Code.NOT_UTF8, "not UTF-8, so the other side has no name for it: /mnt/c/\\udcff", "rename"),
]


@pytest.mark.parametrize(("path", "code", "why", "hint"), NO_NAME, ids=lambda value: ascii(value))
def test_in_a_request_a_path_without_a_name_there_is_an_error_to_the_asker(
    path: str, code: Code, why: str, hint: str
) -> None:
    with pytest.raises(Unmappable) as caught:
        ask({"filePath": path}, boundary(distro=None))
    error = caught.value
    assert error.message == f"the IDE has no name for this path ({code}): {why}"
    assert (error.path, error.reason) == (path, code)
    assert hint in (error.hint or "")
    request = {"method": "tools/call", "params": {"name": "openFile", "arguments": {"filePath": path}}}
    with pytest.raises(PathConvError) as bare:
        map_message(boundary(distro=None), "to_ide", request)
    assert (bare.value.code, bare.value.path) == (code, path)


# ---- JSON in a string

VALUE = {"success": True, "filePath": "c:\\p\\ä.py", "n": [1.5, 10**400, None, []]}
STYLES = [
    {"indent": 2},
    {"indent": 2, "ensure_ascii": False},
    {"indent": "\t"},
    {"separators": (",", ":")},
    {"separators": (", ", ": "), "ensure_ascii": False},
]


def result(*texts: str, **more: Any) -> Message:
    content = [{"type": "text", "text": text} for text in texts]
    return jsonrpc.decode(jsonrpc.result(1, jsonrpc.dump({"content": content, **more})))


def texts(answer: Message) -> list[str]:
    return [item["text"] for item in jsonrpc.load(answer.result)["content"]]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_json_is_written_in_the_style_that_it_had(style: dict[str, Any]) -> None:
    answer, count = to_agent_result(WSL, "saveDocument", result(json.dumps(VALUE, **style)))
    assert texts(answer) == [json.dumps(VALUE | {"filePath": "/mnt/c/p/ä.py"}, **style)]
    assert count == 0


UNTOUCHED = [
    # what stays byte for byte: nothing in it changes, or it is no JSON
    '{ "filePath" :"/home/u" , "x":1.0}',
    '{"filePath": "E:\\\\x"}',
    "Opened file: C:\\p\\a.py",
    '{"filePath": "C:\\\\p"',
    "[" * 100_000,
    '"C:\\\\p"',
    "[]",
    "",
]


@pytest.mark.parametrize("text", UNTOUCHED, ids=lambda text: text[:30])
def test_a_text_in_which_nothing_changes_stays_as_it_is(text: str) -> None:
    answer = result(text)
    assert to_agent_result(WSL, "openFile", answer)[0] is answer


def test_a_text_that_cannot_be_written_again_stays_as_it_is_and_counts() -> None:
    answer = result('{"filePath": "C:\\\\p", "x": 1e999}', '{"filePath": "C:\\\\p", "x": NaN}')
    assert to_agent_result(WSL, "openFile", answer) == (answer, 2)


def test_every_item_that_is_json_is_mapped() -> None:
    """Neovim gives one item for each problem."""
    problems = ['{"filePath":"C:\\\\p\\\\a.py","line":1}', "none", '{"filePath":"E:\\\\b.py","line":2}']
    answer, count = to_agent_result(WSL, "getDiagnostics", result(*problems))
    assert texts(answer) == ['{"filePath":"/mnt/c/p/a.py","line":1}', "none", problems[2]]
    assert count == 1


def test_the_texts_of_an_accepted_diff_are_contents() -> None:
    answer = result("FILE_SAVED", '{"filePath": "C:\\\\p\\\\a.py"}')
    assert to_agent_result(WSL, "openDiff", answer) == (answer, 0)


# ---- whatever a peer may send

FOLDERS = '{"folders": [{"path": "c:\\\\p"}, 5, null], "rootPath": null}'
MESSAGES: list[tuple[Direction, Any, str | None]] = [
    ("to_ide", {"method": "tools/call"}, None),
    ("to_ide", {"method": "tools/call", "params": None}, None),
    ("to_ide", {"method": "tools/call", "params": {"name": "openFile"}}, None),
    ("to_ide", {"method": "tools/call", "params": {"name": ["openFile"], "arguments": {"filePath": "/x"}}}, None),
    ("to_ide", {"method": "tools/call", "params": {"name": "openFile", "arguments": [HERE]}}, None),
    ("to_ide", {"method": "tools/call", "params": {"name": "openFile", "arguments": {"filePath": 5}}}, None),
    ("to_ide", {"method": "tools/call", "params": {"name": "unknown", "arguments": {"filePath": "x"}}}, None),
    ("to_ide", {"method": "notifications/initialized"}, None),
    ("to_agent", {"method": "selection_changed"}, None),
    ("to_agent", {"method": "selection_changed", "params": ["C:\\x"]}, None),
    ("to_agent", {"method": "selection_changed", "params": {"filePath": None, "fileUrl": {}}}, None),
    ("to_agent", {"method": "at_mentioned", "params": {"filePath": "src/a.py", "lineStart": None}}, None),
    ("to_agent", {"method": "diagnostics_changed", "params": {"uris": "file:///c%3A/x"}}, None),
    ("to_agent", {"method": "tools/call", "params": {"content": [{"text": FOLDERS}]}}, None),
    ("to_ide", {"id": 1, "result": {"content": [{"text": '{"filePath": "a.py"}'}]}}, "openFile"),
    ("to_agent", {"method": 5, "params": {"filePath": "C:\\x"}}, None),
    ("to_agent", {"id": 1, "error": {"code": 1, "message": "C:\\x"}}, "openFile"),
    ("to_agent", {"id": 1, "result": {"content": "C:\\x"}}, "openFile"),
    ("to_agent", {"id": 1, "result": {"content": [{"text": 5}, "C:\\x", None]}}, "openFile"),
    ("to_agent", {"id": 1, "result": {"content": [{"text": "FILE_SAVED"}, {"text": FOLDERS}]}}, None),
    ("to_agent", ["C:\\x"], None),
]


@pytest.mark.parametrize(("direction", "message", "tool"), MESSAGES, ids=str)
def test_what_has_no_path_where_one_belongs_stays_as_it_is(
    direction: Direction, message: Any, tool: str | None
) -> None:
    assert map_message(WSL, direction, message, tool=tool) is message


def test_a_list_is_mapped_item_by_item() -> None:
    uris = ["file:///c%3A/x", 5, "file:///e%3A/x", "untitled:x"]
    message = {"method": "diagnostics_changed", "params": {"uris": uris}}
    mapped = map_message(WSL, "to_agent", message)
    assert mapped["params"] == {"uris": ["file:///mnt/c/x", *uris[1:]]}


def test_a_response_whose_request_is_not_known_is_read_like_that_of_any_tool() -> None:
    message = {"id": 1, "result": {"content": [{"type": "text", "text": FOLDERS}]}}
    mapped = map_message(WSL, "to_agent", message)
    assert json.loads(mapped["result"]["content"][0]["text"])["folders"][0] == {"path": "/mnt/c/p"}


@pytest.mark.parametrize("raw", [b"", b"5", b"null"])
def test_arguments_that_hold_nothing_stay_as_they_are(raw: bytes) -> None:
    assert to_ide(WSL, "openFile", raw) == raw


DEEP = b"[" * 5000 + b"]" * 5000
UNREADABLE = [b"NaN", b"-Infinity", b"1e999", b"1" * 5000, DEEP, b"not JSON"]


@pytest.mark.parametrize("more", UNREADABLE, ids=lambda raw: repr(raw[:9]))
def test_arguments_that_cannot_be_read_are_an_error_to_the_asker(more: bytes) -> None:
    """Else the IDE would be told a path of ours, and take it for a file of its own."""
    with pytest.raises(BadData, match=r"the arguments of openFile are not JSON: ."):
        to_ide(WSL, "openFile", b'{"filePath":"/mnt/c/x","x":%b}' % more)


@pytest.mark.parametrize("more", UNREADABLE, ids=lambda raw: repr(raw[:9]))
def test_what_an_ide_says_and_cannot_be_read_passes_as_it_came_and_is_counted(more: bytes) -> None:
    said = Message(method="selection_changed", params=Raw(b'{"filePath":"C:\\\\x","x":%b}' % more))
    assert to_agent(WSL, said) == (said, 1)
    answer = Message(id=1, result=Raw(b'{"content":[{"text":"[{\\"uri\\":\\"C:/x\\"}]"}],"x":%b}' % more))
    assert to_agent_result(WSL, "getDiagnostics", answer) == (answer, 1)


@pytest.mark.parametrize("trouble", [RecursionError, MemoryError, ValueError])
def test_what_can_be_read_but_not_written_passes_too(trouble: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """How deep that is depends on the interpreter."""

    def fail(value: object) -> bytes:
        raise trouble("too much")

    answer = result_of_openers("C:\\x")
    arguments = b'{"filePath":"/mnt/c/x"}'
    monkeypatch.setattr(jsonrpc, "dump", fail)
    assert to_agent_result(WSL, "getOpenEditors", answer) == (answer, 1)
    with pytest.raises(MemoryError if trouble is MemoryError else BadData):
        to_ide(WSL, "openFile", arguments)


# ---- hostile sizes


def result_of_openers(*uris: str, blanks: int = 0, padding: int = 0) -> Message:
    tabs = ",".join(json.dumps({"uri": uri}) for uri in uris)
    text = "{\n" + " " * blanks + f'"tabs":[{tabs}],"x":"' + "x" * padding + '"}'
    return Message(id=1, result=Raw(json.dumps({"content": [{"type": "text", "text": text}]}).encode()))


def test_an_indent_that_would_make_gigabytes_is_not_kept() -> None:
    answer = result_of_openers(*["file:///c%3A/x"] * 2000, blanks=100_000)
    mapped, count = to_agent_result(WSL, "getOpenEditors", answer)
    assert len(mapped.result) < len(answer.result)
    assert (json.loads(texts(mapped)[0])["tabs"], count) == ([{"uri": "file:///mnt/c/x"}] * 2000, 0)


def test_what_is_too_big_passes_as_it_came_undecoded_and_counts_as_one() -> None:
    spare = MOST_BYTES - len(result_of_openers("C:\\x", "C:\\y").result)
    fits, too_big = (result_of_openers("C:\\x", "C:\\y", padding=spare + more) for more in (0, 1))
    assert len(fits.result) == MOST_BYTES
    mapped, count = to_agent_result(WSL, "getOpenEditors", fits)
    assert (mapped is fits, count) == (False, 0)
    assert to_agent_result(WSL, "getOpenEditors", too_big) == (too_big, 1)
    no_paths = to_agent_result(WSL, "openDiff", too_big)
    assert no_paths == (too_big, 0)
    said = Message(method="diagnostics_changed", params=Raw(b'{"uris":[%b' % (b'"file:///c%3A/x",' * 200_000)))
    assert to_agent(WSL, said) == (said, 1)


def test_a_request_may_be_as_big_as_a_file() -> None:
    contents = "x" * (2 * MOST_BYTES)
    told = ask({"new_file_path": HERE, "new_file_contents": contents}, tool="openDiff")
    assert told == {"new_file_path": THERE, "new_file_contents": contents}


def test_a_member_that_holds_no_path_is_not_even_decoded() -> None:
    assert to_ide(WSL, "getOpenEditors", b"not JSON") == b"not JSON"
    said = notification("log_event", {"filePath": "C:\\x"})
    assert to_agent(WSL, said) == (said, 0)
