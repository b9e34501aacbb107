"""The SSE wire: MCP's HTTP+SSE transport of 2024-11-05, towards IDEs whose lock file says so.

One endless answer, the stream, brings the IDE's messages as events; ours are posted, one after the other, to the
address that its first event names (`bridge.ides.posting`). aiohttp takes 12 MB of memory, so this module is imported
when the first such IDE is dialled. Source: MCP 2024-11-05, "HTTP with SSE".
"""

from __future__ import annotations

import asyncio
from collections import deque

import aiohttp
from yarl import URL

from bridge.core.events import LinkState
from bridge.core.eventstream import MESSAGE, EventStream, TooLarge, post_address
from bridge.core.links import HANDSHAKE_S
from bridge.core.lockfile import LockFile
from bridge.core.official import MOST_BYTES
from bridge.core.reach import LOOPBACK
from bridge.core.text import visible
from bridge.ides.http import BROKEN, Http
from bridge.ides.posting import EVENTS, Post, Posting, no_server, passed_over, refused, written
from bridge.ides.wire import Connect, LinkFailed, Take, WireEnded, broken_off, silent_for, token_of

__all__ = ["Sse", "open_sse"]


class Sse(Posting):
    """A wire, see `bridge.ides.wire.Wire`.

    Args:
        http: closed with the wire.
        stream: the answer whose events are read.
        tasks: where its tasks live.
    """

    def __init__(self, http: Http, stream: aiohttp.ClientResponse, tasks: asyncio.TaskGroup) -> None:
        super().__init__(http, tasks)
        self._stream = stream
        self._events = EventStream(MOST_BYTES)
        self._frames: deque[bytes] = deque()
        self._address: URL | None = None

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

    def _cut(self) -> None:
        self._stream.close()

    # ---- posting

    async def _post(self, post: Post) -> None:
        if self._ending is not None or self._address is None:
            return
        try:
            async with await self._http.request("POST", self._address, **written(post)) as reply:
                if reply.status // 100 != 2:
                    unwanted = LinkFailed(LinkState.LISTENING, f"it answered a message with HTTP {reply.status}")
                    self._end(refused(reply.status) or unwanted)
                await passed_over(reply)
        except (LinkFailed, *BROKEN):  # or nobody could be connected to
            self._end(WireEnded())


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
    stream = await http.request("GET", url, headers={"Accept": EVENTS})
    if (unfit := _unfit(stream)) is not None:
        stream.close()
        raise unfit
    return stream


def _unfit(stream: aiohttp.ClientResponse) -> LinkFailed | None:
    """Say why this is no stream of events; None: it is one."""
    if stream.status != 200:
        return refused(stream.status) or LinkFailed(LinkState.PORT_TAKEN, f"it answered HTTP {stream.status}")
    if stream.content_type != EVENTS:
        return LinkFailed(LinkState.PORT_TAKEN, f"no event stream: {visible(stream.content_type)}")
    return None


def _meaning(exc: BaseException) -> BaseException:
    """Say what it means that a stream could not be opened."""
    if isinstance(exc, TimeoutError):
        return silent_for(HANDSHAKE_S)
    if isinstance(exc, WireEnded):
        return broken_off()
    return no_server(exc) if isinstance(exc, BROKEN) else exc
