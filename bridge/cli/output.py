"""What all commands print alike. Standard library only."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["agrees", "can_ask", "drop_stdout", "say", "seconds", "wants_color"]


def wants_color(stream: TextIO) -> bool:
    """Tell whether to colour: ``NO_COLOR`` and ``TERM=dumb`` forbid it, ``FORCE_COLOR`` wants it, else a terminal."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def drop_stdout() -> None:
    """Print to nowhere from now on: whoever read our output has had enough, and that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def seconds(word: str) -> float:
    """Read a time-out of the command line; raises `ValueError` for what no clock can wait for."""
    value = float(word)
    if not 0 <= value < float("inf"):
        raise ValueError(word)
    return value


def say(message: str) -> None:
    """Tell the human something that is no data; control characters from names are shown, not sent."""
    from bridge.core.text import visible

    print(visible(message), file=sys.stderr, flush=True)


def can_ask() -> bool:
    """Tell whether there is a human at a terminal to ask."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())


def agrees(question: str) -> bool:
    """Ask the human at the terminal; where there is none, nobody agrees."""
    if not can_ask():
        return False
    from bridge.core.text import visible

    print(f"{visible(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")
