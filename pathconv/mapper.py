r"""Names of one file on both sides of WSL. The mount table decides; nothing is guessed from looks or from ``/mnt``.

* Linux to Windows: the last mount that covers the path, as the kernel has it. One of Windows gives its own
  directory, any other file system ``\\wsl.localhost\<distro>``.
* Windows to Linux: the mount of the deepest directory that holds the path, of two mounts of it the later, unless
  something else is mounted over the result; then the next one.

``..`` never leaves a drive, a share or a distribution. Facts: docs/protocol.md "Paths between Windows and WSL".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pathconv.crossing import Crossing, shown
from pathconv.errors import PathConvError
from pathconv.facts import Facts
from pathconv.folders import ide_spelling, is_uri, is_windows
from pathconv.names import hazards, to_posix_names, to_windows_names
from pathconv.parse import parse_posix, parse_windows, utf8
from pathconv.table import Table, parent, within
from pathconv.uri import parse_uri, split_uri, to_uri
from pathconv.values import WSL_HOSTS, PosixPath, WinPath, WslPath

__all__ = ["Form", "Outcome", "PathMapper"]

Form = Literal["windows", "mixed"]  # with backslashes, or with slashes as ``wslpath -m``

_HAZARDS = {
    "long-path": "an ordinary Windows program cannot open it: it has 260 characters or more",
    "reserved-name": "an ordinary Windows program cannot open it: a name in it is that of a device",
    "trailing-dot-or-space": "an ordinary Windows program opens another file: it cuts off closing dots and spaces",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a path, without an exception: `path` is the input where `error` says why there is no other."""

    path: str
    changed: bool
    error: PathConvError | None


@dataclass(frozen=True)
class PathMapper:
    r"""Translates paths by the facts of one machine. Cheap to build, never does I/O; equal if its facts are.

    >>> from pathconv import Env, Facts, Mount
    >>> mapper = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", (Mount("/", None), Mount("/mnt/c", "C:\\"))))
    >>> mapper.to_linux(r"c:\src\a.py"), mapper.to_windows("/mnt/c/src/a.py"), mapper.to_windows("/home/me")
    ('/mnt/c/src/a.py', 'C:\\src\\a.py', '\\\\wsl.localhost\\Ubuntu\\home\\me')

    All methods but `same`, `contains`, `match`, `key` and ``try_*`` raise `PathConvError`.
    """

    facts: Facts

    # One direction, stated by the caller

    def to_linux(self, path: str, *, wslpath_compat: bool = False) -> str:
        r"""Give the Linux name of a Windows path.

        Escaped characters (U+F03A for ``:``) are read back, so that a Linux name survives both ways; `wslpath_compat`
        leaves those on Windows drives as they are, as ``wslpath -u`` does.

        Raises `PathConvError` as `parse_windows`, and ``unmapped``, ``shadowed``, ``foreign-distro``, ``no-distro``.
        """
        return self._cross.linux(parse_windows(path), path, _only_slashes if wslpath_compat else to_posix_names)

    def to_windows(self, path: str, form: Form = "windows") -> str:
        r"""Give the Windows name of a Linux path, with backslashes or (``mixed``) with slashes.

        Raises `PathConvError` as `parse_posix`, and ``not-utf8``, ``no-distro``.
        """
        windows = self._cross.windows(utf8(parse_posix(path).path), path)
        return windows.replace("\\", "/") if form == "mixed" else windows

    # Our side and the other

    def to_local(self, path: str) -> str:
        """Give the name on our side of a path of either side, normalised; its own result comes back unchanged."""
        if is_windows(path, self.facts.local):
            return self.to_linux(path) if self.facts.local == "linux" else self._cross.own_windows(parse_windows(path))
        return parse_posix(path).path if self.facts.local == "linux" else self.to_windows(path)

    def to_peer(self, path: str) -> str:
        """Give the name on the other side of a path of ours; a path that already is the other side's is an error."""
        return self.to_windows(path) if self.facts.local == "linux" else self.to_linux(path)

    def local_uri(self, uri: str) -> str:
        """Give the URI on our side of a ``file:`` URI of either side; its query and fragment stay."""
        return self._map_uri(uri, self.to_local)

    def peer_uri(self, uri: str) -> str:
        """Give the URI on the other side of a ``file:`` URI of ours, as VS Code spells it."""
        return self._map_uri(uri, self.to_peer)

    def ide_folder(self, path: str, running_in_windows: bool) -> str:
        """Give the local name of a workspace folder as an IDE's lock file has it, in whatever spelling.

        The one place where looks decide: IDEs on Windows write ``/mnt/c/…`` for drive C whatever the mounts are,
        lose a slash of ``//wsl.localhost/…`` or leave the slash of a URI before ``C:``. A URI is read as one.
        """
        spelled = ide_spelling(path, running_in_windows)
        try:
            return self.to_local(self._uri_path(spelled) if is_uri(spelled) else spelled)
        except PathConvError as error:
            raise error.about(path) from None

    # Without exceptions

    def try_to_linux(self, path: str) -> Outcome:
        """Do `to_linux`."""
        return _attempt(self.to_linux, path)

    def try_to_windows(self, path: str, form: Form = "windows") -> Outcome:
        """Do `to_windows`."""
        return _attempt(lambda text: self.to_windows(text, form), path)

    def try_to_local(self, path: str) -> Outcome:
        """Do `to_local`."""
        return _attempt(self.to_local, path)

    def try_to_peer(self, path: str) -> Outcome:
        """Do `to_peer`."""
        return _attempt(self.to_peer, path)

    def try_local_uri(self, uri: str) -> Outcome:
        """Do `local_uri`."""
        return _attempt(self.local_uri, uri)

    def try_peer_uri(self, uri: str) -> Outcome:
        """Do `peer_uri`."""
        return _attempt(self.peer_uri, uri)

    def try_ide_folder(self, path: str, running_in_windows: bool) -> Outcome:
        """Do `ide_folder`."""
        return _attempt(lambda text: self.ide_folder(text, running_in_windows), path)

    # Comparing

    def same(self, a: str, b: str) -> bool:
        """Tell whether two names, of either side, are of one file; False where one has no name on our side."""
        one, other = self._known_key(a), self._known_key(b)
        return one is not None and one == other

    def contains(self, root: str, path: str) -> bool:
        """Tell whether the directory `root` is `path` or holds it, by any of the names that mounts give them."""
        outer, inner = self._known_key(root), self._known_key(path)
        return outer is not None and inner is not None and self._holds(outer, inner)

    def is_windows_backed(self, path: str) -> bool:
        """Tell whether a local path lies on a file system of Windows; False where it has no name on our side."""
        try:
            local = self.to_local(path)
        except PathConvError:
            return False
        if self.facts.local == "windows":
            return parse_windows(local).host.lower() not in WSL_HOSTS
        view = self._table.at(local)
        return view is not None and view.root is not None

    def match(self, folders: Iterable[str], cwd: str) -> int | None:
        """Give the index of the deepest IDE folder that contains `cwd`, the first of equals; None if none does.

        Offer both spellings of a `cwd` with symbolic links in two calls; a folder without a name here is passed over.
        """
        inner = self._known_key(cwd)
        if inner is None:
            return None
        keys = ((key, index) for index, folder in enumerate(folders) for key in self._folder_keys(folder))
        fitting = [(-len(key), index) for key, index in keys if self._holds(key, inner)]
        return min(fitting)[1] if fitting else None

    def key(self, path: str) -> str:
        r"""Give what stands for a local path in comparisons, with slashes and without a closing one; never raises.

        Two keys are equal iff the paths are the `same`. One is the beginning of the other, by whole components, iff
        its directory contains the other; only of a directory of Windows that is mounted inside another one or twice
        does `contains` know more. What is on Windows is upper-cased below its mount point (``/mnt/c/SRC``), and a
        mount point in there follows a doubled slash; a path without a name on our side is its own key.
        """
        known = self._known_key(path)
        return path if known is None else known

    # Saying why

    def explain(self, path: str, direction: Literal["to_linux", "to_windows"]) -> list[str]:
        """Say in sentences, for people, why a path has the name on the other side that it has, or why it has none."""
        outcome = self.try_to_linux(path) if direction == "to_linux" else self.try_to_windows(path)
        if outcome.error is not None:
            seen = ", ".join(f"{shown(view.root)} at {view.base or '/'}" for view in self._table.views if view.root)
            return [str(outcome.error), f"mounted here: {seen or 'no directory of Windows'}"]
        posix, windows = (outcome.path, path) if direction == "to_linux" else (path, outcome.path)
        view = self._table.at(parse_posix(posix).path)
        if view is not None and view.root is not None:
            reasons = [f"{view.base or '/'} shows {shown(view.root)}"]
        else:
            reasons = [
                f"it is a file of the distribution {self.facts.distro}, which Windows sees below \\\\wsl.localhost"
            ]
        if not windows.isascii() and to_posix_names(windows) != windows.replace("\\", "/"):
            reasons.append("characters that Windows forbids are written as U+F000 plus their code")
        return reasons + [_HAZARDS[hazard] for hazard in hazards(parse_windows(windows))]

    # Internals

    @cached_property
    def _table(self) -> Table:
        return Table(self.facts.mounts)

    @cached_property
    def _cross(self) -> Crossing:
        return Crossing(self._table, self.facts.distro)

    @cached_property
    def _ways_up(self) -> tuple[tuple[str, str], ...]:
        """For each mount point its key and its parent's: ways out of a directory that its own key does not show."""
        points = [view.base for view in self._table.views if view.base]
        keys = ((self._known_key(point), self._known_key(parent(point))) for point in points)
        return tuple((point, above) for point, above in keys if point is not None and above is not None)

    def _uri_path(self, uri: str) -> str:
        path = parse_uri(uri)
        if isinstance(path, WslPath):
            return self._cross.linux(WinPath(rf"\\wsl$\{path.distro}", to_windows_names(path.path)), uri)
        return str(path)

    def _map_uri(self, uri: str, convert: Callable[[str], str]) -> str:
        try:
            mapped = convert(self._uri_path(uri))
        except PathConvError as error:
            raise error.about(uri) from None
        named = parse_windows(mapped) if is_windows(mapped, "linux") else PosixPath(mapped)
        return to_uri(named) + split_uri(uri)[1]

    def _known_key(self, path: str) -> str | None:
        try:
            local = self.to_local(path)
        except PathConvError:
            return None
        if self.facts.local == "linux":
            return self._table.posix_key(local)
        return self._table.windows_key(parse_windows(local))

    def _holds(self, outer: str, inner: str) -> bool:
        """Tell whether one key lies in the other, or is reached from it by way of mounts."""
        reached = [inner]
        for key in reached:  # grows while we look; each mount leads out once
            if within(key, outer):
                return True
            reached += [up for point, up in self._ways_up if up not in reached and within(key, point)]
        return False

    def _folder_keys(self, folder: str) -> set[str]:
        """Give the keys of an IDE's folder, read as a Windows IDE's and as another's."""
        names = {self.try_ide_folder(folder, in_windows) for in_windows in (True, False)}
        return {self.key(name.path) for name in names if name.error is None}


def _only_slashes(names: str) -> str:
    return names.replace("\\", "/")


def _attempt(convert: Callable[[str], str], path: str) -> Outcome:
    try:
        converted = convert(path)
    except PathConvError as error:
        return Outcome(path, False, error)
    return Outcome(converted, converted != path, None)
