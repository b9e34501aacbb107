"""The command line: ``bridge COMMAND …``.

Text for people, ``--json`` for programs; stdout carries data, stderr messages. Every command is a module with
``add(parser)`` and ``run(args)``, imported when it is asked for, since a command's first duty is to be quick.
"""

from __future__ import annotations

import errno
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module

from bridge import __version__
from bridge.cli.output import drop_stdout
from bridge.errors import BridgeError, ExitCode, Usage, WriteFailed, render

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["COMMANDS", "EXIT_CODES", "main", "parser_of"]

COMMANDS = {
    "status": ("bridge.cli.status", "show the IDEs, which one would be used and why, and what waits"),
    "use": ("bridge.cli.use", "pin the IDE for this terminal or workspace, or say what is pinned"),
    "run": ("bridge.cli.run", "start an agent that finds the bridge as its IDE: many share one window"),
    "publish": ("bridge.cli.publish", "be the IDE of every agent, or no longer"),
    "open": ("bridge.cli.open", "open a file, at a line, in the IDE that you work in"),
    "diff": ("bridge.cli.diff", "show a change to the human and print the decision"),
    "hook": ("bridge.cli.hook", "answer an agent's hook: the human reviews what it is about to write"),
    "selection": ("bridge.cli.selection", "print what is selected in the IDE"),
    "diagnostics": ("bridge.cli.diagnostics", "print the problems that the IDE knows of, of a file or of all"),
    "mcp": ("bridge.cli.mcp", "speak MCP on stdin and stdout, for an agent that is told to start this"),
    "review": ("bridge.cli.review", "list, show, open, wait for, print, apply or cancel reviews"),
    "path": ("bridge.cli.path", "translate paths between Windows and WSL, like wslpath, and say why"),
    "shell-hook": ("bridge.cli.shell_hook", "print what a shell evaluates, so that agents attach to its IDE"),
    "install": ("bridge.cli.install", "register the bridge with an agent or an editor: MCP server and hook"),
    "uninstall": ("bridge.cli.install", "take that out again"),
    "doctor": ("bridge.cli.doctor", "check everything and say how to mend it"),
    "up": ("bridge.cli.daemon", "start the bridge (any command does that by itself)"),
    "down": ("bridge.cli.daemon", "stop the bridge; undecided reviews stay"),
    "restart": ("bridge.cli.daemon", "stop the bridge and start it again"),
    "logs": ("bridge.cli.logs", "print the end of the bridge's log, or follow it"),
    "bugreport": ("bridge.cli.bugreport", "print all that explains a fault, without what is private"),
    "completions": ("bridge.cli.completions", "print what completes commands in bash, zsh or fish"),
    "man": ("bridge.cli.man", "print the manual page: bridge man | man -l -"),
}

# They start and stop it, need none, or must not start one: there is nothing to forbid.
_NO_DAEMON = frozenset(
    f"bridge.cli.{name}"
    for name in ("bugreport", "completions", "daemon", "install", "logs", "man", "path", "shell_hook")
)
_BAD_HOOK = 64  # EX_USAGE: from a hook an agent takes 2 for a no, and a mistyped option would forbid every edit
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room where our output goes; other writes say so themselves

EXIT_CODES = """exit codes:
    0  accepted (also with edits), or done
    1  the human said no
    2  usage (of bridge hook: nothing may be written)
    3  ended undecided: cancelled, superseded, expired
   65  refused data, or a conflict even after acceptance (the decision is kept)
   69  nothing reachable: no IDE, no bridge, no such review
   70  a bug
   74  accepted, but the file could not be written (the text is kept)
   75  still pending at --timeout (the id is printed, the review stays)
   77  not trusted: a wrong owner or mode, a refused token
   78  configuration
  130  interrupted (the review stays)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _mend_streams()
    as_json = "--json" in words
    try:
        code = _run(words)
        sys.stdout.flush()
    except Usage as error:
        code = _fail(error, as_json)
        return _BAD_HOOK if words[:1] == ["hook"] else code
    except BridgeError as error:
        return _fail(error, as_json)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        drop_stdout()
        return ExitCode.DONE
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno in _FULL:
            drop_stdout()
            return _fail(WriteFailed(f"cannot write the output: {exc.strerror}", "make room, then try again"), False)
        return _bug(exc, as_json)
    return code


def _mend_streams() -> None:
    """Make stdout and stderr take whatever is printed: neither a narrow locale nor ``>&-`` is a reason to fail."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _run(words: list[str]) -> int:
    if not words:
        print(_help(), file=sys.stderr)
        return ExitCode.USAGE
    command = words[0]
    if command in ("-h", "--help", "help"):
        print(_help())
        return ExitCode.DONE
    if command == "--version":
        print(f"bridge {__version__}")
        return ExitCode.DONE
    if command not in COMMANDS:
        raise Usage(f"there is no command {command}", "bridge --help")
    args: Namespace = parser_of(command).parse_args(words[1:])
    code: int = import_module(COMMANDS[command][0]).run(args)
    return code


def parser_of(command: str) -> ArgumentParser:
    """Build the parser of one command."""
    name, help_ = COMMANDS[command]
    parser = _Parser(f"bridge {command}", help_)
    parser.set_defaults(command=command)
    if name not in _NO_DAEMON:
        parser.add_argument("--no-spawn", action="store_true", help="do not start the bridge if it is not running")
    import_module(name).add(parser)
    return parser


class _Formatter(RawDescriptionHelpFormatter):
    """Writes help of a fixed width: to learn the terminal's, argparse imports what costs a tenth of a command."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


class _Parser(ArgumentParser):
    """An argument parser whose complaints are `Usage` errors like all others."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, formatter_class=_Formatter, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise Usage(message, f"{self.prog} --help")


def _help() -> str:
    rows = "\n".join(f"  {name:<13}{help_}" for name, (_, help_) in COMMANDS.items())
    return f"usage: bridge COMMAND [--help] …\n\nOne bridge between coding agents and IDEs.\n\n{rows}\n\n{EXIT_CODES}"


def _fail(error: BridgeError, as_json: bool) -> int:
    from bridge.core.text import visible  # lazily: only errors pay for it

    shown = BridgeError(visible(error.message), visible(error.hint) if error.hint else None)
    print(render(shown), file=sys.stderr)
    if as_json:
        import json

        print(json.dumps({"error": error.to_json(), "exit_code": int(error.exit_code)}))
    return error.exit_code


def _bug(exc: Exception, as_json: bool) -> int:
    import traceback

    from bridge.core.text import visible

    print(visible("".join(traceback.format_exception(exc)), multiline=True), end="", file=sys.stderr)
    return _fail(BridgeError(f"a bug in the bridge: {exc!r}", "please report it with the lines above"), as_json)
