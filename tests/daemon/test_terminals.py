"""Pins that cannot be made, or kept; `tests/cli/test_use.py` has the rest."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.agents.control import Session
from bridge.agents.requests import parse
from bridge.core.events import SessionId
from bridge.daemon.lookout import Lookout
from bridge.daemon.pins import SETTING
from bridge.daemon.terminals import Terminals
from bridge.errors import Unavailable
from bridge.ides.dialing import Dialer
from bridge.ides.surroundings import Surroundings
from bridge.store.journal import Journal, JournalThread
from pathconv.probe import Probe


@pytest.fixture
def terminals(home: Path, journal: JournalThread) -> Terminals:
    return Terminals(journal, Lookout(home, False, Surroundings(Probe()), Dialer()))


@pytest.fixture
async def session(home: Path) -> AsyncIterator[Session]:
    """A session whose other end is this process, if anybody asks."""
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    with theirs:
        session = Session(SessionId(1), writer, os.getpid())
        session.cwd = str(home)
        yield session
        writer.close()
        await writer.wait_closed()


async def ask(terminals: Terminals, session: Session, method: str, params: dict[str, Any]) -> Any:
    kind, handler = terminals.table()[method]
    return await handler(session, 1, parse(kind, msgspec.Raw(msgspec.json.encode(params))))


@pytest.mark.parametrize("pid", [None, 0, 2**22 + 1])
async def test_where_no_terminal_can_be_told_there_is_the_workspace(
    terminals: Terminals, session: Session, pid: int | None
) -> None:
    """macOS says no PID, a PID namespace says 0, and a process may end at any time."""
    session.pid = pid
    with pytest.raises(Unavailable, match="cannot tell which terminal") as caught:
        await ask(terminals, session, "use", {"ide": "my ide"})
    assert caught.value.hint == "bridge use 'my ide' --workspace"
    pinned = await ask(terminals, session, "use", {"ide": "my ide", "workspace": True})
    assert [(pin["ide"], pin["used"]) for pin in pinned["pins"]] == [("my ide", True)]


async def test_a_pin_that_cannot_be_kept_holds_for_now_and_that_is_told(
    terminals: Terminals, session: Session, journal: JournalThread
) -> None:
    await journal.run(lambda opened: opened._db.execute("PRAGMA query_only = ON"))
    with pytest.raises(Unavailable, match="holds only until the bridge ends") as caught:
        await ask(terminals, session, "use", {"ide": "code", "workspace": True})
    assert caught.value.hint == "bridge doctor"
    assert [pin["ide"] for pin in (await ask(terminals, session, "use", {}))["pins"]] == ["code"]
    assert await journal.run(Journal.setting, SETTING) is None
