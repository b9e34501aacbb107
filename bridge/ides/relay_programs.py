"""Which programs of Windows may carry a relay: what is installed there anyway, and nothing that came with a project."""

from __future__ import annotations

import ntpath
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from bridge.ides.relay_scripts import PROGRAMS
from pathconv import PathMapper

__all__ = ["Program", "find_programs"]

# Where Windows has them always, or usually; PATH may lack both (appendWindowsPath=false in wsl.conf).
_WELL_KNOWN: Final = {
    "powershell.exe": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
    "node.exe": "C:\\Program Files\\nodejs",
}
_STUBS: Final = "windowsapps"  # the python.exe in there opens the Store


@dataclass(frozen=True, slots=True)
class Program:
    """A program of Windows that can run a script."""

    path: str  # absolute, of this side, without links
    arguments: Callable[[int], list[str]] = field(repr=False)  # for a port

    @property
    def name(self) -> str:
        """Its name, for people."""
        return os.path.basename(self.path)


def find_programs(search: str, mapper: PathMapper | None) -> list[Program]:
    """Find what may carry a relay, one program of each kind, those first that start first.

    Only a file on a drive of Windows counts, in an absolute directory on such a drive: a working directory, or
    a ``python.exe`` that a repository brought along, never does. Looks at the disks of Windows, which are slow.

    Args:
        search: ``PATH``, in which WSL appends that of Windows.
        mapper: None where there is no Windows, thus no program.
    """
    if mapper is None:
        return []
    places = [place for place in search.split(os.pathsep) if os.path.isabs(place) and _is_on_drive(mapper, place)]
    found = []
    for name, arguments in PROGRAMS.items():
        for place in [*_well_known(mapper, name), *places]:
            path = os.path.realpath(os.path.join(place, name))
            if not _is_stub(place) and _may_be_started(mapper, path):
                found.append(Program(path, arguments))
                break
    return found


def _well_known(mapper: PathMapper, name: str) -> Iterator[str]:
    outcome = mapper.try_to_linux(_WELL_KNOWN.get(name, ""))
    if outcome.error is None:
        yield outcome.path


def _may_be_started(mapper: PathMapper, path: str) -> bool:
    here = os.path.isfile(path) and os.access(path, os.X_OK)
    return here and _is_on_drive(mapper, path) and not _is_stub(path)


def _is_on_drive(mapper: PathMapper, path: str) -> bool:
    """Whether a path lies on a drive of Windows; a share, which others may write to, is none."""
    outcome = mapper.try_to_windows(path)
    drive, _ = ntpath.splitdrive(outcome.path)
    return outcome.error is None and len(drive) == len("C:")


def _is_stub(path: str) -> bool:
    return _STUBS in path.casefold().split("/")
