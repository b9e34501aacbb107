"""``python -m benchmarks``: measure everything and say which goals are met.

Linux only, in temporary homes, loopback only. Ratios count, for both sides are measured in turn in one run; the
milliseconds beside them (median and quartiles) are this machine's of today.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from benchmarks import calls, idle, paths, scan, status
from benchmarks.measure import Row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the bridge costs")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the numbers mean nothing")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    rows = []
    for benchmark in (status, scan, calls, paths, idle):
        print(f"measuring: {benchmark.__name__.rpartition('.')[2]}", file=sys.stderr)
        rows += benchmark.run(options.quick)
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
