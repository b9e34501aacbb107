"""The calls of the MCP tools: each becomes what an agent of the control socket would ask.

`bridge.agents.mcp` speaks the protocol. What the tools take is `bridge.core.toolbox`, what they answer
`bridge.core.reviewreports` and `bridge.core.idereports`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Raw, UnsetType

from bridge.agents import requests
from bridge.agents.control import absolute
from bridge.core import jsonrpc
from bridge.core import toolbox as tools
from bridge.core.again import rejoined
from bridge.core.asks import CallTool, Cancel, OpenFile, Propose
from bridge.core.events import Scene, SessionId
from bridge.core.idereports import of_diagnostics, of_editors, of_ides, of_opened, of_selection
from bridge.core.readings import SELECTION_TOOLS, read_diagnostics, read_editors, read_selection
from bridge.core.reviewreports import NOWHERE, Where, of_review
from bridge.core.reviews import Change, State
from bridge.core.status import ide_row
from bridge.core.toolanswers import Answer
from bridge.daemon.engine import Engine
from bridge.daemon.lookout import Lookout
from bridge.daemon.mcpasker import McpAsker
from bridge.daemon.pages import Pages
from bridge.daemon.proposals import changed_since, changes_of, key_of, new_review, text_to_search
from bridge.errors import Unavailable, Usage
from bridge.store.journal import Journal

if TYPE_CHECKING:
    from bridge.agents.mcp import Exchange

__all__ = ["McpAgent", "McpStand"]

MOST_CALLS: Final = 32  # of one agent at a time: most of them wait for a human


@dataclass(frozen=True, eq=False)
class McpStand:
    """Where an agent stands (`lookout.Stand`); `nowhere`: it did not say, and `cwd` means nothing."""

    cwd: str
    environ: Mapping[str, str] = field(default_factory=dict)
    pid: int | None = None
    terminal_pid: int | None = None
    nowhere: bool = False


class McpAgent(McpAsker):
    """One agent that speaks MCP, whose calls are answered.

    Args:
        number: what the engine knows it by.
        stand: where it stands when it names no workspace.
        on_page: see `McpAsker`.
    """

    def __init__(
        self,
        number: SessionId,
        stand: McpStand,
        engine: Engine,
        lookout: Lookout,
        pages: Pages,
        on_page: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(number, engine, on_page)
        self._stand = stand
        self._lookout = lookout
        self._pages = pages
        self._calls = 0
        self._tools: dict[str, Callable[[Any, Exchange], Awaitable[Answer]]] = {
            "open_file": self._open_file,
            "propose_changes": self._propose,
            "get_review": self._get_review,
            "cancel_review": self._cancel,
            "get_selection": self._selection,
            "get_open_editors": self._editors,
            "get_diagnostics": self._diagnostics,
            "list_ides": self._ides,
        }

    async def call(self, name: str, arguments: Mapping[str, Any], exchange: Exchange) -> Answer:
        """Answer a call of a tool that there is. Raises `BridgeError` for what the model should read."""
        given = tools.read_arguments(tools.TOOLS[name], arguments)
        if self._calls >= MOST_CALLS:
            raise Unavailable(f"{self._calls} calls are not answered yet: no more are taken", "wait for some of them")
        self._calls += 1
        try:
            return await self._tools[name](given, exchange)
        finally:
            self._calls -= 1

    # ---- where it stands

    def _standing(self, workspace: str | UnsetType) -> McpStand:
        if workspace is UNSET:
            return self._stand
        if not os.path.isabs(workspace):
            raise Usage(f"workspace is not an absolute path: {workspace}", "give the whole path of your directory")
        cwd = absolute("/", workspace)
        return McpStand(cwd, self._stand.environ, self._stand.pid, self._stand.terminal_pid)

    def _path(self, stand: McpStand, path: str) -> str:
        if stand.nowhere and not os.path.isabs(path):
            raise Usage("a relative path counts from nowhere", "give workspace, or an absolute path")
        return absolute(stand.cwd, path)

    async def _scene(self, given: Any, stand: McpStand, file: str | None = None, *, anew: bool = True) -> Scene:
        if stand.nowhere and file is None and given.ide is UNSET:
            raise Usage("which window is meant is not known: you stand in no directory", "give workspace, or ide")
        look = self._lookout.scene if anew else self._lookout.recent_scene
        return await look(stand, file, None if given.ide is UNSET else given.ide)

    # ---- the tools

    async def _open_file(self, given: tools.OpenFile, exchange: Exchange) -> Answer:
        stand = self._standing(given.workspace)
        path = self._path(stand, given.path)
        line, column = (None if value is UNSET else value for value in (given.line, given.column))
        contents = await asyncio.to_thread(text_to_search, path, line is not None)
        ask = OpenFile(path=path, line=line, column=column, text=contents)
        return of_opened(path, await self.ask(ask, await self._scene(given, stand, path)))

    async def _propose(self, given: tools.ProposeChanges, exchange: Exchange) -> Answer:
        stand = self._standing(given.workspace)
        files = [requests.File(path=self._path(stand, file.path), proposed=file.content) for file in given.files]
        changes = await asyncio.to_thread(changes_of, files, new_directories=True)  # the agent makes them
        workspace, named = os.fsencode(stand.cwd), given.request_key is not UNSET
        key = given.request_key if given.request_key is not UNSET else _key(changes)
        scene = await self._scene(given, stand, os.fsdecode(changes[0].path))
        review = new_review(
            changes, workspace, title=given.title, agent=exchange.client, request_key=key, ide=scene.named
        )
        # Last: what is undecided in the journal now is still at the desk when the router is asked.
        known = rejoined(await self._engine.journal.run(Journal.by_key, workspace, key), named, time.time())
        supersedes = None if given.supersedes is UNSET else given.supersedes
        answer = await self.ask(Propose(review=review, known=known, supersedes=supersedes), scene)
        self.stay(answer["id"])
        return await self._report(answer["id"], given.wait_ms, exchange)

    async def _get_review(self, given: tools.GetReview, exchange: Exchange) -> Answer:
        return await self._report(given.review_id, given.wait_ms, exchange, texts=given.include_texts)

    async def _cancel(self, given: tools.CancelReview, exchange: Exchange) -> Answer:
        await self.ask(Cancel(review_id=given.review_id))
        return await self._report(given.review_id, 0, exchange)

    async def _selection(self, given: tools.GetSelection, exchange: Exchange) -> Answer:
        troubles: list[Unavailable] = []
        for tool in SELECTION_TOOLS:
            try:
                found = read_selection(await self._relay(tool, given))
            except Unavailable as error:  # not every plugin has both
                troubles.append(error)
                continue
            if found is not None:
                return of_selection(found)
        if len(troubles) == len(SELECTION_TOOLS):
            raise troubles[0]
        return of_selection(None)

    async def _editors(self, given: tools.GetOpenEditors, exchange: Exchange) -> Answer:
        return of_editors(read_editors(await self._relay("getOpenEditors", given)))

    async def _diagnostics(self, given: tools.GetDiagnostics, exchange: Exchange) -> Answer:
        file = None if given.path is UNSET else self._path(self._standing(given.workspace), given.path)
        if file is not None:
            await asyncio.to_thread(text_to_search, file, False)
        return of_diagnostics(read_diagnostics(await self._relay("getDiagnostics", given, file)))

    async def _ides(self, given: tools.ListIdes, exchange: Exchange) -> Answer:
        stand = self._standing(given.workspace)
        links = self._engine.router.links
        selection = links.choose(await self._lookout.scene(stand), time.time())
        return of_ides(stand.cwd, [ide_row(v, *links.state_of(v.candidate)) for v in selection.verdicts])

    async def _relay(self, tool: str, given: Any, file: str | None = None) -> Any:
        """Call one of the IDE's own tools, and decode what it answered."""
        scene = await self._scene(given, self._standing(given.workspace), file, anew=False)
        result = await self.ask(CallTool(tool=tool, arguments=jsonrpc.EMPTY, file=file), scene)
        return jsonrpc.load(result) if isinstance(result, bytes | Raw) else result

    # ---- reviews

    async def _report(self, review_id: str, wait_ms: int, exchange: Exchange, *, texts: bool = False) -> Answer:
        """Say how a review stands, in `wait_ms` or as soon as it is decided. Raises `Unavailable`: there is none."""
        if wait_ms:
            await self.wait(review_id, wait_ms / 1000, exchange)
        review = await self._pages.find(review_id)
        if review is None:
            raise Unavailable(f"there is no review {review_id}", "propose_changes begins one")
        if review.state is State.DECIDED:
            exchange.sent(partial(self._engine.deliver, review_id))
        seat = self._engine.router.desk.seats.get(review_id)
        where = NOWHERE if seat is None else Where(seat.where, seat.link.name if seat.link else None, seat.reason)
        changed = await asyncio.to_thread(changed_since, review)
        return await asyncio.to_thread(of_review, review, where, texts=texts, changed=changed)


def _key(changes: tuple[Change, ...]) -> str:
    """Name a proposal by what it is."""
    named = sha256("\n".join(map(key_of, changes)).encode())
    return f"propose_changes {named.hexdigest()}"
