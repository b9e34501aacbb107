"""MCP over streamable HTTP, at one port of this machine: for agents that cannot start a program.

The SDK serves both of the protocol's eras at one path. Before a request comes to it, it must show what a web page
cannot: no ``Origin``, the right ``Host``, and a token that only this user can read. That the connection is this
user's own at all is seen to before a byte of it is read. Source: MCP 2025-11-25 and 2026-07-28, "Transports".
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from contextvars import ContextVar
from typing import Any, Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from bridge.agents.gate import refusal
from bridge.agents.mcp import Call, make_server
from bridge.core.jsonrpc import RequestId
from bridge.core.toolbox import HTTP_PATH
from bridge.web import Admits, Server

__all__ = ["MOST_BYTES", "McpHttpFront"]

MOST_BYTES: Final = 32 * 2**20  # of one request; the SDK reads it whole before it looks into it
BODY_S: Final = 30.0  # for a request to arrive whole
CONNECTIONS: Final = 256
SESSIONS: Final = 64  # of the older era
IDLE_S: Final = 1800.0  # until one of them is forgotten

# What is to be done when the response to the request that is being served has left.
_AFTER: ContextVar[list[Callable[[], None]]] = ContextVar("_AFTER")


class McpHttpFront:
    """Serves agents at one port.

    Args:
        version: of the bridge.
        token: the one that lets in.
        call: answers calls of the tools.
        admits: tells whether a connection may come in: is it our own user's?
    """

    def __init__(self, version: str, token: str, call: Call, admits: Admits) -> None:
        self._token = token
        self._port = 0
        server = make_server(version, call, _when_sent)
        self._app = server.streamable_http_app(
            streamable_http_path=HTTP_PATH,
            max_request_body_size=MOST_BYTES,
            session_idle_timeout=IDLE_S,
            max_sessions=SESSIONS,
            # Ours comes first, and is stricter: no origin at all, and this port only.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self._sessions = server.session_manager
        self._server = Server(self._answer, admits, CONNECTIONS)

    async def serve(self, listener: socket.socket, until: asyncio.Event) -> None:
        """Serve on a bound, listening socket until `until` is set; returns when the port is free."""
        self._port = listener.getsockname()[1]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._sessions.run())
            await self._server.open(listener)
            stack.push_async_callback(self._server.close)
            await until.wait()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refused = refusal(
            origins=headers.getlist("origin"),
            hosts=headers.getlist("host"),
            tokens=[_bearer(value) for value in headers.getlist("authorization")],
            port=self._port,
            token=self._token,
            wanted="send the token of `bridge mcp --http` as Authorization: Bearer",
        )
        if refused is not None:
            challenge = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
            await PlainTextResponse(refused.words + "\n", refused.status, challenge)(scope, receive, send)
            return
        await _served(self._app, scope, receive, send, lambda: self._server.cut_off(scope["client"]))


def _bearer(value: str) -> str:
    """Give the token of an ``Authorization`` header; the scheme's name has no case (RFC 9110 section 11.1)."""
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _served(app: Any, scope: Scope, receive: Receive, send: Send, cut_off: Callable[[], None]) -> None:
    """Serve a request, and do what is to be done when its response has left whole.

    One that does not come whole is cut off; who leaves before that is no error, as it were to the SDK.
    """
    whole = False

    async def watched(message: Message) -> None:
        nonlocal whole
        await send(message)
        whole = message["type"] == "http.response.body" and not message.get("more_body", False)

    taken, deadline = False, asyncio.get_running_loop().time() + BODY_S

    async def patient() -> Message:
        nonlocal taken
        if taken:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            cut_off()
            raise ClientDisconnect from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        taken = not message.get("more_body", False)
        return message

    after: list[Callable[[], None]] = []
    _AFTER.set(after)  # the SDK's tasks for this request inherit it
    with suppress(ClientDisconnect):
        await app(scope, patient, watched)
    for then in after if whole else ():
        then()


def _when_sent(id_: RequestId | None, then: Callable[[], None]) -> None:
    _AFTER.get().append(then)
