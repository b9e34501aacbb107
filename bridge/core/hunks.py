"""Hunks: what changes between two texts, numbered and exact.

The page and the agent's report both use these, so that they speak of the same hunks. Lines are compared with
their endings: a change from CRLF to LF is a change, and is shown as one. Bounded as `lines.edits` is; where
that gives up on fine detail, a hunk replaces one block by another and stays exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from bridge.core.lines import Edit, edits, ending, split, split_lf

__all__ = ["Hunk", "Line", "diff", "stats", "unified"]

_NO_NEWLINE: Final = "\\ No newline at end of file\n"


class Line(NamedTuple):
    """One line of a hunk; a tuple, because a hunk may hold a million of them.

    `kind` is ``" "`` (on both sides), ``"-"`` or ``"+"``; `ending` is LF, CRLF, CR or, at the end of a text,
    nothing; the numbers are 1-based, and None on the side that does not have the line.
    """

    kind: str
    text: str
    ending: str
    old_no: int | None
    new_no: int | None


@dataclass(frozen=True, slots=True)
class Hunk:
    """Neighbouring changes with the lines around them.

    `id` is ``h1``, ``h2``, … in order: stable for one pair of texts. Starts are 1-based; where a side has no
    lines, its start is the line before, as in a unified diff.
    """

    id: str
    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[Line, ...]


def diff(old: str, new: str, context: int = 3) -> tuple[Hunk, ...]:
    """Compare two texts line by line, with `context` unchanged lines around each change."""
    return _diff(split(old), split(new), context)


def stats(hunks: Iterable[Hunk]) -> tuple[int, int]:
    """Count the lines added and removed."""
    kinds = [line.kind for hunk in hunks for line in hunk.lines]
    return kinds.count("+"), kinds.count("-")


def unified(old: str, new: str, old_name: str, new_name: str) -> str:
    """Write the change as a unified diff that ``git apply`` and ``patch`` take; empty if there is none.

    The names stand in the header as they are given (``a/src/x.py``, ``/dev/null``), quoted as git quotes them
    where they hold quotes, backslashes or control characters. As in git only LF ends a line here.
    """
    hunks = _diff(split_lf(old), split_lf(new), context=3)
    if not hunks:
        return ""
    body = chain.from_iterable(map(_unified_hunk, hunks))
    return f"--- {_quoted(old_name)}\n+++ {_quoted(new_name)}\n" + "".join(body)


def _diff(old: Sequence[str], new: Sequence[str], context: int) -> tuple[Hunk, ...]:
    groups = _grouped(edits(old, new), context)
    return tuple(_hunk(f"h{n}", old, new, group, context) for n, group in enumerate(groups, 1))


def _grouped(found: Iterable[Edit], context: int) -> list[list[Edit]]:
    """Put edits together whose context would touch or overlap."""
    groups: list[list[Edit]] = []
    for edit in found:
        if groups and edit.old_start - groups[-1][-1].old_end <= 2 * context:
            groups[-1].append(edit)
        else:
            groups.append([edit])
    return groups


def _hunk(id_: str, old: Sequence[str], new: Sequence[str], group: list[Edit], context: int) -> Hunk:
    first, last = group[0], group[-1]
    before = min(context, first.old_start)  # the same on both sides: nothing differs there
    after = min(context, len(old) - last.old_end)
    i, i_end = first.old_start - before, last.old_end + after
    j, j_end = first.new_start - before, last.new_end + after
    return Hunk(
        id=id_,
        old_start=i + (i < i_end),
        old_count=i_end - i,
        new_start=j + (j < j_end),
        new_count=j_end - j,
        lines=tuple(_lines(old, new, group, Edit(i, i_end, j, j_end))),
    )


def _lines(old: Sequence[str], new: Sequence[str], group: list[Edit], span: Edit) -> Iterator[Line]:
    """Yield the lines of `span`: the edits of `group`, and what is equal between them."""
    i, j = span.old_start, span.new_start
    for edit in [*group, Edit(span.old_end, span.old_end, span.new_end, span.new_end)]:
        for both, line in enumerate(old[i : edit.old_start], 1):
            yield _line(" ", line, i + both, j + both)
        for at in range(edit.old_start, edit.old_end):
            yield _line("-", old[at], at + 1, None)
        for at in range(edit.new_start, edit.new_end):
            yield _line("+", new[at], None, at + 1)
        i, j = edit.old_end, edit.new_end


def _line(kind: str, line: str, old_no: int | None, new_no: int | None) -> Line:
    end = ending(line)
    return Line(kind, line[: len(line) - len(end)], end, old_no, new_no)


def _unified_hunk(hunk: Hunk) -> Iterator[str]:
    yield f"@@ -{hunk.old_start},{hunk.old_count} +{hunk.new_start},{hunk.new_count} @@\n"
    for line in hunk.lines:
        yield line.kind + line.text + line.ending
        if not line.ending.endswith("\n"):
            # Cut at LF only, a line without one is the last of its text, even if it ends in CR.
            yield "\n" + _NO_NEWLINE


def _quoted(name: str) -> str:
    """Write a file name as git does in a diff; after a name with a space, a tab ends it."""
    if re.search(r'[\x00-\x1f\x7f"\\]', name):
        return '"' + re.sub(r'[\x00-\x1f\x7f"\\]', lambda match: f"\\{ord(match[0]):03o}", name) + '"'
    return name + "\t" if " " in name else name
