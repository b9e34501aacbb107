"""Reviews for the command line's tests."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.support import bridge

__all__ = ["NEW", "error_of", "pending"]

NEW = b"a\nB\n"


def pending(file: Path, *words: str, new: bytes = NEW) -> str:
    """Propose a change of `file`, do not wait, and give the review's id."""
    done = bridge("diff", file.name, "--proposed", "-", "--timeout", "0", *words, cwd=file.parent, stdin=new)
    assert done.returncode == 75, done.stderr
    return done.stderr.split()[1]


def error_of(stdout: str) -> tuple[str, int]:
    """Read the error that a command with ``--json`` printed: its name and the exit code."""
    said = json.loads(stdout)
    return said["error"]["data"]["code"], said["exit_code"]
