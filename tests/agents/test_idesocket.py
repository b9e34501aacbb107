"""The WebSocket front, driven by a raw client over real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from bridge.agents import idesocket
from bridge.agents.idesocket import WebSocketFront
from bridge.core import outbox
from bridge.core.official import MOST_BYTES
from bridge.listening import listen
from tests.agents.fronts import PATIENCE_S, SECRET, Desk, front, soon, until
from tests.agents.rawclient import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, TOKEN, Raw, frame, upgrade

SELECTION = "selection_changed"


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with front(WebSocketFront) as desk:
        yield desk


# (what is said beside or instead of the usual, what is left out, the answer's status)
HANDSHAKES: dict[str, tuple[list[tuple[str, str]], list[str], int]] = {
    "as usual": ([], [], 101),
    "no token": ([], [TOKEN], 401),
    "an empty token": ([(TOKEN, "")], [], 401),
    "a wrong token": ([(TOKEN, SECRET[:-1])], [], 401),
    "a longer token": ([(TOKEN, SECRET + "x")], [], 401),
    "a token that is no ASCII": ([(TOKEN, "\xe9\xff")], [], 401),
    "the token twice": ([(TOKEN, SECRET), (TOKEN, SECRET)], [], 401),
    "a wrong token, then the right one": ([(TOKEN, "x"), (TOKEN, SECRET)], [], 401),
    "the token in small letters": ([(TOKEN.lower(), SECRET)], [TOKEN], 101),
    "an origin": ([("Origin", "http://evil.example")], [], 403),
    "our own origin": ([("Origin", "http://127.0.0.1")], [], 403),
    "a sandboxed page": ([("Origin", "null")], [], 403),
    "an empty origin": ([("Origin", "")], [], 403),
    "a name that leads to us": ([("Host", "evil.example:{port}")], [], 421),
    "no host": ([], ["Host"], 400),
    "a host without the port": ([("Host", "127.0.0.1")], [], 421),
    "another port": ([("Host", "127.0.0.1:80")], [], 421),
    "all addresses": ([("Host", "0.0.0.0:{port}")], [], 421),
    "the name of this machine": ([("Host", "LocalHost:{port}")], [], 101),
    "IPv6": ([("Host", "[::1]:{port}")], [], 101),
    "no upgrade": ([], ["Upgrade"], 426),
    "no connection header": ([], ["Connection"], 426),
    "an upgrade to something else": ([("Upgrade", "h2c")], [], 426),
    "no key": ([], ["Sec-WebSocket-Key"], 426),
    "a key that is none": ([("Sec-WebSocket-Key", "x")], [], 426),
    "a version that never was": ([("Sec-WebSocket-Version", "12")], [], 426),
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_who_gets_in(desk: Desk, name: str) -> None:
    said, without, status = HANDSHAKES[name]
    raw = await Raw.to(desk.port)
    more = [(header, value.format(port=desk.port)) for header, value in said]
    headers, accept = upgrade(desk.port, SECRET, *more, without=without)
    answer = await raw.request("GET / HTTP/1.1", headers)
    assert answer.status == status
    if status == 101:
        assert answer.headers["sec-websocket-accept"] == accept
        raw.say("hello")
        assert await raw.hear() == "hello"
        await raw.close()
        await soon(desk.gone)
    else:
        assert SECRET.encode() not in answer.body
        assert await raw.end() == b""  # a refused connection is of no more use
        assert desk.there.empty()
    assert desk.front.agents == 0


@pytest.mark.parametrize("line", ["POST / HTTP/1.1", "PUT / HTTP/1.1", "GET / HTTP/1.0", "HEAD / HTTP/1.1"])
async def test_only_a_get_of_today_s_http_is_an_upgrade(desk: Desk, line: str) -> None:
    raw = await Raw.to(desk.port)
    headers, _ = upgrade(desk.port, SECRET)
    raw.send(f"{line}\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in headers) + b"\r\n")
    assert b" 426 " in (await raw.end()).splitlines()[0]


async def test_any_path_will_do(desk: Desk) -> None:
    raw = await Raw.to(desk.port)
    headers, _ = upgrade(desk.port, SECRET)
    assert (await raw.request("GET /some/where?a=%00 HTTP/1.1", headers)).status == 101
    await raw.close()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [([], None), (["mcp"], "mcp"), (["chat, mcp"], "mcp"), (["chat"], None), (["a", "mcp"], None)],
)
async def test_mcp_is_chosen_where_it_is_offered_and_nothing_else(
    desk: Desk, offered: list[str], chosen: str | None
) -> None:
    raw = await Raw.to(desk.port)
    headers, _ = upgrade(desk.port, SECRET, *(("Sec-WebSocket-Protocol", name) for name in offered))
    answer = await raw.request("GET / HTTP/1.1", headers)
    assert answer.status == 101
    if len(offered) < 2:  # of a repeated header any of the names may be chosen
        assert answer.headers.get("sec-websocket-protocol") == chosen
    raw.say(1)
    assert await raw.hear() == 1
    await raw.close()


@pytest.mark.parametrize(
    "said",
    [
        b"\0\1\2\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * 9000 + b"\r\n\r\n",
    ],
    ids=["bytes", "no request", "no header", "a long header"],
)
async def test_what_is_no_http_is_refused_and_leaves_nothing_in_the_log(
    desk: Desk, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        raw = await Raw.to(desk.port)
        raw.send(said)
        assert b" 400 " in (await raw.end()).splitlines()[0]
    assert not caplog.records


async def test_a_malformed_request_with_the_token_does_not_log_it(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        raw = await Raw.to(desk.port)
        raw.send(f"GET / HTTP/1.1\r\n{TOKEN}: {SECRET}\x01\r\nHost\r\n\r\n".encode())
        await raw.end()
        raw = await Raw.agent(desk.port, SECRET)
        raw.send(frame(TEXT, b"x", first=FIN | 0x40))
        await raw.closed()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "said", [b"", b"GET / HTTP/1.1\r\nHost: 127", b"G"], ids=["nothing", "a beginning", "a letter"]
)
async def test_a_request_that_never_comes_whole_is_not_waited_for(
    desk: Desk, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idesocket, "FIRST_REQUEST_S", 0.05)
    slow = await Raw.to(desk.port)
    slow.send(said)
    assert await slow.end() == b""
    agent = await Raw.agent(desk.port, SECRET)
    later = await Raw.to(desk.port)
    assert await later.end() == b""  # so the agent's time is over too: patience is with those that ask nothing
    agent.say(1)
    assert await agent.hear() == 1
    await agent.close()


async def test_a_stranger_is_cut_off_before_anything_is_read(desk: Desk) -> None:
    desk.admitted = lambda client, mine: mine != desk.port
    raw = await Raw.to(desk.port)
    with suppress(ConnectionError):
        raw.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await raw.end() == b""
    assert desk.there.empty()


async def test_too_many_connections_are_cut_off_and_those_that_leave_make_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idesocket, "MOST_AGENTS", 3)
    agent = await Raw.agent(desk.port, SECRET)
    others = [await Raw.to(desk.port) for _ in range(2)]
    await until(lambda: len(desk.front._server.connections) == 3)
    assert await (await Raw.to(desk.port)).end() == b""
    for other in others:
        other.break_off()
    await until(lambda: len(desk.front._server.connections) == 1)
    assert not desk.front._asking
    second = await Raw.agent(desk.port, SECRET)
    for raw in (agent, second):
        raw.say(2)
        assert await raw.hear() == 2
        await raw.close()


async def test_a_flood_of_connections_that_break_off_leaves_nothing_behind(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        flood = await asyncio.gather(*(Raw.to(desk.port) for _ in range(20)))
        for raw in flood:
            raw.break_off()
    agent = await Raw.agent(desk.port, SECRET)
    agent.say(3)
    assert await agent.hear() == 3
    await until(lambda: len(desk.front._server.connections) == 1)
    await agent.close()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# ---- frames


async def test_messages_come_whole_in_fragments_with_others_between_and_as_bytes(desk: Desk) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    raw.send(frame(TEXT, b'"a', first=0))
    raw.send(frame(PING, b"still there?"))
    raw.send(frame(CONTINUATION, b"", first=0))
    raw.send(frame(CONTINUATION, b'b"'))
    assert await raw.frame() == (PONG, b"still there?")
    assert await raw.hear() == "ab"
    raw.send(frame(PONG, b"nobody asked"))
    raw.send(frame(BINARY, b'"bytes"'))
    assert await raw.hear() == "bytes"
    whole = frame(TEXT, b'"slowly"')
    for at in range(len(whole)):
        raw.send(whole[at : at + 1])
        await asyncio.sleep(0)
    assert await raw.hear() == "slowly"
    await raw.close()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 2**20])
async def test_frames_of_any_length(desk: Desk, size: int) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    raw.send(frame(TEXT, b"x" * size))
    assert await raw.frame() == (TEXT, b"x" * size)
    await raw.close()


# (what is sent, the code that the connection is closed with)
BROKEN = {
    "reserved bit 1": (frame(TEXT, b"1", first=FIN | 0x40), 1002),
    "reserved bit 2": (frame(TEXT, b"1", first=FIN | 0x20), 1002),
    "reserved bit 3": (frame(TEXT, b"1", first=FIN | 0x10), 1002),
    "an opcode that is none": (frame(0x3, b"1"), 1002),
    "a control opcode that is none": (frame(0xB, b"1"), 1002),
    "a ping in parts": (frame(PING, b"1", first=0), 1002),
    "a ping that is too long": (frame(PING, b"x" * 126), 1002),
    "a message within another": (frame(TEXT, b"1", first=0) + frame(TEXT, b"2"), 1002),
    "the rest of nothing": (frame(CONTINUATION, b"1"), 1002),
    "a close frame of one byte": (frame(CLOSE, b"\3"), 1002),
    "a close frame with a code that is none": (frame(CLOSE, b"\0\1"), 1002),
    "too long": (frame(TEXT, b"", length=MOST_BYTES + 1), 1009),
    "longer than anything": (frame(TEXT, b"", length=2**63 - 1), 1009),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_frame_ends_the_connection(desk: Desk, name: str) -> None:
    sent, code = BROKEN[name]
    raw = await Raw.agent(desk.port, SECRET)
    raw.send(sent)
    assert (await raw.closed())[0] == code
    await soon(desk.gone)


async def test_fragments_are_counted_together(desk: Desk) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    raw.send(frame(TEXT, b"x" * 2**20, first=0))
    raw.send(frame(CONTINUATION, b"", length=MOST_BYTES))
    assert (await raw.closed())[0] == 1009


async def test_an_unmasked_frame_is_taken_or_ends_the_connection_but_harms_nobody(desk: Desk) -> None:
    """RFC 6455 section 5.1 wants the connection closed; aiohttp takes the frame, which no browser can send."""
    raw = await Raw.agent(desk.port, SECRET)
    raw.send(frame(TEXT, b"1", masked=False))
    opcode, _ = await raw.frame()
    assert opcode in (TEXT, CLOSE)
    await raw.close()
    await soon(desk.gone)


async def test_what_is_no_utf_8_reaches_the_session_which_knows_what_to_do(desk: Desk) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    raw.send(frame(TEXT, b"\xff\xfe"))
    assert await raw.frame() == (TEXT, b"\xff\xfe")
    await raw.close()


async def test_the_close_handshake(desk: Desk) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    raw.send(frame(CLOSE, b"\x03\xe8bye"))
    assert await raw.frame() == (CLOSE, b"\x03\xe8")
    assert await raw.end() == b""
    await soon(desk.gone)


@pytest.mark.parametrize("how", ["half closed", "reset", "closed"])
async def test_an_agent_that_goes_without_a_word_is_gone(desk: Desk, how: str) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    if how == "half closed":
        raw.writer.write_eof()
        await raw.end()
    elif how == "reset":
        raw.break_off()
    else:
        await raw.close()
    await soon(desk.gone)
    await until(lambda: desk.front.agents == 0)


async def test_what_is_sent_to_an_agent_that_is_gone_goes_nowhere(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    visitor = await soon(desk.there)
    raw.break_off()
    await soon(desk.gone)
    visitor.wire.send(b"1")
    visitor.wire.tell(SELECTION, b"{}")
    visitor.wire.send(b"x" * 2**20)
    visitor.wire.send(b"2")
    await asyncio.sleep(0)
    assert not caplog.records


async def test_a_bug_ends_one_connection_and_is_logged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = await Raw.agent(desk.port, SECRET)
    monkeypatch.setattr(desk, "heard", None)
    raw = await Raw.agent(desk.port, SECRET)
    raw.say(1)
    await raw.end()
    await soon(desk.gone)
    assert "AttributeError" in caplog.text
    monkeypatch.undo()
    other.say(2)
    assert await other.hear() == 2


# ---- agents that do not read


async def newest(raw: Raw) -> tuple[list[int], list[int]]:
    """Read answers (numbers) and selections (numbers in an object) until the answer -1."""
    answers: list[int] = []
    told: list[int] = []
    while True:
        said = await raw.hear()
        if isinstance(said, dict):
            told.append(said["params"]["n"])
        elif said == -1:
            return answers, told
        else:
            answers.append(said)


async def test_an_agent_that_does_not_read_costs_little_and_gets_the_newest_in_order(desk: Desk) -> None:
    slow = await Raw.agent(desk.port, SECRET, small=True)
    visitor = await soon(desk.there)
    filler = "x" * 1000
    for n in range(20_000):
        visitor.wire.tell(SELECTION, json.dumps({"n": n, "text": filler}).encode())
        if n % 1000 == 0:
            visitor.wire.send(b"%d" % n)
    assert visitor.wire._outbox.size < 64 * 1024
    visitor.wire.send(b"-1")
    answers, told = await newest(slow)
    assert answers == list(range(0, 20_000, 1000))
    assert told == sorted(told)
    assert told[-1] == 19_999
    assert len(told) < 10_000  # some were of no use any more
    slow.say("and now")
    assert await slow.hear() == "and now"
    await slow.close()


async def test_an_answer_has_left_when_the_agent_takes_it_and_never_if_it_is_gone(desk: Desk) -> None:
    left: list[str] = []
    quick = await Raw.agent(desk.port, SECRET)
    visitor = await soon(desk.there)
    visitor.wire.send(b"1", lambda: left.append("at once"))
    assert left == ["at once"]
    await quick.close()

    slow = await Raw.agent(desk.port, SECRET, small=True)
    visitor = await soon(desk.there)
    visitor.wire.send(b'"%b"' % (b"x" * 2**23))
    visitor.wire.send(b"2", lambda: left.append("later"))
    assert left == ["at once"]
    assert len(await slow.hear()) == 2**23
    assert await slow.hear() == 2
    await until(lambda: left == ["at once", "later"])

    visitor.wire.send(b'"%b"' % (b"x" * 2**23))
    visitor.wire.send(b"3", lambda: left.append("never"))
    slow.break_off()
    await soon(desk.gone)
    await soon(desk.gone)
    visitor.wire.send(b"4", lambda: left.append("never"))
    assert left == ["at once", "later"]


async def test_another_agent_does_not_wait_for_one_that_does_not_read(desk: Desk) -> None:
    slow = await Raw.agent(desk.port, SECRET, small=True)
    stalled = await soon(desk.there)
    for _ in range(32):
        stalled.wire.send(b"x" * 2**20)
    quick = await Raw.agent(desk.port, SECRET)
    quick.say(1)
    assert await quick.hear() == 1
    await quick.close()
    slow.break_off()
    assert await soon(desk.gone) is not stalled
    assert await soon(desk.gone) is stalled


async def test_who_leaves_too_much_unread_is_cut_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MOST_BYTES", 2**20)
    slow = await Raw.agent(desk.port, SECRET, small=True)
    visitor = await soon(desk.there)
    for _ in range(16):
        visitor.wire.send(b"x" * 2**20)
    assert await soon(desk.gone) is visitor
    await slow.end()
    await until(lambda: desk.front.agents == 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_who_pings_and_does_not_read_is_not_read_from_either(desk: Desk) -> None:
    slow = await Raw.agent(desk.port, SECRET, small=True)
    visitor = await soon(desk.there)
    pings = frame(PING, b"x" * 125) * 1000

    async def flood() -> None:
        while True:
            slow.send(pings)
            await slow.writer.drain()

    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await flood()
    assert visitor.wire._transport.get_write_buffer_size() < 2 * idesocket.HIGH_BYTES
    slow.break_off()
    assert await soon(desk.gone) is visitor


async def test_a_big_answer_to_one_that_reads_slowly_and_small_ones_after_it_keep_their_order(desk: Desk) -> None:
    """Between the marks of the socket's buffer, too, where a writer is paused and the buffer has room again."""
    slow = await Raw.agent(desk.port, SECRET, small=True)
    visitor = await soon(desk.there)
    sizes = [40_000, 30_000, 10, 70_000, 200_000, 1, 50_000, 15_000] * 4

    async def speak() -> None:
        for number, size in enumerate(sizes):
            visitor.wire.send(b'"%d%s"' % (number, b"x" * size))
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(speak())
        heard = [str(await slow.hear()) for _ in sizes]
    assert speaking.done()
    assert [int(text.rstrip("x")) for text in heard] == list(range(len(sizes)))
    assert [len(text) - len(str(n)) for n, text in enumerate(heard)] == sizes
    await slow.close()


# ---- the end of the front


async def test_stopping_says_goodbye_and_frees_the_port(desk: Desk) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    asking = await Raw.to(desk.port)
    async with asyncio.TaskGroup() as tasks:
        goodbye = tasks.create_task(raw.closed())
        await desk.front.stop()
        listen(desk.port).close()
    assert goodbye.result() == (1001, b"the bridge stops")
    await soon(desk.gone)
    assert await asking.end() == b""


async def test_stopping_does_not_wait_for_who_does_not_read_or_is_being_served(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idesocket, "STOP_S", 0.1)
    slow = await Raw.agent(desk.port, SECRET, small=True)
    (await soon(desk.there)).wire.send(b"x" * 2**22)
    busy = await Raw.agent(desk.port, SECRET)
    desk.open.clear()
    busy.say("wait for it")
    await soon(desk.heard)
    async with asyncio.timeout(PATIENCE_S):
        await desk.front.stop()
        await until(lambda: not any(c.transport for c in desk.front._server.connections))
    assert desk.gone.qsize() < 2  # what is being handled is handled to its end
    desk.open.set()
    await soon(desk.gone)
    await soon(desk.gone)
    for raw in (slow, busy):
        await raw.end()


async def test_nobody_gets_in_while_it_stops(desk: Desk) -> None:
    raw = await Raw.agent(desk.port, SECRET)
    await desk.front.stop()
    with pytest.raises(ConnectionRefusedError):
        await Raw.to(desk.port)
    await raw.end()


def test_a_front_is_silent_about_its_token() -> None:
    built: Any = WebSocketFront(None, SECRET, None, None)  # type: ignore[arg-type]
    assert SECRET not in repr(built)
