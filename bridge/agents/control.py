"""The control socket: JSON-RPC 2.0, one object a line, over a Unix socket that only this user may enter.

Where there are none it is a port of 127.0.0.1, and `bridge.agents.threshold` lets in who knows the token.

A session is one connection. Its requests are taken in order and answered whenever their answers are there;
what a session is told out of turn (``review/surface``) needs no answer. One that does not read is cut off
before it costs memory; one that breaks never touches another.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from bridge.agents import requests
from bridge.agents.threshold import admit
from bridge.core import jsonrpc
from bridge.core.events import SessionId
from bridge.core.jsonrpc import Message, RequestId
from bridge.errors import BridgeError, Usage

__all__ = ["LATER", "ControlServer", "Handler", "Session", "absolute"]

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 64 * 2**20  # of one line: a proposal of several files, escaped
MOST_UNREAD: Final = 64 * 2**20  # of answers that a session does not take
MOST_STRANGERS: Final = 64  # at a time, on TCP: any user may knock
LATER: Final = object()  # the router answers

Handler = Callable[["Session", RequestId, Any], Awaitable[Any]]


class Session:
    """One agent's connection."""

    def __init__(self, number: SessionId, writer: asyncio.StreamWriter, pid: int | None) -> None:
        self.number = number
        self.pid = pid  # of the process at the other end, as the kernel says
        self.cwd = "/"
        self.greeted = False
        self.environ: dict[str, str] = {}
        self.terminal_pid: int | None = None  # as it says itself: a hint
        self.name = ""
        self.version = ""  # of the bridge that the client is part of
        self.successor: Callable[[asyncio.StreamReader], Awaitable[None]] | None = None  # see `hand_over`
        self._writer = writer

    def send(self, line: bytes) -> None:
        """Send one message; a session that has left too much unread is cut off instead."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > MOST_UNREAD:
            transport.abort()
            return
        transport.writelines((line, b"\n"))

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Tell the session something out of turn."""
        self.send(jsonrpc.notification(method, jsonrpc.dump(params)))

    def tell(self, method: str, params: bytes) -> None:
        """Tell the session what its IDE says; `params` is JSON."""
        self.send(jsonrpc.notification(method, params))

    def hand_over(self, successor: Callable[[asyncio.StreamReader], Awaitable[None]]) -> None:
        """Let something else read from the connection, once this request is answered; it ends when that returns."""
        self.successor = successor
        self._writer.transport.set_write_buffer_limits(0)

    async def drained(self) -> None:
        """Wait until most of what was sent is on its way (all, once handed over); one that ended takes all."""
        with suppress(ConnectionError):
            await self._writer.drain()

    @property
    def ended(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._writer.transport.is_closing()

    def reply(self, id_: RequestId, result: Any) -> None:
        """Answer a request; bytes are JSON already."""
        raw = bytes(result) if isinstance(result, bytes | msgspec.Raw) else jsonrpc.dump(result)
        self.send(jsonrpc.result(id_, raw))

    def refuse(self, id_: RequestId, error: BridgeError) -> None:
        """Answer a request with an error."""
        self.send(jsonrpc.error(id_, jsonrpc.dump(error.to_json())))

    def resolve(self, path: str) -> str:
        """Make a path absolute, counting from the session's directory; symlinks stay.

        Raises `Usage` for what cannot be a path.
        """
        if not self.greeted and not os.path.isabs(path):
            raise Usage("a relative path counts from nowhere", "say hello with cwd first, or give an absolute path")
        return absolute(self.cwd, path)


def absolute(directory: str, path: str) -> str:
    """Make a path absolute, counting from `directory`; symlinks stay. Raises `Usage` for what cannot be a path."""
    if "\0" in path or not path:
        raise Usage("a path is empty or holds a NUL")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise Usage("a path holds half a character, which no file name does") from None
    whole = os.path.join(directory, path)
    if ".." not in whole.split("/"):
        return os.path.normpath(whole)
    return os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))  # as the kernel has it


class Registry(Protocol):
    """Who must know of sessions."""

    def joined(self, session: Session) -> None:
        """A session began."""

    async def left(self, session: Session) -> None:
        """A session ended."""


class ControlServer:
    """Serves sessions.

    Args:
        tasks: where the sessions live.
        methods: per method the shape of its parameters and what handles it; the handler's result is the
            answer, unless it is `LATER`.
        registry: is told of sessions that come and go.
        token: for a TCP socket; None for a Unix socket, where the kernel says who comes.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        methods: dict[str, tuple[type[Any], Handler]],
        registry: Registry,
        token: str | None = None,
    ) -> None:
        self._token = token
        self._strangers = 0
        self._tasks = tasks
        self._methods = methods
        self._registry = registry
        self._server: asyncio.Server | None = None
        self._sessions: dict[Session, asyncio.StreamWriter] = {}
        self._count = 0

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound socket."""
        begin = asyncio.start_unix_server if self._token is None else asyncio.start_server
        self._server = await begin(self._begin, sock=listener, limit=MOST_BYTES)

    async def stop(self, restart: bool) -> None:
        """Take no more sessions, tell those that are there, and end them."""
        if self._server is not None:
            self._server.close()
        for session, writer in list(self._sessions.items()):
            session.notify("daemon/stopping", {"restart": restart})
            writer.close()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.create_task(self._serve(reader, writer), name="session")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            pid = await self._admit(reader, writer)
        except BaseException as exc:
            writer.close()
            if isinstance(exc, PermissionError):
                return
            raise
        self._count += 1
        session = Session(SessionId(self._count), writer, pid)
        self._sessions[session] = writer
        self._registry.joined(session)
        try:
            with suppress(ConnectionError, ValueError):  # a line beyond the limit ends the session
                while session.successor is None and (line := await reader.readline()):
                    await self._take(session, line)
                if session.successor is not None:
                    await session.successor(reader)
        finally:
            del self._sessions[session]
            writer.close()
            await self._registry.left(session)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int | None:
        """Let only this user in; give the PID of the other end, where the kernel says it. Raises `PermissionError`."""
        if self._token is None:
            uid, pid = _peer(writer.get_extra_info("socket"))
            if uid is not None and uid != os.getuid():
                raise PermissionError
            return pid
        if self._strangers >= MOST_STRANGERS:
            raise PermissionError
        self._strangers += 1
        try:
            if not await admit(reader, writer, self._token):
                raise PermissionError
        finally:
            self._strangers -= 1
        return None

    async def _take(self, session: Session, line: bytes) -> None:
        try:
            message = jsonrpc.decode(line)
        except ValueError as exc:
            session.send(_not_json_rpc(str(exc)))
            return
        if message.id is None or message.method is None:
            return  # nothing is asked
        try:
            result = await self._handle(session, message.id, message)
        except BridgeError as error:
            session.refuse(message.id, error)
        except Exception:
            logger.exception("a bug in %s", message.method)
            session.refuse(message.id, BridgeError("a bug in the bridge: see its log", "bridge logs"))
        else:
            if result is not LATER:
                session.reply(message.id, result)

    async def _handle(self, session: Session, id_: RequestId, message: Message) -> Any:
        known = self._methods.get(message.method or "")
        if known is None:
            raise Usage(f"unknown method {message.method}", "this bridge may be older than the client")
        kind, handler = known
        return await handler(session, id_, requests.parse(kind, message.params))


def _not_json_rpc(reason: str) -> bytes:
    """Answer a line that is no request: JSON-RPC 2.0 section 5.1 gives such an error a null id."""
    return jsonrpc.dump({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": reason}})


def _peer(connection: socket.socket) -> tuple[int | None, int | None]:
    """Ask the kernel for the other end's uid and pid; None where it does not say (the directory is 0700)."""
    if sys.platform != "linux":
        return None, None
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid, pid
