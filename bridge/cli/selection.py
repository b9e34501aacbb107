"""``bridge selection``."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from bridge.cli.output import say
from bridge.cli.relayed import shown
from bridge.client import Client
from bridge.core.readings import SELECTION_TOOLS, read_selection
from bridge.errors import ExitCode, Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--ide", metavar="NAME|PORT", help="the IDE to ask")
    parser.add_argument("--json", action="store_true", help="print it as JSON; lines and columns count from 1")


def run(args: Namespace) -> int:
    """Print the place and the selected text; nothing, if nothing is selected and no editor is open."""
    with Client(spawn=not args.no_spawn) as client:
        selection = _ask(client, args.ide)
    if args.json:
        print(json.dumps({"selection": selection}))
    elif selection is None:
        say("the IDE has no editor open")
    else:
        _print(selection)
    return ExitCode.DONE


def _ask(client: Client, ide: str | None) -> dict[str, Any] | None:
    """Ask for the current selection, else for the latest; raises `Unavailable` when neither can be asked for."""
    troubles = []
    for tool in SELECTION_TOOLS:
        try:
            selection = read_selection(client.call_tool(tool, ide=ide))
        except Unavailable as error:  # not every plugin has both
            troubles.append(error)
            continue
        if selection is not None:
            return selection
    if len(troubles) == len(SELECTION_TOOLS):
        raise troubles[0]
    return None


def _print(selection: dict[str, Any]) -> None:
    from bridge.core.text import visible

    at = (selection["line"], selection["column"]) if selection["line"] else None
    print(shown(selection["path"], at))
    if selection["text"]:
        print(visible(selection["text"], multiline=True).removesuffix("\n"))
