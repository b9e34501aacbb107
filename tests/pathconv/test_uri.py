from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathconv import PathConvError, to_uri

URIS = [
    ("/", "file:///"),
    ("/home/me/a b#1.py", "file:///home/me/a%20b%231.py"),
    ("/a-b_c.d~e/0", "file:///a-b_c.d~e/0"),
    ("/100%/?x=1&y", "file:///100%25/%3Fx%3D1%26y"),
    ("/ä/😀", "file:///%C3%A4/%F0%9F%98%80"),
    ("/a:b!c'(d)*", "file:///a%3Ab%21c%27%28d%29%2A"),
    ("/line\nbreak\x1b", "file:///line%0Abreak%1B"),
    ("//twice", "file:///twice"),  # VS Code refuses a fourth slash
]


@pytest.mark.parametrize(("path", "uri"), URIS)
def test_a_path_is_spelled_as_vs_code_spells_it(path: str, uri: str) -> None:
    assert to_uri(path) == uri


@pytest.mark.parametrize(
    ("path", "code"), [("", "empty"), ("a/b", "relative"), ("/a\0b", "nul"), ("/\udcff", "not-utf8")]
)
def test_a_path_that_no_uri_can_name_is_refused_with_a_reason(path: str, code: str) -> None:
    with pytest.raises(PathConvError) as caught:
        to_uri(path)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert str(caught.value).endswith(f": {path!r}")


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
