"""MCP on a connection of the control socket: the SDK behind streams of ours, and calls answered by the test."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.agents import control
from bridge.agents.control import ControlServer, Session
from bridge.agents.mcp import Exchange, serve
from bridge.agents.requests import Nothing
from bridge.core.idereports import Opened
from bridge.core.jsonrpc import RequestId
from bridge.core.toolanswers import Answer
from bridge.core.toolbox import TOOLS
from bridge.errors import BadData

PATIENCE_S = 20.0
OLD, NEW = "2025-11-25", "2026-07-28"
INFO = {"name": "the test", "version": "1"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientInfo": INFO,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class House:
    """Answers calls as the test wants it."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[str, Mapping[str, Any], Exchange]] = asyncio.Queue()
        self.answers: asyncio.Queue[Answer | Exception] = asyncio.Queue()
        self.cancelled: asyncio.Queue[str] = asyncio.Queue()
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self.gone: asyncio.Queue[Session] = asyncio.Queue()
        self.sessions: list[Session] = []

    async def call(self, name: str, arguments: Mapping[str, Any], exchange: Exchange) -> Answer:
        self.calls.put_nowait((name, arguments, exchange))
        try:
            answer = await self.answers.get()
        except asyncio.CancelledError:
            self.cancelled.put_nowait(name)
            raise
        if isinstance(answer, Exception):
            raise answer
        exchange.sent(lambda: self.sent.put_nowait(name))
        return answer

    async def begin(self, session: Session, id_: RequestId, params: Nothing) -> Any:
        session.hand_over(lambda reader: serve(reader, session, "1.0", self.call))
        return {}

    def joined(self, session: Session) -> None:
        self.sessions.append(session)

    async def left(self, session: Session) -> None:
        self.gone.put_nowait(session)


class Line:
    """The other end: bytes and lines, and no library."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, message: Any) -> None:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.writer.write(line + b"\n")

    async def hear(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return json.loads(await self.reader.readuntil(b"\n"))

    async def ask(self, id_: Any, method: str, params: dict[str, Any] | None = None, *, new: bool = False) -> Any:
        meta = {"_meta": ENVELOPE} if new else {}
        self.say({"jsonrpc": "2.0", "id": id_, "method": method, "params": {**(params or {}), **meta}})
        return await self.hear()

    async def hello(self) -> None:
        hello = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": INFO}
        assert (await self.ask("hello", "initialize", hello))["result"]["protocolVersion"] == OLD
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, id_: Any, tool: str = "open_file", **arguments: Any) -> None:
        params = {"name": tool, "arguments": arguments}
        self.say({"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params})


@asynccontextmanager
async def house(limit: int = 2**26) -> AsyncIterator[tuple[House, Line]]:
    """Serve, and connect."""
    told = House()
    path = f"{os.environ['XDG_RUNTIME_DIR']}/c.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        async with asyncio.TaskGroup() as tasks:
            server = ControlServer(tasks, {"mcp/serve": (Nothing, told.begin)}, told)
            await server.start(listener)
            reader, writer = await asyncio.open_unix_connection(path, limit=limit)
            line = Line(reader, writer)
            assert "result" in await line.ask(0, "mcp/serve")
            try:
                yield told, line
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
                await server.stop(restart=False)
                os.unlink(path)


async def soon(queue: asyncio.Queue[Any]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await queue.get()


OPENED = Answer("it is open", Opened(path="/a", ide="Vim", positioned=True))


@pytest.mark.parametrize("new", [False, True])
async def test_a_call_is_answered_with_words_and_data(new: bool) -> None:
    async with house() as (told, agent):
        if not new:
            await agent.hello()
        listed = await agent.ask(1, "tools/list", new=new)
        assert [tool["name"] for tool in listed["result"]["tools"]] == list(TOOLS)
        assert listed["result"].get("ttlMs") == (300_000 if new else None)
        assert listed["result"].get("cacheScope") == ("public" if new else None)
        told.answers.put_nowait(OPENED)
        answer = await agent.ask("x", "tools/call", {"name": "open_file", "arguments": {"path": "/a"}}, new=new)
        assert answer["id"] == "x"
        assert answer["result"]["content"] == [{"type": "text", "text": "it is open"}]
        assert answer["result"]["structuredContent"] == {"path": "/a", "ide": "Vim", "positioned": True}
        name, arguments, exchange = await soon(told.calls)
        assert (name, arguments, exchange.client) == ("open_file", {"path": "/a"}, "the test")
        assert await soon(told.sent) == "open_file"


async def test_an_agent_of_the_first_version_gets_no_data_that_it_does_not_know() -> None:
    async with house() as (told, agent):
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": INFO}
        assert (await agent.ask(1, "initialize", hello))["result"]["protocolVersion"] == "2024-11-05"
        agent.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        told.answers.put_nowait(OPENED)
        agent.call(2)
        assert (await agent.hear())["result"]["content"] == [{"type": "text", "text": "it is open"}]


# (what answering a call raises, what the model reads, what programs do)
FAILURES = [
    (BadData("it is binary", "send text"), "it is binary\nWhat to do: send text", "bad_data"),
    (RuntimeError("/secret/path"), "a bug in the bridge: see its log\nWhat to do: bridge logs", "bug"),
]


@pytest.mark.parametrize(("failure", "words", "code"), FAILURES)
async def test_a_failure_is_words_for_the_model(failure: Exception, words: str, code: str) -> None:
    async with house() as (told, agent):
        await agent.hello()
        told.answers.put_nowait(failure)
        agent.call(1)
        result = (await agent.hear())["result"]
        typed = result.pop("_meta")["bridge/error"]["data"]
        assert result == {"content": [{"type": "text", "text": words}], "isError": True}
        assert typed["code"] == code
        assert told.sent.empty()


async def test_an_unknown_tool_and_an_unknown_method_are_errors_of_the_protocol() -> None:
    async with house() as (_, agent):
        await agent.hello()
        agent.call(1, "decide_review")
        assert (await agent.hear())["error"] == {"code": -32602, "message": "Unknown tool: decide_review"}
        assert (await agent.ask(2, "resources/list"))["error"]["code"] == -32601


async def test_a_cancelled_call_is_not_answered_and_the_next_one_is() -> None:
    async with house() as (told, agent):
        await agent.hello()
        agent.call(1)
        await soon(told.calls)
        agent.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
        assert await soon(told.cancelled) == "open_file"
        assert (await agent.ask(2, "ping"))["id"] == 2


async def test_who_leaves_takes_its_calls_back() -> None:
    async with house() as (told, agent):
        await agent.hello()
        agent.call(1)
        await soon(told.calls)
        agent.writer.close()
        assert await soon(told.cancelled) == "open_file"
        assert await soon(told.gone) is told.sessions[0]


async def test_progress_is_told_under_the_agents_token() -> None:
    async with house() as (told, agent):
        await agent.hello()
        params = {"name": "open_file", "arguments": {}, "_meta": {"progressToken": "mine"}}
        agent.say({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        _, _, exchange = await soon(told.calls)
        await exchange.progress(1.5, 45.0, "it is shown")
        assert (await agent.hear())["params"] == {
            "progressToken": "mine",
            "progress": 1.5,
            "total": 45.0,
            "message": "it is shown",
        }
        told.answers.put_nowait(OPENED)
        assert (await agent.hear())["id"] == 1


# (a line, the id of the answer, the code)
NONSENSE: list[tuple[bytes, Any, int]] = [
    (b"{", None, -32700),
    (b"\xff\xfe", None, -32700),
    (b"[" * 100_000, None, -32700),
    (b"NaN", None, -32700),
    (b"5", None, -32600),
    (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None, -32600),
    (b'{"jsonrpc":"2.0","id":7,"method":5}', 7, -32600),
    (b'{"jsonrpc":"1.0","id":"a","method":"ping"}', "a", -32600),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', None, -32600),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600),
]


@pytest.mark.parametrize(("line", "id_", "code"), NONSENSE, ids=lambda value: str(value)[:30])
async def test_nonsense_is_answered_and_the_next_message_too(line: bytes, id_: Any, code: int) -> None:
    async with house() as (_, agent):
        await agent.hello()
        agent.say(line)
        answer = await agent.hear()
        assert (answer["id"], answer["error"]["code"]) == (id_, code)
        agent.say(b"")
        assert (await agent.ask(2, "ping"))["result"] == {}


async def test_half_characters_cross_and_are_replaced_on_the_way_back() -> None:
    async with house() as (told, agent):
        await agent.hello()
        told.answers.put_nowait(OPENED._replace(data=Opened(path="/\ud83d", ide="Vim", positioned=True)))
        agent.say(
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open_file","arguments":{"path":"\\ud83d"}}}'
        )
        assert (await agent.hear())["result"]["structuredContent"]["path"] == "/\ufffd"
        _, arguments, _ = await soon(told.calls)
        assert arguments == {"path": "\ud83d"}


async def test_an_answer_that_nobody_takes_has_not_left() -> None:
    """What would be noted as delivered is not, when the agent is gone before it read the answer."""
    async with house() as (told, agent):
        await agent.hello()
        agent.call(1)
        await soon(told.calls)
        told.answers.put_nowait(OPENED._replace(text="x" * 8_000_000))  # more than any socket holds
        while told.answers.qsize():  # until it is taken
            await asyncio.sleep(0)
        agent.writer.transport.abort()
        await soon(told.gone)
        assert told.sent.empty()


async def test_one_that_only_asks_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would cost memory: what it asks stays in its own buffers until it reads."""
    monkeypatch.setattr(control, "MOST_BYTES", 2**16)
    async with house(limit=2**12) as (told, agent):
        await agent.hello()
        ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode() + b"\n"
        agent.writer.transport.set_write_buffer_limits(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in range(1000):
                    agent.writer.write(ask * 100)
                    await agent.writer.drain()
                pytest.fail("a hundred thousand requests were taken, and as many lists were told to nobody")
        assert told.sessions[0]._writer.transport.get_write_buffer_size() < 200_000  # a few lists
        agent.writer.transport.abort()  # what it could not say is not waited for


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.binary(max_size=60).filter(lambda line: b"\n" not in line)
        | st.sampled_from([line for line, _, _ in NONSENSE])
        | st.builds(
            lambda id_, method: json.dumps({"jsonrpc": "2.0", "id": id_, "method": method}).encode(),
            st.integers(0, 99) | st.text(max_size=3),
            st.sampled_from(["ping", "tools/list", "tools/call", "initialize", "", "x"]),
        ),
        max_size=12,
    )
)
async def test_whatever_comes_everything_is_answered_in_the_end(lines: list[bytes]) -> None:
    async with house() as (_, agent):
        await agent.hello()
        for line in lines:
            agent.say(line)
        agent.say({"jsonrpc": "2.0", "id": "the last", "method": "ping"})
        heard: list[Any] = []
        asked = [
            m["id"] for m in map(loaded, lines) if isinstance(m, dict) and "id" in m and m.get("method") is not None
        ]
        while len([m for m in heard if m["id"] is not None]) < len([i for i in asked if is_id(i)]) + 1:
            heard.append(await agent.hear())
        assert sorted(map(repr, (m["id"] for m in heard if m["id"] is not None))) == sorted(
            map(repr, [*(i for i in asked if is_id(i)), "the last"])
        )


def loaded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def is_id(value: Any) -> bool:
    return isinstance(value, str) or type(value) is int
