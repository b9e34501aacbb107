"""The page's side of the daemon: it asks the router as a session of its own, the only one that may decide."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bridge.core.asks import Decide
from bridge.core.events import Asked, Seen, SessionId
from bridge.core.jsonrpc import RequestId
from bridge.core.reviews import Comment, Review
from bridge.daemon.engine import Engine
from bridge.daemon.instance import write_private
from bridge.errors import BridgeError, Conflict, Unavailable
from bridge.ides.ports import is_client_ours
from bridge.paths import make_private
from bridge.store.journal import Journal, JournalThread

if TYPE_CHECKING:
    from bridge.surfaces.page import Invitation, PageServer

__all__ = ["Pages"]

_NUMBER: Final = SessionId(0)  # sessions of the control socket count from 1
_SETTING: Final = "page"


class Pages:
    """Implements what `PageServer` wants of the daemon, and starts and stops it.

    Args:
        tasks: where the server lives.
        doors: directory for the 0600 files that lead a browser to a review.
    """

    number = _NUMBER

    def __init__(self, tasks: asyncio.TaskGroup, engine: Engine, journal: JournalThread, doors: str) -> None:
        self._tasks = tasks
        self._engine = engine
        self._journal = journal
        self._doors = doors
        self._waiting: dict[RequestId, asyncio.Future[Any]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._count = 0
        self._made: PageServer | None = None

    # ---- what the daemon asks

    @property
    def _server(self) -> PageServer:
        """The server, made when it is first wanted: HTTP libraries are a fifth of the daemon's memory."""
        if self._made is None:
            from bridge.surfaces.page import PageServer

            self._made = PageServer(self, self, self._tasks, admits=is_client_ours)
        return self._made

    @property
    def running(self) -> bool:
        """Whether the page is being served."""
        return self._made is not None and self._made.running

    @property
    def last_used(self) -> float:
        """When a page last asked for anything, on the clock of `time.monotonic`; 0 for never."""
        return 0.0 if self._made is None else self._made.last_used

    async def invite(self, review_id: str) -> Invitation:
        """Give the way to a review's page; starts the server on first use."""
        seat = self._engine.router.desk.seats.get(review_id)
        if seat is None or not seat.review.is_open:
            raise Unavailable(f"review {review_id} is not open", f"bridge review show {review_id}")
        await self._server.start()
        return await self._server.invite(review_id)

    def door(self, invitation: Invitation) -> str:
        """Write a file that leads a browser to the page, so that no process list shows the code."""
        make_private(self._doors)
        for name in os.listdir(self._doors):
            stale = os.path.join(self._doors, name)
            with suppress(OSError):
                if os.stat(stale).st_mtime < time.time() - 3600:
                    os.unlink(stale)
        path = os.path.join(self._doors, f"{secrets.token_hex(8)}.html")
        write_private(path, _DOOR.replace("LINK", invitation.link).encode())
        return path

    async def resume(self) -> None:
        """Serve again what was served before the daemon was restarted."""
        if await self._has_pages():
            await self._server.resume()

    async def stop(self) -> None:
        """Stop serving."""
        if self._made is not None:
            await self._made.stop()

    async def _has_pages(self) -> bool:
        state = await self.load()
        return bool(state and state.get("pages"))

    async def tidy(self, idle_s: float) -> None:
        """Stop the server when no review is open and nobody has asked for anything for so long."""
        open_ = any(seat.review.is_open for seat in self._engine.router.desk.seats.values())
        if self.running and not open_ and time.monotonic() - self.last_used > idle_s:
            await self._server.stop()

    def saved(self, review_id: str) -> None:
        """Learn that a review's newest record is on disk."""
        if (event := self._news.pop(review_id, None)) is not None:
            event.set()

    async def ended(self, review_id: str) -> None:
        """Learn that a review ended: its codes are worth nothing."""
        if self._made is not None or await self._has_pages():
            await self._server.forget(review_id)

    # ---- what the page asks (`surfaces.page.Desk`)

    async def find(self, review_id: str) -> Review | None:
        """Give the newest record that is on disk, or about to be."""
        seat = self._engine.router.desk.seats.get(review_id)
        if seat is not None and seat.review.is_open:
            return seat.review
        try:
            return await self._journal.run(Journal.get, review_id)
        except Unavailable:
            return None

    async def changed(self, review_id: str, version: int, timeout: float) -> Review | None:  # noqa: ASYNC109
        """Give the record once it is newer than `version`, or as it is after `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    event = self._news.setdefault(review_id, asyncio.Event())
                    review = await self.find(review_id)
                    if review is None or review.version > version:
                        return review
                    await event.wait()
        return await self.find(review_id)

    async def show(self, review_id: str) -> None:
        """Learn that the human has the review on the page."""
        self._engine.feed(Seen(time.time(), review_id))

    async def decide(
        self, review_id: str, version: int, finals: tuple[str | None, ...] | None, comments: tuple[Comment, ...]
    ) -> Review:
        """Pass the human's decision on; it is on disk when this returns.

        `version` does not matter: a review's texts never change, and the state machine lets only the first
        decision pass, whatever surfaces showed the review meanwhile.
        """
        if review_id not in self._engine.router.desk.seats:
            review = await self._journal.run(Journal.get, review_id)
            raise Conflict(f"review {review_id} is already {review.outcome}", f"bridge review show {review_id}")
        self._count += 1
        number = self._count
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        ask = Decide(review_id=review_id, finals=finals, comments=comments)
        try:
            self._engine.feed(Asked(time.time(), _NUMBER, number, ask))
            await answer
        finally:
            del self._waiting[number]
        return await self._journal.run(Journal.get, review_id)

    def shown_in(self, review_id: str) -> str | None:
        """Name the IDE that shows the review."""
        seat = self._engine.router.desk.seats.get(review_id)
        return seat.link.name if seat is not None and seat.where == "ide" and seat.link is not None else None

    # ---- what the journal keeps (`surfaces.page.AccessStore`)

    async def load(self) -> dict[str, Any] | None:
        """Read the page's access rules."""
        state: dict[str, Any] | None = await self._journal.run(Journal.setting, _SETTING)
        return state

    async def save(self, state: dict[str, Any]) -> None:
        """Write them."""
        await self._journal.run(Journal.set_setting, _SETTING, state)

    # ---- what the engine answers (`engine.Asker`)

    def reply(self, id_: RequestId, result: object) -> None:
        """Take the answer to a decision."""
        if (future := self._waiting.get(id_)) is not None and not future.done():
            future.set_result(result)

    def refuse(self, id_: RequestId, error: BridgeError) -> None:
        """Take the refusal of a decision."""
        if (future := self._waiting.get(id_)) is not None and not future.done():
            future.set_exception(error)

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """The page looks for itself."""

    def tell(self, method: str, params: bytes) -> None:
        """The page has no IDE."""


# The fragment never leaves the browser; the file is 0600, so the code is the user's alone.
_DOOR: Final = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Review</title>
<script>location.replace("LINK")</script>
<noscript>The review page needs JavaScript.</noscript>
"""
