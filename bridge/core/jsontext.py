"""JSON in a string, written again in the style that it had: blanks, indent, escapes.

A structured result is such a text, and an agent may show it to a human or compare it, so it keeps its looks. But the
style is the peer's word, and costs are ours: an indent counts once for every line, so that of a hostile text would
make gigabytes out of one megabyte. What would become much longer is written compactly instead.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["write_like"]

MOST_LEVELS: Final = 16  # that are indented; results have five, and every level costs time for all that is below it
ROOM: Final = 4096  # characters that a text may grow by in any case: short ones double easily

_INDENTED: Final = re.compile(r"\s*[\[{]\s*?\n([ \t]{0,8})(?![ \t])")  # nobody indents by more
_SPACED: Final = re.compile(r'[\s\[{]*"[^"]*": ')


def write_like(text: str, value: Any) -> str:
    """Write `value` in the style of the JSON that it came from, or compactly where that style is out of proportion.

    Raises `ValueError` for what is no JSON (1e999), `RecursionError` for what is nested too deeply.
    """
    ascii_only = text.isascii()
    indented = _INDENTED.match(text)
    if indented is not None:
        written = _indented(value, indented[1], ascii_only, 2 * len(text) + ROOM)
        if written is not None:
            return written
    spaced = indented is None and _SPACED.match(text) is not None
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(value, separators=separators, ensure_ascii=ascii_only, allow_nan=False)


def _indented(value: Any, indent: str, ascii_only: bool, most: int) -> str | None:
    """Write `value` indented; None: it would have more than `most` characters, or more levels than anything real."""
    if not _is_shallow(value):
        return None
    encoder = json.JSONEncoder(indent=indent, separators=(",", ": "), ensure_ascii=ascii_only, allow_nan=False)
    parts = []
    for part in encoder.iterencode(value):
        most -= len(part)
        if most < 0:
            return None
        parts.append(part)
    return "".join(parts)


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS + 1):  # the last one holds no more than values
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False
