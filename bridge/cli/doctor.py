"""``bridge doctor``."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from typing import TYPE_CHECKING, Any

from bridge.cli.browser import has_browser
from bridge.cli.output import wants_color
from bridge.client import Client
from bridge.errors import BridgeError, Unavailable
from bridge.paths import paths

if TYPE_CHECKING:
    from bridge.core.daemonchecks import Answer
    from bridge.core.findings import Finding

PATIENCE_S = 5.0  # for the daemon: something may be wrong, and the human waits

_COLORS = {"ok": "32", "warn": "33", "fail": "31"}

_EPILOG = """exit codes:
    0  nothing fails; warnings do not count
   77  a failure of trust: a wrong owner or mode
   78  a failure of configuration: settings, HOME, a place that cannot be written
   69  any other: the daemon or its IDEs cannot be reached
The first of these that applies. The daemon is not started, and no IDE is contacted.
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="print a list of {check, level, found, fix}")


def run(args: Namespace) -> int:
    """Check everything and say how to mend it."""
    from bridge.core.findings import exit_code

    findings = examine()
    if args.json:
        print(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        sys.stdout.write(_render(findings, wants_color(sys.stdout)))
    return exit_code(findings)


def examine() -> list[Finding]:
    """Look at everything, and ask the daemon if one runs."""
    from bridge.cli.programs import look_around
    from bridge.core import checks, daemonchecks, idechecks, installchecks
    from bridge.core.findings import refusal
    from bridge.daemon.inspection import inspect_bridge, inspect_daemon, inspect_ides

    try:
        places = paths(os.environ)
    except BridgeError as error:  # without a home there is nothing to look at
        return [refusal("home", error)]
    daemon, rows = _ask()
    return [
        *checks.examine(inspect_bridge(os.environ, places, daemon)),
        *daemonchecks.examine(inspect_daemon(daemon)),
        *idechecks.examine(inspect_ides(os.environ, places, rows, has_browser())),
        *installchecks.examine(look_around(os.environ)),
    ]


def _ask() -> tuple[Answer | None, list[Any]]:
    """Ask the daemon, if one runs, how it is and what it knows of the IDEs (`bridge.core.status.Ide`)."""
    from bridge.core.daemonchecks import Answer

    with Client(spawn=False, cwd="/", patience=PATIENCE_S) as client:  # our directory may be gone
        begun = time.monotonic()
        try:
            status = client.request("status", timeout=PATIENCE_S)
        except BridgeError as error:
            if client.daemon_pid is None and isinstance(error, Unavailable):
                return None, []
            return Answer(pid=client.daemon_pid or 0, error=error), []
        answer = Answer(
            pid=client.daemon_pid or 0,
            version=status["daemon"]["version"],
            socket=status["daemon"]["socket"],
            seconds=time.monotonic() - begun,
            warnings=tuple(status["warnings"]),
            mcp_http=status["daemon"].get("mcp_http"),  # an older daemon has none
        )
        return answer, status["ides"]


def _render(findings: list[Finding], color: bool) -> str:
    from bridge.core.text import visible

    lines = []
    for finding in findings:
        level = f"{finding.level:<4}"
        lines.append(f"{_paint(level, finding.level, color)}  {finding.check}: {visible(finding.found)}")
        if finding.fix is not None:
            lines.append(f"      fix: {visible(finding.fix)}")
    counts = Counter(str(finding.level) for finding in findings)
    lines.append(f"{counts['fail']} failed, {counts['warn']} to look at, {counts['ok']} fine")
    return "".join(f"{line}\n" for line in lines)


def _paint(text: str, level: str, color: bool) -> str:
    return f"\x1b[{_COLORS[level]}m{text}\x1b[0m" if color else text
