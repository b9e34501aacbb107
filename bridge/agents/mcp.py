"""The MCP front's own part: the official SDK between an agent's connection and what answers the tools' calls.

The SDK knows the protocol, in both its eras: with ``initialize`` and sessions up to 2025-11-25, and since 2026-07-28
without either, each request saying for itself who asks. It takes more than a second to import, so nothing imports
this module before an agent speaks MCP. The SDK's own stdio reader has no limits and a thread for each agent; so it gets
a pair of streams of ours, on a connection of the control socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

import anyio
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from bridge.core import jsonrpc
from bridge.core.jsonrpc import RequestId
from bridge.core.toolanswers import Answer, failed
from bridge.core.toolbox import INSTRUCTIONS, TOOLS
from bridge.errors import BridgeError

__all__ = ["Call", "Exchange", "Wire", "make_server", "serve"]

logger = logging.getLogger(__name__)

MOST_NAME: Final = 100  # characters of the agent's own name that are kept
# The tools change with the bridge's version only, and are the same for everybody.
_FRESH: Final = CacheHint(ttl_ms=300_000, scope="public")
_LISTED: Final = types.ListToolsResult(tools=[types.Tool.model_validate(tool.listed) for tool in TOOLS.values()])


class Exchange(NamedTuple):
    """One call, as far as who answers it needs to know the agent.

    Attributes:
        client: the agent's own name for itself; hostile text.
        progress: tells the agent, if it wants to know, how far the call is: a number that grows, the number at the end,
            and words.
        sent: takes what is to be done when the answer has left; it is not done if it cannot.
    """

    client: str
    progress: Callable[[float, float, str], Awaitable[None]]
    sent: Callable[[Callable[[], None]], None]


Call = Callable[[str, Mapping[str, Any], Exchange], Awaitable[Answer]]


def make_server(version: str, call: Call, sent: Callable[[RequestId | None, Callable[[], None]], None]) -> Server[Any]:
    """Make the SDK's server.

    Args:
        call: answers a call of one of `toolbox.TOOLS`, by name; raises `BridgeError` for what the model should read.
        sent: does something when the answer to a request has left.
    """

    async def list_tools(
        ctx: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return _LISTED

    async def call_tool(ctx: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name not in TOOLS:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name[:100]}")
        info = ctx.session.client_params
        exchange = Exchange(
            client=info.client_info.name[:MOST_NAME] if info is not None else "",
            progress=ctx.session.report_progress,
            sent=lambda then: sent(ctx.request_id, then),
        )
        return _result(await _answered(call, params.name, params.arguments or {}, exchange))

    return Server(
        "bridge",
        version=version,
        title="IDE bridge",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": _FRESH, "server/discover": _FRESH},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _answered(call: Call, name: str, arguments: Mapping[str, Any], exchange: Exchange) -> Answer:
    """Answer a call; every failure becomes words that a model can read: the SDK's own errors say nothing."""
    try:
        return await call(name, arguments, exchange)
    except BridgeError as error:
        return failed(error)
    except Exception:
        logger.exception("a bug in %s", name)
        return failed(BridgeError("a bug in the bridge: see its log", "bridge logs"))


def _result(answer: Answer) -> types.CallToolResult:
    typed = {} if answer.refusal is None else {"_meta": {"bridge/error": answer.refusal}}
    return types.CallToolResult(
        content=[types.TextContent(text=answer.text)],
        structured_content=answer.structured,
        is_error=answer.is_error,
        **typed,
    )


# ---- a connection of the control socket


class Wire(Protocol):
    """The way to the agent; what it does not take is kept for it, within bounds (`control.Session`)."""

    def send(self, line: bytes) -> None:
        """Send one message."""

    async def drained(self) -> None:
        """Wait until what was sent is on its way."""

    @property
    def ended(self) -> bool:
        """Whether nothing can be sent any more."""


async def serve(reader: asyncio.StreamReader, wire: Wire, version: str, call: Call) -> None:
    """Speak MCP on a connection until the agent leaves; calls that are not answered by then are cancelled."""
    outgoing = _Outgoing(wire)
    server = make_server(version, call, outgoing.when_sent)
    await server.run(_Incoming(reader, wire), outgoing, server.create_initialization_options())


class _Stream:
    """What the SDK's two kinds of streams have in common."""

    async def aclose(self) -> None:
        """The connection is not ours to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Incoming(_Stream):
    """What the agent says (the SDK's `ReadStream`): one message a line, as long as the reader allows.

    The next one is read when the agent has taken what it was told: one that only asks costs no memory.
    """

    def __init__(self, reader: asyncio.StreamReader, wire: Wire) -> None:
        self._reader = reader
        self._wire = wire

    async def receive(self) -> SessionMessage | Exception:
        """Give the next message; raises `anyio.EndOfStream` at the end."""
        while line := await self._line():
            try:
                return SessionMessage(_parsed(line))
            except ValueError as exc:
                self._refuse(line, str(exc))
        raise anyio.EndOfStream

    async def _line(self) -> bytes:
        await self._wire.drained()
        try:
            line = await self._reader.readline()
            while line == b"\n":
                line = await self._reader.readline()
        except (ConnectionError, ValueError):  # ValueError: the line has no end
            return b""
        return line

    def _refuse(self, line: bytes, reason: str) -> None:
        """Answer what is no message (JSON-RPC 2.0 section 5.1), under its id if it has one."""
        try:
            value = jsonrpc.load(line)
        except ValueError:
            self._wire.send(jsonrpc.dump(_error(None, types.PARSE_ERROR, "this is not JSON")))
            return
        id_ = value.get("id") if isinstance(value, dict) else None
        known = id_ if isinstance(id_, str) or type(id_) is int else None
        self._wire.send(jsonrpc.dump(_error(known, types.INVALID_REQUEST, f"this is no JSON-RPC message: {reason}")))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


def _parsed(line: bytes) -> types.JSONRPCMessage:
    """Read a message; raises `ValueError`. The SDK's way refuses lone surrogates, which `json` takes."""
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        message = _parsed_slowly(line)
    if isinstance(message, types.JSONRPCNotification) and b'"id"' in line and "id" in jsonrpc.load(line):
        raise ValueError("an id is a string or an integer")  # to the SDK this were a notification: no answer at all
    return message


def _parsed_slowly(line: bytes) -> types.JSONRPCMessage:
    try:
        return types.jsonrpc_message_adapter.validate_python(jsonrpc.load(line), by_name=False)
    except ValidationError as exc:
        raise ValueError(exc.errors()[0]["msg"]) from None


def _error(id_: RequestId | None, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}}


class _Outgoing(_Stream):
    """What the agent is told (the SDK's `WriteStream`)."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._sent: dict[RequestId | None, list[Callable[[], None]]] = {}

    def when_sent(self, id_: RequestId | None, then: Callable[[], None]) -> None:
        """Do something when the answer to a request has left."""
        self._sent.setdefault(id_, []).append(then)

    async def send(self, item: SessionMessage) -> None:
        """Send a message; never waits but for what is to be done when it has left."""
        message = item.message
        self._wire.send(jsonrpc.dump(message.model_dump(by_alias=True, exclude_unset=True)))
        if not isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            return
        after = self._sent.pop(message.id, ())
        if after:
            await self._wire.drained()
        for then in () if self._wire.ended else after:
            then()
