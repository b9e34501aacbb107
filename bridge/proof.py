"""Proving to each other to know the daemon's token, where everybody may connect (loopback TCP). Standard library only.

Nobody says the token itself. Each side sends a random number, and then a MAC of both numbers, the port and its role,
under the token; the daemon first, so that a stranger who took a dead daemon's port learns nothing and is left alone::

    client: prove {"nonce": …}        daemon: {"nonce": …, "proof": …}
    client: prove {"proof": …}        daemon: {}

The token lies in ``daemon.json``, which only its user may read.
"""

from __future__ import annotations

import _socket
import hmac
import json
import os

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CLIENT", "DAEMON", "MOST_BYTES", "new_secret", "proof", "prove", "same"]

CLIENT, DAEMON = "client", "daemon"
MOST_BYTES = 1024  # of one line before the proof


def new_secret() -> str:
    """Make a token, or a number that is used once."""
    return os.urandom(32).hex()


def proof(token: str, role: str, asked: str, answered: str, port: int) -> str:
    """Compute what only who knows the token can say: as `role`, after the client `asked` and the daemon `answered`."""
    said = json.dumps([role, asked, answered, port])  # unambiguous, whatever a peer sends as its number
    return hmac.new(token.encode(), said.encode(), "sha256").hexdigest()


def same(one: str, other: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def prove(connection: _socket.socket, token: str, port: int) -> bool:
    """Be the client: tell whether the other end proved to know the token, and took our proof.

    What fails is an `OSError`.
    """
    mine = new_secret()
    answer = _ask(connection, 1, {"nonce": mine})
    theirs = answer.get("nonce")
    if not isinstance(theirs, str) or not same(str(answer.get("proof")), proof(token, DAEMON, mine, theirs, port)):
        return False
    return _ask(connection, 2, {"proof": proof(token, CLIENT, mine, theirs, port)}) == {}


def _ask(connection: _socket.socket, id_: int, params: dict[str, str]) -> dict[str, Any]:
    request = {"jsonrpc": "2.0", "id": id_, "method": "prove", "params": params}
    connection.sendall(json.dumps(request).encode() + b"\n")
    line = b""
    while not line.endswith(b"\n"):
        chunk = connection.recv(MOST_BYTES - len(line))  # nothing may follow the answer, nor may it be longer
        if not chunk:
            raise ConnectionResetError("it closed the connection")
        line += chunk
    try:
        result = json.loads(line)["result"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ConnectionAbortedError("it is no bridge") from None
    return result if isinstance(result, dict) else {"": result}
