"""What Windows says and keeps, read from the other side: its profile, its processes, its running distributions.

Windows' programs answer in the user's language and in any code page; only what no translation changes is read.
Facts and sources: docs/protocol.md "Reaching Windows".
"""

from __future__ import annotations

import csv
import posixpath
import re
from typing import Final

from pathconv import Env

__all__ = [
    "NOBODYS_PROFILES",
    "SILENT",
    "decode_output",
    "home_from_path",
    "needs_polling",
    "parse_distros",
    "parse_home",
    "tasklist_alive",
]

# The other side of these file systems changes without an event on this one.
SILENT: Final = frozenset(
    {"9p", "v9fs", "drvfs", "virtiofs", "nfs", "nfs4", "cifs", "smb3", "smbfs", "vboxsf", "fuse.sshfs"}
)
_SHARE: Final = re.compile(r"[\\/]{2}(?![?.][\\/])|[\\/]{2}\?[\\/]unc[\\/]", re.IGNORECASE)

# Below Users of every Windows, and nobody's own.
NOBODYS_PROFILES: Final = frozenset(
    {"all users", "default", "default user", "defaultuser0", "public", "wdagutilityaccount"}
)
_APPS: Final = re.compile(r"(?P<home>/.*/Users/[^/]+)/AppData/Local/Microsoft/WindowsApps/?", re.IGNORECASE)
_PROFILE: Final = re.compile(r"(?:[A-Za-z]:|\\\\)[^\r\n\"<>|*?]+")
_DISTRO: Final = re.compile(r"[A-Za-z0-9._-]+")


def needs_polling(env: Env, fstype: str = "", path: str = "") -> bool:
    """Tell whether changes in a directory go unnoticed unless one looks.

    Args:
        env: ours; on Windows `path` decides (a share tells of nothing), elsewhere the file system's type.
        fstype: as the mount table names it.
    """
    return _SHARE.match(path) is not None if env is Env.WINDOWS else fstype in SILENT


def home_from_path(path: str) -> str | None:
    """Find the Windows profile in a ``PATH`` that WSL lengthened with Windows' own; None: it holds none.

    >>> home_from_path("/usr/bin:/mnt/c/Users/Jane Doe/AppData/Local/Microsoft/WindowsApps")
    '/mnt/c/Users/Jane Doe'
    """
    entries = (_APPS.fullmatch(posixpath.normpath(entry)) for entry in path.split(":") if entry.startswith("/"))
    return next((found["home"] for found in entries if found and _is_somebodys(found["home"])), None)


def _is_somebodys(home: str) -> bool:
    return posixpath.basename(home).casefold() not in NOBODYS_PROFILES


def decode_output(out: bytes) -> str:
    """Read what a Windows program printed: UTF-16LE (``wsl.exe``, ``cmd.exe /u``) if it has NULs, else UTF-8.

    Bytes of another code page become replacement characters: a name that holds them is not used.
    """
    if b"\0" in out:
        return out.decode("utf-16-le", "replace").removeprefix("\ufeff")
    return out.decode("utf-8-sig", "replace")


def parse_home(out: bytes) -> str | None:
    """Find the profile in what ``cmd.exe /u /d /c echo %USERPROFILE%`` printed.

    A banner may come before it, so the last line that is a path counts. A variable that is not set stays as typed.
    """
    lines = [line.strip() for line in decode_output(out).splitlines()]
    return next((line for line in reversed(lines) if _PROFILE.fullmatch(line) and "\ufffd" not in line), None)


def parse_distros(out: bytes) -> tuple[str, ...]:
    """List the distributions in what ``wsl.exe -l --running -q`` printed; that none runs it says in a sentence."""
    lines = (line.strip() for line in decode_output(out).splitlines())
    return tuple(line for line in lines if _DISTRO.fullmatch(line))


def tasklist_alive(pid: int, stdout: str, rc: int | None) -> bool | None:
    """Tell whether Windows has a process, from ``tasklist.exe /NH /FO CSV``; None: it did not say, or said nothing.

    The second field decides. Exit status and message are no answer: the first is 0 without a match too, and the
    second is translated. It explains, and is never a reason to call a lock dead.

    Args:
        rc: the exit status; None: the program did not run.
    """
    if rc != 0 or not stdout.strip():
        return None
    try:
        return any(len(row) > 1 and row[1].strip() == str(pid) for row in csv.reader(stdout.splitlines()))
    except csv.Error:  # a field without end
        return None
