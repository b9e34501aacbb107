"""What an IDE calls files: its own style of paths and URIs, and the real files behind them.

An IDE on Windows is played on Linux: its drives and shares are directories here, and everything that it says and
hears is in Windows' terms, spelled as VS Code spells it: ``c:\\…`` in results, ``file:///c%3A/…`` in URIs. A path of
the other side is no file to it. Sources: docs/protocol.md, "Paths between Windows and WSL".

This is written without `pathconv`, and knows only what an IDE must know: it is the independent check of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final, Literal, Protocol
from urllib.parse import quote, unquote, urlsplit

__all__ = ["HERE", "FolderStyle", "Here", "Names", "Windows"]

FolderStyle = Literal["windows", "mnt"]

# Characters that no Windows name can hold; a Linux file that has one shows itself with U+F000 added to it.
FORBIDDEN: Final = frozenset('"*:<>?\\|') | {chr(code) for code in range(32)}
SHOWN: Final = {ord(char): 0xF000 + ord(char) for char in FORBIDDEN}
MEANT: Final = {shown: char for char, shown in SHOWN.items()}


class Names(Protocol):
    """How one IDE names files. `workspace` is the folder from which relative paths count."""

    @property
    def in_windows(self) -> bool:
        """Whether the lock file says ``runningInWindows``."""

    def path(self, real: Path) -> str:
        """Name a file as the IDE's tools do; raises `ValueError` for one that the IDE cannot see."""

    def uri(self, real: Path) -> str:
        """Name it as a URI; raises `ValueError` likewise."""

    def folder(self, real: Path) -> str:
        """Name a folder as the lock file does; raises `ValueError` likewise."""

    def real(self, workspace: Path, name: str) -> Path:
        """Find the file that a path means; raises `ValueError` for what is none in this IDE's style."""

    def real_of_uri(self, uri: str) -> Path:
        """Find the file that a URI means; raises `ValueError` likewise."""


@dataclass(frozen=True, slots=True)
class Here:
    """An IDE on this machine: its names are the real ones."""

    in_windows: bool = False

    def path(self, real: Path) -> str:
        """Give the path as it is."""
        return str(real)

    def uri(self, real: Path) -> str:
        """Give the ``file`` URI of an absolute path."""
        return real.as_uri()

    def folder(self, real: Path) -> str:
        """Give the path as it is."""
        return str(real)

    def real(self, workspace: Path, name: str) -> Path:
        """Let a relative path count from the workspace."""
        return workspace / name

    def real_of_uri(self, uri: str) -> Path:
        """Take the path out of a ``file`` URI."""
        return Path(_path_of(uri)[1])


HERE: Final = Here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """An IDE on Windows, whose drives (``C:``) and shares (``\\\\host\\share``) are directories here.

    Args:
        roots: the directory behind each drive and share.
        folder_style: how the lock file writes folders on drives; ``mnt`` is ``/mnt/c/…``, as JetBrains' plugin does.

    Raises `ValueError` for a root that is neither a drive nor a share; the caller's fault.
    """

    roots: Mapping[str, Path]
    folder_style: FolderStyle = "windows"
    in_windows: bool = True

    def __post_init__(self) -> None:
        for root in self.roots:
            if not root or PureWindowsPath(root).drive != root.replace("/", "\\"):
                raise ValueError(f"neither a drive (C:) nor a share (//host/share): {root}")

    def path(self, real: Path) -> str:
        """Name a file with a small drive letter, as VS Code's file names have it."""
        root, parts = self._place(real)
        return "\\".join((root.lower() if _is_drive(root) else root, *(parts or [""])))

    def uri(self, real: Path) -> str:
        """Name it as VS Code writes URIs: the colon encoded, a share's host as the authority."""
        root, parts = self._place(real)
        start = f"file:///{root[0].lower()}%3A" if _is_drive(root) else "file:" + root.replace("\\", "/")
        return "/".join((start, *(quote(part, safe="-._~") for part in parts or [""])))

    def folder(self, real: Path) -> str:
        """Name a folder as the lock file does, with a capital drive letter or in the other style."""
        root, parts = self._place(real)
        if self.folder_style == "mnt" and _is_drive(root):
            return "/".join(("/mnt", root[0].lower(), *parts))
        return "\\".join((root.upper() if _is_drive(root) else root, *(parts or [""])))

    def real(self, workspace: Path, name: str) -> Path:
        """Find a file by its Windows path; ``/mnt/c/a`` means nothing here."""
        path = PureWindowsPath(name)
        if path.root and not path.drive:
            raise ValueError(f"not a Windows path: {name}")
        if not path.drive:
            return _find(workspace, path.parts)
        for root, directory in self.roots.items():
            if path.root and PureWindowsPath(root + "\\").drive.lower() == _modern(path.drive).lower():
                return _find(directory, path.parts[1:])
        raise ValueError(f"no such drive or share: {name}")

    def real_of_uri(self, uri: str) -> Path:
        """Find a file by its URI; ``file:///mnt/c/a`` means nothing here."""
        host, path = _path_of(uri)
        drive = path.removeprefix("/") if path[2:3] == ":" else path
        return self.real(Path(), f"//{host}{path}" if host else drive)

    def _place(self, real: Path) -> tuple[str, list[str]]:
        """Find the root that holds a file, the deepest if several do, and the names below it."""
        homes = [(root, directory) for root, directory in self.roots.items() if real.is_relative_to(directory)]
        if not homes:
            raise ValueError(f"not on any drive of this Windows: {real}")
        root, directory = max(homes, key=lambda home: len(home[1].parts))
        parts = [part.translate(SHOWN) for part in real.relative_to(directory).parts]
        return root.replace("/", "\\"), parts


def _is_drive(root: str) -> bool:
    return root.endswith(":")


def _modern(drive: str) -> str:
    """Give the share of a WSL distribution its new name."""
    start = "\\\\wsl$\\"
    return "\\\\wsl.localhost\\" + drive[len(start) :] if drive.lower().startswith(start) else drive


def _path_of(uri: str) -> tuple[str, str]:
    """Take a ``file`` URI apart: host and path."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise ValueError(f"not a file: {uri}")
    return unquote(parts.netloc), unquote(parts.path)


def _find(directory: Path, names: tuple[str, ...]) -> Path:
    """Walk down as Windows does, whose names differ in more than case; what is not there keeps its spelling."""
    for name in names:
        if not FORBIDDEN.isdisjoint(name):
            raise ValueError(f"no file can have this name: {name}")
        meant = name.translate(MEANT)
        directory /= meant if (directory / meant).exists() else _same_but_for_case(directory, meant)
    return directory


def _same_but_for_case(directory: Path, name: str) -> str:
    try:
        listed = os.listdir(directory)
    except OSError:
        return name
    return next((there for there in sorted(listed) if there.upper() == name.upper()), name)
