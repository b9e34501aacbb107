"""The WebSocket wire: what only it does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable
from typing import Any

import pytest

from bridge.core import jsonrpc
from bridge.core.events import LinkState
from bridge.ides import dialing, sockets, websocket
from bridge.ides.ports import snapshot
from bridge.ides.websocket import WebSocket
from bridge.ides.wire import AUTHORIZATION
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
    await links.closed()
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


async def test_nothing_is_sent_before_the_owner_is_known(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = bytearray()
    seen: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))

    look = snapshot

    def looking(ports: list[int]) -> Any:
        seen.append(bytes(heard))
        return look(ports)

    monkeypatch.setattr(dialing, "snapshot", looking)
    async with rude_server(record) as port:
        await links.fails(lock_of(port))
    assert seen[0] == b""
    assert f"{AUTHORIZATION}: {TOKEN}\r\n".encode() in heard
    assert b"Sec-WebSocket-Protocol: mcp\r\n" in heard
