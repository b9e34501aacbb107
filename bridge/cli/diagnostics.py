"""``bridge diagnostics [FILE]``."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace

from bridge.cli.output import say
from bridge.cli.places import here
from bridge.cli.relayed import shown
from bridge.client import Client
from bridge.core.readings import read_diagnostics
from bridge.errors import BadData, ExitCode

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="the file; default: all that the IDE knows of")
    parser.add_argument("--ide", metavar="NAME|PORT", help="the IDE to ask")
    parser.add_argument("--json", action="store_true", help="print them as JSON; lines and columns count from 1")


def run(args: Namespace) -> int:
    """Print the problems, one a line, as compilers do, so that editors can go there."""
    file = None if args.file is None else here(args.file)
    if file is not None and not os.path.exists(file):
        raise BadData(f"there is no file {file}", "check the path")
    with Client(spawn=not args.no_spawn) as client:
        result = client.call_tool("getDiagnostics", file=file, ide=args.ide)
    problems = read_diagnostics(result)
    if args.json:
        print(json.dumps({"diagnostics": problems}))
    elif not problems:
        say("the IDE knows of no problem")
    else:
        print(*map(_line, problems), sep="\n")
    return ExitCode.DONE


def _line(problem: dict[str, Any]) -> str:
    from bridge.core.text import visible

    at = (problem["line"], problem["column"]) if problem["line"] else None
    origin = " ".join(str(word) for word in (problem["source"], problem["code"]) if word not in (None, ""))
    said = visible(problem["message"] + (f" [{origin}]" if origin else ""))
    return f"{shown(problem['path'], at)}: {problem['severity']}: {said}"
