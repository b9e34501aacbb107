"""Streamable HTTP as the companions serve it: what is refused with which status, and how a session lives and ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from ide_plugins.emulator import Emulator, Fault
from ide_plugins.emulator.faults import GARBAGE
from ide_plugins.emulator.listener import Client, Endpoint
from ide_plugins.emulator.streamable import StreamableListener
from tests.emulator.conftest import MakeIde
from tests.emulator.peer import peer

TOKEN = "d9b7c4a2-token"
SILENCE_S = 0.2  # how long nothing must come to be called silence

ACCEPT = "application/json, text/event-stream"
HEADERS = {"Accept": ACCEPT, "Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.fixture
def make_gemini(make_ide: MakeIde) -> MakeIde:
    def make(**options: Any) -> Emulator:
        return make_ide(**{"personality": "gemini", "token": TOKEN, **options})

    return make


@dataclass
class Caller:
    """Single requests, on connections of their own choice."""

    http: aiohttp.ClientSession

    async def post(self, message: Any, **headers: str) -> tuple[int, str, str | None]:
        """Post a message; the status, the body, and the session that the answer names."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        async with self.http.post("/mcp", data=BytesIO(body), headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers.get("mcp-session-id")

    async def begin(self) -> dict[str, str]:
        """Begin a session; the header that names it."""
        status, _, session = await self.post(INITIALIZE)
        assert status == 200
        assert session is not None
        return {"mcp-session-id": session}

    def stream(self, **headers: str) -> Any:
        """Open the stream of what is pushed."""
        return self.http.get("/mcp", headers=headers)


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=HEADERS, timeout=timeout) as http:
        yield Caller(http)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"bearer {TOKEN}"}, 401),
        ({"Authorization": f"Bearer  {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "localhost"}, 403),
        ({"Host": "localhost:{port}"}, 200),
        ({"Accept": "application/json"}, 406),
        ({"Accept": "text/event-stream"}, 406),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
async def test_who_may_not_come_in_is_told_why(make_gemini: MakeIde, headers: dict[str, str], status: int) -> None:
    async with make_gemini() as ide, calling(ide.port) as caller:
        spoken = {name: value.format(port=ide.port) for name, value in headers.items()}
        assert (await caller.post(INITIALIZE, **spoken))[0] == status
        assert ide.connections == (status == 200)
        assert ide.unauthorised == (status == 401)


@pytest.mark.parametrize(("personality", "status"), [("gemini", 403), ("qwen", 200)])
async def test_only_qwen_may_be_called_from_a_container(make_gemini: MakeIde, personality: str, status: int) -> None:
    async with make_gemini(personality=personality) as ide, calling(ide.port) as caller:
        assert (await caller.post(INITIALIZE, Host=f"host.docker.internal:{ide.port}"))[0] == status


@pytest.mark.parametrize("session", [None, "", "0" * 36])
@pytest.mark.parametrize("message", [LIST, INITIALIZE, b"{", {"method": "notifications/initialized"}])
async def test_without_a_session_nothing_is_answered(make_gemini: MakeIde, session: str | None, message: Any) -> None:
    if session is None and message is INITIALIZE:
        return  # that begins one
    async with make_gemini() as ide, calling(ide.port) as caller:
        named = {} if session is None else {"mcp-session-id": session}
        status, text, _ = await caller.post(message, **named)
        assert (status, json.loads(text)["error"]["code"]) == (400, -32000)
        async with caller.stream(**named) as answer:
            assert answer.status == 400
        assert ide.connections == 0


async def test_a_request_is_answered_by_one_event_and_a_notification_by_nothing(make_gemini: MakeIde) -> None:
    async with make_gemini() as ide, calling(ide.port) as caller:
        session = await caller.begin()
        status, text, named = await caller.post(LIST, **session)
        event, data, *rest = text.splitlines()
        assert (status, event, named) == (200, "event: message", session["mcp-session-id"])
        assert json.loads(data.removeprefix("data: "))["id"] == 1
        assert not any(rest)
        assert (await caller.post({"method": "notifications/initialized"}, **session))[:2] == (202, "")


async def test_one_stream_for_each_session_and_none_for_who_takes_no_events(make_gemini: MakeIde) -> None:
    async with make_gemini() as ide, calling(ide.port) as caller:
        ann, bob = await caller.begin(), await caller.begin()
        async with caller.stream(**ann) as one:
            assert (await one.content.readline()).startswith(b"event: message")
            async with caller.stream(**ann) as second, caller.stream(**bob, Accept="application/json") as other:
                assert (second.status, other.status) == (409, 406)
            async with caller.stream(**bob) as bobs:
                assert bobs.status == 200


async def test_a_session_outlives_its_stream_and_is_not_told_twice_how_things_stand(make_gemini: MakeIde) -> None:
    async with make_gemini(keep_alive_s=0.01) as ide, calling(ide.port) as caller:
        session = await caller.begin()
        async with caller.stream(**session) as stream:
            assert b"ide/contextUpdate" in await stream.content.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(5):
            while True:  # until it is noticed that the first has gone
                async with caller.stream(**session) as stream:
                    if stream.status != 409:
                        assert b"ping" in await stream.content.readuntil(b"\r\n\r\n")
                        break


async def test_a_session_cannot_be_ended_by_its_agent(make_gemini: MakeIde) -> None:
    async with make_gemini() as ide, calling(ide.port) as caller:
        session = await caller.begin()
        async with caller.http.delete("/mcp", headers=session) as answer:
            assert answer.status == 404
        assert (await caller.post(LIST, **session))[0] == 200


async def test_a_quiet_stream_is_pinged_without_an_id(make_gemini: MakeIde) -> None:
    async with make_gemini(keep_alive_s=0.01) as ide, peer(ide) as ann:
        assert await ann.hear() == ("ide/contextUpdate", {"workspaceState": {"openFiles": [], "isTrusted": True}})
        assert await ann.hear() == ("ping", {})


@pytest.mark.parametrize(("length", "status"), [(1000, 400), (1001, 413)])
async def test_a_body_may_be_too_large(make_gemini: MakeIde, length: int, status: int) -> None:
    async with make_gemini(max_frame_bytes=1000) as ide, calling(ide.port) as caller:
        assert (await caller.post(b" " * length))[0] == status


async def test_ten_megabytes_fit_and_no_more(make_gemini: MakeIde) -> None:
    async with make_gemini() as ide, calling(ide.port) as caller:
        assert (await caller.post(b" " * 10 * 2**20))[0] == 400
        assert (await caller.post(b" " * (10 * 2**20 + 1)))[0] == 413


async def test_an_answer_that_nobody_awaits_any_more_goes_nowhere(make_gemini: MakeIde) -> None:
    async with make_gemini(faults=["slow:0.05"]) as ide, calling(ide.port) as caller:
        session = await caller.begin()
        async with caller.stream(**session) as stream:
            await stream.content.readuntil(b"\r\n\r\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.post(LIST | {"id": "gone"}, **session), 0.01)
            assert '"id":2' in (await caller.post(LIST | {"id": 2}, **session))[1]  # it comes after
            await ide.notify("mark", {})
            assert b"mark" in await stream.content.readuntil(b"\r\n\r\n")


# ---- faults and ends


async def test_who_was_cut_begins_anew(make_gemini: MakeIde) -> None:
    async with make_gemini() as ide, calling(ide.port) as caller:
        session = await caller.begin()
        async with caller.stream(**session) as stream:
            await ide.drop_client()
            with pytest.raises(aiohttp.ClientError):
                await stream.content.read()
        assert (await caller.post(LIST, **session))[0] == 400
        assert (await caller.post(LIST, **await caller.begin()))[0] == 200


async def test_stopping_ends_the_streams(make_gemini: MakeIde) -> None:
    async with make_gemini(faults=[Fault.HANG_CALLS]) as ide, calling(ide.port) as caller, asyncio.TaskGroup() as tasks:
        session = await caller.begin()
        async with caller.stream(**session) as stream:
            call = {"name": "closeDiff", "arguments": {"filePath": "/w/a.py"}}
            waiting = tasks.create_task(caller.post(LIST | {"method": "tools/call", "params": call}, **session))
            await ide.until(lambda: ide.calls)
            await ide.stop()
            assert (await stream.content.read()).endswith(b"\r\n\r\n")
            assert (await waiting)[:2] == (200, "")  # it ends without an answer
        assert not ide.lock_path.exists()
        await ide.stop()  # twice does no harm


async def test_dying_cuts_all_and_leaves_the_file(make_gemini: MakeIde) -> None:
    async with make_gemini(faults=[Fault.DIE_ON_DIFF]) as ide, calling(ide.port) as caller:
        session = await caller.begin()
        call = {"name": "openDiff", "arguments": {"filePath": "/w/a.py", "newContent": ""}}
        with pytest.raises(aiohttp.ClientError):
            await caller.post(LIST | {"method": "tools/call", "params": call}, **session)
    assert ide.lock_path.exists()


async def test_after_a_diff_it_may_be_as_if_stopped(make_gemini: MakeIde) -> None:
    async with make_gemini(faults=[Fault.HANG_AFTER_DIFF]) as ide, calling(ide.port) as caller:
        session = await caller.begin()
        call = {"name": "openDiff", "arguments": {"filePath": "/w/a.py", "newContent": ""}}
        for message in (LIST | {"method": "tools/call", "params": call}, LIST):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.post(message, **session), SILENCE_S)
        assert ide.pending


async def test_it_may_never_answer(make_gemini: MakeIde) -> None:
    async with make_gemini(faults=[Fault.HANG_HANDSHAKE]) as ide, calling(ide.port) as caller:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.post(INITIALIZE), SILENCE_S)
        assert (ide.connections, ide.unauthorised) == (0, 0)


async def test_garbage_is_pushed_before_every_answer(make_gemini: MakeIde) -> None:
    async with make_gemini(faults=[Fault.GARBAGE]) as ide, calling(ide.port) as caller:
        session = await caller.begin()
        async with caller.stream(**session) as stream:
            await stream.content.readuntil(b"\r\n\r\n")
            await caller.post(LIST, **session)
            heard = [await stream.content.readuntil(b"\r\n\r\n") for _ in range(2)]
        assert heard == [f"event: message\r\ndata: {text}\r\n\r\n".encode() for text in GARBAGE[:2]]


# ---- what other servers do otherwise


async def test_another_address_plain_json_and_no_token() -> None:
    async def receive(client: Client, frame: str | bytes) -> None:
        await listener.send(client, json.dumps({"jsonrpc": "2.0", "id": json.loads(frame)["id"], "result": {}}))

    async def nothing(*_: object) -> None: ...

    listener = StreamableListener(
        token=None,
        newcomer="joins",
        receive=receive,
        welcome=nothing,
        left=lambda _: None,
        happened=lambda _: None,
        attends=nothing,
        endpoint=Endpoint(path="/stream", answers="json"),
        keep_alive_s=60,
    )
    port = await listener.start(0)
    url = f"http://127.0.0.1:{port}"
    headers = {"Accept": ACCEPT}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(f"{url}/stream", json=INITIALIZE) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert await answer.json() == {"jsonrpc": "2.0", "id": 0, "result": {}}
        async with http.post(f"{url}/mcp", json=INITIALIZE) as other:
            assert other.status == 404
    await listener.stop()
