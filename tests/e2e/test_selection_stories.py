"""Which IDE gets the work, through the command line: folders, ranks, terminals, processes that are gone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from tests.e2e.outsiders import age, chosen, dead_pid, decide_on_page, row, status, until_status, untouched
from tests.e2e.support import Ide, Running, bridge

StartIde = Callable[..., Ide]
StartCommand = Callable[..., Running]


@pytest.fixture(autouse=True)
def file(workspace: Path) -> Path:
    path = workspace / "f.txt"
    path.write_bytes(b"old\n")
    return path


def opened_in(cwd: Path, *words: str, **environ: Any) -> int:
    """Open a file, and give the port of the IDE that it was opened in."""
    done = bridge("open", *words, "--json", cwd=cwd, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    port: int = json.loads(done.stdout)["port"]
    return port


# ---- none


def test_without_an_ide_the_change_is_on_the_page_and_open_fails(workspace: Path, running: StartCommand) -> None:
    diff = running("diff", "f.txt", "--proposed", "-", stdin=b"new\n")
    review = diff.review_id()
    assert "(no IDE is running)" in diff.err.until(lambda line: "the review page" in line)
    assert diff.err.until(lambda line: "http://127.0.0.1:" in line).count("#code=") == 0  # stderr is no terminal
    done = bridge("open", "f.txt", cwd=workspace)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("error: no IDE can be used here")
    insisting = bridge("diff", "f.txt", "--proposed", "-", "--surface", "ide", cwd=workspace, stdin=b"newer\n")
    assert insisting.returncode == 69
    decide_on_page(review)
    assert (diff.end(), diff.out.until(bool)) == (0, "accepted")


def test_an_ide_elsewhere_is_none(workspace: Path, home: Path, ide: StartIde) -> None:
    elsewhere = ide(folder=home / "elsewhere")
    assert bridge("open", "f.txt", cwd=workspace).returncode == 69
    assert "does not hold" in row(status(workspace), elsewhere.port)["reason"]
    assert untouched(elsewhere)


# ---- several


@pytest.fixture
def two(ide: StartIde) -> tuple[Ide, Ide]:
    """Two IDEs on the workspace, the older one first."""
    return ide("--name", "Cursor"), ide()


def test_of_two_ides_the_newer_is_used_and_the_other_left_alone(workspace: Path, two: tuple[Ide, Ide]) -> None:
    older, newer = two
    assert opened_in(workspace, "f.txt") == newer.port
    assert row(status(workspace), older.port)["reason"] == f"Visual Studio Code on port {newer.port} is newer"
    assert untouched(older)


@pytest.mark.parametrize("name", ["cursor", "Cursor", "its port"])
def test_the_ide_that_the_user_names_is_used_and_the_other_left_alone(
    name: str, workspace: Path, two: tuple[Ide, Ide]
) -> None:
    older, newer = two
    named = str(older.port) if name == "its port" else name
    assert opened_in(workspace, "f.txt", "--ide", named) == older.port
    assert untouched(newer)


def test_a_named_ide_that_is_not_there_is_replaced_by_none(workspace: Path, two: tuple[Ide, Ide]) -> None:
    assert bridge("open", "f.txt", "--ide", "pycharm", cwd=workspace).returncode == 69
    assert all(untouched(window) for window in two)


def test_the_ide_that_the_user_looked_into_last_is_used(workspace: Path, two: tuple[Ide, Ide]) -> None:
    older, newer = two
    assert opened_in(workspace, "f.txt", "--ide", "cursor") == older.port  # from now on there is a link
    older.do("select f.txt")
    with Client(spawn=False, cwd=str(workspace)) as client:
        said = until_status(client, lambda said: chosen(said) == older.port)
    assert row(said, older.port)["focus_known_from"] == "selection"
    assert opened_in(workspace, "f.txt") == older.port
    assert untouched(newer)


def test_the_longest_folder_that_holds_the_file_wins(workspace: Path, ide: StartIde) -> None:
    (workspace / "sub").mkdir()
    (workspace / "sub" / "g.txt").write_bytes(b"")
    inner = ide(folder=workspace / "sub")
    outer = ide()  # newer, which does not matter
    assert opened_in(workspace, "sub/g.txt") == inner.port
    assert opened_in(workspace / "sub", "../f.txt") == outer.port
    assert opened_in(workspace, "f.txt") == outer.port


# ---- the terminal's own


def test_the_terminals_own_ide_goes_before_a_newer_one(workspace: Path, two: tuple[Ide, Ide]) -> None:
    older, newer = two
    said = row(status(workspace, CLAUDE_CODE_SSE_PORT=str(older.port)), older.port)
    assert (said["chosen"], said["reason"]) == (
        True,
        f"its folder {workspace} holds the working directory; the terminal's port variable names it",
    )
    assert opened_in(workspace, "f.txt", CLAUDE_CODE_SSE_PORT=str(older.port)) == older.port
    assert untouched(newer)


def test_the_terminals_own_ide_is_used_although_its_folder_is_another(
    workspace: Path, home: Path, ide: StartIde
) -> None:
    elsewhere = ide(folder=home / "elsewhere")
    assert opened_in(workspace, "f.txt", CLAUDE_CODE_SSE_PORT=str(elsewhere.port)) == elsewhere.port


def test_a_port_variable_that_went_stale_does_not_matter(workspace: Path, ide: StartIde) -> None:
    """A terminal multiplexer keeps the variable of a window that was closed long ago."""
    closed = ide()
    window = ide()
    closed.kill()
    assert opened_in(workspace, "f.txt", CLAUDE_CODE_SSE_PORT=str(closed.port)) == window.port
    assert opened_in(workspace, "f.txt", CLAUDE_CODE_SSE_PORT="none at all") == window.port


# ---- processes that are gone


@pytest.mark.parametrize("state", ["dead", "reused"])
def test_an_ide_whose_pid_is_gone_comes_last_but_is_used(state: str, workspace: Path, ide: StartIde) -> None:
    """Its listener is ours all the same: some plugins write the PID of a parent that ends."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as other:
        odd = ide("--pid", str(dead_pid() if state == "dead" else other.pid))
        if state == "reused":
            age(odd.lock, 3600)  # thus older than the process
        sound = ide()
        said = row(status(workspace, CLAUDE_CODE_SSE_PORT=str(odd.port)), odd.port)
        assert (said["pid_state"], said["chosen"]) == (state, False)
        assert said["reason"].endswith("so it comes last")  # although the terminal is its own
        assert opened_in(workspace, "f.txt", CLAUDE_CODE_SSE_PORT=str(odd.port)) == sound.port
        assert untouched(odd)
        sound.kill()
        assert opened_in(workspace, "f.txt") == odd.port
        other.communicate(b"\n")


# ---- where lock files are


def test_the_clients_own_configuration_directory_counts(workspace: Path, home: Path, ide: StartIde) -> None:
    configured = home / "configured"
    window = ide(lock_dir=configured / "ide")
    assert bridge("open", "f.txt", cwd=workspace).returncode == 69
    assert opened_in(workspace, "f.txt", CLAUDE_CONFIG_DIR=str(configured)) == window.port


def test_a_review_finds_the_ides_that_its_asker_would_find(
    workspace: Path, home: Path, ide: StartIde, running: StartCommand
) -> None:
    """The IDE comes later, and announces itself where only the asker's environment says."""
    configured = home / "configured"
    diff = running("diff", "f.txt", "--proposed", "-", stdin=b"new\n", CLAUDE_CONFIG_DIR=str(configured))
    diff.err.until(lambda line: "the review page" in line)
    window = ide(lock_dir=configured / "ide")
    window.until("diff")
    window.do("accept")
    assert (diff.out.until(bool), diff.end()) == ("accepted", 0)
