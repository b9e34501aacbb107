"""Edits of TOML: what was asked for, and not a byte more."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.tomledit import insert, parse, remove, replace
from bridge.errors import BadData

NEW: dict[str, Any] = {"command": "/b", "args": ["mcp"]}
TABLE = '[servers.bridge]\ncommand = "/b"\nargs = ["mcp"]'
CRLF = TABLE.replace("\n", "\r\n")
PATH = ("servers", "bridge")

INSERTIONS = {
    "nothing": ("", f"{TABLE}\n"),
    "a BOM": ("\ufeff", f"\ufeff{TABLE}\n"),
    "an empty line": ("\n", f"\n\n{TABLE}\n"),
    "a table": ("[a]\nb = 1\n", f"[a]\nb = 1\n\n{TABLE}\n"),
    "no newline at the end": ("[a]\nb = 1", f"[a]\nb = 1\n\n{TABLE}"),
    "a comment at the end": ("a = 1\n# the end\n", f"a = 1\n# the end\n\n{TABLE}\n"),
    "CRLF": ("a = 1\r\n", f"a = 1\r\n\r\n{CRLF}\r\n"),
    "CRLF and no newline": ("a = 1\r\n[b]", f"a = 1\r\n[b]\r\n\r\n{CRLF}"),
    "more of them": ("[servers.a]\nx = 1\n\n\n", f"[servers.a]\nx = 1\n\n\n\n{TABLE}\n"),
    "a header in a string": ('a = """\n[servers.bridge]\n"""\n', f'a = """\n[servers.bridge]\n"""\n\n{TABLE}\n'),
    "a header in an array": ("a = [\n[1],\n  [2]\n]\n", f"a = [\n[1],\n  [2]\n]\n\n{TABLE}\n"),
}


@pytest.mark.parametrize(("before", "after"), INSERTIONS.values(), ids=INSERTIONS)
def test_a_table_is_appended_and_taken_out(before: str, after: str) -> None:
    assert insert(before, ["servers"], "bridge", NEW) == after
    assert parse(after)["servers"]["bridge"] == NEW
    assert remove(after, PATH) == before


OTHER = '[servers.other] # its comment\ncommand = "o"\n'

REMOVALS = {
    "in the middle": (f"a = 1\n\n{TABLE}\n\n{OTHER}", f"a = 1\n\n{OTHER}"),
    "at the beginning": (f"{TABLE}\n\n{OTHER}", f"\n{OTHER}"),
    "the comment of the next one": (f"a = 1\n\n{TABLE}\n\n# about it\n{OTHER}", f"a = 1\n\n# about it\n{OTHER}"),
    "with the tables in it": (
        f'{OTHER}\n{TABLE}\n\n[servers.bridge.env]\nA = "b"\n\n[servers.b]\n\n[servers.bridge.tools.x]\ny = "z"\n',
        f"{OTHER}\n[servers.b]\n",
    ),
    "with the tables in it, without a newline": (f'a = 1\n\n{TABLE}\n\n[servers.bridge.env]\nA = "b"', "a = 1"),
    "oddly written": (' [ servers . "bridge" ] # us\n  command="/b"\n\n\n# c\n[a]\n', "\n\n# c\n[a]\n"),
    "its strings look like headers": ('[servers.bridge]\nx = """\n[a]\n# c\n"""\n[b]\n', "[b]\n"),
    "its arrays too": ("[servers.bridge]\nx = [\n[1],\n]\n[b]\n", "[b]\n"),
    "an array of tables follows": ("[servers.bridge]\nx = 1\n[[b]]\n", "[[b]]\n"),
    "an odd character in a comment": ("[servers.bridge]\nx = 1\n# a\u2028b\n[b]\n", "# a\u2028b\n[b]\n"),
}


@pytest.mark.parametrize(("before", "after"), REMOVALS.values(), ids=REMOVALS)
def test_only_the_table_is_taken_out(before: str, after: str) -> None:
    assert remove(before, PATH) == after


def test_a_value_is_replaced() -> None:
    text = '[a]\ncommand = "x"\n[servers.bridge]\n args = []\n  command =\t\'/old\' # "here"\n'
    after = '[a]\ncommand = "x"\n[servers.bridge]\n args = []\n  command =\t"/n\\u007f\\"w" # "here"\n'
    assert replace(text, (*PATH, "command"), '/n\x7f"w') == after
    assert parse(after)["servers"]["bridge"]["command"] == '/n\x7f"w'


def test_a_key_of_a_table_in_it_is_another_one() -> None:
    text = '[servers.bridge.env]\ncommand = "/x"\n[servers.bridge]\ncommand = "/b"\n'
    assert replace(text, (*PATH, "command"), "/c") == text.replace("/b", "/c")


@pytest.mark.parametrize("text", ['servers.bridge.command = "/b"\n', '[servers]\nbridge = {command = "/b"}\n', "[a]\n"])
def test_what_has_no_header_is_not_edited(text: str) -> None:
    with pytest.raises(KeyError):
        remove(text, PATH)
    with pytest.raises(KeyError):
        replace(text, (*PATH, "command"), "/c")


def test_a_name_is_quoted_where_it_must_be() -> None:
    assert insert("", ["servers"], "a b", {"x y": "z"}) == '[servers."a b"]\n"x y" = "z"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = 1\nb = \n", "line 2, column 5"),
        ("a = 1\na = 2\n", "line 2"),
        ("a = [\n", "end of document"),
        ("a = " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(BadData, match=says):
        parse(text)


# ---- whatever the document looks like

_STRINGS = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
_LINES = st.one_of(
    st.sampled_from(["", "  ", "# c", "#[servers.bridge]"]),
    st.builds("  {0} = '''\n[servers.bridge]\n# {1}\n'''  # x".format, st.just("k{n}"), st.integers(0, 9)),
    st.builds("{0} = [\n[{1}], # ]\n]".format, st.just("k{n}"), st.integers(0, 9)),
    st.just("k{n} = \"[servers.bridge]\""),
    st.just("[t{n}]"),
    st.just("[servers.s{n}]"),
    st.just("[[a{n}]]"),
)  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(_LINES, max_size=8),
    st.lists(_LINES, max_size=4),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\ufeff"]),
    st.booleans(),
    _STRINGS,
)
def test_an_edit_says_what_it_should_and_can_be_undone(
    lines: list[str], more: list[str], newline: str, bom: str, ends: bool, command: str
) -> None:
    """The bytes come back when the table is taken out, also when something was appended meanwhile."""
    numbered = [line.replace("{n}", str(n)).replace("\n", newline) for n, line in enumerate([*lines, *more])]
    text = bom + newline.join(numbered[: len(lines)]) + (newline if ends else "")
    value = {"command": command, "args": ["mcp"]}
    after = insert(text, ["servers"], "bridge", value)
    before = parse(text)
    assert parse(after) == {**before, "servers": {**before.get("servers", {}), "bridge": value}}
    assert remove(after, PATH) == text
    replaced = replace(after, (*PATH, "command"), "/c")
    assert parse(replaced)["servers"]["bridge"]["command"] == "/c"
    appended = "".join(f"[more]{newline}" for _ in more[:1]) + "".join(
        f"{line}{newline}" for line in numbered[len(lines) :]
    )
    if after.endswith("\n") and text:
        assert remove(after + appended, PATH) == text + appended
        assert tomllib.loads((text + appended).removeprefix(bom)) == parse(remove(after + appended, PATH))
