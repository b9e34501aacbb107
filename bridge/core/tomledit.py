"""Edits of other programs' TOML that change nothing else, down to the byte.

Only tables under a header of their own are edited: ``[mcp_servers.bridge]``, as programs and people write them. tomllib
reads; where a header stands it tells too, since what stands before a header is a document of its own, and what stands
before a line of a string or an array is none. (tomlkit, which edits documents, takes comments along with the table
above them, mixes line endings, and refuses a BOM.)
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from bridge.errors import BadData

__all__ = ["insert", "parse", "remove", "replace"]

_BOM: Final = "\ufeff"
_HEADER: Final = re.compile(r"^\ufeff?([ \t]*\[.*)$", re.MULTILINE)
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_NO_CONTENT: Final = re.compile(r"[ \t]*(#.*)?\r?\n?")
_BLANK_LINE: Final = re.compile(r"(?:^|\n)[ \t]*\r?\n\Z")
_STRING: Final = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


def parse(text: str) -> dict[str, Any]:
    """Read a document. Raises `BadData` with line and column for what is no TOML."""
    try:
        return tomllib.loads(text.removeprefix(_BOM))
    except tomllib.TOMLDecodeError as exc:
        raise BadData(f"{exc}") from exc
    except RecursionError as exc:
        raise BadData("it is nested too deeply") from exc


def insert(text: str, path: Sequence[str], key: str, value: dict[str, Any]) -> str:
    """Append a table of strings and arrays of strings, after an empty line.

    A document that has the table above it in one line cannot have it; the caller notices by reading the result.
    """
    newline = _newline(text)
    lines = [f"[{'.'.join(map(_key, [*path, key]))}]", *(f"{_key(name)} = {_value(v)}" for name, v in value.items())]
    table = newline.join(lines)
    if text.removeprefix(_BOM) == "":
        return text + table + newline
    if text.endswith("\n"):
        return text + newline + table + newline
    return text + newline + newline + table  # a file without a newline at its end goes on having none


def remove(text: str, path: Sequence[str]) -> str:
    """Take out a table, with the tables in it and the empty line above each; comments after it stay.

    Raises `KeyError` if no header names it.
    """
    tables = list(_tables(text, tuple(path)))
    if not tables:
        raise KeyError(path)
    for start, end, _ in reversed(tables):
        head, tail = text[:start], text[end:]
        if _BLANK_LINE.search(head):
            head = head.removesuffix("\n").removesuffix("\r").rstrip(" \t")
        if not tail and not text.endswith("\n"):
            head = head.removesuffix("\n").removesuffix("\r")
        text = head + tail
    return text


def replace(text: str, path: Sequence[str], value: str) -> str:
    """Write another string for a key of a table. Raises `KeyError` if the table has no such line."""
    *table, key = path
    assignment = re.compile(rf"^([ \t]*{re.escape(key)}[ \t]*=[ \t]*){_STRING}", re.MULTILINE)
    for start, end, named in _tables(text, tuple(table)):
        found = assignment.search(text, start, end)
        if found and named == tuple(table):
            return text[: found.end(1)] + _value(value) + text[found.end() :]
    raise KeyError(path)


def _tables(text: str, path: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Find a table and those in it: where its header begins, where its last line of content ends, and its path."""
    headers = [(found.start(1), _path_of(found[1])) for found in _HEADER.finditer(text)]
    for index, (start, named) in enumerate(headers):
        if named[: len(path)] == path and _is_document(text[:start]):
            later = (at for at, name in headers[index + 1 :] if name and _is_document(text[:at]))
            yield start, _content_end(text, start, next(later, len(text))), named


def _path_of(line: str) -> tuple[str, ...]:
    """Read a header; nothing if the line is none."""
    try:
        value: Any = tomllib.loads(line.removesuffix("\r"))
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while isinstance(value, dict) and value:
        (name, value), *_ = value.items()
        path.append(name)
    return tuple(path)


def _is_document(text: str) -> bool:
    try:
        parse(text)
    except BadData:
        return False
    return True


def _content_end(text: str, start: int, end: int) -> int:
    """Leave out the empty lines and the comments at the end: they belong to what follows."""
    lines = _LINE.findall(text, start, end)
    while _NO_CONTENT.fullmatch(lines[-1]):  # the header is content
        end -= len(lines.pop())
    return end


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _key(name: str) -> str:
    return name if _BARE.match(name) else _value(name)


def _value(value: str | list[str]) -> str:
    """Write a string, or several. JSON's escapes are TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
