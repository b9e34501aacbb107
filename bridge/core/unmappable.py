r"""Paths of ours by which an IDE on Windows would find nothing, or something else (design.md D9).

Windows has a lawful name for every file of Linux, but not every program there opens what the name says: Win32 cuts
off closing dots and spaces and takes device names for devices, and a private-use character may stand for one that
Windows forbids. An IDE that was told such a name would show, and save, another file than the one that was meant.
Facts: docs/protocol.md M10, M17.
"""

from __future__ import annotations

from typing import Any, Final

from bridge.core.reach import NO_DISTRO
from bridge.core.text import visible
from bridge.errors import BadData
from pathconv import Code, PathConvError, PathMapper, WinPath, hazards, parse_windows

__all__ = ["AMBIGUOUS", "Unmappable", "refuse_misread"]

AMBIGUOUS: Final = "ambiguous-name"  # another file of ours has the same name in Windows

_SHOWN: Final = 200  # characters of a path in a message


class Unmappable(BadData):
    """A request names a path that the IDE's side has no name for, or one that means another file there.

    `path` is the asker's; `reason` the code of `pathconv`, the word of `pathconv.hazards`, or `AMBIGUOUS`.
    """

    def __init__(self, message: str, hint: str, *, path: str, reason: str) -> None:
        super().__init__(message, hint)
        self.path = path
        self.reason = reason

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-RPC error object, with path and reason for programs."""
        told = super().to_json()
        told["data"] |= {"path": visible(self.path), "reason": self.reason}
        return told

    @classmethod
    def nameless(cls, error: PathConvError) -> Unmappable:
        """Build the error about a path without a name."""
        message = f"the IDE has no name for this path ({error.code}): {error}"
        return cls(message, _HINTS.get(error.code, _HINT), path=error.path, reason=error.code)

    @classmethod
    def misread(cls, path: str, reason: str, instead: str) -> Unmappable:
        """Build the error about a path by whose name the IDE would open something else: `instead`, in words."""
        message = f"the IDE would open {instead} instead of this path ({reason}): {_shown(path)}"
        return cls(message, _RENAME, path=path, reason=reason)


_HINT: Final = "bridge path -w --explain PATH says which rule; an IDE on this side of the boundary knows every path"
_RENAME: Final = "rename the file, or decide on the page, or use an IDE in WSL, which takes every name"
_HINTS: Final[dict[Code, str]] = {
    Code.RELATIVE: "give the absolute path",
    Code.NO_DISTRO: NO_DISTRO,
    Code.NOT_UTF8: "rename the file: Windows has no names that are not text",
}


def _shown(path: str) -> str:
    return f"'{visible(path if len(path) <= _SHOWN else path[: _SHOWN - 1] + '…')}'"


def refuse_misread(mapper: PathMapper, local: str, asked: str) -> None:
    """Raise `Unmappable` if an ordinary program on Windows would open another file by the name of `local`.

    Args:
        local: the path, of Linux.
        asked: the same in the asker's spelling, for the error.

    A path that is merely too long is none of these: the program fails, or can do it. Neither is one with two names
    here of which Windows' leads back to the other, if both are of one file. Raises `PathConvError` for a path without
    a name.
    """
    name = mapper.to_peer(local)
    path = parse_windows(name)
    for hazard in hazards(path):
        if hazard in _INSTEAD:
            raise Unmappable.misread(asked, hazard, _INSTEAD[hazard](path))
    if not mapper.same(local, name):
        raise Unmappable.misread(asked, AMBIGUOUS, _shown(mapper.try_to_local(name).path))


def _device(path: WinPath) -> str:
    names = path.tail.split("\\")
    reserved = next(name for name in names if "reserved-name" in hazards(WinPath("C:", "\\" + name)))
    return "the device " + reserved.partition(".")[0].rstrip().upper()


def _cut_off(path: WinPath) -> str:
    return _shown(path.root + "\\".join(name.rstrip(" .") for name in path.tail.split("\\")))


_INSTEAD: Final = {"reserved-name": _device, "trailing-dot-or-space": _cut_off}
