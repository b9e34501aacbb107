import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.text import Hidden, decode, hidden, normalise, settle, visible
from bridge.errors import BadData

# (hostile,                     shown)
SHOWN = [
    ("plain ~ é 漢字 ✨ ❤️",        "plain ~ é 漢字 ✨ ❤️"),
    ("a\u3000b\u00a0c",            "a\u3000b\u00a0c"),  # spaces have a width: they stay
    ("\x1b]0;owned\x07",           r"\x1b]0;owned\x07"),
    ("a\rb\nc\td\0",               r"a\x0db\x0ac\x09d\x00"),
    ("\x7f\x80\x9b\x85",           r"\x7f\x80\x9b\x85"),
    ("x\u202ey\u2066z\u061c",      r"x\u202ey\u2066z\u061c"),
    ("a\u200bb\u200dc\ufeff",      r"a\u200bb\u200dc\ufeff"),
    ("\u2028\u2029",               r"\u2028\u2029"),
    ("\u3164\u2800\U000e0101",     r"\u3164\u2800\U000e0101"),  # a letter, a symbol, a mark: all blank
    ("\U000e0041\ue000\U0010ffff", r"\U000e0041\ue000\U0010ffff"),
    ("caf\udce9.txt",              r"caf\xe9.txt"),  # an undecodable byte of a path
    ("\ud83d cut",                 r"\ud83d cut"),
    ("C:\\x1b",                    "C:\\x1b"),  # a backslash is only a backslash
]  # fmt: skip


@pytest.mark.parametrize(("hostile", "shown"), SHOWN)
def test_what_cannot_be_seen_is_shown_as_its_escape(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown


def test_lines_and_tabs_stay_where_lines_are_expected() -> None:
    assert visible("a\tb\r\nc\x1b", multiline=True) == "a\tb\\x0d\nc\\x1b"


ANYTHING = st.text(st.one_of(st.characters(), st.sampled_from("\u202e\u200b\x1b\r\n\t\x9b\ud800\udcff\u3164")))


@settings(deadline=None)
@given(ANYTHING, st.booleans())
def test_nothing_else_leaves_the_sanitizer(text: str, multiline: bool) -> None:
    shown = visible(text, multiline=multiline)
    rest = shown.replace("\n", "").replace("\t", "") if multiline else shown
    assert not {unicodedata.category(char) for char in rest} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert "\u3164" not in rest
    assert visible(shown, multiline=multiline) == shown


FOUND: list[tuple[str, tuple[Hidden, ...]]] = [
    ("\ufeffplain\r\n\ttext\r é 漢字 ❤️", ()),
    ("a\ufeffb", (Hidden.INVISIBLE,)),  # a BOM anywhere else
    ("if admin\u202e {", (Hidden.BIDI,)),
    ("pass\u200bword \u3164", (Hidden.INVISIBLE,)),
    ("\x1b[2K", (Hidden.CONTROL,)),
    ("\x85\u2028", (Hidden.CONTROL,)),
    ("\ud83d", (Hidden.CONTROL,)),
    ("\x1b\u200b\u202e", (Hidden.BIDI, Hidden.INVISIBLE, Hidden.CONTROL)),
]


@pytest.mark.parametrize(("text", "kinds"), FOUND)
def test_the_reader_is_told_what_a_text_hides(text: str, kinds: tuple[Hidden, ...]) -> None:
    assert hidden(text) == kinds


@pytest.mark.parametrize("text", ["", "a\r\nb\rc", "\ufeffé\n", "漢字"])
def test_utf8_is_read_as_it_is(text: str) -> None:
    assert decode(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GIF89a\0", "binary file: NUL byte at offset 6"),
        ("漢".encode("utf-16"), "not UTF-8 text: byte 0xff at offset 0"),
        ("ab".encode("utf-16-le"), "binary file: NUL byte at offset 1"),
        (b"caf\xe9", "not UTF-8 text: byte 0xe9 at offset 3"),
        (b"\xed\xa0\xbd", "not UTF-8 text: byte 0xed at offset 0"),  # a surrogate, encoded
    ],
)
def test_other_bytes_are_refused_with_their_place(data: bytes, says: str) -> None:
    with pytest.raises(BadData, match=says) as refused:
        decode(data)
    assert "convert the file" in (refused.value.hint or "")


# (why,                             proposal,                returned,           settled)
SETTLED = [
    ("CRLF came back as LF",          "a\r\nb\r\n",            "a\nb\n",           "a\r\nb\r\n"),
    ("the final newline went",        "a\nb\n",                "a\nb",             "a\nb\n"),
    ("a final newline came",          "a\nb",                  "a\nb\n",           "a\nb"),
    ("the BOM went",                  "\ufeffa\n",             "a\n",              "\ufeffa\n"),
    ("a BOM came",                    "a\n",                   "\ufeffa\n",        "a\n"),
    ("an edit, else CRLF",            "a\r\nb\r\nc\r\n",       "a\nB\nc\n",        "a\r\nB\r\nc\r\n"),
    ("mixed endings stay",            "a\r\nb\nc\rd\r\ne\r\n", "a\nb\nc\nd\nE\n",  "a\r\nb\nc\rd\r\nE\r\n"),
    ("new lines end like most",       "a\nb\r\nc\r\n",         "a\nx\nb\nc\n",     "a\nx\r\nb\r\nc\r\n"),
    ("no ending to follow: LF",       "a",                     "a\r\nb\r\n",       "a\nb"),
    ("appended after no newline",     "a\r\nb",                "a\nb\nc",          "a\r\nb\r\nc"),
    ("the last line moved up",        "a\r\nb",                "b\na",             "b\r\na"),
    ("a last blank line needs a LF",  "a",                     "b\n\n",            "b\n\n"),
    ("a last blank line was deleted", "a\n\n",                 "a\n",              "a\n"),
    ("BOM and edit",                  "\ufeffa\r\n",           "b",                "\ufeffb\r\n"),
    ("everything deleted",            "\ufeffa\r\n",           "\n",               "\ufeff"),
    ("written into nothing",          "",                      "a\nb\n",           "a\nb\n"),
    ("into nothing, no newline",      "",                      "a",                "a"),
    ("CR must not swallow an LF",     "a\rb\n\n",              "a\n\n",            "a\r\r"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "proposal", "returned", "settled"), SETTLED)
def test_a_surface_leaves_no_trace_but_the_edit(why: str, proposal: str, returned: str, settled: str) -> None:
    assert settle(proposal, returned) == settled, why


TEXTS = st.text(st.sampled_from("ab\n\r\ufeff\u2028"), max_size=30)


@settings(deadline=None)
@given(TEXTS)
def test_showing_a_text_is_no_edit(proposal: str) -> None:
    """As it was; in a text area, which knows LF only; with a newline added at the end."""
    in_text_area = proposal.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    ended = in_text_area if in_text_area.endswith("\n") else in_text_area + "\n"
    for returned in (proposal, in_text_area, ended):
        assert settle(proposal, returned) == proposal


@settings(deadline=None, max_examples=500)
@given(TEXTS, TEXTS)
def test_what_the_human_wrote_survives(proposal: str, returned: str) -> None:
    settled = settle(proposal, returned)
    assert normalise(settled) == normalise(returned)
    assert settle(proposal, settled) == settled


@pytest.mark.timeout(10)
def test_two_mebibytes_settle_in_about_a_second() -> None:
    chosen = random.Random(1)
    lines = [chosen.choice(["", "    }", f"line {n}"]) for n in range(200_000)]
    edited = [line for n, line in enumerate(lines) if n % 1_000]
    assert settle("\r\n".join(lines), "\n".join(edited)) == "\r\n".join(edited)
