"""``bridge mcp``, typed by a person: agents start it in `tests/e2e/test_mcp.py`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.support import BRIDGE, PATIENCE_S

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended


def test_without_an_input_there_is_nobody_to_speak_to(home: Path) -> None:
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *BRIDGE, "mcp"], cwd=home, capture_output=True, timeout=PATIENCE_S
    )
    assert (closed.returncode, closed.stdout) == (2, b"")
    assert b"standard input is closed" in closed.stderr


def test_who_types_it_is_told_what_it_is_and_a_terminal_that_goes_ends_it(home: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*BRIDGE, "mcp"], cwd=home, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert process.stdout is not None
        assert b"this speaks MCP, for agents" in process.stderr.readline()
        os.write(ours, b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert b'"id":1' in process.stdout.readline()
        os.close(ours)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == b""
