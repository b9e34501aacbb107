"""``bridge path``: answers like ``wslpath``, in this process, and says why."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bridge.cli.output import say
from bridge.errors import ExitCode, Unavailable, Usage
from pathconv import Code, Env, PathConvError, PathMapper, is_windows, parse_windows, to_uri
from pathconv.probe import Probe

_EPILOG = """exit codes:
    0  every path has a name on the other side
   65  one has none: stderr says why; the others are printed
   69  this is no WSL
Unlike wslpath it does not guess the direction and does not take a Windows path for a relative Linux one.
"""
_ROOTED = re.compile(r"[A-Za-z]:|[\\/]")  # how a Windows path begins that does not count from the working directory
_ELSEWHERE = {
    Env.CONTAINER: "this is a container: neither the drives of Windows nor WSL's mounts are known here",
    Env.WINDOWS: "this is Windows: run it inside a distribution",
}


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    to = parser.add_mutually_exclusive_group()
    to.add_argument("-u", dest="to", action="store_const", const="u", default="u", help="Windows to Linux (default)")
    to.add_argument("-w", dest="to", action="store_const", const="w", help="Linux to Windows")
    to.add_argument("-m", dest="to", action="store_const", const="m", help="like -w, with / instead of \\")
    to.add_argument(
        "--uri", dest="to", action="store_const", const="uri", help="either, to the URI for IDEs on Windows"
    )
    parser.add_argument("-a", action="store_true", help="accepted since wslpath has it: answers are always absolute")
    parser.add_argument("--explain", action="store_true", help="say which mount decides, and what may go wrong")
    parser.add_argument("--json", action="store_true", help="print a list of {path, result, error, reason, why}")
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a relative one counts from the working directory")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one path."""

    path: str
    result: str | None
    error: PathConvError | None
    why: list[str]

    def to_json(self) -> dict[str, object]:
        code, reason = (None, None) if self.error is None else (self.error.code, self.error.why)
        return {"path": self.path, "result": self.result, "error": code, "reason": reason, "why": self.why}


def run(args: Namespace) -> int:
    """Print the name of each path on the other side, one a line."""
    probe = Probe()
    mapper = probe.mapper()
    if mapper is None:
        raise Unavailable(_ELSEWHERE.get(probe.env, f"this is {probe.env}, not WSL: a file has one name here"))
    answers = [_answer(mapper, args.to, path, args.explain or args.json) for path in args.paths]
    if args.json:
        print(json.dumps([answer.to_json() for answer in answers], indent=2))
    else:
        for answer in answers:
            _print(answer, args.explain)
    return ExitCode.BAD_DATA if any(answer.error for answer in answers) else ExitCode.DONE


def _print(answer: _Answer, explain: bool) -> None:
    """Print a name as it is, for scripts; to a terminal, which might obey it, so that it can be seen."""
    from bridge.core.text import visible

    if answer.error is not None:
        say(f"error: {answer.error}")
    else:
        print(visible(answer.result or "") if sys.stdout.isatty() else answer.result)
    for reason in answer.why if explain else ():
        print(f"    {visible(reason)}", file=sys.stdout if answer.error is None else sys.stderr)


def _answer(mapper: PathMapper, to: str, path: str, explain: bool) -> _Answer:
    direction: Literal["to_linux", "to_windows"] = "to_linux" if to == "u" else "to_windows"
    whole, result, failed = path, None, None
    try:
        whole = _windows_path(mapper, path) if to == "u" else _linux_path(mapper, path, to)
        result = _CONVERT[to](mapper, whole)
    except PathConvError as error:
        failed = error.about(path)
    why = mapper.explain(whole, direction) if explain else []
    return _Answer(path, result, failed, why[1:] if failed else why)  # the first of an error's reasons is the error


_CONVERT: dict[str, Callable[[PathMapper, str], str]] = {
    "u": PathMapper.to_linux,
    "w": PathMapper.to_windows,
    "m": lambda mapper, path: mapper.to_windows(path, "mixed"),
    "uri": lambda mapper, path: to_uri(parse_windows(mapper.to_windows(path))),
}


def _windows_path(mapper: PathMapper, path: str) -> str:
    """Give the Windows path that was meant; a relative one counts from the working directory."""
    if path.startswith("/") and not path.startswith("//"):
        raise PathConvError(Code.RELATIVE, path, "a Linux path, whose Windows name -w gives")
    return path if not path or _ROOTED.match(path) else f"{mapper.to_windows(_cwd())}\\{path}"


def _linux_path(mapper: PathMapper, path: str, to: str) -> str:
    """Give the Linux path that was meant. ``--uri`` takes either kind, since it has one answer for both."""
    if is_windows(path, "linux"):
        if to != "uri":
            raise PathConvError(Code.RELATIVE, path, "already a Windows path, whose Linux name -u gives")
        return mapper.to_linux(path)
    return path if not path or path.startswith("/") else f"{_cwd()}/{path}"


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise Usage("the working directory is gone", "cd to one that exists") from None
