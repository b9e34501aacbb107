"""The IDEs that exist right now: lock files, processes, sockets and projects put together for `select`.

Nothing here contacts an IDE. A thousand stale locks cost a stat and an `os.kill` each; paths are resolved only
for locks on whose port somebody listens.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.core.lockfile import LockFile
from bridge.core.selection import Candidate, Listener, Pid
from bridge.ides.admission import AdmittedLock, Refused
from bridge.ides.locks import LockScanner, candidate_directories
from bridge.ides.ports import PortFacts, snapshot
from bridge.ides.processes import ancestors, pid_state
from bridge.ides.projects import project_of

__all__ = ["LinkFacts", "Sighting", "Survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """What our link to an IDE, or its dialect, knows and the system cannot."""

    shareable: bool = False
    last_focus: float | None = None
    trouble: str | None = None


_NO_LINK: Final = LinkFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Every IDE that announces itself, and everything that was not believed."""

    candidates: tuple[Candidate, ...] = ()
    refused: tuple[Refused, ...] = ()  # files and whole directories, with the reason


class Survey:
    """Looks around at each request; remembers files that have not changed, and nothing else."""

    def __init__(self, scanner: LockScanner | None = None) -> None:
        self._scanner = scanner or LockScanner()

    async def look(
        self,
        environ: Mapping[str, str],
        home: Path,
        *,
        terminal_pid: int | None = None,
        our_ports: Collection[int] = (),
        link_facts: Mapping[str, LinkFacts] | None = None,
    ) -> Sighting:
        """Describe every IDE that announces itself to this user.

        Waits, up to 0.3 s, only while a lock file is being written. Never raises for what it finds.

        Args:
            environ: the asking client's environment.
            home: the user's home directory.
            terminal_pid: the process that asks; it and its ancestors decide which IDE's terminal it is in.
            our_ports: local ports of our own links, whose connections do not make an IDE occupied.
            link_facts: per `LockFile.ide_id`.
        """
        scan = await self._scanner.settle(candidate_directories(environ, home))
        ports = snapshot([found.lock.port for found in scan.admitted])
        line = frozenset(ancestors(terminal_pid)) if terminal_pid is not None else frozenset()
        candidates = []
        for found in scan.admitted:
            link = (link_facts or {}).get(found.lock.ide_id, _NO_LINK)
            candidates.append(_candidate(found, ports[found.lock.port], line, our_ports, link))
        return Sighting(candidates=tuple(candidates), refused=scan.refused + scan.problems)


def _candidate(
    found: AdmittedLock, port: PortFacts, line: Collection[int], our_ports: Collection[int], link: LinkFacts
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
        repositories=_repositories(folders) if living else frozenset(),
        modified=found.modified,
        pid=pid,
        listener=listener,
        occupied=port.occupied(our_ports),
        shareable=link.shareable,
        ancestor=pid is Pid.ALIVE and lock.pid in line,
        last_focus=link.last_focus,
        trouble=link.trouble,
        weak=found.weak,
    )


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


def _repositories(folders: tuple[str, ...]) -> frozenset[str]:
    projects = (project_of(folder) for folder in folders if os.path.isabs(folder))
    return frozenset(p.repository for p in projects if p.repository is not None)
