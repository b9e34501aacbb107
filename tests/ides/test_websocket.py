"""The WebSocket wire: what only it does."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable

import pytest
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key, apply_mask

from bridge.core import jsonrpc
from bridge.core.events import LinkMessage, LinkState
from bridge.ides import sockets, websocket
from bridge.ides.websocket import WebSocket
from tests.ides.linking import (
    PATIENCE_S,
    TOKEN,
    IdeProcess,
    Links,
    MakeIde,
    Serve,
    hangs_up,
    lock_of,
    replies,
    resets,
    rude_server,
    says,
    silence,
)


async def test_a_refused_token_is_told_from_a_dropped_connection(links: Links, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        await links.opened(lock_of(ide.port, "wrong"))
        assert await links.closed() == (LinkState.REFUSED, "it refused the token (close code 1008)")


async def test_an_ide_that_answers_pings_is_kept(
    links: Links, make_ide: MakeIde, monkeypatch: pytest.MonkeyPatch
) -> None:
    pongs: asyncio.Queue[Awaitable[object]] = asyncio.Queue()
    ping = WebSocket.ping

    def heard(wire: WebSocket) -> Awaitable[object]:
        pong = ping(wire)
        pongs.put_nowait(pong)
        return pong

    monkeypatch.setattr(WebSocket, "ping", heard)
    monkeypatch.setattr(sockets, "CLOSELY_S", 1.0)
    monkeypatch.setattr(sockets, "AT_LEISURE_S", 1.0)
    async with make_ide() as ide, asyncio.timeout(PATIENCE_S):
        lock = lock_of(ide.port, ide.token)
        await links.opened(lock)
        for n, closely in enumerate([True, False, True]):
            links.sockets.watch(lock.ide_id, closely)
            await (await pongs.get())
            assert await links.call(lock, "ping", {}, n) == {}


async def test_an_ide_that_takes_no_data_is_cut_off(
    links: Links, process: IdeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "PATIENCE_S", 0.2)
    ide, port = process
    lock = lock_of(port, None)
    await links.opened(lock)
    ide.send_signal(signal.SIGSTOP)
    frame = jsonrpc.request(1, "ping", jsonrpc.dump({"x": "x" * 2**24}))
    links.sockets.send(lock.ide_id, frame)
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it took no data for 0.2 s")
    links.sockets.send(lock.ide_id, frame)


_UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")

# (how it behaves, what that means, a word of the reason)
VAIN = {
    "302 to a path": (replies("302 Found", "Location: /elsewhere"), LinkState.PORT_TAKEN, "HTTP 302"),
    "302 to a page": (replies("302 Found", "Location: http://127.0.0.1:1/"), LinkState.PORT_TAKEN, "HTTP 302"),
    "307 to a WebSocket": (replies("307 Moved", "Location: ws://127.0.0.1:1/"), LinkState.PORT_TAKEN, "HTTP 307"),
    "200": (replies("200 OK"), LinkState.PORT_TAKEN, "HTTP 200"),
    "400": (replies("400 Bad Request"), LinkState.REFUSED, "HTTP 400"),
    "401": (replies("401 Unauthorized"), LinkState.REFUSED, "HTTP 401"),
    "403": (replies("403 Forbidden"), LinkState.REFUSED, "HTTP 403"),
    "404": (replies("404 Not Found"), LinkState.PORT_TAKEN, "HTTP 404"),
    "500": (replies("500 Oops"), LinkState.PORT_TAKEN, "HTTP 500"),
    "a wrong key": (
        replies("101 Switching", *_UPGRADE, "Sec-WebSocket-Accept: x"),
        LinkState.PORT_TAKEN,
        "no WebSocket",
    ),
    "garbage": (says(b"\x00\xff\x1b[31m\r\n\r\n" * 9), LinkState.PORT_TAKEN, "no WebSocket"),
    "a mail server": (says(b"220 mail ESMTP\r\n"), LinkState.PORT_TAKEN, "no WebSocket"),
    "an endless line": (says(b"x" * 2**20), LinkState.PORT_TAKEN, "no WebSocket"),
    "the end": (hangs_up, LinkState.NOT_ANSWERING, "broke the connection off"),
    "a reset": (resets, LinkState.NOT_ANSWERING, "broke the connection off"),
    "silence": (silence, LinkState.NOT_ANSWERING, "no answer within"),
}


@pytest.mark.parametrize(("behave", "state", "reason"), VAIN.values(), ids=VAIN)
async def test_what_is_no_ide_is_told_apart(links: Links, behave: Serve, state: LinkState, reason: str) -> None:
    async with rude_server(behave) as port:
        found, why = await links.fails(lock_of(port))
    assert found is state
    assert reason in why
    assert why.isprintable()
    assert TOKEN not in why
    assert links.dialer.ports == frozenset()


# ---- frames, as no library sends them


async def upgraded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *frames: bytes) -> None:
    """Agree to the upgrade, and send these frames with the same breath."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
    assert key is not None
    lines = ("HTTP/1.1 101 Switching", *_UPGRADE, f"Sec-WebSocket-Accept: {accept_key(key[1].decode())}", "", "")
    writer.write("\r\n".join(lines).encode() + b"".join(frames))
    await writer.drain()


def frame(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


async def received(reader: asyncio.StreamReader) -> Frame:
    """Read a frame of the client's, up to 125 bytes long."""
    first, second = await reader.readexactly(2)
    assert second & 0x80
    mask = await reader.readexactly(4)
    return Frame(Opcode(first & 0x0F), apply_mask(await reader.readexactly(second & 0x7F), mask))


NOTE = jsonrpc.notification("note", jsonrpc.dump({"text": "é" * 50}))


async def test_a_message_in_pieces_is_one_and_may_come_with_the_upgrade(links: Links) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces = (frame(Opcode.TEXT, NOTE[:60], fin=False), frame(Opcode.PING, b"still there?"))
        more = (frame(Opcode.CONT, NOTE[60:61], fin=False), frame(Opcode.CONT, NOTE[61:]), frame(Opcode.BINARY, NOTE))
        await upgraded(reader, writer, *pieces, *more)
        pongs.put_nowait(await received(reader))
        await reader.read()

    pongs: asyncio.Queue[Frame] = asyncio.Queue()
    async with rude_server(behave) as port, asyncio.timeout(PATIENCE_S):
        lock = lock_of(port)
        await links.opened(lock)
        events = [await links.next(), await links.next()]
        assert [event.message for event in events if isinstance(event, LinkMessage)] == [jsonrpc.decode(NOTE)] * 2
        while (pong := await pongs.get()).opcode is not Opcode.PONG:  # our own ping may come first
            pass
        links.sockets.hang_up(lock.ide_id)
    assert bytes(pong.data) == b"still there?"


@pytest.mark.parametrize(
    "frames",
    [
        [frame(Opcode.TEXT, b"x" * 200)],
        [frame(Opcode.TEXT, b"x" * 60, fin=False), frame(Opcode.CONT, b"x" * 60)],
        [frame(Opcode.CONT, b"x")],
        [b"\xff\xff"],
    ],
    ids=["too long", "too long together", "the end of nothing", "no frame"],
)
async def test_what_breaks_the_rules_ends_the_link_though_the_other_end_stays(
    links: Links, monkeypatch: pytest.MonkeyPatch, frames: list[bytes]
) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded(reader, writer, *frames)
        await reader.read()  # until we have closed: it does not

    monkeypatch.setattr(websocket, "MOST_BYTES", 100)
    monkeypatch.setattr(websocket, "CLOSE_S", 0.05)
    async with rude_server(behave) as port:
        await links.opened(lock_of(port))
        assert (await links.closed())[0] is LinkState.LISTENING
    assert links.dialer.ports == frozenset()


async def test_frames_of_one_turn_keep_their_order(links: Links) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded(reader, writer)
        while True:
            heard.put_nowait(bytes((await received(reader)).data))

    async with rude_server(behave) as port, asyncio.timeout(PATIENCE_S):
        lock = lock_of(port)
        await links.opened(lock)
        sent = [jsonrpc.notification(f"n{number}") for number in range(20)]
        for note in sent:
            links.sockets.send(lock.ide_id, note)
        notes: list[bytes] = []
        while len(notes) < len(sent):
            notes += [data for data in [await heard.get()] if data.startswith(b"{")]
        links.sockets.hang_up(lock.ide_id)
    assert notes == sent


async def test_an_ide_that_takes_data_slowly_is_kept(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PATIENCE_S", 0.3)
    size, looks = 2**26, asyncio.Semaphore(0)  # more than what is read while we look, and the system's buffers
    look = WebSocket._lose_patience

    def looking(wire: WebSocket, before: int) -> None:
        looks.release()
        look(wire, before)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded(reader, writer)
        left = size
        for _ in range(3):  # as much as makes room in the system's buffers, each time that we are about to give up
            left -= len(await reader.readexactly(2**23))
            await looks.acquire()
        await reader.readexactly(left)
        writer.write(frame(Opcode.TEXT, NOTE))
        await reader.read()

    monkeypatch.setattr(WebSocket, "_lose_patience", looking)
    async with rude_server(behave) as port:
        lock = lock_of(port)
        await links.opened(lock)
        links.sockets.send(lock.ide_id, b"x" * size)
        event = await links.next()
        assert isinstance(event, LinkMessage), event
        links.sockets.hang_up(lock.ide_id)


async def test_an_ide_that_leaves_too_much_waiting_is_cut_off(
    links: Links, process: IdeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "WAITING_MOST", 2**20)
    ide, port = process
    lock = lock_of(port, None)
    await links.opened(lock)
    ide.send_signal(signal.SIGSTOP)
    for _ in range(2):
        links.sockets.send(lock.ide_id, b"x" * 2**24)
    assert await links.closed() == (LinkState.NOT_ANSWERING, "it takes messages too slowly")
