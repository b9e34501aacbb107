"""Many agents that take the bridge for their IDE, and share one connection to the real one.

Both ends are lean (`benchmarks.lean`), each kind of load is a process of its own, and all processes share one core; so
the time of a call is what the ends cost together, and through the bridge what that adds. *Calls* are made as fast
as they are answered, by each agent one at a time. The *p99* is taken at one rate for all, in windows that
alternate: in one window it is the machine's worst moments, so the median of many counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import IO

import msgspec
import psutil

from benchmarks.load import Done, Window
from benchmarks.measure import Row, alternate, many_files, one_core, ratio
from benchmarks.stage import Ide, Stage, stage

AGENTS = (1, 10, 100, 1000)
CALLS_GOALS = {100: 3.2}  # 25,000 calls a second where the direct case makes 80,000
P99_GOALS = {1000: 1.5}
MEMORY_GOALS_KB = {100: None, 1000: 25.0}
RATE = 500.0  # calls a second in total, for the p99
WINDOWS = 9
CALLS_S, P99_S = 1.0, 2.0  # one window


def run(quick: bool) -> list[Row]:
    with (
        one_core(),
        many_files(),
        stage() as here,
        here.daemon() as daemon,
        here.ide("benchmarks.lean") as ide,
        here.front() as front,
    ):
        return [
            *memory(here, front, daemon),
            *(calls(here, ide, front, many, quick) for many in AGENTS),
            *(p99(here, front, many, quick) for many in AGENTS[1:]),
        ]


def memory(here: Stage, front: Ide, daemon: psutil.Process) -> list[Row]:
    """What each agent costs that has made a call and is silent since: first of all, for what is freed is used again."""
    with load(here, front, 10):  # what comes with the first agents is not theirs
        before = daemon.memory_full_info().uss
        with ExitStack() as attached:
            rows, so_far = [], 0
            for many, goal in MEMORY_GOALS_KB.items():
                attached.enter_context(load(here, front, many - so_far))
                so_far = many
                each = (daemon.memory_full_info().uss - before) / many / 1e3
                rows.append(Row(name=f"memory of an agent, {many} of them", unit="KB", value=each, goal=goal))
    return rows


def calls(here: Stage, ide: Ide, front: Ide, many: int, quick: bool) -> Row:
    """Compare how long each of many calls takes when all agents call as fast as they can."""
    seconds = 0.1 if quick else CALLS_S
    with load(here, ide, many) as direct, load(here, front, many) as bridged:
        subjects = {"direct": partial(direct.per_call, seconds), "bridged": partial(bridged.per_call, seconds)}
        times = alternate(subjects, 2 if quick else WINDOWS)
    row = ratio(f"calls, {count(many)} / direct", times, "bridged", "direct", CALLS_GOALS.get(many))
    a_second = {name: 1e3 / taken.median_ms for name, taken in times.items()}
    return replace(row, note=f"{a_second['bridged']:,.0f} calls/s, direct {a_second['direct']:,.0f}")


def p99(here: Stage, front: Ide, many: int, quick: bool) -> Row:
    """Compare the slowest calls of many agents with those of one that makes as many calls alone."""
    seconds = 0.2 if quick else P99_S
    with load(here, front, 1) as one, load(here, front, many) as all_:
        subjects = {count(many): partial(all_.p99, seconds), "1 agent": partial(one.p99, seconds)}
        times = alternate(subjects, 2 if quick else WINDOWS)
    return ratio(f"p99 at {RATE:g} calls/s, {count(many)} / 1", times, count(many), "1 agent", P99_GOALS.get(many))


def count(agents: int) -> str:
    return f"{agents} agent{'s' if agents > 1 else ''}"


class Load:
    """Agents in a process of their own."""

    def __init__(self, to: IO[bytes], back: IO[bytes]) -> None:
        self._to = to
        self._back = back

    def line(self) -> bytes:
        """Wait for what it says next."""
        if not (line := self._back.readline()):
            raise RuntimeError("the agents gave up: standard error has why")
        return line

    def measure(self, window: Window) -> Done:
        self._to.write(msgspec.json.encode(window) + b"\n")
        self._to.flush()
        return msgspec.json.decode(self.line(), type=Done)

    def per_call(self, seconds: float) -> float:
        done = self.measure(Window(seconds))
        return done.seconds / done.calls

    def p99(self, seconds: float) -> float:
        return self.measure(Window(seconds, RATE)).p99_s


@contextmanager
def load(here: Stage, ide: Ide, many: int) -> Iterator[Load]:
    """Agents that are connected, and have made a call each."""
    with here.module("benchmarks.load", str(ide.lock), str(many)) as (asked, said):
        agents = Load(asked, said)
        agents.line()
        yield agents
