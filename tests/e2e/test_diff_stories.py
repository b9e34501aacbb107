"""What becomes of a diff in an IDE: tabs, turns, the same file twice, the same request twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import Ide, Running, bridge

StartIde = Callable[..., Ide]
Propose = Callable[..., Running]


@pytest.fixture
def propose(running: Callable[..., Running], workspace: Path) -> Propose:
    """Propose a text for a file in the workspace, which holds ``old`` so far."""

    def start(name: str, text: str, *words: str) -> Running:
        if not (workspace / name).exists():
            (workspace / name).write_bytes(b"old\n")
        return running("diff", name, "--proposed", "-", "--json", *words, stdin=text.encode())

    return start


def decision(diff: Running) -> dict[str, Any]:
    """Wait for the decision that the asker prints."""
    said: dict[str, Any] = json.loads(diff.out.until(lambda line: line.startswith("{")))
    return said


def shown(window: Ide, name: str) -> None:
    """Wait until the IDE shows a diff of this file."""
    while not window.until("diff")["path"].endswith(f"/{name}"):
        pass


# ---- what closing means


def test_a_tab_that_answers_closing_with_rejected_rejects(ide: StartIde, propose: Propose) -> None:
    window = ide("--close-says", "rejected")
    diff = propose("f.txt", "new\n")
    shown(window, "f.txt")
    window.do("close")
    said = decision(diff)
    assert (said["outcome"], said["trigger"], diff.end()) == ("rejected", "rejected_or_closed", 1)


def test_a_closed_tab_is_no_decision(workspace: Path, ide: StartIde, propose: Propose) -> None:
    """The review goes to the page, stays there although the IDE lives, and comes back when the human wants it."""
    window = ide("--close-says", "tab_closed")
    diff = propose("f.txt", "new\n", "--apply")
    review = diff.review_id()
    shown(window, "f.txt")
    window.do("close")
    assert "its tab in Visual Studio Code was closed" in diff.err.until(lambda line: "the review page" in line)
    assert (workspace / "f.txt").read_bytes() == b"old\n"
    again = bridge("review", "open", review, "--surface", "ide", cwd=workspace)
    assert (again.returncode, again.stderr) == (0, "shown in Visual Studio Code\n")
    shown(window, "f.txt")
    diff.err.until(lambda line: line == "shown in Visual Studio Code")
    window.do("accept")
    assert (decision(diff)["id"], diff.end(), (workspace / "f.txt").read_bytes()) == (review, 0, b"new\n")


def test_a_decision_on_the_page_closes_the_tab(ide: StartIde, propose: Propose) -> None:
    window = ide()
    diff = propose("f.txt", "new\n")
    shown(window, "f.txt")
    decide_on_page(diff.review_id(), text="newer\n")
    said = decision(diff)
    assert (said["outcome"], said["trigger"]) == ("accepted_with_edits", "accepted_on_page")
    assert (said["files"][0]["final"], diff.end()) == ("newer\n", 0)
    window.until("call", tool="close_tab")


def test_a_cancelled_review_takes_its_tab_along(workspace: Path, ide: StartIde, propose: Propose) -> None:
    window = ide()
    diff = propose("f.txt", "new\n")
    review = diff.review_id()
    shown(window, "f.txt")
    assert bridge("review", "cancel", review, cwd=workspace).returncode == 0
    assert (decision(diff)["outcome"], diff.end()) == ("cancelled", 3)
    window.until("call", tool="close_tab")
    window.until("decided", answer="DIFF_REJECTED")  # which is no rejection: it came after our close_tab


# ---- two at once


def test_a_second_diff_waits_its_turn(ide: StartIde, propose: Propose) -> None:
    window = ide()
    first = propose("one.txt", "1\n")
    shown(window, "one.txt")
    second = propose("two.txt", "2\n")
    assert "another diff is open there" in second.err.until(lambda line: line.startswith("waits in"))
    window.do("reject")
    assert (decision(first)["outcome"], first.end()) == ("rejected", 1)
    shown(window, "two.txt")
    second.err.until(lambda line: line == "shown in Visual Studio Code")
    window.do("accept")
    assert (decision(second)["outcome"], second.end()) == ("accepted", 0)


def test_a_diff_that_waits_its_turn_may_be_decided_on_the_page(ide: StartIde, propose: Propose) -> None:
    window = ide()
    first = propose("one.txt", "1\n")
    shown(window, "one.txt")
    second = propose("two.txt", "2\n")
    review = second.review_id()
    second.err.until(lambda line: line.startswith("waits in"))
    decide_on_page(review)
    assert (decision(second)["outcome"], second.end()) == ("accepted", 0)
    window.do("accept")
    assert (decision(first)["outcome"], first.end()) == ("accepted", 0)
    assert [event["event"] for event in window.events].count("diff") == 1


def test_both_go_to_the_page_when_their_ide_dies(ide: StartIde, propose: Propose) -> None:
    window = ide()
    first = propose("one.txt", "1\n")
    shown(window, "one.txt")
    second = propose("two.txt", "2\n")
    second.err.until(lambda line: line.startswith("waits in"))
    window.kill()
    for diff in (first, second):
        diff.err.until(lambda line: "the review page" in line)


# ---- the same again


def test_the_same_file_may_be_proposed_twice_and_each_has_its_own_end(
    workspace: Path, ide: StartIde, propose: Propose
) -> None:
    window = ide()
    first = propose("f.txt", "one\n")
    shown(window, "f.txt")
    second = propose("f.txt", "two\n")
    second.err.until(lambda line: line.startswith("waits in"))
    window.do("reject")
    shown(window, "f.txt")
    window.do("accept")
    ends = [(decision(diff), diff.end()) for diff in (first, second)]
    assert [(said["outcome"], said["files"][0]["final"], code) for said, code in ends] == [
        ("rejected", None, 1),
        ("accepted", "two\n", 0),
    ]
    assert len({said["id"] for said, _ in ends}) == 2


def test_a_proposal_that_supersedes_takes_the_place_of_the_older_one(ide: StartIde, propose: Propose) -> None:
    window = ide()
    first = propose("f.txt", "one\n")
    review = first.review_id()
    shown(window, "f.txt")
    second = propose("f.txt", "two\n", "--supersedes", review)
    assert (decision(first)["outcome"], first.end()) == ("superseded", 3)
    shown(window, "f.txt")
    window.do("accept")
    assert (decision(second)["files"][0]["final"], second.end()) == ("two\n", 0)


def test_a_request_key_joins_the_review_that_it_names(workspace: Path, ide: StartIde, propose: Propose) -> None:
    window = ide()
    first = propose("f.txt", "new\n", "--key", "step 7", "--apply")
    shown(window, "f.txt")
    second = propose("f.txt", "new\n", "--key", "step 7", "--apply")
    second.err.until(lambda line: line == "shown in Visual Studio Code")
    window.do("accept")
    ids = {decision(diff)["id"] for diff in (first, second)}
    assert (len(ids), first.end(), second.end()) == (1, 0, 0)
    assert (workspace / "f.txt").read_bytes() == b"new\n"
    assert [event["event"] for event in window.events].count("diff") == 1


def test_a_request_key_that_names_another_change_is_a_conflict(ide: StartIde, propose: Propose) -> None:
    window = ide()
    first = propose("f.txt", "new\n", "--key", "step 7")
    shown(window, "f.txt")
    second = propose("f.txt", "newer\n", "--key", "step 7")
    assert second.end() == 65
    assert first.review_id() in second.err.until(lambda line: line.startswith("error: "))
    window.do("accept")
    assert (decision(first)["outcome"], first.end()) == ("accepted", 0)
