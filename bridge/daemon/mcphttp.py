"""MCP over HTTP, if the user turned it on (``mcp_http``): its port, its token, and who answers.

A call is a session of its own to the router, since the newer of the protocol's eras knows no others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from bridge import __version__
from bridge.core.events import SessionId
from bridge.core.toolanswers import Answer
from bridge.core.toolbox import HTTP_PATH
from bridge.daemon.engine import Engine
from bridge.daemon.instance import write_private
from bridge.daemon.late import imported
from bridge.daemon.mcp import McpFront
from bridge.daemon.toolcalls import McpStand
from bridge.errors import NotTrusted, Unavailable
from bridge.ides.ports import is_client_ours
from bridge.listening import HOST, listen
from bridge.paths import is_ours
from bridge.proof import new_secret

if TYPE_CHECKING:
    from bridge.agents.mcp import Exchange

__all__ = ["McpHttp", "read_token"]

logger = logging.getLogger(__name__)

MOST_CALLS: Final = 64  # at a time, of all agents: most of them wait for a human
_FIRST: Final = 1 << 48  # above the numbers of poses
_NOWHERE: Final = McpStand("/", nowhere=True)


class McpHttp:
    """Serves MCP at a port.

    Args:
        tasks: where the server lives.
        port: the user's choice; None: it is off.
        token_path: where the token is kept; made when there is none.
        warn: is told what keeps it from being served.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        engine: Engine,
        front: McpFront,
        port: int | None,
        token_path: str,
        warn: Callable[[str], None],
    ) -> None:
        self._tasks = tasks
        self._engine = engine
        self._front = front
        self._port = port
        self._token_path = token_path
        self._warn = warn
        self._numbers = count(_FIRST)
        self._calls = 0
        self._stopping = asyncio.Event()
        self._serving: asyncio.Task[Any] | None = None

    @property
    def address(self) -> str | None:
        """Where agents find it; None: nowhere."""
        return None if self._serving is None or self._serving.done() else f"http://{HOST}:{self._port}{HTTP_PATH}"

    def start(self) -> None:
        """Listen, if the user wants it; what comes before the SDK is there waits for it."""
        if self._port is None:
            return
        try:
            token = read_token(self._token_path)
            listener = listen(self._port)
        except (OSError, NotTrusted) as exc:
            self._warn(f"MCP over HTTP is not served at port {self._port}: {exc}")
            return
        self._serving = self._tasks.create_task(self._serve(listener, token), name="MCP over HTTP")

    async def _serve(self, listener: socket.socket, token: str) -> None:
        try:
            served = await imported("bridge.agents.mcphttp")
            await served.McpHttpFront(__version__, token, self.call, is_client_ours).serve(listener, self._stopping)
        finally:
            listener.close()

    async def stop(self) -> None:
        """End it, and return when the port is free."""
        self._stopping.set()
        if self._serving is not None:
            await self._serving

    async def call(self, name: str, arguments: Mapping[str, Any], exchange: Exchange) -> Answer:
        """Answer a call of a tool that there is. Raises `BridgeError` for what the model should read."""
        if self._calls >= MOST_CALLS:
            raise Unavailable(f"{self._calls} calls are not answered yet: no more are taken", "wait for some of them")
        self._calls += 1
        agent = self._front.agent(SessionId(next(self._numbers)), _NOWHERE)
        self._engine.joined(agent)
        try:
            return await agent.call(name, arguments, exchange)
        finally:
            self._engine.left(agent)
            self._calls -= 1


def read_token(path: str) -> str:
    """Read the token, or make one, in a file that only this user can read.

    Raises `NotTrusted` when another user could have read or written it, `OSError`.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            found = os.fstat(file.fileno())
            token = file.read(1024).strip()
    except FileNotFoundError:
        token = new_secret()
        write_private(path, token.encode() + b"\n")
        return token
    if not is_ours(found) or found.st_mode & 0o077:
        raise NotTrusted(f"{path} is not this user's alone (rm '{path}' makes a new token)")
    if len(token) < 32:
        raise NotTrusted(f"{path} holds no token (rm '{path}' makes one)")
    return token
