"""``bridge open PATH[:LINE[:COL]]``."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from bridge.cli.output import say
from bridge.cli.places import here
from bridge.client import Client
from bridge.errors import BadData, ExitCode, Unavailable, Usage

_SUFFIX = re.compile(r"^(.+?):(\d+)(?::(\d+))?:?$", re.DOTALL)  # as compilers write it, also with a last colon
_PREFIX = re.compile(r"^\+(\d+)(?::(\d+))?$")  # as vi and emacs take it
_TAKE_A_LINE = frozenset(
    {"emacs", "emacsclient", "ex", "joe", "kak", "micro", "nano", "nvim", "pico", "vi", "view", "vim"}
)


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "bridge open [-g] PATH[:LINE[:COL]] | bridge open +LINE[:COL] PATH"
    parser.add_argument("words", nargs="+", metavar="PATH", help="the file, and where in it; both count from 1")
    parser.add_argument("-g", "--goto", action="store_true", help="accepted as VS Code's CLI has it; changes nothing")
    parser.add_argument("--ide", metavar="NAME|PORT", help="the IDE to open it in")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(args: Namespace) -> int:
    """Open the file; without an IDE, in the user's own editor if there is a terminal for it.

    Where an IDE's plugin opens no files, the editor's own command does.
    """
    path, line, column = where(args.words)
    path = here(path)
    if not os.path.exists(path):
        raise BadData(f"there is no file {path}", "check the path")
    try:
        with Client(spawn=not args.no_spawn) as client:
            place = {"path": path, "line": line, "column": column, "ide": args.ide}
            result = client.request("open", {**place, "may_launch": True})
        by = _launch(result, path)
    except Unavailable as error:
        editor = (os.environ.get("VISUAL") or os.environ.get("EDITOR") or "").strip()
        if args.ide is None and editor and sys.stdin.isatty() and sys.stdout.isatty():
            say(f"{error}; opening it in {editor}")
            return _edit(editor, path, line)
        raise
    if args.json:
        print(json.dumps(result))
    elif not result["positioned"]:
        say(f"{by}, which could not go to line {line}")
    else:
        say(by)
    return ExitCode.DONE


def _launch(result: dict[str, Any], path: str) -> str:
    """Start the editor's command, if the answer has one: it gives way to ``launched``. Say what was done."""
    words = result.pop("launch", None)
    result["launched"] = None
    if words is None:
        return f"opened in {result['ide']}"
    from bridge.cli.launch import PATIENCE_S, launch

    result["launched"], ended = launch(words, path, os.environ)
    if not ended:
        return f"{words[0]} was started for {result['ide']}, and is still at it after {PATIENCE_S:g} s"
    return f"opened in {result['ide']} by {words[0]}"


def where(words: list[str]) -> tuple[str, int | None, int | None]:
    """Read the three spellings: ``PATH:LINE:COL``, ``+LINE:COL PATH``, and a plain path.

    A file whose very name ends in ``:3`` is that file. Raises `Usage`.
    """
    if len(words) == 2 and (prefix := _PREFIX.match(words[0])):
        return words[1], _count(prefix[1]), _count(prefix[2])
    if len(words) != 1:
        raise Usage("one file is opened", "bridge open --help")
    suffix = _SUFFIX.match(words[0])
    if suffix is None or os.path.lexists(words[0]):
        return words[0], None, None
    return suffix[1], _count(suffix[2]), _count(suffix[3])


def _count(digits: str | None) -> int | None:
    if digits is None:
        return None
    if int(digits) == 0 or len(digits) > 9:
        raise Usage("lines and columns count from 1")
    return int(digits)


def _edit(editor: str, path: str, line: int | None) -> int:
    """Run the editor in this terminal; the path is absolute, so it cannot be taken for an option."""
    import subprocess

    try:
        words = shlex.split(editor)
        place = [f"+{line}"] if line is not None and os.path.basename(words[0]) in _TAKE_A_LINE else []
        return subprocess.call([*words, *place, os.path.abspath(path)])
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc  # ValueError: a quote that does not end
        raise Unavailable(f"cannot run {editor}: {why}", "set EDITOR to an editor") from exc
