"""What differs between IDE plugins: argument names, result shapes, first line 0 or 1.

Nothing here asks *which* plugin it talks to if the plugin's own words tell: arguments are filled from each
tool's ``inputSchema`` (`Tools`), results are read in every shape that was seen in the field. Only what no
schema says stands in `TRAITS`, one row per plugin. Facts and their certainty: docs/protocol.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from bridge.core import jsonrpc
from bridge.errors import BadData, Unavailable
from pathconv import PathError, to_uri

__all__ = [
    "OFFICIAL",
    "Answer",
    "Spot",
    "Tools",
    "Traits",
    "Verdict",
    "call",
    "close_tab_arguments",
    "file_arguments",
    "find_spot",
    "initialize",
    "open_diff_arguments",
    "open_file_arguments",
    "read_answer",
    "read_dirty",
    "read_open_file",
    "read_verdict",
    "tab_name",
    "traits_of",
    "zero_based",
    "zero_based_result",
]

PROTOCOL_VERSION: Final = "2025-06-18"  # echoed by the official plugin; community plugins answer 2024-11-05 [RUN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a plugin does that its schema does not say."""

    several_clients: bool = False  # a second client is served beside the first
    several_diffs: bool = False  # a second openDiff leaves the first one open
    keep_open: bool = False  # a client that leaves makes the plugin undiscoverable
    one_based: bool = False  # positions in its results count from 1


OFFICIAL: Final = Traits()
# (name of the IDE, argument of openFile that gives it away or None, traits); the first row that fits
TRAITS: Final[tuple[tuple[str, str | None, Traits], ...]] = (
    ("neovim", None, Traits(several_clients=True, several_diffs=True)),  # claudecode.nvim [CODE]
    ("emacs", "uri", Traits(keep_open=True)),  # monet deletes its lock when a client leaves [RUN]
    ("emacs", None, Traits(one_based=True)),  # claude-code-ide.el [CODE]
)


def traits_of(ide_name: str, tools: Tools) -> Traits:
    """Find the plugin's row by the name in its lock file and the tools that it lists."""
    name = ide_name.casefold()
    known = tools.properties("openFile")
    return next(
        (traits for ide, mark, traits in TRAITS if name.startswith(ide) and (mark is None or mark in known)),
        OFFICIAL,
    )


@dataclass(frozen=True, slots=True)
class Tools:
    """The IDE's tools by name, each with its ``inputSchema``; from ``tools/list``."""

    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def parse(cls, message: jsonrpc.Message) -> Tools:
        """Read the answer to ``tools/list``; what are not tools is skipped."""
        try:
            result = jsonrpc.load(message.result)
        except ValueError:
            result = None
        listed = result.get("tools") if isinstance(result, dict) else None
        found: dict[str, dict[str, Any]] = {}
        for tool in listed if isinstance(listed, list) else ():
            if isinstance(tool, dict) and isinstance(name := tool.get("name"), str):
                schema = tool.get("inputSchema")
                found[name] = schema if isinstance(schema, dict) else {}
        return cls(found)

    def properties(self, tool: str) -> frozenset[str]:
        """Name the arguments that `tool` takes; empty when it is not listed."""
        known = self.schemas.get(tool, {}).get("properties")
        return frozenset(known) if isinstance(known, dict) else frozenset()

    def fit(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Keep the arguments that `tool` takes and fill the required ones that are missing.

        A tool that is not listed gets all of them: absence from the list does not mean absence (the Neovim
        plugin hides ``close_tab`` and answers it).
        """
        schema = self.schemas.get(tool)
        if schema is None:
            return arguments
        known = self.properties(tool)
        kept = {name: value for name, value in arguments.items() if name in known or not known}
        required = schema.get("required")
        for name in required if isinstance(required, list) else ():
            if isinstance(name, str) and name not in kept:
                kept[name] = _filler(schema, name)
        return kept


_FILLERS: Final[dict[str, Any]] = {"string": "", "boolean": False, "integer": 0, "number": 0, "array": [], "object": {}}


def _filler(schema: dict[str, Any], name: str) -> Any:
    """Give the emptiest value that the schema allows for a required argument."""
    properties = schema.get("properties")
    described = properties.get(name) if isinstance(properties, dict) else None
    described = described if isinstance(described, dict) else {}
    if "default" in described:
        return described["default"]
    kind = described.get("type")
    return _FILLERS.get(kind if isinstance(kind, str) else "", None)


def initialize(version: str) -> bytes:
    """Build the parameters of ``initialize``."""
    return jsonrpc.dump(
        {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "bridge", "version": version},
        }
    )


def call(tool: str, arguments: bytes) -> bytes:
    """Build the parameters of ``tools/call``; `arguments` is JSON already and crosses untouched."""
    return b'{"name":%b,"arguments":%b}' % (jsonrpc.dump(tool), arguments)


# ---- asking


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


def open_file_arguments(
    tools: Tools, path: str, *, line: int | None = None, spot: Spot | None = None
) -> tuple[dict[str, Any], bool]:
    """Build the arguments of ``openFile`` and say whether they ask for the line.

    Args:
        path: absolute, in the IDE's style.
        line: 1-based, as ``startLine`` is in the plugins that have it [CODE].
        spot: the same place as text, for plugins without ``startLine``.

    Raises `BadData` for a path that is not UTF-8, `Unavailable` when the IDE has no ``openFile``.
    """
    if tools.schemas and "openFile" not in tools.schemas:
        raise Unavailable("this IDE cannot open files", "use an IDE whose plugin offers openFile")
    known = tools.properties("openFile")
    arguments: dict[str, Any] = {"filePath": _utf8(path), "preview": False, "makeFrontmost": True}
    if "uri" in known and "filePath" not in known:
        arguments["uri"] = _uri(path)
    positioned = line is None
    if line is not None and "startLine" in known:
        arguments |= {"startLine": line, "endLine": line}
        positioned = True
    elif spot is not None and "startText" in known:
        arguments |= {"startText": spot.start, "endText": spot.end}
        positioned = True
    return tools.fit("openFile", arguments), positioned


def _utf8(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise BadData(
            "no IDE can be told this name: it has bytes that are not UTF-8", "rename the file, or use another editor"
        ) from None
    return path


def _uri(path: str) -> str:
    try:
        return to_uri(path)
    except PathError as exc:
        raise BadData(f"no IDE can be told this path ({exc.code})") from exc


def file_arguments(tools: Tools, tool: str, path: str) -> dict[str, Any]:
    """Build the arguments of a tool that takes one file (``checkDocumentDirty``, ``saveDocument``)."""
    known = tools.properties(tool)
    name, value = ("uri", _uri(path)) if "uri" in known and "filePath" not in known else ("filePath", _utf8(path))
    return tools.fit(tool, {name: value})


def tab_name(path: str, review_id: str) -> str:
    """Name a diff's tab as the official plugins want it; stable for a review, so showing again replaces."""
    mark = hashlib.sha256(review_id.encode()).hexdigest()[:6]
    base = path.rsplit("/", 1)[-1].encode("utf-8", "replace").decode()
    return f"✻ [Claude Code] {base} ({mark}) ⧉"


def open_diff_arguments(tools: Tools, path: str, contents: str, tab: str) -> dict[str, Any]:
    """Build the arguments of ``openDiff``. Raises `BadData` for a path that is not UTF-8."""
    path = _utf8(path)
    arguments = {"old_file_path": path, "new_file_path": path, "new_file_contents": contents, "tab_name": tab}
    return tools.fit("openDiff", arguments)


def close_tab_arguments(tools: Tools, tab: str) -> dict[str, Any]:
    """Build the arguments of ``close_tab``."""
    return tools.fit("close_tab", {"tab_name": tab})


# ---- reading


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to ``tools/call`` in one shape, whatever its wire form: an error, or texts."""

    texts: tuple[str, ...] = ()
    error: str | None = None

    @property
    def text(self) -> str:
        """The first text, or nothing."""
        return self.texts[0] if self.texts else ""

    def value(self) -> Any:
        """Decode the first text as JSON (structured results are JSON in a string); None when it is not."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


def read_answer(message: jsonrpc.Message) -> Answer:
    """Read an answer in both error styles: a JSON-RPC error, or a result that says ``isError``."""
    try:
        error, result = jsonrpc.load(message.error), jsonrpc.load(message.result)
    except ValueError:
        return Answer(error="the IDE's answer is not JSON")
    if message.error:
        said = error.get("message") if isinstance(error, dict) else None
        return Answer(error=said if isinstance(said, str) and said else "the IDE reports an error")
    content = result.get("content") if isinstance(result, dict) else None
    texts = tuple(
        item["text"]
        for item in (content if isinstance(content, list) else ())
        if isinstance(item, dict) and isinstance(item.get("text"), str)
    )
    if isinstance(result, dict) and result.get("isError") is True:
        return Answer(error=" ".join(texts) or "the IDE reports an error")
    return Answer(texts)


class Verdict(Enum):
    """What an answer to ``openDiff`` says."""

    SAVED = auto()
    REJECTED = auto()
    CLOSED = auto()  # never a decision
    FAILED = auto()  # the diff could not be shown


def read_verdict(answer: Answer) -> tuple[Verdict, str]:
    """Tell what ``openDiff`` came to, and the final text (`SAVED`) or the reason (`FAILED`).

    ``FILE_SAVED`` without the final text is no decision: what the human saw is not known.
    """
    if answer.error is not None:
        return Verdict.FAILED, answer.error
    match answer.texts:
        case ("FILE_SAVED", text, *_):
            return Verdict.SAVED, text
        case ("DIFF_REJECTED", *_):
            return Verdict.REJECTED, ""
        case ("TAB_CLOSED", *_):
            return Verdict.CLOSED, ""
        case ("FILE_SAVED",):
            return Verdict.FAILED, "the IDE did not say which text was accepted"
    return Verdict.FAILED, "the IDE's answer to openDiff is not understood"


_LIES: Final = re.compile(r"^\s*(error|failed|cannot|could not)\b", re.IGNORECASE)


def read_open_file(answer: Answer) -> tuple[str | None, bool]:
    """Read the answer to ``openFile``: the failure in words or None, and whether the place was found.

    A success may be a failure in disguise: ``Error opening file: …`` (monet), ``{"success": false}``. And a
    success may have missed the place: ``Opened file, but text "x" not found`` (official). All [RUN].
    """
    if answer.error is not None:
        return answer.error, False
    value = answer.value()
    if isinstance(value, dict) and value.get("success") is False:
        return str(value.get("message") or "the IDE could not open the file"), False
    if _LIES.match(answer.text):
        return answer.text, False
    return None, "not found" not in answer.text


def read_dirty(answer: Answer) -> bool | None:
    """Read the answer to ``checkDocumentDirty``: None when the document is not open, or nobody can tell."""
    value = answer.value()
    dirty = value.get("isDirty") if isinstance(value, dict) else None
    return dirty if isinstance(dirty, bool) else None


def zero_based_result(result: Any) -> Any:
    """Shift the positions in a tool's result, whose texts are JSON; other texts stay as they are."""
    content = result.get("content") if isinstance(result, dict) else None
    if not isinstance(content, list):
        return result
    return result | {"content": [_zero_based_item(item) for item in content]}


def _zero_based_item(item: Any) -> Any:
    text = item.get("text") if isinstance(item, dict) else None
    value = Answer((text,)).value() if isinstance(text, str) else None
    return item if value is None else item | {"text": json.dumps(zero_based(value))}


def zero_based(value: Any) -> Any:
    """Shift every position in a value by one, for plugins that count from 1 (`Traits.one_based`).

    A position is an object with ``line`` and ``character``, both integers, as LSP has them.
    """
    if isinstance(value, list):
        return [zero_based(item) for item in value]
    if not isinstance(value, dict):
        return value
    line, character = value.get("line"), value.get("character")
    if type(line) is int and type(character) is int:
        return value | {"line": max(line - 1, 0), "character": max(character - 1, 0)}
    return {name: zero_based(item) for name, item in value.items()}
