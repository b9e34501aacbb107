from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bridge.core.selection import Pid
from bridge.ides import processes
from bridge.ides.processes import Standing, ancestors, ended, is_terminal, pid_state, standing_of, terminal_of

# A process that starts another, prints both PIDs and waits for the end of its input.
_PARENT = """
import os, subprocess, sys
with subprocess.Popen([sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]) as child:
    print(os.getpid(), child.pid, flush=True)
"""


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """The PIDs of a child and a grandchild of this process."""
    command = [sys.executable, "-I", "-S", "-c", _PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child, grandchild = map(int, process.stdout.readline().split())
        yield child, grandchild
        process.communicate(timeout=10)


@pytest.fixture
def dead() -> int:
    """A PID that was just given back; the next ones to be given are others."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""]) as process:
        pass
    return process.pid


def started(pid: int) -> float:
    return psutil.Process(pid).create_time()


# (seconds from the start of the process to the writing of the lock file)
@pytest.mark.parametrize(
    ("after", "state"),
    [(3600, Pid.ALIVE), (0, Pid.ALIVE), (-1.9, Pid.ALIVE), (-2.1, Pid.REUSED), (-86400, Pid.REUSED)],
)
def test_a_process_that_started_after_the_lock_file_is_another(after: float, state: Pid) -> None:
    assert pid_state(os.getpid(), started(os.getpid()) + after) is state


def test_a_process_that_ended_is_dead(dead: int) -> None:
    assert pid_state(dead, time.time()) is Pid.DEAD


@pytest.mark.parametrize(("pid", "state"), [(0, Pid.UNKNOWN), (-1, Pid.UNKNOWN), (2**31, Pid.DEAD)])
def test_a_number_that_is_no_pid(pid: int, state: Pid) -> None:
    assert pid_state(pid, time.time()) is state


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who must not signal us")
def test_a_process_that_we_must_not_signal_is_alive_all_the_same() -> None:
    os.setresuid(65534, 65534, 0)
    try:
        with pytest.raises(PermissionError):
            os.kill(1, 0)
        assert pid_state(1, time.time()) is Pid.ALIVE
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize(
    ("error", "state"),
    [(psutil.AccessDenied(1), Pid.UNKNOWN), (psutil.NoSuchProcess(1), Pid.DEAD)],
    ids=["hidden from us", "gone between the two questions"],
)
def test_a_process_whose_start_is_not_told(monkeypatch: pytest.MonkeyPatch, error: psutil.Error, state: Pid) -> None:
    """Linux tells everybody; other systems do not, and no test wins the race on purpose."""

    def refuse(_: psutil.Process) -> float:
        raise error

    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    assert pid_state(os.getpid(), time.time()) is state


def test_ancestors_are_listed_from_the_process_itself_upwards(family: tuple[int, int]) -> None:
    child, grandchild = family
    line = ancestors(grandchild)
    assert line[:3] == (grandchild, child, os.getpid())
    assert line[2:] == ancestors(os.getpid())
    assert len(set(line)) == len(line)


@pytest.mark.parametrize("pid", [-1, 2**31, 2**70])
def test_a_number_that_is_no_pid_has_no_ancestors(pid: int) -> None:
    assert ancestors(pid) == ()


def test_a_process_that_ended_has_no_ancestors(dead: int) -> None:
    assert ancestors(dead) == ()


def test_ancestors_are_listed_as_far_as_they_are_shown(
    family: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems hide the processes of others; Linux hides them by a mount option that no test can set."""
    child, grandchild = family
    ppid = psutil.Process.ppid

    def hide_child(process: psutil.Process) -> int:
        if process.pid == child:
            raise psutil.AccessDenied(child)
        return ppid(process)

    monkeypatch.setattr(psutil.Process, "ppid", hide_child)
    assert ancestors(grandchild) == (grandchild, child)


def test_ancestors_stay_known_when_a_parent_leaves() -> None:
    """The orphan is handed to another parent, but it was started where it was started."""
    command = [sys.executable, "-I", "-S", "-c", _PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child, grandchild = map(int, process.stdout.readline().split())
        before = ancestors(grandchild)
        process.kill()
        process.wait(10)
        assert before[1] == child
        assert ancestors(grandchild) == before


def test_on_windows_no_signal_is_sent_to_learn_whether_a_process_lives(
    monkeypatch: pytest.MonkeyPatch, dead: int
) -> None:
    """There ``os.kill(pid, 0)`` would end it."""

    def kill(pid: int, number: int) -> None:
        raise AssertionError("killed")

    monkeypatch.setattr(processes, "_ON_WINDOWS", True)
    monkeypatch.setattr(os, "kill", kill)
    assert pid_state(os.getpid(), time.time()) is Pid.ALIVE
    assert pid_state(dead, time.time()) is Pid.DEAD


# ---- terminals

# The leader of a session: prints its own PID and that of a child, ends at the end of its input; the child stays.
_LEADER = """
import os, subprocess, sys
command = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
child = subprocess.Popen(command, stdin=int(sys.argv[1]), stdout=subprocess.DEVNULL)
print(os.getpid(), child.pid, flush=True)
sys.stdin.read()
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel says who leads a session, and since when, on Linux")
def test_all_that_is_started_in_a_terminal_is_in_it_until_its_leader_ends() -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _LEADER, str(reader)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        pass_fds=[reader],
    ) as process:
        assert process.stdout is not None
        leader, child = map(int, process.stdout.readline().split())
        here = terminal_of(leader)
        assert here is not None
        assert here.startswith(f"{leader} ")
        assert terminal_of(child) == here != terminal_of(os.getpid())
        assert is_terminal(here)
        pid, _, boot = here.split()
        assert not is_terminal(f"{pid} 1 {boot}")  # an earlier process of that number
        process.communicate(timeout=10)
    assert terminal_of(child) is None
    assert not is_terminal(here)
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("pid", [-1, 0, 2**22 + 1, 2**70])
def test_what_is_no_process_is_in_no_terminal(pid: int) -> None:
    assert terminal_of(pid) is None


@pytest.mark.parametrize("name", ["", "x", "0 1 2", "1.5"])
def test_garbage_names_no_terminal(name: str) -> None:
    assert not is_terminal(name)


# ---- where a process stands, and its end


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = {"HOME": str(tmp_path), "HERE": "1", "STRANGE": "\udcff", "SECRET": "2"}
    command = [sys.executable, "-I", "-S", "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # else its environment may still be ours
        yield process
        process.kill()


def test_a_process_of_ours_tells_where_it_stands_and_no_more_than_is_asked(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    standing = standing_of(child.pid, {"HERE", "STRANGE", "GONE"})
    assert standing == Standing(str(tmp_path), {"HERE": "1", "STRANGE": "\udcff"}, child.pid)


@pytest.mark.parametrize("pid", [0, -1, 2**22, 2**31, 2**70])
def test_a_number_that_is_no_process_stands_nowhere(pid: int) -> None:
    assert standing_of(pid, ()) is None


def test_a_process_that_has_ended_stands_nowhere(dead: int) -> None:
    assert standing_of(dead, ()) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_process_of_somebody_else_is_not_looked_into() -> None:
    script = "import os; os.setuid(65534); print(flush=True); input()"
    command = [sys.executable, "-I", "-S", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        assert standing_of(stranger.pid, {"PATH"}) is None
        stranger.kill()


@pytest.fixture(params=["pidfd", "no more files", "elsewhere"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems that tell the end of a process, or do not."""
    monkeypatch.setattr(processes, "LOOK_S", 0.01)
    if request.param == "elsewhere":
        monkeypatch.setattr(sys, "platform", "darwin")
    elif request.param == "no more files":

        def full(pid: int) -> int:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(os, "pidfd_open", full)


@pytest.mark.usefixtures("system")
async def test_the_end_of_a_process_is_noticed_and_not_before(child: subprocess.Popen[bytes]) -> None:
    waiting = asyncio.ensure_future(ended(child.pid))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    child.send_signal(signal.SIGSTOP)
    child.send_signal(signal.SIGCONT)
    child.kill()
    await asyncio.to_thread(child.wait, 20)
    await asyncio.wait_for(waiting, 20)


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("pid", [0, -1, 2**22, 2**31, 2**70])
async def test_what_does_not_run_has_ended(pid: int) -> None:
    await asyncio.wait_for(ended(pid), 20)


async def test_a_process_that_nobody_waited_for_has_ended(child: subprocess.Popen[bytes]) -> None:
    child.kill()  # and is a zombie now
    await asyncio.wait_for(ended(child.pid), 20)


async def test_who_waits_no_more_leaves_no_file_open(child: subprocess.Popen[bytes]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    waiting = asyncio.ensure_future(ended(child.pid))
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    waiting.cancel()
    await asyncio.wait([waiting])
    assert len(os.listdir("/proc/self/fd")) == before
