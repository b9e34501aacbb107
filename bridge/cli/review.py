"""``bridge review ls | show | open | wait | result | apply | cancel``."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from bridge.cli.output import say, seconds
from bridge.cli.waiting import EXIT_OF, Guide, apply, await_decision, print_decision
from bridge.client import Client
from bridge.errors import Conflict, ExitCode, StillPending, Usage

_VERBS = ("ls", "show", "open", "wait", "result", "apply", "cancel")


def add(parser: ArgumentParser) -> None:
    """Add the arguments; which of them a verb takes is said in its help."""
    parser.usage = "bridge review ls [--all] | bridge review {show,open,wait,result,apply,cancel} ID [--file PATH]"
    parser.epilog = (
        "ls      undecided reviews; --all: ended ones too\n"
        "show    what is proposed, as a diff\n"
        "open    show it again: in the IDE, or on the page (--surface)\n"
        "wait    wait for the decision (--timeout) and print it\n"
        "result  print the accepted text, of --file if there are several\n"
        "apply   write the accepted texts to their files\n"
        "cancel  end an undecided review"
    )
    parser.add_argument("verb", choices=_VERBS, metavar="VERB")
    parser.add_argument("id", nargs="?", metavar="ID")
    parser.add_argument("--all", action="store_true", help="ls: ended reviews too")
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="wait: stop waiting; the review stays")
    parser.add_argument("--surface", choices=("auto", "ide", "page"), default="auto", help="open: where")
    parser.add_argument("--ide", metavar="NAME|PORT", help="open: the IDE to show it in")
    parser.add_argument("--file", metavar="PATH", help="result: which of several files")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace) -> int:
    """Do what the verb says."""
    if (args.verb == "ls") != (args.id is None):
        raise Usage("every verb but ls takes the ID of a review", "bridge review ls")
    verbs: dict[str, Callable[[Client, Namespace], int]] = {
        "ls": _ls,
        "show": _show,
        "open": _open,
        "wait": _wait,
        "result": _result,
        "apply": _apply,
        "cancel": _cancel,
    }
    with Client(spawn=not args.no_spawn) as client:
        return verbs[args.verb](client, args)


def _ls(client: Client, args: Namespace) -> int:
    rows = client.request("review/list", {"all": args.all})["reviews"]
    if args.json:
        print(json.dumps(rows))
        return ExitCode.DONE
    from bridge.core.summary import some_names
    from bridge.core.text import visible

    for row in rows:
        state = row["outcome"] or ("queued" if row["where"] == "queued" else row["state"])
        place = f" in {row['ide']}" if row["ide"] else f" on the {row['where']}" if row["where"] else ""
        print(visible(f"{row['id']}  {state}{place}  {some_names(row['paths'])}  {row['title']}".rstrip()))
    if not rows:
        say("no review waits for a decision" if not args.all else "there are no reviews")
    return ExitCode.DONE


def _show(client: Client, args: Namespace) -> int:
    review = client.request("review/get", {"id": args.id})
    if args.json:
        print(json.dumps(review))
        return ExitCode.DONE
    from bridge.core.hunks import unified
    from bridge.core.text import visible

    print(visible(f"review {review['id']}: {review['outcome'] or review['state']}  {review['title']}".rstrip()))
    for file in review["files"]:
        name = file["path"].lstrip("/")
        if review["outcome"] == "partially_accepted":
            print(visible(f"{'accepted' if file['final'] is not None else 'rejected'}: {file['path']}"))
        after = file["proposed"] if file["final"] is None else file["final"]
        sys.stdout.write(visible(unified(file["base"], after, f"a/{name}", f"b/{name}"), multiline=True))
    for comment in review["comments"]:
        print(visible(comment["text"], multiline=True))
    return ExitCode.DONE


def _open(client: Client, args: Namespace) -> int:
    shown = client.request("review/open", {"id": args.id, "surface": args.surface, "ide": args.ide})
    if "surface" not in shown:
        raise Conflict(f"review {args.id} is already {shown['outcome']}", f"bridge review show {args.id}")
    Guide(args.id, spawn=False)(shown)
    if args.json:
        print(json.dumps(shown))
    return ExitCode.DONE


def _wait(client: Client, args: Namespace) -> int:
    decision = await_decision(client, args.id, args.timeout, not args.no_spawn)
    print_decision(decision, args.json)
    return EXIT_OF[decision["outcome"]]


def _decided(client: Client, args: Namespace) -> dict[str, Any]:
    decision: dict[str, Any] = client.request("review/get", {"id": args.id})
    if decision["outcome"] is None:
        raise StillPending(f"review {args.id} is still undecided", f"bridge review wait {args.id}")
    return decision


def _result(client: Client, args: Namespace) -> int:
    decision = _decided(client, args)
    if args.json:
        print(json.dumps(decision))
        return EXIT_OF[decision["outcome"]]
    if all(file["final"] is None for file in decision["files"]):
        say(f"review {args.id} is {decision['outcome']}: there is no text")  # stdout is for the text alone
        return EXIT_OF[decision["outcome"]]
    file = _one_of(decision, args.file)
    if file["final"] is None:
        say(f"{file['path']} was rejected: there is no text")
        return ExitCode.REJECTED
    _write_text(file["final"])
    return ExitCode.DONE


def _one_of(decision: dict[str, Any], named: str | None) -> dict[str, Any]:
    """Find the file that is meant; it need not be named where there is one only."""
    files: list[dict[str, Any]] = decision["files"]
    command = f"bridge review result {decision['id']} --file PATH"
    if named is None:
        if len(files) > 1:
            raise Usage(f"review {decision['id']} has {len(files)} files", f"{command}, or --json for all")
        return files[0]
    from bridge.cli.places import here

    path = os.fsencode(os.path.realpath(here(named)))
    for file in files:
        if file["path"].encode("utf-8", "surrogateescape") == path:
            return file
    raise Usage(f"{named} is not in review {decision['id']}", f"bridge review show {decision['id']}")


def _write_text(text: str) -> None:
    """Write the text byte for byte, but never let it speak to a terminal."""
    if sys.stdout.isatty():
        from bridge.core.text import visible

        sys.stdout.write(visible(text, multiline=True))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))


def _apply(client: Client, args: Namespace) -> int:
    decision = _decided(client, args)
    accepted = [file["path"] for file in decision["files"] if file["final"] is not None]
    if accepted:
        apply(client, decision)
    for path in accepted:
        say(f"wrote {path}")
    print_decision(decision, args.json)
    return EXIT_OF[decision["outcome"]]


def _cancel(client: Client, args: Namespace) -> int:
    decision = client.cancel(args.id)
    if decision["outcome"] != "cancelled":
        raise Conflict(f"review {args.id} is already {decision['outcome']}", f"bridge review show {args.id}")
    print_decision(decision, args.json)
    return ExitCode.DONE
