"""What agents say to hooks and are told: the golden files without processes, and what no golden file says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core import hooks
from bridge.core.edits import CannotTell
from bridge.core.hookagents import AGENTS
from bridge.core.hooks import Call, Say
from bridge.core.hooktools import CLAUDE_TOOLS, CODEX_TOOLS, GEMINI_TOOLS, Tool
from bridge.core.reviews import Change, Comment, Review, Step, Trigger, advance, decide, digest
from bridge.core.text import settle
from tests.hookcases import Case, cases, shorten

WORK = Path("/w")
REVIEWED = [case for case in cases() if case.human is not None]
# The daemon refuses these: what the files hold, and that nothing would change.
OF_FILES = ("binary file", "nothing would change in")


def call_of(case: Case, **more: Any) -> Call:
    return hooks.read(AGENTS[case.agent], case.in_words(WORK), **more)


def changes_of(call: Call, there: dict[str, str | None]) -> dict[str, Change]:
    made = call.would_be(there).texts
    return {
        name: Change(
            path=b"/w/" + name.removeprefix("/w/").encode(),
            base_hash=None if there[name] is None else digest((there[name] or "").encode()),
            base=there[name] or "",
            proposed=made[name],
        )
        for name in call.names
        if made[name] != there[name]
    }


def files(call: Call, texts: dict[str, str]) -> dict[str, str | None]:
    return {name: texts.get(name.removeprefix("/w/")) for name in call.names}


def begun(changes: dict[str, Change]) -> Review:
    return Review(id="r", files=tuple(changes.values()), workspace=b"/w", created=0, changed=0)


def decided(review: Review, human: Any) -> Review:
    """Let the human do what a golden file says."""
    proposed = [change.proposed for change in review.files]
    match human:
        case "never":
            return advance(review, Step.CANCEL, 1, trigger=Trigger.MOVED_TO_TERMINAL)
        case "accept":
            return decide(review, 1, finals=tuple(proposed), trigger=Trigger.ACCEPTED_IN_IDE)
        case "reject":
            return decide(review, 1, finals=None, trigger=Trigger.REJECTED_OR_CLOSED)
        case {"edit": text}:
            return decide(review, 1, finals=(settle(proposed[0], text),), trigger=Trigger.ACCEPTED_IN_IDE)
        case {"accept": yes, "files": texts}:
            comments = (Comment(text=human["comment"]),) if "comment" in human else ()
            finals = tuple(proposed if texts is None else texts) if yes else None
            return decide(review, 1, finals=finals, trigger=Trigger.ACCEPTED_ON_PAGE, comments=comments)
    raise AssertionError(human)


def answered(case: Case) -> Say:
    """Play a golden file."""
    call = call_of(case)
    changes = changes_of(call, files(call, case.files))
    review = decided(begun(changes), case.human)
    reviewed = dict(zip(changes, review.files, strict=True))
    return hooks.answer(call, review, files(call, case.files | case.meanwhile), reviewed)


@pytest.mark.parametrize("case", REVIEWED, ids=str)
def test_what_the_agent_is_told(case: Case) -> None:
    say = answered(case)
    assert (json.loads(shorten(say.stdout, WORK)), say.stderr, say.code) == (case.stdout, "", 0)
    assert say.taken == (case.state == "delivered")


@pytest.mark.parametrize("case", [case for case in cases() if case.human is None], ids=str)
def test_what_the_bridge_stays_out_of(case: Case) -> None:
    assert case.stdout is None
    if any(reason in case.stderr for reason in OF_FILES):
        return

    def looked_at() -> None:
        call = call_of(case)
        call.would_be(files(call, case.files))

    with pytest.raises(CannotTell) as why:
        looked_at()
    assert shorten(hooks.stay_out(str(why.value)).stderr, WORK) == case.stderr


@pytest.mark.parametrize("case", REVIEWED, ids=str)
def test_the_input_that_is_given_back_does_what_the_human_saw(case: Case) -> None:
    """Whatever the agent is told to do makes the accepted texts, by the same tool."""
    told = answered(case).stdout
    said = json.loads(told)
    specific = said.get("hookSpecificOutput", {})
    if "allow" not in (said.get("decision"), specific.get("permissionDecision")):
        return
    call = call_of(case)
    there = files(call, case.files)
    changes = changes_of(call, there)
    finals = {name: one.final for name, one in zip(changes, decided(begun(changes), case.human).files, strict=True)}
    given = specific.get("updatedInput") or specific.get("tool_input") or call.given
    made = call.tool.would_be(given, there)
    assert dict(made.texts) == {name: final for name, final in finals.items() if final is not None}
    assert made.exact


# ---- reading

EDIT = next(case for case in REVIEWED if str(case) == "claude/Edit/allow")


assert isinstance(EDIT.said, dict)
EDIT_INPUT = EDIT.said["tool_input"]


def said(**more: Any) -> str:
    assert isinstance(EDIT.said, dict)
    return json.dumps(EDIT.said | more)


def test_the_user_may_want_reviews_in_every_mode() -> None:
    for mode in ("acceptEdits", "auto", "bypassPermissions", "dontAsk", "plan"):
        with pytest.raises(hooks.Unasked, match=mode):
            hooks.read(AGENTS["claude"], said(permission_mode=mode))
        assert hooks.read(AGENTS["claude"], said(permission_mode=mode), always=True).mode == mode


def test_a_mode_that_is_not_known_is_reviewed() -> None:
    assert hooks.read(AGENTS["claude"], said(permission_mode="careful")).mode == "careful"
    assert hooks.read(AGENTS["claude"], said(permission_mode=None)).mode == ""


def test_a_call_is_known_by_its_id() -> None:
    """The rest may differ: a repeated call is the same one; another call of the same session is not."""
    key = hooks.read(AGENTS["claude"], said()).key
    assert hooks.read(AGENTS["claude"], said(effort=None)).key == key
    assert hooks.read(AGENTS["claude"], said(tool_use_id="toolu_02")).key != key
    assert hooks.read(AGENTS["claude"], said(session_id="other")).key != key
    assert hooks.read(AGENTS["claude"], said(cwd="/elsewhere")).key != key
    assert hooks.read(AGENTS["claude"], said(tool_name="MultiEdit")).key != key
    again = hooks.read(AGENTS["claude"], said(tool_input={**EDIT_INPUT, "new_string": "another"}))
    assert again.key != key  # some models count their calls, and count anew


def test_the_yes_to_another_text_is_none_to_this_one() -> None:
    """Should a review of another text of the same file ever be taken for this call's, that text is what is written."""
    case = next(case for case in REVIEWED if str(case) == "claude/Write/allow")
    call = call_of(case)
    there = files(call, case.files)
    changes = {name: replace(change, proposed="seen\n") for name, change in changes_of(call, there).items()}
    review = decided(begun(changes), "accept")
    say = hooks.answer(call, review, there, dict(zip(changes, review.files, strict=True)))
    told = json.loads(say.stdout)["hookSpecificOutput"]
    assert (told["permissionDecision"], told["updatedInput"]["content"]) == ("allow", "seen\n")


def test_a_call_without_an_id_is_known_by_all_that_was_said() -> None:
    keys = [hooks.read(AGENTS["claude"], said(tool_use_id="", time=time)).key for time in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]


def test_a_directory_that_is_none_is_left_to_the_process() -> None:
    assert hooks.read(AGENTS["claude"], said(cwd="work")).cwd == ""
    assert hooks.read(AGENTS["claude"], said(cwd=None)).cwd == ""


@pytest.mark.parametrize(
    "value", ["", "[]", "1", "[" * 100_000, said(tool_name=7), said(tool_input=[]), said(hook_event_name=None)]
)
def test_nonsense_is_stayed_out_of(value: str) -> None:
    with pytest.raises(CannotTell, match="its input is"):
        hooks.read(AGENTS["claude"], value)


def test_half_a_character_is_no_text() -> None:
    case = next(case for case in REVIEWED if str(case) == "claude/Write/allow")
    assert isinstance(case.said, dict)
    cut = replace(case, said=case.said | {"tool_input": {"file_path": "WORK/f.txt", "content": "\ud83d"}})
    with pytest.raises(CannotTell, match="half a character"):
        call_of(cut).would_be({"/w/f.txt": "a"})


def test_the_title_names_the_tool_and_the_file() -> None:
    titles = {str(case): call_of(case).title for case in REVIEWED}
    assert titles["claude/Edit/allow"] == "Edit: f.txt"
    assert titles["codex/apply_patch/many_files"] == "apply_patch: f.txt and 1 more"


# ---- tools

A_TO_B = {"file_path": "f", "old_string": "a", "new_string": "b"}
WRONG: list[tuple[Tool, dict[str, Any], str]] = [
    (CLAUDE_TOOLS["Write"], {"file_path": "", "content": ""}, "names no file"),
    (CLAUDE_TOOLS["Write"], {"content": ""}, "its file_path is no text"),
    (CLAUDE_TOOLS["Write"], {"file_path": "f"}, "its content is no text"),
    (CLAUDE_TOOLS["Edit"], {"file_path": "f", "old_string": "a"}, "its new_string is no text"),
    (CLAUDE_TOOLS["Edit"], {"file_path": "f", "old_string": "a\r\n", "new_string": ""}, "carriage returns"),
    (CLAUDE_TOOLS["MultiEdit"], {"file_path": "f", "edits": []}, "has no edits"),
    (CLAUDE_TOOLS["MultiEdit"], {"file_path": "f", "edits": {}}, "has no edits"),
    (CLAUDE_TOOLS["MultiEdit"], {"file_path": "f", "edits": ["a"]}, "has no edits"),
    (CODEX_TOOLS["apply_patch"], {"input": "*** Begin Patch"}, "its command is no text"),
    (GEMINI_TOOLS["replace"], {**A_TO_B, "expected_replacements": 0}, "expected_replacements is no number"),
    (GEMINI_TOOLS["replace"], {**A_TO_B, "expected_replacements": True}, "expected_replacements is no number"),
]


@pytest.mark.parametrize(("tool", "given", "why"), WRONG)
def test_an_input_that_is_not_as_it_should_be(tool: Tool, given: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotTell, match=why):
        tool.would_be(given, dict.fromkeys(tool.names(given), "a"))


REPLACED = [
    # old, new, there, made: as Gemini CLI does it
    ("b", "", "a\nb", "a"),  # the newline at the end stays as it was
    ("b\n", "", "a\nb\n", "a\n"),
    ("b\n", "", "b\n", "\n"),
    ("a\nb", "c\n", "a\r\nb", "c"),
    ("a\r\nb", "c\r\nd", "a\r\nb\r\n", "c\r\nd\r\n"),  # all lines end as they do in the file
    ("b", "c", "a\nb\r\n", "a\r\nc\r\n"),
    ("", "a", None, "a"),
]


@pytest.mark.parametrize(("old", "new", "there", "made"), REPLACED)
def test_what_gemini_makes_of_line_ends(old: str, new: str, there: str | None, made: str) -> None:
    given = {"file_path": "f", "old_string": old, "new_string": new}
    assert GEMINI_TOOLS["replace"].would_be(given, {"f": there}).texts == {"f": made}


def test_gemini_does_not_make_a_file_by_replacing_something() -> None:
    with pytest.raises(CannotTell, match="no such file"):
        GEMINI_TOOLS["replace"].would_be(A_TO_B, {"f": None})


CANNOT_MAKE = [
    (CLAUDE_TOOLS["Edit"], A_TO_B, "a\r\n", "c\n"),
    (CLAUDE_TOOLS["Edit"], A_TO_B, "a\n", "a\n"),
    (CLAUDE_TOOLS["Edit"], {**A_TO_B, "new_string": ""}, "a\n", None),
    (GEMINI_TOOLS["replace"], A_TO_B, "a\n", "c"),
    (CODEX_TOOLS["apply_patch"], {"command": "*** Begin Patch\n*** Add File: f\n+a\n*** End Patch"}, None, "b"),
]


@pytest.mark.parametrize(("tool", "given", "there", "wanted"), CANNOT_MAKE)
def test_what_no_input_makes(tool: Tool, given: dict[str, Any], there: str | None, wanted: str | None) -> None:
    with pytest.raises(CannotTell):
        tool.rewritten(given, {"f": there}, {"f": wanted})


# ---- telling


def test_what_the_tool_cannot_make_is_told_as_text() -> None:
    """Nothing is written: the agent is to propose what the human wants."""
    case = next(case for case in REVIEWED if str(case) == "codex/apply_patch/add_edited")
    call = call_of(case)
    changes = changes_of(call, {"f.txt": None})
    review = decide(begun(changes), 1, finals=("no newline",), trigger=Trigger.ACCEPTED_ON_PAGE)
    say = hooks.answer(call, review, {"f.txt": None}, dict(zip(changes, review.files, strict=True)))
    told = json.loads(say.stdout)["hookSpecificOutput"]
    assert told["permissionDecision"] == "deny"
    assert told["permissionDecisionReason"].endswith("Write exactly this instead:\n\nf.txt:\n\nno newline")


def test_a_long_diff_is_cut() -> None:
    case = next(case for case in REVIEWED if str(case) == "claude/Write/allow")
    call = call_of(case)
    changes = changes_of(call, {"/w/f.txt": "a"})
    review = decide(begun(changes), 1, finals=("x\n" * 50_000,), trigger=Trigger.ACCEPTED_ON_PAGE)
    say = hooks.answer(call, review, {"/w/f.txt": "a"}, dict(zip(changes, review.files, strict=True)))
    told = json.loads(say.stdout)["hookSpecificOutput"]
    assert len(told["additionalContext"]) < 10_000
    assert told["updatedInput"]["content"] == "x\n" * 50_000


def test_a_certain_no_is_told_as_one() -> None:
    """Of one that may have been a closed tab the golden files have the words."""
    call = call_of(EDIT)
    changes = changes_of(call, {"/w/f.txt": "two"})
    review = decide(begun(changes), 1, finals=None, trigger=Trigger.REJECTED_IN_IDE)
    say = hooks.answer(call, review, {"/w/f.txt": "two"}, changes)
    assert '"The human rejected this change."' in say.stdout


def test_comments_are_told_with_their_places() -> None:
    call = call_of(EDIT)
    comments = (Comment(text="all"), Comment(text="the file", file=0), Comment(text="a line", file=0, line=4))
    changes = changes_of(call, {"/w/f.txt": "two"})
    review = decide(begun(changes), 1, finals=None, trigger=Trigger.REJECTED_ON_PAGE, comments=comments)
    say = hooks.answer(call, review, {"/w/f.txt": "two"}, changes)
    assert json.loads(say.stdout)["hookSpecificOutput"]["permissionDecisionReason"].splitlines()[2:] == [
        *("The human says: all", ""),
        *("The human says about f.txt: the file", ""),
        "The human says about f.txt, line 5: a line",
    ]


@pytest.mark.parametrize("step", [Step.CANCEL, Step.SUPERSEDE, Step.EXPIRE])
@pytest.mark.parametrize("name", AGENTS)
def test_whatever_ends_undecided_is_told(name: str, step: Step) -> None:
    call = replace(call_of(EDIT), agent=AGENTS[name])
    changes = changes_of(call, {"/w/f.txt": "two"})
    say = hooks.answer(call, advance(begun(changes), step, 1), {"/w/f.txt": "two"}, changes)
    word = {"claude": "ask", "codex": "deny", "gemini": "ask"}[name]
    assert f'"{word}"' in say.stdout
    assert not say.taken


def test_a_review_that_has_not_ended_is_undecided() -> None:
    """A daemon that is asked for an answer too early does not make one up."""
    call = call_of(EDIT)
    changes = changes_of(call, {"/w/f.txt": "two"})
    assert '"ask"' in hooks.answer(call, begun(changes), {"/w/f.txt": "two"}, changes).stdout


def test_what_was_rejected_alone_is_told_and_not_written() -> None:
    case = next(case for case in REVIEWED if str(case) == "codex/apply_patch/many_files")
    call = call_of(case)
    changes = changes_of(call, {"f.txt": "one\ntwo\nthree\n", "g.txt": None})
    proposed = changes["f.txt"].proposed
    review = decide(begun(changes), 1, finals=(proposed, None), trigger=Trigger.ACCEPTED_ON_PAGE)
    reviewed = dict(zip(changes, review.files, strict=True))
    there = {"f.txt": "one\ntwo\nthree\n", "g.txt": "by somebody else\n"}  # which changes nothing: it stays so
    told = json.loads(hooks.answer(call, review, there, reviewed).stdout)["hookSpecificOutput"]
    assert told["additionalContext"] == "The human rejected what was proposed for g.txt: that is not written."
    assert call.tool.would_be(told["updatedInput"], there).texts == {"f.txt": proposed}


def test_what_the_review_left_out_must_still_be_left_alone() -> None:
    """A file that the patch would not have changed is not in the review; what it would change there now nobody saw."""
    patch = "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** Add File: g\n+1\n*** End Patch"
    case = next(case for case in REVIEWED if str(case) == "codex/apply_patch/many_files")
    assert isinstance(case.said, dict)
    call = call_of(replace(case, said=case.said | {"tool_input": {"command": patch}}))
    changes = changes_of(call, {"f": "a\n", "g": "1\n"})
    assert list(changes) == ["f"]
    review = decided(begun(changes), "accept")
    reviewed = dict(zip(changes, review.files, strict=True))
    as_it_is = hooks.answer(call, review, {"f": "a\n", "g": "1\n"}, reviewed)
    assert json.loads(as_it_is.stdout)["hookSpecificOutput"]["updatedInput"] == {"command": patch}
    without_g = hooks.answer(call, review, {"f": "a\n", "g": "2\n"}, reviewed)
    assert json.loads(without_g.stdout)["hookSpecificOutput"]["updatedInput"] == {
        "command": "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** End Patch\n"
    }
