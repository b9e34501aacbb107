"""Property P12 of path mapping: shapes stay, other fields stay, and there and back again is where we were."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.translate import TABLE, Direction, Kind, Row, map_message
from ide_plugins.emulator.names import Windows
from pathconv import PathConvError, PathMapper, to_uri
from tests.core.boundaries import ELSEWHERE, WSL, boundary, told
from tests.pathconv.machines import THOROUGH

LISTED = sorted({word for row in TABLE for word in re.findall(r"\w+", row.field)})
UNLISTED = ["text", "title", "new_file_contents", "tab_name", "label", "message", "name", "startText", "unknown"]
COMPONENTS = st.text(st.characters(exclude_categories=["Cs", "Co"], exclude_characters="/\0"), min_size=1, max_size=8)
NAMES = COMPONENTS.filter(lambda name: name not in (".", ".."))
OURS = st.builds(
    lambda root, names: "/".join((root, *names)),
    st.sampled_from(["/mnt/c", "/mnt/d/work", "/home/u", "/mnt/cd"]),
    st.lists(NAMES, min_size=1, max_size=3),
)
STRINGS = (
    OURS
    | st.text(max_size=20)
    | st.sampled_from(["C:\\p\\a.py", "c:/p", "file:///c%3A/p", "\\\\wsl$\\Ubuntu\\x", "E:\\x", "untitled:x", "", "{}"])
)
KEYS = st.sampled_from([*LISTED, *UNLISTED])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS,
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(KEYS, inside, max_size=4)
        | inside.map(json.dumps)
        | inside.map(lambda value: {"content": [{"type": "text", "text": json.dumps(value, indent=2)}]})
    ),
    max_leaves=12,
)
MAPPERS = st.sampled_from([WSL, boundary(distro=None), boundary(local="windows"), boundary(mounts=ELSEWHERE)])
TOOLS = st.sampled_from(sorted({row.tool for row in TABLE} | {"openDiff", "executeCode"}))


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """A request, a response or a notification, with anything in it."""
    body = draw(JSON)
    row = draw(st.sampled_from(TABLE))
    kinds = (
        told(row, draw(STRINGS), draw(STRINGS)),
        {"id": 1, "method": "tools/call", "params": {"name": draw(TOOLS), "arguments": body}},
        {
            "method": draw(st.sampled_from(["selection_changed", "at_mentioned", "diagnostics_changed", "x"])),
            "params": body,
        },
        {"id": 1, "result": body},
        {"id": 1, "result": {"content": [{"type": "text", "text": json.dumps(body)}]}},
        body,
    )
    return draw(st.sampled_from(kinds))


def skeleton(value: Any) -> Any:
    """What must stay: keys, types, lengths, whatever is no string, and the strings of fields that are not listed."""
    match value:
        case {"content": [*items]}:  # a tool's result, perhaps with JSON in strings
            return {**skeleton({**value, "content": None}), "content": [skeleton(_item(item)) for item in items]}
        case dict():
            return {key: item if key in UNLISTED else skeleton(item) for key, item in value.items()}
        case list():
            return [skeleton(item) for item in value]
        case str():
            try:
                inside = json.loads(value)
            except (ValueError, RecursionError):
                return str
            return "JSON", skeleton(inside) if isinstance(inside, dict | list) else str
    return value


def _item(item: Any) -> Any:
    return {f"{key} of item": inside for key, inside in item.items()} if isinstance(item, dict) else item


@THOROUGH
@given(MAPPERS, st.sampled_from(["to_ide", "to_agent"]), messages(), st.none() | TOOLS)
def test_shapes_and_other_fields_stay(mapper: PathMapper, direction: Direction, message: Any, tool: str | None) -> None:
    before = json.dumps(message)
    try:
        mapped = map_message(mapper, direction, message, tool=tool)
    except PathConvError:
        assert direction == "to_ide"
        assert message["method"] == "tools/call"
        return
    assert skeleton(mapped) == skeleton(message)
    assert json.dumps(message) == before


@THOROUGH
@given(st.sampled_from(TABLE), OURS)
def test_there_and_back_again(row: Row, path: str) -> None:
    ours = path if row.kind is Kind.PATH else to_uri(path)
    message = told(row, ours, path)
    there = map_message(WSL, "to_ide", message, tool=row.tool)
    assert there != message
    assert map_message(WSL, "to_agent", there, tool=row.tool) == message


WINDOWS = Windows(roots={"C:": Path("/mnt/c"), "D:": Path("/mnt/d"), "//wsl.localhost/Ubuntu": Path("/")})


@THOROUGH
@given(OURS)
def test_an_ide_on_windows_that_knows_nothing_of_us_means_the_same_file(path: str) -> None:
    real = Path(path)
    assert WINDOWS.real(Path("/"), WSL.to_peer(path)) == real
    assert WINDOWS.real_of_uri(WSL.peer_uri(to_uri(path))) == real
    assert WSL.to_local(WINDOWS.path(real)) == path
    assert WSL.local_uri(WINDOWS.uri(real)) == to_uri(path)
