"""Agents that know nothing of the bridge: they find an IDE by its lock file, as `docs/protocol.md` says they do.

Each counts its requests from 1, so that two of them always use equal ids, and keeps every message that it cannot place:
behind the bridge there must be none.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from websockets.exceptions import ConnectionClosed

from tests.e2e.support import BRIDGE, PATIENCE_S, Lines, until
from tests.emulator.agent import Agent as Line
from tests.emulator.agent import agent as over_websocket
from tests.emulator.agent import sse_agent as over_sse

Message = dict[str, Any]
PROTOCOL: Final = "2025-06-18"
TOOLS_CHANGED: Final = "notifications/tools/list_changed"


class Address(NamedTuple):
    """Where an agent finds its IDE, read from a lock file."""

    port: int
    transport: str
    token: str | None


def read_lock(lock: Path) -> Address:
    """Read a lock file as agents do."""
    said = json.loads(lock.read_bytes())
    return Address(int(lock.stem), said["transport"], said.get("authToken"))


def find(environ: Mapping[str, str]) -> Address:
    """Find the IDE that ``CLAUDE_CODE_SSE_PORT`` names, in the one directory where an agent looks."""
    config = environ.get("CLAUDE_CONFIG_DIR") or f"{environ['HOME']}/.claude"
    return read_lock(Path(config, "ide", f"{environ['CLAUDE_CODE_SSE_PORT']}.lock"))


@dataclass(eq=False)
class Agent:
    """One agent, connected and introduced; see `agent`."""

    line: Line
    heard: list[Message] = field(default_factory=list)  # notifications, oldest first
    strays: list[Message] = field(default_factory=list)  # answers to nothing that it asked
    lost: bool = False
    _numbers: Any = field(default_factory=lambda: count(1))
    _asked: dict[int | str, asyncio.Future[Message]] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _read_so_far: int = 0

    async def read(self) -> None:
        """Take what comes, until the connection ends; then every call that waits fails with `ConnectionError`."""
        with suppress(ConnectionClosed, aiohttp.ClientError, EOFError):
            while True:
                self._take(json.loads(await self.line.listen()))
        self.lost = True
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the IDE went away"))
                waiting.exception()  # nobody may be waiting
        self._stir()

    def _take(self, message: Message) -> None:
        waiting = self._asked.pop(message["id"], None) if "method" not in message else None
        if waiting is not None:
            if not waiting.done():
                waiting.set_result(message)
        elif "id" in message:
            self.strays.append(message)
        else:
            self.heard.append(message)
            self._stir()

    def _stir(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # ---- asking

    async def ask(self, method: str, params: Any = None, *, id_: int | str | None = None) -> asyncio.Future[Message]:
        """Send a request; give its answer when it comes."""
        id_ = next(self._numbers) if id_ is None else id_
        waiting = self._asked[id_] = asyncio.get_running_loop().create_future()
        await self.line.ask(method, params, id_=id_)
        return waiting

    async def answer(self, method: str, params: Any = None) -> Message:
        """Ask, and wait for the answer."""
        return await soon(await self.ask(method, params))

    async def start(self, tool: str, /, id_: int | str | None = None, **arguments: Any) -> asyncio.Future[Message]:
        """Call a tool; give its answer when it comes."""
        return await self.ask("tools/call", {"name": tool, "arguments": arguments}, id_=id_)

    async def call(self, tool: str, /, **arguments: Any) -> Message:
        """Call a tool, and wait for the answer."""
        return await soon(await self.start(tool, **arguments))

    async def say(self, method: str, params: Any = None) -> None:
        """Send a notification."""
        await self.line.say(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}))

    async def introduce(self, pid: int) -> None:
        """Do what comes before everything else."""
        about = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"}}
        assert "result" in await self.answer("initialize", about)
        await self.say("notifications/initialized")
        await self.say("ide_connected", {"pid": pid})

    # ---- what it does in a turn

    async def tools(self) -> list[str]:
        """Ask for the names of the tools."""
        return [tool["name"] for tool in (await self.answer("tools/list"))["result"]["tools"]]

    async def begin_turn(self) -> tuple[str, ...]:
        """Tidy up, as before every prompt."""
        return words(await self.call("closeAllDiffTabs"))

    async def propose(
        self, path: Path, text: str, tab: str = "tab", *, id_: int | str | None = None
    ) -> asyncio.Future[Message]:
        """Show a change; the answer comes when a human decided."""
        names = {"old_file_path": str(path), "new_file_path": str(path)}
        return await self.start("openDiff", id_=id_, **names, new_file_contents=text, tab_name=tab)

    async def close_tab(self, tab: str = "tab") -> tuple[str, ...]:
        """Close a diff's tab, as after writing the file."""
        return words(await self.call("close_tab", tab_name=tab))

    # ---- hearing

    async def told(self, method: str, fits: Callable[[Message], bool] = lambda params: True) -> Message:
        """Wait for a notification that has not been waited for yet; give its parameters."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                news = self._news
                for place in range(self._read_so_far, len(self.heard)):
                    said = self.heard[place]
                    if said["method"] == method and fits(said.get("params", {})):
                        self._read_so_far = place + 1
                        params: Message = said.get("params", {})
                        return params
                assert not self.lost, f"the connection ended before {method}; heard: {self.heard}"
                await news.wait()

    async def until_offered(self, tool: str) -> list[str]:
        """Wait until the IDE has a tool: an agent learns that its tools changed, and asks again."""
        while tool not in (names := await self.tools()):
            await self.told(TOOLS_CHANGED)
        return names

    def die(self) -> None:
        """Cut the connection, as the end of a process does."""
        self.line.cut()

    async def ended(self) -> None:
        """Wait for the end of the connection."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.lost:
                await self._news.wait()


@asynccontextmanager
async def agent(address: Address, *, pid: int | None = None) -> AsyncIterator[Agent]:
    """Connect to an IDE, or to what passes for one, and introduce oneself as process `pid` (default: ours)."""
    async with AsyncExitStack() as stack:
        opening = over_sse if address.transport == "sse" else over_websocket
        shown: dict[str, str] | None = None if address.token is not None else {}  # an IDE without a token is shown none
        line = await stack.enter_async_context(opening(address.port, address.token, headers=shown))
        ann = Agent(line)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        reading = tasks.create_task(ann.read())
        try:
            await ann.introduce(os.getpid() if pid is None else pid)
            yield ann
        finally:
            reading.cancel()


async def soon(answer: asyncio.Future[Message]) -> Message:
    """Wait for an answer, bounded."""
    async with asyncio.timeout(PATIENCE_S):
        return await answer


def words(message: Message) -> tuple[str, ...]:
    """Say what an answer is, without its id: a tool's texts, or what went wrong and of which type."""
    if "error" in message:
        return "error", str(message["error"]["code"])
    result = message["result"]
    texts = tuple(item["text"] for item in result["content"])
    if not result.get("isError"):
        return texts
    typed = result.get("_meta", {}).get("bridge/error")
    return ("refused", typed["data"]["code"]) if typed else ("failed", *texts)


# ---- bridge run

_SAY_AND_STAY: Final = ("sh", "-c", 'printf "%s\\n" "$CLAUDE_CODE_SSE_PORT"; exec cat')


class Run:
    """``bridge run`` in a terminal of its own, with a child that says where it would find its IDE, and stays."""

    def __init__(self, *words: str, cwd: Path, environ: Mapping[str, str] | None = None) -> None:
        self.environ = dict(os.environ if environ is None else environ)
        command = [*BRIDGE, "run", *words, "--", *_SAY_AND_STAY]
        self.process = subprocess.Popen(
            command, cwd=cwd, env=self.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.environ["CLAUDE_CODE_SSE_PORT"] = Lines(self.process.stdout).until(str.isdecimal)

    @property
    def address(self) -> Address:
        """Where an agent that is started here finds its IDE."""
        return find(self.environ)

    def close(self) -> None:
        """Let the child end, and `bridge run` with it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)

    def found_again(self, before: Address) -> Address:
        """Wait until the bridge, which was killed, is found at the same port with another token."""
        until(lambda: self._token() not in (None, before.token), "no lock file with another token")
        assert self.address.port == before.port
        return self.address

    def _token(self) -> str | None:
        """Give the token of the lock file that is there now; it is read once, for it may go at any moment."""
        with suppress(OSError, ValueError):
            return self.address.token
        return None
