"""Reading what agents say to an IDE: members of parameters, and the arguments of the tools that the bridge does itself.

Only what is needed is decoded: the arguments of a relayed call stay raw but for the file's name.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from bridge.core import jsonrpc

__all__ = ["CloseTabArguments", "InvalidArguments", "ToolCall", "member", "read_arguments", "read_call"]

T = TypeVar("T")


class InvalidArguments(ValueError):
    """Arguments that do not fit the tool; the agent's fault. Worded as the official extension does [RUN]."""

    def __init__(self, tool: str, complaint: str) -> None:
        super().__init__(f"MCP error -32602: Invalid arguments for tool {tool}: {complaint}")


class ToolCall(msgspec.Struct, frozen=True):
    """The parameters of ``tools/call``; arguments and meta are JSON, the latter empty when there is none."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw(jsonrpc.EMPTY)
    meta: msgspec.Raw = msgspec.field(name="_meta", default_factory=msgspec.Raw)


class CloseTabArguments(msgspec.Struct, frozen=True):
    """The arguments of ``close_tab``."""

    tab_name: str


_CALL: Final = msgspec.json.Decoder(ToolCall)


def read_call(params: bytes | msgspec.Raw) -> ToolCall:
    """Read the parameters of ``tools/call``. Raises `InvalidArguments`."""
    try:
        return _CALL.decode(params)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:  # lone surrogates: a selection that was cut inside an emoji
        value = jsonrpc.load(params)
        raw = {k: msgspec.Raw(jsonrpc.dump(value[k])) for k in ("arguments", "_meta") if k in value}
        return msgspec.convert({"name": value["name"], **raw}, ToolCall)
    except (ValueError, TypeError, KeyError):
        raise InvalidArguments("(unnamed)", "these are no parameters of tools/call") from None


def read_arguments(tool: str, kind: type[T], arguments: bytes | msgspec.Raw) -> T:
    """Read a call's arguments as `kind`. Raises `InvalidArguments`."""
    try:
        return msgspec.json.decode(arguments, type=kind)
    except msgspec.ValidationError as exc:
        raise InvalidArguments(tool, str(exc)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return msgspec.convert(jsonrpc.load(arguments), kind)
    except ValueError as exc:
        raise InvalidArguments(tool, str(exc)) from None


def member(params: bytes | msgspec.Raw, *names: str) -> Any:
    """Give one member of an object, or of one inside it; None where there is none, or no object at all."""
    try:
        value = jsonrpc.load(params)
    except ValueError:
        return None
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
