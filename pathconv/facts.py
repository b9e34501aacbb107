"""What is known of a machine, as plain frozen values, and how to tell what kind of machine it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = ["WSL", "Env", "EnvFacts", "Facts", "Mount", "detect"]


class Env(StrEnum):
    """The kind of machine that we run on."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"
    WSL1 = "wsl1"
    WSL2 = "wsl2"
    CONTAINER = "container"  # on WSL's kernel too: it has neither the mounts nor the interop


WSL = frozenset({Env.WSL1, Env.WSL2})
"""The kinds of machine that have Windows as their other side."""


@dataclass(frozen=True, slots=True)
class EnvFacts:
    """What `detect` looks at."""

    platform: str  # `sys.platform`
    osrelease: str  # /proc/sys/kernel/osrelease
    environ: Mapping[str, str]
    files: frozenset[str]  # those of `MARKERS` that exist


CONTAINER_MARKERS = ("/.dockerenv", "/run/.containerenv")
WSL_MARKERS = (
    "/run/WSL",
    "/proc/sys/fs/binfmt_misc/WSLInterop",
    "/proc/sys/fs/binfmt_misc/WSLInterop-late",
)
MARKERS = (*CONTAINER_MARKERS, *WSL_MARKERS)
_VARIABLES = ("WSL_DISTRO_NAME", "WSL_INTEROP")
_PLATFORMS = {"win32": Env.WINDOWS, "cygwin": Env.WINDOWS, "msys": Env.WINDOWS, "darwin": Env.MACOS}


def detect(facts: EnvFacts) -> Env:
    """Tell what kind of machine this is; WSL's variables come last, since sudo and systemd drop them.

    >>> detect(EnvFacts("linux", "5.15.153.1-microsoft-standard-WSL2", {}, frozenset()))
    <Env.WSL2: 'wsl2'>
    """
    if not facts.platform.startswith("linux"):
        return _PLATFORMS.get(facts.platform, Env.LINUX)
    if not facts.files.isdisjoint(CONTAINER_MARKERS):
        return Env.CONTAINER
    if "Microsoft" in facts.osrelease:
        return Env.WSL1
    custom_kernel = not facts.files.isdisjoint(WSL_MARKERS) or any(map(facts.environ.get, _VARIABLES))
    return Env.WSL2 if "microsoft" in facts.osrelease or custom_kernel else Env.LINUX


@dataclass(frozen=True, slots=True)
class Mount:
    r"""One line of the mount table: what is seen at `linux`.

    `windows` is the directory of Windows that is seen there, ``C:\`` or ``\\nas\media``; None for any other file
    system, which matters too, since it hides what lies below it.
    """

    linux: str
    windows: str | None
    case_sensitive: bool = False  # ``case=dir`` or ``case=force``
    fstype: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a `PathMapper` needs to know. `mounts` are in the order of the table: a later one hides earlier ones."""

    env: Env
    local: Literal["linux", "windows"]  # the side that we run on
    distro: str | None
    mounts: tuple[Mount, ...]
