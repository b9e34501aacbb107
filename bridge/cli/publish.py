"""``bridge publish on|off``: be the IDE of every agent, not only of those that ``bridge run`` starts."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace

from bridge.cli.output import say
from bridge.client import Client
from bridge.errors import ExitCode

__all__ = ["add", "run"]


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("state", nargs="?", choices=("on", "off"), help="default: say what is published")
    parser.add_argument("--sse", action="store_true", help="be an IDE that speaks SSE, not WebSocket")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace) -> int:
    """Publish, take it back, or say what is published."""
    with Client(spawn=not args.no_spawn) as client:
        if args.state is None:
            answer = client.request("publish/list")
        else:
            transport = "sse" if args.sse else "ws"
            answer = client.request("publish/set", {"on": args.state == "on", "transport": transport})
    if args.json:
        print(json.dumps(answer))
        return ExitCode.DONE
    for one in answer["published"]:
        whom = "every agent" if one["everywhere"] else f"process {one['pid']}"
        print(f"port {one['port']} ({one['transport']}) for {whom}: {os.path.basename(one['lock'])}")
    if not answer["published"]:
        print("nothing is published")
    if args.state == "on":
        say("an agent that finds an IDE's lock file beside ours connects to neither by itself: choose in its /ide")
    return ExitCode.DONE
