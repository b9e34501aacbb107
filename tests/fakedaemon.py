"""A daemon of the test's own making: it answers on a real socket by a script."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bridge.paths import paths
from tests.e2e.outsiders import dead_pid

PATIENCE_S = 20.0
Say = Callable[..., None]
Answer = Callable[[dict[str, Any], Say], Any]


class FakeDaemon:
    """Answers on a real socket by a script; an answer that is an exception breaks the connection off."""

    def __init__(self) -> None:
        places, path = paths(os.environ), Path(os.environ["XDG_RUNTIME_DIR"]) / "f.sock"
        self.asked: list[dict[str, Any]] = []
        self.answers: dict[str, Answer] = {"hello": lambda asked, say: {}}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        os.makedirs(places.state, mode=0o700, exist_ok=True)
        Path(places.address).write_text(json.dumps({"socket": str(path), "pid": dead_pid()}), encoding="utf-8")
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            # A client that leaves what it was told unread resets the connection.
            with connection, connection.makefile("rb") as lines, suppress(ConnectionError):
                for line in lines:
                    if line == b"end\n":
                        return
                    if not self._answer(json.loads(line), connection):
                        break

    def _answer(self, asked: dict[str, Any], connection: socket.socket) -> bool:
        self.asked.append(asked)
        if "id" not in asked:
            return True  # nothing is asked

        def say(message: dict[str, Any] | bytes) -> None:
            connection.sendall(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")

        try:
            say({"id": asked["id"], "result": self.answers[asked["method"]](asked["params"], say)})
        except LookupError as exc:
            say({"id": asked["id"], "error": exc.args[0]})
        except ConnectionError:
            return False
        return True

    def methods(self) -> list[str]:
        return [asked["method"] for asked in self.asked]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._listener.getsockname())
            last.sendall(b"end\n")
        self._thread.join(PATIENCE_S)
        self._listener.close()


@contextmanager
def fake_daemon() -> Iterator[FakeDaemon]:
    """Run one for the test's home."""
    fake = FakeDaemon()
    try:
        yield fake
    finally:
        fake.close()


# ---- answers


def breaks(*_: Any) -> Any:
    raise ConnectionError


def refuses(code: str, message: str) -> Answer:
    def answer(asked: dict[str, Any], say: Say) -> Any:
        raise LookupError({"code": 1, "message": message, "data": {"code": code, "hint": "look"}})

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Answer the first time so, the second time so, and the last way from then on."""
    left = list(answers)
    return lambda asked, say: (left.pop(0) if len(left) > 1 else left[0])(asked, say)
