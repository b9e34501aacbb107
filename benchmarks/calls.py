"""One tool call through the daemon, against the same call straight to the IDE.

Like with like: both clients are asyncio clients in this process, encode the request and decode the answer with
`json`. The direct one is the `websockets` library's, as the daemon's own links are; the bridged one speaks
JSON lines over the control socket. All processes share one core, calls alternate.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from benchmarks.ide import SIZES, uri
from benchmarks.measure import Row, Times, one_core, ratio
from benchmarks.stage import Ide, Stage, stage
from bridge.core.official import AUTHORIZATION
from bridge.finding import read_address
from bridge.paths import paths

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]  # method and parameters: the result

GOALS = {"200 B": 1.8, "100 KB": 2.0}
PACES = {"back to back": (0.0, 1000), "sparse": (0.012, 250)}  # pause before each call (an agent's), rounds
WARM_UP = 20
MOST_BYTES = 2**24


def run(quick: bool) -> list[Row]:
    with one_core(), stage() as here, here.daemon(), here.ide() as ide:
        return asyncio.run(compare(here, ide, quick))


async def compare(here: Stage, ide: Ide, quick: bool) -> list[Row]:
    rows = []
    async with direct(ide) as to_ide, bridged(here) as to_bridge:
        for size, goal in GOALS.items():
            arguments = {"uri": uri(SIZES[size])}
            calls = {
                "direct": partial(to_ide, "tools/call", {"name": "getDiagnostics", "arguments": arguments}),
                "bridged": partial(to_bridge, "call", {"tool": "getDiagnostics", "arguments": arguments}),
            }
            assert await calls["direct"]() == await calls["bridged"]()
            for pace, (pause_s, rounds) in PACES.items():
                times = await alternate(calls, pause_s, 3 if quick else rounds)
                rows.append(ratio(f"call, {size}, {pace} / direct", times, "bridged", "direct", goal))
    return rows


async def alternate(calls: Mapping[str, Callable[[], Awaitable[Any]]], pause_s: float, rounds: int) -> dict[str, Times]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(WARM_UP + rounds):
        for name, call in calls.items():
            await asyncio.sleep(pause_s)
            begun = time.perf_counter()
            await call()
            seconds[name].append(time.perf_counter() - begun)
    return {name: Times.of(taken[WARM_UP:]) for name, taken in seconds.items()}


@asynccontextmanager
async def direct(ide: Ide) -> AsyncIterator[Call]:
    """An agent that is connected to the IDE itself."""
    async with connect(
        f"ws://127.0.0.1:{ide.port}/",
        subprotocols=[Subprotocol("mcp")],
        additional_headers={AUTHORIZATION: ide.token()},
        proxy=None,
        compression=None,
        max_size=MOST_BYTES,
        ping_interval=None,
    ) as connection:

        async def call(method: str, params: dict[str, Any]) -> Any:
            await connection.send(request(method, params))
            return json.loads(await connection.recv())["result"]

        await call("initialize", {"protocolVersion": "2025-06-18"})
        yield call


@asynccontextmanager
async def bridged(here: Stage) -> AsyncIterator[Call]:
    """An agent that is connected to the daemon."""
    address = read_address(paths(here.environ))
    assert address is not None
    reader, writer = await asyncio.open_unix_connection(address["socket"], limit=MOST_BYTES)

    async def call(method: str, params: dict[str, Any]) -> Any:
        writer.write(request(method, params).encode() + b"\n")
        return json.loads(await reader.readline())["result"]

    try:
        await call("hello", {"cwd": str(here.workspace), "environ": {}})
        yield call
    finally:
        writer.close()
        await writer.wait_closed()


def request(method: str, params: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
