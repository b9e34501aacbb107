"""Raw agents: clients over WebSocket and over SSE that know ids and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import count
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from ide_plugins.emulator import Emulator

PATIENCE_S = 20.0
TOKEN_HEADER = "x-claude-code-ide-authorization"


class Agent:
    """One connection; ids differ between agents unless the test chooses them."""

    numbers = count(1)

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, text: str) -> None:
        """Send one message."""
        await self.socket.send(text)

    async def listen(self) -> str | bytes:
        """The next message's text."""
        return await self.socket.recv()

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = json.loads(await self.listen())
        return message

    async def ask(self, method: str, params: Any = None, *, id_: int | str | None = None) -> int | str:
        """Send a request and return its id."""
        id_ = next(self.numbers) if id_ is None else id_
        request = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}}
        await self.say(json.dumps(request))
        return id_

    async def call(self, method: str, params: Any = None) -> dict[str, Any]:
        """Send a request; the next frame must be its answer."""
        id_ = await self.ask(method, params)
        answer = await self.hear()
        assert answer.pop("jsonrpc") == "2.0"
        assert answer.pop("id") == id_
        return answer

    async def tool(self, name: str, **arguments: Any) -> list[str]:
        """Call a tool; the next frame must be its answer, without error. Gives the text items."""
        answer = await self.call("tools/call", {"name": name, "arguments": arguments})
        return texts(answer)

    async def propose(self, text: str = "new\n", *, tab: str = "tab", id_: int | str | None = None) -> int | str:
        """Send an openDiff and return its id; the answer comes when it comes."""
        arguments = {"old_file_path": "/w/a.py", "new_file_path": "/w/a.py", "tab_name": tab}
        arguments["new_file_contents"] = text
        return await self.ask("tools/call", {"name": "openDiff", "arguments": arguments}, id_=id_)

    async def closed(self) -> tuple[int, str]:
        """Wait for the end of the connection; its code and reason."""
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""

    def cut(self) -> None:
        """End the connection without a word."""
        self.socket.transport.abort()

    async def pong(self, patience_s: float = PATIENCE_S) -> None:
        """Send a WebSocket ping and wait for its pong; raises `TimeoutError` if none comes."""
        async with asyncio.timeout(patience_s):
            await (await self.socket.ping())


class SseAgent(Agent):
    """One stream, and posts to the address that its first event gave."""

    def __init__(self, http: aiohttp.ClientSession, stream: aiohttp.ClientResponse) -> None:
        self.http = http
        self.stream = stream
        self.address = ""
        self.comments: list[str] = []

    async def event(self) -> tuple[str, str]:
        """The next event's name and data; comments on the way are kept. Raises `EOFError` at the stream's end."""
        fields: dict[str, str] = {}
        while line := (await self.stream.content.readline()).decode():
            name, _, value = line.rstrip("\r\n").partition(": ")
            if name:
                fields[name] = value
            elif value:
                self.comments.append(value)
            elif fields:
                return fields["event"], fields["data"]
        raise EOFError

    async def post(self, body: bytes) -> tuple[int, str]:
        """Post something; give the answer's status and text."""
        headers = {"Content-Type": "application/json"}
        async with self.http.post(self.address, data=BytesIO(body), headers=headers) as answer:
            return answer.status, await answer.text()

    async def say(self, text: str) -> None:
        """Post one message."""
        assert await self.post(text.encode()) == (202, "")

    async def listen(self) -> str:
        """The next message's text."""
        event, data = await self.event()
        assert event == "message"
        return data

    def cut(self) -> None:
        """End the stream without a word."""
        self.stream.close()

    async def ended(self) -> bool:
        """Wait for the stream's end; tell whether it was a proper one, and with nothing more in it."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                await self.event()
            except EOFError:
                return True
            except aiohttp.ClientError:
                return False
        raise AssertionError("the stream goes on")


def texts(answer: dict[str, Any]) -> list[str]:
    """The text items of a tool's answer."""
    assert "error" not in answer
    return [item["text"] for item in answer["result"]["content"]]


@asynccontextmanager
async def sse_agent(
    ide: Emulator | int, token: str | None = None, *, headers: dict[str, str] | None = None
) -> AsyncIterator[SseAgent]:
    """Open a stream, as `agent` does a socket, and read where to post.

    Raises `aiohttp.ClientResponseError` if it is refused.
    """
    port, token = (ide, token) if isinstance(ide, int) else (ide.port, token or ide.token)
    base = f"http://127.0.0.1:{port}"
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(base, headers=_shown(token, headers), timeout=timeout, read_bufsize=2**23) as http,
        http.get("/sse", raise_for_status=True) as stream,
    ):
        ann = SseAgent(http, stream)
        event, ann.address = await ann.event()
        assert event == "endpoint"
        yield ann


@asynccontextmanager
async def agent(
    ide: Emulator | int,
    token: str | None = None,
    *,
    subprotocols: Sequence[str] = ("mcp",),
    headers: dict[str, str] | None = None,
    open_timeout: float = PATIENCE_S,
) -> AsyncIterator[Agent]:
    """Connect to `ide` with its own token, or to a port with `token`; `headers` replaces the token's."""
    port, token = (ide, token) if isinstance(ide, int) else (ide.port, token or ide.token)
    async with connect(
        f"ws://127.0.0.1:{port}/",
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        additional_headers=_shown(token, headers),
        proxy=None,
        compression=None,
        max_size=64 * 1024 * 1024,
        open_timeout=open_timeout,
        close_timeout=1,
    ) as socket:
        yield Agent(socket)


def _shown(token: str | None, headers: dict[str, str] | None) -> dict[str, str]:
    return {TOKEN_HEADER: token or ""} if headers is None else headers
