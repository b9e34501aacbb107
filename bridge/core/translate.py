"""Paths in messages between an agent here and an IDE beyond the Windows boundary (design.md D9).

Paths are translated by field, from `TABLE`, never by search and replace: contents, titles, selections and fields
that are not listed cross untouched. In a request, a path that has no name on the other side is an error to the
asker, never a guess; in results and notifications it passes unchanged and is counted.

Whose style a path is in is seen from each string, in both directions, since the two styles of absolute paths have
nothing in common: an IDE on Windows may write ``/mnt/c/…`` (JetBrains does), and an agent may hand back what it
read elsewhere. What an IDE on Windows calls ``/mnt/c`` is its drive C:, wherever that is mounted here.

Structured results are JSON in a string (``content[].text``). They are parsed, mapped and written again in the style
they had; a text that is no JSON, or in which nothing had to change, stays as it was byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import reduce
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from bridge.core import jsonrpc
from bridge.core.jsonrpc import Message
from bridge.errors import BadData
from pathconv import Code, PathConvError, PathMapper

__all__ = ["TABLE", "Direction", "Kind", "Row", "Unmappable", "map_message", "to_agent", "to_agent_result", "to_ide"]

Direction = Literal["to_ide", "to_agent"]


class Kind(Enum):
    """What a field holds. Lists and JSON in a string are said by the field's name, see `Row`."""

    PATH = auto()  # an absolute path; also, where a plugin writes that instead, a ``file`` URI
    URI = auto()  # a URI; also, where a plugin writes that instead, a path


class Row(NamedTuple):
    """One field that holds a path.

    `field` is a way into the arguments of a call, its result, or the parameters of a notification: names, ``[]``
    for each item of a list, ``{}`` for what a string says as JSON. `tool` is empty for notifications. `source` is
    the fact in docs/protocol.md.
    """

    direction: Direction
    method: str
    tool: str
    field: str
    kind: Kind
    source: str


_CALL: Final = ("to_ide", "tools/call")
_RESULT: Final = ("to_agent", "tools/call")
_JSON: Final = "content[].text{}"

TABLE: Final[tuple[Row, ...]] = (
    Row(*_CALL, "openFile", "filePath", Kind.PATH, "T2"),
    Row(*_CALL, "openFile", "uri", Kind.URI, "T4"),
    Row(*_CALL, "openDiff", "old_file_path", Kind.PATH, "D1"),
    Row(*_CALL, "openDiff", "new_file_path", Kind.PATH, "D1"),
    Row(*_CALL, "close_tab", "path", Kind.PATH, "T7"),
    Row(*_CALL, "getDiagnostics", "uri", Kind.URI, "T11"),
    Row(*_CALL, "checkDocumentDirty", "filePath", Kind.PATH, "T9"),
    Row(*_CALL, "checkDocumentDirty", "uri", Kind.URI, "T9"),
    Row(*_CALL, "saveDocument", "filePath", Kind.PATH, "T13"),
    Row(*_CALL, "saveDocument", "uri", Kind.URI, "T13"),
    Row(*_RESULT, "openFile", f"{_JSON}.filePath", Kind.PATH, "T6"),
    Row(*_RESULT, "openFile", f"{_JSON}.fileUrl", Kind.URI, "T6"),
    Row(*_RESULT, "checkDocumentDirty", f"{_JSON}.filePath", Kind.PATH, "T9"),
    Row(*_RESULT, "saveDocument", f"{_JSON}.filePath", Kind.PATH, "T13"),
    Row(*_RESULT, "getCurrentSelection", f"{_JSON}.filePath", Kind.PATH, "T14"),
    Row(*_RESULT, "getCurrentSelection", f"{_JSON}.fileUrl", Kind.URI, "T14"),
    Row(*_RESULT, "getLatestSelection", f"{_JSON}.filePath", Kind.PATH, "T14"),
    Row(*_RESULT, "getLatestSelection", f"{_JSON}.fileUrl", Kind.URI, "T14"),
    Row(*_RESULT, "getOpenEditors", f"{_JSON}.tabs[].uri", Kind.URI, "T15"),
    Row(*_RESULT, "getOpenEditors", f"{_JSON}.tabs[].fileName", Kind.PATH, "T15"),
    Row(*_RESULT, "getOpenEditors", f"{_JSON}.editors[].uri", Kind.URI, "T15"),
    Row(*_RESULT, "getOpenEditors", f"{_JSON}.editors[].path", Kind.PATH, "T15"),
    Row(*_RESULT, "getWorkspaceFolders", f"{_JSON}.folders[].uri", Kind.URI, "T16"),
    Row(*_RESULT, "getWorkspaceFolders", f"{_JSON}.folders[].path", Kind.PATH, "T16"),
    Row(*_RESULT, "getWorkspaceFolders", f"{_JSON}.rootPath", Kind.PATH, "T16"),
    Row(*_RESULT, "getWorkspaceFolders", f"{_JSON}.workspaceFile", Kind.PATH, "T16"),
    Row(*_RESULT, "getDiagnostics", f"{_JSON}[].uri", Kind.URI, "T11"),
    Row(*_RESULT, "getDiagnostics", f"{_JSON}.filePath", Kind.PATH, "T17"),
    Row("to_agent", "selection_changed", "", "filePath", Kind.PATH, "N1"),
    Row("to_agent", "selection_changed", "", "fileUrl", Kind.URI, "N1"),
    Row("to_agent", "at_mentioned", "", "filePath", Kind.PATH, "N2"),
    Row("to_agent", "diagnostics_changed", "", "uris[]", Kind.URI, "N2"),
)


class Unmappable(BadData):
    """A request names a path that the IDE's side has no name for; `path` is the asker's, `reason` the code."""

    def __init__(self, error: PathConvError) -> None:
        super().__init__(f"the IDE has no name for this path ({error.code}): {error}", _HINTS.get(error.code, _HINT))
        self.path = error.path
        self.reason = error.code


_HINT: Final = "bridge path -w --explain PATH says which rule; an IDE on this side of the boundary knows every path"
_HINTS: Final[dict[Code, str]] = {
    Code.RELATIVE: "give the absolute path",
    Code.NO_DISTRO: "start the bridge in a WSL terminal, where WSL_DISTRO_NAME has the distribution's name",
    Code.NOT_UTF8: "rename the file: Windows has no names that are not text",
}


# ---- what links need: messages whose members are still raw


def to_ide(mapper: PathMapper, tool: str, arguments: bytes) -> bytes:
    """Map the arguments of a call, for the IDE. Raises `Unmappable` for a path without a name there."""
    try:
        return _mapped(arguments, (*_CALL, tool), _Names(mapper, "to_ide", strict=True)) or arguments
    except PathConvError as exc:
        raise Unmappable(exc) from exc


def to_agent_result(mapper: PathMapper, tool: str, answer: Message) -> tuple[Message, int]:
    """Map the answer to a call of `tool`, for the agent; count the paths that pass unchanged for want of a name."""
    names = _Names(mapper, "to_agent")
    result = _mapped(answer.result, (*_RESULT, tool), names)
    return replace(answer, result=msgspec.Raw(result)) if result else answer, names.untranslated


def to_agent(mapper: PathMapper, said: Message) -> tuple[Message, int]:
    """Map a notification of the IDE's, for the agent; with the same count."""
    names = _Names(mapper, "to_agent")
    params = _mapped(said.params, ("to_agent", said.method or "", ""), names)
    return replace(said, params=msgspec.Raw(params)) if params else said, names.untranslated


def _mapped(raw: bytes | msgspec.Raw, where: tuple[str, str, str], names: _Names) -> bytes | None:
    """Map a member, or give None where nothing changes; it is not decoded when no field of it is listed."""
    tree = _TREES.get(where)
    if tree is None:
        return None
    try:
        value = jsonrpc.load(raw)
    except ValueError:
        return None  # not ours to complain of: whoever reads it does
    mapped = tree.map(value, names)
    return None if mapped is value else jsonrpc.dump(mapped)


# ---- a message as a whole


def map_message(mapper: PathMapper, direction: Direction, message: Any, *, tool: str | None = None) -> Any:
    """Map one decoded JSON-RPC message; what is not listed, or has the wrong type, stays as it is.

    Args:
        direction: whose names are wanted. Each kind of message has its way, but may be mapped the other way too.
        tool: for a response, the tool that was called: a response does not say. None: that is not known; then
            the fields of every tool's result are looked for, if the result begins with JSON (so that the text of
            an accepted diff, which may look like anything, is let be).

    Raises `PathConvError` for a path that an IDE is asked about and that has no name on its side. The message that
    was given is not changed; it is returned itself when there was nothing to map.
    """
    if not isinstance(message, dict):
        return message
    member, tree = _member(message, tool)
    value = message.get(member)
    strict = direction == "to_ide" and message.get("method") == "tools/call"
    mapped = tree.map(value, _Names(mapper, direction, strict))
    return message if mapped is value else message | {member: mapped}


def _member(message: dict[str, Any], tool: str | None) -> tuple[str, _Tree]:
    """Say which member of the message may hold paths, and where in it."""
    match message:
        case {"method": "tools/call", "params": {"name": str(name)}}:
            return "params", _Tree(fields={"arguments": _TREES.get((*_CALL, name), _NOTHING)})
        case {"method": str(method)}:
            return "params", _TREES.get(("to_agent", method, ""), _NOTHING)
        case {"result": _} if tool is not None:
            return "result", _TREES.get((*_RESULT, tool), _NOTHING)
        case {"result": {"content": [{"text": str(text)}, *_]}} if text.lstrip().startswith(("{", "[")):
            return "result", _ANY_RESULT
    return "result", _NOTHING


# ---- the table as trees


@dataclass(slots=True)
class _Tree:
    """The fields of one member that hold paths: what to do with a value, by its type."""

    kind: Kind | None = None  # of a string that is a path
    fields: dict[str, _Tree] = field(default_factory=dict)
    items: _Tree | None = None
    json: _Tree | None = None  # of a string that is JSON

    def grow(self, step: str) -> _Tree:
        """Give the branch for one step of a field's name, new or there already."""
        if step == "[]":
            self.items = self.items or _Tree()
            return self.items
        if step == "{}":
            self.json = self.json or _Tree()
            return self.json
        return self.fields.setdefault(step, _Tree())

    def map(self, value: Any, names: _Names) -> Any:
        """Give `value` with its paths mapped: a copy, or itself when nothing changed."""
        match value:
            case str() if self.kind is not None:
                return names.other(value, self.kind)
            case str() if self.json is not None:
                return self.json.map_json(value, names)
            case list() if self.items is not None:
                items = [self.items.map(item, names) for item in value]
                return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
            case dict():
                known = {name: tree.map(value[name], names) for name, tree in self.fields.items() if name in value}
                changed = {name: new for name, new in known.items() if new is not value[name]}
                return value | changed if changed else value
        return value

    def map_json(self, text: str, names: _Names) -> str:
        """Give a JSON text with its paths mapped, in the style that it had."""
        try:
            value = json.loads(text)
            mapped = self.map(value, names)
            return text if mapped is value else _write_like(text, mapped)
        except (ValueError, RecursionError):
            return text


_STEP: Final = re.compile(r"\w+|\[\]|\{\}")


def _trees(rows: Iterable[Row]) -> dict[tuple[str, str, str], _Tree]:
    """Build one tree for each member that the table speaks of."""
    trees: dict[tuple[str, str, str], _Tree] = {}
    for row in rows:
        root = trees.setdefault((row.direction, row.method, row.tool), _Tree())
        reduce(_Tree.grow, _STEP.findall(row.field), root).kind = row.kind
    return trees


_TREES: Final = _trees(TABLE)
_ANY_RESULT: Final = _trees(row._replace(tool="") for row in TABLE if row[:2] == _RESULT)[*_RESULT, ""]
_NOTHING: Final = _Tree()

_INDENTED: Final = re.compile(r"\s*[\[{]\s*?\n([ \t]*)")
_SPACED: Final = re.compile(r'[\s\[{]*"[^"]*": ')


def _write_like(text: str, value: Any) -> str:
    """Write `value` in the style of the JSON that it came from. Raises `ValueError` for what is no JSON (1e999)."""
    indented = _INDENTED.match(text)
    spaced = indented or _SPACED.match(text)
    return json.dumps(
        value,
        indent=indented[1] if indented else None,
        separators=("," if indented or not spaced else ", ", ": " if spaced else ":"),
        ensure_ascii=text.isascii(),
        allow_nan=False,
    )


# ---- one string

_FILE_URI: Final = re.compile(r"(?:file|vscode-remote):", re.IGNORECASE)
_DIFF_URI: Final = re.compile(r"(_claude_\w+:)(//?[^/].*)", re.DOTALL)  # a side of official's diff: its own scheme
_OTHER_URI: Final = re.compile(r"\w[\w+.-]+:")  # two letters at least: one is a drive
_SAYS_NOTHING: Final = frozenset({Code.RELATIVE, Code.EMPTY})  # the same on both sides


@dataclass(slots=True)
class _Names:
    """Finds the other side's names for what the strings of one message mean."""

    mapper: PathMapper
    direction: Direction
    strict: bool = False  # a path without a name is an error
    untranslated: int = 0  # otherwise: such paths, that passed unchanged

    def other(self, text: str, kind: Kind) -> str:
        """Give the other side's name, `text` itself if that is it. Raises `PathConvError` if strict."""
        try:
            name = self._other(text, kind)
        except PathConvError as exc:
            if self.strict and exc.code is not Code.EMPTY:
                raise PathConvError(exc.code, text, exc.why) from exc  # in the asker's own spelling
            self.untranslated += exc.code not in _SAYS_NOTHING
            return text
        return text if name == text else name

    def _other(self, text: str, kind: Kind) -> str:
        if _FILE_URI.match(text):
            return self._uri(text)
        if diff := _DIFF_URI.match(text):
            rest = self._uri("file:" + ("" if diff[2].startswith("//") else "//") + diff[2]).removeprefix("file:")
            return diff[1] + (rest.removeprefix("//") if rest.startswith("///") else rest)
        if kind is Kind.URI and _OTHER_URI.match(text):
            return text  # untitled:, git:, output:, … name no file
        return self._path(text)

    def _uri(self, uri: str) -> str:
        here = self.mapper.local_uri(uri)
        return here if self.direction == "to_agent" else self.mapper.peer_uri(here)

    def _path(self, path: str) -> str:
        if self.direction == "to_ide":
            return self.mapper.to_peer(self.mapper.to_local(path))
        ide_in_windows = self.mapper.facts.local == "linux"
        return self.mapper.ide_folder(path, True) if ide_in_windows else self.mapper.to_local(path)
