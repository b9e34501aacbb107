"""The threshold: who may in, and what those hear that may not."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.agents import control, threshold
from bridge.agents.control import ControlServer
from bridge.proof import CLIENT, DAEMON, MOST_BYTES, proof, prove
from tests.agents.test_control import PATIENCE_S, Agent, Desk

TOKEN = "the token"


class House:
    """A server on TCP, and a way to it."""

    def __init__(self, desk: Desk, port: int) -> None:
        self.desk = desk
        self.port = port

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[Agent]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Agent(reader, writer)
        finally:
            writer.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        desk = Desk()
        async with asyncio.TaskGroup() as tasks:
            server = ControlServer(tasks, desk.table(), desk, TOKEN)
            await server.start(listener)
            yield House(desk, listener.getsockname()[1])
            await server.stop(False)


def asks(**params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "prove", "params": params}


async def test_who_proves_it_has_a_session_like_any_other(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.port), PATIENCE_S) as connection:
        assert await asyncio.to_thread(prove, connection, TOKEN, house.port)
        reader, writer = await asyncio.open_connection(sock=connection)
        assert (await Agent(reader, writer).ask("echo", {"id": "x"}))["result"] == {"id": "x"}
        assert [session.pid for session in house.desk.there] == [None]
        writer.close()


async def test_a_client_with_another_token_does_not_believe_the_daemon(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.port), PATIENCE_S) as connection:
        assert not await asyncio.to_thread(prove, connection, "another", house.port)
    assert house.desk.there == []


# (what comes first, the name of the error, if it is worth an answer)
REFUSED = [
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", None),
    (b'POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n{"id":1,"method":"prove","params":{"nonce":"x"}}\n', None),
    (b"\n", None),
    (b"[]\n", None),
    (b'{"method":"prove","params":{"nonce":"x"}}\n', None),
    (b'{"id":1,"method":"prove","params":{"nonce":"x"}}\n{"id":2,"method":"status"}\n', None),
    (b"x" * MOST_BYTES, None),
    (b"x" * 10 * MOST_BYTES, None),
    (b'{"id":1,"method":"echo","params":{"id":"x"}}\n', "not_trusted"),
    (b'{"id":1,"method":"hello","params":{"cwd":"/","token":"the token"}}\n', "not_trusted"),
    (b'{"id":1,"method":"prove"}\n', "usage"),
    (b'{"id":1,"method":"prove","params":{"proof":"x"}}\n', "usage"),
    (b'{"id":1,"method":"prove","params":{"nonce":7}}\n', "usage"),
]


@pytest.mark.parametrize(("said", "error"), REFUSED)
async def test_who_says_anything_else_is_outside(house: House, said: bytes, error: str | None) -> None:
    async with house.caller() as caller:
        caller.writer.write(said)
        heard = await caller.ended()
    assert ([json.loads(line)["error"]["data"]["code"] for line in heard.splitlines()] or [None]) == [error]
    assert house.desk.there == []


def _another(nonces: tuple[str, str], port: int, heard: str) -> str:
    return proof("another token", CLIENT, *nonces, port)


def _mirrored(nonces: tuple[str, str], port: int, heard: str) -> str:
    return heard


def _nothing(nonces: tuple[str, str], port: int, heard: str) -> str:
    return "\ud83d"


def _as_daemon(nonces: tuple[str, str], port: int, heard: str) -> str:
    return proof(TOKEN, DAEMON, *nonces, port)


def _another_port(nonces: tuple[str, str], port: int, heard: str) -> str:
    return proof(TOKEN, CLIENT, *nonces, port + 1)


@pytest.mark.parametrize("answer", [_another, _mirrored, _nothing, _as_daemon, _another_port])
async def test_a_wrong_proof_is_refused(house: House, answer: Any) -> None:
    async with house.caller() as caller:
        caller.say(asks(nonce="mine"))
        theirs = (await caller.hear())["result"]
        assert theirs["proof"] == proof(TOKEN, DAEMON, "mine", theirs["nonce"], house.port)
        caller.say(asks(proof=answer(("mine", theirs["nonce"]), house.port, theirs["proof"])))
        error = json.loads(await caller.ended())["error"]
    assert error["data"]["code"] == "not_trusted"
    assert house.desk.there == []


@pytest.mark.parametrize("lines", [0, 1])
async def test_who_says_nothing_is_not_waited_for(house: House, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "PATIENCE_S", 0.1)
    async with house.caller() as caller:
        for _ in range(lines):
            caller.say(asks(nonce="mine"))
            await caller.hear()
        assert await caller.ended() == b""


async def test_only_so_many_strangers_are_listened_to_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MOST_STRANGERS", 1)
    async with house.caller() as first:
        first.say(asks(nonce="mine"))
        theirs = (await first.hear())["result"]
        async with house.caller() as second:
            assert await second.ended() == b""
        first.say(asks(proof=proof(TOKEN, CLIENT, "mine", theirs["nonce"], house.port)))
        assert (await first.hear())["result"] == {}
        async with house.caller() as third:
            third.say(asks(nonce="mine"))
            assert "result" in await third.hear()
