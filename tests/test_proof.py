"""Proving to know the token without saying it: what a client believes, and what a stranger hears."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from bridge.proof import CLIENT, DAEMON, MOST_BYTES, new_secret, proof, prove, same

PATIENCE_S = 20.0
TOKEN = "the token of the dead daemon"
Say = Callable[[dict[str, Any]], bytes]


def test_a_proof_is_of_everything_that_was_said_and_of_nothing_else() -> None:
    usual: list[Any] = [TOKEN, DAEMON, "asked", "answered", 7]
    others = [["x", *usual[1:]], [TOKEN, CLIENT, *usual[2:]], [*usual[:2], "askedanswered", "", 7], [*usual[:4], 8]]
    proofs = [proof(*these) for these in (usual, *others)]
    assert len(set(proofs)) == len(proofs)
    assert proof(*usual) == proofs[0]
    assert TOKEN not in "".join(proofs)
    assert len({new_secret() for _ in range(100)}) == 100


def test_comparing_takes_whatever_a_peer_says() -> None:
    assert same("a", "a")
    assert not same("a", "\ud83dé")


class Listener:
    """Somebody on a port; he answers each line as told, and remembers everything."""

    def __init__(self, *answers: Say) -> None:
        self.heard = b""
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        caller, _ = self._listener.accept()
        caller.settimeout(PATIENCE_S)
        with caller, suppress(ConnectionError):
            for answer in self._answers:
                line = caller.recv(65536)
                self.heard += line
                if not line or not (said := answer(json.loads(line))):
                    return
                caller.sendall(said)
            self.heard += caller.recv(65536)

    def is_believed(self) -> bool:
        """Let a client of ours call; tell what it makes of him."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as connection:
                return prove(connection, TOKEN, self.port)
        finally:
            self._thread.join(PATIENCE_S)
            self._listener.close()


def result(value: Any) -> bytes:
    return json.dumps({"result": value}).encode() + b"\n"


def echo(asked: dict[str, Any]) -> bytes:
    return result({**asked["params"], "proof": asked["params"]["nonce"]})


def guess(asked: dict[str, Any]) -> bytes:
    return result({"nonce": "n", "proof": proof("another token", DAEMON, asked["params"]["nonce"], "n", 1)})


WRONG: list[Say] = [
    echo,
    guess,
    lambda asked: result({"nonce": "n", "proof": 7}),
    lambda asked: result({"nonce": None, "proof": ""}),
    lambda asked: result({}),
    lambda asked: result(None),
]


@pytest.mark.parametrize("answer", WRONG)
def test_a_stranger_is_not_believed_and_hears_a_number_and_nothing_more(answer: Say) -> None:
    stranger = Listener(answer)
    assert not stranger.is_believed()
    (line,) = stranger.heard.splitlines()
    assert set(json.loads(line)["params"]) == {"nonce"}
    assert TOKEN.encode() not in stranger.heard


NONSENSE: list[Say] = [
    lambda asked: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    lambda asked: b"[" * (MOST_BYTES - 1) + b"\n",
    lambda asked: b"x" * 2 * MOST_BYTES,
    lambda asked: b'{"error": {}}\n',
    lambda asked: b"[]\n",
    lambda asked: b"",
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_who_speaks_otherwise_is_no_daemon(answer: Say) -> None:
    stranger = Listener(answer)
    with pytest.raises(OSError, match=r"bridge|closed|reset|timed out"):
        stranger.is_believed()
    assert TOKEN.encode() not in stranger.heard


def test_a_proof_for_another_port_is_none() -> None:
    """Whoever passes our words on to the real daemon, and its words back to us, is found out."""

    def passes_on(asked: dict[str, Any]) -> bytes:
        return result({"nonce": "n", "proof": proof(TOKEN, DAEMON, asked["params"]["nonce"], "n", relay.port + 1)})

    relay = Listener(passes_on)
    assert not relay.is_believed()


@pytest.mark.parametrize(("last", "believed"), [({}, True), ({"x": 1}, False), (None, False)])
def test_who_knows_the_token_is_believed_and_takes_our_proof(last: Any, believed: bool) -> None:
    def takes(asked: dict[str, Any]) -> bytes:
        told.append(asked["params"]["proof"])
        return result(last)

    def proves(asked: dict[str, Any]) -> bytes:
        nonces.append(asked["params"]["nonce"])
        return result({"nonce": "n", "proof": proof(TOKEN, DAEMON, nonces[0], "n", daemon.port)})

    told: list[str] = []
    nonces: list[str] = []
    daemon = Listener(proves, takes)
    assert daemon.is_believed() is believed
    assert told == [proof(TOKEN, CLIENT, nonces[0], "n", daemon.port)]
    assert TOKEN.encode() not in daemon.heard
