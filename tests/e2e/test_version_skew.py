"""Two versions of the bridge at once: real copies of the package, with other version numbers."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from bridge.client import Client
from bridge.errors import Outdated
from tests.e2e.outsiders import look_at_page, status
from tests.e2e.support import ROOT, Ide, Running, bridge, daemon_about, wait_gone

OLD, NEW = "0.0.9", "99.0.1"
PROPOSE = ("diff", "a.txt", "--proposed", "-", "--timeout", "0", "--surface")
Version = Callable[..., dict[str, str]]


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """Make a bridge of another version, without a capability if one is named; give the environment for it."""

    def make(number: str, without: str = "") -> dict[str, str]:
        folder = tmp_path / number
        shutil.copytree(ROOT / "bridge", folder / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
        for name, old, new in [
            ("__init__.py", f'"{__version__}"', f'"{number}"'),
            ("agents/requests.py", f', "{without}"', ""),
        ]:
            file = folder / "bridge" / name
            file.write_text(file.read_text().replace(old, new, 1))
        return {"PYTHONPATH": str(folder)}

    return make


@pytest.fixture(autouse=True)
def file(workspace: Path, started: list[Any]) -> Path:
    path = workspace / "a.txt"
    path.write_bytes(b"a\n")
    return path


def propose(workspace: Path, surface: str = "page", **environ: str) -> str:
    done = bridge(*PROPOSE, surface, cwd=workspace, stdin=b"b\n", **environ)
    assert done.returncode == 75, done.stderr
    return done.stderr.split()[1]


def runs() -> tuple[int, str]:
    """Tell which daemon runs."""
    about = daemon_about()
    assert about is not None
    return about["pid"], about["version"]


def test_an_idle_older_daemon_is_replaced_and_keeps_its_reviews(workspace: Path, version: Version) -> None:
    review = propose(workspace, **version(OLD))
    old, number = runs()
    assert number == OLD
    said = status(workspace)
    assert (said["daemon"]["version"], [row["id"] for row in said["reviews"]]) == (__version__, [review])
    assert said["warnings"] == []
    wait_gone(old)
    assert runs() == (said["daemon"]["pid"], __version__)


Busy = Callable[[Path, Callable[..., Running], Callable[..., Ide], dict[str, str]], str]


def _attached(workspace: Path, running: Callable[..., Running], ide: Callable[..., Ide], old: dict[str, str]) -> str:
    running("status", "--watch", **old).out.until(lambda line: "is running" in line)
    return "bridge restart, when its other session is done"


def _shown(workspace: Path, running: Callable[..., Running], ide: Callable[..., Ide], old: dict[str, str]) -> str:
    window = ide()
    propose(workspace, "ide", **old)
    window.until("diff")
    return "bridge restart"


def _looked_at(workspace: Path, running: Callable[..., Running], ide: Callable[..., Ide], old: dict[str, str]) -> str:
    review = propose(workspace, **old)
    look_at_page(review)
    return "bridge restart"


@pytest.mark.parametrize("busy", [_attached, _shown, _looked_at])
def test_a_busy_older_daemon_serves_what_it_can(
    workspace: Path, version: Version, running: Callable[..., Running], ide: Callable[..., Ide], busy: Busy
) -> None:
    hint = busy(workspace, running, ide, version(OLD, without="dirty"))
    before = runs()
    assert before[1] == OLD
    said = status(workspace)
    assert said["warnings"] == [f"this command is version {__version__}, the running bridge is older ({OLD}): {hint}"]
    with Client(cwd=str(workspace)) as client, pytest.raises(Outdated, match="is older") as caught:
        client.is_dirty("a.txt")
    assert caught.value.hint == hint
    propose(workspace)
    assert runs() == before


def test_who_may_not_start_a_daemon_replaces_none(workspace: Path, version: Version) -> None:
    propose(workspace, **version(OLD))
    before = runs()
    assert bridge("status", "--no-spawn", cwd=workspace).returncode == 0
    assert runs() == before


def test_an_older_command_is_served_by_a_newer_daemon(workspace: Path, version: Version) -> None:
    review = propose(workspace, **version(NEW))
    before = runs()
    assert before[1] == NEW
    said = status(workspace)
    assert [row["id"] for row in said["reviews"]] == [review]
    assert said["warnings"] == [
        f"this command is version {__version__}, the running bridge is newer ({NEW}): upgrade the command"
    ]
    assert bridge("review", "cancel", review, cwd=workspace).returncode == 0
    assert runs() == before


def test_many_newer_commands_at_once_lose_nothing(workspace: Path, version: Version) -> None:
    first = propose(workspace, **version(OLD))
    reviews: list[str] = []
    commands = [threading.Thread(target=lambda: reviews.append(propose(workspace))) for _ in range(4)]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    assert len(reviews) == 4
    assert {row["id"] for row in status(workspace)["reviews"]} == {first, *reviews}
