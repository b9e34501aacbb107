"""``bridge review``: every verb, for every way in which a review can stand."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli import main
from tests.cli.proposals import NEW, error_of, pending
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import PATIENCE_S, Ide, Running, bridge, daemon_about
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.usefixtures("started")


@pytest.mark.parametrize("verb", ["show", "open", "wait", "result", "apply", "cancel"])
def test_a_review_that_nobody_knows_is_told(verb: str, workspace: Path) -> None:
    done = bridge("review", verb, "nope", cwd=workspace)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == "error: there is no review nope\n\nhint: bridge review ls --all\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["ls", "x"], "every verb but ls takes the ID of a review"),
        (["show"], "every verb but ls takes the ID of a review"),
        (["frob", "x"], "argument VERB: invalid choice: 'frob'"),
        ([], "the following arguments are required: VERB"),
    ],
)
def test_a_verb_takes_what_it_takes(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", *words]) == 2
    assert capsys.readouterr().err.startswith(f"error: {why}")


def test_a_list_has_what_waits_and_with_all_what_has_ended(file: Path) -> None:
    assert bridge("review", "ls", cwd=file.parent).stderr == "no review waits for a decision\n"
    assert bridge("review", "ls", "--all", cwd=file.parent).stderr == "there are no reviews\n"
    ended = pending(file)
    decide_on_page(ended, accept=False)
    waits = pending(file, "--title", "Shout")
    assert bridge("review", "ls", cwd=file.parent).stdout == f"{waits}  proposed on the page  {file}  Shout\n"
    everything = bridge("review", "ls", "--all", cwd=file.parent).stdout.splitlines()
    assert sorted(everything) == sorted([f"{waits}  proposed on the page  {file}  Shout", f"{ended}  rejected  {file}"])
    told = json.loads(bridge("review", "ls", "--json", cwd=file.parent).stdout)
    assert [(row["id"], row["where"], row["outcome"]) for row in told] == [(waits, "page", None)]


def test_a_review_is_shown_as_a_diff_of_what_is_proposed_and_then_of_what_was_accepted(file: Path) -> None:
    review_id = pending(file, "--title", "Shout")
    name = str(file)
    head = f"--- a{name}\n+++ b{name}\n@@ -1,2 +1,2 @@\n a\n-b\n"
    assert bridge("review", "show", review_id, cwd=file.parent).stdout == (
        f"review {review_id}: proposed  Shout\n{head}+B\n"
    )
    decide_on_page(review_id, text="a\nX\n")
    assert bridge("review", "show", review_id, cwd=file.parent).stdout == (
        f"review {review_id}: accepted_with_edits  Shout\n{head}+X\n"
    )
    told = json.loads(bridge("review", "show", review_id, "--json", cwd=file.parent).stdout)
    assert {name: told["files"][0][name] for name in ("base", "proposed", "final")} == {
        "base": "a\nb\n",
        "proposed": "a\nB\n",
        "final": "a\nX\n",
    }


def test_a_review_that_waits_behind_another_is_listed_as_queued(file: Path, ide: Callable[..., Ide]) -> None:
    window = ide()
    first = pending(file)
    window.until("diff")
    second = pending(file, new=b"other\n")
    assert bridge("review", "ls", cwd=file.parent).stdout == (
        f"{first}  shown in Visual Studio Code  {file}\n{second}  queued in Visual Studio Code  {file}\n"
    )


# ---- open


def test_a_review_that_waits_is_opened_again_where_it_is_wanted(file: Path, ide: Callable[..., Ide]) -> None:
    review_id = pending(file)
    window = ide()
    shown = bridge("review", "open", review_id, cwd=file.parent)
    assert (shown.returncode, shown.stderr) == (0, "shown in Visual Studio Code\n")
    window.until("diff")
    paged = bridge("review", "open", review_id, "--surface", "page", "--json", cwd=file.parent)
    assert (paged.returncode, json.loads(paged.stdout)["surface"]) == (0, "page")
    assert paged.stderr.startswith("open the review page")


def test_a_review_that_has_ended_is_not_opened(file: Path) -> None:
    review_id = pending(file)
    decide_on_page(review_id)
    done = bridge("review", "open", review_id, "--json", cwd=file.parent)
    assert (done.returncode, error_of(done.stdout)) == (65, ("conflict", 65))
    assert f"review {review_id} is already accepted" in done.stderr


# ---- result


def test_the_result_is_the_accepted_text_byte_for_byte(file: Path) -> None:
    new = b"\xef\xbb\xbfa\r\nno newline \xe2\x80\xae at the end"
    review_id = pending(file, new=new)
    decide_on_page(review_id)
    with (file.parent / "out").open("wb") as out:
        words = [sys.executable, "-m", "bridge", "review", "result", review_id]
        assert subprocess.run(words, cwd=file.parent, stdout=out, timeout=PATIENCE_S).returncode == 0
    assert (file.parent / "out").read_bytes() == new


async def test_the_result_does_not_speak_to_a_terminal(file: Path) -> None:
    review_id = pending(file, new=b"\x1b[31mred\n")
    await asyncio.to_thread(decide_on_page, review_id)
    words = [sys.executable, "-m", "bridge", "review", "result", review_id]
    with Terminal(words, cwd=file.parent) as terminal:
        assert await terminal.end() == 0
    assert terminal.screen == "\\x1b[31mred\n"


def test_a_rejection_has_no_result_and_nothing_to_apply(file: Path) -> None:
    review_id = pending(file)
    decide_on_page(review_id, accept=False)
    told = bridge("review", "result", review_id, cwd=file.parent)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == f"review {review_id} is rejected: there is no text\n"
    applied = bridge("review", "apply", review_id, cwd=file.parent)
    assert (applied.returncode, applied.stdout, applied.stderr) == (1, "rejected\n", "")
    assert file.read_bytes() == b"a\nb\n"


@pytest.mark.parametrize("verb", ["result", "apply"])
def test_what_is_undecided_has_no_result_yet(file: Path, verb: str) -> None:
    review_id = pending(file)
    done = bridge("review", verb, review_id, "--json", cwd=file.parent)
    assert (done.returncode, error_of(done.stdout)) == (75, ("pending", 75))


def test_a_result_for_programs_has_everything(file: Path) -> None:
    review_id = pending(file)
    decide_on_page(review_id)
    told = json.loads(bridge("review", "result", review_id, "--json", cwd=file.parent).stdout)
    assert (told["outcome"], told["trigger"], told["files"][0]["final"]) == (
        "accepted",
        "accepted_on_page",
        NEW.decode(),
    )


# ---- cancel


def test_a_cancelled_review_ends_for_who_waits(file: Path, running: Callable[..., Running]) -> None:
    diff = running("diff", "f.txt", "--proposed", "-", stdin=NEW)
    diff.err.until(lambda line: "the review page" in line)
    review_id = diff.err.seen[0].split()[1]
    done = bridge("review", "cancel", review_id, cwd=file.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "cancelled\n", "")
    assert diff.out.until(bool) == "cancelled"
    assert diff.end() == 3
    assert bridge("review", "cancel", review_id, cwd=file.parent).returncode == 0, "twice does no harm"


def test_a_decision_cannot_be_cancelled(file: Path) -> None:
    review_id = pending(file)
    decide_on_page(review_id)
    done = bridge("review", "cancel", review_id, cwd=file.parent)
    assert (done.returncode, done.stdout) == (65, "")
    assert f"review {review_id} is already accepted" in done.stderr


@pytest.mark.parametrize("name", [b"\xff", b"a b", b"\xf0\x9f\x98\x80", b"x" * 65])
def test_what_is_no_id_is_a_usage_error_and_harms_nobody(workspace: Path, name: bytes) -> None:
    bridge("up", cwd=workspace)
    before = daemon_about()
    for verb in ("cancel", "wait", "show", "result", "apply", "open"):
        done = bridge("review", verb, name, cwd=workspace)
        assert done.returncode == 2, done.stderr
    assert daemon_about() == before


def test_a_file_that_is_too_large_for_eyes_is_refused(workspace: Path) -> None:
    with open(workspace / "large", "wb") as file:
        file.truncate(9 * 2**20)
    done = bridge("diff", "large", "--proposed", "-", cwd=workspace, stdin=b"x\n")
    assert (done.returncode, "8 MiB" in done.stderr) == (65, True)
    done = bridge("diff", "new", "--proposed", "-", cwd=workspace, stdin=b"\xc3\xa9" * 2**24)
    assert (done.returncode, "too large" in done.stderr) == (65, True)
