"""How each IDE's plugin wants to be asked: argument names, required arguments.

Nothing here asks *which* plugin it talks to if the plugin's own words tell: arguments are filled from each
tool's ``inputSchema`` (`Tools`). Only what no schema says stands in `bridge.core.traits`, one row per plugin. What they
answer is read by `bridge.core.answers`. Facts and their certainty: docs/protocol.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from bridge.core import jsonrpc
from bridge.core.official import TOOLS
from bridge.core.spots import Spot
from bridge.errors import BadData
from pathconv import PathConvError, to_uri

__all__ = [
    "Tools",
    "call",
    "closing",
    "file_arguments",
    "fitted",
    "initialize",
    "open_diff_arguments",
    "open_file_arguments",
    "open_file_diff_arguments",
    "tab_name",
    "utf8",
]

PROTOCOL_VERSION: Final = "2025-06-18"  # echoed by the official plugin; community plugins answer 2024-11-05 [RUN]


@dataclass(frozen=True)
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

    def taking(self, argument: str) -> Tools:
        """Give those that take an argument; all of them, if it is empty."""
        if not argument:
            return self
        return Tools({name: schema for name, schema in self.schemas.items() if argument in self.properties(name)})

    @cached_property
    def official(self) -> frozenset[str]:
        """Name those that take all that the official one takes, and want no more."""
        return frozenset(name for name in TOOLS.keys() & self.schemas.keys() if self._is_official(name))

    def _is_official(self, tool: str) -> bool:
        official = TOOLS[tool]
        required = self.schemas[tool].get("required", [])
        more = isinstance(required, list) and any(name not in official.required for name in required)
        return not more and official.arguments.keys() <= self.properties(tool)

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


def call(tool: str, arguments: bytes, meta: bytes = b"") -> bytes:
    """Build the parameters of ``tools/call``; `arguments` and `meta` are JSON already and cross untouched."""
    if meta:
        return b'{"name":%b,"arguments":%b,"_meta":%b}' % (jsonrpc.dump(tool), arguments, meta)
    return b'{"name":%b,"arguments":%b}' % (jsonrpc.dump(tool), arguments)


def fitted(tools: Tools, tool: str, arguments: bytes) -> bytes:
    """Fit arguments that are named as the official plugin names them to this one's tool.

    They are not even decoded where the plugin takes them so: most do. Raises `BadData` for what is no JSON object, and
    for a file that the plugin cannot be told.
    """
    if tool in tools.official or tool not in tools.schemas:
        return arguments
    try:
        given = jsonrpc.load(arguments)
        if not isinstance(given, dict):
            raise BadData(f"the arguments of {tool} are no JSON object")
        path = given.get("filePath")
        if isinstance(path, str) and "uri" in tools.properties(tool):
            given["uri"] = _uri(path)
        return jsonrpc.dump(tools.fit(tool, given))
    except (ValueError, RecursionError) as exc:
        raise BadData(f"the arguments of {tool} are not JSON: {exc}") from exc


# ---- asking


def open_file_arguments(
    tools: Tools, path: str, *, line: int | None = None, spot: Spot | None = None
) -> tuple[dict[str, Any], bool]:
    """Build the arguments of ``openFile`` and say whether they ask for the line.

    Args:
        path: absolute, in the IDE's style.
        line: 1-based, as ``startLine`` is in the plugins that have it [CODE].
        spot: the same place as text, for plugins without ``startLine``.

    Raises `BadData` for a path that is not UTF-8.
    """
    known = tools.properties("openFile")
    arguments: dict[str, Any] = {"filePath": utf8(path), "preview": False, "makeFrontmost": True}
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


def utf8(path: str) -> str:
    """Give a path that an IDE can be told; raises `BadData` for one that is not UTF-8."""
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
    except PathConvError as exc:
        raise BadData(f"no IDE can be told this path ({exc.code})") from exc


_USUAL: Final = {"getDiagnostics": frozenset({"uri"})}  # in every plugin, where its schema is not known


def file_arguments(tools: Tools, tool: str, path: str) -> dict[str, Any]:
    """Build the arguments of a tool that takes one file (``checkDocumentDirty``, ``saveDocument``, ``getDiagnostics``).

    Raises `BadData` for a path that is not UTF-8.
    """
    known = tools.properties(tool) or _USUAL.get(tool, frozenset({"filePath"}))
    name, value = ("uri", _uri(path)) if "uri" in known and "filePath" not in known else ("filePath", utf8(path))
    return tools.fit(tool, {name: value})


def tab_name(path: str, review_id: str) -> str:
    """Name a diff's tab as the official plugins want it; stable for a review, so showing again replaces."""
    mark = hashlib.sha256(review_id.encode()).hexdigest()[:6]
    base = path.rsplit("/", 1)[-1].encode("utf-8", "replace").decode()
    return f"✻ [Claude Code] {base} ({mark}) ⧉"


def open_diff_arguments(tools: Tools, path: str, contents: str, tab: str) -> dict[str, Any]:
    """Build the arguments of ``openDiff``. Raises `BadData` for a path that is not UTF-8."""
    path = utf8(path)
    arguments = {"old_file_path": path, "new_file_path": path, "new_file_contents": contents, "tab_name": tab}
    return tools.fit("openDiff", arguments)


def open_file_diff_arguments(tools: Tools, path: str, contents: str) -> dict[str, Any]:
    """Build the arguments of the companions' ``openDiff``. Raises `BadData` for a path that is not UTF-8."""
    return tools.fit("openDiff", {"filePath": utf8(path), "newContent": contents})


def closing(tools: Tools, name: str, *, by_file: bool) -> tuple[str, dict[str, Any]]:
    """Build the call that closes a diff: of a tab, or of a file, of which nothing is to be said then."""
    if by_file:
        return "closeDiff", tools.fit("closeDiff", {"filePath": name, "suppressNotification": True})
    return "close_tab", tools.fit("close_tab", {"tab_name": name})
