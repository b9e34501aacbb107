"""``bridge up``, ``down`` and ``restart``."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.support import Running, bridge, daemon_about, kill_daemon

pytestmark = pytest.mark.usefixtures("started")


def pid() -> int:
    about = daemon_about()
    assert about is not None
    number: int = about["pid"]
    return number


def test_up_and_down_say_what_was_and_may_be_repeated(workspace: Path) -> None:
    said = []
    for words, code in [("down", 0), ("up", 0), ("up", 0), ("down", 0), ("down", 0)]:
        done = bridge(words, cwd=workspace)
        assert (done.returncode, done.stderr) == (code, "")
        said.append(done.stdout.partition(" (pid")[0].rstrip("\n"))
    assert said == [
        "the bridge is not running",
        "the bridge is running",
        "the bridge is already running",
        "the bridge is stopped",
        "the bridge is not running",
    ]


def test_down_leaves_no_trace_but_journal_and_log(workspace: Path, home: Path) -> None:
    bridge("up", cwd=workspace)
    about = daemon_about()
    assert about is not None
    bridge("down", cwd=workspace)
    left = {path.name for path in (home / ".local/state/bridge").iterdir()}
    assert left <= {"journal.sqlite", "daemon.lock", "log"}
    assert not Path(about["socket"]).exists()


def test_a_restart_brings_another_daemon(workspace: Path) -> None:
    bridge("up", cwd=workspace)
    before = pid()
    done = bridge("restart", cwd=workspace)
    assert done.returncode == 0
    assert pid() != before
    assert done.stdout == f"the bridge is stopped\nthe bridge is running (pid {pid()})\n"


def test_a_restart_of_what_does_not_run_is_a_start(workspace: Path) -> None:
    done = bridge("restart", cwd=workspace)
    assert (done.returncode, done.stdout) == (0, f"the bridge is not running\nthe bridge is running (pid {pid()})\n")


def test_what_a_killed_daemon_left_is_in_nobodys_way(workspace: Path) -> None:
    bridge("up", cwd=workspace)
    dead = kill_daemon()
    done = bridge("up", cwd=workspace)
    assert (done.returncode, pid() == dead) == (0, False)
    assert done.stdout == f"the bridge is running (pid {pid()})\n"


def test_down_is_right_about_a_daemon_that_was_killed(workspace: Path) -> None:
    bridge("up", cwd=workspace)
    kill_daemon()
    assert bridge("down", cwd=workspace).stdout == "the bridge is not running\n"


def test_a_daemon_that_hangs_is_ended_and_replaced(workspace: Path) -> None:
    bridge("up", cwd=workspace)
    hung = pid()
    os.kill(hung, signal.SIGSTOP)
    done = bridge("restart", cwd=workspace)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"the bridge did not answer and was killed (pid {hung}); its reviews are safe",
        f"the bridge is running (pid {pid()})",
    ]
    assert pid() != hung


def test_nothing_is_started_where_that_is_forbidden(workspace: Path) -> None:
    done = bridge("status", "--no-spawn", cwd=workspace)
    assert (done.returncode, done.stderr) == (69, "error: the bridge is not running\n\nhint: bridge up\n")
    assert daemon_about() is None


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_runs_until_it_is_told_to_end(
    workspace: Path, running: Callable[..., Running], signum: int
) -> None:
    daemon = running("up", "--foreground")
    daemon.err.until(lambda line: line == "the bridge is running; Ctrl-C stops it")
    assert pid() == daemon.process.pid
    second = bridge("up", "--foreground", cwd=workspace)
    assert (second.returncode, second.stderr) == (0, "the bridge is already running\n")
    daemon.process.send_signal(signum)
    assert daemon.end() == 0
    assert daemon_about() is None


def test_a_socket_directory_that_others_may_enter_is_refused_with_the_way_to_mend_it(workspace: Path) -> None:
    runtime = Path(os.environ["XDG_RUNTIME_DIR"]) / "bridge"
    runtime.mkdir(mode=0o700)
    runtime.chmod(0o777)
    done = bridge("up", cwd=workspace)
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr == (f"error: {runtime} can be entered by others (mode 0777)\n\nhint: chmod 700 '{runtime}'\n")
    runtime.chmod(0o700)
    assert bridge("up", cwd=workspace).returncode == 0
