"""The forwarder against a daemon of the test's making; the real ones are in tests/e2e/test_mcp.py."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.support import bridge
from tests.fakedaemon import FakeDaemon, breaks, in_turn

LIST = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}\n'


def test_a_daemon_that_dies_before_it_speaks_mcp_costs_the_agent_nothing(daemon: FakeDaemon, home: Path) -> None:
    """It takes a second to learn; an agent whose server ends meanwhile has none for the rest of its session."""
    daemon.answers |= {"mcp/serve": in_turn(breaks, lambda asked, say: {}), "tools/list": lambda asked, say: "it"}
    done = bridge("mcp", cwd=home, stdin=LIST)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"id": 1, "result": "it"}
    assert daemon.methods() == ["hello", "mcp/serve", "hello", "mcp/serve", "tools/list"]


def test_one_that_always_does_is_told_of(daemon: FakeDaemon, home: Path) -> None:
    daemon.answers["mcp/serve"] = breaks
    done = bridge("mcp", cwd=home, stdin=LIST)
    assert done.returncode == 69
    assert "dies again and again" in json.loads(done.stdout)["error"]["message"]
