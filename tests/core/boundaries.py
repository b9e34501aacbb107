"""Mappers between a WSL machine and its Windows, and messages with paths, for tables and stories."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from bridge.core.translate import Row
from pathconv import Env, Facts, Mount, PathMapper

Side = Literal["linux", "windows"]

MOUNTS = (Mount("/", None), Mount("/mnt/c", "C:\\"), Mount("/mnt/d", "D:\\"))
ELSEWHERE = (Mount("/", None), Mount("/c", "C:\\"))  # wsl.conf says root=/


def boundary(*, distro: str | None = "Ubuntu", local: Side = "linux", mounts: tuple[Mount, ...] = MOUNTS) -> PathMapper:
    """Build a mapper: by default, of the distribution Ubuntu with drives C: and D:."""
    return PathMapper(Facts(Env.WSL2, local, distro, mounts))


WSL = boundary()


def put(field: str, value: str, other: str) -> Any:
    """Build what `field` leads into: `value` at its end, and `other` beside every name on the way."""
    if not field:
        return value
    step, rest = re.fullmatch(r"(\[\]|\{\}|\.?\w+)(.*)", field).groups()  # type: ignore[union-attr]
    inside = put(rest, value, other)
    match step:
        case "[]":
            return [inside, inside]
        case "{}":
            return json.dumps(inside)
    return {step.lstrip("."): inside, "title": other}


def told(row: Row, value: str, other: str) -> dict[str, Any]:
    """Build a message with `value` in the row's field, and `other` in fields that are not listed."""
    inside = put(row.field, value, other)
    if row.direction == "to_ide":
        return {"id": 1, "method": row.method, "params": {"name": row.tool, "arguments": inside}}
    return {"id": 1, "result": inside} if row.tool else {"method": row.method, "params": inside}
