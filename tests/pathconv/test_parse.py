from __future__ import annotations

import pytest

from pathconv import PathConvError, PosixPath, WinPath, parse_posix, parse_windows

WINDOWS = [
    # spelled,                     root,                     tail
    ("c:\\",                       "C:",                     "\\"),
    ("c:/Users/me",                "C:",                     "\\Users\\me"),
    ("C:\\a\\\\b\\.\\c\\..\\d\\",  "C:",                     "\\a\\b\\d\\"),
    ("C:\\a\\.",                   "C:",                     "\\a"),
    ("C:\\a\\..",                  "C:",                     "\\"),
    ("C:\\...\\.git\\..x",         "C:",                     "\\...\\.git\\..x"),  # names, not directions
    ("\\\\nas\\media",             "\\\\nas\\media",         ""),
    ("//nas/media/",               "\\\\nas\\media",         "\\"),
    ("\\\\nas\\\\media\\x",        "\\\\nas\\media",         "\\x"),
    ("\\\\nas",                    "\\\\nas",                ""),
    ("\\\\nas\\",                  "\\\\nas",                "\\"),
    ("\\\\?\\C:\\Users",           "C:",                     "\\Users"),
    ("//?/c:/Users",               "C:",                     "\\Users"),
    ("\\\\?\\UNC\\nas\\m\\x",      "\\\\nas\\m",             "\\x"),
    ("\\\\?\\unc\\wsl$\\U\\x",     "\\\\wsl$\\U",            "\\x"),
    ("\\\\host@SSL\\dav\\x",       "\\\\host@SSL\\dav",      "\\x"),
    ("C:\\a b'&;#%[1].txt",        "C:",                     "\\a b'&;#%[1].txt"),
    ("C:\\\x7f\x85\ufffe",         "C:",                     "\\\x7f\x85\ufffe"),
]  # fmt: skip

NO_WINDOWS = [
    ("", "empty"),
    ("C:\\a\0", "nul"),
    ("C:\\\udc80", "not-utf8"),
    ("C:", "relative"),  # the current directory of the drive
    ("C:a", "relative"),
    ("\\a", "relative"),
    ("/mnt/c", "relative"),
    ("a\\b", "relative"),
    ("1:\\a", "relative"),
    ("é:\\a", "relative"),
    ("\\\\", "relative"),
    ("\\\\\\nas\\x", "relative"),
    ("\\\\?\\UNC\\", "relative"),
    ("file:///c:/x", "relative"),
    ("C:\\..", "escapes-root"),
    ("C:\\a\\../..\\b", "escapes-root"),
    ("\\\\nas\\media\\..\\x", "escapes-root"),
    ("\\\\nas\\..\\x", "escapes-root"),
    ("\\\\..\\nas\\x", "escapes-root"),
    ("\\\\nas\\.\\x", "invalid-char"),
    ("\\\\n?s\\x", "invalid-char"),
    ("\\\\nas:80\\x", "invalid-char"),
    ("C:\\a\x1fb", "invalid-char"),
    ('C:\\"a"', "invalid-char"),
    ("C:\\a*:b", "invalid-char"),  # the first of them counts
    ("C:\\a:b*", "stream"),
    ("C:\\a::$DATA", "stream"),
    ("\\\\?\\C:\\a\\..\\b", "invalid-char"),  # a name there, and no lawful one
    ("\\\\?\\C:\\a\\.", "invalid-char"),
    ("\\\\?\\UNC\\nas\\m\\..", "invalid-char"),
    ("\\\\.\\pipe\\x", "device"),
    ("\\\\.", "device"),
    ("//./C:/x", "device"),
    ("\\\\?\\C:", "device"),
    ("\\\\?\\Volume{1}\\x", "device"),
    ("\\??\\C:\\x", "device"),
]


@pytest.mark.parametrize(("text", "root", "tail"), WINDOWS)
def test_a_windows_path(text: str, root: str, tail: str) -> None:
    path = parse_windows(text)
    assert path == WinPath(root, tail)
    assert str(path) == root + tail


@pytest.mark.parametrize(("text", "code"), NO_WINDOWS)
def test_no_windows_path(text: str, code: str) -> None:
    with pytest.raises(PathConvError) as caught:
        parse_windows(text)
    assert (caught.value.code, caught.value.path) == (code, text)


POSIX = [
    ("/", "/"),
    ("///", "/"),
    ("//a//b/./c/../d/", "/a/b/d/"),
    ("/a/..", "/"),
    ("/.../.git/..x", "/.../.git/..x"),
    ("/a\\b:c\n", "/a\\b:c\n"),
    ("/\udcff", "/\udcff"),  # bytes that are not UTF-8 are Linux's right
]


@pytest.mark.parametrize(("text", "path"), POSIX)
def test_a_posix_path(text: str, path: str) -> None:
    assert parse_posix(text) == PosixPath(path)
    assert str(parse_posix(text)) == path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("/a\0b", "nul"),
        ("a/b", "relative"),
        ("~/a", "relative"),
        ("C:\\a", "relative"),
        ("/..", "escapes-root"),
        ("/a/../../b", "escapes-root"),
    ],
)
def test_no_posix_path(text: str, code: str) -> None:
    with pytest.raises(PathConvError) as caught:
        parse_posix(text)
    assert (caught.value.code, caught.value.path) == (code, text)


def test_the_parts_of_a_share() -> None:
    path = parse_windows("\\\\nas\\media\\x")
    assert (path.host, path.share) == ("nas", "media")
    assert (parse_windows("\\\\nas").share, parse_windows("C:\\x").host) == ("", "")
