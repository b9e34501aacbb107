"""The threshold of a control socket that everybody may connect to: who does not prove to know the token stays outside.

`bridge.proof` says how. Before that a peer has a second or two, two short lines and nothing else: an HTTP request is
refused at its first one, and whatever method comes before the proof ends the connection.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from bridge.agents import requests
from bridge.core import jsonrpc
from bridge.core.jsonrpc import RequestId
from bridge.errors import BridgeError, NotTrusted
from bridge.proof import CLIENT, DAEMON, MOST_BYTES, new_secret, proof, same

__all__ = ["admit"]

PATIENCE_S: Final = 2.0  # for both lines; a client of ours needs a millisecond


class _Nonce(msgspec.Struct):
    """The client's first line."""

    nonce: str


class _Proof(msgspec.Struct):
    """The client's second line."""

    proof: str


async def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> bool:
    """Tell whether the peer proved to know the token; one that did not has been told why, if it asked anything."""
    port: int = writer.get_extra_info("sockname")[1]
    try:
        async with asyncio.timeout(PATIENCE_S):
            id_, first = await _asked(reader, writer, _Nonce)
            mine = new_secret()
            answer = {"nonce": mine, "proof": proof(token, DAEMON, first.nonce, mine, port)}
            _send(writer, jsonrpc.result(id_, jsonrpc.dump(answer)))
            id_, second = await _asked(reader, writer, _Proof)
            if not same(second.proof, proof(token, CLIENT, first.nonce, mine, port)):
                raise _refuse(writer, id_, NotTrusted("this is not the bridge's token"))
            _send(writer, jsonrpc.result(id_))
    except (BridgeError, OSError, ValueError):  # `TimeoutError` is an `OSError`
        return False
    return True


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: type[Any]) -> tuple[RequestId, Any]:
    """Read one request to ``prove``. Raises `ValueError` for what is no request, `BridgeError` for another one."""
    message = jsonrpc.decode(await _line(reader))
    if message.id is None or message.method is None:
        raise ValueError("nothing is asked")
    if message.method != "prove":
        raise _refuse(writer, message.id, NotTrusted("prove first to know the bridge's token"))
    try:
        return message.id, requests.parse(kind, message.params)
    except BridgeError as error:
        raise _refuse(writer, message.id, error) from None


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Read one line, after which nothing comes before it is answered. Raises `ValueError` for anything else."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = await reader.read(MOST_BYTES - len(line))
        line += chunk
        if not chunk or b"\n" in line[:-1]:
            raise ValueError("not one short line")
    return line


def _refuse(writer: asyncio.StreamWriter, id_: RequestId, error: BridgeError) -> BridgeError:
    _send(writer, jsonrpc.error(id_, jsonrpc.dump(error.to_json())))
    return error


def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line + b"\n")
