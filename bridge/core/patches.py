"""Codex's patches: reading them, saying what they make of a file, and writing one that makes an exact text.

The format is Codex's own (``*** Begin Patch``), not a unified diff: a hunk says no line numbers, it is searched for,
from where the last one ended. Codex searches four times, each time less strictly, and takes the first place that fits
(docs/protocol.md "Hooks"). So do we; what was found by less than the very lines is `Applied.exact` False, and is better
said again in exact words (`write`), so that no version of Codex finds it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.core.edits import CannotTell
from bridge.core.hunks import Hunk, diff

__all__ = ["Add", "Applied", "Section", "Update", "apply", "parse", "whole", "write"]

_BEGIN: Final = "*** Begin Patch"
_END: Final = "*** End Patch"
_ADD: Final = "*** Add File: "
_DELETE: Final = "*** Delete File: "
_UPDATE: Final = "*** Update File: "
_MOVE: Final = "*** Move to: "
_EOF: Final = "*** End of File"
_CONTEXT: Final = "@@"
_MARKS: Final = ("*** ", _CONTEXT)


@dataclass(slots=True)
class Chunk:
    """Lines that are replaced by others, after the line `context` if there is one."""

    context: str | None = None
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    at_end: bool = False

    def take(self, line: str) -> None:
        """Take one line of the patch."""
        kind, text = line[:1], line[1:]
        if kind not in ("", " ", "-", "+") or self.at_end:
            raise CannotTell("a line of the patch is neither old nor new")
        if kind != "+":
            self.old.append(text)
        if kind != "-":
            self.new.append(text)


@dataclass(slots=True)
class Add:
    """A file that is written whole, whatever was there."""

    path: str
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What is written."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(slots=True)
class Update:
    """A file that is changed in places."""

    path: str
    chunks: list[Chunk] = field(default_factory=list)


Section = Add | Update


class Applied(NamedTuple):
    """What a section makes of a file; `exact`: every line of the patch was found as it is, and nowhere before."""

    text: str
    exact: bool


def parse(patch: str) -> list[Section]:
    """Read a patch.

    Raises `CannotTell` for what is none, for one that deletes or moves files or names a file twice, and for what Codex
    reads differently from version to version: carriage returns, marks among blanks.
    """
    if "\r" in patch:
        raise CannotTell("the patch has carriage returns")
    lines = patch.strip().split("\n")
    if len(lines) < 2 or (lines[0].strip(), lines[-1].strip()) != (_BEGIN, _END):
        raise CannotTell("it is no patch as Codex has them")
    sections: list[Section] = []
    for line in lines[1:-1]:
        if line != (mark := line.strip()) and mark.startswith(_MARKS):
            raise CannotTell("the patch has a mark among blanks, which may be a line of the file")
        header = _header(line)
        if header is not None:
            sections.append(header)
        elif not sections:
            raise CannotTell("the patch does not begin with a file")
        else:
            _take(sections[-1], line)
    _check(sections)
    return sections


def _header(line: str) -> Section | None:
    if line.startswith(_ADD):
        return Add(line.removeprefix(_ADD))
    if line.startswith(_UPDATE):
        return Update(line.removeprefix(_UPDATE))
    if line.startswith((_DELETE, _MOVE)):
        raise CannotTell("the patch deletes or moves a file, which no diff shows")
    return None


def _take(section: Section, line: str) -> None:
    if isinstance(section, Update):
        _take_change(section.chunks, line)
    elif line.startswith("+"):
        section.lines.append(line[1:])
    else:
        raise CannotTell("the patch adds a file with a line that is not new")


def _take_change(chunks: list[Chunk], line: str) -> None:
    if line == _CONTEXT or line.startswith(_CONTEXT + " "):
        chunks.append(Chunk(line[len(_CONTEXT) + 1 :] or None))
    elif line == _EOF and chunks:
        chunks[-1].at_end = True
    elif line or chunks:
        if not chunks:
            chunks.append(Chunk())  # the first needs no mark
        chunks[-1].take(line)
    else:
        raise CannotTell("the patch has an empty line before the first change of a file")


def _check(sections: Sequence[Section]) -> None:
    if not sections:
        raise CannotTell("the patch is empty")
    if len({section.path for section in sections}) < len(sections):
        raise CannotTell("the patch names a file twice")
    if any(isinstance(section, Update) and not section.chunks for section in sections):
        raise CannotTell("the patch changes nothing in a file")


# ---- applying


def apply(section: Section, there: str | None) -> Applied:
    """Say what the section makes of the file's text; `there` is None where there is no file.

    Raises `CannotTell` where Codex refuses the patch, and for files with carriage returns.
    """
    if isinstance(section, Add):
        return Applied(section.text, exact=True)
    if there is None:
        raise CannotTell(f"there is no file {section.path}")
    if "\r" in there:
        raise CannotTell("Codex may change how lines end in it")
    lines = there.removesuffix("\n").split("\n") if there else []
    made, exact = _replaced(lines, section.chunks)
    if made[-1:] == [""]:
        raise CannotTell("some versions of Codex take away the empty line at its end")
    return Applied("".join(f"{line}\n" for line in made), exact)  # a newline at the end, whatever was there


class _Found(NamedTuple):
    at: int
    exact: bool


def _replaced(lines: list[str], chunks: Sequence[Chunk]) -> tuple[list[str], bool]:
    """Find where each chunk belongs, from the end of the last one on, then put the new lines there."""
    searched = _Searched(lines)
    places: list[tuple[int, int, list[str]]] = []
    at, exact = 0, True
    for chunk in chunks:
        if chunk.context is not None:
            found = searched.seek([chunk.context], at)
            at, exact = found.at + 1, exact and found.exact
        if not chunk.old:
            end = len(lines) - (lines[-1:] == [""])
            places.append((end, 0, chunk.new))
            exact = exact and chunk.context is None  # Codex disregards it here, which may not last
            continue
        found, old, new = _locate(searched, chunk, at)
        places.append((found.at, len(old), new))
        at, exact = found.at + len(old), exact and found.exact
    return _put(lines, places), exact


def _locate(searched: _Searched, chunk: Chunk, at: int) -> tuple[_Found, list[str], list[str]]:
    """Find the old lines; an empty one at their end may stand for the newline at the end of the file."""
    old, new = chunk.old, chunk.new
    try:
        return searched.seek(old, at, chunk.at_end), old, new
    except CannotTell:
        if old[-1] or len(old) == 1:
            raise
    shorter = new[:-1] if new[-1:] == [""] else new
    return searched.seek(old[:-1], at, chunk.at_end)._replace(exact=False), old[:-1], shorter


_SPACE: Final = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_PLAIN: Final = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u201a\u201b", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
    | dict.fromkeys("\xa0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
)
# How a line is read each time that the lines are searched: as it is, without blanks at its end, then without any around
# it (Unicode's White_Space), then with plain dashes, quotes and blanks.
_READINGS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    lambda line: line.rstrip(_SPACE),
    lambda line: line.strip(_SPACE),
    lambda line: line.strip(_SPACE).translate(_PLAIN),
)


class _Searched:
    """The lines of a file, in every reading that was wanted so far."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._read: list[list[str]] = []

    def seek(self, wanted: Sequence[str], at: int, at_end: bool = False) -> _Found:
        """Find the first place from `at` on, or the very end, where the wanted lines are. Raises `CannotTell`."""
        last = len(self._lines) - len(wanted)
        first = max(last, 0) if at_end else at
        for number, reading in enumerate(_READINGS):
            if number == len(self._read):
                self._read.append([reading(line) for line in self._lines])
            place = _index(self._read[number], [reading(line) for line in wanted], first, last + 1)
            if place is not None:
                return _Found(place, exact=number == 0)
        raise CannotTell("lines of the patch are not in the file")


def _index(lines: list[str], wanted: list[str], start: int, stop: int) -> int | None:
    """Find the wanted lines, the first of them at `start` or later and before `stop`."""
    try:
        while True:
            start = lines.index(wanted[0], start, max(stop, 0))
            if lines[start : start + len(wanted)] == wanted:
                return start
            start += 1
    except ValueError:
        return None


def _put(lines: list[str], places: Sequence[tuple[int, int, list[str]]]) -> list[str]:
    """Put new lines into their places, the last first, as Codex does: so none moves the others."""
    made = list(lines)
    ends = [start + length for start, length, _ in places]
    if any(start < end for (start, _, _), end in zip(places[1:], ends, strict=False)):
        raise CannotTell("parts of the patch are not in the order of the file")
    for start, length, new in reversed(places):
        made[start : start + length] = new
    return made


# ---- writing


def write(section: Section, there: str | None, wanted: str) -> str:
    """Write the section anew so that it makes `wanted` of the file; what is written was applied to see that it does.

    Raises `CannotTell` where no patch can: for a text without a newline at its end, for example.
    """
    for lines in _candidates(section, there, wanted):
        try:
            again = parse("\n".join([_BEGIN, *lines, _END]))
            if len(again) == 1 and apply(again[0], there) == Applied(wanted, exact=True):
                return "\n".join(lines)
        except CannotTell:
            pass
    raise CannotTell("no patch makes that")


def whole(sections: Sequence[str]) -> str:
    """Join sections to a patch."""
    return "\n".join([_BEGIN, *sections, _END]) + "\n"


def _candidates(section: Section, there: str | None, wanted: str) -> list[list[str]]:
    new = wanted.removesuffix("\n").split("\n") if wanted else []
    if isinstance(section, Add):
        return [[_ADD + section.path, *(f"+{line}" for line in new)]]
    header = _UPDATE + section.path
    old = there.removesuffix("\n").split("\n") if there else []
    everything = [header, _CONTEXT, *(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    return [[header, *(line for hunk in diff(there or "", wanted) for line in _hunk(hunk))], everything]


def _hunk(hunk: Hunk) -> list[str]:
    return [_CONTEXT, *(line.kind + line.text for line in hunk.lines)]
