"""Poses: sessions of agents that take the bridge for their IDE.

A pose reads the IDE protocol's messages, asks the router what an agent of the control socket would ask, and puts the
answers into the official plugin's words (`bridge.core.posing`). Where the agent stands was said by who published the
lock file that it found; where nobody did, its process tells, once it has named itself (``ide_connected``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec

from bridge import __version__
from bridge.agents.gate import Wire
from bridge.core import announcements, calls, jsonrpc, posing
from bridge.core.asks import Ask, CallTool, CloseTab, CloseTabs, ListTools, ShowDiff
from bridge.core.events import Asked, Scene, SessionId, Withdrawn
from bridge.core.jsonrpc import Message, RequestId
from bridge.core.official import TOOLS, Kind
from bridge.core.reviews import State
from bridge.core.terminal import READS
from bridge.daemon.engine import Engine
from bridge.daemon.lookout import Lookout, as_seen_by
from bridge.daemon.proposals import change_of_diff, file_meant, key_of, new_review, text_to_search
from bridge.errors import BridgeError
from bridge.ides.processes import Standing, standing_of
from bridge.store.journal import Journal

__all__ = ["Pose", "Poses"]

logger = logging.getLogger(__name__)

MOST_CALLS: Final = 64  # of one agent at a time; the next is read when one is answered, so that all have their turn
_NAME_MOST: Final = 100
_ENVIRON: Final = READS | announcements.READS


class _Pending(NamedTuple):
    """A request that is not answered yet."""

    id: RequestId
    kind: Kind | None  # None: ``tools/list``
    tab: str = ""


@dataclass(frozen=True, slots=True)
class Poses:
    """What all poses need."""

    engine: Engine
    lookout: Lookout
    numbers: count[int] = field(default_factory=partial(count, 1 << 32))  # above those of the control socket

    def begin(self, wire: Wire, standing: Standing | None) -> Pose:
        """Begin the session of an agent; `standing` None: it will say which process it is."""
        pose = Pose(SessionId(next(self.numbers)), wire, standing, self.engine, self.lookout)
        self.engine.joined(pose)
        return pose


class Pose:
    """One agent's session."""

    def __init__(
        self, number: SessionId, wire: Wire, standing: Standing | None, engine: Engine, lookout: Lookout
    ) -> None:
        self.number = number
        self.name = ""
        self._wire = wire
        self._known = standing is not None
        self._standing = standing or Standing("/", {}, None)
        self._engine = engine
        self._lookout = lookout
        self._count = 0
        self._pending: dict[RequestId, _Pending] = {}
        self._calls = 0  # of them that no human answers
        self._room = asyncio.Event()
        self._following = False
        self._gone = False

    # ---- where it stands (`lookout.Stand`)

    @property
    def cwd(self) -> str:
        """The working directory."""
        return self._standing.cwd

    @property
    def environ(self) -> Mapping[str, str]:
        """What matters of the environment."""
        return self._standing.environ

    @property
    def pid(self) -> int | None:
        """The process that stands for the agent's terminal."""
        return self._standing.pid

    @property
    def terminal_pid(self) -> int | None:
        """A process in the terminal that shows it, where that is another one."""
        return self._standing.terminal_pid

    async def look(self) -> Scene | None:
        """Describe the world for what is about no file."""
        return self._seen(await self._lookout.recent_scene(self))

    def _seen(self, scene: Scene) -> Scene:
        return as_seen_by(self.name, scene)

    # ---- what the agent says (`gate.Guest`)

    async def take(self, frame: bytes) -> None:
        """Take a frame; what is not JSON-RPC is ignored, as by the official extension [RUN]."""
        try:
            message = jsonrpc.decode(frame)
        except ValueError:
            return
        try:
            if message.is_request:
                await self._request(message)
            elif message.is_notification:
                await self._notification(message)
        except Exception:
            logger.exception("a bug in %s", message.method)
            if message.id is not None:
                self._error(message.id, -32603, "a bug in the bridge: see bridge logs")

    async def left(self) -> None:
        """Learn that the agent is gone; what it said last may still be on its way to the router, and stops there."""
        self._gone = True
        self._room.set()
        self._engine.left(self)

    async def _request(self, message: Message) -> None:
        assert message.id is not None
        match message.method:
            case "tools/call":
                await self._call(message.id, message.params)
            case "tools/list":
                await self._ask(_Pending(message.id, None), ListTools(), await self.look())
            case "initialize":
                self.name = _name(message)
                self._wire.send(jsonrpc.result(message.id, posing.initialize_result(message.params, __version__)))
            case "ping":
                self._wire.send(jsonrpc.result(message.id))
            case _:
                self._error(message.id, posing.METHOD_NOT_FOUND, "Method not found")

    async def _notification(self, message: Message) -> None:
        match message.method:
            case "notifications/cancelled":
                await self._cancelled(message)
            case "ide_connected":
                await self._connected(message)
            case "notifications/initialized":
                await self._follow()

    async def _connected(self, message: Message) -> None:
        """Learn which process the agent is, where nobody said that before."""
        pid = calls.member(message.params, "pid")
        if not self._known and type(pid) is int:
            standing = await asyncio.to_thread(standing_of, pid, _ENVIRON)
            if standing is not None:
                self._standing, self._known = standing, True
                self._lookout.remember(standing.environ)
                self._following = False
        await self._follow()

    async def _follow(self) -> None:
        if not self._following:
            self._following = True
            await self._engine.follow(self, self.look)

    async def _cancelled(self, message: Message) -> None:
        theirs = calls.member(message.params, "requestId")
        for id_, pending in list(self._pending.items()):
            if (type(pending.id), pending.id) == (type(theirs), theirs):
                self._forget(id_)
                self._engine.report(Withdrawn(time.time(), self.number, id_))

    # ---- calls

    async def _call(self, id_: RequestId, params: msgspec.Raw) -> None:
        try:
            call = calls.read_call(params)
            tool = TOOLS.get(call.name)
            if tool is None:
                self._error(id_, posing.INVALID_PARAMS, f"MCP error -32602: Tool {call.name} not found")
                return
            await self._begin(id_, tool.kind, call)
        except calls.InvalidArguments as exc:
            self._error(id_, posing.INVALID_PARAMS, str(exc))
        except BridgeError as error:
            self._answer(id_, posing.call_refused(error))

    async def _begin(self, id_: RequestId, kind: Kind, call: calls.ToolCall) -> None:
        match kind:
            case Kind.RELAY | Kind.OPEN:
                ask = CallTool(tool=call.name, arguments=bytes(call.arguments), posed=True, meta=bytes(call.meta))
                await self._relay(id_, kind, ask)
            case Kind.DIFF:
                await self._open_diff(id_, call.arguments)
            case Kind.CLOSE:
                tab = calls.read_arguments(call.name, calls.CloseTabArguments, call.arguments).tab_name
                await self._ask(_Pending(id_, kind), CloseTab(tab=tab))
            case Kind.CLOSE_ALL:
                await self._ask(_Pending(id_, kind), CloseTabs())

    async def _relay(self, id_: RequestId, kind: Kind, ask: CallTool) -> None:
        file = self._file(ask.tool, ask.arguments)
        if kind is Kind.OPEN:
            if file is None:
                raise calls.InvalidArguments(ask.tool, "filePath is required")
            await asyncio.to_thread(text_to_search, file, False)
        while self._calls >= MOST_CALLS and not self._gone:
            self._room.clear()
            await self._room.wait()
        scene = self._seen(await self._lookout.recent_scene(self, file))
        await self._ask(_Pending(id_, Kind.RELAY), ask, scene)

    def _file(self, tool: str, arguments: bytes) -> str | None:
        """Find the file that a call is about, absolute: it decides whose IDE is asked."""
        argument = TOOLS[tool].file
        named = None if argument is None else calls.member(arguments, argument)
        return file_meant(self.cwd, named, argument == "uri") if isinstance(named, str) else None

    async def _open_diff(self, id_: RequestId, arguments: msgspec.Raw) -> None:
        given = calls.read_arguments("openDiff", posing.OpenDiff, arguments)
        change = await asyncio.to_thread(change_of_diff, self.cwd, given)
        path = os.fsdecode(change.path)
        workspace, key = os.fsencode(self.cwd), key_of(change)
        scene = self._seen(await self._lookout.scene(self, path))
        # Last: what is undecided in the journal now is still at the desk when the router is asked.
        known = await self._engine.journal.run(Journal.by_key, workspace, key)
        if known is not None and known.state is not State.DECIDED:
            known = None  # it is at the desk, or was taken
        review = new_review((change,), workspace, agent=self.name, request_key=key)
        ask = ShowDiff(review=review, tab=given.tab_name, known=known)
        await self._ask(_Pending(id_, Kind.DIFF, given.tab_name), ask, scene)

    async def _ask(self, pending: _Pending, ask: Ask, scene: Scene | None = None) -> None:
        if self._gone:
            return
        self._count += 1
        self._calls += pending.kind is Kind.RELAY
        self._pending[self._count] = pending
        self._engine.feed(Asked(time.time(), self.number, self._count, ask, scene))

    # ---- answers (`engine.Asker`)

    def reply(self, id_: RequestId, result: Any) -> None:
        """Take an answer of the router's."""
        pending = self._forget(id_)
        if pending is None:
            return
        match pending.kind:
            case Kind.RELAY:
                self._wire.send(jsonrpc.result(pending.id, result))
            case Kind.DIFF:
                # An acceptance is taken with `close_tab`, every other end with its answer.
                no = result["files"][0]["final"] is None
                taken = partial(self._engine.deliver, result["id"]) if no else None
                self._answer(pending.id, posing.diff_result(result, pending.tab), taken)
            case Kind.CLOSE:
                self._answer(pending.id, posing.text_result("TAB_CLOSED"))
            case Kind.CLOSE_ALL:
                self._answer(pending.id, posing.closed_tabs(result))
            case _:
                self._wire.send(jsonrpc.result(pending.id, posing.tool_list(result)))

    def refuse(self, id_: RequestId, error: BridgeError) -> None:
        """Take a refusal of the router's."""
        pending = self._forget(id_)
        if pending is not None:
            self._answer(pending.id, posing.call_refused(error))

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Where a review is shown is nothing that an IDE says."""

    def tell(self, method: str, params: bytes) -> None:
        """Pass on what the IDE says."""
        self._wire.tell(method, params)

    def _forget(self, id_: RequestId) -> _Pending | None:
        pending = self._pending.pop(id_, None)
        if pending is not None and pending.kind is Kind.RELAY:
            self._calls -= 1
            self._room.set()
        return pending

    def _answer(self, id_: RequestId, result: dict[str, Any], sent: Callable[[], None] | None = None) -> None:
        self._wire.send(jsonrpc.result(id_, jsonrpc.dump(result)), sent)

    def _error(self, id_: RequestId, code: int, message: str) -> None:
        self._wire.send(jsonrpc.error(id_, posing.rpc_error(code, message)))


def _name(message: Message) -> str:
    """Read the agent's own name for itself: hostile text."""
    name = calls.member(message.params, "clientInfo", "name")
    return name[:_NAME_MOST] if isinstance(name, str) else ""
