"""The IDEs that exist right now: lock files, processes, sockets and projects put together for `select`.

Nothing here speaks to an IDE. A thousand stale locks cost a stat and an `os.kill` each; paths are resolved only
for locks on whose port somebody listens, or may be listening where we cannot see. An IDE on the other side of the
Windows boundary shows no process and no socket here, so whether its port takes a connection is tried, for all of them
at once (`Dialer.silences`).
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from bridge.core.lockfile import LockFile
from bridge.core.reach import HERE, LOOPBACK, Diagnosis, Route, Silence, Terrain
from bridge.core.selection import Candidate, Listener, Pid
from bridge.ides.admission import AdmittedLock, Refused
from bridge.ides.dialing import Dialer, Silences
from bridge.ides.jetbrains import NOWHERE, JetBrains
from bridge.ides.locks import LockDirectory, LockScanner, Scan
from bridge.ides.ports import PortFacts, callers, snapshot
from bridge.ides.processes import ancestors, pid_state
from bridge.ides.projects import project_of
from bridge.ides.surroundings import Surroundings
from pathconv import Code, Env, PathMapper

__all__ = ["Found", "Look", "Sighting", "Survey", "from_terminal", "look_around"]

HIDDEN_S: Final = 20.0  # for so long the folders of a hidden IDE, which may have ended long ago, are not resolved anew
HIDDEN_MOST: Final = 4096

_LIVING: Final = frozenset({Listener.OURS, Listener.HIDDEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Every IDE that announces itself, and everything that was not believed."""

    candidates: tuple[Candidate, ...] = ()
    refused: tuple[Refused, ...] = ()  # files and whole directories, with the reason
    terrain: Terrain = field(default_factory=Terrain)


class Found(NamedTuple):
    """An admitted lock, the way to its IDE, and what is known of its port."""

    admitted: AdmittedLock
    route: Route
    port: PortFacts  # without our own connections; of an IDE elsewhere only those who are connected from here
    listener: Listener
    silence: Diagnosis | None  # why an IDE elsewhere does not answer

    @property
    def pid(self) -> Pid:
        """What became of the process that the lock names: of one in Windows, or outside a container, nothing is known.

        Its number may even be that of a process of ours.
        """
        lock = self.admitted.lock
        elsewhere = lock.running_in_windows or not self.route.here
        return Pid.UNKNOWN if elsewhere else pid_state(lock.pid, self.admitted.modified)


class Look(NamedTuple):
    """All that one look around has seen."""

    terrain: Terrain
    scan: Scan
    found: list[Found]


async def look_around(
    directories: Iterable[LockDirectory],
    surroundings: Surroundings,
    scanner: LockScanner,
    dialer: Dialer,
    linked: Collection[str] = (),
    jetbrains: JetBrains = NOWHERE,
) -> Look:
    """Read the lock files and look who listens for each: here in tables, elsewhere by a connection that says nothing.

    Args:
        directories: where lock files may be besides the Windows profile; see `locks.candidate_directories`.
        linked: ids of the IDEs that we are connected to, which need no look.
        jetbrains: the ports where an IDE may be that writes no lock file.
    """
    terrain = await surroundings.terrain()
    scan = await scanner.settle(dict.fromkeys([*directories, *surroundings.directories()]))
    own = dialer.ports
    known = snapshot([*(admitted.lock.port for admitted in scan.admitted), *jetbrains.ports])
    ports = {port: facts.without(own) for port, facts in known.items()}
    named = {admitted.lock.port for admitted in scan.admitted if not admitted.lock.running_in_windows}
    announced = [*scan.admitted, *jetbrains.announced(ports, named)]
    ours = frozenset(
        admitted.lock.port
        for admitted in announced
        if ports[admitted.lock.port].listener is Listener.OURS and not admitted.lock.running_in_windows
    )

    routes = [_route(admitted, ports[admitted.lock.port], terrain, surroundings, ours) for admitted in announced]
    connected = callers({a.lock.port for a, route in zip(announced, routes, strict=True) if not route.here})

    async def find(admitted: AdmittedLock, route: Route) -> Found:
        lock, port = admitted.lock, ports[admitted.lock.port]
        if route.here:
            return Found(admitted, route, port, port.listener, None)
        hosts = {way.host for way in route.ways}
        port = PortFacts(peers=frozenset(mine for host, mine in connected[lock.port] if host in hosts) - own)
        silences = None if lock.ide_id in linked else await dialer.silences(lock.port, route)
        listener = _listener(route, silences)
        explained = silences is not None and listener is not Listener.FOREIGN
        return Found(
            admitted, route, port, listener, terrain.diagnose(lock.port, silences or {}) if explained else None
        )

    return Look(terrain, scan, list(await asyncio.gather(*map(find, announced, routes))))


def _route(
    admitted: AdmittedLock, port: PortFacts, terrain: Terrain, surroundings: Surroundings, ours: Collection[int]
) -> Route:
    """An IDE like us is on our loopback; where another side exists, one that is not here may be there.

    Who answers on our loopback is not in Windows if an IDE of ours has the port: `ours` are those.
    """
    lock = admitted.lock
    if terrain.env is Env.WINDOWS and (mapper := surroundings.mapper_into(os.path.dirname(admitted.path))) is not None:
        return Route(here=False, mapper=mapper)  # Windows forwards its loopback to the distribution's
    if port.listener is not Listener.NONE and not lock.running_in_windows:
        return HERE
    route = terrain.route(lock.running_in_windows)
    if route.here or lock.port not in ours:
        return route
    return replace(route, ways=tuple(way for way in route.ways if way.host != LOOPBACK))


def _listener(route: Route, silences: Silences) -> Listener:
    if silences is None:
        return Listener.OURS
    if route.relay:
        return Listener.HIDDEN
    return Listener.FOREIGN if Silence.UNTRUSTED in silences.values() else Listener.UNREACHABLE


class _Folders(NamedTuple):
    """What the folders in a lock are on our side."""

    folders: tuple[str, ...]
    repositories: frozenset[str] = frozenset()
    foreign: str | None = None
    until: float = -math.inf


class Survey:
    """Looks around at each request; remembers files that have not changed, and for a moment what is slow to see.

    Args:
        home: the user's home directory, real and absolute; see `project_of`.
        surroundings: the machine.
        dialer: the one that our links are made with, whose connections do not make an IDE occupied.
        jetbrains: the ports where an IDE may be that writes no lock file.
        clock: seconds, never set back.
    """

    def __init__(
        self,
        home: str,
        surroundings: Surroundings,
        dialer: Dialer,
        *,
        scanner: LockScanner | None = None,
        jetbrains: JetBrains = NOWHERE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._surroundings = surroundings
        self._dialer = dialer
        self._scanner = scanner or LockScanner(ground=surroundings.ground)
        self._jetbrains = jetbrains
        self._clock = clock
        self._hidden: dict[tuple[LockFile, PathMapper | None], _Folders] = {}

    async def look(
        self,
        directories: Iterable[LockDirectory],
        *,
        terminal_pid: int | None = None,
        linked: Collection[str] = (),
    ) -> Sighting:
        """Describe every IDE that announces itself; what our links know of it is for `Links` to add.

        Waits, up to 0.3 s, only while a lock file is being written, and up to 0.8 s where IDEs of another side do
        not answer. Never raises for what it finds.

        Args:
            directories: where lock files may be besides the Windows profile; see `locks.candidate_directories`.
            terminal_pid: the process that asks; it and its ancestors decide which IDE's terminal it is in.
            linked: ids of the IDEs that we are connected to.
        """
        machine = self._surroundings, self._scanner, self._dialer
        seen = await look_around(directories, *machine, linked, self._jetbrains)
        sighting = Sighting(
            candidates=tuple(map(self._candidate, seen.found)),
            refused=seen.scan.refused + seen.scan.problems,
            terrain=seen.terrain,
        )
        return from_terminal(sighting, terminal_pid)

    def _candidate(self, found: Found) -> Candidate:
        lock = found.admitted.lock
        there = self._folders(found) if found.listener in _LIVING else _Folders(lock.workspace_folders)
        return Candidate(
            lock=lock,
            folders=there.folders,
            repositories=there.repositories,
            modified=found.admitted.modified,
            pid=found.pid,
            listener=found.listener,
            occupied=found.port.occupied,
            weak=found.admitted.weak,
            route=found.route,
            silence=found.silence,
            foreign=there.foreign,
        )

    def _folders(self, found: Found) -> _Folders:
        """Resolve the folders; those of a hidden IDE, on a slow file system perhaps, not at every look."""
        key = (found.admitted.lock, found.route.mapper)
        there = self._hidden.pop(key, None) if found.listener is Listener.HIDDEN else None
        now = self._clock()
        if there is None or now >= there.until:
            named, foreign = _named(*key)
            folders = tuple(map(_real, named))
            there = _Folders(folders, self._repositories(folders), foreign, now + HIDDEN_S)
        if found.listener is Listener.HIDDEN:
            self._hidden[key] = there
            if len(self._hidden) > HIDDEN_MOST:
                del self._hidden[next(iter(self._hidden))]
        return there

    def _repositories(self, folders: tuple[str, ...]) -> frozenset[str]:
        projects = (project_of(folder, self._home) for folder in folders if os.path.isabs(folder))
        return frozenset(p.repository for p in projects if p.repository is not None)


def from_terminal(sighting: Sighting, pid: int | None) -> Sighting:
    """Add whose terminal a process is in: that of the IDE which it descends from."""
    line = frozenset(ancestors(pid)) if pid is not None else frozenset()
    if not line:
        return sighting
    candidates = tuple(
        replace(seen, ancestor=True) if seen.pid is Pid.ALIVE and seen.lock.pid in line else seen
        for seen in sighting.candidates
    )
    return replace(sighting, candidates=candidates)


def _named(lock: LockFile, mapper: PathMapper | None) -> tuple[tuple[str, ...], str | None]:
    """Translate the folders to our side; if all are in another distribution, say so: they are not ours to show."""
    if mapper is None:
        return lock.workspace_folders, None
    outcomes = [mapper.try_ide_folder(name, lock.running_in_windows) for name in lock.workspace_folders]
    foreign = bool(outcomes) and all(o.error is not None and o.error.code is Code.FOREIGN_DISTRO for o in outcomes)
    here = mapper.facts.distro or "this one"
    reason = (
        f"its workspace {lock.workspace_folders[0]} is in another WSL distribution than {here}" if foreign else None
    )
    return tuple(outcome.path for outcome in outcomes), reason


def _real(folder: str) -> str:
    """Resolve symlinks; a folder that does not exist, or has no name on our side, stays as it is."""
    try:
        return os.path.realpath(folder, strict=True) if os.path.isabs(folder) else folder
    except (OSError, ValueError):
        return folder
