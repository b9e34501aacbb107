"""JSON written again: in its style, unless that costs too much. More styles: tests/core/test_translate.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.jsontext import MOST_LEVELS, ROOM, write_like


def deep(levels: int, innermost: Any = 1) -> Any:
    value = innermost
    for _ in range(levels):
        value = [value]
    return value


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


KEPT = [
    # the beginning of a text, and how many characters it indents by
    ("{\n  ", "  "),
    ("[\r\n\t", "\t"),
    ("{\n", ""),
    ("{\n" + " " * 8, " " * 8),
    (" \n{ \n  ", "  "),
]


@pytest.mark.parametrize(("beginning", "indent"), KEPT, ids=repr)
def test_an_indent_is_kept(beginning: str, indent: str) -> None:
    assert write_like(beginning + '"a": [1]}', {"a": [1]}) == json.dumps({"a": [1]}, indent=indent)


NOT_KEPT = [
    ("nine blanks", "{\n" + " " * 9 + '"a":[]}', {"a": []}),
    ("100 KB of blanks", "{\n" + " " * 100_000 + '"a":[]}', {"a": []}),
    ("twice as long and more", "[\n        1" + ",[1]" * 1000 + "]", [1, *[[1]] * 1000]),
    ("too deep", "[\n" + "[" * MOST_LEVELS, deep(MOST_LEVELS + 1)),
    ("too deep without a blank", "[\n" + "[" * 900 + "1," * 100_000, deep(900, [1] * 100_000)),
]


@pytest.mark.parametrize(("text", "value"), [row[1:] for row in NOT_KEPT], ids=[row[0] for row in NOT_KEPT])
def test_an_indent_out_of_proportion_is_not_kept(text: str, value: Any) -> None:
    assert write_like(text, value) == compact(value)


def test_as_many_levels_as_real_results_have_are_indented() -> None:
    assert write_like("[\n [", deep(MOST_LEVELS)) == json.dumps(deep(MOST_LEVELS), indent=1)
    assert write_like("[\n [", {"a": {"b": 1}}) == json.dumps({"a": {"b": 1}}, indent=1)


@given(
    st.recursive(st.none() | st.integers(), lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside)),
    st.sampled_from(["{\n" + " " * n for n in (0, 2, 8, 9, 500)] + ["[", '{"a": 1']),
    st.integers(0, 50),
)
def test_whatever_the_style_the_meaning_stays_and_the_length_is_bounded(value: Any, beginning: str, more: int) -> None:
    text = beginning + "x" * more
    written = write_like(text, value)
    assert json.loads(written) == value
    plain = len(json.dumps(value, ensure_ascii=text.isascii()))
    assert len(written) <= max(2 * len(text) + ROOM, plain)


@pytest.mark.parametrize("text", ["{", "{\n  "])
def test_what_is_no_json_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_like(text, [float("inf")])
