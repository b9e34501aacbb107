from __future__ import annotations

import pytest

from pathconv import Code, PathConvError, escape, hazards, parse_windows, unescape
from pathconv.names import fold, to_posix_names, to_windows_names

FORBIDDEN = "".join(map(chr, range(1, 32))) + '"*:<>?\\|'
UNTOUCHED = " .\x7f\x85\uf000\uf02f\uf020\uf07f\uff08\uff1aé"  # not escaped, not read back


def test_exactly_the_39_characters_are_escaped_and_read_back() -> None:
    assert len(FORBIDDEN) == 39
    assert escape(FORBIDDEN) == "".join(chr(0xF000 + ord(c)) for c in FORBIDDEN)
    assert unescape(escape(FORBIDDEN)) == FORBIDDEN
    assert escape(UNTOUCHED) == unescape(UNTOUCHED) == UNTOUCHED


@pytest.mark.parametrize(
    ("name", "code"), [("a\0", Code.NUL), ("a/b", Code.INVALID_CHAR), ("/", Code.INVALID_CHAR), ("/\0", Code.NUL)]
)
def test_what_no_linux_name_holds_is_not_escaped(name: str, code: Code) -> None:
    with pytest.raises(PathConvError) as caught:
        escape(name)
    assert (caught.value.code, caught.value.path) == (code, name)
    assert unescape(name) == name


@pytest.mark.parametrize(
    ("linux", "windows"),
    [
        ("/a/b c", "\\a\\b c"),
        ("/a\\b/c:d", "\\a\uf05cb\\c\uf03ad"),
        ("/é/\uff1a", "\\é\\\uff1a"),
        ("", ""),
        ("/", "\\"),
    ],
)
def test_names_in_a_row(linux: str, windows: str) -> None:
    assert to_windows_names(linux) == windows
    assert to_posix_names(windows) == linux


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("aZ-1", "AZ-1"),
        ("éäж", "ÉÄЖ"),
        ("straße", "STRAßE"),  # one for one
        ("ŉa", "ŉA"),
        ("\u0131\u017f", "\u0131\u017f"),  # Python says I and S
        ("\u0131é", "\u0131É"),
        ("e\u0301", "E\u0301"),  # no normalisation
        ("😀", "😀"),
    ],
)
def test_letter_case_as_ntfs_compares(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


@pytest.mark.parametrize(
    ("path", "reasons"),
    [
        ("C:\\", []),
        ("C:\\NUL.tar.gz", ["reserved-name"]),
        ("C:\\a\\lpt1 .txt", ["reserved-name"]),
        ("C:\\com¹\\x", ["reserved-name"]),
        ("C:\\conin$", ["reserved-name"]),
        ("C:\\com0", []),
        ("C:\\com10", []),
        ("C:\\xnul", []),
        ("C:\\con ", ["reserved-name", "trailing-dot-or-space"]),
        ("C:\\a.\\b", ["trailing-dot-or-space"]),
        ("\\\\nas\\media\\aux", ["reserved-name"]),
        ("C:\\" + "a" * 256, []),
        ("C:\\" + "a" * 257, ["long-path"]),
        ("C:\\" + "😀" * 129, ["long-path"]),  # two units each
        ("C:\\con\\b.\\" + "a" * 300, ["long-path", "reserved-name", "trailing-dot-or-space"]),
    ],
)
def test_hazards(path: str, reasons: list[str]) -> None:
    assert hazards(parse_windows(path)) == reasons
