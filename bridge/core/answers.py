"""Answers: what an IDE's plugin says, read in every shape that was seen in the field.

Both error styles, results that are JSON in a string, successes that are failures, lines that count from 0 or 1.
How plugins are asked is `bridge.core.dialects`. Facts and their certainty: docs/protocol.md.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from bridge.core import jsonrpc

__all__ = [
    "Answer",
    "Verdict",
    "read_answer",
    "read_closed_diff",
    "read_dirty",
    "read_open_file",
    "read_verdict",
    "text_result",
    "zero_based",
    "zero_based_result",
]


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


def read_closed_diff(answer: Answer) -> str | None:
    """Read the answer to ``closeDiff``: the text that the diff had, None when none was open.

    The specification says that the text is the answer, every implementation answers ``{"content": text}``, without
    the member when none was open [CODE].
    """
    value = answer.value()
    if isinstance(value, dict) and value.keys() <= {"content"}:
        content = value.get("content")
        return content if isinstance(content, str) else None
    return answer.text if answer.texts else None


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


def text_result(value: Any) -> dict[str, Any]:
    """Give a tool's result as plugins do: JSON in the one text of its content."""
    return {"content": [{"type": "text", "text": json.dumps(value)}]}


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
