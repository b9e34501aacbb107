"""What the command line imports: a command's first duty is to be quick (design.md D3)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.client import Client
from bridge.finding import start
from bridge.paths import paths

PATIENCE_S = 40.0

# Everything of ours that `bridge status` may load.
OURS = {
    "bridge",
    "bridge.__main__",
    "bridge.asking",
    "bridge.cli",
    "bridge.cli.output",
    "bridge.cli.status",
    "bridge.client",
    "bridge.connection",
    "bridge.errors",
    "bridge.finding",
    "bridge.paths",
}
_DUMP = """
import runpy, sys
before = set(sys.modules)
try:
    runpy.run_module("bridge", run_name="__main__", alter_sys=True)
except SystemExit as ended:
    code = ended.code
print("\\n".join(sorted(set(sys.modules) - before)), file=sys.stderr)
sys.exit(code)
"""
# What is paid for anyway: these modules, and what argparse loads by itself for its first argument.
_FLOOR = """
import __future__, _socket, argparse, collections.abc, json, runpy, struct, sys, zlib
formatter = lambda prog: argparse.HelpFormatter(prog, width=100)  # without a width it looks for the terminal's
argparse.ArgumentParser(formatter_class=formatter).add_argument("--json", help="argparse needs its formatter for this")
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


@pytest.fixture
def daemon(home: Path) -> object:
    start(paths(os.environ), os.environ)
    yield
    with Client(spawn=False) as client:
        client.request("daemon/stop")
        client.wait_for_end()


def _modules(script: str, *words: str) -> set[str]:
    """Run a script and give what it loaded; it prints that on stderr, a line each, like the command itself."""
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return {line for line in done.stderr.splitlines() if " " not in line}


@pytest.mark.usefixtures("daemon")
def test_status_imports_next_to_nothing() -> None:
    loaded = _modules(_DUMP, "status")
    floor = _modules(_FLOOR)
    ours = {name for name in loaded if name.partition(".")[0] in ("bridge", "pathconv")}
    assert ours <= OURS
    assert loaded - ours - floor == set()


@pytest.mark.usefixtures("daemon")
def test_a_prompt_pays_for_no_more() -> None:
    loaded = _modules(_DUMP, "shell-hook", "bash")
    ours = {name for name in loaded if name.partition(".")[0] in ("bridge", "pathconv")}
    assert ours <= OURS - {"bridge.cli.status"} | {"bridge.cli.shell_hook"}
    assert loaded - ours - _modules(_FLOOR) == set()


@pytest.mark.usefixtures("daemon")
def test_an_agent_that_starts_mcp_pays_for_no_more() -> None:
    loaded = _modules(_DUMP, "mcp")  # its input ends at once
    ours = {name for name in loaded if name.partition(".")[0] in ("bridge", "pathconv")}
    assert ours <= OURS - {"bridge.cli.status", "bridge.client"} | {"bridge.cli.mcp", "bridge.forwarder"}
    assert loaded - ours - _modules(_FLOOR) == {"select"}


@pytest.mark.usefixtures("daemon")
def test_a_hook_pays_for_no_more() -> None:
    """It stays out here, for nothing is on its stdin; what leads to the page or speaks for the daemon comes later."""
    loaded = _modules(_DUMP, "hook", "claude")
    ours = {name for name in loaded if name.partition(".")[0] in ("bridge", "pathconv")}
    assert ours <= OURS - {"bridge.cli.status"} | {"bridge.cli.hook"}
    assert loaded - ours - _modules(_FLOOR) == set()


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("words", [["status", "--json"], ["review", "ls"], ["up"], ["open", "--help"], ["--version"]])
def test_no_command_loads_what_only_the_daemon_needs(words: list[str]) -> None:
    heavy = {
        "asyncio",
        "http",
        "pydantic",
        "msgspec",
        "websockets",
        "sqlite3",
        "psutil",
        "logging",
        "rich",
        "bridge.daemon",
    }
    assert _modules(_DUMP, *words) & heavy == set()
