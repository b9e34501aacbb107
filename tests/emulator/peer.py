"""An agent over streamable HTTP that is not ours: the transport of the MCP SDK, in the era of sessions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest

from ide_plugins.emulator import Emulator
from tests.emulator.agent import PATIENCE_S

VERSION = "2025-06-18"


class Peer:
    """One session; what is pushed while an answer is awaited is kept for `hear`."""

    def __init__(self, reading: Any, writing: Any) -> None:
        self._reading = reading
        self._writing = writing
        self._numbers = count(1)
        self._pushed: deque[dict[str, Any]] = deque()

    async def call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and wait for its answer, which may be an error."""
        id_ = next(self._numbers)
        await self._send(JSONRPCRequest(jsonrpc="2.0", id=id_, method=method, params=params or {}))
        while (message := await self._next()).get("id") != id_:
            self._pushed.append(message)
        return message

    async def tool(self, name: str, **arguments: Any) -> list[str]:
        """Call a tool and give the text items of its result."""
        answer = await self.call("tools/call", {"name": name, "arguments": arguments})
        return [item["text"] for item in answer["result"]["content"]]

    async def hear(self) -> tuple[str, dict[str, Any]]:
        """Wait for the next thing that is pushed; its method and parameters."""
        message = self._pushed.popleft() if self._pushed else await self._next()
        return message["method"], message.get("params", {})

    async def tell(self, method: str) -> None:
        """Send a notification."""
        await self._send(JSONRPCNotification(jsonrpc="2.0", method=method))

    async def _send(self, message: JSONRPCMessage) -> None:
        await self._writing.send(SessionMessage(message))

    async def _next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            got = await self._reading.receive()
        if isinstance(got, Exception):
            raise got
        message: dict[str, Any] = got.message.model_dump(by_alias=True, exclude_none=True)
        return message


@asynccontextmanager
async def peer(ide: Emulator | int, token: str | None = None, *, path: str = "/mcp") -> AsyncIterator[Peer]:
    """Begin a session with `ide`, or at a port with `token`, and listen to what is pushed."""
    port, token = (ide, token) if isinstance(ide, int) else (ide.port, token or ide.token)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S) as http,
        streamable_http_client(f"http://127.0.0.1:{port}{path}", http_client=http, terminate_on_close=False) as (
            reading,
            writing,
        ),
    ):
        ann = Peer(reading, writing)
        client = {"name": "test", "version": "1"}
        answer = await ann.call("initialize", {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client})
        assert answer["result"]["protocolVersion"] == VERSION
        await ann.tell("notifications/initialized")
        yield ann
