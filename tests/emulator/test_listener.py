"""Who has a place, over each carrier; what only one of them has is in test_websocket and test_sse."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from ide_plugins.emulator import Emulator
from tests.emulator.agent import Agent, agent, sse_agent
from tests.emulator.conftest import MakeIde

Connect = Callable[..., AbstractAsyncContextManager[Agent]]

PONG: dict[str, Any] = {"result": {}}
CARRIERS = pytest.mark.parametrize(("transport", "connect"), [("ws", agent), ("sse", sse_agent)])


@CARRIERS
async def test_several_clients_may_be_let_in(make_ide: MakeIde, transport: str, connect: Connect) -> None:
    async with make_ide(transport=transport, several_clients=True) as ide, connect(ide) as ann, connect(ide) as bob:
        assert await bob.call("ping") == PONG
        assert await ann.call("ping") == PONG
        await ide.notify("at_mentioned", {"filePath": "/a"})
        assert (await ann.hear())["method"] == (await bob.hear())["method"] == "at_mentioned"
        assert (ide.connections, ide.unauthorised) == (2, 0)


@CARRIERS
async def test_a_newcomer_takes_the_only_place(make_ide: MakeIde, transport: str, connect: Connect) -> None:
    async with make_ide(transport=transport) as ide, connect(ide) as ann:
        assert await ann.call("ping") == PONG
        async with connect(ide) as bob:
            assert await bob.call("ping") == PONG
            await ide.notify("at_mentioned", {"filePath": "/a"})
            assert (await bob.hear())["method"] == "at_mentioned"
            assert len(ide._listener.clients) == 1


@CARRIERS
async def test_a_usurper_leaves_the_old_client_waiting(make_ide: MakeIde, transport: str, connect: Connect) -> None:
    async with make_ide(transport=transport, personality="el") as ide, connect(ide) as ann:
        async with connect(ide) as bob:
            await ann.ask("tools/call", {"name": "closeAllDiffTabs"})  # is taken: the connection is open
            assert "result" in await bob.call("tools/list")
        await gone(ide)
        await ann.ask("tools/call", {"name": "closeAllDiffTabs"})
        async with connect(ide) as cid:
            assert "result" in await cid.call("tools/list")
        assert ide.calls == []


@CARRIERS
@pytest.mark.parametrize("ends", ["drop_client", "stop"])
async def test_who_lost_the_place_is_not_forgotten_at_the_end(
    make_ide: MakeIde, transport: str, connect: Connect, ends: str
) -> None:
    async with make_ide(transport=transport, personality="el") as ide, connect(ide) as ann, connect(ide) as bob:
        assert "result" in await bob.call("tools/list")
        await getattr(ide, ends)()
        for each in (ann, bob):
            with pytest.raises((ConnectionClosed, aiohttp.ClientError, EOFError)):
                await each.hear()


@CARRIERS
async def test_a_client_that_vanishes_leaves_a_place(make_ide: MakeIde, transport: str, connect: Connect) -> None:
    async with make_ide(transport=transport) as ide:
        async with connect(ide) as ann:
            assert await ann.call("ping") == PONG
        await gone(ide)
        async with connect(ide) as bob:
            assert await bob.call("ping") == PONG


async def gone(ide: Emulator) -> None:
    await ide.until(lambda: not ide._listener.clients)
