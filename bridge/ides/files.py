"""Reading a small file that somebody else wrote: no FIFO, no device, no endless file can hold us up."""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["read_regular"]

# Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def read_regular(path: str, limit: int, *, flags: int = 0, dir_fd: int | None = None) -> tuple[os.stat_result, bytes]:
    """Read at most `limit` bytes of a regular file, with the status of the very handle that was read.

    Args:
        path: relative to `dir_fd` if that is given.
        limit: bytes; the caller compares ``st_size`` if more than this matters.
        flags: added to the open, e.g. ``os.O_NOFOLLOW``.
        dir_fd: an open directory, which stays the caller's.

    Raises `OSError`, also for anything that is not a regular file.
    """
    handle = os.open(path, _FLAGS | flags, dir_fd=dir_fd)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        data = b""
        while len(data) < limit and (chunk := os.read(handle, limit - len(data))):
            data += chunk
        return status, data
    finally:
        os.close(handle)
