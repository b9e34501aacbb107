"""``bridge mcp``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from bridge.cli.output import say
from bridge.connection import CALL_S, Caller
from bridge.errors import ExitCode, Usage
from bridge.forwarder import Forwarder


def add(parser: ArgumentParser) -> None:
    """Add the arguments: there are none but the usual."""


def run(args: Namespace) -> int:
    """Forward between the agent that started this and the daemon."""
    if sys.stdin is None:
        raise Usage("standard input is closed", "an agent starts this, and speaks MCP to it")
    if sys.stdin.isatty():
        say("this speaks MCP, for agents: they start it by themselves (Ctrl-D ends it)")
    caller = Caller("mcp", not args.no_spawn, None, None, CALL_S)
    Forwarder(caller, sys.stdin.fileno(), sys.stdout.fileno(), _lead).run()
    return ExitCode.DONE


def _lead(door: str) -> None:
    """Open a file in the browser, meanwhile: some take seconds."""
    import threading

    from bridge.cli.browser import open_browser

    threading.Thread(target=open_browser, args=(door,), daemon=True).start()
