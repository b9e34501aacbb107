"""``bridge selection``."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from bridge.cli.output import say
from bridge.cli.relayed import position, shown, values
from bridge.client import Client
from bridge.errors import ExitCode, Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

TOOLS = ("getCurrentSelection", "getLatestSelection")  # the second knows more when no editor has the focus


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
    for tool in TOOLS:
        try:
            selection = read(client.call_tool(tool, ide=ide))
        except Unavailable as error:  # not every plugin has both
            troubles.append(error)
            continue
        if selection is not None:
            return selection
    if len(troubles) == len(TOOLS):
        raise troubles[0]
    return None


def read(result: Any) -> dict[str, Any] | None:
    """Read the answer to either tool: path, text, and both ends from 1; None when there is no selection.

    Raises `Unavailable` for an answer that says it is an error.
    """
    for value in values(result):
        if isinstance(value, dict) and isinstance(value.get("filePath"), str):
            return _read(value)
    return None


def _read(value: dict[str, Any]) -> dict[str, Any]:
    text, bounds = value.get("text"), value.get("selection")
    bounds = bounds if isinstance(bounds, dict) else {}
    line, column = position(bounds.get("start")) or (None, None)
    end_line, end_column = position(bounds.get("end")) or (None, None)
    return {
        "path": value["filePath"],
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "text": text if isinstance(text, str) else "",
    }


def _print(selection: dict[str, Any]) -> None:
    from bridge.core.text import visible

    at = (selection["line"], selection["column"]) if selection["line"] else None
    print(shown(selection["path"], at))
    if selection["text"]:
        print(visible(selection["text"], multiline=True).removesuffix("\n"))
