"""The SSE wire: MCP's HTTP+SSE transport of 2024-11-05, towards IDEs whose lock file says so.

One endless answer, the stream, brings the IDE's messages as events; ours are posted, one after the other, to the
address that its first event names (`bridge.ides.http`). aiohttp takes 12 MB of memory, so this module is imported when
the first such IDE is dialled.

There is no ping. An IDE that lives answers a POST, whatever becomes of the message in it; so now and then one is posted
that asks for nothing. Source: MCP 2024-11-05, "HTTP with SSE".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Final

import aiohttp
from yarl import URL

from bridge.core import jsonrpc
from bridge.core.events import LinkState
from bridge.core.eventstream import MESSAGE, EventStream, TooLarge, post_address
from bridge.core.links import HANDSHAKE_S
from bridge.core.lockfile import LockFile
from bridge.core.official import MOST_BYTES
from bridge.core.reach import LOOPBACK
from bridge.core.text import visible
from bridge.ides.http import BROKEN, Http
from bridge.ides.wire import (
    PATIENCE_S,
    WAITING_MOST,
    Connect,
    LinkFailed,
    Take,
    WireEnded,
    broken_off,
    is_set_within,
    silent_for,
    token_of,
    too_slow,
)

__all__ = ["Sse", "open_sse"]

HELD_S: Final = 0.5  # a POST that is not answered by then may wait for a human
HELD_MOST: Final = 32  # of these at the same time; each is a connection
WEIGHT_LEAST: Final = 1024  # bytes that a small one counts for
ANSWER_MOST: Final = 4096  # bytes; who says more to a POST has to connect again
CLOSE_S: Final = 0.5  # for what still waits to be posted
# Who does not know the message passes it over, and who does has no such request (MCP, "Cancellation").
PING: Final = jsonrpc.notification("notifications/cancelled", b'{"requestId":"none","reason":"are you there?"}')


class Sse:
    """A wire, see `bridge.ides.wire.Wire`.

    Args:
        http: closed with the wire.
        stream: the answer whose events are read.
        tasks: where its tasks live.
    """

    def __init__(self, http: Http, stream: aiohttp.ClientResponse, tasks: asyncio.TaskGroup) -> None:
        self._http = http
        self._stream = stream
        self._tasks = tasks
        self._events = EventStream(MOST_BYTES)
        self._frames: deque[bytes] = deque()
        self._address: URL | None = None
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()  # None: no more
        self._waiting = 0  # bytes in it
        self._new = True  # never pinged
        self._posts: set[asyncio.Task[None]] = set()  # that are not answered
        self._ending: WireEnded | LinkFailed | None = None
        self._sender = tasks.create_task(self._deliver(), name="posting")

    # ---- the stream

    async def opened(self) -> None:
        """Wait until it is known where to post; raises `LinkFailed` if it cannot be, `WireEnded` if the stream ends."""
        while self._address is None:
            await self._read()

    async def serve(self, take: Take) -> None:
        """Give every frame to `take`."""
        while True:
            while self._frames:
                take(self._frames.popleft())
            await self._read()

    async def _read(self) -> None:
        """Take what the stream brings next, an end too; raises what ended the wire before."""
        if self._ending is not None:
            raise self._ending
        try:
            chunk = await self._stream.content.readany()
            if not chunk:
                self._end(WireEnded())
            for event in self._events.feed(chunk):
                if event.type == MESSAGE:
                    self._frames.append(event.data)
                elif event.type == "endpoint" and self._address is None:
                    self._address = URL(post_address(str(self._stream.url), event.data), encoded=True)
        except BROKEN:
            self._end(WireEnded())
        except TooLarge:
            self._end(LinkFailed(LinkState.LISTENING, f"it sent a message of more than {MOST_BYTES >> 20} MiB"))
        except ValueError as exc:
            self._end(LinkFailed(LinkState.PORT_TAKEN, f"it {exc}"))

    # ---- posting

    def send(self, frame: bytes) -> None:
        """Have a frame posted when its turn comes; an IDE that leaves too many waiting is cut off."""
        if self._ending is None:
            self._waiting += _weight(frame)
            if self._waiting > WAITING_MOST:
                self._end(too_slow())
            self._queue.put_nowait(frame)

    def ping(self) -> Awaitable[object]:
        """Post what asks for nothing; an answer to the POST is the pong.

        That the wire could be opened is the first: nothing shall come before ``initialize``.
        """
        if self._ending is not None:
            raise self._ending
        if self._new:
            self._new = False
            return asyncio.sleep(0)
        return self._start(PING, asyncio.Event())

    async def _deliver(self) -> None:
        while (frame := await self._queue.get()) is not None:
            await self._hand_over(frame)
            self._waiting -= _weight(frame)

    async def _hand_over(self, frame: bytes) -> None:
        """Post a frame, and return when the next one may follow.

        Some servers answer when the tool is done, and a human may be behind it. So what is taken and not answered is
        left open, if another POST is answered meanwhile; that none is, is for whoever pings to find out.
        """
        taken = asyncio.Event()
        post = self._start(frame, taken)
        if not await is_set_within(PATIENCE_S, taken):
            self._end(LinkFailed(LinkState.NOT_ANSWERING, f"it took no data for {PATIENCE_S:g} s"))
            return
        answered, _ = await asyncio.wait([post], timeout=HELD_S)
        if not answered and self._ending is None:
            ping = self._start(PING, asyncio.Event())
            await asyncio.wait([post, ping], return_when=asyncio.FIRST_COMPLETED)

    def _start(self, frame: bytes, taken: asyncio.Event) -> asyncio.Task[None]:
        if len(self._posts) >= HELD_MOST:
            self._end(LinkFailed(LinkState.NOT_ANSWERING, f"it left {HELD_MOST} messages unanswered"))
        post = self._tasks.create_task(self._post(frame, taken), name="POST")
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        return post

    async def _post(self, frame: bytes, taken: asyncio.Event) -> None:
        """Post a frame, and set `taken` when it has left; if the IDE does not accept it the wire ends."""
        try:
            if self._ending is None and self._address is not None:
                headers = {"Content-Type": "application/json", "Content-Length": str(len(frame))}
                body = _body(frame, taken)
                async with await self._http.request("POST", self._address, data=body, headers=headers) as reply:
                    if reply.status // 100 != 2:
                        unwanted = LinkFailed(LinkState.LISTENING, f"it answered a message with HTTP {reply.status}")
                        self._end(_refused(reply.status) or unwanted)
                    with suppress(asyncio.IncompleteReadError):  # read to its end, the connection can be used again
                        await reply.content.readexactly(ANSWER_MOST)
        except (LinkFailed, *BROKEN):  # or nobody could be connected to
            self._end(WireEnded())
        finally:
            taken.set()

    # ---- ending

    def abort(self) -> None:
        """Cut the connection."""
        self._end(WireEnded())

    def _end(self, ending: WireEnded | LinkFailed) -> None:
        """Let `serve` report this, or what ended the wire before."""
        if self._ending is None:
            self._ending = ending
            self._stream.close()

    async def close(self) -> None:
        """Post what waits, if it can be done soon; then end everything."""
        try:
            if self._ending is None:
                self._queue.put_nowait(None)
                await asyncio.wait([self._sender], timeout=CLOSE_S)
        finally:
            self.abort()
            for task in (self._sender, *self._posts):
                task.cancel()
            await self._http.close()


async def _body(frame: bytes, taken: asyncio.Event) -> AsyncIterator[bytes]:
    """Give aiohttp the frame; it comes back when (but for a few KB) the system has taken it."""
    yield frame
    taken.set()


def _refused(status: int) -> LinkFailed | None:
    if status in (401, 403):
        return LinkFailed(LinkState.REFUSED, f"it refused the token (HTTP {status})")
    return None


def _weight(frame: bytes) -> int:
    return max(len(frame), WEIGHT_LEAST)


# ---- opening


async def open_sse(lock: LockFile, connect: Connect, tasks: asyncio.TaskGroup) -> Sse:
    """Open the stream and wait until it says where to post. Raises `LinkFailed`."""
    http = Http(connect, token_of(lock))
    wire: Sse | None = None
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            wire = Sse(http, await _stream(http, lock.port), tasks)
            await wire.opened()
            return wire
    except BaseException as exc:
        await (wire or http).close()
        raise _meaning(exc) from None


async def _stream(http: Http, port: int) -> aiohttp.ClientResponse:
    url = f"http://{LOOPBACK}:{port}/sse"  # wherever it is: plugins may refuse any other Host
    stream = await http.request("GET", url, headers={"Accept": "text/event-stream"})
    if (unfit := _unfit(stream)) is not None:
        stream.close()
        raise unfit
    return stream


def _unfit(stream: aiohttp.ClientResponse) -> LinkFailed | None:
    """Say why this is no stream of events; None: it is one."""
    if stream.status != 200:
        return _refused(stream.status) or LinkFailed(LinkState.PORT_TAKEN, f"it answered HTTP {stream.status}")
    if stream.content_type != "text/event-stream":
        return LinkFailed(LinkState.PORT_TAKEN, f"no event stream: {visible(stream.content_type)}")
    return None


def _meaning(exc: BaseException) -> BaseException:
    """Say what it means that a stream could not be opened."""
    if isinstance(exc, TimeoutError):
        return silent_for(HANDSHAKE_S)
    if isinstance(exc, aiohttp.ClientResponseError):
        return LinkFailed(LinkState.PORT_TAKEN, "no HTTP server")
    if isinstance(exc, WireEnded):
        return broken_off()
    return broken_off(visible(str(exc))) if isinstance(exc, BROKEN) else exc
