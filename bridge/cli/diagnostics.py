"""``bridge diagnostics [FILE]``."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from bridge.cli.output import say
from bridge.cli.places import here
from bridge.cli.relayed import position, shown, values
from bridge.client import Client
from bridge.errors import BadData, ExitCode

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

# As IDEs say it, in words or by LSP's number, and as compilers do (docs/protocol.md).
SEVERITIES = {
    "error": "error",
    "warning": "warning",
    "information": "info",
    "info": "info",
    "hint": "hint",
    "1": "error",
    "2": "warning",
    "3": "info",
    "4": "hint",
}


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
    problems = read(result)
    if args.json:
        print(json.dumps({"diagnostics": problems}))
    elif not problems:
        say("the IDE knows of no problem")
    else:
        print(*map(_line, problems), sep="\n")
    return ExitCode.DONE


def read(result: Any) -> list[dict[str, Any]]:
    """Read the answer to ``getDiagnostics``: path, line and column from 1, severity, message, source and code.

    Raises `Unavailable` for an answer that says it is an error.
    """
    return [problem for value in values(result) for problem in _read(value)]


def _read(value: Any) -> Iterator[dict[str, Any]]:
    """Read one text of the answer: a list of files with their problems or, as Neovim has it, one problem."""
    if isinstance(value, dict) and isinstance(value.get("filePath"), str):
        line, column = value.get("line"), value.get("character")
        at = (line, column) if type(line) is int and type(column) is int else None  # these count from 1
        yield _problem(value["filePath"], value, at)
    for file in value if isinstance(value, list) else ():
        if not isinstance(file, dict) or not isinstance(file.get("uri"), str):
            continue
        found = file.get("diagnostics")
        for problem in found if isinstance(found, list) else ():
            if isinstance(problem, dict):
                bounds = problem.get("range")
                start = bounds.get("start") if isinstance(bounds, dict) else None
                yield _problem(_path(file["uri"]), problem, position(start))


def _problem(path: str, said: dict[str, Any], at: tuple[int, int] | None) -> dict[str, Any]:
    code = said.get("code")
    code = code.get("value") if isinstance(code, dict) else code  # VS Code may give it with a link
    return {
        "path": path,
        "line": at[0] if at else None,
        "column": at[1] if at else None,
        "severity": SEVERITIES.get(str(said.get("severity")).lower(), "error"),
        "message": str(said.get("message", "")),
        "source": said.get("source"),
        "code": code,
    }


def _path(uri: str) -> str:
    """Give the file of a URI; one that names no file stays as it is."""
    from pathconv import PathConvError, WslPath, parse_uri

    try:
        path = parse_uri(uri)
    except PathConvError:
        return uri
    return uri if isinstance(path, WslPath) else str(path)


def _line(problem: dict[str, Any]) -> str:
    from bridge.core.text import visible

    at = (problem["line"], problem["column"]) if problem["line"] else None
    origin = " ".join(str(word) for word in (problem["source"], problem["code"]) if word not in (None, ""))
    said = visible(problem["message"] + (f" [{origin}]" if origin else ""))
    return f"{shown(problem['path'], at)}: {problem['severity']}: {said}"
