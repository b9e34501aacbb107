"""Agents that speak MCP: the official SDK's own client, in both of the protocol's eras, against a real `bridge mcp`."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.e2e.support import BRIDGE, PATIENCE_S, bridge

__all__ = ["ERAS", "Agent", "agent", "eras", "http_agent", "whereabouts"]

ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28"}  # the client's mode, and the version that it comes to
eras = pytest.mark.parametrize("era", ERAS)


class Agent:
    """One agent that speaks MCP, and what it was told meanwhile."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.progress: asyncio.Queue[str] = asyncio.Queue()

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, and give its data; fails where the tool does."""
        result = await self._call(tool, arguments)
        assert not result.is_error, result.content[0].text
        assert isinstance(result.structured_content, dict)
        return result.structured_content

    async def words(self, tool: str, **arguments: Any) -> str:
        """Call a tool, and give its words."""
        return str((await self._call(tool, arguments)).content[0].text)

    async def fails(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must fail, and give why."""
        result = await self._call(tool, arguments)
        assert result.is_error
        assert result.structured_content is None
        return str(result.content[0].text)

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Any:
        async def told(progress: float, total: float | None, message: str | None) -> None:
            self.progress.put_nowait(message or "")

        async with asyncio.timeout(PATIENCE_S):
            return await self.client.call_tool(tool, arguments, progress_callback=told)

    async def told(self, word: str) -> str:
        """Wait for progress that says this."""
        async with asyncio.timeout(PATIENCE_S):
            while word not in (message := await self.progress.get()):
                pass
        return message


def whereabouts(cwd: Path) -> tuple[str, str]:
    """Ask the bridge where MCP is served over HTTP, and read the token where it says."""
    done = bridge("mcp", "--http", "--json", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    path = Path(told["token_file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text(encoding="ascii").strip()
    assert token not in done.stdout
    return told["address"], token


@asynccontextmanager
async def http_agent(address: str, token: str, era: str = "auto") -> AsyncIterator[Agent]:
    """Speak MCP over HTTP."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S, trust_env=False) as http,
        Client(streamable_http_client(address, http_client=http), mode=era) as client,
    ):
        yield Agent(client)


@asynccontextmanager
async def agent(
    cwd: Path, era: str = "auto", *words: str, program: Sequence[str] = BRIDGE, **environ: str
) -> AsyncIterator[Agent]:
    """Start `bridge mcp` as an agent does, and speak to it."""
    command = [*program, "mcp", *words]
    server = StdioServerParameters(command=command[0], args=command[1:], env={**os.environ, **environ}, cwd=str(cwd))
    async with Client(stdio_client(server, errlog=sys.__stderr__ or sys.stderr), mode=era) as client:
        yield Agent(client)
