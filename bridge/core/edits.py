"""Edits that replace strings: what an agent's own tool makes of a text, and the edit that makes one text of another.

Nothing here is lenient: what an edit would do is either known exactly, or it is `CannotTell`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from bridge.core.lines import split_lf

__all__ = ["CRLF", "LF", "CannotTell", "Replacement", "one_replacement", "replace_in", "uniform"]

LF: Final = "\n"
CRLF: Final = "\r\n"

_LONE: Final = re.compile(r"\r(?!\n)|(?<!\r)\n")  # what a text with CRLF alone does not have


class CannotTell(Exception):
    """What the tool would write cannot be told, or it would write nothing; the message says why, for the human."""


class Replacement(NamedTuple):
    """Replace `old` by `new`; `times` is how often `old` must be there, None: once or more often."""

    old: str
    new: str
    times: int | None = 1


def replace_in(text: str, edit: Replacement) -> str:
    """Make the edit. Raises `CannotTell` where `old` is not there as often as it must."""
    if not edit.old:
        raise CannotTell("it replaces nothing, in a file that is there")
    if edit.old == edit.new:
        raise CannotTell("nothing would change")
    count = text.count(edit.old)
    if not count:
        raise CannotTell("the text to replace is not in the file")
    if edit.times is not None and count != edit.times:
        raise CannotTell(f"the text to replace is in the file {count} times, not {edit.times}")
    return text.replace(edit.old, edit.new)


def one_replacement(before: str, after: str) -> Replacement | None:
    """Give an edit of whole lines that makes `after` of `before`; None where they are the same, or there is no text.

    Its `old` occurs exactly once, counted in any way; it takes lines around the change for that, as few as will do.
    Its `new` is not empty unless `after` is.
    """
    if before in ("", after):
        return None
    old, new = split_lf(before), split_lf(after)
    start, old_end, new_end = _differing(old, new)
    for context in _widths(len(old)):
        head, tail = min(context, start), min(context, len(old) - old_end)
        piece = "".join(old[start - head : old_end + tail])
        instead = "".join(new[start - head : new_end + tail])
        if piece and instead and before.find(piece) == before.rfind(piece):
            return Replacement(piece, instead)
    return Replacement(before, after)


def _differing(old: list[str], new: list[str]) -> tuple[int, int, int]:
    """Say where two lists begin to differ, and where in each they are the same again."""
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] != new[i]), most)
    same = next((i for i in range(most - start) if old[-1 - i] != new[-1 - i]), most - start)
    return start, len(old) - same, len(new) - same


def _widths(most: int) -> Iterable[int]:
    """Give how many lines of context to try: each time twice as many, for each costs a search of the text."""
    yield 0
    width = 1
    while width < most:
        yield width
        width *= 2


def uniform(text: str) -> tuple[str, str]:
    """Give the text with LF alone, and what its lines end with: LF or CRLF.

    Raises `CannotTell` for a text that mixes them, or has lone CRs: tools make one kind of them all, or do not, from
    version to version.
    """
    if "\r" not in text:
        return text, LF
    if _LONE.search(text):
        raise CannotTell("its lines end in different ways, and the tool may change that")
    return text.replace(CRLF, LF), CRLF
