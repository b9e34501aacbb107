"""The shape of what the MCP tools answer: words for a model, and the same as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from bridge.core.text import visible
from bridge.errors import BridgeError

__all__ = ["WAIT_MS", "Answer", "Result", "answered", "cut", "failed"]

WAIT_MS: Final = 45_000  # clients give up a call after 60 s, and the answer must be on its way before


class Result(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """What every tool's result is; `forbid_unknown_fields` closes its schema."""


class Answer(NamedTuple):
    """What a tool answers: words for the model and, if it did not fail, data that fit the tool's result."""

    text: str
    data: Result | None
    is_error: bool = False
    refusal: Mapping[str, Any] | None = None  # the typed error, for programs: a model reads the words

    @property
    def structured(self) -> dict[str, Any] | None:
        """The data as JSON has them; nothing in them is half a character."""
        return None if self.data is None else _whole(msgspec.to_builtins(self.data))


_HALF: Final = re.compile("[\ud800-\udfff]")


def _whole(value: Any) -> Any:
    """Put U+FFFD in the place of lone surrogates: names that are not UTF-8, a selection that was cut in an emoji."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return value


def answered(text: str, data: Result) -> Answer:
    """Give an answer."""
    return Answer(_whole(text), data)


def failed(error: BridgeError) -> Answer:
    """Say what went wrong, and what to do about it."""
    words = visible(error.message) + (f"\nWhat to do: {visible(error.hint)}" if error.hint else "")
    return Answer(_whole(words), None, is_error=True, refusal=_whole(error.to_json()))


def cut(text: str, most: int) -> str:
    """Cut a text, and say how much is left out."""
    return text if len(text) <= most else text[:most] + f" … ({len(text) - most} characters more)"
