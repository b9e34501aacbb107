from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest
from websockets.exceptions import InvalidStatus

from tests.emulator.agent import TOKEN_HEADER, agent, texts
from tests.emulator.conftest import MakeIde

TOKEN = "d9b7c4a2-token"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {TOKEN_HEADER: ""},
        {TOKEN_HEADER: TOKEN[:-1]},
        {TOKEN_HEADER: f"{TOKEN},{TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}"},
    ],
    ids=["none", "empty", "too short", "twice", "in another header"],
)
async def test_a_wrong_token_is_told_so_after_the_upgrade(make_ide: MakeIde, headers: dict[str, str]) -> None:
    async with make_ide(token=TOKEN) as ide:
        async with agent(ide, headers=headers) as stranger:
            assert stranger.socket.subprotocol == "mcp"
            assert await stranger.closed() == (1008, "Unauthorized")
        assert (ide.connections, ide.unauthorised, ide.calls) == (1, 1, [])


async def test_a_stranger_does_not_displace_anybody(make_ide: MakeIde) -> None:
    async with make_ide(token=TOKEN) as ide, agent(ide) as ann:
        async with agent(ide, headers={}) as stranger:
            await stranger.closed()
        assert await ann.call("ping") == {"result": {}}


@pytest.mark.parametrize("headers", [{}, {TOKEN_HEADER: "anything"}])
async def test_without_a_token_everybody_gets_in(make_ide: MakeIde, headers: dict[str, str]) -> None:
    async with make_ide(token=None) as ide, agent(ide, headers=headers) as ann:
        assert await ann.call("ping") == {"result": {}}
        assert (ide.connections, ide.unauthorised) == (1, 0)


@pytest.mark.parametrize(("offered", "chosen"), [(("mcp",), "mcp"), (("x", "mcp"), "mcp"), (("x",), None), ((), None)])
async def test_mcp_is_chosen_if_it_is_offered(make_ide: MakeIde, offered: Sequence[str], chosen: str | None) -> None:
    async with make_ide() as ide, agent(ide, subprotocols=offered) as ann:
        assert ann.socket.subprotocol == chosen
        assert await ann.call("ping") == {"result": {}}


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1", "null"])
async def test_browsers_stay_outside(make_ide: MakeIde, origin: str) -> None:
    async with make_ide(token=TOKEN) as ide:
        with pytest.raises(InvalidStatus) as caught:
            async with agent(ide, headers={TOKEN_HEADER: TOKEN, "Origin": origin}):
                pass
        assert caught.value.response.status_code == 403
        assert ide.connections == 0


async def test_it_listens_on_the_loopback_alone(make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        elsewhere = socket.socket()
        elsewhere.settimeout(1)
        with elsewhere, pytest.raises(OSError, match="refused"):
            elsewhere.connect(("127.0.0.2", ide.port))


async def test_a_taken_port_is_an_error(make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        with pytest.raises(OSError, match=str(ide.port)):
            await make_ide(port=ide.port).__aenter__()


async def test_a_newcomer_displaces_without_a_status(make_ide: MakeIde) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        await ann.call("ping")
        async with agent(ide) as bob:
            assert await ann.closed() == (1005, "")
            assert await bob.call("ping") == {"result": {}}
            assert (ide.connections, ide.unauthorised) == (2, 0)


async def test_a_displaced_client_that_does_not_answer_delays_nobody(make_ide: MakeIde) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        await ann.call("ping")
        ann.socket.transport.pause_reading()  # it does not even see that it is thrown out
        async with agent(ide) as bob:
            assert await bob.call("ping") == {"result": {}}
            await ann.ask("tools/call", {"name": "closeAllDiffTabs"})
            await bob.tool("getWorkspaceFolders")
        assert [name for name, _ in ide.calls] == ["getWorkspaceFolders"]


async def test_a_whole_large_file_fits_in_a_frame(make_ide: MakeIde) -> None:
    text = "0123456789abcdef\n" * 2**18  # 4.25 MiB; the library's default is 1
    async with make_ide(human="accept") as ide, agent(ide) as ann:
        await ann.propose(text)
        assert texts(await ann.hear()) == ["FILE_SAVED", text]


async def test_a_client_that_vanishes_leaves_a_place(make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        async with agent(ide) as ann:
            await ann.call("ping")
            ann.socket.transport.abort()
        async with agent(ide) as bob:
            assert await bob.call("ping") == {"result": {}}


async def test_a_silent_ide_can_be_stopped_in_the_middle_of_a_handshake(make_ide: MakeIde) -> None:
    async with make_ide(faults=["hang-handshake"]) as ide:
        caller = socket.create_connection(("127.0.0.1", ide.port))
        with caller:
            caller.sendall(
                b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await ide.stop()
            caller.settimeout(5)
            with pytest.raises(ConnectionResetError):
                caller.recv(1)
    assert ide.connections == 0
