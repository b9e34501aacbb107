"""What the process table says about a PID. It is a hint: PIDs are reused, and may belong to another world."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import Final

import psutil

from bridge.core.selection import Pid

__all__ = ["ancestors", "is_terminal", "pid_state", "terminal_of"]

# The wall clock may have been set between the start of a process and the writing of its file.
TOLERANCE_S: Final = 2.0
_ON_WINDOWS: Final = sys.platform == "win32"  # where `os.kill(pid, 0)` ends the process
GENERATIONS_MAX: Final = 64
TERMINALS_KEPT: Final = 256


def pid_state(pid: int, modified: float) -> Pid:
    """Say whether the process that wrote a lock file still runs.

    Args:
        pid: from the lock file, of this machine's PID space; others are the caller's to leave out.
        modified: mtime of the lock file, epoch seconds. A process that started later is not its author.

    Source: docs/protocol.md "Lock file": the PID may be the listener's parent, and several windows share it.
    """
    if pid <= 0:  # for `os.kill` these are groups of processes
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
