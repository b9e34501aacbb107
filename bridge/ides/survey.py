"""The IDEs that exist right now: lock files, processes, sockets and projects put together for `select`.

Nothing here contacts an IDE. A thousand stale locks cost a stat and an `os.kill` each; paths are resolved only
for locks on whose port somebody listens.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.core.lockfile import LockFile
from bridge.core.selection import Candidate, Listener, Pid
from bridge.ides.admission import AdmittedLock, Refused
from bridge.ides.locks import LockScanner
from bridge.ides.ports import PortFacts, snapshot
from bridge.ides.processes import ancestors, pid_state
from bridge.ides.projects import project_of

__all__ = ["Sighting", "Survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Every IDE that announces itself, and everything that was not believed."""

    candidates: tuple[Candidate, ...] = ()
    refused: tuple[Refused, ...] = ()  # files and whole directories, with the reason


class Survey:
    """Looks around at each request; remembers files that have not changed, and nothing else.

    Args:
        home: the user's home directory, real and absolute; see `project_of`.
    """

    def __init__(self, home: str, scanner: LockScanner | None = None) -> None:
        self._home = home
        self._scanner = scanner or LockScanner()

    async def look(
        self,
        directories: Iterable[Path],
        *,
        terminal_pid: int | None = None,
        our_ports: Collection[int] = (),
    ) -> Sighting:
        """Describe every IDE that announces itself; what our links know of it is for `Links` to add.

        Waits, up to 0.3 s, only while a lock file is being written. Never raises for what it finds.

        Args:
            directories: where lock files may be; see `locks.candidate_directories`.
            terminal_pid: the process that asks; it and its ancestors decide which IDE's terminal it is in.
            our_ports: local ports of our own links, whose connections do not make an IDE occupied.
        """
        scan = await self._scanner.settle(directories)
        ports = snapshot([found.lock.port for found in scan.admitted])
        line = frozenset(ancestors(terminal_pid)) if terminal_pid is not None else frozenset()
        return Sighting(
            candidates=tuple(
                self._candidate(found, ports[found.lock.port], line, our_ports) for found in scan.admitted
            ),
            refused=scan.refused + scan.problems,
        )

    def _candidate(
        self, found: AdmittedLock, port: PortFacts, line: Collection[int], our_ports: Collection[int]
    ) -> Candidate:
        lock = found.lock
        # A Windows PID seen from WSL says nothing here, and may even be that of a process of ours.
        pid = Pid.UNKNOWN if lock.running_in_windows else pid_state(lock.pid, found.modified)
        listener = _listener(lock, port)
        living = listener is not Listener.NONE
        folders = tuple(map(_real, lock.workspace_folders)) if living else lock.workspace_folders
        return Candidate(
            lock=lock,
            folders=folders,
            repositories=self._repositories(folders) if living else frozenset(),
            modified=found.modified,
            pid=pid,
            listener=listener,
            occupied=port.occupied(our_ports),
            ancestor=pid is Pid.ALIVE and lock.pid in line,
            weak=found.weak,
        )

    def _repositories(self, folders: tuple[str, ...]) -> frozenset[str]:
        projects = (project_of(folder, self._home) for folder in folders if os.path.isabs(folder))
        return frozenset(p.repository for p in projects if p.repository is not None)


def _listener(lock: LockFile, port: PortFacts) -> Listener:
    """A listener on the Windows side is not in our tables, so its absence there proves nothing."""
    elsewhere = lock.running_in_windows and port.listener is Listener.NONE
    return Listener.UNKNOWN if elsewhere else port.listener


def _real(folder: str) -> str:
    """Resolve symlinks; a folder that does not exist, or is written as on Windows, stays as it is."""
    try:
        return os.path.realpath(folder, strict=True) if os.path.isabs(folder) else folder
    except (OSError, ValueError):
        return folder
