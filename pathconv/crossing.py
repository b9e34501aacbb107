"""From one side to the other: the two look-ups in the mount table that everything rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pathconv.errors import Code, PathConvError
from pathconv.names import to_posix_names, to_windows_names
from pathconv.table import Table
from pathconv.values import WSL_HOSTS, WinPath

__all__ = ["Crossing", "shown"]


@dataclass(frozen=True)
class Crossing:
    """The mounts of one distribution and its name, if that is known. `text` is the caller's path, for errors."""

    table: Table
    distro: str | None

    def linux(self, path: WinPath, text: str, names: Callable[[str], str] = to_posix_names) -> str:
        """Give the Linux path of a Windows one; `names` turns the names below a mount point into Linux'.

        Raises `PathConvError`: ``unmapped``, ``shadowed``, ``foreign-distro``, ``no-distro``.
        """
        own = self._in_own_distro(path)
        if own is not None:
            return own
        full, found = str(path), Code.UNMAPPED
        for view in self.table.covering(full):
            posix = view.base + names(full[len(view.prefix) - 1 :]) or "/"
            if self.table.at(posix) == view:
                return posix
            found = Code.SHADOWED
        raise self._no_name(found, path, text)

    def windows(self, posix: str, text: str) -> str:
        """Give the Windows path of a normalised Linux one; raises `PathConvError`: ``no-distro``."""
        view = self.table.at(posix)
        if view is not None and view.root is not None:
            return shown(view.root + to_windows_names(posix[len(view.base) :]))
        if self.distro is None:
            raise PathConvError(Code.NO_DISTRO, text)
        return rf"\\wsl.localhost\{self.distro}" + to_windows_names(posix)

    def _in_own_distro(self, path: WinPath) -> str | None:
        """Give the Linux path that a share of our distribution names, or None for any other."""
        if path.host.lower() in WSL_HOSTS and self.distro and path.share.lower() == self.distro.lower():
            return to_posix_names(path.tail) or "/"
        return None

    def _no_name(self, code: Code, path: WinPath, text: str) -> PathConvError:
        if code is Code.SHADOWED:
            return PathConvError(code, text)
        if path.host.lower() not in WSL_HOSTS or not path.share:
            return PathConvError(code, text, f"{path.root} is not mounted here")
        if self.distro is None:
            return PathConvError(Code.NO_DISTRO, text)
        why = f"belongs to the distribution {path.share}, not to {self.distro}"
        return PathConvError(Code.FOREIGN_DISTRO, text, why)

    def own_windows(self, path: WinPath) -> str:
        r"""Prefer a Windows file's own name, ``C:\x``, to the one by way of the distribution's share."""
        posix = self._in_own_distro(path)
        return str(path) if posix is None else self.windows(posix, posix)


def shown(windows: str) -> str:
    """Give a drive its backslash: ``C:`` alone means another directory to Windows."""
    return windows + "\\" if len(windows) == len("C:") else windows
