"""MCP on connections of the control socket: ``bridge mcp`` brings them, and opens the page that we ask it to open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from bridge import __version__
from bridge.agents import requests
from bridge.agents.control import Handler, Session
from bridge.core.events import SessionId
from bridge.core.jsonrpc import RequestId
from bridge.daemon.engine import Engine
from bridge.daemon.late import imported
from bridge.daemon.lookout import Lookout
from bridge.daemon.pages import Pages
from bridge.daemon.toolcalls import McpAgent, McpStand
from bridge.errors import BridgeError, Usage

__all__ = ["McpFront"]

logger = logging.getLogger(__name__)


class McpFront:
    """Begins MCP on connections of the control socket."""

    def __init__(self, tasks: asyncio.TaskGroup, engine: Engine, lookout: Lookout, pages: Pages) -> None:
        self._tasks = tasks
        self._engine = engine
        self._lookout = lookout
        self._pages = pages

    def table(self) -> dict[str, tuple[type[Any], Handler]]:
        """Give its method of the control socket."""
        return {"mcp/serve": (requests.Nothing, self._serve)}

    async def _serve(self, session: Session, id_: RequestId, params: requests.Nothing) -> Any:
        if not session.greeted:
            raise Usage("say hello first: relative paths count from the agent's directory")
        front = await imported("bridge.agents.mcp")  # a second, the first time
        stand = McpStand(session.cwd, session.environ, session.pid, session.terminal_pid)
        agent = self.agent(session.number, stand, partial(self._begin_page, session))
        self._engine.joined(agent)  # in the session's place
        session.hand_over(lambda reader: front.serve(reader, session, __version__, agent.call))
        return {}

    def agent(self, number: SessionId, stand: McpStand, on_page: Callable[[str], None] | None = None) -> McpAgent:
        """Make what answers an agent's calls; the engine must know it."""
        return McpAgent(number, stand, self._engine, self._lookout, self._pages, on_page)

    def _begin_page(self, session: Session, review_id: str) -> None:
        self._tasks.create_task(self._show_page(session, review_id), name="opening a page")

    async def _show_page(self, session: Session, review_id: str) -> None:
        """Let the forwarder, which has the human's terminal and so a screen, open the page of a review."""
        try:
            door = await asyncio.to_thread(self._pages.door, await self._pages.invite(review_id))
        except (BridgeError, OSError) as exc:  # decided a moment ago, or the page has trouble: `bridge review open`
            logger.info("the page of review %s is not opened: %s", review_id, exc)
            return
        session.notify("review/page", {"id": review_id, "door": door})
