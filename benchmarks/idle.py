"""A daemon that nobody needs at the moment: what it keeps in memory, and how often it wakes up to look around."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from benchmarks.measure import Row
from benchmarks.stage import stage

SETTLE_S = 2.0  # after its start, until it has found its rest
WATCH_S = 10.0


def run(quick: bool) -> list[Row]:
    with stage() as here, here.daemon() as daemon:
        time.sleep(0 if quick else SETTLE_S)
        watch_s = 1.0 if quick else WATCH_S
        before = wake_ups(daemon)
        time.sleep(watch_s)
        per_second = (wake_ups(daemon) - before) / watch_s
        memory = daemon.memory_full_info()
    return [
        Row(name="idle daemon, resident", unit="MB", value=memory.rss / 1e6, goal=48.0),
        Row(name="idle daemon, unshared", unit="MB", value=memory.uss / 1e6),
        Row(name="idle daemon, wake-ups", unit="/s", value=per_second, goal=10.0),
    ]


def wake_ups(process: psutil.Process) -> int:
    """Count how often any of its threads has slept: what `psutil` counts is the main thread's (proc_pid_status(5))."""
    statuses = Path(f"/proc/{process.pid}/task").glob("*/status")
    lines = (line for status in statuses for line in status.read_text(encoding="ascii").splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
