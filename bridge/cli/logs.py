"""``bridge logs``."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import TextIO

from bridge.errors import ExitCode, Unavailable
from bridge.paths import paths

__all__ = ["last_lines"]

_PAUSE_S = 0.1


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("-n", type=int, default=50, metavar="LINES", help="how many lines (default: 50)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is added, until Ctrl-C")


def run(args: Namespace) -> int:
    """Print the end of the log, and then what is added to it."""
    log = paths(os.environ).log
    if not args.follow and not _files(log):
        raise Unavailable(f"there is no log yet: {log}", "bridge up")
    with closing(_lines(log)) as lines:
        sys.stdout.writelines(deque(_there(lines), maxlen=max(args.n, 0)))
        while args.follow:
            sys.stdout.flush()
            time.sleep(_PAUSE_S)
            sys.stdout.writelines(_there(lines))
    return ExitCode.DONE


def last_lines(log: str, most: int) -> list[str]:
    """Give the last lines of a log, through all its files, with their ends."""
    with closing(_lines(log)) as lines:
        return list(deque(_there(lines), maxlen=most))


def _there(lines: Iterator[str | None]) -> Iterator[str]:
    """Give the lines that are there now."""
    return iter(lines.__next__, None)


def _lines(log: str) -> Generator[str | None, None, None]:
    """Give every line of a log, and None whenever there is no more yet; it never ends."""
    file, line = None, ""
    try:
        while True:
            following = _open_next(log, file)  # before we read on: once there is one, nothing is added to `file`
            while file is not None and (part := file.readline()):
                line += part
                if line.endswith("\n"):
                    yield line
                    line = ""
            if following is None:
                yield None
                continue
            if file is not None:
                file.close()
            file, line = following, ""
    finally:
        if file is not None:
            file.close()


def _open_next(log: str, file: TextIO | None) -> TextIO | None:
    """Open the file that follows on this one (on none: the oldest); None if there is none."""
    files = _files(log)
    if file is not None:
        here = os.fstat(file.fileno())
        known = [os.path.samestat(here, found) for _, found in files]
        files = files[known.index(True) + 1 :] if True in known else files[-1:]  # who deleted ours wants the newest
    with suppress(FileNotFoundError):  # it was renamed just now
        return open(files[0][0], encoding="utf-8", errors="backslashreplace") if files else None
    return None


def _files(log: str) -> list[tuple[str, os.stat_result]]:
    """Find the files of a log, the oldest first: one that is full becomes ``….1``, that ``….2``, and so on."""
    found = []
    number = 0
    while True:
        path = f"{log}.{number}" if number else log
        try:
            found.append((path, os.stat(path)))
        except FileNotFoundError:
            if number:
                return found[::-1]
        number += 1
