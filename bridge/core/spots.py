"""Spots: a line of a file named by a text that occurs there and nowhere else.

The official plugin's ``openFile`` takes no line, only a text to select (docs/protocol.md); so a place is asked
for by the shortest text that starts there and is unique in the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Spot", "find_spot"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file for IDEs that take no line: `start` is unique in the file.

    `end` is what follows when that is unique too, else `start` again, so that it is found wherever a plugin
    begins to look for it.
    """

    start: str
    end: str


_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")  # an editor's idea of a line, not `str.splitlines`'s
_REST: Final = re.compile(r"\S[^\r\n]*")
_SPOT_LINES: Final = 20  # a place that so many lines do not make unique is not worth searching on


def find_spot(text: str, line: int, column: int | None = None) -> Spot | None:
    """Find a text that occurs once in `text` and starts at `line` (and `column`), both 1-based.

    Without a column it starts at the line's first character that is not blank. None when the line does not
    exist or nothing unique starts there.
    """
    spans = [match.span() for match in _LINE.finditer(text)]
    if not 1 <= line <= len(spans):
        return None
    here = text[slice(*spans[line - 1])].rstrip("\r\n")
    indent = len(here) - len(here.lstrip())
    start = spans[line - 1][0] + (indent if column is None else min(column - 1, len(here)))
    for _, stop in spans[line - 1 : line - 1 + _SPOT_LINES]:
        if text[start:stop].strip() and _is_unique(text, start, stop):
            cut = _shortest_unique(text, start, stop)
            end = _REST.search(text, cut)
            return Spot(text[start:cut], end[0] if end and _is_unique(text, *end.span()) else text[start:cut])
    return None


def _is_unique(text: str, start: int, stop: int) -> bool:
    wanted = text[start:stop]
    return text.find(wanted) == start and text.find(wanted, start + 1) < 0


def _shortest_unique(text: str, start: int, stop: int) -> int:
    """Bisect for the end of the shortest unique prefix: what is unique stays so when it grows."""
    low, high = start + 1, stop
    while low < high:
        middle = (low + high) // 2
        if text[start:middle].strip() and _is_unique(text, start, middle):
            high = middle
        else:
            low = middle + 1
    return low
