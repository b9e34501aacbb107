"""JSON Schemas of msgspec structures, as MCP clients want them: one object, without references.

The structure that checks a tool's arguments is the one that its schema is made from, so that they cannot differ.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["schema_of"]

_PREFIX = "#/$defs/"


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Give the JSON Schema of a structure. One that holds itself has none: it would have no end."""
    (top,), parts = msgspec.json.schema_components([kind], ref_template=_PREFIX + "{name}")
    whole: dict[str, Any] = _inlined(top, parts)
    return whole


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """Put every part in the place of the references to it; some models' hosts do not follow any."""
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        own = {name: value for name, value in schema.items() if name != "$ref"}  # what is said of this one use
        part = _inlined(parts[schema["$ref"].removeprefix(_PREFIX)], parts)
        return {name: value for name, value in part.items() if name not in ("title", "description")} | own
    return {name: _inlined(value, parts) for name, value in schema.items()}
