"""Publications: where agents find the bridge as if it were an IDE, each a port, a token and a lock file.

Nothing is published by itself: two lock files that match one workspace make today's agents connect to neither
(docs/protocol.md "Publishing"). ``bridge run`` publishes for one child: the only workspace folder in its lock file is a
name that nothing else has, so that no other agent takes it, and the child is told the port. It lasts as long as the
child, whoever of child, ``bridge run`` and daemon is killed. ``bridge publish on`` publishes for everybody, and lasts
until it is taken back, also when the daemon is started anew.

Lock files that a killed daemon left are its own, by the hash of their token, and removed by the next one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from bridge.agents.control import Session
from bridge.agents.gate import Wire
from bridge.core.lockfile import Transport
from bridge.core.status import Published
from bridge.daemon.instance import write_private
from bridge.daemon.lookout import BRIDGE
from bridge.daemon.poses import Poses
from bridge.errors import Unavailable, Usage
from bridge.ides.files import read_regular
from bridge.ides.locks import candidate_directories
from bridge.ides.ports import is_client_ours
from bridge.ides.processes import Standing, ended
from bridge.listening import listen
from bridge.store.journal import Journal, JournalThread

__all__ = ["Publications"]

logger = logging.getLogger(__name__)

MOST: Final = 200  # at once
EVERYWHERE: Final = "/"
_LEFT: Final = "published"  # settings in the journal: lock files of ours, and whether we are published for everybody
_EVERYBODY: Final = "published for everybody"
_LOCK_BYTES: Final = 4096


class Front(Protocol):
    """What serves agents at a port: `WebSocketFront`, `EventStreamFront`."""

    transport: str

    @property
    def agents(self) -> int:
        """How many agents are connected."""

    async def stop(self) -> None:
        """Say goodbye, and return when the port is free."""


@dataclass(eq=False, slots=True, kw_only=True)
class Publication:
    """One port at which agents find us."""

    port: int
    lock: str
    token: str = field(repr=False)
    front: Front
    session: Session | None  # that it is for, until its child is known; None: for everybody
    child: int | None = None


class Publications:
    """All publications.

    Args:
        tasks: where fronts and watchers live.
        poses: begins the sessions of agents that come.
        home: the user's home directory.
        state: a directory of ours; private folders are names below it.
    """

    def __init__(self, tasks: asyncio.TaskGroup, poses: Poses, journal: JournalThread, home: str, state: str) -> None:
        self._tasks = tasks
        self._poses = poses
        self._journal = journal
        self._home = Path(home)
        self._state = state
        self._all: dict[int, Publication] = {}
        self._switching = asyncio.Lock()

    @property
    def ports(self) -> frozenset[int]:
        """Where the daemon finds itself, and must not take itself for an IDE."""
        return frozenset(self._all)

    def rows(self) -> list[Published]:
        """Say what is published, for `status`."""
        return [
            {
                "port": one.port,
                "transport": one.front.transport,
                "lock": one.lock,
                "everywhere": one.session is None and one.child is None,
                "pid": one.child,
                "agents": one.front.agents,
            }
            for one in self._all.values()
        ]

    # ---- for one child

    async def for_child(self, session: Session, transport: Transport, port: int) -> Publication:
        """Publish for a child that `session` is about to start; `port` is the one of the last time, or 0.

        Raises `Unavailable` when it cannot be published.
        """
        folder = f"{self._state}/run/{secrets.token_hex(8)}"  # nothing is there, and nothing will be
        standing = Standing(session.cwd, session.environ, session.pid, session.terminal_pid)
        pid = session.pid or os.getpid()
        return await self._publish(transport, port, folder, pid, session.environ, session, standing)

    def watch(self, session: Session, port: int, pid: int) -> None:
        """Learn which process the child is: the publication lasts as long as that. Raises `Usage` for a wrong port."""
        one = self._all.get(port)
        if one is None or one.session is not session:
            raise Usage(f"port {port} is not published for this session")
        one.child = pid
        self._tasks.create_task(self._end_with(one, pid), name=f"watching child {pid}")

    async def _end_with(self, one: Publication, pid: int) -> None:
        await ended(pid)
        await self._withdraw(one)

    async def left(self, session: Session) -> None:
        """Learn that a session ended; one whose child is not known had none."""
        for one in list(self._all.values()):
            if one.session is session and one.child is None:
                await self._withdraw(one)

    # ---- for everybody

    async def for_everybody(self, on: bool, transport: Transport, environ: Mapping[str, str]) -> None:
        """Publish for every agent, or take that back; remembered for the next life of the daemon."""
        async with self._switching:
            for one in [one for one in self._all.values() if one.session is None]:
                await self._withdraw(one)
            wish = {"transport": transport.value, "environ": _directories(environ), "port": 0} if on else None
            if wish is not None:
                wish["port"] = (await self._for_everybody(wish)).port
            await self._journal.run(Journal.set_setting, _EVERYBODY, wish)

    async def _for_everybody(self, wish: Mapping[str, Any]) -> Publication:
        transport, environ = Transport(wish["transport"]), wish["environ"]
        return await self._publish(transport, wish["port"], EVERYWHERE, os.getpid(), environ, None, None)

    # ---- publishing

    async def _publish(
        self,
        transport: Transport,
        port: int,
        folder: str,
        pid: int,
        environ: Mapping[str, str],
        session: Session | None,
        standing: Standing | None,
    ) -> Publication:
        if len(self._all) >= MOST:
            raise Unavailable(f"{MOST} agents have a bridge of their own already", "bridge status")
        token = secrets.token_urlsafe(32)

        async def welcome(wire: Wire) -> Any:
            return self._poses.begin(wire, standing)

        front = _front(transport)(self._tasks, token, welcome, is_client_ours)
        try:
            try:
                listener = listen(port)
            except OSError:  # somebody else has it now
                listener = listen(0)
        except OSError as exc:
            raise Unavailable(f"no port can be listened on: {exc.strerror}", "bridge doctor") from exc
        port = listener.getsockname()[1]
        directory = next(iter(candidate_directories(environ, self._home)))
        lock = str(directory / f"{port}.lock")
        one = Publication(port=port, lock=lock, token=token, front=front, session=session)
        self._all[port] = one
        try:
            await self._remember()
            await front.start(listener)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(lock, _lock(pid, folder, transport, token))
        except OSError as exc:
            listener.close()
            await self._withdraw(one)
            raise Unavailable(f"cannot write {lock}: {exc.strerror}", "bridge doctor") from exc
        logger.info("published on port %d", port)
        return one

    async def _withdraw(self, one: Publication) -> None:
        if self._all.pop(one.port, None) is None:
            return
        await asyncio.to_thread(_remove, one.lock, _hash(one.token))
        await one.front.stop()
        await self._remember()
        logger.info("no longer published on port %d", one.port)

    async def _remember(self) -> None:
        left = [{"lock": one.lock, "token": _hash(one.token)} for one in self._all.values()]
        await self._journal.run(Journal.set_setting, _LEFT, left)

    # ---- the daemon's life

    async def resume(self) -> None:
        """Remove what an earlier life left behind, and publish for everybody if the user wants that."""
        for left in await self._journal.run(Journal.setting, _LEFT) or []:
            await asyncio.to_thread(_remove, left["lock"], left["token"])
        wish = await self._journal.run(Journal.setting, _EVERYBODY)
        if wish is not None:
            try:
                await self._for_everybody(wish)
            except Unavailable as error:
                logger.warning("%s", error)

    async def stop(self) -> None:
        """Take everything back."""
        for one in list(self._all.values()):
            await self._withdraw(one)


def _front(transport: Transport) -> Any:
    """Import the server when it is first wanted: each is some megabytes."""
    if transport is Transport.SSE:
        from bridge.agents.idestream import EventStreamFront

        return EventStreamFront
    from bridge.agents.idesocket import WebSocketFront

    return WebSocketFront


def _directories(environ: Mapping[str, str]) -> dict[str, str]:
    """Keep what says where lock files are."""
    return {name: environ[name] for name in ("CLAUDE_CONFIG_DIR",) if name in environ}


def _lock(pid: int, folder: str, transport: Transport, token: str) -> bytes:
    return json.dumps(
        {
            "pid": pid,
            "workspaceFolders": [folder],
            "ideName": BRIDGE,
            "transport": transport.value,
            "authToken": token,
        }
    ).encode("ascii")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _remove(lock: str, token_hash: str) -> None:
    """Remove a lock file if it is still ours: another program may have got the port, and written its own."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        _, data = read_regular(lock, _LOCK_BYTES)
        if _hash(json.loads(data)["authToken"]) == token_hash:
            os.unlink(lock)
