"""Paths in messages between an agent here and an IDE beyond the Windows boundary (design.md D9).

Paths are translated by field, from `TABLE`, never by search and replace: contents, titles, selections and fields
that are not listed cross untouched. In a request, a path that has no name on the other side is an error to the
asker, never a guess; in results and notifications it passes unchanged and is counted.

Structured results are JSON in a string (``content[].text``). They are parsed, mapped and written again in the style
they had; a text that is no JSON, or in which nothing had to change, stays as it was byte for byte. What becomes of one
string says `bridge.core.naming`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from bridge.core import jsonrpc
from bridge.core.jsonrpc import Message
from bridge.core.jsontext import write_like
from bridge.core.naming import Direction, Kind, Names
from bridge.core.unmappable import Unmappable
from bridge.errors import BadData
from pathconv import PathConvError, PathMapper

__all__ = ["TABLE", "Direction", "Kind", "Row", "Unmappable", "map_message", "to_agent", "to_agent_result", "to_ide"]

_Where = tuple[str, str, str]  # direction, method, tool

# Bytes of what an IDE says at once, if it is to be mapped: a MiB may take half a second, in which the daemon does
# nothing else. All that a human has open, and a workspace full of problems, fits in.
MOST_BYTES: Final = 2 * 2**20


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
    Row(*_CALL, "openDiff", "filePath", Kind.PATH, "G1"),
    Row(*_CALL, "closeDiff", "filePath", Kind.PATH, "G3"),
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
    Row("to_agent", "ide/diffAccepted", "", "filePath", Kind.PATH, "G2"),
    Row("to_agent", "ide/diffRejected", "", "filePath", Kind.PATH, "G2"),
    Row("to_agent", "ide/diffClosed", "", "filePath", Kind.PATH, "G2"),
    Row("to_agent", "ide/contextUpdate", "", "workspaceState.openFiles[].path", Kind.PATH, "G4"),
    Row("to_agent", "at_mentioned", "", "filePath", Kind.PATH, "N2"),
    Row("to_agent", "diagnostics_changed", "", "uris[]", Kind.URI, "N2"),
)


# ---- what links need: messages whose members are still raw


def to_ide(mapper: PathMapper, tool: str, arguments: bytes) -> bytes:
    """Map the arguments of a call, for the IDE.

    Raises `Unmappable` for a path without a name there, or by whose name Windows means another file; `BadData` for
    what cannot be read, since nobody knows what an IDE would make of it.
    """
    try:
        return _mapped(arguments, (*_CALL, tool), Names(mapper, "to_ide", strict=True, exact=True)) or arguments
    except PathConvError as exc:
        raise Unmappable.nameless(exc) from exc
    except (ValueError, RecursionError) as exc:
        raise BadData(f"the arguments of {tool} are not JSON: {exc}") from exc


def to_agent_result(mapper: PathMapper, tool: str, answer: Message) -> tuple[Message, int]:
    """Map the answer to a call of `tool`, for the agent; count the paths that pass unchanged for want of a name.

    Never raises for what an IDE said: an answer that is too big or cannot be read passes as it came, and counts as one.
    """
    names = Names(mapper, "to_agent")
    result = _passed(answer.result, (*_RESULT, tool), names)
    return replace(answer, result=msgspec.Raw(result)) if result else answer, names.untranslated


def to_agent(mapper: PathMapper, said: Message) -> tuple[Message, int]:
    """Map a notification of the IDE's, for the agent; with the same count."""
    names = Names(mapper, "to_agent")
    params = _passed(said.params, ("to_agent", said.method or "", ""), names)
    return replace(said, params=msgspec.Raw(params)) if params else said, names.untranslated


def _passed(raw: msgspec.Raw, where: _Where, names: Names) -> bytes | None:
    """Map a member of what an IDE says, or give None where it passes as it came."""
    if where in _TREES and len(raw) > MOST_BYTES:
        names.untranslated += 1
        return None
    try:
        return _mapped(raw, where, names)
    except (ValueError, RecursionError, MemoryError):
        names.untranslated += 1
        return None


def _mapped(raw: bytes | msgspec.Raw, where: _Where, names: Names) -> bytes | None:
    """Map a member, or give None where nothing changes; it is not decoded when no field of it is listed.

    Raises `PathConvError` if `names` is strict, `ValueError` or `RecursionError` for what cannot be read or written.
    """
    tree = _TREES.get(where)
    if tree is None:
        return None
    value = jsonrpc.load(raw)
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
    mapped = tree.map(value, Names(mapper, direction, strict))
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

    def map(self, value: Any, names: Names) -> Any:
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

    def map_json(self, text: str, names: Names) -> str:
        """Give a JSON text with its paths mapped, in the style that it had."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text  # no JSON, but words
        mapped = self.map(value, names)
        if mapped is value:
            return text
        try:
            return write_like(text, mapped)
        except (ValueError, RecursionError):
            names.untranslated += 1
            return text


_STEP: Final = re.compile(r"\w+|\[\]|\{\}")


def _trees(rows: Iterable[Row]) -> dict[_Where, _Tree]:
    """Build one tree for each member that the table speaks of."""
    trees: dict[_Where, _Tree] = {}
    for row in rows:
        root = trees.setdefault((row.direction, row.method, row.tool), _Tree())
        reduce(_Tree.grow, _STEP.findall(row.field), root).kind = row.kind
    return trees


_TREES: Final = _trees(TABLE)
_ANY_RESULT: Final = _trees(row._replace(tool="") for row in TABLE if row[:2] == _RESULT)[*_RESULT, ""]
_NOTHING: Final = _Tree()
