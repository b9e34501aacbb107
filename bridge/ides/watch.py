"""Telling early that lock directories changed. A convenience: every request scans anew anyway.

watchfiles learns of changes from the kernel, but a thread of it looks whether it has, by default 20 times a
second. An idle daemon should sleep, and nobody notices half a second here, so it looks far less often.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Final

import psutil
from watchfiles import awatch

from bridge.core.windows import needs_polling
from pathconv import Env

__all__ = ["silent", "watch"]

logger = logging.getLogger(__name__)

STEP_MS: Final = 500  # a change is seen at the next step, and told one step later if nothing more happens
RECHECK_MS: Final = 10_000  # for what no event tells: a directory that came while we were not watching yet
POLL_MS: Final = 2_000  # where the kernel tells of nothing
PAUSE_S: Final = 0.5  # a directory that comes and goes must not keep us busy

_ENV: Final = Env.WINDOWS if sys.platform == "win32" else Env.LINUX  # elsewhere the file system alone decides

_Armed = dict[str, tuple[int, int]]  # watched directory: its device and inode


async def watch(
    directories: Callable[[], Iterable[Path]],
    changed: Callable[[], None],
    *,
    polling: bool = False,
    warn: Callable[[str], None] = logger.warning,
) -> None:
    """Call `changed` once when watching begins, and within about a second of any change in `directories`.

    Runs until cancelled. A missing directory is waited for at the nearest one above it; one that is created,
    deleted or replaced is noticed, at the latest after 10 s. Directories are not watched recursively.

    Args:
        directories: absolute paths, asked for again every few seconds; they need not exist.
        changed: called in the event loop.
        polling: look every 2 s instead of listening; needed for `silent` directories.
        warn: told in words when the system's limit of watches is reached. Then we look every 2 s; if not
            even that works, this function returns, and only requests notice changes.
    """
    while True:
        armed = _arm(directories())
        if not armed:
            await asyncio.sleep(RECHECK_MS / 1000)
            continue
        # Runs when `_follow` has to wait, thus is watching: nothing can happen unseen between the two.
        asyncio.get_running_loop().call_soon(changed)
        try:
            await _follow(armed, directories, changed, polling)
        except FileNotFoundError:  # gone between looking and watching
            await asyncio.sleep(PAUSE_S)
        except (OSError, RuntimeError) as exc:  # the latter is what watchfiles makes of most errors
            outcome = "changes are noticed at the next request" if polling else "looking every 2 s instead"
            warn(f"cannot watch {', '.join(armed)}: {exc}; {outcome}")
            if polling:
                return
            polling = True


async def _follow(
    armed: _Armed, directories: Callable[[], Iterable[Path]], changed: Callable[[], None], polling: bool
) -> None:
    """Report changes until other directories must be watched than `armed`."""
    changes_of = awatch(
        *armed,
        watch_filter=None,
        step=STEP_MS,
        debounce=STEP_MS,
        rust_timeout=RECHECK_MS,
        yield_on_timeout=True,
        force_polling=polling,  # said explicitly, since the default polls everything in WSL
        poll_delay_ms=POLL_MS,
        recursive=False,
        ignore_permission_denied=False,  # True would ignore missing directories as well
    )
    async with aclosing(changes_of) as batches:
        async for batch in batches:
            wanted = list(directories())
            # An event of the directory itself may be its end: the next of that name often gets the same inode.
            if _arm(wanted) != armed or any(path in armed for _, path in batch):
                return
            # A home directory that we watch for lack of a better one has changes of its own.
            if not {Path(path).parent for _, path in batch}.isdisjoint(wanted):
                changed()


def _arm(directories: Iterable[Path]) -> _Armed:
    found = map(_nearest, directories)
    return {path: identity for path, identity, is_busy in found if not is_busy}


def _nearest(directory: Path) -> tuple[str, tuple[int, int], bool]:
    """Find the nearest directory upwards that exists and can be watched, and whether it is everybody's.

    There, as in ``/tmp``, something happens all the time: that is not listened to. A lock directory that is made in
    it is noticed when we look anew.
    """
    try:
        status = os.stat(directory)
    except OSError:
        return _nearest(directory.parent)
    if not stat.S_ISDIR(status.st_mode) or not os.access(directory, os.R_OK):
        return _nearest(directory.parent)
    return os.fspath(directory), (status.st_dev, status.st_ino), bool(status.st_mode & stat.S_IWOTH)


def silent(directories: Iterable[Path]) -> set[Path]:
    """Find those that lie, or the nearest above them does, on a file system that tells nobody of changes.

    Watch these apart from the others: looking costs more than listening.
    """
    mounts = _mounts()

    def is_silent(directory: Path) -> bool:
        real = os.path.realpath(_nearest(directory)[0])
        return needs_polling(_ENV, _file_system(Path(real), mounts), real)

    return set(filter(is_silent, directories))


def _mounts() -> dict[Path, str]:
    return {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}


def _file_system(path: Path, mounts: dict[Path, str]) -> str:
    return next((mounts[above] for above in (path, *path.parents) if above in mounts), "")
