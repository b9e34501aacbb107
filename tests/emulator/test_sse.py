from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ide_plugins.emulator import Emulator, Fault
from ide_plugins.emulator.faults import FOREIGN_ORIGIN, GARBAGE
from ide_plugins.emulator.sse import SseClient
from tests.emulator.agent import TOKEN_HEADER, sse_agent, texts
from tests.emulator.conftest import MakeIde

TOKEN = "d9b7c4a2-token"
NOBODY = "0" * 32
SILENCE_S = 0.2  # how long nothing must come to be called silence


@pytest.fixture
def make_sse(make_ide: MakeIde) -> MakeIde:
    def make(**options: Any) -> Emulator:
        return make_ide(**{"transport": "sse", "token": TOKEN, **options})

    return make


async def test_the_lock_file_names_the_transport(make_sse: MakeIde) -> None:
    async with make_sse() as ide:
        lock = json.loads(ide.lock_path.read_bytes())
        assert (lock["transport"], lock["authToken"]) == ("sse", TOKEN)
        assert stat.S_IMODE(ide.lock_path.stat().st_mode) == 0o600


async def test_the_stream_tells_where_to_post_and_gets_every_answer(make_sse: MakeIde, workspace: Path) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann:
        assert ann.stream.headers["Content-Type"].startswith("text/event-stream")
        assert ann.address.startswith("/message?session_id=")
        assert (await ann.call("initialize", {"protocolVersion": "2024-11-05"}))["result"]["capabilities"]
        assert len((await ann.call("tools/list"))["result"]["tools"]) == 12
        await ide.select(workspace / "a.py", "one\n")
        assert (await ann.hear())["method"] == "selection_changed"
        assert (ide.connections, ide.unauthorised) == (1, 0)


@pytest.mark.parametrize(
    "headers",
    [{}, {TOKEN_HEADER: TOKEN[:-1]}, {TOKEN_HEADER: f"{TOKEN},{TOKEN}"}, {"Authorization": f"Bearer {TOKEN}"}],
    ids=["none", "too short", "twice", "in another header"],
)
async def test_every_request_must_show_the_token(make_sse: MakeIde, headers: dict[str, str]) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann, aiohttp.ClientSession(headers=headers) as stranger:
        base = f"http://127.0.0.1:{ide.port}"
        async with stranger.get(f"{base}/sse") as got, stranger.post(base + ann.address, json={}) as posted:
            assert (got.status, posted.status) == (401, 401)
        assert (ide.connections, ide.unauthorised) == (1, 2)
        assert await ann.call("ping") == {"result": {}}


async def test_without_a_token_everybody_gets_in(make_sse: MakeIde) -> None:
    async with make_sse(token=None) as ide, sse_agent(ide, headers={}) as ann:
        assert await ann.call("ping") == {"result": {}}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example:{port}"}, 421),
        ({"Host": "127.0.0.1"}, 421),  # another port's
        ({"Host": "LocalHost:{port}"}, 400),  # gets through to the check of the session
    ],
)
async def test_browsers_and_foreign_names_stay_outside(make_sse: MakeIde, headers: dict[str, str], status: int) -> None:
    async with make_sse() as ide, aiohttp.ClientSession(headers={TOKEN_HEADER: TOKEN}) as http:
        spoken = {name: value.format(port=ide.port) for name, value in headers.items()}
        base = f"http://127.0.0.1:{ide.port}"
        async with http.post(f"{base}/message", json={}, headers=spoken) as posted:
            assert posted.status == status
        if status != 400:
            async with http.get(f"{base}/sse", headers=spoken) as got:
                assert got.status == status
        assert ide.connections == 0


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("POST", "/message", {}, 400),
        ("POST", "/message?session_id=", {}, 400),
        ("POST", "/message?session_id=../x", {}, 400),
        ("POST", f"/message?session_id={NOBODY}&session_id={NOBODY}", {}, 400),
        ("POST", f"/message?session_id={NOBODY}", {}, 404),
        ("POST", "{address}", {"Content-Type": "text/plain"}, 415),
        ("POST", "{address}", {"Content-Type": "application/json; charset=utf-8"}, 202),
        ("POST", "/sse", {}, 405),
        ("GET", "/message", {}, 405),
        ("HEAD", "/sse", {}, 405),
        ("GET", "/", {}, 404),
    ],
)
async def test_what_is_wrong_has_its_status(
    make_sse: MakeIde, method: str, target: str, headers: dict[str, str], status: int
) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann:
        headers = {"Content-Type": "application/json", **headers}
        target = target.format(address=ann.address)
        async with ann.http.request(method, target, data=b"{}", headers=headers) as answer:
            assert answer.status == status
            assert b"jsonrpc" not in await answer.read()
        assert await ann.call("ping") == {"result": {}}


@pytest.mark.parametrize(("length", "status"), [(1000, 202), (1001, 413)])
async def test_a_body_may_be_too_large(make_sse: MakeIde, length: int, status: int) -> None:
    async with make_sse(max_frame_bytes=1000) as ide, sse_agent(ide) as ann:
        assert (await ann.post(b" " * length))[0] == status
        assert await ann.call("ping") == {"result": {}}


async def test_a_body_that_breaks_off_is_no_message(make_sse: MakeIde) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann:
        whole = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        head = f"POST {ann.address} HTTP/1.1\r\nHost: 127.0.0.1:{ide.port}\r\n{TOKEN_HEADER}: {TOKEN}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(whole) + 1}\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", ide.port)
        writer.write(head.encode() + whole)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await ann.call("ping") == {"result": {}}  # and not the answer to 1


@pytest.mark.parametrize("body", [b"not JSON", b"\x00\xff", b"[]", b'{"method":"notifications/initialized"}'])
async def test_what_is_no_request_is_taken_and_ignored(make_sse: MakeIde, body: bytes) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann:
        assert await ann.post(body) == (202, "")
        assert await ann.call("ping") == {"result": {}}


async def test_comments_keep_a_quiet_stream_alive(make_sse: MakeIde) -> None:
    async with make_sse(keep_alive_s=0.01) as ide, sse_agent(ide) as ann, asyncio.timeout(5):
        assert await ann.stream.content.readuntil(b": ") == b": "


async def test_a_whole_large_file_fits_in_a_message(make_sse: MakeIde) -> None:
    text = "0123456789abcdef\n" * 2**18
    async with make_sse(human="accept") as ide, sse_agent(ide) as ann:
        await ann.propose(text)
        assert texts(await ann.hear()) == ["FILE_SAVED", text]


@pytest.mark.parametrize(
    ("act", "answer"),
    [
        ("accept", ["FILE_SAVED", "new\n"]),
        ("reject", ["DIFF_REJECTED", "tab"]),
        ("close_tab_by_user", ["DIFF_REJECTED", "tab"]),
    ],
)
async def test_a_diff_blocks_its_answer_and_nothing_else(make_sse: MakeIde, act: str, answer: list[str]) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann:
        id_ = await ann.propose()
        await ide.next_diff()
        await ann.call("ping")
        await getattr(ide, act)()
        decided = await ann.hear()
        assert (decided["id"], texts(decided)) == (id_, answer)
        assert await ann.tool("close_tab", tab_name="tab") == ["TAB_CLOSED"]


async def test_a_newcomer_ends_the_old_stream_and_its_session(make_sse: MakeIde) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann:
        await ann.propose(id_="old")
        await ide.next_diff()
        async with sse_agent(ide) as bob:
            assert await ann.ended()
            assert (await ann.post(b"{}"))[0] == 404
            await ide.reject()
            assert (await bob.hear())["id"] == "old"
            assert await bob.call("ping") == {"result": {}}


@pytest.mark.parametrize("leaves", ["the client", "the IDE cuts"])
async def test_the_old_answer_reaches_the_new_stream(make_sse: MakeIde, leaves: str) -> None:
    async with make_sse() as ide:
        async with sse_agent(ide) as ann:
            await ann.propose(id_="old")
            await ide.next_diff()
            if leaves == "the IDE cuts":
                await ide.drop_client()
                assert not await ann.ended()
        await ide.until(lambda: not ide._listener.clients)
        await ide.accept()
        async with sse_agent(ide) as bob:
            late = await bob.hear()
            assert (late["id"], texts(late)) == ("old", ["FILE_SAVED", "new\n"])
            assert await bob.call("ping") == {"result": {}}  # and it comes once


async def test_stopping_ends_the_streams(make_sse: MakeIde) -> None:
    async with make_sse() as ide, sse_agent(ide) as ann:
        await ann.call("ping")
        stopping = asyncio.ensure_future(ide.stop())
        assert await ann.ended()
        await stopping
        await refuses(ide)
        assert not ide.lock_path.exists()
        await ide.stop()  # twice does no harm


async def test_a_client_that_does_not_read_cannot_keep_it(make_sse: MakeIde) -> None:
    async with make_sse(human="accept") as ide, sse_agent(ide) as ann:
        assert ann.stream.connection is not None
        assert ann.stream.connection.transport is not None
        transport = ann.stream.connection.transport
        transport.pause_reading()
        await ann.propose("x" * 2**25)
        await ide.until(lambda: ide.diffs)
        async with asyncio.timeout(5):
            await ide.stop()
            transport.resume_reading()
            with pytest.raises(aiohttp.ClientError):  # it is cut off in the middle of the answer
                await ann.event()


async def test_dying_cuts_the_streams_and_leaves_the_lock(make_sse: MakeIde) -> None:
    async with make_sse(faults=[Fault.DIE_ON_DIFF]) as ide, sse_agent(ide) as ann:
        await ann.propose()  # that it is taken is still told
        assert not await ann.ended()
        await refuses(ide)
    assert ide.lock_path.exists()


async def refuses(ide: Emulator) -> None:
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", ide.port)


async def test_a_stream_may_never_be_opened(make_sse: MakeIde) -> None:
    async with make_sse(faults=[Fault.HANG_HANDSHAKE]) as ide:
        reader, writer = await asyncio.open_connection("127.0.0.1", ide.port)
        writer.write(f"GET /sse HTTP/1.1\r\nHost: 127.0.0.1:{ide.port}\r\n{TOKEN_HEADER}: {TOKEN}\r\n\r\n".encode())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), SILENCE_S)
        await ide.stop()
        assert await reader.read() == b""
        writer.close()
        assert (ide.connections, ide.unauthorised) == (0, 0)


async def test_after_a_diff_it_may_be_as_if_stopped(make_sse: MakeIde) -> None:
    async with make_sse(faults=[Fault.HANG_AFTER_DIFF], keep_alive_s=0.01) as ide, sse_agent(ide) as ann:
        await ann.propose()
        await ide.next_diff()
        await ide.accept()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ann.post(b"{}"), SILENCE_S)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ann.event(), SILENCE_S)  # comments that were on their way
        seen = len(ann.comments)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ann.event(), SILENCE_S)
        assert len(ann.comments) == seen
        await ide.drop_client()
        assert not await ann.ended()


@pytest.mark.parametrize(
    ("fault", "swallowed"),
    [(Fault.HANG_INITIALIZE, {"initialize"}), (Fault.HANG_CALLS, {"ping", "tools/call"}), (Fault.GARBAGE, set())],
)
async def test_hanging_ides_forget_some_requests(make_sse: MakeIde, fault: Fault, swallowed: set[str]) -> None:
    methods = ["initialize", "ping", "tools/call", "tools/list"]  # the last is always answered
    async with make_sse(faults=[fault]) as ide, sse_agent(ide) as ann:
        asked = {await ann.ask(method, {"name": "getWorkspaceFolders"}): method for method in methods}
        answered: list[str] = []
        while "tools/list" not in answered:
            data = await ann.listen()
            if data not in GARBAGE:
                answered.append(asked[json.loads(data)["id"]])
        assert answered == [method for method in methods if method not in swallowed]


async def test_an_ended_stream_takes_nothing() -> None:
    client = SseClient()
    assert await client.deliver("{}")
    client.ended()
    assert not await client.deliver("{}")


async def test_it_may_send_its_clients_elsewhere(make_sse: MakeIde) -> None:
    async with make_sse(faults=[Fault.FOREIGN_ENDPOINT]) as ide, sse_agent(ide) as ann:
        assert ann.address.startswith(FOREIGN_ORIGIN + "/message?session_id=")


async def test_a_slow_ide_takes_messages_at_once(make_sse: MakeIde) -> None:
    loop = asyncio.get_running_loop()
    async with make_sse(faults=["slow:0.05"]) as ide, sse_agent(ide) as ann:
        before = loop.time()
        await ann.call("ping")
        assert loop.time() - before >= 0.05


async def test_a_taken_port_is_an_error(make_sse: MakeIde) -> None:
    async with make_sse() as ide:
        with pytest.raises(OSError, match=str(ide.port)):
            await make_sse(port=ide.port).__aenter__()


async def test_it_listens_on_the_loopback_alone(make_sse: MakeIde) -> None:
    async with make_sse() as ide:
        elsewhere = socket.socket()
        elsewhere.settimeout(1)
        with elsewhere, pytest.raises(OSError, match="refused"):
            elsewhere.connect(("127.0.0.2", ide.port))
