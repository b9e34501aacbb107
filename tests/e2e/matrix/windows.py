"""The IDEs, each with a human before it, who looks at what is shown and does one thing."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from bridge.client import Client
from ide_plugins.emulator import PERSONALITIES, Emulator
from tests.e2e.outsiders import visit
from tests.e2e.support import PATIENCE_S, Home

__all__ = ["MINE", "NEW", "OLD", "Window", "World", "window", "world"]

OLD: Final = "one\ntwo\n"  # what a file holds
NEW: Final = "one\nTWO\n"  # what the agent proposes
MINE: Final = "one\nTwo\n"  # what the human makes of that


@dataclass(kw_only=True)
class World:
    """One home with a daemon, and a directory to work in; what else is started in it once and used by many."""

    home: Home
    workspace: Path
    jetbrains_ports: Iterator[int]  # where the user's settings let the daemon look: one for each start of such an IDE
    _files: int = field(default=0, init=False)

    def file(self) -> Path:
        """Make a file that nobody has spoken of yet."""
        self._files += 1
        path = self.workspace / f"{self._files} é#%20.txt"
        path.write_text(OLD, encoding="utf-8")
        return path

    def client(self) -> Client:
        """Speak to the daemon."""
        return self.home.client(self.workspace)


class Window(Protocol):
    """An IDE, and the human."""

    decides_by_closing: bool  # a closed diff is an answer

    async def shows(self, file: Path) -> bool:
        """Tell whether the file is open in an editor."""

    async def see(self, file: Path) -> None:
        """Wait until the change of `file` is shown."""

    async def decide(self, deed: str) -> None:
        """Look at what is shown, and do the deed: a story's name."""


class Ide:
    """An IDE that shows diffs."""

    decides_by_closing = True

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def shows(self, file: Path) -> bool:
        selection = self._emulator.window.selection
        return selection is not None and selection.path == file

    async def see(self, file: Path) -> None:
        ide = self._emulator
        (self._diff,) = await ide.until(lambda: [d for d in ide.pending if d.new_file_path == str(file)], PATIENCE_S)
        assert self._diff.old_file_path == str(file)
        assert self._diff.contents == NEW

    async def decide(self, deed: str) -> None:
        ide, diff = self._emulator, self._diff
        deeds: Mapping[str, Callable[[], Awaitable[None]]] = {
            "accept": lambda: ide.accept(diff=diff),
            "edit": lambda: ide.accept(MINE, diff=diff),
            "reject": lambda: ide.reject(diff=diff),
            "close": lambda: ide.close_tab_by_user(diff=diff),
        }
        await deeds[deed]()


class Page:
    """The review page, in a browser of its own; and perhaps an IDE that opens files and shows no diffs."""

    decides_by_closing = False

    def __init__(self, world: World, emulator: Emulator | None = None) -> None:
        self._world = world
        self._emulator = emulator

    async def shows(self, file: Path) -> bool:
        return self._emulator is not None and await Ide(self._emulator).shows(file)

    async def see(self, file: Path) -> None:
        self._link = await asyncio.to_thread(self._find, file)

    async def decide(self, deed: str) -> None:
        await asyncio.to_thread(visit, self._link, DECISIONS[deed])

    def _find(self, file: Path) -> str:
        """Find the review of `file` in what waits, as ``bridge review list`` does, and ask for its link."""
        with self._world.client() as client:
            review = _until(lambda: _waiting(client, file))
            link: str = client.request("review/link", {"id": review})["link"]
        return link


DECISIONS: Final[Mapping[str, dict[str, Any] | None]] = {
    "accept": {"accept": True, "files": None},
    "edit": {"accept": True, "files": [MINE]},
    "reject": {"accept": False, "files": None},
    "close": None,  # the human looks, and goes
}


def _waiting(client: Client, file: Path) -> str | None:
    waiting = client.request("review/list", {})["reviews"]
    return next((review["id"] for review in waiting if review["paths"] == [str(file)] and review["where"]), None)


def _until(look: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while (found := look()) is None:
        assert time.monotonic() < deadline, "no review waits"
        time.sleep(0.005)
    return found


EMULATORS: Final[Mapping[str, dict[str, Any]]] = {
    "official": {},
    "official over SSE": {"transport": "sse"},
    "monet": {"personality": "monet"},
    "el": {"personality": "el"},
    "nvim": {"personality": "nvim"},
    "Gemini": {"personality": "gemini"},
    "Qwen": {"personality": "qwen"},
    "JetBrains MCP": {"personality": "jetbrains"},
}


@asynccontextmanager
async def window(name: str, world: World) -> AsyncIterator[Window]:
    """Start an IDE where the daemon finds it; at the end it is gone."""
    if name == "page":
        yield Page(world)
        return
    options = EMULATORS[name]
    personality = options.get("personality", "official")
    announcement = PERSONALITIES[personality].announcement
    port = next(world.jetbrains_ports) if personality == "jetbrains" else 0
    directory = announcement.usual_directory(world.home.environ)
    async with Emulator(workspace=world.workspace, lock_dir=directory, port=port, **options) as emulator:
        yield Page(world, emulator) if personality == "jetbrains" else Ide(emulator)


JETBRAINS_STARTS: Final = 16  # on one port the next IDE would be the last one, come back too soon to be dialled


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """Make a home with everything turned on that is off by default."""
    mcp, *ports = _free_ports(1 + JETBRAINS_STARTS)
    home = Home(directory / "home", TMPDIR=str(directory))
    workspace = directory / "work"
    workspace.mkdir()
    settings = home.path / ".config" / "bridge" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"jetbrains_mcp = {ports}\nmcp_http = {mcp}\n", encoding="utf-8")
    try:
        yield World(home=home, workspace=workspace, jetbrains_ports=iter(ports))
    finally:
        home.close()
