"""The MCP Inspector, the protocol's authors' own tool, drives `bridge mcp`; `scripts/node-tools` installs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.toolbox import TOOLS
from tests.e2e.mcpagents import whereabouts
from tests.e2e.support import BRIDGE, PATIENCE_S, ROOT, Ide, bridge

MODULES = ROOT / ".node-tools" / "node_modules"
INSPECTOR = MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
NODES = [*MODULES.glob("node-*/bin/node")]

pytestmark = [
    pytest.mark.usefixtures("started"),  # whatever starts a daemon, it is ended
    pytest.mark.skipif(not (INSPECTOR.exists() and NODES), reason="no MCP Inspector: ./scripts/node-tools"),
]
eras = pytest.mark.parametrize("era", ["legacy", "modern"])

StartIde = Callable[..., Ide]


def inspect(cwd: Path, target: list[str], *words: str) -> Any:
    """Let the Inspector ask, and give the result; it complains of schemas that some hosts do not take."""
    done = subprocess.run(
        [str(NODES[0]), str(INSPECTOR), "--cli", *target, "--quiet", *words],
        cwd=cwd,
        env={**os.environ, "PATH": f"{NODES[0].parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def stdio(cwd: Path, era: str) -> list[str]:
    return [*BRIDGE, "mcp", "--cwd", str(cwd), "--protocol-era", era]


@eras
def test_it_finds_no_fault_with_the_tools(era: str, file: Path) -> None:
    listed = inspect(file.parent, stdio(file.parent, era), "--method", "tools/list", "--strict")
    assert [tool["name"] for tool in listed["tools"]] == list(TOOLS)


@eras
def test_it_calls_tools(era: str, file: Path, ide: StartIde) -> None:
    window = ide()
    call = ["--method", "tools/call", "--tool-name"]
    target = stdio(file.parent, era)
    opened = inspect(file.parent, target, *call, "open_file", "--tool-args-json", '{"path": "f.txt", "line": 2}')
    assert opened["structuredContent"] == {"path": str(file), "ide": "Visual Studio Code", "positioned": True}
    proposed = {"files": [{"path": "f.txt", "content": "a\nB\n"}], "wait_ms": 1}
    pending = inspect(file.parent, target, *call, "propose_changes", "--tool-args-json", json.dumps(proposed))
    review_id = pending["structuredContent"]["review_id"]
    window.until("diff")
    window.do("accept")
    asked = json.dumps({"review_id": review_id, "wait_ms": 20_000, "include_texts": True})
    report = inspect(file.parent, target, *call, "get_review", "--tool-args-json", asked)
    assert report["structuredContent"]["files"][0]["final_text"] == "a\nB\n"


@eras
def test_it_comes_over_http(era: str, file: Path, tmp_path: Path, mcp_port: int) -> None:
    address, token = whereabouts(file.parent)
    server = {"type": "streamable-http", "url": address, "headers": {"Authorization": f"Bearer {token}"}}
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"bridge": server}}), encoding="utf-8")
    target = ["--config", str(config), "--server", "bridge", "--protocol-era", era]
    listed = inspect(file.parent, target, "--method", "tools/list", "--strict")
    assert [tool["name"] for tool in listed["tools"]] == list(TOOLS)
    assert "MCP over HTTP is on" in bridge("status", cwd=file.parent).stdout
