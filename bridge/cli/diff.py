"""``bridge diff OLD NEW`` and ``bridge diff FILE --proposed PATH|-``."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from bridge.cli.output import say, seconds
from bridge.cli.places import here
from bridge.cli.waiting import EXIT_OF, apply, await_decision, print_decision
from bridge.client import Client
from bridge.errors import BadData, BridgeError, Usage

_MISSING = os.devnull  # what git difftool gives for a file that is new


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "bridge diff OLD NEW | bridge diff FILE --proposed PATH|- [--apply]"
    parser.add_argument("files", nargs="+", metavar="FILE", help="OLD NEW, or with --proposed the one FILE")
    parser.add_argument("--proposed", metavar="PATH", help="the proposed contents; - is standard input")
    parser.add_argument("--apply", action="store_true", help="write FILE when the change is accepted")
    parser.add_argument("--title", default="", help="one line for the human")
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="stop waiting; the review stays")
    parser.add_argument("--surface", choices=("auto", "ide", "page"), default="auto", help="where to show it")
    parser.add_argument("--ide", metavar="NAME|PORT", help="the IDE to show it in")
    parser.add_argument("--key", metavar="KEY", help="your name for this proposal: asking again joins its review")
    parser.add_argument("--supersedes", metavar="ID", help="the undecided review that this one replaces")
    parser.add_argument("--json", action="store_true", help="print the decision as JSON")


def run(args: Namespace) -> int:
    """Propose, wait, print; write the file if that was asked for."""
    path, proposed, base = _what(args)
    with Client(name="bridge diff", spawn=not args.no_spawn) as client:
        review_id = client.propose(
            path,
            proposed,
            title=args.title,
            request_key=args.key,
            surface=args.surface,
            ide=args.ide,
            base=base,
            supersedes=args.supersedes,
        )
        say(f"review {review_id} waits for a decision (Ctrl-C leaves it open)")
        try:
            return _finish(client, review_id, args)
        except BridgeError as error:
            error.review = review_id
            raise


def _finish(client: Client, review_id: str, args: Namespace) -> int:
    decision = await_decision(client, review_id, args.timeout, not args.no_spawn)
    if args.apply:
        apply(client, decision)
    print_decision(decision, args.json)
    if not args.apply and decision["state"] == "decided":
        client.delivered(review_id)
    return EXIT_OF[decision["outcome"]]


def _what(args: Namespace) -> tuple[str, str, str | None]:
    """Give path, proposed text, and the base if it is not what is on disk at the path."""
    if args.proposed is not None:
        if len(args.files) != 1:
            raise Usage("with --proposed there is one FILE", "bridge diff --help")
        if args.files[0] == "-":
            raise Usage("FILE is a path", "bridge diff FILE --proposed -")
        return here(args.files[0]), _read(here(args.proposed)), None
    if len(args.files) != 2:
        raise Usage("two files are compared, or one with --proposed", "bridge diff --help")
    if args.apply:
        raise Usage("--apply goes with --proposed: OLD NEW only compares", "bridge diff FILE --proposed NEW --apply")
    old, new = map(here, args.files)
    if old == _MISSING:
        return new, _read(new), ""
    if not os.path.exists(old):
        raise BadData(f"there is no file {old}", "check the path; /dev/null stands for a new file")
    if not os.path.isfile(old):  # a pipe of ours, such as <(command), would be another one in the daemon
        raise BadData(f"{old} is not a regular file", "the first file is one on disk; the second may be a pipe")
    return old, "" if new == _MISSING else _read(new), None


def _read(path: str) -> str:
    """Read text as it is, line endings and all."""
    from bridge.core.text import decode

    if path == "-" and sys.stdin is None:
        raise BadData("standard input is closed", "give the text on it, or --proposed PATH")
    try:
        if path == "-":
            path, data = "standard input", sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
    except OSError as exc:
        raise BadData(f"cannot read {path}: {exc.strerror}", "check the path") from exc
    try:
        return decode(data)
    except BadData as exc:
        raise BadData(f"{path}: {exc.message}", exc.hint) from exc
