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
import logging
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from bridge.agents.control import Session
from bridge.agents.gate import Guest, Wire
from bridge.core.lockfile import Transport
from bridge.core.status import Published
from bridge.daemon.ownlocks import hash_of, lock_directory, remove_lock, write_lock
from bridge.daemon.poses import Poses
from bridge.errors import Unavailable, Usage
from bridge.ides.ports import is_client_ours
from bridge.ides.processes import Standing, ended
from bridge.listening import listen
from bridge.store.journal import Journal, JournalThread

__all__ = ["Publications"]

logger = logging.getLogger(__name__)

MOST: Final = 200  # at once
EVERYWHERE: Final = "/"
_PORT: Final = "CLAUDE_CODE_SSE_PORT"
_LEFT: Final = "published"  # settings in the journal: lock files of ours, and whether we are published for everybody
_EVERYBODY: Final = "published for everybody"


class Front(Protocol):
    """What serves agents at a port: `WebSocketFront`, `EventStreamFront`."""

    transport: str

    @property
    def agents(self) -> int:
        """How many agents are connected."""

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound, listening socket."""

    async def stop(self) -> None:
        """Say goodbye, and return when the port is free."""


@dataclass(eq=False, slots=True, kw_only=True)
class Publication:
    """One port at which agents find us."""

    port: int
    lock: str
    folder: str
    token: str = field(repr=False)
    front: Front
    session: Session | None  # that it is for; None: for everybody
    child: int | None = None

    @property
    def everywhere(self) -> bool:
        """Whether it is for every agent."""
        return self.session is None


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
        self._stopped = False

    @property
    def ports(self) -> frozenset[int]:
        """Where the daemon finds itself, and must not take itself for an IDE."""
        return frozenset(self._all)

    @property
    def needed(self) -> bool:
        """Whether somebody would miss what is published, should another daemon take our place.

        What is for everybody comes back with that, and only an agent that is connected would notice.
        """
        return any(not one.everywhere or one.front.agents for one in self._all.values())

    def seen_through(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Give what a terminal says of its IDE, where an agent of ours runs in it and its port is the bridge's.

        Then it is in the terminal from which the agent was started.
        """
        port = environ.get(_PORT, "")
        one = self._all.get(int(port)) if port.isascii() and port.isdecimal() and len(port) <= 5 else None
        if one is None or one.session is None:
            return environ
        rest = {name: value for name, value in environ.items() if name != _PORT}
        before = one.session.environ.get(_PORT)
        return rest if before is None else {**rest, _PORT: before}

    def rows(self) -> list[Published]:
        """Say what is published, for `status`."""
        return [
            {
                "port": one.port,
                "transport": one.front.transport,
                "lock": one.lock,
                "everywhere": one.everywhere,
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
        return await self._publish(transport, port, session.environ, folder, session, standing)

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
        for one in [one for one in self._all.values() if one.session is session]:
            if one.child is None:
                await self._withdraw(one)
            else:  # today's agents remove the lock file of a process that is dead
                with suppress(Unavailable):
                    _announce(one, one.child)

    # ---- for everybody

    async def for_everybody(self, on: bool, transport: Transport, environ: Mapping[str, str]) -> None:
        """Publish for every agent, or take that back; remembered for the next life of the daemon.

        Raises `Unavailable` when it cannot be published, or not be remembered.
        """
        async with self._switching:
            directory = os.fspath(lock_directory(environ, self._home))
            there = [one for one in self._all.values() if one.everywhere]
            if on and [(one.front.transport, os.path.dirname(one.lock)) for one in there] == [(transport, directory)]:
                return  # agents that are connected stay so
            for one in there:
                await self._withdraw(one)
            if not on:
                await self._keep(_EVERYBODY, None)
                return
            wish: dict[str, Any] = {"transport": transport.value, "environ": _directories(environ), "port": 0}
            one = await self._for_everybody(wish)
            try:
                await self._keep(_EVERYBODY, wish | {"port": one.port})
            except Unavailable:
                await self._withdraw(one)
                raise

    async def _for_everybody(self, wish: Mapping[str, Any]) -> Publication:
        return await self._publish(Transport(wish["transport"]), wish["port"], wish["environ"], EVERYWHERE)

    # ---- publishing

    async def _publish(
        self,
        transport: Transport,
        port: int,
        environ: Mapping[str, str],
        folder: str,
        session: Session | None = None,
        standing: Standing | None = None,
    ) -> Publication:
        if len(self._all) >= MOST:
            raise Unavailable(f"{MOST} agents have a bridge of their own already", "bridge status")
        token = secrets.token_urlsafe(32)

        async def welcome(wire: Wire) -> Guest:
            return self._poses.begin(wire, standing)

        front = _front(transport)(self._tasks, token, welcome, is_client_ours)
        listener = _listen(port)
        try:
            await front.start(listener)
        except BaseException:
            listener.close()
            raise
        port = listener.getsockname()[1]
        directory = lock_directory(environ, self._home)
        lock = os.fspath(directory / f"{port}.lock")
        one = Publication(port=port, lock=lock, folder=folder, token=token, front=front, session=session)
        self._all[port] = one
        try:
            await self._remember()  # first: whoever kills us now, the next daemon knows whose the lock file is
            if self._stopped:
                raise Unavailable("the bridge is stopping", "bridge up")
            # Who starts an agent is its ancestor, as an IDE is.
            _announce(one, (session.pid if session is not None else None) or os.getpid())
        except BaseException:
            await self._withdraw(one)
            raise
        logger.info("published on port %d", port)
        return one

    async def _withdraw(self, one: Publication) -> None:
        if self._all.pop(one.port, None) is None:
            return
        # At once: nobody must find what goes, and nothing stay if we are cancelled.
        remove_lock(one.lock, hash_of(one.token))
        await one.front.stop()
        try:
            await self._remember()
        except Unavailable as error:  # too much is remembered, and looked for in vain
            logger.warning("%s", error)
        logger.info("no longer published on port %d", one.port)

    async def _remember(self) -> None:
        await self._keep(_LEFT, [{"lock": one.lock, "token": hash_of(one.token)} for one in self._all.values()])

    async def _keep(self, name: str, value: Any) -> None:
        try:
            await self._journal.run(Journal.set_setting, name, value)
        except sqlite3.Error as exc:
            raise Unavailable(f"the journal cannot be written: {exc}", "bridge doctor") from exc

    # ---- the daemon's life

    async def resume(self) -> None:
        """Remove what an earlier life left behind, and publish for everybody if the user wants that."""
        for left in await self._journal.run(Journal.setting, _LEFT) or []:
            with suppress(KeyError, TypeError):  # of another version
                remove_lock(left["lock"], left["token"])
        wish = await self._journal.run(Journal.setting, _EVERYBODY)
        if wish is None:
            return
        try:
            one = await self._for_everybody(wish)
            if one.port != wish["port"]:
                await self._keep(_EVERYBODY, {**wish, "port": one.port})
        except Unavailable as error:
            logger.warning("%s", error)
        except (KeyError, TypeError, ValueError):  # a version that knows more transports wrote it
            logger.warning("what is to be published for everybody is not understood: bridge publish on")

    async def stop(self) -> None:
        """Take everything back, all at once, and publish nothing more."""
        self._stopped = True
        await asyncio.gather(*(self._withdraw(one) for one in list(self._all.values())))


def _listen(port: int) -> socket.socket:
    """Listen on `port`, or on another one if somebody else has it now. Raises `Unavailable`."""
    try:
        try:
            return listen(port)
        except OSError:
            return listen(0)
    except OSError as exc:
        raise Unavailable(f"no port can be listened on: {exc.strerror}", "bridge doctor") from exc


def _front(transport: Transport) -> Callable[..., Front]:
    """Import the server when it is first wanted: each is some megabytes."""
    if transport is Transport.SSE:
        from bridge.agents.idestream import EventStreamFront

        return EventStreamFront
    from bridge.agents.idesocket import WebSocketFront

    return WebSocketFront


def _announce(one: Publication, pid: int) -> None:
    transport = Transport(one.front.transport)
    write_lock(one.lock, pid=pid, folder=one.folder, transport=transport, token=one.token)


def _directories(environ: Mapping[str, str]) -> dict[str, str]:
    """Keep what says where lock files are."""
    return {name: environ[name] for name in ("CLAUDE_CONFIG_DIR",) if name in environ}
