"""Write files whole or not at all, and only over what the human saw."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from bridge.core.reviews import digest
from bridge.errors import BadData, BridgeError, Conflict, WriteFailed

__all__ = ["Accepted", "read_file", "write_all", "write_whole"]


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


class Accepted(NamedTuple):
    """What the human accepted of one file.

    `path` is absolute; `base_hash` is the `digest` of the file that the proposal was made from, None when there was
    none.
    """

    path: bytes
    text: str
    base_hash: str | None


def write_all(files: Iterable[Accepted], review_id: str = "ID") -> list[bytes]:
    """Write what the human accepted of several files; give the paths of those that were not so before.

    Every text goes to a temporary file in the directory of its file and is synced. Only when all are there, and no file
    has changed, are they renamed over the old ones, whose owner (where we may) and mode are kept; a symlink's target is
    written, not the link. So each file is written whole or not at all, and whatever can be foreseen stops all of them:
    only a system that refuses to rename can part them, and the error says then which were written.

    Args:
        files: one that is the accepted text already is left alone, so that writing may be repeated.
        review_id: for the hints, which say how to go on.

    Raises:
        Conflict: a file is not what the human saw, or has other names (hard links).
        BadData: a text holds a lone surrogate, which no UTF-8 file can hold.
        WriteFailed: the system refuses.
    """
    staged: list[_Staged] = []
    written: list[bytes] = []
    try:
        for file in files:
            with _told(file.path, review_id):
                if (one := _check(file, review_id)) is not None:
                    staged.append(one)
        for one in staged:
            with _told(one.path, review_id):
                _stage(one)
        for one in staged:
            with _told(one.path, review_id):
                _refuse_another(one)
        for one in staged:
            with _told(one.path, review_id):
                _put(one)
            written.append(one.path)
    except BridgeError as error:
        if not written:
            raise
        before = ", ".join(map(os.fsdecode, written))
        raise type(error)(f"{error.message}; written before that: {before}", error.hint) from error
    finally:
        for one in staged:
            _clear(one)
    return written


def write_whole(path: bytes, data: bytes, before: bytes | None) -> None:
    """Write a file of another program's, which the human has seen as `before` (None: there was none).

    As `write_all` writes one; a new file is this user's alone.

    Raises:
        Conflict: the file is not `before` any more, or has other names (hard links).
        WriteFailed: the system refuses; nothing was changed.
    """
    target = os.path.realpath(path)
    one = _Staged(path, target, data, _stamp(target), new_mode=0o600)
    try:
        if read_file(target) != before:
            raise _Changed
        if before is not None and os.stat(target).st_nlink > 1:
            raise Conflict(
                f"{os.fsdecode(path)} has other names (hard links): replacing it would part them",
                "edit it by hand",
            )
        _stage(one)
        _put(one)
    except _Changed as exc:
        raise Conflict(f"{os.fsdecode(path)} changed meanwhile: nothing was written", "look at it, try again") from exc
    except OSError as exc:
        raise WriteFailed(f"cannot write {os.fsdecode(path)}: {exc.strerror}", "mend the cause, try again") from exc
    finally:
        _clear(one)


class _Changed(Exception):
    """The file is not what it was a moment ago."""


@contextmanager
def _told(path: bytes, review_id: str) -> Iterator[None]:
    """Turn the system's refusal into ours."""
    try:
        yield
    except _Changed as exc:
        raise Conflict(
            f"accepted, but {os.fsdecode(os.path.realpath(path))} changed a moment ago",
            "the decision is kept: look, then apply it again",
        ) from exc
    except OSError as exc:
        raise WriteFailed(
            f"accepted, but {os.fsdecode(path)} could not be written: {exc.strerror}",
            f"the text is kept: mend the cause, then: bridge review apply {review_id}",
        ) from exc


@dataclass(slots=True)
class _Staged:
    """A file on its way: `seen` is what stood at `target`, `temporary` what takes its place."""

    path: bytes
    target: bytes
    data: bytes
    seen: tuple[int, ...] | None
    new_mode: int = 0o666  # of a file that was not there, less the umask
    temporary: bytes | None = None


def _check(file: Accepted, review_id: str) -> _Staged | None:
    """See that the file is what the human saw; None if it is the accepted text already."""
    path, text, base_hash = file
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
        return None
    if (None if before is None else digest(before)) != base_hash:
        raise Conflict(
            f"accepted, but {os.fsdecode(path)} changed since the change was proposed",
            f"the decision is kept: compare with bridge review show {review_id}, then propose again",
        )
    if before is not None and (names := os.stat(target).st_nlink) > 1:
        raise Conflict(
            f"accepted, but {os.fsdecode(path)} has {names} names (hard links): replacing it would part them",
            f"the decision is kept: write it by hand, bridge review result {review_id} prints the text",
        )
    return _Staged(path, target, data, seen)


def _stamp(target: bytes) -> tuple[int, ...] | None:
    """What tells, without reading, whether a file is still the one that it was."""
    try:
        found = os.stat(target)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _stage(one: _Staged) -> None:
    fd, one.temporary = tempfile.mkstemp(prefix=b".bridge-", dir=os.path.dirname(one.target))
    with os.fdopen(fd, "wb") as file:
        file.write(one.data)
        file.flush()  # before the mode: a write takes set-user-id away
        _look_like(one.target, fd, one.new_mode)
        os.fsync(fd)


def _put(one: _Staged) -> None:
    assert one.temporary is not None
    _refuse_another(one)
    os.rename(one.temporary, one.target)
    one.temporary = None
    _sync_directory(os.path.dirname(one.target))


def _clear(one: _Staged) -> None:
    if one.temporary is not None:
        with suppress(OSError):
            os.unlink(one.temporary)


def _refuse_another(one: _Staged) -> None:
    """Two may apply one decision at once; any other change of the last moment is refused (`_Changed`)."""
    if _stamp(one.target) != one.seen and read_file(one.target) != one.data:
        raise _Changed


def _look_like(target: bytes, fd: int, new_mode: int) -> None:
    """Give the temporary file the owner, group and mode of the old one, or those of a new one."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        os.fchmod(fd, new_mode & ~mask)
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
