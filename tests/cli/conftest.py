"""Fixtures of the command line's tests: the stories' own, since a command is best tested as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import ide, running, started, workspace

__all__ = ["file", "ide", "running", "started", "workspace"]


@pytest.fixture
def file(workspace: Path) -> Path:
    """A text file in the workspace."""
    path = workspace / "f.txt"
    path.write_bytes(b"a\nb\n")
    return path
