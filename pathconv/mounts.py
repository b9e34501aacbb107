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
_DRVFS = re.compile(r"[,\s]aname=drvfs")  # what follows is not looked at, by WSL neither: ``drvfsa`` is an admin's
_PATH = ";path="
# It is written raw, and a directory may be called "a,b;c": the path ends where a known option follows. WSL's own are
# part of the same name and mostly there; the kernel's come after the name, or before it on some versions.
_WSL_OPTION = re.compile(r";(?:(?:uid|gid|umask|fmask|dmask|symlinkroot|case|cache|fallback)=|metadata(?=[;,]|$))")
_KERNEL_OPTION = re.compile(
    r",(?:(?:debug|dfltuid|dfltgid|afid|uname|cache|cachetag|access|locktimeout|msize|version|trans|rfd|wfd|port|context)="
    r"|(?:nodevmap|mmap|loose|fscache|ignoreqv|directio|posixacl|noxattr|noextend|privport|seclabel)(?=,|$))"
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
    fields = before.split(" ")
    fstype, _, rest = after.partition(" ")
    source, _, options = rest.partition(" ")  # if they hold blanks, their border is not to be found
    if not (dash and fstype and options and _sound(fields)):
        return None
    root, point = _octal(fields[3]), _octal(fields[4])
    windows = None
    if fstype == "9p" and (drvfs := _DRVFS.search(rest)):
        path = _path(rest, drvfs.end())
        windows = _octal(source) if path is None else path
    elif fstype == "drvfs":
        windows = _octal(source)
    elif fstype == "virtiofs" and not (point + "/").startswith(_STAGING + "/"):
        share, root = _share(source, root)
        windows = links.get(share)
    joined = None if windows is None else _joined(windows, root)
    return Mount(point, joined, joined is not None and bool(_CASE_SENSITIVE.search(line)), fstype)


def _sound(fields: list[str]) -> bool:
    """Tell whether the fields before the dash are what they should be: none missing, none empty and so none shifted."""
    return len(fields) >= 6 and all(fields) and ":" in fields[2] and fields[4].startswith("/")


def _path(options: str, start: int) -> str | None:
    """Give the Windows path that the options of a 9p mount hold behind `start`; None if they hold none."""
    at = options.find(_PATH, start)
    if at < 0:
        return None
    at += len(_PATH)
    end = _WSL_OPTION.search(options, at) or _KERNEL_OPTION.search(options, at)
    return options[at : end.start()] if end else options[at:]


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
