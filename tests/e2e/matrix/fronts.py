"""The agents' ways in. What each of them hears is put in the same few words, after its texts were held against what
the human did."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from bridge.client import Client
from bridge.errors import BridgeError
from tests.e2e import mcpagents
from tests.e2e.agents import Agent, Message, Run, agent, soon, words
from tests.e2e.matrix.windows import MINE, NEW, World
from tests.e2e.support import PATIENCE_S, bridge

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

    async def propose(self, file: Path, text: str, *, decided: bool) -> None:
        """Propose a text; `decided` tells whether the human is going to answer."""

    async def hear(self) -> str:
        """Wait for what becomes of the proposal: a word of `WORDS`, or the type of the refusal."""

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

    async def propose(self, file: Path, text: str, *, decided: bool) -> None:
        self._review = await asyncio.to_thread(self._asking.propose, str(file), text)

    async def hear(self) -> str:
        return await asyncio.to_thread(self._hear)

    def _hear(self) -> str:
        decision = self._asking.wait(self._review, PATIENCE_S)
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

    async def propose(self, file: Path, text: str, *, decided: bool) -> None:
        self._proposed = await self._ann.propose(file, text)

    async def hear(self) -> str:
        answer = await soon(self._proposed)
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


class McpAgent:
    """An agent that speaks MCP."""

    def __init__(self, ann: mcpagents.Agent) -> None:
        self._ann = ann
        self._review = ""

    async def open(self, file: Path) -> str:
        return (await self._call("open_file", path=str(file)))[0] or "opened"

    async def propose(self, file: Path, text: str, *, decided: bool) -> None:
        changes = [{"path": str(file), "content": text}]
        refusal, report = await self._call("propose_changes", files=changes, wait_ms=1)  # to know its id
        assert refusal is None, refusal
        self._review = report["review_id"]

    async def hear(self) -> str:
        _, report = await self._call("get_review", review_id=self._review, wait_ms=int(PATIENCE_S * 1000))
        _, whole = await self._call("get_review", review_id=self._review, include_texts=True)
        return _word(report["status"], whole["files"][0].get("final_text"))

    async def take_back(self) -> None:
        await self._call("cancel_review", review_id=self._review)

    async def _call(self, tool: str, **arguments: Any) -> tuple[str | None, dict[str, Any]]:
        """Give the type of a refusal, or the data."""
        result = await self._ann.client.call_tool(tool, arguments)
        if not result.is_error:
            return None, result.structured_content or {}
        typed = (result.meta or {}).get("bridge/error")
        return (typed["data"]["code"] if typed else str(result.content)), {}


class Hook:
    """An agent that runs ``bridge hook`` before it writes; it does nothing else with the bridge."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def open(self, file: Path) -> str:
        """Read a file: what a hook sees of that, it is not asked about."""
        return await asyncio.to_thread(self._run, "Read", {"file_path": str(file)}, PATIENCE_S)

    async def propose(self, file: Path, text: str, *, decided: bool) -> None:
        given = {"file_path": str(file), "content": text}
        limit = PATIENCE_S if decided else SOON_S
        self._running = asyncio.ensure_future(asyncio.to_thread(self._run, "Write", given, limit))

    async def hear(self) -> str:
        return await self._running

    def _run(self, tool: str, given: dict[str, Any], limit: float) -> str:
        cwd = str(self._world.workspace)
        call = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": given, "cwd": cwd}
        done = bridge(
            *("hook", "claude", "--timeout", str(limit)),
            cwd=self._world.workspace,
            stdin=json.dumps(call).encode(),
            **self._world.home.environ,
            BROWSER="true",  # so that there is one, which shows nothing
        )
        assert done.returncode == 0, done.stderr
        if not done.stdout:
            return "not asked" if "stays out" in done.stderr else f"silence, but for {done.stderr}"
        said = json.loads(done.stdout)["hookSpecificOutput"]
        match said["permissionDecision"]:
            case "allow":
                final = said.get("updatedInput", given)["content"]
                return _word("accepted" if final == NEW else "accepted_with_edits", final)
            case "deny" if said["permissionDecisionReason"].startswith("The human rejected this change"):
                return "rejected"
            case "ask" if "nobody decided in time" in said["permissionDecisionReason"]:
                return "asked by the agent"
        return json.dumps(said)

    async def take_back(self) -> None:
        """Nothing: an agent waits for its hook, which answers before its time is over."""


SOON_S: Final = 3.0  # a hook's limit where it comes to that; long enough for the human to look at the page


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

    def mcp_over_http(self) -> tuple[str, str]:
        """Ask the bridge where it serves MCP over HTTP, and read the token where it says."""
        done = bridge("mcp", "--http", "--json", cwd=self.world.workspace, stdin=b"", **self.world.home.environ)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return told["address"], Path(told["token_file"]).read_text(encoding="ascii").strip()


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


def _mcp(era: str) -> Callable[[Doors], AbstractAsyncContextManager[Front]]:
    @asynccontextmanager
    async def open_(doors: Doors) -> AsyncIterator[Front]:
        async with mcpagents.agent(doors.world.workspace, era, **doors.world.home.environ) as ann:
            assert ann.client.protocol_version == mcpagents.ERAS[era]
            yield McpAgent(ann)

    return open_


@asynccontextmanager
async def _mcp_over_http(doors: Doors) -> AsyncIterator[Front]:
    address, token = await asyncio.to_thread(doors.mcp_over_http)
    async with mcpagents.http_agent(address, token) as ann:
        yield McpAgent(ann)


@asynccontextmanager
async def _hook(doors: Doors) -> AsyncIterator[Front]:
    yield Hook(doors.world)


_FRONTS: Final[Mapping[str, Callable[[Doors], AbstractAsyncContextManager[Front]]]] = {
    "control socket": _control,
    "WebSocket": _ide_agent(),
    "SSE": _ide_agent("--sse"),
    "MCP stdio, old era": _mcp("legacy"),
    "MCP stdio, new era": _mcp("auto"),
    "MCP over HTTP": _mcp_over_http,
    "hook": _hook,
}


def front(name: str, doors: Doors) -> AbstractAsyncContextManager[Front]:
    """Let an agent in."""
    return _FRONTS[name](doors)
