import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.spots import Spot, find_spot

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
    assert find_spot(text, line, column) == spot


@given(st.text("ab \n\r", max_size=60), st.integers(0, 12), st.none() | st.integers(1, 9))
@settings(deadline=None)
def test_a_spot_is_unique_and_lies_in_its_line_or_begins_there(text: str, line: int, column: int | None) -> None:
    spot = find_spot(text, line, column)
    if spot is not None:
        assert text.count(spot.start) == 1
        before = text[: text.index(spot.start)].replace("\r\n", "\n").replace("\r", "\n")
        assert before.count("\n") + 1 == line
        assert spot.end == spot.start or text.count(spot.end) == 1
