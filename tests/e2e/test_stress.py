"""Fifty agents, one window that serves one client, and everything that can end ends now and then.

Nothing is lost, doubled or mixed up: every call is answered once, under its own id and with its own answer, unless its
agent died; every review is decided once, for which the journal is the witness; and nothing of it is left behind.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from bridge.client import Client
from ide_plugins.emulator import Emulator
from tests.e2e.agents import Address, Agent, Message, Run, agent, soon, words
from tests.e2e.outsiders import until_status
from tests.e2e.support import daemon_about

AGENTS: Final = 50
CALLS: Final = 40  # of each
REVIEWS: Final = 4  # of each
DEATHS: Final = 15
RESTARTS: Final = 10
SEED: Final = 20250101
PADDING: Final = "x" * 2**16  # what is kept of a review must show
MOST_GROWTH: Final = 6 * 2**20  # bytes; the texts alone of the reviews that end meanwhile are 10 MiB

REFUSED: Final = ("refused", "unavailable")


@dataclass
class Window:
    """The one IDE; every life of it has another token, and now and then another port."""

    workspace: Path
    lock_dir: Path
    dice: random.Random
    connections: list[int] = field(default_factory=list)  # how many each life of it had
    ide: Emulator | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self, port: int = 0) -> None:
        human = ",".join(self.dice.choice(["accept", "reject", "edit:!"]) for _ in range(20))
        self.ide = Emulator(workspace=self.workspace, lock_dir=self.lock_dir, port=port, human=human)
        await self.ide.__aenter__()
        for number in range(AGENTS):
            path = self.workspace / f"{number}.txt"
            place = {"start": {"line": number, "character": 0}, "end": {"line": number, "character": 1}}
            await self.ide.diagnose(path, [{"message": f"of {number}", "severity": "Error", "range": place}])

    async def stop(self) -> None:
        """Quit, or vanish."""
        assert self.ide is not None
        self.connections.append(self.ide.connections - self.ide.unauthorised)  # one may have come with the old token
        if self.dice.random() < 0.5:
            self.ide.die()
        await self.ide.stop()

    async def restart(self) -> None:
        """End it, and begin its next life."""
        async with self.turn:  # agents go on meanwhile, and may reach the next restart
            await self.stop()
            assert self.ide is not None
            await self.start(self.ide.port if self.dice.random() < 0.5 else 0)


@dataclass
class Worker:
    """One agent after the other, which share a list of things to do."""

    number: int
    door: Address
    file: Path
    steps: list[str]  # the next one is the last
    stepped: Callable[[], Any]
    answers: Counter[str] = field(default_factory=Counter)
    decisions: dict[str, str] = field(default_factory=dict)  # the outcome, by review
    strays: list[Message] = field(default_factory=list)

    async def work(self) -> None:
        while self.steps:
            async with agent(self.door) as ann:
                await self._live(ann)
                self.strays += ann.strays

    async def _live(self, ann: Agent) -> None:
        while self.steps:
            step = self.steps.pop()
            if step == "die":
                await self._ask(ann, self.steps[-1])  # which whoever comes after does again
                ann.die()
                await ann.ended()
                return
            answer = await soon(await self._ask(ann, step))
            self.answers[await self._check(ann, step, answer)] += 1
            await self.stepped()

    async def _ask(self, ann: Agent, step: str) -> asyncio.Future[Message]:
        tool, _, text = step.partition(" ")
        match tool:
            case "openDiff":
                return await ann.propose(self.file, text, "tab")
            case "tools/list":
                return await ann.ask(tool)
            case "getDiagnostics":
                return await ann.start(tool, uri=self.file.as_uri())
        return await ann.start(tool, filePath=str(self.file))

    async def _check(self, ann: Agent, step: str, answer: Message) -> str:
        """See that an answer is that to the question; tell of which kind it is."""
        tool, _, text = step.partition(" ")
        if tool == "tools/list":
            assert "openDiff" in {listed["name"] for listed in answer["result"]["tools"]}
            return "answered"
        said = words(answer)
        if tool == "openDiff":
            about = answer["result"]["_meta"]["bridge/review"]
            rejected = about["outcome"] == "rejected"
            final = {"accepted": text, "accepted_with_edits": text + "!"}.get(about["outcome"])
            assert said == (("DIFF_REJECTED", "tab") if rejected else ("FILE_SAVED", final))
            assert about["id"] not in self.decisions
            self.decisions[about["id"]] = about["outcome"]
            assert await ann.close_tab() == ("TAB_CLOSED",)
            return "decided"
        if said == REFUSED:
            return "refused"
        (shown,) = said
        assert (f"of {self.number}" in shown) if tool == "getDiagnostics" else (str(self.file) in shown), said
        return "answered"


def plan(dice: random.Random, number: int) -> list[str]:
    """Say what an agent does, in its order."""
    tools = ["getDiagnostics", "checkDocumentDirty", "openFile", "tools/list"]
    steps = [dice.choice(tools) for _ in range(CALLS)]
    steps += [f"openDiff {review} of {number} {PADDING}" for review in range(REVIEWS)]
    dice.shuffle(steps)
    if number < DEATHS:
        steps.insert(dice.randrange(1, len(steps)), "die")
    return steps


@pytest.mark.timeout(120)  # it takes a sixth of that on two cores
async def test_fifty_agents_share_a_window_that_comes_and_goes(
    workspace: Path, home: Path, run: Callable[..., Run], client: Client
) -> None:
    window = Window(workspace, home / ".claude" / "ide", random.Random(SEED))
    doors = [run().address, run("--sse").address]
    await window.start()
    try:
        workers, grown = await _work(window, doors)
        _judge(workers, {row["id"]: row for row in _journal(client)})
        assert grown < MOST_GROWTH
        assert set(window.connections) <= {0, 1}  # it has one place, which nobody fought for; some lives are short
        until_status(client, lambda said: [one["agents"] for one in said["published"]] == [0, 0])
        assert client.status()["reviews"] == []
    except BaseException as exc:
        exc.add_note(f"the seed is {SEED}")
        raise
    finally:
        await window.stop()


async def _work(window: Window, doors: list[Address]) -> tuple[list[Worker], int]:
    """Let everybody work to the end; give them, and by how many bytes the daemon grew after the first quarter."""
    dice, total, done = window.dice, AGENTS * (CALLS + REVIEWS), count(1)
    restarts = set(dice.sample(range(total // 50, total * 49 // 50), RESTARTS))
    sizes = []

    async def stepped() -> None:
        now = next(done)
        if now in (total // 4, total):
            sizes.append(_daemon_size())
        if now in restarts:
            await window.restart()

    workers = []
    for number in range(AGENTS):
        file = window.workspace / f"{number}.txt"
        file.write_text("old\n")
        workers.append(Worker(number, doors[number % 5 == 0], file, plan(dice, number), stepped))
    async with asyncio.TaskGroup() as tasks:
        for worker in workers:
            tasks.create_task(worker.work())
    before, after = sizes
    return workers, after - before


def _judge(workers: list[Worker], journal: dict[str, dict[str, Any]]) -> None:
    """Hold what the agents heard against what was asked, and against the journal."""
    answers = sum((worker.answers for worker in workers), Counter[str]())
    assert answers["answered"] + answers["refused"] == AGENTS * CALLS
    assert answers["answered"] > 3 * answers["refused"]  # those that came between two lives of the IDE
    assert answers["decided"] == AGENTS * REVIEWS
    assert [worker.strays for worker in workers] == [[]] * AGENTS

    told = {id_: outcome for worker in workers for id_, outcome in worker.decisions.items()}
    assert len(told) == AGENTS * REVIEWS  # no two answers were of one review
    assert {id_: journal[id_]["outcome"] for id_ in told} == told
    # A rejection is an agent's when it is sent, so one that died before it could read asked anew.
    others = [row for id_, row in journal.items() if id_ not in told]
    assert len(others) <= DEATHS
    assert {row["outcome"] for row in others} <= {"rejected"}
    assert {row["state"] for row in journal.values()} == {"delivered"}


def _journal(client: Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.request("review/list", {"all": True, "most": 10_000})["reviews"]
    return rows


def _daemon_size() -> int:
    """How much memory the daemon has, in bytes."""
    about = daemon_about()
    assert about is not None
    size: int = psutil.Process(about["pid"]).memory_info().rss
    return size
