"""Write a file whole or not at all, and only over what the human saw."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress

from bridge.core.reviews import digest
from bridge.errors import BadData, Conflict, WriteFailed

__all__ = ["read_file", "write_accepted"]


def read_file(path: bytes) -> bytes | None:
    """Read a regular file; None when there is none. Raises `BadData` for anything that is no regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hang us
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BadData(f"cannot read {os.fsdecode(path)}: {exc.strerror}") from exc
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadData(f"not a regular file: {os.fsdecode(path)}")
        return file.read()


def write_accepted(path: bytes, text: str, base_hash: str | None) -> None:
    """Write what the human accepted.

    The text goes to a temporary file in the same directory, is synced and renamed over the old file, whose
    mode is kept; a symlink's target is written, not the link.

    Args:
        path: absolute.
        base_hash: `digest` of the file that the proposal was made from, None when there was none. A file that
            is the accepted text already is left alone, so that writing may be repeated.

    Raises:
        Conflict: the file is not what the human saw, or has other names (hard links).
        BadData: the text holds a lone surrogate, which no UTF-8 file can hold.
        WriteFailed: the system refuses; nothing was changed.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        raise BadData(f"the accepted text cannot be written as UTF-8: {exc.reason} at character {exc.start}") from exc
    target = os.path.realpath(path)
    before = read_file(target)
    if before == data:
        return
    if (None if before is None else digest(before)) != base_hash:
        raise Conflict(
            f"the file changed since the change was proposed: {os.fsdecode(path)}",
            "the decision is kept: look at both with bridge review show, then propose again",
        )
    try:
        _replace(target, data)
    except OSError as exc:
        raise WriteFailed(
            f"accepted, but {os.fsdecode(path)} could not be written: {exc.strerror}",
            "the text is kept: mend the cause, then bridge review apply",
        ) from exc


def _replace(target: bytes, data: bytes) -> None:
    directory = os.path.dirname(target)
    mode = _mode(target)
    fd, temporary = tempfile.mkstemp(prefix=b".bridge-", dir=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, mode)
            file.flush()
            os.fsync(fd)
        os.rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(directory)


def _mode(target: bytes) -> int:
    """Give the mode the file has, or a new one would get. Raises `Conflict` for a file with several names."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask
    if found.st_nlink > 1:
        raise Conflict(
            f"{os.fsdecode(target)} has {found.st_nlink} names (hard links): replacing it would part them",
            "write it by hand: bridge review result prints the text",
        )
    return stat.S_IMODE(found.st_mode)


def _sync_directory(directory: bytes) -> None:
    """Make the new name durable where that is possible; the text is in place already, so nothing has failed."""
    with suppress(OSError):  # a directory may be written and not read
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
