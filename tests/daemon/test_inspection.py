"""What `bridge doctor` looks at; its stories are in tests/cli/test_doctor.py, here is what no command shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.core.daemonchecks import NAMESPACES, Answer
from bridge.core.reach import Mode
from bridge.core.selection import Listener, Pid
from bridge.daemon.inspection import inspect_bridge, inspect_daemon, inspect_ides
from bridge.errors import Unavailable
from bridge.paths import Paths, make_private
from pathconv import probe
from tests.ides.listeners import connected, listening, port_of
from tests.ides.lockfiles import ide_directory, write_lock
from tests.ides.wslmachine import WslMachine
from tests.wsl.system import WINDOWS_PID

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


def test_only_files_and_sockets_count_as_files(places: Paths) -> None:
    make_private(places.state)
    state = Path(places.state)
    (state / "doors").mkdir()
    (state / "link").symlink_to("/etc/passwd")
    (state / "journal.sqlite").write_bytes(b"12345")
    (state / "journal.sqlite").chmod(0o640)
    (found,) = inspect_bridge(os.environ, places, None).files
    assert (found.path, found.uid, found.mode, found.size) == (places.journal, os.getuid(), 0o640, 5)


def test_room_is_measured_where_the_state_directory_would_be_made(places: Paths, home: Path) -> None:
    facts = inspect_bridge(os.environ, places, None)
    assert facts.writable == str(home)
    assert facts.free_bytes is not None
    assert facts.free_bytes > 0
    assert [directory.exists for directory in facts.directories] == [False, False]


@linux
def test_the_surroundings_of_a_process_are_read_and_those_of_a_dead_one_are_unknown() -> None:
    with subprocess.Popen(
        ["sh", "-c", "echo runs; read x"],
        cwd="/",
        env={"HOME": "/a\udcff", "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"  # only then its environment is there to be read
        there = inspect_daemon(Answer(pid=process.pid)).answer
        process.kill()
    gone = inspect_daemon(Answer(pid=process.pid)).answer
    assert there is not None
    assert there.world is not None
    assert (there.world.home, there.world.directory) == ("/a\udcff", "/")
    assert there.world.namespaces.keys() == NAMESPACES.keys()
    assert gone == Answer(pid=process.pid)


@linux
def test_our_own_open_files_are_counted_when_the_daemons_cannot_be(places: Paths) -> None:
    hung = Answer(pid=0, error=Unavailable("silent"))
    before, *_ = inspect_bridge(os.environ, places, hung).quotas
    with open(os.devnull, "rb"):
        after, *_ = inspect_bridge(os.environ, places, hung).quotas
    assert (before.name, after.used - before.used) == ("open files", 1)


def test_each_lock_file_is_described_without_asking_its_ide(places: Paths, home: Path) -> None:
    directory = ide_directory(home / ".claude")
    (directory / "5.lock").symlink_to("/etc/passwd")
    write_lock(directory, 9, pid=os.getpid(), mode=0o644)
    facts = inspect_ides(os.environ, places, [], browser=False)
    (silent,) = facts.announced
    assert (silent.lock.port, silent.pid, silent.listener) == (9, Pid.ALIVE, Listener.NONE)
    assert (silent.weak, silent.exposed, silent.state) == (("mode 0644",), False, "listening")
    (distrusted,) = facts.distrusted
    assert (distrusted.path, distrusted.reason, distrusted.symlink) == (f"{directory}/5.lock", "is a symlink", True)


def test_what_the_daemon_knows_of_an_ide_goes_before_what_is_seen_from_here(places: Paths, home: Path) -> None:
    write_lock(ide_directory(home / ".claude"), 9)
    rows = [{"port": 9, "state": "refused", "detail": "closed with 1008"}]
    (known,) = inspect_ides(os.environ, places, rows, browser=False).announced
    assert (known.state, known.detail) == ("refused", "closed with 1008")


def test_without_a_daemon_a_connected_ide_is_occupied(places: Paths, home: Path) -> None:
    with listening() as listener, connected(listener):
        write_lock(ide_directory(home / ".claude"), port_of(listener))
        (window,) = inspect_ides(os.environ, places, [], browser=False).announced
    assert (window.listener, window.state) == (Listener.OURS, "occupied")


def test_a_directory_that_was_removed_is_none(places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert inspect_ides(os.environ, places, [], browser=False).directory == os.path.realpath(tmp_path)
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert inspect_ides(os.environ, places, [], browser=False).directory is None


# ---- beyond the Windows boundary


@pytest.fixture
def wsl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WslMachine:
    """We are in WSL, with a profile that has an IDE's lock on port 9, whose process Windows has not."""
    machine = WslMachine(tmp_path)
    machine.system.install_wsl_programs("mirrored")
    machine.system.install_windows_programs()
    machine.join("eth0", "loopback0")
    monkeypatch.setattr(probe, "this_machine", lambda: machine.probe().machine)
    write_lock(machine.profile() / ".claude" / "ide", 9, runningInWindows=True, pid=WINDOWS_PID + 1)
    return machine


def test_windows_is_asked_about_an_ide_that_does_not_answer(places: Paths, wsl: WslMachine) -> None:
    facts = inspect_ides(os.environ, places, [], browser=False)
    (silent,) = facts.announced
    assert (silent.pid, silent.listener, silent.ended) == (Pid.UNKNOWN, Listener.UNREACHABLE, True)
    assert silent.silence is not None
    assert (facts.terrain.mode, facts.terrain.profile) == (Mode.MIRRORED, "C:\\Users\\me")
    assert facts.directories[-1] == f"{wsl.mounts}/c/Users/me/.claude/ide"


def test_windows_is_not_asked_about_ides_of_this_side(places: Paths, wsl: WslMachine, home: Path) -> None:
    (wsl.mounts / "c/Users/me/.claude/ide/9.lock").unlink()
    asked = wsl.mounts / "asked"
    (wsl.mounts / "c/Windows/System32/tasklist.exe").write_text(f"#!/bin/sh\ntouch {asked}\n", "utf-8")
    write_lock(ide_directory(home / ".claude"), 9)
    inspect_ides(os.environ, places, [], browser=False)
    assert not asked.exists()


def test_what_the_daemon_knows_of_one_side_is_not_told_of_the_other(places: Paths, wsl: WslMachine, home: Path) -> None:
    write_lock(ide_directory(home / ".claude"), 9, authToken="ours")
    rows = [{"port": 9, "side": "windows", "state": "refused", "detail": ""}]
    announced = inspect_ides(os.environ, places, rows, browser=False).announced
    assert {ide.lock.running_in_windows: ide.state for ide in announced} == {True: "refused", False: "listening"}


def test_what_a_relay_of_the_daemon_found_is_told(places: Paths, wsl: WslMachine) -> None:
    rows = [{"port": 9, "side": "windows", "state": "unreachable", "detail": "nobody is there", "fix": "restart it"}]
    (silent,) = inspect_ides(os.environ, places, rows, browser=False).announced
    assert silent.silence == ("nobody is there", "restart it")


def test_a_configuration_that_cannot_be_read_is_told_elsewhere(places: Paths) -> None:
    Path(places.config).parent.mkdir(parents=True)
    Path(places.config).write_text("nonsense", "utf-8")
    assert inspect_ides(os.environ, places, [], browser=False).announced == ()
