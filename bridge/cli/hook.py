"""``bridge hook claude|codex|gemini``: what an agent runs before it writes a file, so that the human reviews it first.

It reads the agent's JSON on stdin and prints the answer that the agent wants. It decides nothing: what it read goes to
the daemon as it is, and so comes what it prints. Standard library only, and little of it, for an agent runs it again
and again. Once there is a review the agent always gets an answer, whatever becomes of the daemon.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress

from bridge.cli.output import say, seconds
from bridge.client import Client
from bridge.errors import BridgeError, StillPending, Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["PATIENCE_S", "add", "run"]

# The agent kills a hook that takes longer; less what an answer needs. `bridge.core.hookagents.AGENTS` has the same.
PATIENCE_S = {"claude": 590.0, "codex": 590.0, "gemini": 50.0}
_CALL_S = 30.0  # for an answer that no human keeps waiting
_GRACE_S = 4.0  # beyond the time-out, for the daemon to say that nobody decided
_LAST_WORDS_S = 8.0  # beyond the time-out, for all that is left to ask: the agent waits for 10
_TOLD = ("CLAUDE_CODE_SSE_PORT", "GEMINI_CLI_IDE_SERVER_PORT")  # where the agent has an IDE that shows the change
_BLOCK = 2  # what agents take for a no, with stderr as the reason


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("agent", choices=tuple(PATIENCE_S), help="whose hook it is")
    parser.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="answer by then, before the agent's own limit (default: its)"
    )
    parser.add_argument("--strict", action="store_true", help="without the bridge nothing is written: exit code 2")
    parser.add_argument("--with-ide", action="store_true", help="review also what the agent shows in its IDE itself")


def run(args: Namespace) -> int:
    """Have what the agent is about to write reviewed, and tell it what came of that."""
    return _Hook(args).run()


class _Nowhere(Exception):
    """The human can see the review nowhere."""


class _Hook:
    """One call of the hook."""

    def __init__(self, args: Namespace) -> None:
        timeout: float = PATIENCE_S[args.agent] if args.timeout is None else args.timeout
        self._deadline = time.monotonic() + timeout
        self._agent: str = args.agent
        self._args = args
        self._review: str | None = None
        self._asked: dict[str, Any] = {}
        self._guide: Callable[[dict[str, Any]], None] | None = None

    def run(self) -> int:
        try:
            if sys.stdin is not None and sys.stdin.isatty():
                say("this answers an agent's hook: the agent starts it by itself (Ctrl-D ends it)")
            data = b"" if sys.stdin is None else sys.stdin.buffer.read()
            self._asked = {"agent": self._agent, "said": data.decode("utf-8", "replace")}
            with Client(name="bridge hook", spawn=not self._args.no_spawn, patience=self._left()) as client:
                return self._through(client)
        except BridgeError as error:
            return self._without(error)
        except Exception as exc:  # a bug: an agent that is owed an answer, or a no, gets it all the same
            if self._review is None and not self._args.strict:
                raise
            return self._without(BridgeError(f"a bug in the bridge: {exc!r}"))

    def _through(self, client: Client) -> int:
        environ = {name: os.environ[name] for name in _TOLD if name in os.environ}
        params = self._asked | {"environ": environ, "with_ide": self._args.with_ide}
        begun = client.request("hook/begin", params, self._left())
        if "id" not in begun:
            return _print(begun)
        self._review = begun["id"]
        self._wait(client, begun["id"])
        answer = client.request("hook/answer", self._asked | {"id": begun["id"]}, self._left())
        code = _print(answer)
        if answer["taken"]:
            with suppress(BridgeError):  # the agent has its answer; the decision is kept for a while
                client.delivered(begun["id"])
        return code

    def _wait(self, client: Client, review_id: str) -> None:
        """Wait until the review has ended; when the time is over it ends by that, unless the human was quicker."""
        try:
            left = max(self._deadline - time.monotonic(), 0.0)
            client.wait(review_id, left, on_surface=self._shown, bound=True, grace=_GRACE_S)
        except StillPending:
            self._give_up(client, review_id)
        except _Nowhere:
            if self._give_up(client, review_id) == "cancelled":
                raise Unavailable("no IDE shows the change, and there is no browser to open") from None

    def _give_up(self, client: Client, review_id: str) -> str:
        """End the review, unless the human was quicker; say how it ended."""
        ended = client.request("review/cancel", {"id": review_id, "moved": True}, self._left())
        return str(ended["outcome"])

    def _left(self) -> float:
        """Say how long the daemon has for an answer, so that the agent gets its own in time."""
        return min(max(self._deadline + _LAST_WORDS_S - time.monotonic(), 1.0), _CALL_S)

    def _shown(self, where: dict[str, Any]) -> None:
        """Lead the human to the page. Raises `_Nowhere` where there is no browser: an agent shows no address."""
        if where.get("surface") != "page" or self._review is None:
            return
        if self._guide is None:
            from bridge.cli.browser import has_browser
            from bridge.cli.waiting import Guide

            if not has_browser():
                raise _Nowhere
            self._guide = Guide(self._review, spawn=not self._args.no_spawn)
        self._guide(where)

    def _without(self, error: BridgeError) -> int:
        """Answer without a daemon."""
        from bridge.core.text import visible

        if self._review is not None:
            from bridge.core.hookagents import AGENTS
            from bridge.core.hooks import undecided

            return _print(undecided(AGENTS[self._agent], f"{error.message}: nobody decided")._asdict())
        hint = f" ({error.hint})" if error.hint else ""
        if self._args.strict:
            print(visible(f"bridge: nothing may be written without a review, and {error}{hint}"), file=sys.stderr)
            return _BLOCK
        return _print({"stdout": "", "stderr": visible(f"bridge: stays out: {error}{hint}"), "code": 0})


def _print(said: Mapping[str, Any]) -> int:
    if said["stderr"]:
        print(said["stderr"], file=sys.stderr)
    sys.stdout.write(said["stdout"])
    sys.stdout.flush()
    return int(said["code"])
