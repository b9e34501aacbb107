"""What a companion tells of its window: kept, told to followers, and given to who asks."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.core import jsonrpc
from bridge.core.asks import CallTool
from bridge.core.context import answer, read_context, selection_changed
from bridge.core.errands import TOLD_S
from bridge.core.events import LinkMessage, LinkState, Refuse, Reply, Tick
from bridge.core.links import IDLE_S
from bridge.core.lockfile import Family
from bridge.errors import Unavailable
from tests.core.boundaries import WSL
from tests.core.candidates import ide
from tests.core.stories import closed
from tests.playbook import (
    ANN,
    BOB,
    COMPANION,
    GEMINI,
    Playbook,
    asks,
    bring_up,
    dials,
    follows,
    hears,
    notifies,
    scene,
    tools,
    withdraws,
)

ACTIVE = {
    "path": "/w/a b.py",
    "timestamp": 900_000,
    "isActive": True,
    "cursor": {"line": 3, "character": 4},
    "selectedText": "héllo",
}
OTHER = {"path": "/w/b.py", "timestamp": 800_000}
AT = {"line": 2, "character": 4}
SELECTED = {
    "text": "héllo",
    "filePath": "/w/a b.py",
    "fileUrl": "file:///w/a%20b.py",
    "selection": {"start": AT, "end": AT, "isEmpty": False},
}
NONE = {"success": False, "message": "No active editor found"}


def update(*files: Any) -> dict[str, Any]:
    return {"workspaceState": {"openFiles": list(files), "isTrusted": True}}


def tells(*files: Any, at: float = 1000.0) -> LinkMessage:
    return notifies("ide/contextUpdate", jsonrpc.dump(update(*files)), candidate=GEMINI, at=at)


def value(tool: str, params: Any) -> Any:
    return json.loads(answer(tool, None if params is None else read_context(params))["content"][0]["text"])


# ---- reading


@pytest.mark.parametrize("params", [None, [], {}, {"workspaceState": 5}, {"workspaceState": {"openFiles": {}}}])
def test_what_is_no_context_is_none(params: Any) -> None:
    assert read_context(params) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ACTIVE, "line", "character", "x"]), inner),
)


@given(st.lists(JSON))
@example([ACTIVE | {"timestamp": 10**400}])
def test_whatever_the_files_are_it_is_answered(files: list[Any]) -> None:
    for tool in ("getCurrentSelection", "getOpenEditors"):
        value(tool, update(*files))


def test_a_selection_counts_from_zero() -> None:
    assert value("getCurrentSelection", update(OTHER, ACTIVE)) == {"success": True} | SELECTED
    assert value("getLatestSelection", update(ACTIVE)) == {"success": True} | SELECTED


@pytest.mark.parametrize("params", [None, update(), update(OTHER), {"workspaceState": {}}])
def test_without_an_active_file_there_is_none(params: Any) -> None:
    assert value("getCurrentSelection", params) == NONE


def test_a_cursor_without_a_selection_is_an_empty_one() -> None:
    context = read_context(update({"path": "relative", "isActive": True, "cursor": {"line": 0, "character": -1}}))
    assert context is not None
    zero = {"line": 0, "character": 0}
    empty = {"start": zero, "end": zero, "isEmpty": True}
    assert selection_changed(context) == {"text": "", "filePath": "relative", "fileUrl": "relative", "selection": empty}


def test_open_editors_are_named() -> None:
    assert value("getOpenEditors", None) == {"tabs": []}
    assert value("getOpenEditors", update(ACTIVE, OTHER))["tabs"] == [
        {"uri": "file:///w/a%20b.py", "isActive": True, "label": "a b.py", "fileName": "/w/a b.py"},
        {"uri": "file:///w/b.py", "isActive": False, "label": "b.py", "fileName": "/w/b.py"},
    ]


# ---- as agents hear it


@pytest.fixture
def followed(story: Playbook) -> Playbook:
    story.quietly(follows(GEMINI))
    bring_up(story, GEMINI, tools(COMPANION))
    return story


def test_followers_hear_a_selection_once(followed: Playbook) -> None:
    selected = hears("selection_changed", jsonrpc.dump(SELECTED))
    followed >> tells(ACTIVE, OTHER) << selected >> tells(ACTIVE) >> tells(OTHER) >> notifies("ping", candidate=GEMINI)


def test_the_first_word_tells_when_the_human_was_there_the_next_that_he_is(followed: Playbook) -> None:
    followed.quietly(tells(ACTIVE, OTHER, OTHER | {"timestamp": 5_000_000}))  # ahead of us: not believed
    assert followed.link(GEMINI).last_focus == 900.0
    followed.quietly(tells(OTHER, at=1001.0))
    assert followed.link(GEMINI).last_focus == 1001.0


@pytest.mark.parametrize("params", [b"1" * 5000, b"[]"])
def test_what_cannot_be_read_is_counted(followed: Playbook, params: bytes) -> None:
    followed >> notifies("ide/contextUpdate", params, candidate=GEMINI)
    assert followed.router.links.dropped == 1


def test_it_has_our_names_for_files(story: Playbook) -> None:
    there = replace(GEMINI, route=replace(GEMINI.route, here=False, mapper=WSL))
    story.quietly(follows(there))
    bring_up(story, there, tools(COMPANION))
    story.quietly(tells(ACTIVE | {"path": "C:\\w\\a.py"}))
    context = story.link(GEMINI).context
    assert context is not None
    assert [file.path for file in context.files] == ["/mnt/c/w/a.py"]


def test_who_asks_is_answered_from_what_was_told(followed: Playbook) -> None:
    ask = CallTool(tool="getCurrentSelection", arguments=b"{}")
    followed.quietly(tells(ACTIVE))
    told = {"content": [{"type": "text", "text": json.dumps({"success": True} | SELECTED)}]}
    followed >> asks(ask, 5, scene=scene(GEMINI)) << Reply(ANN, 5, told)
    followed.quietly(closed(LinkState.GONE, candidate=GEMINI))
    assert followed.link(GEMINI).context is None


QWEN = ide(4005, "/w", name="VS Code", token="secret-qwen", family=Family.QWEN)
ASK = CallTool(tool="getCurrentSelection", arguments=b"{}")


def told(value: Any) -> Reply:
    return Reply(ANN, 5, {"content": [{"type": "text", "text": json.dumps(value)}]})


@pytest.fixture
def asked_first(story: Playbook) -> Playbook:
    """A story in which GEMINI's companion is connected to because ANN asks what is selected."""
    story.quietly(asks(ASK, 5, scene=scene(GEMINI)))
    bring_up(story, GEMINI, tools(COMPANION))
    return story


def test_who_asks_first_is_answered_when_it_was_told(asked_first: Playbook) -> None:
    asked_first >> tells(ACTIVE) << told({"success": True} | SELECTED)
    assert asked_first.router.deadline() == 1000.0 + IDLE_S


def test_who_asks_first_does_not_wait_for_long(asked_first: Playbook) -> None:
    assert asked_first.router.deadline() == 1000.0 + TOLD_S
    asked_first >> Tick(1000.0 + TOLD_S / 2) >> Tick(1000.0 + TOLD_S) << told(NONE)


def test_who_takes_the_question_back_hears_nothing(asked_first: Playbook) -> None:
    asked_first >> withdraws(5) >> tells(ACTIVE) >> Tick(1000.0 + TOLD_S)  # and nothing more


def test_what_others_tell_is_no_answer(asked_first: Playbook) -> None:
    asked_first.quietly(follows(QWEN, who=BOB))
    bring_up(asked_first, QWEN, tools(COMPANION))
    asked_first.quietly(notifies("ide/contextUpdate", jsonrpc.dump(update(ACTIVE)), candidate=QWEN))
    asked_first >> tells(ACTIVE) << told({"success": True} | SELECTED)


def test_an_ide_that_goes_before_it_tells_is_looked_for_again(asked_first: Playbook) -> None:
    asked_first.quietly(closed(LinkState.GONE, candidate=GEMINI))
    asked_first >> Tick(1000.0 + TOLD_S) << dials(GEMINI)


def test_it_has_no_diagnostics(followed: Playbook) -> None:
    ask = CallTool(tool="getDiagnostics", arguments=b"{}")
    hint = "open the folder in an IDE with its Claude Code plugin, or see bridge status"
    refusal = Unavailable("no IDE can be used here: it has no diagnostics", hint)
    followed >> asks(ask, 5, scene=scene(GEMINI)) << Refuse(ANN, 5, refusal)
