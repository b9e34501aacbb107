"""``bridge diff``: what a person types, and what is said while they decide."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli import main
from tests.cli.proposals import NEW, pending
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import Ide, Running, bridge
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

PLAIN = re.compile(r"http://127\.0\.0\.1:\d+/r/[\w-]+/")


# ---- what is typed


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "the following arguments are required: FILE"),
        (["a"], "two files are compared, or one with --proposed"),
        (["a", "b", "c"], "two files are compared, or one with --proposed"),
        (["a", "b", "--apply"], "--apply goes with --proposed"),
        (["a", "b", "--proposed", "-"], "with --proposed there is one FILE"),
        (["-", "--proposed", "-"], "FILE is a path"),
        (["a", "b", "--surface", "moon"], "argument --surface: invalid choice: 'moon'"),
        (["a", "b", "--timeout=nan"], "argument --timeout: invalid seconds value: 'nan'"),
        (["a", "b", "--prop", "x"], "unrecognized arguments: --prop"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {why}")
    assert "\n\nhint: bridge diff" in said.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["missing", "f.txt"], "there is no file missing"),
        (["f.txt", "missing"], "cannot read missing: No such file or directory"),
        (["f.txt", "--proposed", "missing"], "cannot read missing: No such file or directory"),
        (["f.txt", "."], "cannot read .: Is a directory"),
        ([".", "f.txt"], ". is not a regular file"),
        (["f.txt", "f.txt"], "nothing would change in "),
    ],
)
def test_files_that_cannot_be_compared_are_refused(file: Path, words: list[str], why: str) -> None:
    done = bridge("diff", *words, cwd=file.parent)
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.startswith(f"error: {why}")
    assert "\n\nhint: " in done.stderr


def test_the_new_text_may_come_from_standard_input(file: Path) -> None:
    done = bridge("diff", "f.txt", "-", "--timeout", "0", cwd=file.parent, stdin=NEW)
    assert done.returncode == 75
    shown = bridge("review", "show", done.stderr.split()[1], cwd=file.parent).stdout
    assert shown.endswith("@@ -1,2 +1,2 @@\n a\n-b\n+B\n")


# ---- where it is shown


def test_the_surface_that_was_asked_for_is_used_or_the_asker_learns_why(file: Path) -> None:
    done = bridge("diff", "f.txt", "--proposed", "-", "--surface", "ide", cwd=file.parent, stdin=NEW)
    assert (done.returncode, done.stdout) == (69, "")
    assert "error: no IDE can be used here" in done.stderr
    assert bridge("review", "ls", cwd=file.parent).stdout == "", "a refused proposal leaves nothing behind"


def test_the_page_may_be_preferred_to_an_ide(file: Path, ide: Callable[..., Ide]) -> None:
    window = ide()
    done = bridge("diff", "f.txt", "--proposed", "-", "--surface", "page", "--timeout", "0", cwd=file.parent, stdin=NEW)
    assert "open the review page:\n" in done.stderr
    assert not [event for event in window.events if event["event"] == "connected"]


def test_a_program_is_told_an_address_without_the_code(file: Path) -> None:
    done = bridge("diff", "f.txt", "--proposed", "-", "--timeout", "0", cwd=file.parent, stdin=NEW)
    lines = done.stderr.splitlines()
    review_id = lines[0].split()[1]
    assert lines[0] == f"review {review_id} waits for a decision (Ctrl-C leaves it open)"
    assert lines[1] == "open the review page (no IDE is running):"
    assert PLAIN.sub("ADDRESS", lines[2]) == f"  ADDRESS  (if it asks for access: bridge review open {review_id})"
    assert lines[3:] == [
        f"error: review {review_id} is still undecided",
        "",
        f"hint: bridge review wait {review_id}",
    ]


async def test_a_person_is_told_an_address_that_opens_once(file: Path) -> None:
    (file.parent / "new.txt").write_bytes(NEW)
    words = [sys.executable, "-m", "bridge", "diff", "f.txt", "new.txt", "--timeout", "0"]
    with Terminal(words, cwd=file.parent) as terminal:
        assert await terminal.end() == 75
    assert re.search(rf"\n  {PLAIN.pattern}#code=[\w-]{{43}}\n", terminal.screen)


# ---- names for proposals


def test_the_same_key_joins_the_same_review_and_refuses_another_change(file: Path) -> None:
    first = pending(file, "--key", "k")
    assert pending(file, "--key", "k") == first
    other = bridge("diff", "f.txt", "--proposed", "-", "--key", "k", cwd=file.parent, stdin=b"other\n")
    assert (other.returncode, f"names another change (review {first})" in other.stderr) == (65, True)


def test_a_newer_proposal_ends_the_one_that_it_supersedes(file: Path, running: Callable[..., Running]) -> None:
    older = running("diff", "f.txt", "--proposed", "-", "--json", stdin=b"older\n")
    older.err.until(lambda line: "the review page" in line)
    pending(file, "--supersedes", older.err.seen[0].split()[1])
    said = json.loads(older.out.until(bool))
    assert (said["outcome"], said["trigger"], older.end()) == ("superseded", "newer_proposal", 3)


# ---- what is printed


def test_outcome_and_comments_are_data_and_the_rest_is_not(file: Path, running: Callable[..., Running]) -> None:
    diff = running("diff", "f.txt", "--proposed", "-", stdin=NEW)
    diff.err.until(lambda line: "the review page" in line)
    decide_on_page(diff.err.seen[0].split()[1], text="a\nX\n")
    assert diff.end() == 0
    diff.out.until(lambda line: line == "accepted_with_edits")
    assert diff.out.seen == ["accepted_with_edits"]


def test_the_title_is_shown_without_harm(file: Path) -> None:
    pending(file, "--title", "one\x1b[31m\nline")
    assert bridge("review", "ls", cwd=file.parent).stdout.endswith(r"  one\x1b[31m\x0aline" + "\n")
