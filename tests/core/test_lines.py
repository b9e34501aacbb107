import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.lines import Edit, edits, ending, split, split_lf

LINES = st.lists(st.sampled_from(["", "a", "b", "c", "}", "    return"]), max_size=40)

# (text,                  after every ending,        as git sees it)
CUTS = [
    ("",                  [],                        []),
    ("a",                 ["a"],                     ["a"]),
    ("a\n",               ["a\n"],                   ["a\n"]),
    ("\n\n",              ["\n", "\n"],              ["\n", "\n"]),
    ("a\r\nb\rc\n",       ["a\r\n", "b\r", "c\n"],   ["a\r\n", "b\rc\n"]),
    ("\r\r\n\n\r",        ["\r", "\r\n", "\n", "\r"], ["\r\r\n", "\n", "\r"]),
    ("a\x0bb\x0cc\u2028d\x85e", ["a\x0bb\x0cc\u2028d\x85e"], ["a\x0bb\x0cc\u2028d\x85e"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "everywhere", "at_lf"), CUTS)
def test_a_line_ends_where_editors_say(text: str, everywhere: list[str], at_lf: list[str]) -> None:
    assert split(text) == everywhere
    assert split_lf(text) == at_lf


@pytest.mark.parametrize(("line", "end"), [("a\r\n", "\r\n"), ("a\n", "\n"), ("a\r", "\r"), ("a", ""), ("", "")])
def test_the_ending_of_a_line(line: str, end: str) -> None:
    assert ending(line) == end


@settings(deadline=None)
@given(st.text(st.sampled_from("ab\r\n\x0b\u2028")))
def test_lines_join_to_the_text(text: str) -> None:
    assert "".join(split(text)) == "".join(split_lf(text)) == text


def replay(old: list[str], new: list[str], found: list[Edit]) -> list[str]:
    """Build the new lines from the old ones and the edits alone."""
    result: list[str] = []
    at = 0
    for edit in found:
        result += old[at : edit.old_start] + new[edit.new_start : edit.new_end]
        at = edit.old_end
    return result + old[at:]


@settings(deadline=None)
@given(LINES, LINES)
def test_edits_lead_from_old_to_new(old: list[str], new: list[str]) -> None:
    found = edits(old, new)
    assert replay(old, new, found) == new
    assert all(edit.old_start < edit.old_end or edit.new_start < edit.new_end for edit in found)
    assert all(a.old_end < b.old_start and a.new_end < b.new_start for a, b in pairwise(found))


A, B = [f"a{n}" for n in range(60_000)], [f"b{n}" for n in range(60_000)]
DIGITS = random.Random(1).choices("0123456789", k=100_000)

# name, old lines, new lines, edits found
LARGE: dict[str, tuple[list[str], list[str], int]] = {
    "nothing in common": (A, B, 1),
    "one line too many among equal ones": ([""] * 500_000, [""] * 500_001, 1),
    "equal lines, edited in place": ([""] * 300_000, ["x", *[""] * 99, "x", *[""] * 299_898, "x"], 3),
    "equal lines, edited and shifted: one block": ([""] * 300_000, ["x", *[""] * 299_999, "x"], 1),
    "a table of digits, two edits far apart": (
        DIGITS,
        ["x", *DIGITS[1:50_000], "y", *DIGITS[50_001:], "z"],
        3,
    ),
    "backwards": (A, A[::-1], 2),
    "every line twice, and strangers between": (
        [*A[:9_000], *A[:9_000]],
        [line for pair in zip(A[:9_000], B[:9_000], strict=True) for line in pair],
        -1,
    ),
}


@pytest.mark.timeout(10)  # difflib alone would need minutes
@pytest.mark.parametrize("name", LARGE)
def test_large_and_hostile_texts_take_about_a_second(name: str) -> None:
    old, new, count = LARGE[name]
    found = edits(old, new)
    assert replay(old, new, found) == new
    assert count in (-1, len(found))
