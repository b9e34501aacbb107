from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathconv import PathConvError, PosixPath, WinPath, WslPath, parse_uri, parse_windows, to_uri
from pathconv.uri import split_uri

URIS = [
    ("/", "file:///"),
    ("/home/me/a b#1.py", "file:///home/me/a%20b%231.py"),
    ("/a-b_c.d~e/0", "file:///a-b_c.d~e/0"),
    ("/100%/?x=1&y", "file:///100%25/%3Fx%3D1%26y"),
    ("/ä/😀", "file:///%C3%A4/%F0%9F%98%80"),
    ("/a:b!c'(d)*", "file:///a%3Ab%21c%27%28d%29%2A"),
    ("/line\nbreak\x1b", "file:///line%0Abreak%1B"),
    ("//twice", "file:///twice"),  # VS Code refuses a fourth slash
    ("/a/../b", "file:///a/../b"),  # a text is not normalised: /a may be a link
]


@pytest.mark.parametrize(("path", "uri"), URIS)
def test_a_path_is_spelled_as_vs_code_spells_it(path: str, uri: str) -> None:
    assert to_uri(path) == uri


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("C:\\", "file:///c%3A/"),
        ("C:\\Src\\a b.py", "file:///c%3A/Src/a%20b.py"),
        ("\\\\NAS\\Media", "file://nas/Media"),
        ("\\\\nas\\c$\\x\\", "file://nas/c%24/x/"),
        ("\\\\nas", "file://nas"),
        ("\\\\wsl$\\Ubuntu\\home", "file://wsl%24/Ubuntu/home"),
        ("C:\\a\uf03ab", "file:///c%3A/a%EF%80%BAb"),
    ],
)
def test_a_windows_path_is_spelled_as_vs_code_spells_it(path: str, uri: str) -> None:
    assert to_uri(parse_windows(path)) == uri
    assert str(parse_uri(uri)).lower() == path.lower()


def test_a_path_of_a_remote_window() -> None:
    assert to_uri(WslPath("Ubuntu-22.04", "/a b")) == "vscode-remote://wsl%2Bubuntu-22.04/a%20b"
    assert str(WslPath("Ubuntu", "/a b")) == "/a b"
    assert to_uri(PosixPath("/a\\b")) == "file:///a%5Cb"


@pytest.mark.parametrize(
    ("path", "code", "shown"),
    [
        ("", "empty", "the path is empty"),
        ("a/b", "relative", ": a/b"),
        ("/a\0b", "nul", ": /a\\x00b"),
        ("/\udcff", "not-utf8", ": /\\udcff"),
    ],
)
def test_a_path_that_no_uri_can_name_is_refused_with_a_reason(path: str, code: str, shown: str) -> None:
    with pytest.raises(PathConvError) as caught:
        to_uri(path)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert str(caught.value).endswith(shown)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
@settings(deadline=None)
def test_every_path_comes_back_from_its_uri(path: str) -> None:
    uri = to_uri("/x" + path)
    assert uri.isascii()
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, unquote(parts.path), parts.query, parts.fragment) == (
        "file",
        "",
        "/x" + path,
        "",
        "",
    )


READ = [
    # URI,                                             is
    ("file:///c%3A/a%2525#L10",                        WinPath("C:", "\\a%25")),  # decoded once
    ("file:///C:/a/?x=%zz#%",                          WinPath("C:", "\\a\\")),
    ("FILE:/c:/x",                                     WinPath("C:", "\\x")),
    ("file:///c:",                                     WinPath("C:", "\\")),
    ("file:///c:\\x",                                  WinPath("C:", "\\x")),  # not escaped: a separator
    ("file://C:/x",                                    WinPath("C:", "\\x")),
    ("file://c%3A/x",                                  WinPath("C:", "\\x")),
    ("file://localhost/c:/x",                          WinPath("C:", "\\x")),
    ("file://LocalHost/srv",                           PosixPath("/srv")),
    ("file://nas",                                     WinPath("\\\\nas", "")),
    ("file://nas/media",                               WinPath("\\\\nas\\media", "")),
    ("file://wsl%24/Ubuntu/home",                      WinPath("\\\\wsl$\\Ubuntu", "\\home")),
    ("file:////wsl$/Ubuntu/home",                      WinPath("\\\\wsl$\\Ubuntu", "\\home")),  # Java
    ("file://///nas/media/x",                          WinPath("\\\\nas\\media", "\\x")),
    ("file:/srv",                                      PosixPath("/srv")),
    ("file:///srv/../a%5Cb/c:d",                       PosixPath("/a\\b/c:d")),  # lawful there
    ("file:///1:/x",                                   PosixPath("/1:/x")),
    ("file:///c:x",                                    PosixPath("/c:x")),
    ("vscode-remote://wsl%2Bubuntu/home/me",           WslPath("ubuntu", "/home/me")),
    ("vscode-remote://wsl%2bUbuntu-22.04/a%20b/#x",    WslPath("Ubuntu-22.04", "/a b/")),
    ("vscode-remote://WSL+U",                          WslPath("U", "/")),
]  # fmt: skip

REFUSED = [
    ("", "empty"),
    ("/srv", "not-a-uri"),
    ("c:/x", "not-a-uri"),
    ("//nas/x", "not-a-uri"),
    ("https://x/y", "scheme"),
    ("untitled:Untitled-1", "scheme"),
    ("vscode-remote://ssh-remote%2Bhost/x", "foreign-remote"),
    ("vscode-remote://wsl%2B/x", "foreign-remote"),
    ("vscode-remote://wsl%2Ba%20b/x", "foreign-remote"),
    ("vscode-remote:/x", "foreign-remote"),
    ("file:x", "relative"),
    ("file:", "relative"),
    ("file://", "relative"),
    ("file:c:/x", "relative"),
    ("file:///a%2Fb", "encoded-separator"),
    ("file:///c:/a%2fb", "encoded-separator"),
    ("file:///c:/a%5cb", "encoded-separator"),
    ("file:///c%3A%5Cwin%5Cpath", "encoded-separator"),
    ("file://nas/s/a%5Cb", "encoded-separator"),
    ("file:////nas/s/a%5Cb", "encoded-separator"),
    ("file://n%2Fs/x", "encoded-separator"),
    ("vscode-remote://wsl%2Bubuntu/a%2Fb", "encoded-separator"),
    ("file:///a%", "bad-escape"),
    ("file:///a%4", "bad-escape"),
    ("file:///a%zz", "bad-escape"),
    ("file:///a%FF", "not-utf8"),
    ("file:///a%ED%A0%80", "not-utf8"),  # a surrogate
    ("file:///a\udcff", "not-utf8"),
    ("file:///a%00b", "nul"),
    ("file:///a\0b", "nul"),
    ("file:///%2E%2E/x", "escapes-root"),
    ("file:///c%3A/..", "escapes-root"),
    ("file://nas/media/../x", "escapes-root"),
    ("vscode-remote://wsl%2Bubuntu/../x", "escapes-root"),
    ("file:///c:/a%3Fb", "invalid-char"),
    ("file://nas:80/x", "invalid-char"),
    ("file:///c:/a:b", "stream"),
    ("file://./pipe/x", "device"),
]


@pytest.mark.parametrize(("uri", "path"), READ)
def test_a_uri_names(uri: str, path: object) -> None:
    assert parse_uri(uri) == path


@pytest.mark.parametrize(("uri", "code"), REFUSED)
def test_a_uri_that_names_no_file_of_ours(uri: str, code: str) -> None:
    with pytest.raises(PathConvError) as caught:
        parse_uri(uri)
    assert (caught.value.code, caught.value.path) == (code, uri)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [("file:///a", ("file:///a", "")), ("file:///a#b?c", ("file:///a", "#b?c")), ("f:?#", ("f:", "?#"))],
)
def test_what_follows_the_path(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts
