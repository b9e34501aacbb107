"""The daemon, the asker or both are killed, stopped or restarted: the review stays, and is decided once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outsiders import decide_on_page, look_at_page
from tests.e2e.support import PATIENCE_S, Ide, Running, bridge, daemon_about, kill_daemon

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartIde = Callable[..., Ide]
StartCommand = Callable[..., Running]

OLD, NEW = b"a\nb\n", b"a\nB\n"
PROPOSE = ("diff", "f.txt", "--proposed", "-", "--apply", "--json")


@pytest.fixture
def propose(running: StartCommand, file: Path) -> Callable[..., Running]:
    """Propose the change of `file` as an agent does."""
    return lambda *words, **environ: running(*PROPOSE, *words, stdin=NEW, **environ)


def on_page(diff: Running) -> str:
    """Wait until the review is on the page; give its id."""
    review_id = diff.review_id()
    diff.err.until(lambda line: "the review page" in line)
    return review_id


def decision(command: Running) -> dict[str, Any]:
    """Wait for the decision that the asker prints, and for its end."""
    said: dict[str, Any] = json.loads(command.out.until(lambda line: line.startswith("{")))
    return said | {"exit": command.end()}


def until_next_daemon(old: int) -> None:
    """Wait until another daemon says that it takes connections."""
    deadline = time.monotonic() + PATIENCE_S
    while (about := daemon_about()) is None or about["pid"] == old:
        assert time.monotonic() < deadline, "no other daemon came"


# ---- kill -9


def test_a_daemon_killed_while_the_ide_shows_the_diff_asks_again_under_the_same_id(
    propose: StartCommand, ide: StartIde, file: Path
) -> None:
    window = ide()
    diff = propose()
    review_id = diff.review_id()
    window.until("diff")
    kill_daemon()
    window.until("diff")
    window.do("accept")
    said = decision(diff)
    assert (said["id"], said["outcome"], said["exit"], file.read_bytes()) == (review_id, "accepted", 0, NEW)


def test_a_daemon_killed_while_the_page_shows_the_review_is_followed_by_one_that_does(
    propose: StartCommand, file: Path
) -> None:
    diff = propose()
    review_id = on_page(diff)
    look_at_page(review_id)
    until_next_daemon(kill_daemon())
    decide_on_page(review_id, text="a\nX\n")
    said = decision(diff)
    assert (said["id"], said["outcome"], said["exit"]) == (review_id, "accepted_with_edits", 0)
    assert file.read_bytes() == b"a\nX\n"


def test_a_decision_outlives_the_daemon_when_the_asker_had_not_read_it(propose: StartCommand, file: Path) -> None:
    diff = propose()
    review_id = on_page(diff)
    diff.process.send_signal(signal.SIGSTOP)
    decide_on_page(review_id)
    kill_daemon()
    diff.process.send_signal(signal.SIGCONT)
    assert decision(diff)["outcome"] == "accepted"
    assert (diff.process.returncode, file.read_bytes()) == (0, NEW)


def test_a_decision_outlives_the_daemon_when_the_asker_had_left(propose: StartCommand, file: Path) -> None:
    diff = propose()
    review_id = on_page(diff)
    diff.process.kill()
    diff.end()
    decide_on_page(review_id)
    kill_daemon()
    told = bridge("review", "result", review_id, cwd=file.parent)
    assert (told.returncode, told.stdout) == (0, NEW.decode())
    assert file.read_bytes() == OLD
    applied = bridge("review", "apply", review_id, cwd=file.parent)
    assert (applied.returncode, applied.stdout, applied.stderr) == (0, "accepted\n", f"wrote {file}\n")
    assert file.read_bytes() == NEW
    assert bridge("review", "apply", review_id, cwd=file.parent).returncode == 0, "applying again is harmless"


# ---- the asker goes


def test_an_agent_killed_mid_review_leaves_it_to_whoever_waits_next(
    propose: StartCommand, running: StartCommand, ide: StartIde, file: Path
) -> None:
    window = ide()
    diff = propose()
    review_id = diff.review_id()
    window.until("diff")
    diff.process.kill()
    diff.end()
    waiting = running("review", "wait", review_id, "--json")
    waiting.err.until(lambda line: line.startswith("shown in"))
    window.do("accept")
    said = decision(waiting)
    assert (said["outcome"], said["files"][0]["final"], said["exit"]) == ("accepted", NEW.decode(), 0)
    assert file.read_bytes() == OLD, "who waits does not write"


def test_ctrl_c_leaves_the_review_open_and_says_how_to_go_on(propose: StartCommand, file: Path) -> None:
    diff = propose()
    review_id = on_page(diff)
    diff.process.send_signal(signal.SIGINT)
    diff.err.until(lambda line: line == f"review {review_id} stays open: bridge review wait {review_id}")
    assert diff.end() == 130
    listed = json.loads(bridge("review", "ls", "--json", cwd=file.parent).stdout)
    assert [row["id"] for row in listed] == [review_id]


def test_a_timeout_ends_the_wait_and_names_the_review(propose: StartCommand, file: Path) -> None:
    diff = propose("--timeout", "0")
    review_id = diff.review_id()
    said = decision(diff)
    assert (said["exit"], said["exit_code"]) == (75, 75)
    assert said["error"]["data"] == {"code": "pending", "review": review_id, "hint": f"bridge review wait {review_id}"}
    waited = bridge("review", "wait", review_id, "--timeout", "0", cwd=file.parent)
    assert (waited.returncode, f"review {review_id} is still undecided" in waited.stderr) == (75, True)


# ---- stopped on purpose


@pytest.mark.parametrize("how", ["down", "SIGTERM"])
def test_a_stop_sends_the_asker_away_with_the_way_to_go_on(propose: StartCommand, file: Path, how: str) -> None:
    diff = propose()
    review_id = on_page(diff)
    if how == "down":
        assert bridge("down", cwd=file.parent).returncode == 0
    else:
        kill_daemon(signal.SIGTERM)
    assert daemon_about() is None
    said = decision(diff)
    assert (said["exit"], said["error"]["data"]["hint"]) == (75, f"bridge review wait {review_id}")
    assert f"review {review_id} stays undecided" in said["error"]["message"]
    assert daemon_about() is None, "who waited does not start what the user stopped"


def test_a_restart_is_not_noticed_by_who_waits(propose: StartCommand, ide: StartIde, file: Path) -> None:
    window = ide()
    diff = propose()
    review_id = diff.review_id()
    window.until("diff")
    assert bridge("restart", cwd=file.parent).returncode == 0
    window.until("diff")
    window.do("reject")
    said = decision(diff)
    assert (said["id"], said["outcome"], said["exit"]) == (review_id, "rejected", 1)


def test_daemons_started_at_once_from_different_terminals_are_one(workspace: Path, started: list[Any]) -> None:
    racers = []
    for number in range(4):
        place = workspace / f"tmp{number}"
        place.mkdir(mode=0o700)
        environ = {**os.environ, "TMPDIR": str(place), "XDG_RUNTIME_DIR": str(place)}
        command = [sys.executable, "-m", "bridge", "up"]
        racers.append(subprocess.Popen(command, cwd=workspace, env=environ, stdout=subprocess.PIPE, text=True))
    said = [racer.communicate(timeout=PATIENCE_S * 2)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    about = daemon_about()
    assert about is not None
    assert sorted(said) == [f"the bridge is already running (pid {about['pid']})\n"] * 3 + [
        f"the bridge is running (pid {about['pid']})\n"
    ]
    asked = bridge("status", "--json", cwd=workspace, TMPDIR=str(workspace), XDG_RUNTIME_DIR=str(workspace))
    assert json.loads(asked.stdout)["daemon"]["pid"] == about["pid"]


# ---- much to carry


def test_two_mebibytes_are_accepted_with_edits(workspace: Path, ide: StartIde, running: StartCommand) -> None:
    lines = [f"line {number} of a long file\n" for number in range(85_000)]
    file, new = workspace / "long.txt", workspace / "new.txt"
    file.write_text("".join(lines))
    assert file.stat().st_size > 2 * 2**20
    lines[10] = "proposed\n"
    new.write_text("".join(lines))
    window = ide()
    diff = running("diff", "long.txt", "--proposed", "new.txt", "--apply")
    window.until("diff", length=new.stat().st_size)
    lines[70_000] = "typed by the human\n"
    window.do(f"edit {json.dumps(''.join(lines))}")
    diff.out.until(lambda line: line == "accepted_with_edits")
    assert (diff.end(), file.read_text()) == (0, "".join(lines))
