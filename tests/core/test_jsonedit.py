"""Edits of JSON: what was asked for, and not a byte more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.jsonedit import insert, parse, remove, replace
from bridge.errors import BadData

NEW = {"command": "/b"}

# (before, after) of inserting NEW as the member "n" of "s"; taking it out again gives what was before
INSERTIONS = {
    "a line for each": (
        '{\n  "s": {\n    "a": 1\n  }\n}\n',
        '{\n  "s": {\n    "a": 1,\n    "n": {\n      "command": "/b"\n    }\n  }\n}\n',
    ),
    "tabs": (
        '{\n\t"s": {\n\t\t"a": 1\n\t}\n}',
        '{\n\t"s": {\n\t\t"a": 1,\n\t\t"n": {\n\t\t\t"command": "/b"\n\t\t}\n\t}\n}',
    ),
    "one line": ('{"s": {"a": 1}}', '{"s": {"a": 1, "n": {"command": "/b"}}}'),
    "nothing in it": (
        '{\n    "s": {}\n}',
        '{\n    "s": {\n        "n": {\n            "command": "/b"\n        }\n    }\n}',
    ),
    "nothing in one line": ('{"s":{}}', '{"s":{"n": {"command": "/b"}}}'),
    "CRLF": (
        '{\r\n  "s": {\r\n    "a": 1\r\n  }\r\n}',
        '{\r\n  "s": {\r\n    "a": 1,\r\n    "n": {\r\n      "command": "/b"\r\n    }\r\n  }\r\n}',
    ),
    "a BOM": ('\ufeff{"s": {"a": 1}}', '\ufeff{"s": {"a": 1, "n": {"command": "/b"}}}'),
    "a comma at the end": ('{"s": {\n "a": 1,\n}}', '{"s": {\n "a": 1,\n "n": {\n  "command": "/b"\n },\n}}'),
    "a comment behind": (
        '{\n "s": {\n  "a": 1 // one, "x": {\n  // the end\n }\n}',
        '{\n "s": {\n  "a": 1, // one, "x": {\n  // the end\n  "n": {\n   "command": "/b"\n  }\n }\n}',
    ),
    "a comment in one line": ('{"s": {"a": 1 /* , } */}}', '{"s": {"a": 1, /* , } */ "n": {"command": "/b"}}}'),
    "only a comment": ('{\n "s": { /* none */ }\n}', '{\n "s": { /* none */"n": {"command": "/b"} }\n}'),
    "a comment and a comma": (
        '{"s": {\n "a": 1, // one\n}}',
        '{"s": {\n "a": 1, // one\n "n": {\n  "command": "/b"\n },\n}}',
    ),
    "a string with everything": (
        '{"s": {"a": "// \\" /* , } ,]"}}',
        '{"s": {"a": "// \\" /* , } ,]", "n": {"command": "/b"}}}',
    ),
    "several on a line": ('{"s": {\n "a": 1, "b": 2}}', '{"s": {\n "a": 1, "b": 2,\n "n": {\n  "command": "/b"\n }}}'),
    "the first beside the bracket": (
        '{"s": {"a": 1,\n  "b": 2\n}}',
        '{"s": {"a": 1,\n  "b": 2,\n  "n": {\n    "command": "/b"\n  }\n}}',
    ),
    "twice: the last counts": ('{"s": 1, "s": {"a": 1}}', '{"s": 1, "s": {"a": 1, "n": {"command": "/b"}}}'),
}


@pytest.mark.parametrize(("before", "after"), INSERTIONS.values(), ids=INSERTIONS)
def test_a_member_is_put_in_and_taken_out(before: str, after: str) -> None:
    assert insert(before, ["s"], "n", NEW) == after
    assert parse(after)["s"]["n"] == NEW
    assert remove(after, ["s", "n"]) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{"s": {"n": 1}}'),
        ("{\n}\n", '{\n  "s": {\n    "n": 1\n  }\n}\n'),
        ('{\n    "a": 1\n}', '{\n    "a": 1,\n    "s": {\n        "n": 1\n    }\n}'),
        ("", '{\n  "s": {\n    "n": 1\n  }\n}\n'),
        ("\ufeff", '\ufeff{\n  "s": {\n    "n": 1\n  }\n}\n'),
        ("// mine", '// mine\n{\n  "s": {\n    "n": 1\n  }\n}\n'),
        ("// mine\r\n", '// mine\r\n{\r\n  "s": {\r\n    "n": 1\r\n  }\r\n}\r\n'),
    ],
)
def test_what_is_missing_on_the_way_is_made(before: str, after: str) -> None:
    assert insert(before, ["s"], "n", 1) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"h": {"E": []}}', '{"h": {"E": [7]}}'),
        ('{"h": {"E": [1]}}', '{"h": {"E": [1, 7]}}'),
        ('{"h": {\n  "E": [\n    1\n  ]\n}}', '{"h": {\n  "E": [\n    1,\n    7\n  ]\n}}'),
        ("{}", '{"h": {"E": [7]}}'),
    ],
)
def test_an_element_is_appended(before: str, after: str) -> None:
    assert insert(before, ["h", "E"], None, 7) == after


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ('{"a": 1, "n": 2, "b": 3}', ["n"], '{"a": 1, "b": 3}'),
        ('{"n": 2, "b": 3}', ["n"], '{ "b": 3}'),
        ('{\n  "n": 2,\n  "b": 3\n}', ["n"], '{\n  "b": 3\n}'),
        ('{"n": 2 /* mine */, /* b */ "b": 3}', ["n"], '{ /* mine */ /* b */ "b": 3}'),
        ('{"n": 2,}', ["n"], "{}"),
        ('{ /* kept */ "n": 2\n}', ["n"], "{ /* kept */\n}"),
        ('{"n": 2 // kept\n}', ["n"], "{ // kept\n}"),
        ('{ // {\n  "n": 2\n}', ["n"], "{ // {\n}"),
        ('{ // {\n  "n": 2 }', ["n"], "{ // {\n   }"),
        ('{ /* { */ "n": 2 }', ["n"], "{ /* { */ }"),
        ('{"n": 2 /* of it */ , }', ["n"], "{ /* of it */ }"),
        ('{"a": [1, 2, 3]}', ["a", 1], '{"a": [1, 3]}'),
        ('{"a": [{"b": [7]}]}', ["a", 0, "b", 0], '{"a": [{"b": []}]}'),
    ],
)
def test_only_what_is_asked_for_is_taken_out(before: str, path: list[str | int], after: str) -> None:
    assert remove(before, path) == after


def test_a_value_is_replaced() -> None:
    assert replace('{ "a": { "c" :  "/old" , // old\n } }', ["a", "c"], "/n\u00e9w") == (
        '{ "a": { "c" :  "/n\u00e9w" , // old\n } }'
    )


@pytest.mark.parametrize("path", [["b"], ["a", "b"], ["l", 3]])
def test_what_is_not_there_cannot_be_changed(path: list[str | int]) -> None:
    text = '{"a": {}, "l": [1]}'
    with pytest.raises(KeyError):
        remove(text, path)
    with pytest.raises(KeyError):
        replace(text, path, 1)
    for nothing in ("", "// none"):
        with pytest.raises(KeyError):
            remove(nothing, path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: "),
        ('{"a": tru}', "line 1, column 7: "),
        ('{"a": "b', "line 1, column 7: "),
        ('{"a": 1} /* open', "line 1, column 10: "),
        ("{,}", "line 1, column 2: "),
        ('{"a":,}', "line 1, column 6: "),
        ("[1,,]", "line 1, column 4: "),
        (",]", "line 1, column 1: "),
        ("{'a': 1}", "line 1, column 2: "),
        ('{"a": NaN}', "NaN"),
        ('{"a": ' + "9" * 5000 + "}", "a number in it cannot be read"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(BadData, match=says.replace("[", r"\[")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", r"line 1: an object .* should be here"),
        ('{\n"s": []}', r"line 2: an object .* should be here"),
        ('{"s": null}', r"line 1: an object .* should be here"),
    ],
)
def test_an_entry_goes_into_an_object(text: str, says: str) -> None:
    with pytest.raises(BadData, match=says):
        insert(text, ["s"], "n", 1)
    with pytest.raises(BadData, match="an array"):
        insert('{"s": {}}', ["s"], None, 1)
    with pytest.raises(BadData, match="an object or an array"):
        remove('{"s": 1}', ["s", "n"])


def test_nothing_is_an_empty_object() -> None:
    assert parse("") == parse(" \r\n\t") == parse("\ufeff// nothing\n") == {}


# ---- whatever the document looks like

_NAMES = st.text(max_size=6).filter(lambda name: name != "bridge")
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=10,
)
_BLANKS = st.text(alphabet=" \t\n", max_size=3)
_COINS: st.SearchStrategy[bool] = st.booleans()
_GAPS: st.SearchStrategy[str] = st.lists(
    _BLANKS | st.sampled_from(['// , } ] " c\n', '/* , " } */', "\r\n", "// é\r\n"]), max_size=2
).map("".join)


@st.composite
def _documents(draw: st.DrawFn, value: Any) -> str:
    """Write a value with odd spacing, comments and commas at the end."""

    def gap() -> str:
        return draw(_GAPS)

    def write(value: Any) -> str:
        if not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=draw(_COINS))
        if isinstance(value, dict):
            parts = [f"{json.dumps(key)}{gap()}:{gap()}{write(inner)}" for key, inner in value.items()]
        else:
            parts = [write(inner) for inner in value]
        inside = f"{gap()},{gap()}".join(parts)
        last = "," if draw(_COINS) and parts else ""
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return f"{opening}{gap()}{inside}{gap()}{last}{gap()}{closing}"

    return f"{draw(st.sampled_from(['', chr(0xFEFF)]))}{gap()}{write(value)}{gap()}"


@given(
    st.data(), st.dictionaries(_NAMES, _VALUES, max_size=4), st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=3)
)
def test_an_edit_says_what_it_should_and_can_be_undone(
    data: st.DataObject, root: dict[str, Any], servers: dict[str, Any]
) -> None:
    """Reading is exact; an entry is added to what was there, and the bytes come back when it is taken out."""
    document = {**root, "servers": servers}
    text = data.draw(_documents(document))
    assert parse(text) == document
    after = insert(text, ["servers"], "bridge", NEW)
    assert parse(after) == {**document, "servers": {**servers, "bridge": NEW}}
    assert remove(after, ["servers", "bridge"]) == text
    assert parse(replace(after, ["servers", "bridge", "command"], "/c"))["servers"]["bridge"] == {"command": "/c"}


@settings(deadline=None, max_examples=60)
@given(st.data(), st.dictionaries(_NAMES, _VALUES, max_size=4), st.lists(_VALUES, max_size=3))
def test_any_element_and_any_member_can_be_taken_out(
    data: st.DataObject, root: dict[str, Any], listed: list[Any]
) -> None:
    document = {**root, "bridge": {"listed": [*listed, 1]}}
    text = data.draw(_documents(document))
    index = data.draw(st.integers(0, len(listed)))
    fewer = [*listed, 1]
    del fewer[index]
    assert parse(remove(text, ["bridge", "listed", index])) == {**root, "bridge": {"listed": fewer}}
    assert parse(remove(text, ["bridge"])) == root
    appended = insert(text, ["bridge", "listed"], None, NEW)
    assert parse(appended) == {**root, "bridge": {"listed": [*listed, 1, NEW]}}
    assert remove(appended, ["bridge", "listed", len(listed) + 1]) == text
