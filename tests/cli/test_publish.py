"""``bridge publish``: what it says; what becomes of it is told in tests/e2e/test_run_stories.py."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.support import BRIDGE, PATIENCE_S, bridge, daemon_about, until

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended


def test_on_and_off_say_what_is_published_now(workspace: Path, home: Path) -> None:
    assert bridge("publish", cwd=workspace).stdout == "nothing is published\n"
    done = bridge("publish", "on", cwd=workspace)
    (name,) = os.listdir(home / ".claude" / "ide")
    assert done.stdout == f"port {Path(name).stem} (ws) for every agent: {name}\n"
    assert "connects to neither by itself" in done.stderr
    assert bridge("publish", "on", cwd=workspace).stdout == done.stdout
    (line,) = [line for line in bridge("status", cwd=workspace).stdout.splitlines() if "an IDE for" in line]
    assert line == f"an IDE for every agent: port {Path(name).stem} (ws), 0 agents connected"
    done = bridge("publish", "off", cwd=workspace)
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing is published\n", "")


def test_as_json_and_over_sse(workspace: Path) -> None:
    (row,) = json.loads(bridge("publish", "on", "--sse", "--json", cwd=workspace).stdout)["published"]
    assert (row["transport"], row["everywhere"], row["pid"], row["agents"]) == ("sse", True, None, 0)
    assert json.loads(Path(row["lock"]).read_text(encoding="utf-8"))["transport"] == "sse"


def test_the_child_of_bridge_run_is_listed(workspace: Path) -> None:
    command = [*BRIDGE, "run", "--", "sh", "-c", "echo $$; read word"]
    with subprocess.Popen(command, cwd=workspace, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        until(lambda: f"for process {pid}: " in bridge("publish", cwd=workspace).stdout, "it is not listed")
        run.communicate(b"\n", timeout=PATIENCE_S)


def test_without_a_daemon_none_is_started_where_that_is_not_wanted(workspace: Path) -> None:
    for words in ((), ("on",), ("off",)):
        assert bridge("publish", *words, "--no-spawn", cwd=workspace).returncode == 69
    assert bridge("publish", "maybe", cwd=workspace).returncode == 2
    assert daemon_about() is None


def test_what_cannot_be_published_is_said(workspace: Path, home: Path) -> None:
    (home / ".claude" / "ide").mkdir(parents=True)
    (home / ".claude" / "ide").chmod(0o777)
    done = bridge("publish", "on", cwd=workspace)
    assert (done.returncode, done.stdout) == (69, "")
    assert "can be written by others" in done.stderr
    assert bridge("publish", cwd=workspace).stdout == "nothing is published\n"
