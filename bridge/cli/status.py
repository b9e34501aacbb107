"""``bridge status``."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace

from bridge.cli.output import wants_color
from bridge.client import Client
from bridge.errors import ExitCode

_UNCUT = 10_000  # columns, when the output is no terminal


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--ide", metavar="NAME|PORT", help="choose as if this IDE were asked for")


def run(args: Namespace) -> int:
    """Print what the daemon sees; it renders the text itself, so that this process stays small."""
    terminal = sys.stdout.isatty()
    with Client(spawn=not args.no_spawn) as client:
        if args.json:
            print(json.dumps(client.request("status", {"ide": args.ide}), indent=2))
            return ExitCode.DONE
        columns = (os.get_terminal_size(sys.stdout.fileno()).columns or 80) if terminal else _UNCUT
        params = {"render": True, "color": wants_color(sys.stdout), "columns": columns, "ide": args.ide}
        sys.stdout.write(client.request("status", params)["text"])
    return ExitCode.DONE
