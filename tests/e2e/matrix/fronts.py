"""The agents' ways in. What each of them hears is put in the same few words, after its texts were held against what
the human did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from bridge.client import Client
from bridge.errors import BridgeError
from tests.e2e.agents import Agent, Message, Run, agent, soon, words
from tests.e2e.matrix.windows import MINE, NEW, World
from tests.e2e.support import PATIENCE_S

__all__ = ["Doors", "Front", "doors", "front"]

WORDS: Final[Mapping[tuple[str, str | None], str]] = {
    ("accepted", NEW): "accepted",
    ("accepted_with_edits", MINE): "edited",
    ("rejected", None): "rejected",
    ("cancelled", None): "taken back",
}
"""What an outcome is called if its text is the right one."""


def _word(outcome: str, final: str | None) -> str:
    return WORDS.get((outcome, final), f"{outcome} with {final!r}")


class Front(Protocol):
    """One agent."""

    async def open(self, file: Path) -> str:
        """Open a file; ``opened``, or the type of the refusal."""

    async def propose(self, file: Path, text: str) -> str:
        """Propose a text and wait for what becomes of it: a word of `WORDS`, or the type of the refusal."""

    async def take_back(self) -> None:
        """Withdraw what is proposed."""


class Control:
    """A program with `bridge.client`."""

    def __init__(self, asking: Client, other: Client) -> None:
        self._asking = asking
        self._other = other  # the first one waits
        self._review = ""

    async def open(self, file: Path) -> str:
        return await asyncio.to_thread(self._open, file)

    def _open(self, file: Path) -> str:
        try:
            self._asking.open_file(str(file))
        except BridgeError as refused:
            return refused.code
        return "opened"

    async def propose(self, file: Path, text: str) -> str:
        return await asyncio.to_thread(self._propose, file, text)

    def _propose(self, file: Path, text: str) -> str:
        try:
            self._review = self._asking.propose(str(file), text)
            decision = self._asking.wait(self._review, PATIENCE_S)
        except BridgeError as refused:
            return refused.code
        if decision["outcome"] != "cancelled":
            self._asking.delivered(self._review)
        return _word(decision["outcome"], decision["files"][0]["final"])

    async def take_back(self) -> None:
        await asyncio.to_thread(self._other.cancel, self._review)


class IdeAgent:
    """An agent that takes the bridge for an IDE."""

    def __init__(self, ann: Agent) -> None:
        self._ann = ann

    async def open(self, file: Path) -> str:
        answer = await self._ann.call("openFile", filePath=str(file), preview=False, startText="", endText="")
        return _refusal(answer) or "opened"

    async def propose(self, file: Path, text: str) -> str:
        proposed = await self._ann.propose(file, text)
        answer = await soon(proposed)
        refusal = _refusal(answer)
        if refusal is not None:
            return refusal
        kind, said = words(answer)[:2]
        heard = _word(answer["result"]["_meta"]["bridge/review"]["outcome"], said if kind == "FILE_SAVED" else None)
        await self._ann.close_tab()
        return heard

    async def take_back(self) -> None:
        await self._ann.close_tab()


def _refusal(answer: Message) -> str | None:
    """Give the type of a refusal; what goes wrong without a type is said as it is."""
    said = words(answer)
    if said[0] == "refused":
        return said[1]
    return " ".join(said) if said[0] in ("error", "failed") else None


class Doors:
    """Where agents come in: started when the first one does, for all that follow."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self._stack = stack
        self._runs: dict[str, Run] = {}

    def run(self, *words: str) -> Run:
        """Give a ``bridge run``, in which agents find the bridge as their IDE."""
        key = " ".join(words)
        if key not in self._runs:
            run = Run(*words, cwd=self.world.workspace, environ=self.world.home.environ)
            self._stack.callback(run.close)
            self._runs[key] = run
        return self._runs[key]


@contextmanager
def doors(world: World) -> Iterator[Doors]:
    """Open the doors, and close them at the end."""
    with ExitStack() as stack:
        yield Doors(world, stack)


@asynccontextmanager
async def _control(doors: Doors) -> AsyncIterator[Front]:
    with doors.world.client() as asking, doors.world.client() as other:
        yield Control(asking, other)


def _ide_agent(*options: str) -> Callable[[Doors], AbstractAsyncContextManager[Front]]:
    @asynccontextmanager
    async def open_(doors: Doors) -> AsyncIterator[Front]:
        async with agent(doors.run(*options).address) as ann:
            yield IdeAgent(ann)
            assert ann.strays == []

    return open_


_FRONTS: Final[Mapping[str, Callable[[Doors], AbstractAsyncContextManager[Front]]]] = {
    "control socket": _control,
    "WebSocket": _ide_agent(),
    "SSE": _ide_agent("--sse"),
}


def front(name: str, doors: Doors) -> AbstractAsyncContextManager[Front]:
    """Let an agent in."""
    return _FRONTS[name](doors)
