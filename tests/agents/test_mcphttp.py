"""MCP over HTTP, attacked by a raw client over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.agents import mcphttp
from bridge.agents.mcp import Exchange
from bridge.agents.mcphttp import MOST_BYTES, McpHttpFront
from bridge.core.idereports import Opened
from bridge.core.toolanswers import Answer
from bridge.listening import listen
from tests.agents.rawclient import Answer as Response
from tests.agents.rawclient import Raw, all_leave, head

PATIENCE_S = 20.0
SECRET = "the-secret-of-this-front-is-long-enough"
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class House:
    """What is behind the front, and where it is."""

    def __init__(self) -> None:
        self.port = 0
        self.calls: asyncio.Queue[str] = asyncio.Queue()
        self.open = asyncio.Event()
        self.cancelled: asyncio.Queue[str] = asyncio.Queue()
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self.text = "it is open"

    async def call(self, name: str, arguments: Mapping[str, Any], exchange: Exchange) -> Answer:
        self.calls.put_nowait(name)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.put_nowait(name)
            raise
        exchange.sent(lambda: self.sent.put_nowait(name))
        return Answer(self.text, Opened(path="/a", ide="Vim", positioned=True))


@asynccontextmanager
async def served(admitted: bool = True) -> AsyncIterator[House]:
    house, until = House(), asyncio.Event()
    front = McpHttpFront("1.0", SECRET, house.call, lambda client, mine: admitted)
    listener = listen(0)
    house.port = listener.getsockname()[1]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(front.serve(listener, until))
        try:
            yield house
        finally:
            house.open.set()
            await all_leave()
            until.set()
    listener.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with served() as house:
        yield house


def usual(port: int, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """Give the headers of a proper request; those in `more` come instead."""
    mine = [
        ("Host", f"127.0.0.1:{port}"),
        ("Authorization", f"Bearer {SECRET}"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ]
    return [*((name, value) for name, value in mine if name not in {name for name, _ in more}), *more]


async def post(port: int, body: Any, *more: tuple[str, str], line: str = "POST /mcp HTTP/1.1") -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    raw = await Raw.to(port)
    return await raw.request(line, [*usual(port, *more), ("Content-Length", str(len(data)))], data)


# (headers instead of the usual, the status)
DOORS: dict[str, tuple[list[tuple[str, str]], int]] = {
    "the usual": ([], 200),
    "the scheme in another case": ([("Authorization", f"bearer {SECRET}")], 200),
    "no token": ([("Authorization", "")], 401),
    "a wrong token": ([("Authorization", "Bearer x")], 401),
    "a token that begins well": ([("Authorization", f"Bearer {SECRET[:-1]}")], 401),
    "another scheme": ([("Authorization", f"Basic {SECRET}")], 401),
    "the token twice": ([("Authorization", f"Bearer {SECRET}")] * 2, 401),
    "no ASCII": ([("Authorization", "Bearer \xe9")], 401),
    "any origin": ([("Origin", "https://evil.example")], 403),
    "no origin to speak of": ([("Origin", "null")], 403),
    "our own origin": ([("Origin", "http://127.0.0.1:{port}")], 403),
    "an empty origin": ([("Origin", "")], 403),
}
HOSTS: dict[str, int] = {
    "127.0.0.1:{port}": 200,
    "localhost:{port}": 200,
    "LOCALHOST:{port}": 200,
    "[::1]:{port}": 200,
    "": 421,
    "127.0.0.1": 421,
    "127.0.0.1:1": 421,
    "127.0.0.1:{port}1": 421,
    "localhost": 421,
    "localhost.:{port}": 421,
    "localhost.evil.example:{port}": 421,
    "evil.example:{port}": 421,
    "evil.example": 421,
    "user@127.0.0.1:{port}": 421,
    "127.0.0.1:{port}@evil.example": 421,
    "127.0.0.1:{port}, evil.example": 421,
    "127.1:{port}": 421,
    "0.0.0.0:{port}": 421,
    "2130706433:{port}": 421,
    "[::ffff:127.0.0.1]:{port}": 421,
    "[::1%lo]:{port}": 421,
    "[::]:{port}": 421,
}


@pytest.mark.parametrize("case", DOORS)
async def test_only_who_has_the_token_and_is_no_web_page_comes_in(house: House, case: str) -> None:
    headers, status = DOORS[case]
    answer = await post(house.port, PING, *((name, value.format(port=house.port)) for name, value in headers))
    assert answer.status == status
    assert SECRET not in str(answer)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("host", HOSTS)
async def test_no_name_can_be_pointed_at_us(house: House, host: str) -> None:
    assert (await post(house.port, PING, ("Host", host.format(port=house.port)))).status == HOSTS[host]


async def test_two_hosts_are_none(house: House) -> None:
    mine = f"127.0.0.1:{house.port}"
    assert (await post(house.port, PING, ("Host", mine), ("Host", mine))).status in (400, 421)


async def test_a_web_page_that_asks_first_is_refused_too(house: House) -> None:
    """A browser's preflight (CORS) gets no leave, whatever it says."""
    line, asked = "OPTIONS /mcp HTTP/1.1", ("Access-Control-Request-Method", "POST")
    answer = await post(house.port, b"", ("Origin", "https://evil.example"), asked, line=line)
    assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, False)


async def test_other_users_do_not_come_in_at_all() -> None:
    async with served(admitted=False) as house:
        raw = await Raw.to(house.port)
        raw.send(head("POST /mcp HTTP/1.1", usual(house.port, ("Content-Length", "0"))))
        assert await raw.end() == b""


# (headers of the request, its body, the status)
BODIES: list[tuple[list[tuple[str, str]], bytes, int]] = [
    ([("Content-Type", "text/plain")], b"{}", 400),
    ([], b"{", 400),
    ([], b"[" * 100_000, 400),
    ([("MCP-Protocol-Version", "2026-07-28")], b"[]", 400),
    ([("MCP-Protocol-Version", "1900-01-01")], b"{}", 400),
    ([("Mcp-Session-Id", "x" * 32)], json.dumps(PING).encode(), 404),
    ([("Accept", "text/html")], json.dumps(PING).encode(), 406),
]


@pytest.mark.parametrize(("headers", "body", "status"), BODIES, ids=lambda value: str(value)[:30])
async def test_nonsense_is_refused(house: House, headers: list[tuple[str, str]], body: bytes, status: int) -> None:
    assert (await post(house.port, body, *headers)).status == status
    assert (await post(house.port, PING)).status == 200


async def test_there_is_nothing_at_other_paths(house: House) -> None:
    for path in ("/", "/mcp/x", "/.well-known/oauth-protected-resource"):
        assert (await post(house.port, PING, line=f"POST {path} HTTP/1.1")).status == 404


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_a_body_that_is_too_large_is_refused_before_it_is_read(house: House, version: str) -> None:
    raw = await Raw.to(house.port)
    headers = usual(house.port, ("Content-Length", str(MOST_BYTES + 1)), ("MCP-Protocol-Version", version))
    assert (await raw.request("POST /mcp HTTP/1.1", headers)).status == 413
    raw = await Raw.to(house.port)
    raw.send(head("POST /mcp HTTP/1.1", usual(house.port, ("Transfer-Encoding", "chunked"))))
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    for _ in range(MOST_BYTES // 2**20 + 1):
        raw.send(chunk)
    assert (await raw.answer()).status == 413


async def test_a_body_that_never_comes_whole_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mcphttp, "BODY_S", 0.05)
    raw = await Raw.to(house.port)
    raw.send(head("POST /mcp HTTP/1.1", usual(house.port, ("Content-Length", "10"))) + b"{")
    await raw.end()
    monkeypatch.undo()
    raw = await Raw.to(house.port)
    raw.send(head("POST /mcp HTTP/1.1", usual(house.port, ("Content-Length", "10"))) + b"{")
    await raw.close()
    assert (await post(house.port, PING)).status == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def call(id_: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Give a call of the newer era, and its headers."""
    params = {"name": "open_file", "arguments": {"path": "/a"}, "_meta": MODERN}
    headers = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "open_file"),
    ]
    return {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params}, headers


async def test_an_answer_has_left_when_its_response_has(house: House) -> None:
    house.open.set()
    body, headers = call(1)
    answer = await post(house.port, body, *headers)
    assert json.loads(answer.body)["result"]["structuredContent"]["ide"] == "Vim"
    async with asyncio.timeout(PATIENCE_S):
        assert await house.sent.get() == "open_file"


async def test_who_closes_the_response_takes_the_call_back(house: House) -> None:
    body, headers = call(1)
    data = json.dumps(body).encode()
    raw = await Raw.to(house.port)
    raw.send(head("POST /mcp HTTP/1.1", [*usual(house.port, *headers), ("Content-Length", str(len(data)))]) + data)
    async with asyncio.timeout(PATIENCE_S):
        await house.calls.get()
        await raw.close()
        assert await house.cancelled.get() == "open_file"
    assert house.sent.empty()
