"""The benchmarks run, and every number is there. Whether it is good is for a quiet machine to say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from benchmarks import agents
from benchmarks.__main__ import BENCHMARKS
from benchmarks.lean import frame, frames
from benchmarks.load import Window
from benchmarks.measure import many_files
from benchmarks.paths import HOSTILE
from benchmarks.stage import stage

ROOT = Path(__file__).parents[1]
PATIENCE_S = 55.0

GOALS: dict[str, dict[str, float | None]] = {
    "status": {
        "bridge status / Node": 1.0,
        "bridge status / python -c pass": None,
        "bridge shell-hook / bridge status": 1.5,
    },
    "mcp": {
        "bridge mcp, initialize / bridge status": 1.2,
        "bridge mcp, discover / bridge status": 1.2,
        "bridge mcp, initialize / bridge review ls": None,
    },
    "hook": {"bridge hook, stays out / bridge status": 1.2, "bridge hook, allow / bridge diff": 1.2},
    "scan": {
        "1000 lock files, cold / Node": 0.2,
        "1000 lock files, again / Node": 0.12,
        "1000 lock files, cold / Node, blocking": None,
        "1000 lock files, again / Node, blocking": None,
    },
    "calls": {
        "call, 200 B, back to back / direct": 1.8,
        "call, 200 B, sparse / direct": 1.8,
        "call, 100 KB, back to back / direct": 2.0,
        "call, 100 KB, sparse / direct": 2.0,
    },
    "hops": {
        f"hop, {size}, {pace} / direct": goal
        for size, goal in {"200 B": 1.5, "4 KB": None, "256 KB": 1.8, "4 MB": None}.items()
        for pace in ("back to back", "sparse")
    },
    "agents": {
        "memory of an agent, 100 of them": None,
        "memory of an agent, 1000 of them": 25.0,
        "calls, 1 agent / direct": None,
        "calls, 10 agents / direct": None,
        "calls, 100 agents / direct": 3.2,
        "calls, 1000 agents / direct": None,
        "p99 at 500 calls/s, 10 agents / 1": None,
        "p99 at 500 calls/s, 100 agents / 1": None,
        "p99 at 500 calls/s, 1000 agents / 1": 1.5,
    },
    "paths": {
        "path, there and back / /bin/true": 0.02,
        **{f"path of {kind}, 1 MB / 1 KB": 2.0 for kind in HOSTILE},
    },
    "idle": {"idle daemon, resident": 48.0, "idle daemon, unshared": None, "idle daemon, wake-ups": 10.0},
}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read Linux's /proc")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "--quick", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True)


@LINUX
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_row_is_measured_and_has_its_goal(name: str) -> None:
    rows: list[dict[str, Any]] = json.loads(run("--json", name).stdout)
    assert {row["name"]: row["goal"] for row in rows} == GOALS[name]
    measured = {row["name"] for row in rows if row["value"] is not None and row["value"] > 0}
    expected = {row for row in GOALS[name] if "/ Node" not in row or shutil.which("node")}
    assert measured == expected


@LINUX
def test_what_is_named_must_be_there() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run("idle", "scna")
    assert failed.value.returncode == 2
    assert "no such benchmark: scna" in failed.value.stderr


@LINUX
def test_loads_of_agents_answer_for_themselves() -> None:
    """The direct case alone: what makes the calls, and what they are held against."""
    with many_files(), stage() as here, here.ide("benchmarks.lean") as ide, agents.load(here, ide, 20) as load:
        busy = load.measure(Window(0.05))
        assert busy.calls > 20
        assert busy.calls / busy.seconds > 100
        paced = load.measure(Window(0.1, rate=200.0))
        assert paced.calls == 20
        assert 0 < paced.p99_s < paced.seconds


FRAMES = [b"", b"x", b"x" * 125, b"x" * 126, b"x" * 65_535, b"x" * 65_536]


@pytest.mark.parametrize("masked", [False, True])
def test_lean_frames_are_frames(masked: bool) -> None:
    """Held against the library, in both directions, in whatever pieces they arrive."""
    for payload in FRAMES:
        ours = frame(payload, masked=masked)
        theirs = Frame(Opcode.TEXT, payload).serialize(mask=masked)
        if not masked:
            assert ours == theirs
        assert frames(ours + theirs + theirs[:-1]) == ([(1, payload), (1, payload)], theirs[:-1])
