"""Lines, and where two lists of them differ: one place for `text` and `hunks`.

A line ends at LF, CRLF or CR and nowhere else: ``str.splitlines`` would also break at form feeds and U+2028,
which editors and agents count as part of a line.

`edits` must answer for any two texts of 2 MiB within about a second, and `difflib` alone cannot: without its
junk heuristic it is quadratic on repeated lines (blank ones, closing braces), and cubic at worst. So the work
is cut down before it runs:

1. common lines at both ends are set aside;
2. lines that occur exactly once on both sides are anchors, as in patience diff: as many as keep their order
   split the rest into gaps, and each gap is cut down again, `ROUNDS` times at most;
3. a gap that is still much work (a table of small numbers has no line that is unique) is cut down once more,
   with windows of several lines as anchors;
4. `difflib` does what is left, while its worst case fits into `BUDGET` steps; a gap that does not fit is
   compared line by line in place if both sides are of one length, else it is one replaced block: coarser
   answers, and never wrong ones.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, islice
from operator import ne
from typing import Final, NamedTuple

__all__ = ["BUDGET", "Edit", "edits", "ending", "split", "split_lf"]

BUDGET: Final = 10_000_000  # inner steps of difflib for one pair of texts, counted as its worst case: about 1 s
ROUNDS: Final = 8  # each costs one pass over the lines; files of source code need two or three
WINDOW: Final = 16  # lines in an anchor for hard gaps; makes nearly every place in a table of digits unique
HARD: Final = 100_000  # steps of difflib that are worth trying windows first

_LINE: Final = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]+")
_LF_LINE: Final = re.compile(r"[^\n]*+\n|[^\n]+")


class Edit(NamedTuple):
    """Lines ``old[old_start:old_end]`` became ``new[new_start:new_end]``; 0-based, either may be empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def split(text: str) -> list[str]:
    """Cut `text` after every LF, CRLF and CR; the parts keep their endings and join to `text` again."""
    return _LINE.findall(text)


def split_lf(text: str) -> list[str]:
    """Cut `text` after every LF only, as git does; a CR is part of its line."""
    return _LF_LINE.findall(text)


def ending(line: str) -> str:
    """Return what ends a line that `split` gave: LF, CRLF, CR, or nothing at the end of a text."""
    if line.endswith("\n"):
        return "\r\n" if line.endswith("\r\n") else "\n"
    return "\r" if line.endswith("\r") else ""


def edits(old: Sequence[str], new: Sequence[str]) -> list[Edit]:
    """Say how `new` differs from `old`: in order, not empty, at least one equal line between two of them.

    Whatever no edit covers is equal on both sides, line by line. The same input gives the same answer.
    """
    found: list[Edit] = []
    budget = BUDGET
    for gap in _gaps(old, new, Edit(0, len(old), 0, len(new)), 1):
        for part in [gap] if _cost(old, new, gap) <= HARD else _gaps(old, new, gap, WINDOW):
            cost = _cost(old, new, part)
            if cost > budget:
                found += _in_place(old, new, part)
            else:
                budget -= cost
                found += _compare(old, new, part)
    return found


def _gaps(old: Sequence[str], new: Sequence[str], whole: Edit, window: int, rounds: int = ROUNDS) -> Iterator[Edit]:
    """Yield the parts of `whole` that differ, as small as equal ends and anchors can make them."""
    part = _trim(old, new, whole)
    if part.old_start == part.old_end and part.new_start == part.new_end:
        return
    anchors = _anchors(old, new, part, window) if rounds else []
    if not anchors:
        yield part
        return
    i, j = part.old_start, part.new_start
    for old_at, new_at in [*anchors, (part.old_end, part.new_end)]:
        yield from _gaps(old, new, Edit(i, old_at, j, new_at), window, rounds - 1)
        i, j = old_at + 1, new_at + 1


def _trim(old: Sequence[str], new: Sequence[str], part: Edit) -> Edit:
    """Take equal lines off both ends."""
    i, i_end, j, j_end = part
    while i < i_end and j < j_end and old[i] == new[j]:
        i, j = i + 1, j + 1
    while i < i_end and j < j_end and old[i_end - 1] == new[j_end - 1]:
        i_end, j_end = i_end - 1, j_end - 1
    return Edit(i, i_end, j, j_end)


def _anchors(old: Sequence[str], new: Sequence[str], part: Edit, window: int) -> list[tuple[int, int]]:
    """Pair the lines that begin a window which occurs once on both sides, as many as keep their order."""
    there = _once(new[part.new_start : part.new_end], window)
    here = _once(old[part.old_start : part.old_end], window)
    pairs = [(part.old_start + i, part.new_start + there[key]) for key, i in here.items() if key in there]
    return _longest_rise([(i, j) for i, j in pairs if old[i] == new[j]])  # windows are known by their hash


def _once(lines: Sequence[str], window: int) -> dict[Hashable, int]:
    """Find the windows that occur exactly once in `lines`, with their places, in order."""
    keys: Sequence[Hashable] = lines
    if window > 1:
        keys = [hash(key) for key in zip(*(islice(lines, skip, None) for skip in range(window)), strict=False)]
    counts = Counter(keys)
    return {key: at for at, key in enumerate(keys) if counts[key] == 1}


def _longest_rise(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Choose the most pairs whose second numbers rise as their first do (patience sorting)."""
    tops: list[int] = []  # the least number that ends a rise of each length
    at_top: list[int] = []  # and which pair it is
    before: list[int] = []
    for index, (_, number) in enumerate(pairs):
        pile = bisect_left(tops, number)
        before.append(at_top[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [number]
        at_top[pile : pile + 1] = [index]
    rise = []
    index = at_top[-1] if at_top else -1
    while index >= 0:
        rise.append(pairs[index])
        index = before[index]
    return rise[::-1]


def _cost(old: Sequence[str], new: Sequence[str], gap: Edit) -> int:
    """Estimate `difflib`'s worst case: for every block it finds, every pair of equal lines again."""
    counts = Counter(new[gap.new_start : gap.new_end])
    repeats = [counts[line] for line in old[gap.old_start : gap.old_end]]
    blocks = min(len(repeats) - repeats.count(0), gap.new_end - gap.new_start)
    return (len(repeats) + sum(repeats)) * blocks


def _in_place(old: Sequence[str], new: Sequence[str], gap: Edit) -> Iterator[Edit]:
    i, i_end, j, j_end = gap
    if i_end - i != j_end - j:
        yield gap
        return
    differ = map(ne, old[i:i_end], new[j:j_end])
    for changed, run in groupby(range(i_end - i), key=lambda _: next(differ)):
        if changed:
            first, *rest = run
            end = first + 1 + len(rest)
            yield Edit(i + first, i + end, j + first, j + end)


def _compare(old: Sequence[str], new: Sequence[str], gap: Edit) -> Iterator[Edit]:
    i, i_end, j, j_end = gap
    matcher = SequenceMatcher(None, old[i:i_end], new[j:j_end], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            yield Edit(i + i1, i + i2, j + j1, j + j2)
