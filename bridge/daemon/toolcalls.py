"""The calls of the MCP tools: each becomes what an agent of the control socket would ask.

`bridge.agents.mcp` speaks the protocol. What the tools take is `bridge.core.toolbox`, what they answer
`bridge.core.reviewreports` and `bridge.core.idereports`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
from bridge.core.asks import Ask, CallTool, Cancel, OpenFile, Propose, Wait
from bridge.core.events import Asked, Scene, SessionId, Withdrawn
from bridge.core.idereports import of_diagnostics, of_editors, of_ides, of_opened, of_selection
from bridge.core.jsonrpc import RequestId
from bridge.core.readings import SELECTION_TOOLS, read_diagnostics, read_editors, read_selection
from bridge.core.reviewreports import NOWHERE, Where, of_review, whereabouts
from bridge.core.reviews import Change, State
from bridge.core.status import ide_row
from bridge.core.toolanswers import Answer
from bridge.daemon.engine import Engine
from bridge.daemon.lookout import Lookout, anywhere
from bridge.daemon.pages import Pages
from bridge.daemon.proposals import changed_since, changes_of, key_of, new_review, text_to_search
from bridge.errors import BridgeError, StillPending, Unavailable, Usage
from bridge.store.journal import Journal

if TYPE_CHECKING:
    from bridge.agents.mcp import Exchange

__all__ = ["Agent", "Standing"]

MOST_CALLS: Final = 32  # of one agent at a time: most of them wait for a human
PROGRESS_S: Final = 15.0  # between two words to an agent that waits


@dataclass(frozen=True, eq=False)
class Standing:
    """Where an agent stands (`lookout.Stand`); `everywhere`: it did not say, so any IDE may be meant."""

    cwd: str
    environ: Mapping[str, str] = field(default_factory=dict)
    pid: int | None = None
    terminal_pid: int | None = None
    everywhere: bool = False


class Agent:
    """One agent that speaks MCP: answers its calls, and is the engine's `Asker`.

    Args:
        number: what the engine knows it by.
        stand: where it stands when it names no workspace.
        on_page: is called with the id of each of its reviews, once, when that is on the page.
    """

    def __init__(
        self,
        number: SessionId,
        stand: Standing,
        engine: Engine,
        lookout: Lookout,
        pages: Pages,
        on_page: Callable[[str], None] | None = None,
    ) -> None:
        self.number = number
        self._stand = stand
        self._engine = engine
        self._lookout = lookout
        self._pages = pages
        self._on_page = on_page
        self._calls = 0
        self._count = 0
        self._waiting: dict[RequestId, asyncio.Future[Any]] = {}
        self._where: dict[str, Where] = {}  # of its reviews, as it was told last
        self._watchers: Counter[str] = Counter()  # how many calls wait for each
        self._moves: dict[str, asyncio.Future[None]] = {}  # what they wait for besides
        self._stays: dict[str, RequestId] = {}  # its own: the request that waits as long as the agent is here
        self._led: set[str] = set()  # those of them whose page was opened
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

    def _standing(self, workspace: str | UnsetType) -> Standing:
        if workspace is UNSET:
            return self._stand
        if not os.path.isabs(workspace):
            raise Usage(f"workspace is not an absolute path: {workspace}", "give the whole path of your directory")
        cwd = absolute("/", workspace)
        return Standing(cwd, self._stand.environ, self._stand.pid, self._stand.terminal_pid)

    def _path(self, stand: Standing, path: str) -> str:
        if stand.everywhere and not os.path.isabs(path):
            raise Usage("a relative path counts from nowhere", "give workspace, or an absolute path")
        return absolute(stand.cwd, path)

    async def _scene(self, given: Any, stand: Standing, file: str | None = None, *, anew: bool = True) -> Scene:
        look = self._lookout.scene if anew else self._lookout.recent_scene
        scene = await look(stand, file, None if given.ide is UNSET else given.ide)
        return anywhere(scene) if stand.everywhere else scene

    # ---- the tools

    async def _open_file(self, given: tools.OpenFile, exchange: Exchange) -> Answer:
        stand = self._standing(given.workspace)
        path = self._path(stand, given.path)
        line, column = (None if value is UNSET else value for value in (given.line, given.column))
        contents = await asyncio.to_thread(text_to_search, path, line is not None)
        ask = OpenFile(path=path, line=line, column=column, text=contents)
        return of_opened(path, await self._ask(ask, await self._scene(given, stand, path)))

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
        answer = await self._ask(Propose(review=review, known=known, supersedes=supersedes), scene)
        self._stay(answer["id"])
        return await self._report(answer["id"], given.wait_ms, exchange)

    async def _get_review(self, given: tools.GetReview, exchange: Exchange) -> Answer:
        return await self._report(given.review_id, given.wait_ms, exchange, texts=given.include_texts)

    async def _cancel(self, given: tools.CancelReview, exchange: Exchange) -> Answer:
        await self._ask(Cancel(review_id=given.review_id))
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
        scene = await self._lookout.scene(stand)
        links = self._engine.router.links
        selection = links.choose(anywhere(scene) if stand.everywhere else scene, time.time())
        return of_ides(stand.cwd, [ide_row(v, *links.state_of(v.candidate)) for v in selection.verdicts])

    async def _relay(self, tool: str, given: Any, file: str | None = None) -> Any:
        """Call one of the IDE's own tools, and decode what it answered."""
        scene = await self._scene(given, self._standing(given.workspace), file, anew=False)
        result = await self._ask(CallTool(tool=tool, arguments=jsonrpc.EMPTY, file=file), scene)
        return jsonrpc.load(result) if isinstance(result, bytes | Raw) else result

    # ---- reviews

    async def _report(self, review_id: str, wait_ms: int, exchange: Exchange, *, texts: bool = False) -> Answer:
        """Say how a review stands, in `wait_ms` or as soon as it is decided. Raises `Unavailable`: there is none."""
        if wait_ms:
            await self._await(review_id, wait_ms / 1000, exchange)
        review = await self._pages.find(review_id)
        if review is None:
            raise Unavailable(f"there is no review {review_id}", "propose_changes begins one")
        if review.state is State.DECIDED:
            exchange.sent(partial(self._engine.deliver, review_id))
        seat = self._engine.router.desk.seats.get(review_id)
        where = NOWHERE if seat is None else Where(seat.where, seat.link.name if seat.link else None, seat.reason)
        changed = await asyncio.to_thread(changed_since, review)
        return await asyncio.to_thread(of_review, review, where, texts=texts, changed=changed)

    async def _await(self, review_id: str, patience_s: float, exchange: Exchange) -> None:
        """Wait until the review has ended, and tell the agent where it is meanwhile."""
        begun = time.monotonic()
        with self._watched(review_id), self._asked(Wait(review_id=review_id, until=time.time() + patience_s)) as ended:
            while not ended.done():
                moved = self._moved(review_id)
                where = self._where.get(review_id)
                if where is not None:
                    words = f"Review {review_id} is {whereabouts(review_id, where)}."
                    await exchange.progress(time.monotonic() - begun, patience_s, words)
                await asyncio.wait((ended, moved), timeout=PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
            with suppress(StillPending):
                ended.result()

    @contextmanager
    def _watched(self, review_id: str) -> Iterator[None]:
        """Take note where a review is."""
        self._watchers[review_id] += 1
        try:
            yield
        finally:
            self._watchers[review_id] -= 1
            self._forget(review_id)

    def _moved(self, review_id: str) -> asyncio.Future[None]:
        """Give what is done when the review moves next; all who wait for that share it."""
        moved = self._moves.get(review_id)
        if moved is None or moved.done():
            moved = self._moves[review_id] = asyncio.get_running_loop().create_future()
        return moved

    def _stay(self, review_id: str) -> None:
        """Wait for a review as long as the agent is here: an IDE that starts now may show it to its human."""
        if review_id not in self._stays:
            self._count += 1
            self._stays[review_id] = self._count
            self._engine.feed(Asked(time.time(), self.number, self._count, Wait(review_id=review_id)))

    # ---- asking the router

    async def _ask(self, ask: Ask, scene: Scene | None = None) -> Any:
        with self._asked(ask, scene) as answer:
            return await answer

    @contextmanager
    def _asked(self, ask: Ask, scene: Scene | None = None) -> Iterator[asyncio.Future[Any]]:
        """Ask, and take it back if nobody wants the answer any more."""
        self._count += 1
        id_ = self._count
        answer = self._waiting[id_] = asyncio.get_running_loop().create_future()
        try:
            self._engine.feed(Asked(time.time(), self.number, id_, ask, scene))
            yield answer
        finally:
            del self._waiting[id_]
            if answer.cancelled() or not answer.done():
                answer.cancel()
                self._engine.report(Withdrawn(time.time(), self.number, id_))

    # ---- what the engine answers (`engine.Asker`)

    def reply(self, id_: RequestId, result: object) -> None:
        """Take an answer; that to a stay says that the review ended."""
        future = self._waiting.get(id_)
        if future is None:
            self._ended(id_)
        elif not future.done():
            future.set_result(result)

    def refuse(self, id_: RequestId, error: BridgeError) -> None:
        """Take a refusal."""
        future = self._waiting.get(id_)
        if future is None:
            self._ended(id_)
        elif not future.done():
            future.set_exception(error)

    def _ended(self, id_: RequestId) -> None:
        for review_id in [review for review, stay in self._stays.items() if stay == id_]:
            del self._stays[review_id]
            self._led.discard(review_id)
            self._forget(review_id)

    def _forget(self, review_id: str) -> None:
        """Forget where a review is that nobody here waits for."""
        if review_id not in self._stays and not self._watchers[review_id]:
            for known in (self._watchers, self._where, self._moves):
                known.pop(review_id, None)

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Learn where a review is (``review/surface``), and open its page if that is where."""
        review_id, surface = str(params["id"]), params["surface"]
        ide = params["ide"]
        self._where[review_id] = Where(
            surface=None if surface is None else str(surface),
            ide=None if ide is None else str(ide),
            reason=str(params["reason"]),
        )
        if (moved := self._moves.get(review_id)) is not None and not moved.done():
            moved.set_result(None)
        if surface == "page" and review_id in self._stays and review_id not in self._led and self._on_page is not None:
            self._led.add(review_id)
            self._on_page(review_id)

    def tell(self, method: str, params: bytes) -> None:
        """What its IDE says unasked is nothing that these tools tell."""


def _key(changes: tuple[Change, ...]) -> str:
    """Name a proposal by what it is."""
    named = sha256("\n".join(map(key_of, changes)).encode())
    return f"propose_changes {named.hexdigest()}"
