"""JSON-RPC 2.0, as far as an IDE needs it: requests in; results, errors and notifications out.

Frames are ASCII, so that a selection which was cut inside an emoji (a lone surrogate) can be sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "INVALID_PARAMS",
    "METHOD_NOT_FOUND",
    "Refused",
    "Request",
    "RequestId",
    "answered",
    "error",
    "notification",
    "parse",
    "result",
    "told",
]

RequestId = int | str

METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602


@dataclass(frozen=True, slots=True)
class Request:
    """A call that waits for an answer under `id`; `params` is empty when it had none."""

    id: RequestId
    method: str
    params: dict[str, Any]


class Refused(Exception):
    """A request that gets a JSON-RPC error; the client's fault."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse(frame: str | bytes) -> Request | None:
    """Read a request; None is everything that wants no answer.

    That is a notification, an answer, and what is not JSON-RPC at all: the official extension ignores
    it and keeps the socket open (observed).
    """
    message = _object(frame)
    id_, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if isinstance(id_, bool) or not isinstance(id_, int | str) or not isinstance(method, str):
        return None
    return Request(id_, method, params if isinstance(params, dict) else {})


def told(frame: str | bytes) -> str | None:
    """Read the method of a notification; None for everything else."""
    message = _object(frame)
    method = message.get("method")
    return method if isinstance(method, str) and "id" not in message else None


def answered(frame: str) -> RequestId | None:
    """Read the id that an answer is for; None for everything else."""
    message = _object(frame)
    id_ = message.get("id")
    return id_ if isinstance(id_, int | str) and "method" not in message else None


def _object(frame: str | bytes) -> dict[str, Any]:
    """Read a JSON object; what is none is as good as an empty one."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def result(id_: RequestId, value: dict[str, Any]) -> str:
    """Build the answer to the request `id_`."""
    return _frame(id=id_, result=value)


def error(id_: RequestId, refused: Refused) -> str:
    """Build the refusal of the request `id_`."""
    return _frame(id=id_, error={"code": refused.code, "message": refused.message})


def notification(method: str, params: dict[str, Any]) -> str:
    """Build a message that wants no answer."""
    return _frame(method=method, params=params)


def _frame(**members: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", **members}, separators=(",", ":"))
