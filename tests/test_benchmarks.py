"""The benchmarks run, and every number is there. Whether it is good is for a quiet machine to say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import HOSTILE

ROOT = Path(__file__).parents[1]
PATIENCE_S = 55.0

AGAINST_NODE = {
    "bridge status / Node": 1.0,
    "1000 lock files, cold / Node": 0.2,
    "1000 lock files, again / Node": 0.12,
    "1000 lock files, cold / Node, blocking": None,
    "1000 lock files, again / Node, blocking": None,
}
OTHERS = {
    "bridge status / python -c pass": None,
    "bridge shell-hook / bridge status": 1.5,
    "call, 200 B, back to back / direct": 1.8,
    "call, 200 B, sparse / direct": 1.8,
    "call, 100 KB, back to back / direct": 2.0,
    "call, 100 KB, sparse / direct": 2.0,
    "path, there and back / /bin/true": 0.02,
    **{f"path of {kind}, 1 MB / 1 KB": 2.0 for kind in HOSTILE},
    "idle daemon, resident": 48.0,
    "idle daemon, unshared": None,
    "idle daemon, wake-ups": 10.0,
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "--quick", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read Linux's /proc")
def test_every_row_is_measured_and_has_its_goal() -> None:
    rows: list[dict[str, Any]] = json.loads(run("--json").stdout)
    assert {row["name"]: row["goal"] for row in rows} == AGAINST_NODE | OTHERS
    measured = {row["name"] for row in rows if row["value"] is not None and row["value"] > 0}
    assert measured == {*OTHERS} | ({*AGAINST_NODE} if shutil.which("node") else set())
