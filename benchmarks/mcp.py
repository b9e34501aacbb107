"""``bridge mcp``, as an agent meets it: from its start to its first answer, against a quick command of the bridge.

The daemon is warm: it has spoken MCP before. What the agent waits for at its own start is this process, Python's start
included, three questions to the daemon (hello, MCP, ``initialize``) and the official SDK's answer.
"""

from __future__ import annotations

import json
import subprocess
import time
from functools import partial

from benchmarks.measure import Row, Subject, alternate, ratio
from benchmarks.stage import BRIDGE, PATIENCE_S, Stage, stage

ROUNDS = 60
_INFO = {"name": "benchmark", "version": "1"}
_OLD = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": _INFO}
_NEW = {
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": _INFO,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
}


def run(quick: bool) -> list[Row]:
    with stage() as here, here.daemon():
        subjects: dict[str, Subject] = {
            "old": answered(here, "mcp", asks=request("initialize", _OLD)),
            "new": answered(here, "mcp", asks=request("server/discover", _NEW)),
            "status": answered(here, "status", "--json"),
            "list": answered(here, "review", "ls", "--json"),
        }
        times = alternate(subjects, 2 if quick else ROUNDS)
    return [
        ratio("bridge mcp, initialize / bridge status", times, "old", "status", goal=1.2),
        ratio("bridge mcp, discover / bridge status", times, "new", "status", goal=1.2),
        ratio("bridge mcp, initialize / bridge review ls", times, "old", "list"),
    ]


def request(method: str, params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"


def answered(here: Stage, *words: str, asks: bytes = b"") -> Subject:
    """Time a command from its start to its first line, which must be an answer."""
    return partial(_answered, here, words, asks, b'"result"' if asks else b"")


def _answered(here: Stage, words: tuple[str, ...], asks: bytes, expected: bytes) -> float:
    begun = time.perf_counter()
    with subprocess.Popen(
        [BRIDGE, *words], cwd=here.workspace, env=here.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(asks)
        process.stdin.flush()
        line = process.stdout.readline()
        taken = time.perf_counter() - begun
        assert line
        assert expected in line
        process.stdin.close()
        process.stdout.read()
        assert process.wait(PATIENCE_S) == 0
    return taken
