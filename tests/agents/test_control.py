"""The control socket: real sockets, and methods of the test's own behind them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.agents import control
from bridge.agents.control import LATER, ControlServer, Handler, Session
from bridge.agents.requests import Nothing
from bridge.core.jsonrpc import RequestId
from bridge.errors import Conflict, ExitCode, Usage

PATIENCE_S = 20.0


class Word(msgspec.Struct):
    """What the house's methods take."""

    id: str


class Agent:
    """The other end of a session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, line: bytes | dict[str, Any]) -> None:
        self.writer.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")

    async def hear(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return json.loads(await self.reader.readuntil(b"\n"))

    async def ask(self, method: str, params: Any = None, id_: Any = 1) -> Any:
        self.say({"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}})
        return await self.hear()

    async def ended(self) -> bytes:
        """Wait for the end of the session; give what came before it."""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                return await self.reader.read()
        return b""


class Desk:
    """What is behind the socket: the methods, and who is there."""

    def __init__(self) -> None:
        self.there: list[Session] = []
        self.gone: asyncio.Queue[Session] = asyncio.Queue()
        self.held: asyncio.Queue[tuple[Session, RequestId]] = asyncio.Queue()

    def joined(self, session: Session) -> None:
        self.there.append(session)

    async def left(self, session: Session) -> None:
        self.there.remove(session)
        self.gone.put_nowait(session)

    def table(self) -> dict[str, tuple[type[Any], Handler]]:
        return {
            "echo": (Word, self._echo),
            "later": (Nothing, self._later),
            "conflict": (Nothing, self._conflict),
            "bug": (Nothing, self._bug),
            "resolve": (Word, self._resolve),
        }

    async def _echo(self, session: Session, id_: RequestId, params: Word) -> Any:
        return {"id": params.id}

    async def _later(self, session: Session, id_: RequestId, params: Nothing) -> Any:
        self.held.put_nowait((session, id_))
        return LATER

    async def _conflict(self, session: Session, id_: RequestId, params: Nothing) -> Any:
        raise Conflict("two truths", "look")

    async def _bug(self, session: Session, id_: RequestId, params: Nothing) -> Any:
        raise ZeroDivisionError("the secret of the house")

    async def _resolve(self, session: Session, id_: RequestId, params: Word) -> Any:
        return session.resolve(params.id)


class House:
    """A server, its desk, and a way in."""

    def __init__(self, desk: Desk, server: ControlServer, path: str) -> None:
        self.desk = desk
        self.server = server
        self.path = path

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=2**26)
        try:
            yield Agent(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def open_house(path: str) -> AsyncIterator[House]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        desk = Desk()
        async with asyncio.TaskGroup() as tasks:
            server = ControlServer(tasks, desk.table(), desk)
            await server.start(listener)
            yield House(desk, server, path)
            await server.stop(False)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house(str(Path(os.environ["XDG_RUNTIME_DIR"]) / "c.sock")) as house:
        yield house


async def test_a_request_is_answered_under_its_own_id(house: House) -> None:
    async with house.agent() as agent:
        for id_ in (0, 7, "seven", -1):
            answer = await agent.ask("echo", {"id": "x"}, id_)
            assert answer == {"jsonrpc": "2.0", "id": id_, "result": {"id": "x"}}


async def test_the_kernel_says_who_asks(house: House) -> None:
    async with house.agent() as agent:
        await agent.ask("echo", {"id": "x"})
        assert [session.pid for session in house.desk.there] == [os.getpid()]


# (what is asked, exit code, name of the error, a word of the message)
REFUSED = [
    ({"method": "conflict"}, ExitCode.BAD_DATA, "conflict", "two truths"),
    ({"method": "nonsense"}, ExitCode.USAGE, "usage", "unknown method nonsense"),
    ({"method": "echo"}, ExitCode.USAGE, "usage", "wrong parameters"),
    ({"method": "echo", "params": [1]}, ExitCode.USAGE, "usage", "wrong parameters"),
    ({"method": "bug"}, ExitCode.BUG, "bug", "see its log"),
]


@pytest.mark.parametrize(("request_", "code", "name", "message"), REFUSED)
async def test_a_refusal_names_its_error_and_the_session_goes_on(
    house: House, request_: dict[str, Any], code: int, name: str, message: str
) -> None:
    async with house.agent() as agent:
        agent.say({"jsonrpc": "2.0", "id": 5, **request_})
        error = (await agent.hear())["error"]
        assert (error["code"], error["data"]["code"]) == (code, name)
        assert message in error["message"]
        assert "secret" not in json.dumps(error)
        assert (await agent.ask("echo", {"id": "on"}))["result"] == {"id": "on"}


NONSENSE = [
    b"",
    b"{",
    b"[]",
    b"7",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"id":1}',
    b'{"id":1.5,"method":"echo"}',
]


@pytest.mark.parametrize("line", NONSENSE)
async def test_a_line_that_is_no_message_is_answered_without_an_id(house: House, line: bytes) -> None:
    async with house.agent() as agent:
        agent.say(line)
        answer = await agent.hear()
        assert (answer["id"], answer["error"]["code"]) == (None, -32700)
        assert "result" in await agent.ask("echo", {"id": "on"})


async def test_what_asks_nothing_is_not_answered(house: House) -> None:
    async with house.agent() as agent:
        agent.say({"jsonrpc": "2.0", "method": "bug"})
        agent.say({"jsonrpc": "2.0", "id": 1, "result": {}})
        assert (await agent.ask("echo", {"id": "x"}, 2))["id"] == 2


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=5))
def test_no_line_ends_the_server(lines: list[bytes]) -> None:
    async def story(path: str) -> None:
        async with open_house(path) as house, house.agent() as agent:
            for line in lines:
                agent.say(line)
            answer = await agent.ask("echo", {"id": "x"}, "last")
            while answer["id"] != "last":
                answer = await agent.hear()

    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "fuzz.sock"
    try:
        asyncio.run(story(str(path)))
    finally:
        path.unlink(missing_ok=True)


async def test_answers_come_when_they_are_there_and_news_between_them(house: House) -> None:
    async with house.agent() as agent:
        agent.say({"jsonrpc": "2.0", "id": "slow", "method": "later"})
        session, id_ = await house.desk.held.get()
        assert (await agent.ask("echo", {"id": "x"}, "fast"))["id"] == "fast"
        session.notify("review/surface", {"id": "r"})
        session.reply(id_, b'{"spliced":true}')
        assert await agent.hear() == {"jsonrpc": "2.0", "method": "review/surface", "params": {"id": "r"}}
        assert await agent.hear() == {"jsonrpc": "2.0", "id": "slow", "result": {"spliced": True}}


async def test_who_leaves_is_forgotten_and_may_be_answered_without_harm(house: House) -> None:
    async with house.agent() as agent:
        agent.say({"jsonrpc": "2.0", "id": 1, "method": "later"})
        session, id_ = await house.desk.held.get()
    async with asyncio.timeout(PATIENCE_S):
        assert await house.desk.gone.get() is session
    assert house.desk.there == []
    session.reply(id_, {})
    session.refuse(id_, Usage("too late"))
    async with house.agent() as other:
        assert "result" in await other.ask("echo", {"id": "x"})


async def test_a_line_beyond_the_limit_ends_its_session_and_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.agent() as other, house.agent() as agent:
        assert "result" in await other.ask("echo", {"id": "x"})
        agent.say({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"id": "x" * (2**20)}})
        assert len((await agent.hear())["result"]["id"]) == 2**20
        chunk = b"x" * 2**20
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(control.MOST_BYTES // len(chunk) * 2 + 8):
                    agent.writer.write(chunk)
                    await agent.writer.drain()
        assert await agent.ended() == b""
        assert "result" in await other.ask("echo", {"id": "still here"})


async def test_a_session_that_does_not_read_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MOST_UNREAD", 2**20)
    async with house.agent() as agent:
        agent.say({"jsonrpc": "2.0", "id": 1, "method": "later"})
        session, id_ = await house.desk.held.get()
        agent.writer.transport.pause_reading()  # type: ignore[attr-defined]
        session.reply(id_, {"text": "x" * 2**21})  # one large answer is no offence
        session.notify("more", {})
        async with asyncio.timeout(PATIENCE_S):
            assert await house.desk.gone.get() is session
        session.notify("more", {})
        agent.writer.transport.abort()


async def test_who_tells_much_can_wait_until_it_is_read(house: House) -> None:
    async with house.agent() as agent:
        agent.say({"jsonrpc": "2.0", "id": 1, "method": "later"})
        session, _ = await house.desk.held.get()
        await session.drained()
        agent.writer.transport.pause_reading()  # type: ignore[attr-defined]
        session.notify("more", {"text": "x" * 2**22})
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(session.drained())
            await asyncio.sleep(0)
            assert not waiting.done()
            agent.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert len((await agent.hear())["params"]["text"]) == 2**22
    async with asyncio.timeout(PATIENCE_S):
        await house.desk.gone.get()
    await session.drained()  # nobody is there, and nothing waits


async def test_those_who_are_there_are_told_when_the_server_stops(house: House) -> None:
    async with house.agent() as one, house.agent() as two:
        for agent in (one, two):
            await agent.ask("echo", {"id": "x"})
        await house.server.stop(restart=True)
        for agent in (one, two):
            assert (await agent.hear())["params"] == {"restart": True}
            assert await agent.ended() == b""
    with pytest.raises(OSError, match="refused"):
        await asyncio.open_unix_connection(house.path)


PATHS = [
    ("a.py", "/w/a.py"),
    ("./b/../a.py", "/w/a.py"),
    ("../x", "/x"),
    ("/abs//olute/", "/abs/olute"),
    ("name\nwith\x1b", "/w/name\nwith\x1b"),
    ("\udcff", "/w/\udcff"),
]


@pytest.mark.parametrize(("path", "expected"), PATHS)
async def test_a_path_counts_from_the_session_s_directory(house: House, path: str, expected: str) -> None:
    async with house.agent() as agent:
        await agent.ask("echo", {"id": "x"})
        house.desk.there[0].cwd, house.desk.there[0].greeted = "/w", True
        assert (await agent.ask("resolve", {"id": path}))["result"] == expected


async def test_a_relative_path_wants_a_hello(house: House) -> None:
    async with house.agent() as agent:
        assert "hello" in (await agent.ask("resolve", {"id": "a.py"}))["error"]["data"]["hint"]
        assert (await agent.ask("resolve", {"id": "/a.py"}))["result"] == "/a.py"


@pytest.mark.parametrize("path", ["", "a\0b", "\ud83d"])
async def test_what_can_be_no_path_is_the_asker_s_fault(house: House, path: str) -> None:
    async with house.agent() as agent:
        assert (await agent.ask("resolve", {"id": path}))["error"]["data"]["code"] == "usage"


@pytest.fixture
def as_another_user(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the server take itself for another user, which is the same as a stranger at the door."""
    uid = os.getuid()
    return lambda: monkeypatch.setattr(os, "getuid", lambda: uid + 1)


async def test_another_user_is_not_listened_to(house: House, as_another_user: Callable[[], None]) -> None:
    as_another_user()
    async with house.agent() as agent:
        with suppress(ConnectionError):
            agent.say({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"id": "x"}})
        assert await agent.ended() == b""
    assert house.desk.there == []


async def test_where_the_kernel_does_not_say_the_directory_must_do(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    async with house.agent() as agent:
        assert "result" in await agent.ask("echo", {"id": "x"})
        assert house.desk.there[0].pid is None
