"""``bridge use``."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from bridge.client import Client
from bridge.errors import ExitCode

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

_EPILOG = """A pinned IDE is as one that --ide names: that one is used or none, and --ide still overrides it.
A terminal's pin goes before its workspace's, and ends with the terminal.
Without an IDE it prints what is pinned and for what; the one that counts here comes with a dot.
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "ide", nargs="?", metavar="NAME|PORT|auto", help="the IDE for this terminal; auto: the bridge chooses again"
    )
    parser.add_argument("--workspace", action="store_true", help="for the project of this directory, in every terminal")
    parser.add_argument("--json", action="store_true", help="print all that is pinned as JSON")


def run(args: Namespace) -> int:
    """Pin or unpin, or say what is pinned."""
    with Client(spawn=not args.no_spawn) as client:
        pins = client.request("use", {"ide": args.ide, "workspace": args.workspace})
    if args.json:
        print(json.dumps(pins, indent=2))
        return ExitCode.DONE
    from bridge.cli.output import say
    from bridge.core.text import visible

    if args.ide is None:
        for pin in pins["pins"]:
            print(visible(f"{'●' if pin['used'] else '○'} {pin['ide']}  {_what(pin)}"))
        if not pins["pins"]:
            say("no IDE is pinned: the bridge chooses")
        return ExitCode.DONE
    name = args.ide.strip()
    where = f"the workspace {pins['workspace']}" if args.workspace else "this terminal"
    said = "the bridge chooses the IDE" if name == "auto" else f"{name} is the IDE"
    print(visible(f"{said} for {where} from now on"))
    if pins["running"] is False:
        say(f"warning: no IDE called {name} is running; until it does, changes are shown on the page")
    return ExitCode.DONE


def _what(pin: dict[str, Any]) -> str:
    if pin["for"] == "workspace":
        return f"the workspace {pin['workspace']}"
    return "this terminal" if pin["here"] else "another terminal"
