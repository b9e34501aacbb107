"""Posing as an IDE: what the bridge says to an agent that takes it for one, in the official plugin's words.

An unmodified agent knows the twelve tools of the official VS Code extension; it gets those of them that its IDE has,
with the official arguments, whatever that IDE's plugin calls them. Three the bridge does itself, so that they are
there without an IDE too: a diff is a review, and a tab belongs to the agent that opened it. Facts: docs/protocol.md
"Tools" and "The official VS Code extension".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from bridge.core import jsonrpc
from bridge.core.official import OWN, TOOLS, Tool
from bridge.errors import BridgeError

__all__ = [
    "INVALID_PARAMS",
    "METHOD_NOT_FOUND",
    "PROTOCOL_VERSION",
    "OpenDiff",
    "call_refused",
    "closed_tabs",
    "diff_result",
    "initialize_result",
    "offered",
    "rpc_error",
    "text_result",
    "tool_list",
]

PROTOCOL_VERSION: Final = "2024-11-05"  # for an agent that names none
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602


class OpenDiff(msgspec.Struct, frozen=True):
    """The arguments of ``openDiff``."""

    old_file_path: str
    new_file_path: str
    new_file_contents: str
    tab_name: str


def offered(names: Collection[str] | None) -> tuple[str, ...]:
    """Say which tools an agent is offered whose IDE has these; None: it has no IDE now."""
    there = frozenset(names or ())
    return tuple(name for name in TOOLS if name in OWN or name in there)


# ---- answers


def initialize_result(params: bytes | msgspec.Raw, version: str) -> bytes:
    """Answer ``initialize`` with the protocol version that was asked for, as the official extension does [RUN]."""
    try:
        asked = jsonrpc.load(params)
    except ValueError:
        asked = None
    wanted = asked.get("protocolVersion") if isinstance(asked, dict) else None
    return jsonrpc.dump(
        {
            "protocolVersion": wanted if isinstance(wanted, str) else PROTOCOL_VERSION,
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "bridge", "version": version},
        }
    )


def tool_list(names: Collection[str] | None) -> bytes:
    """Answer ``tools/list`` for an agent whose IDE has these tools; see `offered`."""
    return jsonrpc.dump({"tools": [_entry(name, TOOLS[name]) for name in offered(names)]})


def _entry(name: str, tool: Tool) -> dict[str, Any]:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": dict(tool.arguments),
        "additionalProperties": False,
    }
    if tool.required:
        schema["required"] = list(tool.required)
    return {"name": name, "description": tool.description, "inputSchema": schema}


def text_result(*texts: str, error: bool = False) -> dict[str, Any]:
    """Build a tool's result of text items."""
    content = [{"type": "text", "text": text} for text in texts]
    return {"content": content} | ({"isError": True} if error else {})


def diff_result(decision: Mapping[str, Any], tab: str) -> dict[str, Any]:
    """Answer ``openDiff`` with how its review ended (the shape of `reviews.decision`).

    Whatever is no acceptance is ``DIFF_REJECTED``, as the official extension answers a tab that is closed in whatever
    way [RUN]: what agents make of ``TAB_CLOSED`` is not known, and nothing must be written that no human accepted.
    The exact outcome and the comments are in ``_meta``.
    """
    final = decision["files"][0]["final"]
    result = text_result("DIFF_REJECTED", tab) if final is None else text_result("FILE_SAVED", final)
    about = {name: decision[name] for name in ("id", "outcome", "trigger", "comments")}
    return result | {"_meta": {"bridge/review": about}}


def closed_tabs(number: int) -> dict[str, Any]:
    """Answer ``closeAllDiffTabs``."""
    return text_result(f"CLOSED_{number}_DIFF_TABS")


def call_refused(error: BridgeError) -> dict[str, Any]:
    """Answer a call that failed as the official extension does, with words; the typed error is in ``_meta``."""
    words = f"{error.message} ({error.hint})" if error.hint else error.message
    return text_result(words, error=True) | {"_meta": {"bridge/error": error.to_json()}}


def rpc_error(code: int, message: str) -> bytes:
    """Build a JSON-RPC error object."""
    return jsonrpc.dump({"code": code, "message": message})
