"""Edits of other programs' JSON that change nothing else, down to the byte: comments, blanks, order, line endings.

What is read is JSON with ``//`` and ``/* */`` comments and with commas at the end, as most programs read theirs;
whoever reads less has no file with more in it. Python's own decoder does the reading: comments and last commas are
blanked out first, so that every offset stays what it was, and the decoder tells where each value ends. An edit is a few
characters taken out of the text or put into it, and leaves comments to whom they belong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import BadData

__all__ = ["Key", "insert", "parse", "remove", "replace"]

Key = str | int
"""A step into a document: a member's name, or the index of an array's element."""

_BLANK: Final = " \t\r\n"
_COMMENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA: Final = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=[ \t\r\n]*[}\]])', re.DOTALL)
_SKIP: Final = re.compile(r"[ \t\r\n]*")
_INDENT: Final = re.compile(r"\{\s*?\n([ \t]+)\S")
_CLOSING: Final = {"{": "}", "[": "]"}
_TWO_SPACES: Final = "  "
_ONE_STRING: Final = re.compile(r'\[\n\s*("(?:[^"\\]|\\.)*")\n\s*\]')


def parse(text: str) -> Any:
    """Read a document; one without any value is ``{}``, as a file is that somebody emptied.

    Raises `BadData` with line and column for what is no JSON, and for what no configuration holds: infinite numbers,
    numbers of thousands of digits, a thousand levels.
    """
    return _Document(text).value


def insert(text: str, path: Sequence[str], key: str | None, value: Any) -> str:
    """Put a member `key`, or with None an element of an array, at the end of what `path` leads to.

    What is missing on the way is made. It is written in the document's style: indented as its neighbours are, in one
    line where they are. Raises `BadData` where something on the way is neither an object nor that array.
    """
    document = _Document(text)
    steps = list(path)
    if document.root is None:
        whole = _written(_wrapped([*steps, key], value), _TWO_SPACES)
        start = "" if not text.strip("\ufeff") or text.endswith("\n") else document.newline
        return text + start + whole.replace("\n", document.newline) + document.newline
    at = document.root
    while steps:
        item = _named(document.items(at, "{"), steps[0])
        if item is None:
            break
        at = item.value
        del steps[0]
    if steps:
        return document.put(at, steps[0], _wrapped([*steps[1:], key], value))
    return document.put(at, key, value)


def remove(text: str, path: Sequence[Key]) -> str:
    """Take out the member or the element that `path` leads to, with the comma that it needed.

    An object or array that is empty then is written ``{}`` or ``[]``, unless comments are left in it. Raises `KeyError`
    if there is no such thing.
    """
    document = _Document(text)
    at, (*steps, last) = document.root, path
    for step in steps:
        at = document.item(at, step).value
    item = document.item(at, last)
    items = document.items(at)
    index = items.index(item)
    last_end = item.end if item.comma is None else item.comma + 1
    cuts = [(document.start_with_blanks(item.start, last_end), item.end)]
    if item.comma is not None:
        cuts.append((item.comma, item.comma + 1))
    elif index:
        comma = items[index - 1].comma
        assert comma is not None  # something follows it
        cuts.insert(0, (comma, comma + 1))
    (start, _), (_, end), closing = cuts[0], cuts[-1], document.end(at) - 1
    if start == at + 1 and not text[end:closing].strip(_BLANK):  # nothing else is in it
        cuts.append((end, closing))
    for start, end in reversed(cuts):
        text = text[:start] + text[end:]
    return text


def replace(text: str, path: Sequence[Key], value: Any) -> str:
    """Write another value, in one line, where `path` leads to. Raises `KeyError` if there is none."""
    document = _Document(text)
    at = document.root
    for step in path:
        at = document.item(at, step).value
    return text[:at] + json.dumps(value, ensure_ascii=False) + text[document.end(at) :]


def _written(value: Any, indent: str | None) -> str:
    """Write a value as people do: an array of one string needs no lines of its own."""
    return _ONE_STRING.sub(r"[\1]", json.dumps(value, indent=indent, ensure_ascii=False))


def _wrapped(steps: Sequence[str | None], value: Any) -> Any:
    """Give `value` in objects of one member each, and in an array for a step without a name."""
    for step in reversed(steps):
        value = [value] if step is None else {step: value}
    return value


@dataclass(frozen=True, slots=True)
class _Item:
    """A member or an element; offsets into the text."""

    key: Key
    start: int
    value: int
    end: int  # of the value
    comma: int | None  # after it


def _named(items: Sequence[_Item], key: Key) -> _Item | None:
    """Find a member; of several the last, as every reader takes it."""
    return next((item for item in reversed(items) if item.key == key), None)


class _Document:
    """A text, and where the things in it are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self._decoder = json.JSONDecoder(parse_constant=_refuse)
        self._bare = self._strict = f" {text[1:]}" if text.startswith("\ufeff") else text
        try:
            self.value = self._decoder.decode(self._strict)  # nearly always, and fast
            self._has_comments = False
        except (ValueError, RecursionError):
            self._bare = _COMMENT.sub(_blanked, self._bare)
            self._strict = _LAST_COMMA.sub(_without_last_comma, self._bare)
            self._has_comments = True
            self.value = self._decode() if self._strict.strip(_BLANK) else {}
        self.root: Any = self._skip(0) if self._strict.strip(_BLANK) else None  # an offset

    def _decode(self) -> Any:
        try:
            return self._decoder.decode(self._strict)
        except json.JSONDecodeError as exc:
            raise BadData(f"line {exc.lineno}, column {exc.colno}: {exc.msg}") from exc
        except RecursionError as exc:
            raise BadData("it is nested too deeply") from exc
        except ValueError as exc:
            raise BadData(f"a number in it cannot be read: {exc}") from exc

    def items(self, at: int, kind: str = "") -> list[_Item]:
        """Find what is in the object or array at an offset. Raises `BadData` if it is none, or not of this `kind`."""
        opening = self._strict[at]
        if opening not in (kind or _CLOSING):
            line = self.text.count("\n", 0, at) + 1
            wanted = {"{": "an object ({ … })", "[": "an array ([ … ])"}.get(kind, "an object or an array")
            raise BadData(f"line {line}: {wanted} should be here")
        items: list[_Item] = []
        position = self._skip(at + 1)
        while self._strict[position] != _CLOSING[opening]:
            start, key = position, len(items)
            if opening == "{":
                key, position = self._decoder.raw_decode(self._strict, position)
                position = self._skip(self._skip(position) + 1)  # the colon
            end = self.end(position)
            after = _end_of_blanks(self._bare, end)
            has_comma = self._bare[after] == ","
            items.append(_Item(key, start, position, end, after if has_comma else None))
            position = self._skip(after + has_comma)
        return items

    def item(self, at: int | None, key: Key) -> _Item:
        """Find one; raises `KeyError`."""
        item = None if at is None else _named(self.items(at), key)
        if item is None:
            raise KeyError(key)
        return item

    def end(self, at: int) -> int:
        """Tell where the value at an offset ends."""
        _, end = self._decoder.raw_decode(self._strict, at)
        return end

    def start_with_blanks(self, start: int, end: int) -> int:
        """Tell where the blanks before something begin that goes with them; not if it would end up in a comment."""
        before = len(self.text[:start].rstrip(_BLANK))
        if not self._has_comments or self.text[end:].lstrip(" \t\r").startswith("\n"):
            return before
        *_, last = None, *_COMMENT.finditer(self.text, 0, before)
        in_line = last is not None and last.end() == before and last[0].startswith("//")
        return start if in_line else before

    def put(self, at: int, key: str | None, value: Any) -> str:
        """Give the text with one more member or element at the end of the object or array at an offset."""
        items = self.items(at, "[" if key is None else "{")
        closing = self.end(at) - 1
        inner_end = len(self.text[:closing].rstrip(_BLANK))
        apart = self._is_apart(at, items, inner_end, closing)
        unit = self._unit()
        indent = self._indent_of(items[-1].start) if items else self._indent_of(at) + unit
        written = _written(value, unit if apart else None)
        if apart:
            written = written.replace("\n", self.newline + indent)
        name = "" if key is None else json.dumps(key, ensure_ascii=False) + ": "
        blank = self.newline + indent if apart else " " if items else ""
        has_last_comma = bool(items) and items[-1].comma is not None
        new = blank + name + written + ("," if has_last_comma else "")
        if apart and not items and "\n" not in self.text[at:closing]:
            new += self.newline + self._indent_of(at)
        text = self.text[:inner_end] + new + self.text[inner_end:]
        if items and not has_last_comma:
            end = items[-1].end
            text = text[:end] + "," + text[end:]
        return text

    def _is_apart(self, at: int, items: Sequence[_Item], inner_end: int, closing: int) -> bool:
        """Tell whether what is put there gets lines of its own."""
        if items:
            return "\n" in self.text[at : items[0].start] or "\n" in self.text[inner_end:closing]
        inside = self.text[at + 1 : closing]
        return "\n" in (inside if inside.strip(_BLANK) else self.text)  # a comment in it stays in its line

    def _unit(self) -> str:
        """Tell by what the document indents: by what its first member is indented."""
        found = _INDENT.search(self._bare)
        return found[1] if found else _TWO_SPACES

    def _indent_of(self, at: int) -> str:
        """Give the blanks that the line of an offset begins with."""
        line = self.text[self.text.rfind("\n", 0, at) + 1 : at]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _skip(self, at: int) -> int:
        return _end_of_blanks(self._strict, at)


def _end_of_blanks(text: str, at: int) -> int:
    found = _SKIP.match(text, at)
    assert found is not None  # no blanks are some too
    return found.end()


def _blanked(match: re.Match[str]) -> str:
    """Replace a comment by as many blanks, with its line ends; leave a string."""
    return match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0])


def _without_last_comma(match: re.Match[str]) -> str:
    """Replace a comma before a closing bracket by a blank, if there is anything before it; leave a string."""
    if match[0] != ",":
        return match[0]
    before = match.start() - 1
    while before >= 0 and match.string[before] in _BLANK:
        before -= 1
    return "," if before < 0 or match.string[before] in "{[,:" else " "


def _refuse(word: str) -> Any:
    raise ValueError(word)
