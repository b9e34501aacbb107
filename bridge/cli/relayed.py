"""What the IDE's own tools answered, read for a person or a program. Standard library only."""

from __future__ import annotations

import json
import os

from bridge.errors import Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

__all__ = ["position", "shown", "values"]


def values(result: Any) -> list[Any]:
    """Give what the texts of a tool's result say as JSON; a text that is none is passed over.

    Raises `Unavailable` for a result that says it is an error, in the IDE's words.
    """
    content = result.get("content") if isinstance(result, dict) else None
    items = content if isinstance(content, list) else ()
    texts = [item["text"] for item in items if isinstance(item, dict) and isinstance(item.get("text"), str)]
    if isinstance(result, dict) and result.get("isError") is True:
        raise Unavailable(f"the IDE could not do it: {' '.join(texts)}", "bridge status")
    return [value for value in map(_json, texts) if value is not None]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def position(value: Any) -> tuple[int, int] | None:
    """Read a position, which counts from 0, as line and column that count from 1; None for what is none."""
    line, character = (value.get("line"), value.get("character")) if isinstance(value, dict) else (None, None)
    return (line + 1, character + 1) if type(line) is int and type(character) is int else None


def shown(path: str, at: tuple[int, int] | None) -> str:
    """Write a place as compilers do, ``path:line:column``, the path from here if it lies below."""
    from bridge.core.text import visible

    here = os.path.join(os.getcwd(), "")
    return visible(":".join((path.removeprefix(here), *map(str, at or ()))))
