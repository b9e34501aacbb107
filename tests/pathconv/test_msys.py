from __future__ import annotations

import pytest

from pathconv import PathConvError, from_msys, parse_windows, to_msys

GIT = "C:\\Program Files\\Git"


@pytest.mark.parametrize(
    ("path", "root", "windows"),
    [
        ("/c", None, "C:\\"),
        ("/C/a//b/../d/", None, "C:\\a\\d\\"),
        ("/c/a:b", None, "C:\\a\uf03ab"),  # Cygwin escapes as WSL does
        ("/cygdrive/d/x", None, "D:\\x"),
        ("/cygdrive/d", GIT, "D:\\"),
        ("//nas/share/x", None, "\\\\nas\\share\\x"),
        ("C:/x", None, "C:\\x"),
        ("C:\\x", None, "C:\\x"),
        ("/usr/bin", GIT, GIT + "\\usr\\bin"),
        ("/", GIT, GIT + "\\"),
        ("/cc/x", "C:\\", "C:\\cc\\x"),
        ("///usr", GIT, GIT + "\\usr"),
    ],
)
def test_a_path_of_msys(path: str, root: str | None, windows: str) -> None:
    assert str(from_msys(path, root)) == windows


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "empty"),
        ("a/b", "relative"),
        ("/cc/x", "unmapped"),
        ("/", "unmapped"),
        ("/cygdrive", "unmapped"),
        ("/c/../d", "escapes-root"),
        ("/c/\0", "nul"),
        ("/c/\udcff", "not-utf8"),
        ("C:/a?", "invalid-char"),
    ],
)
def test_no_path_of_msys(path: str, code: str) -> None:
    with pytest.raises(PathConvError) as caught:
        from_msys(path)
    assert (caught.value.code, caught.value.path) == (code, path)


@pytest.mark.parametrize("path", ["/c/", "/c/a b/c:d/", "//nas/share", "//nas/share/x"])
def test_there_and_back(path: str) -> None:
    assert to_msys(from_msys(path)) == path


def test_the_wrong_root_is_refused() -> None:
    with pytest.raises(PathConvError):
        from_msys("/usr", "Git")
    assert to_msys(parse_windows("D:\\X")) == "/d/X"
