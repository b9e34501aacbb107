"""``bridge status``."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace

from bridge.cli.output import wants_color
from bridge.client import Client
from bridge.errors import ExitCode

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any, NoReturn

_UNCUT = 10_000  # columns, when the output is no terminal
_TICK_S = 2.0  # for what sends no event: a port that closes, a plugin that renews its lock file
_REDRAW = "\x1b[H\x1b[J"  # from the top left, and nothing of what was there


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--ide", metavar="NAME|PORT", help="choose as if this IDE were asked for")
    parser.add_argument("--watch", action="store_true", help="go on, and print it again when it changes, until Ctrl-C")


def run(args: Namespace) -> int:
    """Print what the daemon sees; it renders the text itself, so that this process stays small."""
    with Client(spawn=not args.no_spawn) as client:
        if args.watch:
            _watch(client, args)
        look = _look(client, args)
        sys.stdout.write(json.dumps(look, indent=2) + "\n" if args.json else look["text"])
    return ExitCode.DONE


def _look(client: Client, args: Namespace) -> dict[str, Any]:
    if args.json:
        params = {"ide": args.ide}
    else:
        columns = (os.get_terminal_size(sys.stdout.fileno()).columns or 80) if sys.stdout.isatty() else _UNCUT
        params = {"render": True, "color": wants_color(sys.stdout), "columns": columns, "ide": args.ide}
    look: dict[str, Any] = client.request("status", params)
    return look


def _watch(client: Client, args: Namespace) -> NoReturn:
    """Print it now and whenever it changes, until an exception ends this."""
    shown, shown_text = None, ""
    terminal = sys.stdout.isatty()
    while True:
        client.next_event(_TICK_S)
        while client.next_event(0.0) is not None:
            pass  # one look tells all that came together
        look = _look(client, args)
        text = look.pop("text", "")
        if args.json and look != shown:
            print(json.dumps(look))
        elif terminal and text != shown_text:
            sys.stdout.write(_REDRAW + text)
        elif look != shown:  # not the text: in a file nobody wants to read how time goes by
            sys.stdout.write(text if shown is None else f"\n{text}")
        shown, shown_text = look, text
        sys.stdout.flush()
