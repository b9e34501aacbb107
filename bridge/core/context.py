"""What a companion tells of its window unasked (``ide/contextUpdate``), in the words of the official plugin's tools.

The companions have no tools for what is open and what is selected; they tell it whenever it changes. So the newest word
is kept, and answers an agent that asks. Facts: docs/protocol.md "The companions of Gemini CLI and Qwen Code".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from bridge.core.answers import text_result
from pathconv import PathConvError, to_uri

__all__ = ["Context", "File", "answer", "read_context", "selection_changed"]

MOST_FILES: Final = 100  # ten are told; more is no window


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An open file, with our name for it."""

    path: str
    seen: float  # when the human was there last, epoch seconds; 0: not known
    active: bool = False
    line: int = 0  # of the cursor; both count from 0
    character: int = 0
    text: str = ""  # that is selected; it may be cut


@dataclass(frozen=True, slots=True)
class Context:
    """The open files, the latest first."""

    files: tuple[File, ...]

    @property
    def active(self) -> File | None:
        """The file that the human is in."""
        return next((file for file in self.files if file.active), None)

    def focused(self, now: float) -> float | None:
        """Say when the human was in this window last, as far as it was told."""
        return max((file.seen for file in self.files if 0 < file.seen <= now), default=None)


def read_context(params: Any) -> Context | None:
    """Read the parameters of ``ide/contextUpdate``, in which lines count from 1; None for what is none."""
    state = params.get("workspaceState") if isinstance(params, dict) else None
    listed = state.get("openFiles", []) if isinstance(state, dict) else None
    if not isinstance(listed, list):
        return None
    files = (file for item in listed[:MOST_FILES] if (file := _file(item)) is not None)
    return Context(tuple(files))


def _file(item: Any) -> File | None:
    path = item.get("path") if isinstance(item, dict) else None
    if not isinstance(path, str):
        return None
    cursor, text = item.get("cursor"), item.get("selectedText")
    line, character = (cursor.get("line"), cursor.get("character")) if isinstance(cursor, dict) else (None, None)
    return File(
        path=path,
        seen=_seconds(item.get("timestamp")),
        active=item.get("isActive") is True,
        line=max(line - 1, 0) if type(line) is int else 0,
        character=max(character, 0) if type(character) is int else 0,
        text=text if isinstance(text, str) else "",
    )


def _seconds(milliseconds: object) -> float:
    """Give a time in seconds; 0 for what is none, or beyond all floats."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return 0.0
    with suppress(OverflowError):
        return milliseconds / 1000
    return 0.0


# ---- as agents know it


def selection_changed(context: Context) -> dict[str, Any] | None:
    """Build the parameters of ``selection_changed``; None where the human is in no file.

    Where the selection begins was not told: it begins and ends at the cursor.
    """
    file = context.active
    if file is None:
        return None
    cursor = {"line": file.line, "character": file.character}
    return {
        "text": file.text,
        "filePath": file.path,
        "fileUrl": _uri(file.path),
        "selection": {"start": cursor, "end": cursor, "isEmpty": not file.text},
    }


def _selection(context: Context | None) -> Any:
    selected = None if context is None else selection_changed(context)
    return {"success": False, "message": "No active editor found"} if selected is None else {"success": True} | selected


def _editors(context: Context | None) -> Any:
    files = () if context is None else context.files
    return {
        "tabs": [
            {
                "uri": _uri(file.path),
                "isActive": file.active,
                "label": file.path.replace("\\", "/").rsplit("/", 1)[-1],
                "fileName": file.path,
            }
            for file in files
        ]
    }


_ANSWERS: Final[dict[str, Callable[[Context | None], Any]]] = {
    "getCurrentSelection": _selection,
    "getLatestSelection": _selection,
    "getOpenEditors": _editors,
}


def answer(tool: str, context: Context | None) -> dict[str, Any]:
    """Answer a call of one of the official tools that need no more than was told; None: nothing was, yet."""
    return text_result(_ANSWERS[tool](context))


def _uri(path: str) -> str:
    try:
        return to_uri(path)
    except PathConvError:
        return path
