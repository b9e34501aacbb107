"""Posting messages to an IDE over HTTP: what the transports share that send one message a POST.

They go one after the other, so that they arrive in order. Some servers answer a POST when the tool is done, and a
human may be behind it; so what is taken and not answered is left open, and the next one follows, if another POST is
answered meanwhile. There is no ping: an IDE that lives answers a POST, whatever becomes of the message in it, so now
and then one is posted that asks for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any, Final

import aiohttp

from bridge.core import jsonrpc
from bridge.core.events import LinkState
from bridge.core.text import visible
from bridge.ides.http import BROKEN, Http
from bridge.ides.wire import PATIENCE_S, WAITING_MOST, LinkFailed, WireEnded, broken_off, is_set_within, too_slow

__all__ = ["EVENTS", "PING", "Post", "Posting", "no_server", "passed_over", "refused", "written"]

EVENTS: Final = "text/event-stream"
HELD_S: Final = 0.5  # a POST that is not answered by then may wait for a human
HELD_MOST: Final = 32  # of these at the same time; each is a connection
OPEN_MOST: Final = 256  # of all, also those whose answer has begun
WEIGHT_LEAST: Final = 1024  # bytes that a small one counts for
ANSWER_MOST: Final = 4096  # bytes that are read of what says nothing; who says more has to connect again
CLOSE_S: Final = 0.5  # for what still waits to be posted
# Who does not know the message passes it over, and who does has no such request (MCP, "Cancellation").
PING: Final = jsonrpc.notification("notifications/cancelled", b'{"requestId":"none","reason":"are you there?"}')


class Post:
    """How far one message has come."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.taken = asyncio.Event()  # it has left
        self.answered = asyncio.Event()  # the IDE has it, whenever it may have an answer

    def over(self, _: object) -> None:
        """It has come as far as it will."""
        self.taken.set()
        self.answered.set()


class Posting:
    """The half of a wire (`bridge.ides.wire.Wire`) that sends.

    Args:
        http: closed with the wire.
        tasks: where its tasks live.
    """

    def __init__(self, http: Http, tasks: asyncio.TaskGroup) -> None:
        self._http = http
        self._tasks = tasks
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()  # None: no more
        self._waiting = 0  # bytes in it
        self._new = True  # never pinged
        self._posts: dict[asyncio.Task[None], Post] = {}  # that are not over
        self._ending: WireEnded | LinkFailed | None = None
        self._sender = tasks.create_task(self._deliver(), name="posting")

    async def _post(self, post: Post) -> None:
        """Post a message, and take what is answered; if the IDE does not accept it the wire ends."""
        raise NotImplementedError

    def _cut(self) -> None:
        """Wake whoever reads: the wire has ended."""
        raise NotImplementedError

    # ---- sending

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
        return self._start(Post(PING)).answered.wait()

    async def _deliver(self) -> None:
        while (frame := await self._queue.get()) is not None:
            await self._hand_over(Post(frame))
            self._waiting -= _weight(frame)

    async def _hand_over(self, post: Post) -> None:
        """Post a message, and return when the next one may follow; that none is answered is for whoever pings."""
        self._start(post)
        if not await is_set_within(PATIENCE_S, post.taken):
            self._end(LinkFailed(LinkState.NOT_ANSWERING, f"it took no data for {PATIENCE_S:g} s"))
            return
        if not await is_set_within(HELD_S, post.answered) and self._ending is None:
            ping = self._start(Post(PING))
            waits = [asyncio.ensure_future(one.answered.wait()) for one in (post, ping)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    def _start(self, post: Post) -> Post:
        held = sum(not other.answered.is_set() for other in self._posts.values())
        if held >= HELD_MOST or len(self._posts) >= OPEN_MOST:
            self._end(LinkFailed(LinkState.NOT_ANSWERING, f"it left {held or len(self._posts)} messages unanswered"))
        task = self._tasks.create_task(self._post(post), name="POST")
        self._posts[task] = post
        task.add_done_callback(self._posts.pop)
        task.add_done_callback(post.over)
        return post

    # ---- ending

    def abort(self) -> None:
        """Cut the connection."""
        self._end(WireEnded())

    def _end(self, ending: WireEnded | LinkFailed) -> None:
        """Let `serve` report this, or what ended the wire before."""
        if self._ending is None:
            self._ending = ending
            self._cut()

    async def _farewell(self) -> None:
        """Say goodbye where the transport has a way to; all is posted then."""

    async def close(self) -> None:
        """Post what waits, if it can be done soon; then end everything."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    if self._ending is None:
                        self._queue.put_nowait(None)
                        await asyncio.wait([self._sender])
                        await self._farewell()
        finally:
            self.abort()
            for task in (self._sender, *self._posts):
                task.cancel()
            await self._http.close()


def written(post: Post, **headers: str) -> dict[str, Any]:
    """Give the arguments of a request that has the message as its body, with `headers` besides those of a body."""
    size = {"Content-Type": "application/json", "Content-Length": str(len(post.frame))}
    return {"data": _body(post), "headers": size | headers}


async def _body(post: Post) -> AsyncIterator[bytes]:
    """Give aiohttp the frame; it comes back when (but for a few KB) the system has taken it."""
    yield post.frame
    post.taken.set()


async def passed_over(reply: aiohttp.ClientResponse) -> None:
    """Read an answer that says nothing: read to its end, the connection can be used again."""
    with suppress(asyncio.IncompleteReadError):
        await reply.content.readexactly(ANSWER_MOST)


def refused(status: int) -> LinkFailed | None:
    """Say that an IDE does not take the token, if that is what its answer means."""
    if status in (401, 403):
        return LinkFailed(LinkState.REFUSED, f"it refused the token (HTTP {status})")
    return None


def no_server(exc: Exception) -> LinkFailed:
    """Say what it means that the first request failed with one of `BROKEN`."""
    if isinstance(exc, aiohttp.ClientResponseError):
        return LinkFailed(LinkState.PORT_TAKEN, "no HTTP server")
    assert isinstance(exc, BROKEN)
    return broken_off(visible(str(exc)))


def _weight(frame: bytes) -> int:
    return max(len(frame), WEIGHT_LEAST)
