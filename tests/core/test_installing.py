"""Installing into files as programs and people write them, byte for byte; receipts, and what is shown of a change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.installing import Plan, Receipt, leave, plan, read_receipts, renewed, shown, write_receipts
from bridge.core.programs import PROGRAMS, Part
from bridge.core.registering import uninstall
from bridge.errors import BadData, Conflict

CASES = Path(__file__).parents[1] / "cases" / "configs"
BRIDGE = "/opt/bridge/bin/bridge"

# Which parts are in the files of a directory of cases.
PARTS = {
    "claude/claude.json": [Part.MCP],
    "claude/settings": [Part.HOOK],
    "codex/config": [Part.MCP],
    "codex/hooks": [Part.HOOK],
    "copilot/mcp-config": [Part.MCP],
    "cursor/mcp": [Part.MCP],
    "gemini/settings": [Part.MCP, Part.HOOK],
    "kiro/mcp": [Part.MCP],
    "qwen/settings": [Part.MCP],
    "vscode/mcp": [Part.MCP],
    "windsurf/mcp_config": [Part.MCP],
}
FILES = [
    pytest.param(directory, path, id=f"{directory}/{path.name}")
    for directory in PARTS
    for path in sorted((CASES / directory).iterdir())
    if ".installed." not in path.name
]
# What the text alone does not tell: how an object looked that was empty, and that a file was.
ONLY_WITH_RECEIPT = {"claude/settings/empty.json", "windsurf/mcp_config/ordinary.json"}


def planned(directory: str, before: bytes | None, executable: str = BRIDGE) -> Plan:
    program = PROGRAMS[directory.partition("/")[0]]
    return plan(program, PARTS[directory], before, path="/p", executable=executable)


def left(directory: str, before: bytes | None, receipt: Receipt | None, original: bytes | None) -> Plan:
    program = PROGRAMS[directory.partition("/")[0]]
    return leave(program, PARTS[directory], before, path="/p", receipt=receipt, original=original)


def test_every_directory_of_cases_is_used() -> None:
    used = {str(path.parent.relative_to(CASES)) for path in CASES.glob("*/*/*")}
    assert used == set(PARTS)


@pytest.mark.parametrize(("directory", "path"), FILES)
def test_it_is_added_as_shown_and_gone_to_the_byte(directory: str, path: Path) -> None:
    before = path.read_bytes()
    done = planned(directory, before)
    assert done.after == path.with_suffix(f".installed{path.suffix}").read_bytes()
    assert not done.is_idle
    again = planned(directory, done.after)
    assert again.is_idle
    assert all("already" in sentence for sentence in again.words)
    gone = left(directory, done.after, renewed(None, done, "copy"), before)
    assert (gone.after, gone.gone) == (before, True)
    assert left(directory, before, None, None).is_idle


@pytest.mark.parametrize(("directory", "path"), FILES)
def test_without_a_receipt_the_text_alone_says_enough(directory: str, path: Path) -> None:
    done = planned(directory, path.read_bytes())
    assert done.after is not None
    text = done.after.decode()
    for part in PARTS[directory]:
        text = uninstall(PROGRAMS[directory.partition("/")[0]], part, text, done.made).text
    is_same = text.encode() == path.read_bytes()
    assert is_same is (f"{directory}/{path.name}" not in ONLY_WITH_RECEIPT)


@pytest.mark.parametrize(("directory", "path"), FILES)
def test_one_of_another_bridge_is_brought_up_to_date(directory: str, path: Path) -> None:
    old = planned(directory, path.read_bytes(), "/old place/bridge").after
    done = planned(directory, old)
    assert done.after == path.with_suffix(f".installed{path.suffix}").read_bytes()
    assert all("/old place/bridge " in sentence and "; it will start /opt" in sentence for sentence in done.words)


@pytest.mark.parametrize("directory", PARTS)
def test_a_file_that_was_missing_is_made_and_removed(directory: str) -> None:
    done = planned(directory, None)
    assert done.after is not None
    gone = left(directory, done.after, renewed(None, done, None), None)
    assert (gone.before, gone.after, gone.gone) == (done.after, None, True)
    changed = done.after + b"\n\n"
    assert left(directory, changed, renewed(None, done, None), None).after is None


def test_a_file_that_was_missing_stays_once_somebody_else_uses_it() -> None:
    done = planned("codex/config", None)
    assert done.after is not None
    changed = b"# mine\n" + done.after
    assert left("codex/config", changed, renewed(None, done, None), None).after == b"# mine\n"
    done = planned("cursor/mcp", None)
    assert done.after is not None
    changed = done.after.replace(b"{", b"{ // mine", 1)
    assert left("cursor/mcp", changed, renewed(None, done, None), None).after == b"{ // mine\n}\n"


def test_what_changed_meanwhile_stays() -> None:
    path = CASES / "gemini/settings/ordinary.json"
    done = planned("gemini/settings", path.read_bytes())
    assert done.after is not None
    changed = done.after.replace(b'"GitHub"', b'"Ayu"')
    gone = left("gemini/settings", changed, renewed(None, done, "copy"), path.read_bytes())
    assert gone.after == path.read_bytes().replace(b'"GitHub"', b'"Ayu"')


def test_a_copy_that_says_something_else_does_not_come_back() -> None:
    """A receipt is a hint; the file is the truth."""
    before = (CASES / "cursor/mcp/ordinary.json").read_bytes()
    done = planned("cursor/mcp", before)
    assert left("cursor/mcp", done.after, renewed(None, done, "copy"), b'{"other": 1}').after == before


def test_of_two_parts_in_a_file_the_one_may_go_first() -> None:
    before = b'{"a":1}'
    gemini = PROGRAMS["gemini"]
    both = plan(gemini, gemini.parts, before, path="/p", executable=BRIDGE)
    first = renewed(None, both, "copy")
    one = leave(gemini, [Part.HOOK], both.after, path="/p", receipt=first, original=before)
    assert (one.gone, one.after) == (
        False,
        b'{"a":1, "mcpServers": {"bridge": {"command": "/opt/bridge/bin/bridge", "args": ["mcp"]}}}',
    )
    second = renewed(first, one, "later")
    assert second.backup == "copy"
    rest = leave(gemini, [Part.MCP], one.after, path="/p", receipt=second, original=before)
    assert (rest.gone, rest.after) == (True, before)


@pytest.mark.parametrize(
    ("directory", "data", "says"),
    [
        ("claude/settings", b'{\n  "a": 1\n  "b": 2\n}', "/p: line 3, column 3: Expecting ',' delimiter"),
        ("claude/settings", b'{"hooks": {"PreToolUse": {}}}', "/p: line 1: an array .* should be here"),
        ("claude/claude.json", b'{"mcpServers": []}', "/p: line 1: an object .* should be here"),
        ("claude/claude.json", b"\xff\xfe{\x00}\x00", "/p: binary file: NUL byte at offset 3"),
        ("codex/config", b"a = 1\nb =\n", "/p: .*line 2"),
        ("codex/config", b'mcp_servers = { a = { command = "x" } }\n', "/p: it is written in a way that cannot be"),
        ("codex/config", b"mcp_servers = 1\n", "/p: it is written in a way that cannot be"),
    ],
)
def test_what_cannot_be_edited_is_refused_and_says_what_to_do(directory: str, data: bytes, says: str) -> None:
    with pytest.raises(BadData, match=says) as refused:
        planned(directory, data)
    assert refused.value.hint


def test_one_that_cannot_be_read_is_not_taken_out_of_either() -> None:
    with pytest.raises(BadData, match="/p: line 1, column 2"):
        left("cursor/mcp", b"{x}", None, None)


def test_another_server_of_that_name_is_left_alone() -> None:
    data = b'{"mcpServers": {"bridge": {"command": "/usr/sbin/bridge", "args": ["link"]}}}'
    with pytest.raises(Conflict, match="/p: there is an MCP server called bridge already") as refused:
        planned("cursor/mcp", data)
    assert refused.value.hint == "give this one another name: --name NAME"
    done = plan(PROGRAMS["cursor"], [Part.MCP], data, path="/p", executable=BRIDGE, name="ide")
    assert done.after is not None
    assert list(json.loads(done.after)["mcpServers"]) == ["bridge", "ide"]
    assert left("cursor/mcp", done.after, None, None).after == data


def test_what_is_left_to_do_is_said_when_a_hook_changes() -> None:
    codex = PROGRAMS["codex"]
    new = plan(codex, [Part.HOOK], None, path="/p", executable=BRIDGE)
    assert "type /hooks" in new.notes[0]
    assert plan(codex, [Part.HOOK], new.after, path="/p", executable=BRIDGE).notes == ()
    assert plan(codex, [Part.MCP], None, path="/p", executable=BRIDGE).notes == ()


# ---- receipts


def test_receipts_are_read_as_they_were_written() -> None:
    receipts = {"/a": Receipt("0" * 64, "copy", (("hooks",), ("hooks", "E"))), "/\udcff": Receipt("none", None)}
    assert read_receipts(write_receipts(receipts)) == receipts


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"/a": 1}', '{"/a": {"after": 1, "backup": null, "made": []}}'),
        *(
            '{"/a": {"after": "", "backup": 2, "made": []}}',
            '{"/a": {"after": "", "backup": null, "made": [["a", 1]]}}',
        ),
    ],
)
def test_what_is_no_receipt_is_none(text: str) -> None:
    assert read_receipts(text) == {}


def test_a_file_that_others_changed_begins_anew_but_what_was_made_is_remembered() -> None:
    first = renewed(None, Plan(b"0", b"1", (), (("s",),)), "a")
    untouched = renewed(first, Plan(b"1", b"2", (), (("s",), ("h",))), "b")
    assert (untouched.backup, untouched.made) == ("a", (("s",), ("h",)))
    assert renewed(first, Plan(b"x", b"2", ()), "b").backup == "b"


# ---- what is shown


def test_a_change_is_shown_as_a_diff() -> None:
    assert shown(Plan(b"a\r\nb\r\nc", b"a\r\nx\r\nc", ()), "/p") == (
        "--- /p\n+++ /p\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n\\ No newline at end of file\n"
    )
    assert shown(Plan(None, b"a\n", ()), "/p") == "--- /dev/null\n+++ /p\n@@ -0,0 +1,1 @@\n+a\n"
    assert shown(Plan(b"a\n", None, ()), "/p") == "--- /p\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n"


def test_of_a_line_like_a_file_only_the_change_is_shown() -> None:
    """A minified file may be megabytes, and full of secrets."""
    old = b'{"token": "' + b"x" * 5000 + b'", "mcpServers": {}, "after": "' + b"y" * 5000 + b'"}'
    done = planned("cursor/mcp", old)
    removed, _, added, _ = shown(done, "/p").splitlines()[3:]
    assert len(removed) < 100
    assert len(added) < 250
    assert f'"bridge": {{"command": "{BRIDGE}"' in added
    assert added.startswith("+…xx") and added.endswith("yy…")  # noqa: PT018
    beside = b"// " + b"z" * 5000 + b'\n{\n  "a": 1\n}\n'
    assert "z" * 190 in shown(planned("cursor/mcp", beside), "/p")
    assert "z" * 201 not in shown(planned("cursor/mcp", beside), "/p")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b" * 300, "b" * 299 + "c", ""])), st.lists(st.sampled_from(["a", "b" * 301])))
def test_whatever_changes_can_be_shown(old: list[str], new: list[str]) -> None:
    text = shown(Plan("\n".join(old).encode(), "\n".join(new).encode(), ()), "/p")
    assert all(len(line) <= 310 for line in text.splitlines())
