"""``python -m benchmarks [NAME …]``: measure everything, or what is named, and say which goals are met.

Linux only, in temporary homes, loopback only. Ratios count, for both sides are measured in turn in one run; the
milliseconds beside them (median and quartiles) are this machine's of today.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from benchmarks import agents, calls, hook, hops, idle, mcp, paths, scan, status
from benchmarks.measure import Row

BENCHMARKS = {
    "status": status.run,
    "mcp": mcp.run,
    "hook": hook.run,
    "scan": scan.run,
    "calls": calls.run,
    "hops": hops.run,
    "agents": agents.run,
    "paths": paths.run,
    "idle": idle.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the bridge costs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all of them")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the numbers mean nothing")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    rows = []
    for name in options.names or BENCHMARKS:
        print(f"measuring: {name}", file=sys.stderr)
        rows += BENCHMARKS[name](options.quick)
    print(json.dumps([row.to_json() for row in rows], indent=2) if options.json else table(rows))


def table(rows: Sequence[Row]) -> str:
    missed = [row.name for row in rows if row.verdict == "MISSED"]
    summary = f"missed: {'; '.join(missed)}" if missed else "every goal that was measured is met"
    load = f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()}: on a busy machine calls look worse than they are"
    return "\n".join([*map(line, rows), "", load, summary])


def line(row: Row) -> str:
    value = "-" if row.value is None else f"{row.value:.2f} {row.unit}"
    goal = "" if row.goal is None else f"goal {row.goal:g} {row.unit}"
    beside = row.note or ", ".join(f"{name} {times}" for name, times in row.times.items())
    return f"{row.name:<40}{value:>10}  {goal:<12}{row.verdict:<13}{beside}".rstrip()


if __name__ == "__main__":
    main()
