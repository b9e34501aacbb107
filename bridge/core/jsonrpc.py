"""JSON-RPC 2.0 envelopes: what `bridge` must know of a message, and not one field more.

A frame is decoded as an envelope: ``params``, ``result`` and ``error`` stay raw bytes until somebody needs
them, so a 256 KB diff crosses without being parsed (design.md D5). `msgspec` refuses lone surrogates (a
selection that was cut inside an emoji); such frames take the slower way through the standard library and
come out as ASCII. What we write ourselves is always ASCII.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import msgspec

__all__ = [
    "EMPTY",
    "Message",
    "RequestId",
    "compact",
    "decode",
    "dump",
    "error",
    "load",
    "notification",
    "request",
    "result",
]

RequestId = int | str
EMPTY: Final = b"{}"


_ABSENT: Final = msgspec.Raw()


class Message(msgspec.Struct, frozen=True):
    """One message of any kind; `is_request`, `is_response` and `is_notification` tell which.

    ``params``, ``result`` and ``error`` are raw JSON, empty when absent; read them with `load`.
    """

    jsonrpc: str = "2.0"
    id: RequestId | None = None
    method: str | None = None
    params: msgspec.Raw = _ABSENT
    result: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT

    @property
    def is_request(self) -> bool:
        """Whether the sender waits for an answer."""
        return self.method is not None and self.id is not None

    @property
    def is_notification(self) -> bool:
        """Whether this wants no answer."""
        return self.method is not None and self.id is None

    @property
    def is_response(self) -> bool:
        """Whether this answers a request; one that has both a result and an error counts as an error."""
        return self.method is None and self.id is not None and bool(self.result or self.error)


_DECODER: Final = msgspec.json.Decoder(Message)


def decode(frame: bytes | bytearray | str) -> Message:
    """Read one frame; raises `ValueError` on anything that is not one JSON-RPC message.

    Unknown members of the envelope are tolerated, and ``"error": null`` beside a result, which serializers
    write that know no absent member. An id is an integer or a string (JSON-RPC discourages fractions, and null
    ids answer nobody). The envelope is checked, and that the frame is UTF-8; the members that stay raw need not
    be JSON: `load` finds out.
    """
    try:
        message = _decode(frame)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if bytes(message.error) == b"null":
        message = msgspec.structs.replace(message, error=_ABSENT)
    if not (message.is_request or message.is_notification or message.is_response):
        raise ValueError("neither a request, nor a notification, nor a response")
    return message


def _decode(frame: bytes | bytearray | str) -> Message:
    text = frame if isinstance(frame, str) else frame.decode()  # `msgspec` does not look into raw members
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return _decode_slowly(text)


def _decode_slowly(frame: bytes | str) -> Message:
    """Read what `msgspec` refuses: JSON with lone surrogates. Everything else stays refused."""
    value = load(frame)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    parts = {k: msgspec.Raw(dump(value[k])) for k in ("params", "result", "error") if k in value}
    try:
        return msgspec.convert({**{k: value.get(k) for k in ("id", "method")}, **parts}, Message)
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc


def load(data: bytes | str | msgspec.Raw) -> Any:
    """Decode one raw member; an absent one is None. Raises `ValueError` on anything that is not JSON."""
    if not data:
        return None
    try:
        return _load(data)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _load(data: bytes | str | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError):
        text = data if isinstance(data, str) else bytes(data)
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    """Refuse 1e999, as `msgspec` does: what is infinite here could not be written again."""
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:20]} is too big a number")
    return value


def compact(data: bytes | msgspec.Raw) -> bytes:
    """Write a raw member on one line, otherwise as it is; raises `ValueError` when it is not JSON."""
    try:
        return msgspec.json.format(bytes(data), indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return dump(load(data))  # lone surrogates, or an error that says what is wrong


_ENCODE: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def dump(value: Any) -> bytes:
    """Encode as compact ASCII JSON, lone surrogates included (RFC 8259 section 8.2 allows the escape)."""
    if type(value) is int:  # ids: in every message, and five times slower below
        return b"%d" % value
    return _ENCODE(value).encode("ascii")


def request(id_: RequestId, method: str, params: bytes = EMPTY) -> bytes:
    """Build a request; `params` is JSON already."""
    return b'{"jsonrpc":"2.0","id":%b,"method":%b,"params":%b}' % (dump(id_), dump(method), params)


def notification(method: str, params: bytes = EMPTY) -> bytes:
    """Build a notification; `params` is JSON already."""
    return b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (dump(method), params)


def result(id_: RequestId, value: bytes = EMPTY) -> bytes:
    """Build the answer to a request; `value` is JSON already."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (dump(id_), value)


def error(id_: RequestId, value: bytes) -> bytes:
    """Build the refusal of a request; `value` is a JSON-RPC error object, JSON already."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (dump(id_), value)
