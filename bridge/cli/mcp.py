"""``bridge mcp``."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from bridge.cli.output import say
from bridge.connection import CALL_S, Caller
from bridge.errors import ExitCode, Unavailable, Usage
from bridge.forwarder import Forwarder


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--http", action="store_true", help="print the address and the token's file for MCP over HTTP")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def run(args: Namespace) -> int:
    """Forward between the agent that started this and the daemon, or tell where MCP is served over HTTP."""
    if args.http:
        return _tell(args)
    if args.json:
        raise Usage("--json goes with --http", "bridge mcp --help")
    if sys.stdin is None:
        raise Usage("standard input is closed", "an agent starts this, and speaks MCP to it")
    if sys.stdin.isatty():
        say("this speaks MCP, for agents: they start it by themselves (Ctrl-D ends it)")
    caller = Caller("mcp", not args.no_spawn, None, None, CALL_S)
    Forwarder(caller, sys.stdin.fileno(), sys.stdout.fileno(), _lead).run()
    return ExitCode.DONE


def _tell(args: Namespace) -> int:
    """Print where it is. Never the token: what is printed is read by others, agents among them."""
    import json

    from bridge.client import Client
    from bridge.paths import paths

    with Client(spawn=not args.no_spawn) as client:
        address = client.status()["daemon"].get("mcp_http")
    places = paths(os.environ)
    if address is None:
        hint = f"write mcp_http = 7347 (or another port) into {places.config}, then: bridge restart"
        raise Unavailable("MCP over HTTP is off", f"{hint}; if it is there already, bridge status says why")
    told = {"address": address, "token_file": places.mcp_token}
    if args.json:
        print(json.dumps(told))
    else:
        print(f"address: {address}\ntoken:   in {places.mcp_token}, to be sent as Authorization: Bearer TOKEN")
    return ExitCode.DONE


def _lead(door: str) -> None:
    """Open a file in the browser, meanwhile: some take seconds."""
    import threading

    from bridge.cli.browser import open_browser

    threading.Thread(target=open_browser, args=(door,), daemon=True).start()
