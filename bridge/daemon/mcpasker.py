"""An agent that speaks MCP, as the engine knows it: what it asks, what it waits for, and where its reviews are.

What the tools make of that is `bridge.daemon.toolcalls`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from bridge.core.asks import Ask, Wait
from bridge.core.events import Asked, Scene, SessionId, Withdrawn
from bridge.core.jsonrpc import RequestId
from bridge.core.reviewreports import Where, whereabouts
from bridge.daemon.engine import Engine
from bridge.errors import BridgeError, StillPending

if TYPE_CHECKING:
    from bridge.agents.mcp import Exchange

__all__ = ["McpAsker"]

PROGRESS_S: Final = 15.0  # between two words to an agent that waits


class McpAsker:
    """An `engine.Asker` whose answers are awaited.

    Args:
        number: what the engine knows it by.
        on_page: is called with the id of each of its reviews, once, when that is on the page.
    """

    def __init__(self, number: SessionId, engine: Engine, on_page: Callable[[str], None] | None = None) -> None:
        self.number = number
        self._engine = engine
        self._on_page = on_page
        self._count = 0
        self._waiting: dict[RequestId, asyncio.Future[Any]] = {}
        self._where: dict[str, Where] = {}  # of its reviews, as it was told last
        self._watchers: Counter[str] = Counter()  # how many calls wait for each
        self._moves: dict[str, asyncio.Future[None]] = {}  # what they wait for besides
        self._stays: dict[str, RequestId] = {}  # its own: the request that waits as long as the agent is here
        self._led: set[str] = set()  # those of them whose page was opened

    # ---- reviews

    async def wait(self, review_id: str, patience_s: float, exchange: Exchange) -> None:
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

    def stay(self, review_id: str) -> None:
        """Wait for a review as long as the agent is here: an IDE that starts now may show it to its human."""
        if review_id not in self._stays:
            self._count += 1
            self._stays[review_id] = self._count
            self._engine.feed(Asked(time.time(), self.number, self._count, Wait(review_id=review_id)))

    # ---- asking the router

    async def ask(self, ask: Ask, scene: Scene | None = None) -> Any:
        """Ask, and give the answer. Raises the refusal; whoever is cancelled meanwhile takes the request back."""
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
