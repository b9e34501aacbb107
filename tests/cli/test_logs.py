"""``bridge logs``: its end, and what is added to it, through rotations and restarts of the daemon."""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli.logs import last_lines
from tests.e2e.support import BRIDGE, PATIENCE_S, Running, bridge

pytestmark = pytest.mark.usefixtures("started")

StartCommand = Callable[..., Running]


@pytest.fixture
def log(home: Path) -> Path:
    path = home / ".local/state/bridge/log/daemon.log"
    path.parent.mkdir(parents=True)
    return path


class Log:
    """A log that is rotated as the daemon's is, after a few lines."""

    def __init__(self, path: Path) -> None:
        self._handler = logging.handlers.RotatingFileHandler(path, maxBytes=40, backupCount=3, encoding="utf-8")

    def write(self, *lines: str) -> None:
        for line in lines:
            self._handler.emit(logging.LogRecord("", 0, "", 0, line, None, None))

    def close(self) -> None:
        self._handler.close()


def test_there_is_no_log_before_the_first_start(workspace: Path) -> None:
    done = bridge("logs", cwd=workspace)
    assert (done.returncode, "there is no log yet" in done.stderr) == (69, True)


def test_the_end_of_the_log_is_printed(workspace: Path) -> None:
    bridge("up", cwd=workspace)
    bridge("down", cwd=workspace)
    lines = bridge("logs", cwd=workspace).stdout.splitlines()
    assert "is ready at" in lines[0]
    assert lines[-1].endswith("stopping")
    assert bridge("logs", "-n", "1", cwd=workspace).stdout == lines[-1] + "\n"
    assert bridge("logs", "-n", "0", cwd=workspace).stdout == ""
    assert bridge("logs", "-n", "-1", cwd=workspace).stdout == ""


def test_the_end_is_that_of_all_files(workspace: Path, log: Path, started: list[object]) -> None:
    writer = Log(log)
    started.append(writer)
    writer.write(*(f"line {number:04}" for number in range(9)))
    assert len(list(log.parent.iterdir())) == 3
    assert last_lines(str(log), 7) == [f"line {number:04}\n" for number in range(2, 9)]
    assert len(last_lines(str(log), 100)) == 9


def test_it_is_followed_through_rotations(log: Path, running: StartCommand, started: list[object]) -> None:
    writer = Log(log)
    started.append(writer)
    writer.write(*(f"old {number}" for number in range(3)))
    following = running("logs", "-f", "-n", "1")
    following.out.until(lambda line: line == "old 2")
    for number in range(20):  # each time it has caught up, so that all rotations are seen
        writer.write(f"line {number:02}")
        following.out.until(lambda line, number=number: line == f"line {number:02}")  # type: ignore[misc]
    assert following.out.seen == ["old 2", *(f"line {number:02}" for number in range(20))]


def test_what_was_renamed_twice_meanwhile_is_read_too(log: Path, running: StartCommand, started: list[object]) -> None:
    writer = Log(log)
    started.append(writer)
    writer.write("first")
    following = running("logs", "--follow")
    following.out.until(lambda line: line == "first")
    os.kill(following.process.pid, signal.SIGSTOP)
    writer.write(*(f"line {number:04}" for number in range(9)))
    os.kill(following.process.pid, signal.SIGCONT)
    following.out.until(lambda line: line == "line 0008")
    assert following.out.seen == ["first", *(f"line {number:04}" for number in range(9))]


def test_it_is_followed_through_restarts_and_from_before_the_first_start(
    workspace: Path, running: StartCommand
) -> None:
    following = running("logs", "-f")
    for command in ("up", "restart"):
        bridge(command, cwd=workspace)
        following.out.until(lambda line: "is ready at" in line)
    bridge("down", cwd=workspace)
    following.out.until(lambda line: line.endswith("stopping"))
    following.process.send_signal(signal.SIGINT)
    assert following.end() == 130


def test_a_log_that_somebody_deleted_goes_on_when_there_is_a_new_one(log: Path, running: StartCommand) -> None:
    log.write_text("one\n", encoding="utf-8")
    following = running("logs", "-f")
    following.out.until(lambda line: line == "one")
    log.unlink()
    log.write_text("two\nthr", encoding="utf-8")
    following.out.until(lambda line: line == "two")
    with log.open("a", encoding="utf-8") as file:
        file.write("ee\n")
    following.out.until(lambda line: line == "three")
    assert following.out.seen == ["one", "two", "three"]


def test_who_has_had_enough_ends_it(workspace: Path, log: Path) -> None:
    log.write_text("one\n", encoding="utf-8")
    with subprocess.Popen(
        [*BRIDGE, "logs", "-f"], cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        assert one.stderr is not None
        assert one.stdout.readline() == b"one\n"
        one.stdout.close()
        with log.open("a", encoding="utf-8") as file:
            file.write("two\n")
        assert (one.wait(PATIENCE_S), one.stderr.read()) == (0, b"")
