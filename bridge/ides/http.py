"""HTTP towards one IDE, over connections that were looked at before: every request shows the token.

aiohttp connects by itself, follows redirects, heeds ``http_proxy`` and keeps cookies. None of that happens here.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler

from bridge.ides.wire import Connect

__all__ = ["BROKEN", "Http"]

KEPT_S: Final = 3.0  # an idle connection; many servers close it after five, and what is posted just then is lost
# A stream whose other end vanished brings nothing for ever; while a diff is shown 5 s are what D10 allows.
_PROBES: Final = (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 2))
BROKEN: Final = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError)
"""What requests and reading raise when a connection ends, or is no HTTP."""


class Http:
    """An HTTP client.

    Args:
        connect: makes every connection; what it raises a request raises.
        headers: of every request.
        first: a connection that was made already.
    """

    def __init__(self, connect: Connect, headers: dict[str, str], first: socket.socket | None = None) -> None:
        self._connector = _Connector(connect, first)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            headers={"Accept-Encoding": "identity", **headers},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # a human may take hours
            trust_env=False,  # else the token would go through http_proxy
            auto_decompress=False,
        )

    async def request(self, method: str, url: Any, **more: Any) -> aiohttp.ClientResponse:
        """Send a request, and wait for the head of its answer, which is to be closed or released."""
        return await self._session.request(method, url, allow_redirects=False, **more)

    async def close(self) -> None:
        """Cut all connections: one that is only closed waits until the other end has taken what was written."""
        self._connector.cut()
        await self._session.close()


class _Connector(aiohttp.BaseConnector):
    """Lets aiohttp use connections that were looked at. Wherever a URL leads, it can make none of its own."""

    def __init__(self, connect: Connect, first: socket.socket | None) -> None:
        super().__init__(limit=0, keepalive_timeout=KEPT_S)
        self._connect = connect
        self._first = first
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    # The hook of 3.12 to 3.14, which aiohttp's own connectors fill in too; that of the base class only raises.
    async def _create_connection(self, *_: Any) -> ResponseHandler:
        endpoint, self._first = self._first or await self._connect(), None
        try:
            _notice_death(endpoint)
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_connection(lambda: _Protocol(loop), sock=endpoint)
        except BaseException:
            endpoint.close()
            raise
        self._transports.add(transport)
        return protocol

    def cut(self) -> None:
        """Cut all connections."""
        if self._first is not None:
            self._first.close()
        for transport in self._transports:
            transport.abort()


class _Protocol(ResponseHandler):
    """What reads a connection; after a chunk that is none aiohttp 3.14 leaves whoever waits for the next waiting."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wake him."""
        waiting = self._payload
        super().connection_lost(exc)
        if waiting is not None and not waiting.is_eof() and waiting.exception() is None:
            waiting.set_exception(aiohttp.ClientConnectionError("the connection is lost"))


def _notice_death(endpoint: socket.socket) -> None:
    """Have the system probe the other end, where it can."""
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES:
        if (option := getattr(socket, name, None)) is not None:
            endpoint.setsockopt(socket.IPPROTO_TCP, option, value)
