"""Finding lock files, at each request anew, and reading only those that changed.

"Changed" is any difference in a file's status. A status is remembered only when it is older than `SETTLED_NS`:
a file that is written twice within one tick of the file system's clock may keep its time and its size.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from bridge.core.announcements import FORMATS, LockDirectory, lock_directories
from bridge.ides.admission import AdmittedLock, Ground, Refused, Verdict, admit, open_directory

__all__ = ["LockDirectory", "LockScanner", "Scan", "candidate_directories"]

ENTRIES_MAX: Final = 4096  # of one directory; a thousand stale locks are a bad day, more is a mistake
DIRECTORIES_KEPT: Final = 32  # of which the verdicts are remembered; every client may bring its own
SETTLED_NS: Final = 2 * 10**9  # FAT counts in 2 s, the coarsest clock of a file system in use
RETRIES: Final = 3
RETRY_PAUSE_S: Final = 0.1  # a plugin writes its file in one go: what is not whole after 0.3 s is broken

_Identity = tuple[int, ...]
_Known = dict[str, tuple[_Identity, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What all directories hold, at most one admitted lock per port and side of the Windows boundary."""

    admitted: tuple[AdmittedLock, ...] = ()
    refused: tuple[Refused, ...] = ()
    problems: tuple[Refused, ...] = ()  # directories that are not looked at, or not to their end
    unsettled: bool = False  # some file was being written while we looked
    files_read: int = 0  # the others were known


def candidate_directories(environ: Mapping[str, str] | None, home: Path) -> list[LockDirectory]:
    """List where plugins may announce IDEs to this user, each directory once, none relative; see `lock_directories`.

    The last component is not resolved: whether ``ide`` is a symlink is for the scan to judge.
    """
    found: dict[LockDirectory, LockDirectory] = {}
    for directory in lock_directories(environ, os.fspath(home)):
        if not os.path.isabs(directory.path):
            continue
        try:
            real = directory._replace(path=os.path.realpath(os.path.dirname(directory.path)))
            found.setdefault(real, directory)
        except ValueError:  # NUL, or a surrogate that stands for no byte: no file can have this name
            continue
    return list(found.values())


class LockScanner:
    """Scans lock directories, and remembers the verdict on every file that has not changed since.

    Args:
        clock: wall clock in nanoseconds, the one that file systems stamp files with.
        ground: tells what a directory lies on.
    """

    def __init__(
        self, clock: Callable[[], int] = time.time_ns, ground: Callable[[str], Ground] = lambda _: Ground.OURS
    ) -> None:
        self._clock = clock
        self._ground = ground
        self._known: dict[tuple[LockDirectory, Ground], _Known] = {}

    async def settle(self, directories: Iterable[LockDirectory]) -> Scan:
        """Scan, and again up to three times in 0.3 s while some file is being written; others run meanwhile."""
        directories = list(directories)
        scan = self.scan(directories)
        for _ in range(RETRIES):
            if not scan.unsettled:
                break
            await asyncio.sleep(RETRY_PAUSE_S)
            scan = self.scan(directories)
        return scan

    def scan(self, directories: Iterable[LockDirectory]) -> Scan:
        """Look at all lock files in `directories`; never raises for what it finds there.

        A missing directory is an empty one. Of two files for one port, on one side of the Windows boundary, the
        newer is admitted; the other is refused, unless it says the same.
        """
        looks = [self._look(directory) for directory in directories]
        verdicts = [verdict for look in looks for verdict in look.verdicts]
        admitted, outdated = _one_per_port(v for v in verdicts if isinstance(v, AdmittedLock))
        return Scan(
            admitted=tuple(admitted),
            refused=(*(v for v in verdicts if isinstance(v, Refused)), *outdated),
            problems=tuple(problem for look in looks for problem in look.problems),
            unsettled=any(look.unsettled for look in looks),
            files_read=sum(look.files_read for look in looks),
        )

    def _look(self, directory: LockDirectory) -> _Look:
        ground = self._ground(directory.path)
        look = _Look(directory, ground, self._known.pop((directory, ground), {}), self._clock() - SETTLED_NS)
        look.run()
        self._known[directory, ground] = look.known
        if len(self._known) > DIRECTORIES_KEPT:
            del self._known[next(iter(self._known))]  # the one that nobody asked about for longest
        return look


class _Look:
    """One pass over one directory."""

    def __init__(self, directory: LockDirectory, ground: Ground, before: _Known, settled_ns: int) -> None:
        self.directory, self.family = directory
        self.format = FORMATS[self.family]
        self.ground = ground
        self.before = before
        self.settled_ns = settled_ns  # what was changed after this may change again unseen
        self.known: _Known = {}
        self.verdicts: list[Verdict] = []
        self.problems: list[Refused] = []
        self.unsettled = False
        self.files_read = 0

    def run(self) -> None:
        try:
            handle = open_directory(self.directory, self.ground, self.format.depth)
        except FileNotFoundError:
            return
        if isinstance(handle, Refused):
            self.problems.append(handle)
            return
        try:
            self.verdicts += self._verdicts(handle)
        except OSError as exc:
            self._problem(f"cannot be listed ({exc.strerror})")
        finally:
            os.close(handle)

    def _verdicts(self, handle: int) -> Iterator[Verdict]:
        with os.scandir(handle) as entries:
            for entry in islice(entries, ENTRIES_MAX):
                if not self.format.is_name(entry.name):
                    continue
                try:
                    yield self._verdict(handle, entry)
                except FileNotFoundError:  # its IDE closed while we looked
                    continue
                except OSError as exc:
                    path = os.path.join(self.directory, entry.name)
                    yield Refused(path=path, reason=f"cannot be read ({exc.strerror})")
            if next(entries, None) is not None:
                self._problem(f"holds more than {ENTRIES_MAX} files, the rest is not looked at: remove stale ones")

    def _verdict(self, handle: int, entry: os.DirEntry[str]) -> Verdict:
        """Give the remembered verdict while the file's status is the same, else look into it."""
        status = entry.stat(follow_symlinks=False)
        identity, verdict = self.before.get(entry.name, ((), None))
        if verdict is None or identity != _identity(status):
            self.files_read += 1
            status, verdict = admit(self.directory, handle, entry.name, status, self.ground, self.family)
            identity = _identity(status)
        if status.st_ctime_ns < self.settled_ns:
            self.known[entry.name] = identity, verdict
        elif isinstance(verdict, Refused) and verdict.incomplete:
            self.unsettled = True
        return verdict

    def _problem(self, reason: str) -> None:
        self.problems.append(Refused(path=self.directory, reason=reason))


def _identity(status: os.stat_result) -> _Identity:
    """Give what differs whenever the content, the owner or the mode of a file may differ."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,  # no program can set this one
        status.st_size,
        status.st_uid,
        status.st_mode,
        status.st_nlink,
    )


def _one_per_port(locks: Iterable[AdmittedLock]) -> tuple[list[AdmittedLock], list[Refused]]:
    """Keep the newest lock of each port of each side; one that says the same is the same IDE and needs no word.

    What lies where only we can write comes before what Windows guards.
    """
    kept: dict[tuple[bool, int], AdmittedLock] = {}
    refused = []
    for found in sorted(locks, key=lambda found: (found.guarded, -found.modified)):
        best = kept.setdefault((found.lock.running_in_windows, found.lock.port), found)
        if best is not found and best.lock != found.lock:
            better = "newer" if best.guarded == found.guarded else "better guarded"
            refused.append(Refused(path=found.path, reason=f"names the same port as {best.path}, which is {better}"))
    return list(kept.values()), refused
