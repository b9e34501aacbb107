"""What the control socket tells of terminals: which IDE is pinned in one, and which one it belongs to."""

from __future__ import annotations

import shlex
import sqlite3
from typing import Any

from bridge.agents import requests
from bridge.agents.control import Handler, Session
from bridge.core.attaching import port_for_agents
from bridge.core.jsonrpc import RequestId
from bridge.core.selection import Listener, Pinned, is_named
from bridge.daemon.lookout import Lookout
from bridge.daemon.pins import SETTING
from bridge.errors import Unavailable, Usage
from bridge.ides.processes import is_terminal
from bridge.store.journal import Journal, JournalThread

__all__ = ["Terminals"]

_AUTO = "auto"  # the name of no IDE: the bridge chooses


class Terminals:
    """Handles ``terminal`` (which IDE agents should attach to there) and ``use``."""

    def __init__(self, journal: JournalThread, lookout: Lookout) -> None:
        self._journal = journal
        self._lookout = lookout

    def table(self) -> dict[str, tuple[type[Any], Handler]]:
        """Give every method with the shape of its parameters."""
        return {"use": (requests.Use, self._use), "terminal": (requests.Nothing, self._terminal)}

    async def _terminal(self, session: Session, id_: RequestId, params: requests.Nothing) -> Any:
        scene = await self._lookout.scene(session)
        return {"port": port_for_agents(scene.candidates, scene.place, scene.terminal, scene.named)}

    async def _use(self, session: Session, id_: RequestId, params: requests.Use) -> Any:
        terminal, workspace = self._lookout.whereabouts(session)
        self._lookout.pins.forget_terminals(is_terminal)
        running = None
        if params.ide is not None:
            name = params.ide.strip()
            await self._pin(name, terminal, workspace if params.workspace else None)
            running = None if name == _AUTO else await self._is_running(session, name)
        rows = self._lookout.pins.rows(terminal, workspace)
        return {"workspace": workspace, "running": running, "pins": rows}

    async def _pin(self, name: str, terminal: str | None, workspace: str | None) -> None:
        if not name:
            raise Usage("an IDE's name is empty", "bridge status lists the IDEs")
        kind, key = (Pinned.TERMINAL, terminal) if workspace is None else (Pinned.WORKSPACE, workspace)
        if key is None:
            raise Unavailable("cannot tell which terminal this is", f"bridge use {shlex.quote(name)} --workspace")
        pins = self._lookout.pins
        pins.pin(kind, key, None if name == _AUTO else name)
        try:
            await self._journal.run(Journal.set_setting, SETTING, pins.kept())
        except sqlite3.Error as exc:
            raise Unavailable(f"that holds only until the bridge ends: the journal: {exc}", "bridge doctor") from exc

    async def _is_running(self, session: Session, name: str) -> bool:
        """Tell whether an IDE lives that the name fits."""
        seen = (await self._lookout.sight(session)).candidates
        return any(is_named(c.lock, name) for c in seen if c.listener in (Listener.OURS, Listener.HIDDEN))
