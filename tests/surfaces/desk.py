"""An in-memory daemon for the page: real records, real transitions, real settling; only the disk is missing."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from bridge.core.reviews import OPEN, Change, Comment, Review, State, Step, Trigger, advance, decide, digest
from bridge.core.showing import settled
from bridge.errors import Conflict
from bridge.ides.ports import is_client_ours
from bridge.surfaces.page import PageServer

WORKSPACE = "/home/me/project"


def change(path: str, base: str, proposed: str, *, new: bool = False) -> Change:
    return Change(
        path=os.fsencode(f"{WORKSPACE}/{path}"),
        base_hash=None if new else digest(base.encode("utf-8", "surrogatepass")),
        base=base,
        proposed=proposed,
    )


class MemoryDesk:
    """Plays the daemon; `update` is what agents and IDEs do."""

    def __init__(self) -> None:
        self.reviews: dict[str, Review] = {}
        self.ide: str | None = None
        self.waiting = 0  # pages that wait for news
        self._news = asyncio.Condition()

    def propose(self, *files: Change, review_id: str = "r1", **fields: Any) -> Review:
        named: dict[str, Any] = {
            "workspace": WORKSPACE.encode(),
            "created": 1e9,
            "changed": 1e9,
            "agent": "an agent",
        } | fields
        self.reviews[review_id] = Review(id=review_id, files=files, **named)
        return self.reviews[review_id]

    async def update(self, review: Review) -> Review:
        async with self._news:
            self.reviews[review.id] = review
            self._news.notify_all()
        return review

    async def step(self, review_id: str, step: Step, **changes: Any) -> Review:
        return await self.update(advance(self.reviews[review_id], step, 1e9, **changes))

    async def find(self, review_id: str) -> Review | None:
        return self.reviews.get(review_id)

    async def purge(self, review_id: str) -> None:
        async with self._news:
            del self.reviews[review_id]
            self._news.notify_all()

    async def changed(self, review_id: str, version: int, timeout: float) -> Review | None:
        def news() -> bool:
            return review_id not in self.reviews or self.reviews[review_id].version > version

        self.waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout), self._news:
                    await self._news.wait_for(news)
        finally:
            self.waiting -= 1
        return self.reviews.get(review_id)

    async def show(self, review_id: str) -> None:
        if self.reviews[review_id].state is State.PROPOSED:
            await self.step(review_id, Step.SHOW)

    async def decide(
        self, review_id: str, version: int, finals: tuple[str | None, ...] | None, comments: tuple[Comment, ...]
    ) -> Review:
        review = self.reviews[review_id]
        if review.state in OPEN and review.version != version:
            raise Conflict("the review has changed meanwhile")
        if finals is not None:
            finals = settled(review, finals)
        trigger = Trigger.REJECTED_ON_PAGE if finals is None else Trigger.ACCEPTED_ON_PAGE
        return await self.update(decide(review, 1e9, finals=finals, trigger=trigger, comments=comments))

    def shown_in(self, review_id: str) -> str | None:
        return self.ide


class MemoryStore:
    """The journal's one object."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None

    async def load(self) -> dict[str, Any] | None:
        return self.state

    async def save(self, state: dict[str, Any]) -> None:
        self.state = state


@asynccontextmanager
async def serving(desk: MemoryDesk, store: MemoryStore) -> AsyncIterator[PageServer]:
    """One life of the daemon."""
    async with asyncio.TaskGroup() as tasks:
        server = PageServer(desk, store, tasks, admits=is_client_ours)
        try:
            yield server
        finally:
            await server.stop()
