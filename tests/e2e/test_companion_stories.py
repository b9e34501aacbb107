"""The companions of Gemini CLI and Qwen Code as IDEs: a diff is known by its file, and decided by what is said of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outsiders import decide_on_page, row, status
from tests.e2e.support import Ide, Running, bridge, kill_daemon

StartIde = Callable[..., Ide]
Propose = Callable[..., Running]


@pytest.fixture(params=["gemini", "qwen"])
def window(request: pytest.FixtureRequest, ide: StartIde) -> Ide:
    return ide("--personality", request.param)


@pytest.fixture
def propose(running: Callable[..., Running], workspace: Path) -> Propose:
    """Propose a text for a file in the workspace, which holds ``old``."""

    def start(text: str, *words: str, name: str = "f.txt") -> Running:
        (workspace / name).write_bytes(b"old\n")
        return running("diff", name, "--proposed", "-", "--json", *words, stdin=text.encode())

    return start


def decision(diff: Running) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(diff.out.until(lambda line: line.startswith("{")))
    return said


def shown(window: Ide, text: str, name: str = "f.txt") -> None:
    """Wait until the IDE shows a diff with this text."""
    while not (event := window.until("diff"))["path"].endswith(f"/{name}"):
        pass
    assert event["contents"] == text if "contents" in event else True


@pytest.mark.parametrize(
    ("deed", "outcome", "trigger", "final"),
    [
        ("accept", "accepted", "accepted_in_ide", "new\n"),
        ("edit mine\n", "accepted_with_edits", "accepted_in_ide", "mine\n"),
        ("reject", "rejected", "rejected_or_closed", None),
        ("close", "rejected", "rejected_or_closed", None),
    ],
)
def test_what_the_human_does_is_what_the_agent_hears(
    window: Ide, propose: Propose, deed: str, outcome: str, trigger: str, final: str | None
) -> None:
    diff = propose("new\n")
    shown(window, "new\n")
    window.do(deed.strip())
    said = decision(diff)
    assert (said["outcome"], said["trigger"], said["files"][0]["final"]) == (outcome, trigger, final)


def test_two_proposals_for_one_file_are_shown_one_after_the_other(window: Ide, propose: Propose) -> None:
    first = propose("1\n")
    shown(window, "1\n")
    second = propose("2\n")
    second.err.until(lambda line: "another diff of this file is open there" in line)
    window.do("reject")
    assert decision(first)["outcome"] == "rejected"
    shown(window, "2\n")
    window.do("accept")
    said = decision(second)
    assert (said["outcome"], said["files"][0]["final"]) == ("accepted", "2\n")


def test_a_diff_that_is_taken_back_makes_room_for_the_next(workspace: Path, window: Ide, propose: Propose) -> None:
    first = propose("1\n")
    review = first.review_id()
    shown(window, "1\n")
    second = propose("2\n")
    second.err.until(lambda line: "another diff of this file is open there" in line)
    assert bridge("review", "cancel", review, cwd=workspace).returncode == 0
    assert decision(first)["outcome"] == "cancelled"
    shown(window, "2\n")
    window.do("accept")
    assert decision(second)["files"][0]["final"] == "2\n"


def test_a_decision_on_the_page_closes_the_diff(window: Ide, propose: Propose) -> None:
    diff = propose("new\n")
    shown(window, "new\n")
    decide_on_page(diff.review_id(), text="newer\n")
    assert decision(diff)["outcome"] == "accepted_with_edits"
    window.until("call", tool="closeDiff")


def test_after_the_daemon_was_killed_it_is_offered_again(window: Ide, propose: Propose) -> None:
    diff = propose("new\n")
    shown(window, "new\n")
    kill_daemon()
    shown(window, "new\n")
    window.do("accept")
    assert decision(diff)["outcome"] == "accepted"


def test_when_the_ide_is_killed_the_page_has_it(window: Ide, propose: Propose) -> None:
    diff = propose("new\n")
    shown(window, "new\n")
    os.kill(window.process.pid, signal.SIGKILL)
    diff.err.until(lambda line: "the review page" in line)
    decide_on_page(diff.review_id(), text="new\n")
    assert decision(diff)["outcome"] == "accepted"


def test_status_says_what_it_cannot_do(workspace: Path, window: Ide) -> None:
    assert "it has no diagnostics" in row(status(workspace), window.port)["lacks"]
