"""``bridge install`` and ``bridge uninstall``: the bridge's entries in other programs' configuration.

Their files are their users': each edit is shown, asked for, kept a copy of, and can be undone.
"""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.errors import ExitCode, Usage, WriteFailed
from bridge.paths import Paths, paths

if TYPE_CHECKING:
    from bridge.core.installchecks import Registration
    from bridge.core.installing import Plan
    from bridge.core.programs import Part, Program
    from bridge.store.backups import Backups

_NAME = re.compile("[A-Za-z0-9_-]{1,64}")  # what every program takes as a server's name

_EPILOG = """exit codes:
    0  done, or nothing is to be done
    1  you said no
    2  no terminal to ask at, and no --yes
   65  a file that cannot be read, that changed meanwhile, or with another entry of the name
   74  the file cannot be written
Without PROGRAM it tells which programs are here, and what is registered with them. Nothing but
the bridge's own entries is changed. Each file is copied to ~/.local/state/bridge/installed
before; uninstall gives back the very file that was, if nothing else in it has changed since.
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="claude, codex, gemini, vscode, …")
    parser.add_argument("--list", action="store_true", help="tell what is registered where; so it does without PROGRAM")
    parser.add_argument("--only", choices=("mcp", "hook"), help="the MCP server or the hook; default: all there is")
    parser.add_argument("--dry-run", action="store_true", help="show the edit, and change nothing")
    parser.add_argument("--yes", action="store_true", help="you agree: do not ask")
    if parser.get_default("command") == "install":
        parser.add_argument(
            "--strict", action="store_true", help="a hook that stops edits when the bridge is not there"
        )
        parser.add_argument("--name", default="bridge", metavar="NAME", help="what the MCP server is called there")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(args: Namespace) -> int:
    """Show the edits, ask, and make them; or tell what is registered."""
    from bridge.cli.output import say
    from bridge.cli.programs import is_present
    from bridge.core.programs import PROGRAMS
    from bridge.store.backups import Backups

    unknown = [name for name in args.programs if name not in PROGRAMS]
    if unknown:
        raise Usage(f"there is no program {unknown[0]} that the bridge knows", f"one of {', '.join(PROGRAMS)}")
    if args.command == "install" and not _NAME.fullmatch(args.name):
        raise Usage("a server's name is of letters, digits, - and _", "--name bridge")
    places = paths(os.environ)
    if args.list or not args.programs:
        return _list([PROGRAMS[name] for name in args.programs or PROGRAMS], args.json)
    if args.command == "install" and args.strict and args.only == "mcp":
        raise Usage("--strict is said of a hook", "leave out --only")
    if args.json:
        raise Usage("--json goes with --list", f"bridge {args.command} --list --json")
    chosen = [PROGRAMS[name] for name in dict.fromkeys(args.programs)]
    for program in chosen if args.command == "install" else ():
        if not is_present(program, os.environ):
            say(f"warning: {program.title} was not found on this machine: it may look elsewhere")
    edits = [edit for program in chosen for edit in _edits(program, args, Backups(places))]
    return _carry_out(edits, args, places)


# ---- what is registered


def _list(programs: Sequence[Program], as_json: bool) -> int:
    from bridge.cli.programs import is_present, look
    from bridge.core.text import visible

    rows = []
    for program in programs:
        here = is_present(program, os.environ)
        found = [look(program, part, os.environ) for part in program.parts]
        parts = {one.part: {"state": _state(one), "path": one.path, "starts": one.starts} for one in found}
        rows.append({"program": program.name, "title": program.title, "present": here, "parts": parts})
        if not as_json:
            words = ", ".join(_words(one) for one in found)
            print(visible(f"{'●' if here else '○'} {program.name:<16}{program.title:<28}{words}"))
    if as_json:
        print(json.dumps(rows, indent=2))
    return ExitCode.DONE


def _state(one: Registration) -> str:
    """Say in a word how it is; scripts may rely on it."""
    if one.trouble is not None:
        return "unreadable"
    if one.starts is None:
        return "absent"
    return "registered" if one.is_this and one.runs else "another" if one.runs else "broken"


def _words(one: Registration) -> str:
    states = {
        "unreadable": f"unreadable ({one.trouble.message if one.trouble else ''})",
        "absent": "no",
        "registered": "yes",
        "another": f"another bridge ({one.starts})",
        "broken": f"a bridge that is gone ({one.starts})",
    }
    return f"{one.part}: {states[_state(one)]}"


# ---- edits


class _Edit:
    """One file that is to be changed."""

    def __init__(self, path: str, plan: Plan) -> None:
        self.path = path
        self.plan = plan


def _edits(program: Program, args: Namespace, backups: Backups) -> list[_Edit]:
    """Plan for one program: one edit a file."""
    from bridge.cli.programs import executable, place, read
    from bridge.core.installing import leave, plan

    parts = [part for part in program.parts if args.only in (None, part)]
    if not parts:
        raise Usage(f"{program.title} has no {args.only} that the bridge knows of", "leave out --only")
    files: dict[str, list[Part]] = {}
    for part in parts:
        files.setdefault(place(program, part, os.environ), []).append(part)
    edits = []
    for path, its in files.items():
        before = read(path)
        if args.command == "install":
            done = plan(program, its, before, path=path, executable=executable(), name=args.name, strict=args.strict)
        else:
            receipt, original = backups.of(path)
            done = leave(program, its, before, path=path, receipt=receipt, original=original)
        edits.append(_Edit(path, done))
    return edits


def _carry_out(edits: Sequence[_Edit], args: Namespace, places: Paths) -> int:
    from bridge.cli.output import agrees, can_ask, say
    from bridge.core.installing import shown
    from bridge.core.text import visible

    for edit in edits:
        for sentence in edit.plan.words:
            print(visible(sentence))
        if not edit.plan.is_idle:
            print(visible(shown(edit.plan, edit.path), multiline=True), end="")
    waiting = [edit for edit in edits if not edit.plan.is_idle]
    if not waiting or args.dry_run:
        return ExitCode.DONE
    sys.stdout.flush()
    if not args.yes and not can_ask():
        raise Usage("there is no terminal to ask you at, so nothing was changed", "--yes agrees, --dry-run only shows")
    if not args.yes and not agrees("make this change?" if len(waiting) == 1 else "make these changes?"):
        say("nothing was changed")
        return ExitCode.REJECTED
    for edit in waiting:
        _make(edit, places)
    say("a program that runs already notices that when it is started again")
    for note in (note for edit in waiting for note in edit.plan.notes):
        say(note)
    return ExitCode.DONE


def _make(edit: _Edit, places: Paths) -> None:
    """Keep a copy, write the receipt, write the file: whatever comes between leaves nothing lost."""
    from bridge.cli.output import say
    from bridge.store.backups import Backups
    from bridge.store.files import write_whole

    backups = Backups(places)
    copy = backups.keep(edit.path, edit.plan)
    try:
        if edit.plan.after is None:
            _remove(edit.path, edit.plan.before)
        else:
            os.makedirs(os.path.dirname(os.path.realpath(edit.path)), mode=0o700, exist_ok=True)
            write_whole(os.fsencode(edit.path), edit.plan.after, edit.plan.before)
    except OSError as exc:
        raise WriteFailed(f"cannot write {edit.path}: {exc.strerror}", "mend the cause, then try again") from exc
    done = f"removed {edit.path}, which the bridge had made" if edit.plan.after is None else f"wrote {edit.path}"
    say(f"{done}; as it was: {copy}" if copy else done)
    if edit.plan.gone:
        backups.forget(edit.path)


def _remove(path: str, before: bytes | None) -> None:
    """Remove the file that the bridge made, wherever a symlink led to."""
    from bridge.cli.programs import read
    from bridge.errors import Conflict

    if read(path) != before:
        raise Conflict(f"{path} changed meanwhile: nothing was written", "look at it, then try again")
    os.unlink(os.path.realpath(path))
