"""What the process table says about a PID. It is a hint: PIDs are reused, and may belong to another world."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import psutil

from bridge.core.selection import Pid

__all__ = ["Standing", "ancestors", "ended", "is_terminal", "pid_state", "standing_of", "terminal_of"]

# The wall clock may have been set between the start of a process and the writing of its file.
TOLERANCE_S: Final = 2.0
_ON_WINDOWS: Final = sys.platform == "win32"  # where `os.kill(pid, 0)` ends the process
LOOK_S: Final = 1.0  # for the end of a process that sends no event
GENERATIONS_MAX: Final = 64
TERMINALS_KEPT: Final = 256


def pid_state(pid: int | None, modified: float) -> Pid:
    """Say whether the process that wrote a lock file still runs.

    Args:
        pid: from the lock file, of this machine's PID space; others are the caller's to leave out. None: it names none.
        modified: mtime of the lock file, epoch seconds. A process that started later is not its author.

    Source: docs/protocol.md "Lock file": the PID may be the listener's parent, and several windows share it.
    """
    if pid is None or pid <= 0:  # for `os.kill` these are groups of processes
        return Pid.UNKNOWN
    if not _ON_WINDOWS and _is_gone(pid):
        return Pid.DEAD
    try:
        created = _created(pid)
    except psutil.NoSuchProcess:
        return Pid.DEAD
    except psutil.Error:
        return Pid.UNKNOWN
    return Pid.REUSED if created > modified + TOLERANCE_S else Pid.ALIVE


def _is_gone(pid: int) -> bool:
    """Ask the kernel: fifty times cheaper than psutil, and most stale locks end here."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it exists; whether it is the author is the next question all the same
        pass
    return False


def ancestors(pid: int) -> tuple[int, ...]:
    """List `pid` and the processes it descends from, nearest first; empty if it does not run.

    The walk is done once per process, so a parent that exits later stays in the answer: the terminal was
    started in it all the same.
    """
    try:
        return _walk(pid, _created(pid))
    except (psutil.Error, ValueError, OverflowError):  # gone, hidden from us, or no PID at all
        return ()


class Standing(NamedTuple):
    """Where a process stands: its directory, and what matters of its environment. `pid` None: it is not known."""

    cwd: str
    environ: Mapping[str, str]
    pid: int | None
    terminal_pid: int | None = None  # a process in the terminal that shows it, where that is another one


def standing_of(pid: int, variables: Collection[str]) -> Standing | None:
    """Look where a process of our own user stands; None for any other, and for what the system does not tell.

    Args:
        pid: as the process itself says, so it may be anything.
        variables: the only ones that are read.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.uids().real != os.getuid():
                return None
            environ = process.environ()
            return Standing(process.cwd(), {name: environ[name] for name in variables if name in environ}, pid)
    except (psutil.Error, OSError, ValueError, OverflowError):
        return None


async def ended(pid: int) -> None:
    """Return when the process has ended, or at once if it does not run. Its number is held while we wait (Linux)."""
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except (OSError, OverflowError):  # it is gone; or files ran out, then looking again and again must do
            await _gone(pid)
            return
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(handle, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
    else:
        await _gone(pid)


async def _gone(pid: int) -> None:
    try:
        created = _created(pid)
        while psutil.pid_exists(pid) and _created(pid) == created:  # noqa: ASYNC110  (nothing tells of its end)
            await asyncio.sleep(LOOK_S)
    except (psutil.Error, ValueError, OverflowError):
        return


def _created(pid: int) -> float:
    return psutil.Process(pid).create_time()


@lru_cache(maxsize=TERMINALS_KEPT)
def _walk(pid: int, created: float) -> tuple[int, ...]:
    """Follow the parents up; `created` tells apart the processes that had this `pid` one after the other."""
    del created
    line: list[int] = []
    try:
        while pid > 0 and pid not in line and len(line) < GENERATIONS_MAX:
            line.append(pid)
            pid = psutil.Process(pid).ppid()
    except psutil.Error:  # a parent left meanwhile, or is hidden from us
        pass
    return tuple(line)


def terminal_of(pid: int) -> str | None:
    """Name the terminal that a process belongs to: its session, and when the leader of that was started.

    The same for all that is started there, and never again for another terminal. None where it cannot be told: the
    process is gone or in another PID namespace, the leader has ended, this is not Linux.
    """
    try:
        return _session(os.getsid(pid)) if pid > 0 else None  # for the kernel, 0 would be we ourselves
    except (OSError, OverflowError, AttributeError):
        return None


def is_terminal(name: str) -> bool:
    """Tell whether the leader of a terminal named by `terminal_of` still runs."""
    leader = name.partition(" ")[0]
    return leader.isdecimal() and terminal_of(int(leader)) == name


def _session(leader: int) -> str:
    """Name a session by its leader's start as the kernel counts it.

    Not as psutil gives it: that depends on the wall clock, which is set, in WSL after every sleep of the machine.
    """
    with open(f"/proc/{leader}/stat", "rb") as file:
        started = file.read().rpartition(b")")[2].split()[19]  # proc(5), field 22; the name may hold anything
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{leader} {int(started)} {file.read().strip()}"
