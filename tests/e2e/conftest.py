"""Fixtures of the stories."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from tests.e2e.agents import Run
from tests.e2e.support import Ide, Running, everything_ends


@pytest.fixture
def workspace(home: Path) -> Path:
    """A directory to work in, below the test's home."""
    path = home / "work"
    path.mkdir()
    return path


@pytest.fixture
def file(workspace: Path) -> Path:
    """A text file in the workspace."""
    path = workspace / "f.txt"
    path.write_bytes(b"a\nb\n")
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


@pytest.fixture
def run(workspace: Path, started: list[Any]) -> Callable[..., Run]:
    """Start `bridge run` in terminals of the workspace."""

    def start(*words: str, cwd: Path | None = None, **environ: str) -> Run:
        started.append(Run(*words, cwd=cwd or workspace, environ={**os.environ, **environ}))
        return started[-1]  # type: ignore[no-any-return]

    return start


@pytest.fixture
def client(workspace: Path) -> Iterator[Client]:
    """Speak to the daemon of the test's home as a program in the workspace."""
    with Client(cwd=str(workspace)) as client:
        yield client


@pytest.fixture
def mcp_port(home: Path) -> int:
    """Turn MCP over HTTP on, at a port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    config = home / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    with config.open("a", encoding="utf-8") as file:
        file.write(f"mcp_http = {number}\n")
    return number
