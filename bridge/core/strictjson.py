"""JSON that somebody else wrote, read within limits and with the reason for a refusal (docs/protocol.md "Lock file").

What `json` lets pass is refused here: a key twice in one object, NaN, numbers beyond 64 bits, halves of surrogate
pairs, endless depth and length. It may hold a secret, so no reason quotes it.
"""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import Any, Final

__all__ = ["MAX_BYTES", "TOO_DEEP", "Refusal", "read_object"]

MAX_BYTES: Final = 64 * 1024
_MAX_DEPTH: Final = 16
_MAX_STRING_BYTES: Final = 4 * 1024
_MAX_DIGITS: Final = 19  # a signed 64-bit number; `int` itself would take time in the square of the length

TOO_DEEP: Final = f"nested more than {_MAX_DEPTH} levels deep"


class Refusal(ValueError):
    """A rule of ours is broken; the message is the reason."""


def read_object(data: bytes) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Limits, everywhere in it: 64 KiB, 16 levels, 4 KiB a string, numbers of 64 bits, no key twice in one object.

    Raises `Refusal` for what breaks a rule; and, holding the text, `ValueError` for what is no JSON or no UTF-8 and
    `RecursionError` for what is nested without end.
    """
    if len(data) > MAX_BYTES:
        raise Refusal(f"larger than {MAX_BYTES // 1024} KiB")
    value = _DECODER.decode(data.decode("utf-8"))
    if not isinstance(value, dict):
        raise Refusal("not a JSON object")
    if _may_exceed(data):
        _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refusal("an object has the same key twice")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise Refusal("a number is too large")
    return int(digits)


def _fraction(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):  # 1e999
        raise Refusal("a number is too large")
    return value


def _constant(_: str) -> Any:
    raise Refusal("NaN and Infinity are not JSON")


# Made once: that takes as long as to read a lock file with it.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)


def _may_exceed(data: bytes) -> bool:
    """Whether anything in the file can be beyond the limits of `_check`: hardly any file is, and it takes time.

    A long string makes a long file, depth takes brackets, and half a surrogate pair can only be written as an
    escape.
    """
    return len(data) > _MAX_STRING_BYTES or data.count(b"[") + data.count(b"{") > _MAX_DEPTH or b"\\u" in data


def _check(value: Any, depth: int = 1) -> None:
    """Hold every part of the file, known or not, to the limits that `json` does not know."""
    if isinstance(value, str) and len(value.encode("utf-8")) > _MAX_STRING_BYTES:
        raise Refusal(f"a string is longer than {_MAX_STRING_BYTES // 1024} KiB")
    if isinstance(value, dict | list):
        if depth > _MAX_DEPTH:
            raise Refusal(TOO_DEEP)
        for part in chain(value, value.values()) if isinstance(value, dict) else value:
            _check(part, depth + 1)
