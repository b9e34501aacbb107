"""Which of two versions of the bridge is newer: the one place where that is decided. Standard library only."""

from __future__ import annotations

__all__ = ["newer", "restart"]

_DIGITS = "0123456789"
_MOST = 64  # characters that are looked at: a peer says what it likes


def newer(one: str, other: str) -> bool:
    """Tell whether `one` is a newer version than `other`.

    The numbers between the dots count, up to the first part that is not a number alone (``0rc1``, ``dev0``): nobody is
    replaced for the sake of those. What is no version is as old as can be.

    >>> newer("0.10.0", "0.9.3"), newer("0.2", "0.2.0"), newer("0.2.0rc1", "0.2.0"), newer("", "0.1.0")
    (True, False, False, False)
    """
    return _numbers(one) > _numbers(other)


def restart(others: int) -> str:
    """Say how an older daemon is replaced by hand, so that so many other sessions lose nothing."""
    done = {0: "", 1: ", when its other session is done"}
    return "bridge restart" + done.get(others, f", when its {others} other sessions are done")


def _numbers(version: str) -> list[int]:
    numbers = []
    for part in version[:_MOST].split("."):
        rest = part.lstrip(_DIGITS)
        if rest != part:
            numbers.append(int(part[: len(part) - len(rest)]))
        if rest or not part:
            break
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
