"""Write a file whole or not at all, and only over what the human saw."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress

from bridge.core.reviews import digest
from bridge.errors import BadData, Conflict, WriteFailed

__all__ = ["read_file", "write_accepted", "write_whole"]


def read_file(path: bytes, limit: int | None = None) -> bytes | None:
    """Read a regular file; None when there is none.

    Raises `BadData` for anything that is no regular file, and for one of more than `limit` bytes, if that is given.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hang us
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BadData(f"cannot read {os.fsdecode(path)}: {exc.strerror}", "check the path and its mode") from exc
    status = os.fstat(fd)
    why = _why_refused(status, limit)
    if why is not None:
        os.close(fd)
        raise BadData(f"{os.fsdecode(path)} {why}", "name a text file")
    with os.fdopen(fd, "rb") as file:
        return file.read(-1 if limit is None else limit)


def _why_refused(status: os.stat_result, limit: int | None) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if limit is not None and status.st_size > limit:
        return f"has more than {limit // 2**20} MiB: that is no text for human eyes"
    return None


def write_accepted(path: bytes, text: str, base_hash: str | None, review_id: str = "ID") -> None:
    """Write what the human accepted.

    The text goes to a temporary file in the same directory, is synced and renamed over the old file, whose
    owner (where we may) and mode are kept; a symlink's target is written, not the link.

    Args:
        path: absolute.
        base_hash: `digest` of the file that the proposal was made from, None when there was none. A file that
            is the accepted text already is left alone, so that writing may be repeated.
        review_id: for the hints, which say how to go on.

    Raises:
        Conflict: the file is not what the human saw, or has other names (hard links).
        BadData: the text holds a lone surrogate, which no UTF-8 file can hold.
        WriteFailed: the system refuses; nothing was changed.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        raise BadData(
            f"accepted, but the text cannot be written as UTF-8: {exc.reason} at character {exc.start}",
            "the decision is kept: propose a text without lone surrogates",
        ) from exc
    target = os.path.realpath(path)
    seen = _stamp(target)
    before = read_file(target)
    if before == data:
        return
    if (None if before is None else digest(before)) != base_hash:
        raise Conflict(
            f"accepted, but {os.fsdecode(path)} changed since the change was proposed",
            f"the decision is kept: compare with bridge review show {review_id}, then propose again",
        )
    try:
        if before is not None and (names := os.stat(target).st_nlink) > 1:
            raise Conflict(
                f"accepted, but {os.fsdecode(path)} has {names} names (hard links): replacing it would part them",
                f"the decision is kept: write it by hand, bridge review result {review_id} prints the text",
            )
        _replace(target, data, seen)
    except _Changed as exc:
        raise Conflict(
            f"accepted, but {os.fsdecode(target)} changed a moment ago",
            "the decision is kept: look, then apply it again",
        ) from exc
    except OSError as exc:
        raise WriteFailed(
            f"accepted, but {os.fsdecode(path)} could not be written: {exc.strerror}",
            f"the text is kept: mend the cause, then: bridge review apply {review_id}",
        ) from exc


def write_whole(path: bytes, data: bytes, before: bytes | None) -> None:
    """Write a file of another program's, which the human has seen as `before` (None: there was none).

    As `write_accepted` writes; a new file is this user's alone.

    Raises:
        Conflict: the file is not `before` any more, or has other names (hard links).
        WriteFailed: the system refuses; nothing was changed.
    """
    target = os.path.realpath(path)
    seen = _stamp(target)
    try:
        if read_file(target) != before:
            raise _Changed
        if before is not None and os.stat(target).st_nlink > 1:
            raise Conflict(
                f"{os.fsdecode(path)} has other names (hard links): replacing it would part them",
                "edit it by hand",
            )
        _replace(target, data, seen, mode=0o600)
    except _Changed as exc:
        raise Conflict(f"{os.fsdecode(path)} changed meanwhile: nothing was written", "look at it, try again") from exc
    except OSError as exc:
        raise WriteFailed(f"cannot write {os.fsdecode(path)}: {exc.strerror}", "mend the cause, try again") from exc


class _Changed(Exception):
    """The file is not what it was a moment ago."""


def _stamp(target: bytes) -> tuple[int, ...] | None:
    """What tells, without reading, whether a file is still the one that it was."""
    try:
        found = os.stat(target)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _replace(target: bytes, data: bytes, seen: tuple[int, ...] | None, mode: int = 0o666) -> None:
    """Put `data` in place of what was `seen`; `mode` is what a new file gets, less the umask."""
    directory = os.path.dirname(target)
    fd, temporary = tempfile.mkstemp(prefix=b".bridge-", dir=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()  # before the mode: a write takes set-user-id away
            _look_like(target, fd, mode)
            os.fsync(fd)
        if _stamp(target) != seen and read_file(target) != data:  # two may apply one decision at once
            raise _Changed
        os.rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(directory)


def _look_like(target: bytes, fd: int, mode: int) -> None:
    """Give the temporary file the owner, group and mode of the old one, or those that a new file would get."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        os.fchmod(fd, mode & ~mask)
        return
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):  # only root may give files away; a group of ours we may set
            os.fchown(fd, -1, old.st_gid)
            os.fchown(fd, old.st_uid, -1)
    os.fchmod(fd, stat.S_IMODE(old.st_mode))


def _sync_directory(directory: bytes) -> None:
    """Make the new name durable where that is possible; the text is in place already, so nothing has failed."""
    with suppress(OSError):  # a directory may be written and not read
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
