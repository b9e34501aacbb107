"""Measuring: everything in turn, medians, ratios of one run.

A machine has busy moments and its clock speed wanders, so two things are compared only if they were measured
alternately, and only their ratio is worth telling.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

Subject = Callable[[], float]  # does something and says how long it took, in seconds


@dataclass(frozen=True, slots=True)
class Times:
    """How long one thing took, in milliseconds: the median, and the quartiles around it."""

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        low, median, high = statistics.quantiles((s * 1e3 for s in seconds), n=4)
        return cls(median, low, high, len(seconds))

    def __str__(self) -> str:
        return f"{self.median_ms:.3g} ms [{self.low_ms:.3g}, {self.high_ms:.3g}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number and its goal."""

    name: str
    unit: str  # "x" is a ratio of medians
    value: float | None  # None: not measured, `note` says why
    goal: float | None = None  # the value is at most this
    times: dict[str, Times] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.goal is None:
            return ""
        return "met" if self.value <= self.goal else "MISSED"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


def ratio(name: str, times: Mapping[str, Times], ours: str, theirs: str, goal: float | None = None) -> Row:
    """Compare two subjects; one that was not measured makes a row that says so."""
    if missing := [subject for subject in (ours, theirs) if subject not in times]:
        return Row(name=name, unit="x", value=None, goal=goal, note=f"no {missing[0]} here")
    value = times[ours].median_ms / times[theirs].median_ms
    return Row(name=name, unit="x", value=value, goal=goal, times={s: times[s] for s in (ours, theirs)})


def alternate(subjects: Mapping[str, Subject], rounds: int, warm_up: int = 1) -> dict[str, Times]:
    """Measure every subject once a round."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(warm_up + rounds):
        for name, subject in subjects.items():
            seconds[name].append(subject())
    return {name: Times.of(taken[warm_up:]) for name, taken in seconds.items()}


def timed(work: Callable[[], object]) -> Subject:
    """Time `work` from outside."""

    def subject() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return subject


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and all that it starts meanwhile, on one core.

    Two processes that play ping-pong land on one core or on two, as the scheduler likes, and the same call takes
    several times as long.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def many_files() -> Iterator[None]:
    """Let this process, and all that it starts meanwhile, have as many files and sockets open as it may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
