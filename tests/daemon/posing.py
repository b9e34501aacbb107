"""A house in which the bridge poses as an IDE, and raw agents that take it for one."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge.core.events import SessionId
from bridge.core.lockfile import Transport
from bridge.daemon.poses import Poses
from bridge.daemon.publications import Publication, Publications
from bridge.daemon.tasks import Tasks
from bridge.store.journal import JournalThread
from tests.agents.rawclient import Raw, all_leave, post
from tests.daemon.test_engine import House

__all__ = ["Agent", "Posing", "Starter", "posing"]


class Starter:
    """What stands for a session of ``bridge run``."""

    def __init__(self, cwd: Path, environ: Mapping[str, str] | None = None) -> None:
        self.number = SessionId(0)
        self.cwd = str(cwd)
        self.environ = dict(environ or {})
        self.pid = os.getpid()
        self.terminal_pid = None


class Agent:
    """A raw agent, over whichever transport its lock file names."""

    def __init__(self, raw: Raw, port: int, token: str, address: str | None) -> None:
        self.raw = raw
        self._port = port
        self._token = token
        self._address = address

    @classmethod
    async def of(cls, publication: Publication) -> Agent:
        """Attach as an agent does: with what the lock file says."""
        said = json.loads(Path(publication.lock).read_text(encoding="utf-8"))
        port, token = int(Path(publication.lock).stem), said["authToken"]
        if said["transport"] == "ws":
            return cls(await Raw.agent(port, token), port, token, None)
        raw = await Raw.to(port)
        return cls(raw, port, token, await raw.stream(port, token))

    async def say(self, message: Any) -> int | None:
        """Say something; bytes are said as they are. Over SSE, give the status."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        if self._address is None:
            self.raw.say(body)
            return None
        return (await post(self._port, self._token, self._address, body)).status

    async def hear(self) -> Any:
        """Hear the next message."""
        return await self.raw.hear() if self._address is None else json.loads((await self.raw.event())[1])

    async def heard(self, **wanted: Any) -> Any:
        """Hear until a message has these members."""
        while True:
            said = await self.hear()
            if all(said.get(name) == value for name, value in wanted.items()):
                return said

    async def ask(self, id_: Any, method: str, params: Any = None) -> Any:
        """Ask, and hear the answer; news on the way are skipped."""
        await self.say({"jsonrpc": "2.0", "id": id_, "method": method, "params": {} if params is None else params})
        return await self.heard(id=id_)

    async def begin(self, id_: Any, tool: str, **arguments: Any) -> None:
        """Begin a call."""
        params = {"name": tool, "arguments": arguments}
        await self.say({"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params})

    async def call(self, id_: Any, tool: str, **arguments: Any) -> Any:
        """Call a tool; give its result."""
        await self.begin(id_, tool, **arguments)
        return (await self.heard(id=id_))["result"]

    async def diff(self, id_: Any, path: Path, proposed: str, tab: str = "tab") -> None:
        """Propose a change of a file."""
        names = {"old_file_path": str(path), "new_file_path": str(path)}
        await self.begin(id_, "openDiff", **names, new_file_contents=proposed, tab_name=tab)


def texts(result: Mapping[str, Any]) -> list[str]:
    """The text items of a tool's result."""
    return [item["text"] for item in result["content"]]


class Posing:
    """A house, and what it publishes."""

    def __init__(self, house: House, publications: Publications) -> None:
        self.house = house
        self.publications = publications

    async def publish(self, transport: str = "ws", *, cwd: Path | None = None) -> Publication:
        """Publish for a child."""
        starter: Any = Starter(cwd or self.house.workspace)
        return await self.publications.for_child(starter, Transport(transport), 0)

    async def agent(self, transport: str = "ws", **where: Any) -> Agent:
        """Attach an agent that has said who it is."""
        agent = await Agent.of(await self.publish(transport, **where))
        await agent.ask(0, "initialize", {"protocolVersion": "2025-03-26", "clientInfo": {"name": "ann"}})
        return agent


@asynccontextmanager
async def posing(home: Path, workspace: Path, journal: JournalThread) -> AsyncIterator[Posing]:
    """Begin a life of the daemon, without its process and its control socket."""
    async with Tasks() as tasks:
        house = House(tasks, home, workspace, journal)
        poses = Poses(house.engine, house.lookout)
        publications = Publications(tasks, poses, journal, str(home), str(home / "state"))
        house.lookout.own = publications
        await publications.resume()
        try:
            yield Posing(house, publications)
        finally:
            await publications.stop()
            await all_leave()
            for link in list(house.engine.router.links.links):
                house.engine.sockets.hang_up(link)
            house.engine.stop()
