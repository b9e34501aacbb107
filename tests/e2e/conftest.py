"""Fixtures of the stories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Ide, Running, everything_ends


@pytest.fixture
def workspace(home: Path) -> Path:
    """A directory to work in, below the test's home."""
    path = home / "work"
    path.mkdir()
    return path


@pytest.fixture
def started() -> Iterator[list[Any]]:
    """What the test starts; it is ended at the end, and so is the daemon."""
    things: list[Any] = []
    with everything_ends(things):
        yield things


@pytest.fixture
def ide(workspace: Path, started: list[Any]) -> Callable[..., Ide]:
    """Start emulators, in the workspace by default."""

    def start(*words: str, folder: Path | None = None, **more: Any) -> Ide:
        started.append(Ide(folder or workspace, *words, **more))
        return started[-1]  # type: ignore[no-any-return]

    return start


@pytest.fixture
def running(workspace: Path, started: list[Any]) -> Callable[..., Running]:
    """Start commands that go on, in the workspace by default."""

    def start(*words: str, cwd: Path | None = None, **more: Any) -> Running:
        started.append(Running(*words, cwd=cwd or workspace, **more))
        return started[-1]  # type: ignore[no-any-return]

    return start
