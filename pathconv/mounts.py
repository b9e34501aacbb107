"""``/proc/self/mountinfo``: which directories of Windows are seen where.

``/proc/mounts`` would not do: it does not say which part of a file system is mounted. Facts:
docs/protocol.md "Paths between Windows and WSL".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pathconv.errors import PathConvError
from pathconv.facts import Mount
from pathconv.parse import parse_windows

__all__ = ["parse_mountinfo"]

_OCTAL = re.compile(r"\\([0-7]{3})")
_DRVFS = re.compile(r"[,\s]aname=drvfs(?=[;,\s]|$)")
# ``path=`` is written raw, and a directory may be called "a,b;c": it ends where a known option follows.
_PATH = re.compile(
    r";path=(.*?)(?=;(?:uid|gid|umask|fmask|dmask|symlinkroot|metadata|case|cache|fallback)(?:[=;,]|$)"
    r"|,(?:mmap|access|cache|msize|trans|rfd|wfd|version|debug|posixacl|loose)(?:[=,]|$)|$)"
)
_CASE_SENSITIVE = re.compile(r"[;,]case=(?:dir|force)(?=[;,\s]|$)")
_AGGREGATE = re.compile(r"/([^/]+)(/.*)?", re.DOTALL)
_STAGING = "/run/wsl/virtiofs-mounts"  # where WSL mounts what it binds elsewhere


def parse_mountinfo(text: str, virtiofs_links: Mapping[str, str]) -> list[Mount]:
    r"""Read the mount table, all of it and in its order, since one mount hides another. Garbage lines are no mounts.

    Args:
        text: what the kernel says; file names that are not UTF-8 as surrogate escapes.
        virtiofs_links: the links in ``/run/wsl/virtiofs``: name (a GUID) to Windows path.

    >>> parse_mountinfo(r"12 2 0:12 /src /mnt/my\040d rw - drvfs D: rw,case=dir", {})
    [Mount(linux='/mnt/my d', windows='D:\\src', case_sensitive=True, fstype='drvfs')]
    """
    return [mount for line in text.split("\n") if (mount := _mount(line, virtiofs_links))]


def _mount(line: str, links: Mapping[str, str]) -> Mount | None:
    before, dash, after = line.partition(" - ")
    fields, kind = before.split(" "), after.split(" ", 1)
    if not dash or len(fields) < 6 or len(kind) < 2 or not fields[4].startswith("/"):
        return None
    root, point = _octal(fields[3]), _octal(fields[4])
    fstype, rest = kind  # the source and the options, whose border is not to be found if they hold blanks
    source = rest.split(" ", 1)[0]
    windows = None
    if fstype == "9p" and (drvfs := _DRVFS.search(rest)):
        path = _PATH.search(rest, drvfs.end())
        windows = path[1] if path else _octal(source)
    elif fstype == "drvfs":
        windows = _octal(source)
    elif fstype == "virtiofs" and not (point + "/").startswith(_STAGING + "/"):
        share, root = _share(source, root)
        windows = links.get(share)
    joined = None if windows is None else _joined(windows, root)
    return Mount(point, joined, joined is not None and bool(_CASE_SENSITIVE.search(line)), fstype)


def _share(source: str, root: str) -> tuple[str, str]:
    """Give the share that a virtiofs mount shows, and the directory in it; one device may carry all shares."""
    if source in ("drvfs", "drvfsa") and (aggregate := _AGGREGATE.fullmatch(root)):
        return aggregate[1], aggregate[2] or "/"
    return _octal(source), root


def _joined(windows: str, root: str) -> str | None:
    """Give the Windows directory that is mounted: of the file system's, the part that `root` says."""
    flat = windows.replace("/", "\\")
    if flat.startswith("UNC\\"):
        flat = "\\" + flat[3:]
    try:
        path = str(parse_windows(flat.rstrip("\\") + root.rstrip("/").replace("/", "\\") + "\\"))
    except PathConvError:
        return None
    return path if len(path) == len("C:\\") else path.rstrip("\\")


def _octal(field: str) -> str:
    return _OCTAL.sub(lambda code: chr(int(code[1], 8)), field)
