r"""The spellings of MSYS (Git Bash) and Cygwin: ``/c/x`` is drive C there, and any directory elsewhere.

So nobody may guess: these are for callers who know that a path comes from there.
"""

from __future__ import annotations

import re

from pathconv.errors import Code, PathConvError
from pathconv.names import to_posix_names, to_windows_names
from pathconv.parse import checked, parse_windows
from pathconv.values import WinPath

__all__ = ["from_msys", "to_msys"]

_DRIVE = re.compile(r"(?:/cygdrive)?/([A-Za-z])(?=/|$)")
_MIXED = re.compile(r"[A-Za-z]:[\\/]")


def from_msys(path: str, root: str | None = None) -> WinPath:
    r"""Read an MSYS or Cygwin path; `root` is the Windows directory that is ``/`` there.

    >>> str(from_msys("/c/Users")), str(from_msys("//nas/share")), str(from_msys("/usr", r"C:\Program Files\Git"))
    ('C:\\Users', '\\\\nas\\share', 'C:\\Program Files\\Git\\usr')

    Raises `PathConvError` as `parse_windows`, and ``unmapped`` for what lies below ``/`` if that is not known.
    """
    if _MIXED.match(checked(path)):
        return parse_windows(path)
    if not path.startswith("/"):
        raise PathConvError(Code.RELATIVE, path)
    if path.startswith("//") and not path.startswith("///"):
        spelled = "//" + to_windows_names(path[2:])
    elif drive := _DRIVE.match(path):
        spelled = f"{drive[1]}:" + (to_windows_names(path[drive.end() :]) or "/")
    elif root is not None:
        spelled = str(parse_windows(root)).rstrip("\\") + to_windows_names(path)
    else:
        raise PathConvError(Code.UNMAPPED, path, "the Windows directory of / is not known")
    try:
        return parse_windows(spelled)
    except PathConvError as error:
        raise error.about(path) from None


def to_msys(path: WinPath) -> str:
    r"""Write a Windows path for MSYS.

    >>> to_msys(WinPath("C:", "\\Users")), to_msys(WinPath(r"\\nas\share", ""))
    ('/c/Users', '//nas/share')
    """
    return ("/" + path.root[0].lower() if not path.host else path.root.replace("\\", "/")) + to_posix_names(path.tail)
