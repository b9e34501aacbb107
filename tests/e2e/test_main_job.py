"""The main job: a proposed change reaches the human, and the decision comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Ide, Running, bridge

Start = Callable[..., Any]

DECISIONS = [
    # what the human does, outcome, exit code, what the file holds then
    ("accept", "accepted", 0, "a\nB\nc\n"),
    ('edit "a\\nX\\nc\\n"', "accepted_with_edits", 0, "a\nX\nc\n"),
    ("reject", "rejected", 1, "a\nb\nc\n"),
]


@pytest.mark.parametrize(("deed", "outcome", "code", "text"), DECISIONS)
def test_a_change_is_decided_in_the_ide_and_written(
    workspace: Path,
    ide: Callable[..., Ide],
    running: Callable[..., Running],
    deed: str,
    outcome: str,
    code: int,
    text: str,
) -> None:
    file = workspace / "f.txt"
    file.write_text("a\nb\nc\n")
    window = ide()
    diff = running("diff", "f.txt", "--proposed", "-", "--apply", "--json", stdin=b"a\nB\nc\n")
    shown = window.until("diff")
    assert shown["path"] == str(file)
    window.do(deed)
    decision = json.loads(diff.out.until(lambda line: line.startswith("{")))
    assert (decision["outcome"], diff.end(), file.read_text()) == (outcome, code, text)
    window.until("call", tool="close_tab")


def test_a_file_is_opened_in_the_ide(workspace: Path, ide: Callable[..., Ide]) -> None:
    (workspace / "f.txt").write_text("one\ntwo\n")
    window = ide()
    done = bridge("open", "f.txt:2", "--json", cwd=workspace)
    assert (done.returncode, done.stderr) == (0, "")
    told = {"ide": "Visual Studio Code", "port": window.port, "positioned": True, "launched": None}
    assert json.loads(done.stdout) == told
    window.until("call", tool="openFile")
