"""The companions of Gemini CLI and Qwen Code as IDEs: a diff is known by its file, and a notification decides it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from bridge.errors import Unavailable
from tests.e2e.outsiders import decide_on_page, row, status
from tests.e2e.support import Ide, Running, bridge, kill_daemon
from tests.emulator.peer import peer

StartIde = Callable[..., Ide]
Propose = Callable[..., Running]


@pytest.fixture(params=["gemini", "qwen"])
def window(request: pytest.FixtureRequest, ide: StartIde) -> Ide:
    return ide("--personality", request.param)


@pytest.fixture
def propose(running: Callable[..., Running], workspace: Path) -> Propose:
    """Propose a text for one file in the workspace, which holds ``old``."""

    def start(text: str) -> Running:
        (workspace / "f.txt").write_bytes(b"old\n")
        return running("diff", "f.txt", "--proposed", "-", "--json", stdin=text.encode())

    return start


def decision(diff: Running) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(diff.out.until(lambda line: line.startswith("{")))
    return said


def shown(window: Ide) -> None:
    """Wait until the IDE shows the next diff."""
    assert window.until("diff")["path"].endswith("/f.txt")


@pytest.mark.parametrize(
    ("deed", "outcome", "trigger", "final"),
    [
        ("accept", "accepted", "accepted_in_ide", "new\n"),
        ('edit "mine\\n"', "accepted_with_edits", "accepted_in_ide", "mine\n"),
        ("reject", "rejected", "rejected_or_closed", None),
        ("close", "rejected", "rejected_or_closed", None),
    ],
)
def test_what_the_human_does_is_what_the_agent_hears(
    window: Ide, propose: Propose, deed: str, outcome: str, trigger: str, final: str | None
) -> None:
    diff = propose("new\n")
    shown(window)
    window.do(deed)
    said = decision(diff)
    assert (said["outcome"], said["trigger"], said["files"][0]["final"]) == (outcome, trigger, final)


def test_two_proposals_for_one_file_are_shown_one_after_the_other(window: Ide, propose: Propose) -> None:
    first = propose("1\n")
    shown(window)
    second = propose("2\n")
    second.err.until(lambda line: "another diff of this file is open there" in line)
    window.do("reject")
    assert decision(first)["outcome"] == "rejected"
    shown(window)
    window.do("accept")
    said = decision(second)
    assert (said["outcome"], said["files"][0]["final"]) == ("accepted", "2\n")


def test_a_diff_that_is_taken_back_makes_room_for_the_next(workspace: Path, window: Ide, propose: Propose) -> None:
    first = propose("1\n")
    review = first.review_id()
    shown(window)
    second = propose("2\n")
    second.err.until(lambda line: "another diff of this file is open there" in line)
    assert bridge("review", "cancel", review, cwd=workspace).returncode == 0
    assert decision(first)["outcome"] == "cancelled"
    shown(window)
    window.do("accept")
    assert decision(second)["files"][0]["final"] == "2\n"


def test_a_decision_on_the_page_closes_the_diff(window: Ide, propose: Propose) -> None:
    diff = propose("new\n")
    shown(window)
    decide_on_page(diff.review_id(), text="newer\n")
    assert decision(diff)["outcome"] == "accepted_with_edits"
    window.until("call", tool="closeDiff")


def test_after_the_daemon_was_killed_it_is_offered_again(window: Ide, propose: Propose) -> None:
    diff = propose("new\n")
    shown(window)
    kill_daemon()
    shown(window)
    window.do("accept")
    assert decision(diff)["outcome"] == "accepted"


def test_when_the_ide_is_killed_the_page_has_it(window: Ide, propose: Propose) -> None:
    diff = propose("new\n")
    review = diff.review_id()
    shown(window)
    window.kill()
    diff.err.until(lambda line: "the review page" in line)
    decide_on_page(review, text="new\n")
    assert decision(diff)["outcome"] == "accepted"


def test_status_says_what_it_cannot_do(workspace: Path, window: Ide) -> None:
    assert "it has no diagnostics" in row(status(workspace), window.port)["lacks"]


def test_a_file_is_opened_by_the_editors_own_command_where_a_person_asks(
    workspace: Path, window: Ide, client: Client, tmp_path: Path
) -> None:
    """The daemon starts no editor: who may not start one either is told how it is done."""
    (workspace / "f.txt").write_bytes(b"a\nb\n")
    code, noted = tmp_path / "programs" / "code", tmp_path / "noted"
    code.parent.mkdir()
    code.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{noted}"\n')
    code.chmod(0o755)
    with pytest.raises(Unavailable, match="it cannot open files") as refused:
        client.open_file("f.txt", 2)
    assert "bridge open FILE" in (refused.value.hint or "")
    assert not noted.exists()
    done = bridge("open", "f.txt:2", cwd=workspace, PATH=str(code.parent))
    assert (done.returncode, done.stderr.endswith(" companion) by code\n")) == (0, True)
    assert noted.read_text() == f"-r\n-g\n{workspace}/f.txt:2:1\n"


@pytest.mark.parametrize(("personality", "said"), [("gemini", "the review page"), ("qwen", "shown in")])
async def test_the_users_own_agent_is_not_silenced(
    ide: StartIde, propose: Propose, personality: str, said: str
) -> None:
    """Gemini's companion answers only who came last, so it is left to the agent that is there; Qwen's answers all."""
    window = ide("--personality", personality)
    async with peer(window.port, json.loads(window.lock.read_bytes())["authToken"]) as users:
        await users.hear()
        diff = propose("new\n")
        await asyncio.to_thread(diff.err.until, lambda line: said in line)
        assert await users.tool("closeDiff", filePath="/w/none.txt") == ["{}"]


def test_the_first_who_asks_is_told_what_is_selected(workspace: Path, window: Ide) -> None:
    """Nobody was connected before; the companion tells of its window once it is."""
    (workspace / "f.txt").write_bytes(b"one\ntwo\n")
    window.do("select f.txt")
    asked = bridge("selection", "--json", cwd=workspace)
    assert asked.returncode == 0, asked.stderr
    selection = json.loads(asked.stdout)["selection"]
    assert selection is not None, "the IDE was taken at the silence of a moment"
    assert selection["path"].endswith("/f.txt")
