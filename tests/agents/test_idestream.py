"""The SSE front, driven by a raw client over real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from bridge import web
from bridge.agents import idestream
from bridge.agents.idestream import EventStreamFront
from bridge.core import outbox
from bridge.core.official import MOST_BYTES
from bridge.listening import listen
from tests.agents.fronts import PATIENCE_S, SECRET, Desk, front, soon, until
from tests.agents.rawclient import TOKEN, Answer, Raw, head, post, sse_headers

CALL = b'{"jsonrpc":"2.0","id":%d,"method":"x"}'


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with front(EventStreamFront) as desk:
        yield desk


async def opened(desk: Desk, *, small: bool = False) -> tuple[Raw, str]:
    """Open a stream; give it, and the address to post to."""
    raw = await Raw.to(desk.port, small=small)
    return raw, await raw.stream(desk.port, SECRET)


async def say(desk: Desk, address: str, body: bytes, *more: tuple[str, str], raw: Raw | None = None) -> Answer:
    return await post(desk.port, SECRET, address, body, *more, raw=raw)


async def test_what_is_posted_is_answered_on_the_stream(desk: Desk) -> None:
    stream, address = await opened(desk)
    assert address.startswith("/message?session_id=")
    assert len(address.partition("=")[2]) == 32
    answer = await say(desk, address, CALL % 1)
    assert (answer.status, answer.body) == (202, b"")
    assert await stream.event() == ("message", (CALL % 1).decode())
    assert desk.front.agents == 1
    await stream.close()
    await soon(desk.gone)
    assert desk.front.agents == 0
    assert (await say(desk, address, CALL % 2)).status == 404


async def test_two_streams_are_two_sessions(desk: Desk) -> None:
    (one, at_one), (two, at_two) = await opened(desk), await opened(desk)
    assert at_one != at_two
    await say(desk, at_two, CALL % 2)
    await say(desk, at_one, CALL % 1)
    assert json.loads((await one.event())[1])["id"] == 1
    assert json.loads((await two.event())[1])["id"] == 2


# (headers beside or instead of the usual, the status)
DOORS: dict[str, tuple[list[tuple[str, str]], int]] = {
    "no token": ([(TOKEN, "")], 401),
    "a wrong token": ([(TOKEN, "x")], 401),
    "the token twice": ([(TOKEN, SECRET), (TOKEN, SECRET)], 401),
    "an origin": ([("Origin", "null")], 403),
    "our own origin": ([("Origin", "http://127.0.0.1")], 403),
    "a name that leads to us": ([("Host", "evil.example")], 421),
    "another port": ([("Host", "127.0.0.1:1")], 421),
    "IPv6": ([("Host", "[::1]:{port}")], 200),
}


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("line", ["GET /sse HTTP/1.1", "POST /message?session_id=1 HTTP/1.1", "GET /nothing HTTP/1.1"])
async def test_who_gets_in(desk: Desk, name: str, line: str) -> None:
    more, status = DOORS[name]
    usual = sse_headers(desk.port, SECRET)
    said = [(header, value.format(port=desk.port)) for header, value in more]
    gone = {header for header, _ in said}
    raw = await Raw.to(desk.port)
    headers = [*((header, value) for header, value in usual if header not in gone), *said]
    answer = await raw.request(line, headers)
    assert answer.status == (status if status != 200 or "sse" in line else 404)
    assert SECRET.encode() not in answer.body


async def test_what_is_wrong_with_a_post_is_said(desk: Desk) -> None:
    _, address = await opened(desk)
    assert (await say(desk, "/message", CALL % 1)).status == 400
    assert (await say(desk, "/message?session_id=", CALL % 1)).status == 400
    assert (await say(desk, address + "&session_id=2", CALL % 1)).status == 400
    assert (await say(desk, "/message?session_id=0123", CALL % 1)).status == 404
    assert (await say(desk, "/elsewhere", CALL % 1)).status == 404
    assert (await say(desk, address, CALL % 1, ("Content-Type", "text/plain"))).status == 415
    assert (await say(desk, address, CALL % 1, ("Content-Type", ""))).status == 415
    assert (await say(desk, address, CALL % 1, ("Content-Type", "Application/JSON; charset=utf-8"))).status == 202
    assert await soon(desk.heard) == CALL % 1
    for body in (b"", b"{", b"\xff", b"[]", b"[%b]" % (CALL % 1), b"null", b'{"jsonrpc":"2.0"}', b"[" * 10**6):
        assert (await say(desk, address, body)).status == 400
    assert desk.heard.empty()


async def test_methods_that_are_none_here(desk: Desk) -> None:
    _, address = await opened(desk)
    raw = await Raw.to(desk.port)
    answer = await raw.request(f"GET {address} HTTP/1.1", sse_headers(desk.port, SECRET))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    for method in ("POST", "DELETE"):
        headers = [*sse_headers(desk.port, SECRET), ("Content-Length", "0")]
        answer = await raw.request(f"{method} /sse HTTP/1.1", headers)
        assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert desk.front.agents == 1


async def test_too_much_is_refused_before_it_is_sent_and_while_it_is(desk: Desk) -> None:
    _, address = await opened(desk)
    raw = await Raw.to(desk.port)
    usual = [*sse_headers(desk.port, SECRET), ("Content-Type", "application/json")]
    announced = [*usual, ("Content-Length", str(MOST_BYTES + 1))]
    assert (await raw.request(f"POST {address} HTTP/1.1", announced)).status == 413
    raw = await Raw.to(desk.port)
    raw.send(head(f"POST {address} HTTP/1.1", [*usual, ("Transfer-Encoding", "chunked")]))
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    with suppress(ConnectionError):  # it may be closed before all is there
        for _ in range(MOST_BYTES // 2**20 + 1):
            raw.send(chunk)
            await raw.writer.drain()
    assert (await raw.answer()).status == 413


async def test_a_message_that_never_comes_whole_is_not_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idestream, "BODY_S", 0.05)
    _, address = await opened(desk)
    raw = await Raw.to(desk.port)
    headers = [*sse_headers(desk.port, SECRET), ("Content-Type", "application/json"), ("Content-Length", "9")]
    assert (await raw.request(f"POST {address} HTTP/1.1", headers, b'{"js')).status == 408
    gone = await Raw.to(desk.port)
    gone.send(head(f"POST {address} HTTP/1.1", headers) + b"{")
    await gone.writer.drain()
    gone.break_off()
    assert (await say(desk, address, CALL % 1)).status == 202
    assert desk.heard.qsize() == 1


@pytest.mark.parametrize("said", [b"", b"GET /sse HTTP/1.1\r\nHost: 127"], ids=["nothing", "a beginning"])
async def test_a_request_that_never_comes_whole_is_not_waited_for(
    desk: Desk, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "FIRST_REQUEST_S", 0.05)
    slow = await Raw.to(desk.port)
    slow.send(said)
    assert await slow.end() == b""


async def test_what_is_no_http_is_refused_and_logs_no_token(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        raw = await Raw.to(desk.port)
        raw.send(f"GET /sse HTTP/1.1\r\n{TOKEN}: {SECRET}\x01\r\nHost\r\n\r\n".encode())
        assert b" 400 " in (await raw.end()).splitlines()[0]
        stream, address = await opened(desk)
        await say(desk, address, CALL % 1)
        await stream.close()
        await soon(desk.gone)
    assert SECRET not in caplog.text


async def test_a_stranger_is_cut_off_before_anything_is_read(desk: Desk) -> None:
    desk.admitted = lambda client, mine: mine != desk.port
    raw = await Raw.to(desk.port)
    raw.send(head("GET /sse HTTP/1.1", sse_headers(desk.port, SECRET)))
    assert await raw.end() == b""
    assert desk.there.empty()


async def test_a_flood_of_connections_that_break_off_leaves_nothing_behind(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        flood = await asyncio.gather(*(Raw.to(desk.port) for _ in range(20)))
        for raw in flood:
            raw.send(head("GET /sse HTTP/1.1", sse_headers(desk.port, SECRET)))
            raw.break_off()
    stream, address = await opened(desk)
    await say(desk, address, CALL % 1)
    await stream.event()
    await until(lambda: desk.front.agents == 1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_quiet_stream_is_kept_alive_by_comments(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idestream, "KEEP_ALIVE_S", 0.05)
    stream, _ = await opened(desk)
    for _ in range(2):
        while not (line := await stream.line()):
            pass
        assert line.startswith(b": ")


async def test_nobody_wakes_to_see_whether_the_server_stops(desk: Desk) -> None:
    await opened(desk)
    tasks = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    assert not [name for name in tasks if "watcher" in name]


async def test_messages_of_more_than_one_line_and_of_any_character_arrive_whole(desk: Desk) -> None:
    stream, _ = await opened(desk)
    visitor = await soon(desk.there)
    for text in ('{"a":\n 1}', '"\u2028\x85é😀"', '"' + "x" * 300_000 + '"'):
        visitor.wire.send(text.encode())
        assert await stream.event() == ("message", text)


async def test_posts_on_several_connections_stay_in_the_order_in_which_they_came(desk: Desk) -> None:
    stream, address = await opened(desk)
    desk.open.clear()
    async with asyncio.TaskGroup() as tasks:
        posts = []
        for number in range(10):
            posts.append(tasks.create_task(say(desk, address, CALL % number)))
            if not number:
                assert await soon(desk.heard) == CALL % 0
            session = next(iter(desk.front._sessions.values()))
            await until(lambda: len(session.turn._waiters or ()) == number)  # noqa: B023  awaited at once
        assert not any(posted.done() for posted in posts)
        desk.open.set()
    assert {posted.result().status for posted in posts} == {202}
    assert [json.loads((await stream.event())[1])["id"] for _ in posts] == list(range(10))


async def test_several_posts_on_one_connection(desk: Desk) -> None:
    stream, address = await opened(desk)
    raw = await Raw.to(desk.port)
    for number in range(3):
        assert (await say(desk, address, CALL % number, raw=raw)).status == 202
        assert json.loads((await stream.event())[1])["id"] == number


async def test_a_post_that_waits_when_its_stream_ends_learns_that(desk: Desk) -> None:
    stream, address = await opened(desk)
    desk.open.clear()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(say(desk, address, CALL % 1))
        await soon(desk.heard)
        second = tasks.create_task(say(desk, address, CALL % 2))
        session = next(iter(desk.front._sessions.values()))
        await until(lambda: bool(session.turn._waiters))
        stream.break_off()
        await soon(desk.gone)
        desk.open.set()
    assert (first.result().status, second.result().status) == (202, 404)
    assert desk.heard.empty()


async def test_an_agent_that_does_not_read_costs_little_and_gets_the_newest_in_order(desk: Desk) -> None:
    slow, address = await opened(desk, small=True)
    visitor = await soon(desk.there)
    for n in range(20_000):
        visitor.wire.tell("selection_changed", json.dumps({"n": n, "text": "x" * 1000}).encode())
        if n % 1000 == 0:
            visitor.wire.send(b"%d" % n)
            await asyncio.sleep(0)
    assert visitor.wire._outbox.size < 64 * 1024
    quick, elsewhere = await opened(desk)
    await say(desk, elsewhere, CALL % 1)
    await quick.event()
    visitor.wire.send(b"-1")
    answers: list[int] = []
    told: list[int] = []
    while (said := json.loads((await slow.event())[1])) != -1:
        (answers if isinstance(said, int) else told).append(said if isinstance(said, int) else said["params"]["n"])
    assert answers == list(range(0, 20_000, 1000))
    assert told == sorted(told)
    assert told[-1] == 19_999
    await say(desk, address, CALL % 7)
    assert json.loads((await slow.event())[1])["id"] == 7


async def test_who_leaves_too_much_unread_is_cut_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MOST_BYTES", 2**20)
    slow, _ = await opened(desk, small=True)
    other, address = await opened(desk)
    visitor = await soon(desk.there)
    async with asyncio.timeout(PATIENCE_S):
        while desk.gone.empty():
            visitor.wire.send(b'"%b"' % (b"x" * 2**20))
            await asyncio.sleep(0)
    assert await soon(desk.gone) is visitor
    size = visitor.wire._outbox.size
    visitor.wire.send(b"more")
    visitor.wire.tell("selection_changed", b"{}")
    assert visitor.wire._outbox.size == size  # nothing is kept for who is gone
    await slow.end()
    await say(desk, address, CALL % 1)
    await other.event()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_stopping_ends_the_streams_and_frees_the_port(desk: Desk) -> None:
    stream, _ = await opened(desk)
    idle = await Raw.to(desk.port)
    await desk.front.stop()
    listen(desk.port).close()
    with pytest.raises((EOFError, asyncio.IncompleteReadError)):
        await stream.event()
    await idle.end()
    await soon(desk.gone)


async def test_stopping_does_not_wait_for_who_does_not_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.front._server.config, "timeout_graceful_shutdown", 0.1)
    slow, _ = await opened(desk, small=True)
    visitor = await soon(desk.there)
    for _ in range(8):
        visitor.wire.send(b"x" * 2**20)
    await until(lambda: any(one.flow.write_paused for one in desk.front._server.server_state.connections))
    async with asyncio.timeout(PATIENCE_S):
        await desk.front.stop()
        await soon(desk.gone)
        await slow.end()
