"""``bridge bugreport``: everything that a stranger needs to understand a fault, and nothing that is private.

It is shown before it is written, and never sent.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from bridge.errors import ExitCode, Usage, WriteFailed

_EPILOG = """The report has versions, settings, `bridge status`, `bridge doctor`, facts of lock files, the
number of reviews and the end of the log. Taken out are tokens and all that looks like one, your
home directory, your name and that of this machine, and titles and texts of reviews. Read it
before you give it to anybody: names of your files and directories are in it.
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there, if you agree; default: only show it")
    parser.add_argument("--yes", action="store_true", help="you agree: it is not shown first")


def run(args: Namespace) -> int:
    """Show the report, and write it if the human agrees."""
    from bridge.cli.bugfacts import report
    from bridge.cli.output import agrees, say
    from bridge.core.text import visible

    if args.yes and args.output is None:
        raise Usage("--yes agrees to nothing without --output", "bridge bugreport --help")
    if args.output is not None and os.path.lexists(args.output):
        raise Usage(f"{args.output} is already there", "name another file")
    text = visible(report(), multiline=True)
    if not args.yes:
        print(text, end="", flush=True)
    if args.output is None:
        return ExitCode.DONE
    if not args.yes and not agrees(f"write this to {args.output}?"):
        say("nothing was written; --yes agrees without being asked")
        return ExitCode.DONE
    _write(args.output, text)
    say(f"wrote {args.output}; nothing was sent")
    return ExitCode.DONE


def _write(path: str, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise WriteFailed(f"cannot write {path}: {exc.strerror}", "name another file") from exc
