"""A thousand lock files, nearly all of them stale: list, read, parse, look for the process.

Both sides do it again and again in a process that has warmed up. *Cold* means that nothing is known of the
files; *again*, that they have not changed since. Node reads them all each time, as its programs do: with
promises, since a server must not block (the goals are about that), and blocking, which is the fastest it can.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.measure import Row, Subject, alternate, ratio, timed
from benchmarks.stage import stage
from bridge.core.selection import Pid
from bridge.ides.locks import LockDirectory, LockScanner
from bridge.ides.processes import pid_state

SCRIPT = str(Path(__file__).with_suffix(".js"))
FILES = 1000
ALIVE = 10
NEVER_A_PID = 2**22 + 1  # Linux counts no further (PID_MAX_LIMIT), so no process gets one of these meanwhile
ROUNDS = 60
WARM_UP = 20


def run(quick: bool) -> list[Row]:
    with stage() as here:
        write_locks(here.lock_dir)
        # A minute ahead, for the scanner does not remember files that were written a moment ago.
        remembering = LockScanner(lambda: time.time_ns() + 60 * 10**9)
        subjects = {
            "cold": timed(lambda: scan(LockScanner(), here.lock_dir)),
            "again": timed(lambda: scan(remembering, here.lock_dir)),
        }
        with node_scans(here.lock_dir) as by_node:
            times = alternate(subjects | by_node, *((2, 1) if quick else (ROUNDS, WARM_UP)))
    return [
        ratio("1000 lock files, cold / Node", times, "cold", "node", goal=0.2),
        ratio("1000 lock files, again / Node", times, "again", "node", goal=0.12),
        ratio("1000 lock files, cold / Node, blocking", times, "cold", "node blocking"),
        ratio("1000 lock files, again / Node, blocking", times, "again", "node blocking"),
    ]


def write_locks(directory: Path) -> None:
    """Write lock files as the official extension does."""
    pids = [os.getpid()] * ALIVE + list(range(NEVER_A_PID, NEVER_A_PID + FILES - ALIVE))
    for port, pid in enumerate(pids, start=20_000):
        lock = {
            "pid": pid,
            "workspaceFolders": [f"/home/user/projects/project-{port}"],
            "ideName": "Visual Studio Code",
            "transport": "ws",
            "authToken": f"00000000-0000-4000-8000-{port:012}",
        }
        file = directory / f"{port}.lock"
        file.write_text(json.dumps(lock), encoding="ascii")
        file.chmod(0o600)


def scan(scanner: LockScanner, directory: Path) -> None:
    found = scanner.scan([LockDirectory(str(directory))]).admitted
    alive = sum(pid_state(one.lock.pid, one.modified) is Pid.ALIVE for one in found)
    assert (len(found), alive) == (FILES, ALIVE)


@contextmanager
def node_scans(directory: Path) -> Iterator[dict[str, Subject]]:
    """A Node process that scans when it is told to and says how long that took; nothing where there is no Node."""
    node = shutil.which("node")
    if node is None:
        yield {}
        return
    with subprocess.Popen([node, SCRIPT, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, said = process.stdin, process.stdout

        def scan(how: bytes) -> float:
            asked.write(how + b"\n")
            asked.flush()
            report = json.loads(said.readline())
            assert (report["files"], report["alive"]) == (FILES, ALIVE)
            return float(report["seconds"])

        with asked:
            yield {"node": partial(scan, b"promises"), "node blocking": partial(scan, b"sync")}
