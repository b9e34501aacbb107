"""The wire of MCP's streamable HTTP, as the companions of Gemini CLI and Qwen Code speak it.

Every message of ours is a POST, and the answer to a request comes as the answer to its POST: as JSON, or as a stream of
events that may take as long as a human. What the IDE says unasked comes in one endless answer to a GET, which begins
when the handshake is over and is asked for again if it ends. ``initialize`` gives the session, whose name every later
request shows; an IDE that does not know it any more has ended the link. Source: MCP 2025-06-18, "Streamable HTTP".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, suppress
from typing import Final

import aiohttp

from bridge.core import jsonrpc
from bridge.core.events import LinkState
from bridge.core.eventstream import MESSAGE, EventStream, TooLarge
from bridge.core.jsonrpc import Message
from bridge.core.lockfile import LockFile
from bridge.core.official import MOST_BYTES
from bridge.core.reach import LOOPBACK
from bridge.core.text import visible
from bridge.ides.http import BROKEN, Http
from bridge.ides.posting import CLOSE_S, EVENTS, PING, Post, Posting, no_server, passed_over, refused, written
from bridge.ides.wire import Connect, LinkFailed, Take, WireEnded, token_of

__all__ = ["Streamable", "open_streamable"]

PATH: Final = "/mcp"
SESSION: Final = "Mcp-Session-Id"
VERSION: Final = "MCP-Protocol-Version"
AGAIN_S: Final = (0.05, 1.0)  # before pushes are asked for again: first and longest pause
BEFORE_S: Final = 0.5  # for so long pushes wait for the answer to a call
DEAF_S: Final = 5.0  # for so long we may be unable to ask for them
JSON: Final = "application/json"
TOO_LARGE: Final = 413
_NAME: Final = re.compile(r"[!-~]{1,1024}")  # it becomes the value of a header
LOST: Final = frozenset({400, 404})  # how a session is told that there is none of its name
MUTE: Final = LOST | {405}  # to who asks for pushes: there are none; or LOST


class Streamable(Posting):
    """A wire, see `bridge.ides.wire.Wire`.

    Args:
        http: closed with the wire.
        port: of the IDE.
        tasks: where its tasks live.
    """

    def __init__(self, http: Http, port: int, tasks: asyncio.TaskGroup) -> None:
        super().__init__(http, tasks)
        self._url = f"http://{LOOPBACK}:{port}{PATH}"  # wherever it is: companions refuse any other Host
        self._session: dict[str, str] | None = None  # headers of what follows `initialize`; None: it is not answered
        self._early: list[bytes | bytearray] = []
        self._take: Take = self._early.append
        self._over = asyncio.Event()
        self._pushes: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Event] = set()  # that pushes wait for, each set when it is answered

    # ---- reading

    async def serve(self, take: Take) -> None:
        """Give every frame to `take`."""
        early, self._early = self._early, []
        self._take = take
        for frame in early:
            take(frame)
        await self._over.wait()
        assert self._ending is not None
        raise self._ending

    async def _frames(self, reply: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """Give the messages in an answer, one by one if they come as events; raises what `_meaning` knows."""
        if reply.content_type == EVENTS:
            events = EventStream(MOST_BYTES)
            async for chunk in reply.content.iter_any():
                for event in events.feed(chunk):
                    if event.type == MESSAGE:
                        yield event.data
        else:
            body = bytearray()
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise TooLarge(f"an answer of more than {MOST_BYTES} bytes")
            yield bytes(body)

    # ---- posting

    def ping(self) -> Awaitable[object]:
        """Post what asks for nothing, once there is a session."""
        return asyncio.sleep(0) if self._session is None and self._ending is None else super().ping()

    async def _post(self, post: Post) -> None:
        if self._ending is not None:
            return
        message, call = jsonrpc.decode(post.frame), asyncio.Event()
        if message.is_request:
            self._calls.add(call)
        try:
            async with await self._request("POST", **written(post, Accept=f"{JSON}, {EVENTS}")) as reply:
                if reply.status == TOO_LARGE and message.is_request:
                    self._take(_refusal(message))  # of this message only: dialled anew, the IDE would say so again
                    return
                self._judge(reply)
                if message.method == "initialize":
                    self._session = _session(reply)
                post.answered.set()
                if message.method == "notifications/initialized":
                    self._pushes = self._tasks.create_task(self._listen(), name="pushes")
                if message.is_request:
                    await self._answer(message, call, reply)
                else:
                    await passed_over(reply)
        except (LinkFailed, WireEnded, TooLarge, *BROKEN) as exc:
            self._end(self._meaning(exc))
        finally:
            self._calls.discard(call)

    async def _request(self, method: str, *, headers: dict[str, str], **more: object) -> aiohttp.ClientResponse:
        try:
            return await self._http.request(method, self._url, headers={**headers, **(self._session or {})}, **more)
        except LinkFailed:  # nobody could be connected to
            raise self._ending or WireEnded() from None

    async def _answer(self, request: Message, call: asyncio.Event, reply: aiohttp.ClientResponse) -> None:
        """Take what comes until the request is answered, and a little longer: the connection can be used again then.

        An IDE that breaks off before it has answered has ended the link: nobody else would tell who waits for a human.
        """
        is_first = request.method == "initialize"
        if reply.content_type not in (EVENTS, JSON):
            state = LinkState.PORT_TAKEN if is_first else LinkState.LISTENING
            raise LinkFailed(state, f"no answer of an MCP server: {visible(reply.content_type)}")
        try:
            async with asyncio.timeout(None) as patience, aclosing(self._frames(reply)) as frames:
                async for frame in frames:
                    answer = _answer_to(request, frame)
                    if answer is not None:
                        patience.reschedule(asyncio.get_running_loop().time() + CLOSE_S)
                        if is_first:
                            self._session = {**(self._session or {}), **_version(answer)}
                    self._take(frame)
                    if answer is not None:
                        call.set()
        except (TimeoutError, *BROKEN):
            pass
        if not call.is_set():
            raise WireEnded()

    def _judge(self, reply: aiohttp.ClientResponse) -> None:
        """Raise what it means that a request was not accepted."""
        status = reply.status
        if status // 100 == 2:
            return
        if (refusal := refused(status)) is not None:
            raise refusal
        if self._session is None:
            raise LinkFailed(LinkState.PORT_TAKEN, f"it answered HTTP {status}")
        if status in LOST:
            raise LinkFailed(LinkState.LISTENING, f"it does not know our session any more (HTTP {status})")
        raise LinkFailed(LinkState.LISTENING, f"it answered a message with HTTP {status}")

    def _meaning(self, exc: Exception) -> WireEnded | LinkFailed:
        if isinstance(exc, TooLarge):
            return LinkFailed(LinkState.LISTENING, f"it sent a message of more than {MOST_BYTES >> 20} MiB")
        if isinstance(exc, LinkFailed | WireEnded):
            return exc
        return no_server(exc) if self._session is None else WireEnded()

    # ---- pushes

    async def _listen(self) -> None:
        """Take what the IDE says unasked for as long as the wire lives, unless it never has anything to say.

        What an IDE says while nobody listens is lost, a decision perhaps. So pushes that end have ended the link, which
        shows its diffs anew when it is opened again; and so has an IDE that cannot be listened to for `DEAF_S`.
        """
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + DEAF_S, AGAIN_S[0]
        listening = False
        while self._ending is None:
            try:
                async with await self._request("GET", headers={"Accept": EVENTS}) as reply:
                    if reply.status in MUTE or (reply.ok and reply.content_type != EVENTS):
                        self._start(Post(PING))  # what is answered to a message tells whether the session is lost
                        return
                    if (refusal := refused(reply.status)) is not None:
                        raise refusal
                    listening = reply.ok
                    if listening:
                        async with aclosing(self._frames(reply)) as frames:
                            async for frame in frames:
                                await self._after_answers()
                                self._take(frame)
            except (LinkFailed, WireEnded, TooLarge) as exc:
                self._end(self._meaning(exc))
            except BROKEN:
                pass  # if the IDE is gone nobody can be connected to
            if listening:
                self._end(WireEnded())
            elif clock() >= deadline:
                self._end(LinkFailed(LinkState.LISTENING, "it lets nobody hear what it says"))
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, AGAIN_S[1])

    async def _after_answers(self) -> None:
        """Wait for answers that may have left before what was pushed: they come on other connections.

        A companion acknowledges a diff before it tells what became of it. But a human may be behind an answer, so each
        is waited for only once, and not for long.
        """
        asked = list(self._calls)
        with suppress(TimeoutError):
            async with asyncio.timeout(BEFORE_S):
                for call in asked:
                    await call.wait()
        self._calls.difference_update(asked)

    # ---- ending

    def _cut(self) -> None:
        self._over.set()

    async def _farewell(self) -> None:
        """End the session, which an IDE may not know how to do."""
        if self._session is not None and SESSION in self._session:
            with suppress(WireEnded, *BROKEN):
                (await self._request("DELETE", headers={})).close()

    async def close(self) -> None:
        """Post what waits, if it can be done soon, and end the session; then end everything."""
        try:
            await super().close()
        finally:
            if self._pushes is not None:
                self._pushes.cancel()


def _session(reply: aiohttp.ClientResponse) -> dict[str, str]:
    """Give the header that names the session, if there is one. Raises `LinkFailed` for what is no name."""
    name = reply.headers.get(SESSION)
    if name is not None and not _NAME.fullmatch(name):
        raise LinkFailed(LinkState.PORT_TAKEN, "it gives its session a name that cannot be")
    return {} if name is None else {SESSION: name}


def _refusal(request: Message) -> bytes:
    assert request.id is not None
    error = {"code": -32000, "message": f"it takes no message as large as this (HTTP {TOO_LARGE})"}
    return jsonrpc.error(request.id, jsonrpc.dump(error))


def _answer_to(request: Message, frame: bytes) -> Message | None:
    """Read a frame if it is the answer to a request."""
    with suppress(ValueError):
        message = jsonrpc.decode(frame)
        if message.is_response and message.id == request.id:
            return message
    return None


def _version(answer: Message) -> dict[str, str]:
    """Give the header with the protocol's version that was agreed on."""
    with suppress(ValueError):
        result = jsonrpc.load(answer.result)
        agreed = result.get("protocolVersion") if isinstance(result, dict) else None
        if isinstance(agreed, str) and _NAME.fullmatch(agreed):
            return {VERSION: agreed}
    return {}


# ---- opening


async def open_streamable(lock: LockFile, connect: Connect, tasks: asyncio.TaskGroup) -> Streamable:
    """Connect; the first message is the first request. Raises `LinkFailed` if nobody is there to be told the token."""
    return Streamable(Http(connect, token_of(lock), await connect()), lock.port, tasks)
