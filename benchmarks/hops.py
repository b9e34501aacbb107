"""One call of an agent that takes the bridge for its IDE, against the same call straight to the IDE.

Both are connections of the `websockets` library in this process, with nothing different but where they lead; request
and answer are encoded and decoded with `json` at both ends, as agents and IDEs do. All processes share one core,
calls alternate. *Back to back* keeps every cache warm; *sparse* is an agent's pace.
"""

from __future__ import annotations

import asyncio
from functools import partial

from benchmarks.calls import alternate, direct
from benchmarks.ide import SIZES, uri
from benchmarks.measure import Row, one_core, ratio
from benchmarks.stage import Ide, stage

GOALS = {"200 B": 1.5, "4 KB": None, "256 KB": 1.8, "4 MB": None}
ROUNDS = {"200 B": 1000, "4 KB": 1000, "256 KB": 300, "4 MB": 40}
PACES = {"back to back": (0.0, 1.0), "sparse": (0.012, 0.25)}  # pause before each call, part of the rounds


def run(quick: bool) -> list[Row]:
    with one_core(), stage() as here, here.daemon(), here.ide() as ide, here.front() as front:
        return asyncio.run(compare(ide, front, quick))


async def compare(ide: Ide, front: Ide, quick: bool) -> list[Row]:
    rows = []
    async with direct(ide) as to_ide, direct(front) as to_front:
        for size, goal in GOALS.items():
            params = {"name": "getDiagnostics", "arguments": {"uri": uri(SIZES[size])}}
            calls = {
                "direct": partial(to_ide, "tools/call", params),
                "bridged": partial(to_front, "tools/call", params),
            }
            assert await calls["direct"]() == await calls["bridged"]()
            for pace, (pause_s, part) in PACES.items():
                times = await alternate(calls, pause_s, 3 if quick else int(ROUNDS[size] * part))
                rows.append(ratio(f"hop, {size}, {pace} / direct", times, "bridged", "direct", goal))
    return rows
