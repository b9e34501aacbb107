"""Telling those who listen what happens in the daemon (`bridge.news` lists it): reviews, links, lock directories.

What is so is compared with what was so, after the router has decided, and at a listener's own pace: one that reads
slowly gets fewer events, not later ones. Nobody listening costs nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from bridge.core.events import SessionId
from bridge.core.link import Link
from bridge.core.reviews import Review
from bridge.core.router import Router
from bridge.core.seats import Seat
from bridge.news import Backlog

if TYPE_CHECKING:
    from bridge.news import Event

__all__ = ["Events", "Listener"]

PACE_S: Final = 0.05  # between two looks: an agent may make a thousand calls meanwhile


class Listener(Protocol):
    """Who is told: a session of the control socket."""

    number: SessionId

    def notify(self, method: str, params: Event) -> None:
        """Take an event."""

    async def drained(self) -> None:
        """Wait until most of what was told is on its way."""


class Events:
    """Everybody who listens.

    Args:
        tasks: where telling them lives.
        router: what they hear of.
    """

    def __init__(self, tasks: asyncio.TaskGroup, router: Router) -> None:
        self._tasks = tasks
        self._router = router
        self._telling: dict[SessionId, _Telling] = {}

    def subscribe(self, listener: Listener) -> None:
        """Tell a session what happens from now on."""
        if listener.number not in self._telling:
            telling = self._telling[listener.number] = _Telling(listener, self._router)
            telling.task = self._tasks.create_task(telling.go_on(), name="telling events")

    def left(self, number: SessionId) -> None:
        """Tell a session nothing more."""
        telling = self._telling.pop(number, None)
        if telling is not None and telling.task is not None:
            telling.task.cancel()

    def stirred(self) -> None:
        """Take note that something may have changed."""
        for telling in self._telling.values():
            telling.wake.set()

    def ended(self, review: Review) -> None:
        """Tell that a review ended, which is on disk."""
        self.publish(_of_review(review, None, None))

    def publish(self, event: Event) -> None:
        """Tell everybody."""
        for telling in self._telling.values():
            telling.backlog.add(event)
            telling.wake.set()


class _Telling:
    """Tells one listener."""

    def __init__(self, listener: Listener, router: Router) -> None:
        self.backlog = Backlog()
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._listener = listener
        self._router = router
        self._seen = _picture(router)

    async def go_on(self) -> None:
        """Tell what changes, until this is cancelled."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            self._compare()
            while (event := self.backlog.take()) is not None:
                self._listener.notify("event", event)
                await self._listener.drained()
            await asyncio.sleep(PACE_S)

    def _compare(self) -> None:
        now = _picture(self._router)
        for thing, event in now.items():
            if event is None:
                now[thing] = self._seen.get(thing)
            elif event != self._seen.get(thing):
                self.backlog.add(event)
        self._seen = now


def _picture(router: Router) -> dict[str, Event | None]:
    """Describe every undecided review and every link; None for a review whose record is not on disk yet."""
    reviews = {f"review {seat.id}": _of_seat(seat) for seat in router.desk.seats.values()}
    return reviews | {f"link {link.id}": _of_link(link) for link in router.links.links.values()}


def _of_seat(seat: Seat) -> Event | None:
    if seat.then or not seat.kept or not seat.review.is_open:
        return None
    return _of_review(seat.review, seat.where, seat.link.name if seat.link else None)


def _of_review(review: Review, surface: str | None, ide: str | None) -> Event:
    about = {"id": review.id, "state": review.state, "outcome": review.outcome}
    return {"type": "review", **about, "surface": surface, "ide": ide}


def _of_link(link: Link) -> Event:
    return {"type": "link", "ide": link.name, "port": link.lock.port, "state": link.state, "reason": link.reason}
