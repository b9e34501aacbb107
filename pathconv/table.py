"""The mount table, made for looking up in both directions, and for comparing names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from pathconv.errors import PathConvError
from pathconv.facts import Mount
from pathconv.names import fold, to_posix_names, to_windows_names
from pathconv.parse import parse_posix, parse_windows
from pathconv.values import WSL_HOSTS, WinPath

__all__ = ["Table", "View", "parent", "within"]


class View(NamedTuple):
    """A mount point; and the directory of Windows that is seen there, if it is one."""

    base: str  # the mount point without a closing slash: "" for "/"
    root: str | None  # "C:", "C:\\src", "\\\\nas\\media": the Windows path without a closing backslash
    prefix: str = ""  # `root` folded, with a closing backslash
    case_sensitive: bool = False


@dataclass(frozen=True)
class Table:
    """`mounts` in the order of the kernel's table. Mounts that make no sense are no mounts; nothing here raises."""

    mounts: tuple[Mount, ...]

    @cached_property
    def _stack(self) -> tuple[tuple[str, View], ...]:
        """Mount points with a closing slash, the topmost first; only those of Windows, above them and below.

        A machine has dozens of others, and they change nothing: a path on any of them is a file of the distribution.
        """
        kept: list[tuple[str, View]] = []
        for view in filter(None, map(_view, self.mounts)):
            point = view.base + "/"
            if view.root is not None or any(point.startswith(p) or p.startswith(point) for p, _ in kept):
                kept.append((point, view))
        return tuple(reversed(kept))

    @cached_property
    def views(self) -> tuple[View, ...]:
        """What can be seen, in the order of the table, as far as it matters."""
        return tuple(view for _, view in reversed(self._stack) if self.at(view.base or "/") == view)

    @cached_property
    def _windows(self) -> tuple[View, ...]:
        """The directories of Windows that can be seen, the deepest first; of two names for one the later first."""
        shown = (view for view in reversed(self.views) if view.root is not None)
        return tuple(sorted(shown, key=lambda view: -len(view.prefix)))

    def at(self, posix: str) -> View | None:
        """Give the mount that a normalised Linux path lies on: the last one that covers it; None: not Windows'."""
        closed = posix if posix.endswith("/") else posix + "/"
        for point, view in self._stack:
            if closed.startswith(point):
                return view
        return None

    def covering(self, windows: str) -> list[View]:
        """Give the mounts that show a normalised Windows path, unless something lies over it; the deepest first."""
        closed = fold(windows if windows.endswith("\\") else windows + "\\")
        return [view for view in self._windows if closed.startswith(view.prefix)]

    # Keys: what `PathMapper.key` promises

    def posix_key(self, posix: str) -> str:
        """Give the key of a normalised Linux path. Of several names for a directory of Windows the widest counts."""
        posix = posix.rstrip("/")
        view = self.at(posix)
        if view is None or view.root is None:
            return (self._mark(view) + posix[len(view.base) :] if view else posix) or "/"
        windows = view.root + to_windows_names(posix[len(view.base) :])
        widest = _widest(self.covering(windows))
        names = to_posix_names(windows[len(widest.prefix) - 1 :])
        return self._mark(widest) + (names if widest.case_sensitive else fold(names)) or "/"

    def windows_key(self, path: WinPath) -> str:
        """Give the key of a Windows path; letter case counts as in `posix_key`, and below a distribution's share."""
        if path.host.lower() in WSL_HOSTS:
            key = fold(rf"\\wsl.localhost\{path.share}") + path.tail
        else:
            full = str(path)
            covering = self.covering(full)
            widest = _widest(covering) if covering else None
            folded = len(widest.prefix) if widest and widest.case_sensitive else len(full)
            key = fold(full[:folded]) + full[folded:]
        return key.rstrip("\\").replace("\\", "/")

    def _mark(self, view: View) -> str:
        """Give the key of a mount point; a doubled slash tells it from a folded name that looks the same.

        That of a directory of Windows begins as it is written, since two of them may lie in each other.
        """
        up, _, name = view.base.rpartition("/")
        above = self.at(up) if view.base else None
        if above is None:
            return view.base
        key = self.posix_key(up).rstrip("/") if view.root is None else up
        return key + ("/" if above.root is None else "//") + name


def within(path: str, root: str) -> bool:
    """Tell whether `path` is `root` or below it, by whole components."""
    return path == root or path.startswith(root if root.endswith("/") else root + "/")


def parent(posix: str) -> str:
    """Give the directory that a Linux path without a closing slash lies in."""
    return posix.rpartition("/")[0] or "/"


def _widest(views: list[View]) -> View:
    return min(views, key=lambda view: len(view.prefix))


def _view(mount: Mount) -> View | None:
    try:
        base = parse_posix(mount.linux).path.rstrip("/")
        if mount.windows is None:
            return View(base, None)
        drive = len(mount.windows) == len("C:")
        windows = parse_windows(mount.windows + "\\" if drive else mount.windows)
    except PathConvError:
        return None
    if windows.host.lower() in WSL_HOSTS:  # a distribution's files, by a detour: no name of its own in Windows
        return View(base, None)
    root = str(windows).rstrip("\\")
    return View(base, root, fold(root) + "\\", mount.case_sensitive)
