"""The main job through an IDE that speaks SSE: nothing about it is different."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outsiders import decide_on_page, row, status, token_of
from tests.e2e.support import Ide, Running, bridge
from tests.ides.lockfiles import TOKEN

StartIde = Callable[..., Ide]
StartCommand = Callable[..., Running]

SSE = ("--transport", "sse")
OLD, NEW = b"a\nb\n", b"a\nB\n"


@pytest.fixture
def propose(running: StartCommand, file: Path) -> Callable[[], Running]:
    return lambda: running("diff", "f.txt", "--proposed", "-", "--apply", "--json", stdin=NEW)


def decision(diff: Running) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(diff.out.until(lambda line: line.startswith("{")))
    return said


def test_a_file_is_opened(workspace: Path, file: Path, ide: StartIde) -> None:
    window = ide(*SSE)
    done = bridge("open", "f.txt:2", "--json", cwd=workspace)
    assert (done.returncode, done.stderr) == (0, "")
    told = {"ide": "Visual Studio Code", "port": window.port, "positioned": True, "launched": None}
    assert json.loads(done.stdout) == told
    window.until("call", tool="openFile", path=str(file))
    assert row(status(workspace), window.port)["state"] == "live"


DECISIONS = [
    # what the human does, outcome, exit code, what the file holds then
    ("accept", "accepted", 0, NEW),
    ('edit "a\\nX\\n"', "accepted_with_edits", 0, b"a\nX\n"),
    ("reject", "rejected", 1, OLD),
]


@pytest.mark.parametrize(("deed", "outcome", "code", "text"), DECISIONS)
def test_a_change_is_decided(
    file: Path, ide: StartIde, propose: Callable[[], Running], deed: str, outcome: str, code: int, text: bytes
) -> None:
    window = ide(*SSE)
    diff = propose()
    window.until("diff", path=str(file))
    window.do(deed)
    assert (decision(diff)["outcome"], diff.end(), file.read_bytes()) == (outcome, code, text)
    window.until("call", tool="close_tab")


def test_one_that_falls_silent_over_a_diff_loses_it_to_the_page(
    file: Path, ide: StartIde, propose: Callable[[], Running]
) -> None:
    window = ide(*SSE)
    diff = propose()
    review = diff.review_id()
    window.until("diff")
    window.process.send_signal(signal.SIGSTOP)
    assert "it did not answer a ping" in diff.err.until(lambda line: "the review page" in line)
    decide_on_page(review)
    assert (decision(diff)["outcome"], diff.end(), file.read_bytes()) == ("accepted", 0, NEW)
    window.kill()  # a stopped process would not end otherwise


def test_one_that_comes_back_is_offered_the_review_again(
    file: Path, ide: StartIde, propose: Callable[[], Running]
) -> None:
    window = ide(*SSE)
    diff = propose()
    window.until("diff")
    window.kill()
    diff.err.until(lambda line: "the review page" in line)
    again = ide(*SSE)
    again.until("diff", path=str(file))
    again.do("accept")
    assert (decision(diff)["trigger"], diff.end()) == ("accepted_in_ide", 0)


def test_a_refused_token_is_told(workspace: Path, file: Path, ide: StartIde, propose: Callable[[], Running]) -> None:
    window = ide(*SSE)
    window.lock.write_text(window.lock.read_text().replace(token_of(window), TOKEN))
    diff = propose()
    assert "it refused the token" in diff.err.until(lambda line: "the review page" in line)
    assert row(status(workspace), window.port)["state"] == "refused"


def test_one_that_would_send_us_elsewhere_is_not_followed(workspace: Path, file: Path, ide: StartIde) -> None:
    window = ide(*SSE, "--fault", "foreign-endpoint")
    assert bridge("open", "f.txt", cwd=workspace).returncode == 69
    said = row(status(workspace), window.port)
    assert (said["state"], said["detail"]) == ("port taken", "it wants messages posted to another server")
