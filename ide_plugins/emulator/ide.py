"""The IDE window as a whole: it listens, announces itself, answers its client, and has a human before it.

A request is decided in full before anything is sent: `Answers` changes the window and the tabs; then the answers
leave. Those of ``openDiff`` are `Debts` until there is a client to take them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from weakref import WeakSet

from . import rpc
from .answers import Answers
from .carriers import carrier
from .debts import Debts, Notices
from .diffs import CloseSays, Diff, DiffTabs
from .faults import GARBAGE, Fault, Faults
from .human import Human
from .listener import OPEN_TIMEOUT_S, Client, Listener
from .lock import LockFile, Transport
from .names import HERE, Names
from .personality import PERSONALITIES, PersonalityName
from .tools import Arguments, official_tools
from .window import Position, Selection, Window

__all__ = ["Emulator"]

T = TypeVar("T")


@dataclass(eq=False, kw_only=True)
class Emulator:
    """One IDE window. ``async with Emulator(...) as ide`` listens, announces itself, and stops at the end.

    Raises:
        ValueError: `human`, `faults` or `personality` has an unknown word; the caller's fault.
        OSError: the port is taken or the lock file cannot be written (on entering).
    """

    workspace: Path  # absolute
    lock_dir: Path  # made if missing
    names: Names = HERE  # what it calls its files, the workspace too
    host: str = "127.0.0.1"  # where it listens
    port: int = 0  # 0: the system chooses; the real one after entering
    personality: PersonalityName = "official"  # whose plugin is played; the options below may deviate from it
    transport: Transport | Literal[""] = ""  # "": the plugin's
    max_frame_bytes: int | None = None  # None: the plugin's; more ends the connection or, over HTTP, gets a 413
    keep_alive_s: float | None = None  # None: the plugin's; over HTTP, between comments or pings
    token: str | None = field(default="", repr=False)  # None: lets everybody in; "": as the plugin makes it
    name: str = ""  # "": as the plugin gives it
    pid: int = field(default_factory=os.getpid)  # what the lock file says
    human: str = "never"  # a script, see `Human`
    faults: Collection[str] = ()  # see `Fault`, and "slow:SECONDS"
    close_says: CloseSays = "rejected"  # the answer when the human closes a tab; the official 1.0.44 rejects
    needs_text: bool = True  # see `official_tools`
    lines: bool = False  # see `official_tools`
    several_clients: bool = False  # True: a new client leaves the old, a new diff the open one
    ide_info: bool = False  # Gemini's discovery file says which IDE it is, as the specification wants
    editor_normalises: bool = False  # accepting gives LF, no BOM and a final newline
    on_event: Callable[[dict[str, Any]], None] = field(default=lambda _: None, repr=False)

    calls: list[tuple[str, Arguments]] = field(init=False, repr=False, default_factory=list)  # as received
    window: Window = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.personality not in PERSONALITIES:
            raise ValueError(f"no such personality: {self.personality}")
        self._plugin = plugin = PERSONALITIES[self.personality]
        self.name = self.name or plugin.ide_name
        self.transport = self._transport = self.transport or plugin.transport
        self.token = plugin.new_token() if self.token == "" else self.token
        self.window = Window(workspace=self.workspace, names=self.names)
        self._faults = Faults.parse(self.faults)
        self._human = Human(self.human)
        self._tabs = DiffTabs(
            decided=self._decided,
            close_says=self.close_says,
            several=self.several_clients or plugin.several_diffs,
            drops_namesakes=plugin.drops_namesakes,
            keeps_namesakes=plugin.keeps_namesakes,
            vanishing=plugin.outcome is not None,
            normalises=self.editor_normalises,
        )
        self._answers = Answers(
            plugin=plugin,
            tools=plugin.tools() if plugin.tools else official_tools(needs_text=self.needs_text, lines=self.lines),
            name=self.name,
            window=self.window,
            tabs=self._tabs,
            faults=self._faults,
            calls=self.calls,
            opened=self._opened,
            happened=self._happened,
        )
        self._listener = self._choose_listener()
        self._introduced: WeakSet[Client] = WeakSet()  # by ``ide_connected``
        self._debts = self._choose_debts()
        self._running = False
        self._changed = asyncio.Event()

    def _choose_debts(self) -> Debts | Notices:
        clients, outcome = self._listener.clients, self._plugin.outcome
        if outcome is None:
            return Debts(clients=clients, send=self._send_answer, inherited=not self._plugin.own_diffs)
        return Notices(clients=clients, send=self._send_answer, outcome=outcome)

    def _choose_listener(self) -> Listener:
        keep_alive_s = self._plugin.keep_alive_s if self.keep_alive_s is None else self.keep_alive_s
        kind = carrier(self._transport, self._plugin, self._faults, keep_alive_s=keep_alive_s, attends=self._attends)
        return kind(
            token=self.token if self._plugin.checks_token else None,
            newcomer="joins" if self.several_clients else self._plugin.newcomer,
            host=self.host,
            receive=self._receive,
            welcome=self._welcome,
            left=self._left,
            happened=self._happened,
            silent=Fault.HANG_HANDSHAKE in self._faults,
            open_timeout_s=None if self._faults.silence else OPEN_TIMEOUT_S,
            max_frame_bytes=self.max_frame_bytes or self._plugin.max_frame_bytes,
        )

    async def __aenter__(self) -> Self:
        self.port = await self._listener.start(self.port)
        try:
            self._write_lock()
        except OSError:
            await self._listener.stop()
            raise
        self._running = True
        self._happened("ready", port=self.port, lock=str(self.lock_path))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self, *, remove_lock: bool = True) -> None:
        """Quit as an IDE does, its clients told so (1001). Twice does no harm."""
        if self._running and remove_lock:
            self._lock.remove()  # first: nobody shall find a lock file without a listener
        self._running = False
        await self._listener.stop()

    def die(self) -> None:
        """Vanish as by ``kill -9``: sockets cut, lock file left behind."""
        self._running = False
        self._listener.abort()

    @property
    def lock_path(self) -> Path:
        """Where the lock file stands, or stood; known on entering."""
        return self._lock.path

    @property
    def connections(self) -> int:
        """How many upgrades were granted, those with a bad token included; over SSE, how many streams were opened."""
        return self._listener.connections

    @property
    def unauthorised(self) -> int:
        """How many had no token or a wrong one; over SSE every request counts."""
        return self._listener.unauthorised

    @property
    def diffs(self) -> list[Diff]:
        """The open diff tabs, oldest first; a decided one stays until the client closes it."""
        return list(self._tabs.tabs)

    @property
    def pending(self) -> list[Diff]:
        """The diffs that wait for the human, oldest first."""
        return self._tabs.pending

    @property
    def dirty(self) -> set[Path]:
        """The documents with unsaved changes, absolute; add and remove as you like."""
        return self.window.dirty

    async def until(self, predicate: Callable[[], T], timeout: float = 5) -> T:  # noqa: ASYNC109 (a wait that ends)
        """Wait until `predicate` gives something true, and return that; it is asked again at every event.

        Raises:
            TimeoutError: it did not within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not (value := predicate()):
                await self._changed.wait()
        return value

    async def next_diff(self) -> Diff:
        """Wait, at most 5 seconds, for a diff that nobody has decided; the oldest if there are several."""
        return (await self.until(lambda: self.pending))[0]

    async def accept(self, text: str | None = None, *, diff: Diff | None = None) -> None:
        """Save `diff` (default: the oldest undecided) as shown or, if the human edited it, as `text`.

        This, `reject` and `close_tab_by_user` raise `LookupError` if no diff waits for a decision.
        """
        self._tabs.accept(diff or self._tabs.oldest(), text)
        await self._debts.pay()

    async def reject(self, *, diff: Diff | None = None) -> None:
        """Reject `diff` (default: the oldest undecided)."""
        self._tabs.reject(diff or self._tabs.oldest())
        await self._debts.pay()

    async def close_tab_by_user(self, *, diff: Diff | None = None) -> None:
        """Close the tab of `diff` (default: the oldest undecided) without a decision."""
        self._tabs.close(diff or self._tabs.oldest())
        await self._debts.pay()

    async def select(self, path: Path, text: str = "", start: Position = (0, 0)) -> None:
        """Select `text`, which begins at `start` in `path`, and tell the clients as the plugin does."""
        if Fault.SURROGATE in self._faults:
            text += "\ud83d"  # the first half of an emoji
        self.window.select(Selection.of_text(path, text, start), time.time())
        for client in list(self._listener.clients):
            if client in self._introduced or not self._plugin.wants_introduction:
                await self._push_selection(client)

    async def diagnose(self, path: Path, problems: list[dict[str, Any]]) -> None:
        """Let `problems` be the diagnostics of `path`, and tell the clients if the plugin does."""
        uri = self.names.uri(path)
        self.window.diagnostics[uri] = problems
        if self._plugin.pushes_diagnostics:
            await self.notify("diagnostics_changed", {"uris": [uri]})

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification to every client, such as ``at_mentioned`` or ``diagnostics_changed``."""
        for client in list(self._listener.clients):
            await self._listener.send(client, rpc.notification(method, params))

    async def drop_client(self) -> None:
        """Cut every client's connection without a closing handshake; return when they are gone."""
        self._listener.cut()
        await self.until(lambda: not self._listener.clients)

    async def complete_lock(self) -> None:
        """Write the other half of the lock file (fault ``half-lock``)."""
        self._lock.complete()

    @property
    def _lock(self) -> LockFile:
        return self._plugin.announcement(
            directory=self.lock_dir,
            port=self.port,
            pid=self.pid,
            ide_name=self.name,
            workspace_folders=(self.names.folder(self.workspace),),
            auth_token=self.token,
            in_windows=self.names.in_windows,
            transport=self._transport,
            ide_info=self.ide_info,
        )

    def _write_lock(self) -> None:
        if not self._plugin.announces:
            return
        if Fault.HALF_LOCK in self._faults:
            self._lock.write_half()
        elif self._plugin.loose_lock or Fault.LOOSE_LOCK in self._faults:
            self._lock.write_loosely()
        else:
            self._lock.write()

    async def _welcome(self) -> None:
        await self._debts.pay()

    async def _receive(self, client: Client, frame: str | bytes) -> None:
        request = rpc.parse(frame)
        if request is None:
            await self._hear(client, rpc.told(frame))
            return
        try:
            result = self._answers.answer(client, request)
        except rpc.Refused as refused:
            await self._send_answer(client, rpc.error(request.id, refused))
            return
        if self._plugin.outcome is None:
            await self._debts.pay()  # the request may have opened or closed a diff
        if result is None:
            return
        await self._send_answer(client, rpc.result(request.id, result))
        if self._plugin.outcome is not None:
            await self._debts.pay()  # news comes after the answer
        if request.method == "initialize" and self._plugin.lists_changed:
            await self._listener.send(client, rpc.notification("notifications/tools/list_changed", {}))

    async def _hear(self, client: Client, method: str | None) -> None:
        """Take note of a notification."""
        if method == "ide_connected":
            self._introduced.add(client)
            if self._plugin.wants_introduction:
                await self._push_selection(client)

    async def _attends(self, client: Client) -> None:
        """A client has begun to hear what is pushed: the first time, it is told how things stand."""
        if client not in self._introduced:
            self._introduced.add(client)
            await self._push_selection(client)

    async def _push_selection(self, client: Client) -> None:
        if self._plugin.context is not None:
            await self._listener.send(client, rpc.notification("ide/contextUpdate", self._plugin.context(self.window)))
        elif self.window.selection is not None:
            params = self._plugin.selection(self.window.selection.to_json(self.names))
            await self._listener.send(client, rpc.notification("selection_changed", params))

    def _left(self, client: Client) -> None:
        if self._plugin.own_diffs:
            self._tabs.of(client).abandon()
        if self._plugin.loses_lock and self._running:
            self._lock.remove()

    def _opened(self, diff: Diff) -> None:
        """A diff is shown: let the human react, if we live to see it."""
        if Fault.DIE_ON_DIFF in self._faults:
            self.die()
        elif Fault.HANG_AFTER_DIFF in self._faults:
            self._listener.fall_silent()
        else:
            self._human.react(self._tabs, diff)

    def _decided(self, diff: Diff) -> None:
        self._debts.owe(diff)
        self._happened("decided", tab_name=diff.tab_name, answer=diff.answer[0])

    async def _send_answer(self, client: Client, frame: str) -> bool:
        await asyncio.sleep(self._faults.delay_s)
        if self._plugin.answers_newest and rpc.answered(frame) is not None and client is not self._listener.clients[-1]:
            return False
        for nonsense in GARBAGE if Fault.GARBAGE in self._faults else ():
            await self._listener.send(client, nonsense)
        return await self._listener.send(client, frame)

    def _happened(self, event: str, **facts: Any) -> None:
        """Tell the observer, and wake whoever waits in `until`."""
        self.on_event({"event": event, **facts})
        self._changed.set()
        self._changed = asyncio.Event()
