"""Fixtures of the stories about WSL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.wsl.boundary import Boundary, boundary
from tests.wsl.namespaces import missing


@pytest.fixture
def namespaces() -> None:
    """What needs namespaces of its own is skipped where none can be made."""
    if why := missing():
        pytest.skip(why)


@pytest.fixture
def wsl(namespaces: None, home: Path, tmp_path: Path) -> Iterator[Callable[..., Boundary]]:
    """Make a WSL machine with its Windows host; see `boundary` for what may be told."""
    with ExitStack() as stack:

        def make(*arguments: Any, **options: Any) -> Boundary:
            return stack.enter_context(boundary(tmp_path / "machines", *arguments, **options))

        yield make


@pytest.fixture
def nat(wsl: Callable[..., Boundary]) -> Boundary:
    """A WSL machine behind NAT, as most are."""
    return wsl("nat")


@pytest.fixture
def workspace(home: Path) -> Path:
    """A directory of the distribution itself, below the user's home."""
    path = home / "work"
    path.mkdir()
    return path
