"""The official plugin's tools, as agents know them: names, arguments, and what the bridge makes of a call.

And what holds on both sides of the bridge: how a token is said, how long a message may be, and our own name.

Names and arguments are those that the official VS Code extension 1.0.44 lists [RUN] (docs/protocol.md), but that
``openFile`` does not insist on texts. ``executeCode`` is not among them: the bridge runs no code (design.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final, NamedTuple

__all__ = ["AUTHORIZATION", "BRIDGE", "MOST_BYTES", "OWN", "TOOLS", "Kind", "Tool"]

AUTHORIZATION: Final = "X-Claude-Code-Ide-Authorization"  # the header with the token of the lock file
MOST_BYTES: Final = 64 * 2**20  # of one message: an openDiff carries a whole file, escaped
BRIDGE: Final = "bridge"  # our name as an IDE, and as the client of one


class Kind(Enum):
    """What becomes of a call."""

    RELAY = auto()  # the IDE answers
    OPEN = auto()  # the IDE answers, once the file was seen to be there
    DIFF = auto()
    CLOSE = auto()
    CLOSE_ALL = auto()


class Tool(NamedTuple):
    """One tool as it is announced; `arguments` are JSON Schemas by name, `required` some of them."""

    kind: Kind
    description: str
    arguments: Mapping[str, Mapping[str, Any]] = {}
    required: tuple[str, ...] = ()
    file: str | None = None  # the argument that names the file which the call is about


_TEXT: Final[Mapping[str, Any]] = {"type": "string"}
_NO: Final[Mapping[str, Any]] = {"type": "boolean", "default": False}
_YES: Final[Mapping[str, Any]] = {"type": "boolean", "default": True}
_FILE: Final[dict[str, Mapping[str, Any]]] = {"filePath": _TEXT}
_DIFF: Final[dict[str, Mapping[str, Any]]] = dict.fromkeys(
    ("old_file_path", "new_file_path", "new_file_contents", "tab_name"), _TEXT
)

TOOLS: Final[Mapping[str, Tool]] = {
    "openFile": Tool(
        Kind.OPEN,
        "Open a file in the editor, and select a part of it",
        _FILE
        | {"preview": _NO, "startText": _TEXT, "endText": _TEXT}
        | {"selectToEndOfLine": _NO, "makeFrontmost": _YES},
        ("filePath",),
        "filePath",
    ),
    "openDiff": Tool(Kind.DIFF, "Show a proposed change and wait for the human's decision", _DIFF, tuple(_DIFF)),
    "close_tab": Tool(Kind.CLOSE, "Close a diff's tab", {"tab_name": _TEXT}, ("tab_name",)),
    "closeAllDiffTabs": Tool(Kind.CLOSE_ALL, "Close every diff that this agent opened"),
    "getDiagnostics": Tool(Kind.RELAY, "List problems, of one file or of all", {"uri": _TEXT}, file="uri"),
    "getOpenEditors": Tool(Kind.RELAY, "List the open editors"),
    "getWorkspaceFolders": Tool(Kind.RELAY, "List the open folders"),
    "getCurrentSelection": Tool(Kind.RELAY, "Give the active editor's selection"),
    "getLatestSelection": Tool(Kind.RELAY, "Give the selection that came last"),
    "checkDocumentDirty": Tool(
        Kind.RELAY, "Tell whether a document has unsaved changes", _FILE, ("filePath",), "filePath"
    ),
    "saveDocument": Tool(Kind.RELAY, "Save a document", _FILE, ("filePath",), "filePath"),
}

OWN: Final = frozenset(name for name, tool in TOOLS.items() if tool.kind in (Kind.DIFF, Kind.CLOSE, Kind.CLOSE_ALL))
"""The tools that need no IDE."""
