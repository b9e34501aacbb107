"""Edits by replacing strings: what they make, and the one that makes an exact text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.edits import CannotTell, Replacement, one_replacement, replace_in, uniform

MADE = [
    ("one two", Replacement("two", "2"), "one 2"),
    ("a a a", Replacement("a", "b", None), "b b b"),
    ("a a", Replacement("a", "b", 2), "b b"),
    ("aaa", Replacement("aa", "b"), "ba"),  # counted without overlaps, as every tool counts
    ("x\n", Replacement("x\n", ""), ""),
]

CANNOT = [
    ("one", Replacement("two", "2"), "not in the file"),
    ("a a", Replacement("a", "b"), "in the file 2 times, not 1"),
    ("a", Replacement("a", "b", 2), "in the file 1 times, not 2"),
    ("a", Replacement("a", "a"), "nothing would change"),
    ("a", Replacement("", "b"), "replaces nothing"),
]


@pytest.mark.parametrize(("text", "edit", "after"), MADE)
def test_what_an_edit_makes(text: str, edit: Replacement, after: str) -> None:
    assert replace_in(text, edit) == after


@pytest.mark.parametrize(("text", "edit", "why"), CANNOT)
def test_what_cannot_be_told(text: str, edit: Replacement, why: str) -> None:
    with pytest.raises(CannotTell, match=why):
        replace_in(text, edit)


TO = [
    # before, after, the lines that are replaced
    ("a\nb\nc\n", "a\nB\nc\n", Replacement("b\n", "B\n")),
    ("x\nx\nx\n", "x\nX\nx\n", Replacement("x\nx\nx\n", "x\nX\nx\n")),  # unique only as a whole
    ("a\nb\n", "a\nnew\nb\n", Replacement("a\nb\n", "a\nnew\nb\n")),  # what is inserted needs something to hold on to
    ("a\nb\nc\n", "a\nc\n", Replacement("a\nb\nc\n", "a\nc\n")),  # no empty replacement
    ("a\n", "", Replacement("a\n", "")),  # but of everything
    ("a", "a\n", Replacement("a", "a\n")),
]


@pytest.mark.parametrize(("before", "after", "edit"), TO)
def test_the_edit_from_one_text_to_another(before: str, after: str, edit: Replacement) -> None:
    assert one_replacement(before, after) == edit


def test_there_is_none_from_nothing_or_to_the_same() -> None:
    assert one_replacement("", "a") is None
    assert one_replacement("a\n", "a\n") is None


# Few letters and many lines: the hard case is text that repeats itself.
TEXT = st.lists(st.sampled_from(["a", "b", "", " ", "ab"]), max_size=12).map("\n".join)


@settings(deadline=None)
@given(TEXT, TEXT)
def test_the_edit_makes_exactly_that_text(before: str, after: str) -> None:
    """Its old text is there once in any way of counting, so that no tool finds it elsewhere."""
    edit = one_replacement(before, after)
    if edit is None:
        assert before in ("", after)
        return
    assert before.find(edit.old) == before.rfind(edit.old) >= 0
    assert replace_in(before, edit) == after
    assert edit.new or not after


UNIFORM = [("", ("", "\n")), ("a\nb", ("a\nb", "\n")), ("a\r\nb\r\n", ("a\nb\n", "\r\n"))]


@pytest.mark.parametrize(("text", "parts"), UNIFORM)
def test_texts_of_one_kind_of_line(text: str, parts: tuple[str, str]) -> None:
    assert uniform(text) == parts
    assert parts[0].replace("\n", parts[1]) == text


@pytest.mark.parametrize("text", ["a\r\nb\n", "a\rb", "a\nb\r\n", "a\r\r\n"])
def test_texts_of_several_kinds_of_lines_are_not_told(text: str) -> None:
    with pytest.raises(CannotTell, match="end in different ways"):
        uniform(text)
