"""Whether a lock directory and a lock file are believed (docs/protocol.md "Lock file admission").

A lock file holds a token and says where to send it, so it counts only if nobody else can have written it:
directory and file are ours, the file has one name, and what was checked is the handle that is read, never
the name. Nothing is ever written, repaired or deleted here.

On a Windows drive seen from WSL every file is the same user's and open to all (docs/protocol.md "Reaching
Windows"): there owner and mode say nothing, and only the user's own Windows profile is believed, which Windows
keeps from other users.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from bridge.core.announcements import FORMATS
from bridge.core.lockfile import MAX_BYTES, Family, IncompleteLockFile, LockFile
from bridge.core.reach import runs_in_windows
from bridge.errors import LockFileError
from bridge.ides.files import read_regular

__all__ = ["AdmittedLock", "Ground", "Refused", "Verdict", "admit", "open_directory"]

_ELSEWHERE: Final = "let CLAUDE_CONFIG_DIR name a directory of Linux, or of your Windows profile"
_PRIVATE: Final = "let TMPDIR name a directory of your own, for your IDE and in this terminal"
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Ground(Enum):
    """What a directory lies on, and thus what says who may write there."""

    OURS = auto()  # owner and mode
    GUARDED = auto()  # Windows: the user's profile seen from WSL, or his distribution seen from Windows
    WINDOWS = auto()  # elsewhere on a Windows drive: nothing that can be seen from here


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedLock:
    """A lock file that comes from our user; not yet that its IDE lives."""

    lock: LockFile
    path: str
    modified: float  # mtime, epoch seconds
    weak: tuple[str, ...] = ()  # what a careful plugin does better: "no token", "mode 0644"
    guarded: bool = False  # Windows says who may write there, not we


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file or directory that is not used, and why, in words that follow its path."""

    path: str
    reason: str
    incomplete: bool = False  # half-written, or just replaced: whole soon, if its IDE still lives
    fix: str | None = None  # what to do about it, if that does not follow from what it is


Verdict = AdmittedLock | Refused


def open_directory(path: str, ground: Ground = Ground.OURS, depth: int = 1) -> int | Refused:
    """Open a lock directory if only we can have put anything into it; the caller closes the handle.

    Args:
        path: absolute.
        ground: on which it lies.
        depth: how many directories, from this one upwards, must be ours; what is above them is followed.

    A missing directory raises `FileNotFoundError`; everything else that is wrong is a refusal.
    """
    if depth == 1:
        return _open_ours(path, None, ground)
    above = open_directory(os.path.dirname(path), ground, depth - 1)
    if isinstance(above, Refused):
        return above if above.fix or not _is_strangers(above.path) else replace(above, fix=_PRIVATE)
    try:
        return _open_ours(path, above, ground)
    finally:
        os.close(above)


def _open_ours(path: str, above: int | None, ground: Ground) -> int | Refused:
    """Open one directory, by its name in the one `above` if that is open, so that nobody swaps it meanwhile."""
    try:
        handle = os.open(path if above is None else os.path.basename(path), _DIRECTORY_FLAGS, dir_fd=above)
    except FileNotFoundError:
        raise
    except OSError as exc:
        return Refused(path=path, reason=_why_not_opened(path, exc))
    if reason := _why_directory_refused(os.fstat(handle), ground):
        os.close(handle)
        return Refused(path=path, reason=reason, fix=_ELSEWHERE if ground is Ground.WINDOWS else None)
    return handle


def _is_strangers(path: str) -> bool:
    try:
        return os.lstat(path).st_uid != os.geteuid()
    except OSError:
        return False


def admit(
    directory: str,
    handle: int,
    name: str,
    status: os.stat_result,
    ground: Ground = Ground.OURS,
    family: Family = Family.CLAUDE,
) -> tuple[os.stat_result, Verdict]:
    """Judge one file, and give the status to which the verdict belongs.

    Args:
        directory: for the path in the verdict only.
        handle: of that directory, from `open_directory`.
        name: as files of the family are called, such as ``<port>.lock``.
        status: of the name, not followed. What is refused by this is never opened: opening a device acts.
        ground: on which the directory lies.
        family: whose directory it is.

    Raises `OSError` if the file cannot be read, `FileNotFoundError` if it is gone.
    """
    path = os.path.join(directory, name)
    if reason := _why_refused(status, ground):
        return status, Refused(path=path, reason=reason)
    status, data = read_regular(name, MAX_BYTES, flags=os.O_NOFOLLOW, dir_fd=handle)
    if status.st_nlink == 0:
        return status, Refused(path=path, reason="was replaced while it was read", incomplete=True)
    if reason := _why_refused(status, ground):  # the name may have led elsewhere a moment ago
        return status, Refused(path=path, reason=reason)
    try:
        lock = FORMATS[family].parse(name, data)
    except LockFileError as exc:
        if isinstance(exc, IncompleteLockFile):
            return status, Refused(path=path, reason=f"half-written, or {exc.reason}", incomplete=True)
        return status, Refused(path=path, reason=exc.reason)
    guarded = ground is Ground.GUARDED
    weak = _weaknesses(lock, None if guarded else status)
    if runs_in_windows(lock, guarded) and not lock.running_in_windows:
        lock = lock.model_copy(update={"running_in_windows": True})
    return status, AdmittedLock(lock=lock, path=path, modified=status.st_mtime, weak=weak, guarded=guarded)


def _why_not_opened(path: str, exc: OSError) -> str:
    if os.path.islink(path):
        return "is a symlink, which is not followed: make it a directory (the one above it may be a symlink)"
    return f"cannot be opened ({exc.strerror})"


def _why_directory_refused(status: os.stat_result, ground: Ground) -> str | None:
    if ground is Ground.GUARDED:
        return None
    if ground is Ground.WINDOWS:
        return "lies on a Windows drive outside of your profile, where nothing tells who may write"
    if status.st_uid != os.geteuid():
        return f"belongs to uid {status.st_uid}, not to you: somebody else decides what is in it"
    if status.st_mode & 0o022:
        return f"can be written by others (mode {_mode(status)}): run chmod go-w on it"
    return None


def _why_refused(status: os.stat_result, ground: Ground) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return "is a symlink"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_uid != os.geteuid() and ground is Ground.OURS:
        return f"belongs to uid {status.st_uid}, not to you"
    if status.st_nlink != 1:
        return f"has {status.st_nlink} names (hard links)"
    if status.st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES // 1024} KiB"
    return None


def _weaknesses(lock: LockFile, status: os.stat_result | None) -> tuple[str, ...]:
    """Name what a careful plugin does better; `status` None: its mode means nothing."""
    no_token = () if lock.auth_token else ("no token",)
    loose = (f"mode {_mode(status)}",) if status is not None and status.st_mode & 0o077 else ()
    return no_token + loose


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
