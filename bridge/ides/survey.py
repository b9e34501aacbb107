"""The IDEs that exist right now: lock files, processes, sockets and projects put together for `select`.

Nothing here speaks to an IDE. A thousand stale locks cost a stat and an `os.kill` each; paths are resolved only
for locks on whose port somebody listens. An IDE on the other side of the Windows boundary shows no process and no
socket here, so whether its port takes a connection is tried, for all of them at once (`Dialer.reach`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from bridge.core.reach import HERE, LOOPBACK, Route, Silence, Terrain
from bridge.core.selection import Candidate, Listener, Pid
from bridge.ides.admission import AdmittedLock, Refused
from bridge.ides.dialing import Dialer, Reach
from bridge.ides.locks import LockScanner
from bridge.ides.ports import PortFacts, snapshot
from bridge.ides.processes import ancestors, pid_state
from bridge.ides.projects import project_of
from bridge.ides.surroundings import Surroundings
from pathconv import Code, Env
from pathconv.probe import Probe

__all__ = ["Found", "Sighting", "Survey", "find"]

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
    port: PortFacts  # on this machine
    listener: Listener
    silences: dict[str, Silence]  # for IDEs elsewhere: what became of each host


async def find(
    locks: Iterable[AdmittedLock],
    terrain: Terrain,
    surroundings: Surroundings,
    dialer: Dialer,
    linked: Collection[str] = (),
) -> list[Found]:
    """Look who listens for each lock: on this machine in its tables, elsewhere by a connection that says nothing.

    Args:
        terrain: what `surroundings` are now.
        linked: ids of the IDEs that we are connected to, which need no look.
    """
    locks = list(locks)
    ports = snapshot([found.lock.port for found in locks])
    taken = {found.lock.port for found in locks if _is_here(found, ports[found.lock.port])}
    routes = [_route(found, ports[found.lock.port], terrain, surroundings) for found in locks]
    routes = [
        _beside(route) if found.lock.running_in_windows and found.lock.port in taken else route
        for found, route in zip(locks, routes, strict=True)
    ]
    reaches = await asyncio.gather(
        *(_reach(found, route, dialer, linked) for found, route in zip(locks, routes, strict=True))
    )
    return [
        Found(found, route, ports[found.lock.port], *_listener(route, ports[found.lock.port], reach))
        for found, route, reach in zip(locks, routes, reaches, strict=True)
    ]


def _route(found: AdmittedLock, port: PortFacts, terrain: Terrain, surroundings: Surroundings) -> Route:
    """An IDE like us is on our loopback; where another side exists, one that is not here may be there."""
    if terrain.env is Env.WINDOWS and (mapper := surroundings.mapper_into(os.path.dirname(found.path))) is not None:
        return Route(here=False, mapper=mapper)  # Windows forwards its loopback to the distribution's
    if port.listener is not Listener.NONE and not found.lock.running_in_windows:
        return HERE
    return terrain.route(found.lock.running_in_windows)


def _is_here(found: AdmittedLock, port: PortFacts) -> bool:
    return port.listener is Listener.OURS and not found.lock.running_in_windows


def _beside(route: Route) -> Route:
    """Give the route to an IDE in Windows whose port an IDE of ours has here: who answers on our loopback is that."""
    return replace(route, ways=tuple(way for way in route.ways if way.host != LOOPBACK))


async def _reach(found: AdmittedLock, route: Route, dialer: Dialer, linked: Collection[str]) -> Reach | None:
    if route.here:
        return None
    if found.lock.ide_id in linked:
        return Reach(None, 0.0)
    return await dialer.reach(found.lock.port, route)


def _listener(route: Route, port: PortFacts, reach: Reach | None) -> tuple[Listener, dict[str, Silence]]:
    if reach is None:
        return port.listener, {}
    if reach.silences is None:
        return Listener.OURS, {}
    if Silence.UNTRUSTED in reach.silences.values():
        return Listener.FOREIGN, reach.silences
    return (Listener.HIDDEN if route.relay else Listener.UNREACHABLE), reach.silences


class Survey:
    """Looks around at each request; remembers files that have not changed, and nothing else.

    Args:
        home: the user's home directory, real and absolute; see `project_of`.
        surroundings: the machine; default: this one.
        dialer: the one that our links are made with.
    """

    def __init__(
        self,
        home: str,
        scanner: LockScanner | None = None,
        *,
        surroundings: Surroundings | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        self._home = home
        self._surroundings = surroundings or Surroundings(Probe())
        self._dialer = dialer or Dialer()
        self._scanner = scanner or LockScanner(ground=self._surroundings.ground)

    async def look(
        self,
        directories: Iterable[Path],
        *,
        terminal_pid: int | None = None,
        our_ports: Collection[int] = (),
        linked: Collection[str] = (),
    ) -> Sighting:
        """Describe every IDE that announces itself; what our links know of it is for `Links` to add.

        Waits, up to 0.3 s, only while a lock file is being written, and up to 0.8 s where IDEs of another side do
        not answer. Never raises for what it finds.

        Args:
            directories: where lock files may be besides the Windows profile; see `locks.candidate_directories`.
            terminal_pid: the process that asks; it and its ancestors decide which IDE's terminal it is in.
            our_ports: local ports of our own links, whose connections do not make an IDE occupied.
            linked: ids of the IDEs at their other ends.
        """
        terrain = await self._surroundings.terrain()
        everywhere = dict.fromkeys([*directories, *self._surroundings.directories()])
        scan = await self._scanner.settle(everywhere)
        line = frozenset(ancestors(terminal_pid)) if terminal_pid is not None else frozenset()
        return Sighting(
            candidates=tuple(
                self._candidate(found, terrain, line, our_ports)
                for found in await find(scan.admitted, terrain, self._surroundings, self._dialer, linked)
            ),
            refused=scan.refused + scan.problems,
            terrain=terrain,
        )

    def _candidate(
        self, found: Found, terrain: Terrain, line: Collection[int], our_ports: Collection[int]
    ) -> Candidate:
        lock, living = found.admitted.lock, found.listener in _LIVING
        pid = pid_of(found)
        named, foreign = _folders(found) if living else (lock.workspace_folders, None)
        folders = tuple(map(_real, named)) if living else named
        elsewhere = found.listener in (Listener.HIDDEN, Listener.UNREACHABLE)
        return Candidate(
            lock=lock,
            folders=folders,
            repositories=self._repositories(folders) if living else frozenset(),
            modified=found.admitted.modified,
            pid=pid,
            listener=found.listener,
            occupied=found.route.here and found.port.occupied(our_ports),
            ancestor=pid is Pid.ALIVE and lock.pid in line,
            weak=found.admitted.weak,
            route=found.route,
            silence=terrain.diagnose(lock.port, found.silences) if elsewhere else None,
            foreign=foreign,
        )

    def _repositories(self, folders: tuple[str, ...]) -> frozenset[str]:
        projects = (project_of(folder, self._home) for folder in folders if os.path.isabs(folder))
        return frozenset(p.repository for p in projects if p.repository is not None)


def pid_of(found: Found) -> Pid:
    """Say what became of the process that a lock names: nothing is known of one in Windows or outside a container.

    Its number may even be that of a process of ours.
    """
    lock = found.admitted.lock
    elsewhere = found.admitted.lock.running_in_windows or not found.route.here
    return Pid.UNKNOWN if elsewhere else pid_state(lock.pid, found.admitted.modified)


def _folders(found: Found) -> tuple[tuple[str, ...], str | None]:
    """Translate the folders to our side; if all are in another distribution, say so: they are not ours to show."""
    lock, route = found.admitted.lock, found.route
    if route.mapper is None:
        return lock.workspace_folders, None
    outcomes = [
        route.mapper.try_ide_folder(name, found.admitted.lock.running_in_windows) for name in lock.workspace_folders
    ]
    foreign = bool(outcomes) and all(o.error is not None and o.error.code is Code.FOREIGN_DISTRO for o in outcomes)
    here = route.mapper.facts.distro or "this one"
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
