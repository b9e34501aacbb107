from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ide_plugins.emulator.answers import Answers
from ide_plugins.emulator.diffs import Diff, DiffTabs
from ide_plugins.emulator.faults import Fault, Faults
from ide_plugins.emulator.personality import PERSONALITIES, Personality
from ide_plugins.emulator.rpc import Refused, Request
from ide_plugins.emulator.tools import official_tools
from ide_plugins.emulator.window import Window

OPEN_DIFF = {"old_file_path": "a.py", "new_file_path": "a.py", "tab_name": "tab", "new_file_contents": "x"}


class Desk:
    """Answers for one client, and what they told the others."""

    def __init__(self, workspace: Path, *faults: str, plugin: Personality = PERSONALITIES["official"]) -> None:
        self.opened: list[Diff] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.tabs = DiffTabs(decided=lambda _: None, several=True)
        self.answers = Answers(
            plugin=plugin,
            tools=plugin.tools() if plugin.tools else official_tools(),
            name="code-server",
            window=Window(workspace=workspace),
            tabs=self.tabs,
            faults=Faults.parse(faults),
            calls=[],
            opened=self.opened.append,
            happened=lambda event, **facts: self.events.append((event, facts)),
        )

    def ask(self, method: str, client: str = "ann", **params: Any) -> dict[str, Any] | None:
        return self.answers.answer(client, Request(1, method, params))

    def call(self, tool: str, client: str = "ann", **arguments: Any) -> dict[str, Any] | None:
        return self.ask("tools/call", client, name=tool, arguments=arguments)


def test_a_diff_is_shown_and_answered_later(workspace: Path) -> None:
    desk = Desk(workspace)
    assert desk.call("openDiff", **OPEN_DIFF) is None
    assert desk.opened == desk.tabs.pending
    assert desk.opened[0].client == "ann"
    assert desk.events == [
        ("call", {"tool": "openDiff"}),
        ("diff", {"tab_name": "tab", "path": "a.py", "length": 1, "new_file": False}),
    ]


def test_a_call_is_noted_before_it_is_checked(workspace: Path) -> None:
    desk = Desk(workspace)
    with pytest.raises(Refused):
        desk.call("openFile", filePath=7)
    assert desk.answers.calls == [("openFile", {"filePath": 7})]
    assert desk.events == [("call", {"tool": "openFile"})]


@pytest.mark.parametrize(("plugin", "answer"), [("official", {}), ("monet", None)])
def test_some_methods_have_a_fixed_answer(workspace: Path, plugin: Any, answer: dict[str, Any] | None) -> None:
    desk = Desk(workspace, plugin=PERSONALITIES[plugin])
    if answer is None:
        with pytest.raises(Refused):
            desk.ask("ping")
        assert desk.ask("resources/list") == {"resources": []}
    else:
        assert desk.ask("ping") == answer


def test_what_is_hidden_is_not_listed_but_answered(workspace: Path) -> None:
    desk = Desk(workspace, plugin=PERSONALITIES["nvim"])
    listed = desk.ask("tools/list")
    assert listed is not None
    assert "close_tab" not in [tool["name"] for tool in listed["tools"]]
    assert desk.call("close_tab", tab_name="t") == {"content": [{"type": "text", "text": "TAB_CLOSED"}]}


@pytest.mark.parametrize(("plugin", "left"), [("official", []), ("nvim", ["ann"])])
def test_a_diff_may_be_its_clients_own(workspace: Path, plugin: Any, left: list[str]) -> None:
    desk = Desk(workspace, plugin=PERSONALITIES[plugin])
    desk.call("openDiff", **OPEN_DIFF)
    desk.call("closeAllDiffTabs", "bob")
    assert [diff.client for diff in desk.tabs.tabs] == left


def test_a_swallowed_request_changes_nothing(workspace: Path) -> None:
    desk = Desk(workspace, Fault.HANG_CALLS)
    assert desk.call("openDiff", **OPEN_DIFF) is None
    assert desk.ask("ping") is None
    assert (desk.opened, len(desk.answers.calls)) == ([], 1)


@pytest.mark.parametrize(("plugin", "argument"), [("nvim", "filePath"), ("monet", "uri")])
def test_a_failure_may_be_called_a_success(workspace: Path, plugin: Any, argument: str) -> None:
    answer = Desk(workspace, Fault.OPENFILE_LIES, plugin=PERSONALITIES[plugin]).call("openFile", **{argument: "/a"})
    assert answer == {"content": [{"type": "text", "text": "Error opening file: /a"}]}
