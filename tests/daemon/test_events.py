"""Events of the daemon: what a listener hears of reviews and links, at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from bridge.core.asks import Cancel, Propose
from bridge.core.events import (
    Asked,
    Command,
    Ended,
    Event,
    LinkState,
    Save,
    Saved,
    Scene,
    SessionId,
)
from bridge.core.link import Link
from bridge.core.lockfile import LockFile
from bridge.core.reviews import Change, Review
from bridge.core.router import Router
from bridge.core.selection import Place
from bridge.core.terminal import Terminal
from bridge.daemon.events import Events
from bridge.daemon.tasks import Tasks
from bridge.news import MISSED

PATIENCE_S = 20.0
SCENE = Scene(candidates=(), place=Place(directory="/w", file=None, project=None), terminal=Terminal())


class Ear:
    """A listener; while its gate is shut it takes one event and no more."""

    def __init__(self, number: int = 1) -> None:
        self.number = SessionId(number)
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()

    def notify(self, method: str, params: dict[str, Any]) -> None:
        assert method == "event"
        self.heard.put_nowait(params)

    async def drained(self) -> None:
        await self.gate.wait()

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()


class House:
    """A router whose records reach the disk when the test says so."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.router = Router(count(1), pid=1, version="0")
        self.events = Events(tasks, self.router)
        self.unsaved: list[Review] = []

    def feed(self, event: Event) -> None:
        for command in self.router.handle(event):
            self._do(command)
        self.events.stirred()

    def _do(self, command: Command) -> None:
        match command:
            case Save(review):
                self.unsaved.append(review)
            case Ended(review):
                self.events.ended(review)

    def save(self) -> None:
        unsaved, self.unsaved = self.unsaved, []
        for review in unsaved:
            self.feed(Saved(2.0, review.id, review.version))

    def propose(self, id_: str) -> None:
        change = Change(path=b"/w/a", base_hash=None, base="", proposed="the text")
        review = Review(id=id_, files=(change,), workspace=b"/w", created=1.0, changed=1.0, title="the title")
        self.feed(Asked(1.0, SessionId(9), id_, Propose(review=review), SCENE))

    def cancel(self, id_: str) -> None:
        self.feed(Asked(3.0, SessionId(9), f"cancel {id_}", Cancel(review_id=id_)))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with Tasks() as tasks:
        house = House(tasks)
        yield house
        for number in list(house.events._telling):
            house.events.left(number)


def review(id_: str, state: str, **more: Any) -> dict[str, Any]:
    return {"type": "review", "id": id_, "state": state, "outcome": None, "surface": None, "ide": None, **more}


async def test_a_review_is_told_when_it_is_on_disk_and_when_it_ended(house: House) -> None:
    house.events.subscribe(ear := Ear())
    house.propose("r1")
    house.events.publish({"type": "locks"})
    assert await ear.hear() == {"type": "locks"}  # and nothing of a review that the disk does not have
    house.save()
    assert await ear.hear() == review("r1", "proposed", surface="page")
    house.cancel("r1")
    house.save()
    assert await ear.hear() == review("r1", "cancelled", outcome="cancelled")


async def test_what_was_there_before_is_no_news(house: House) -> None:
    house.propose("r1")
    house.save()
    house.events.subscribe(ear := Ear())
    house.propose("r2")
    house.save()
    assert (await ear.hear())["id"] == "r2"


async def test_a_link_is_told_with_its_state_and_no_token(house: House) -> None:
    house.events.subscribe(ear := Ear())
    lock = LockFile.parse("5001.lock", b'{"ideName": "Code", "authToken": "sesame", "workspaceFolders": [], "pid": 7}')
    link = house.router.links.links["x"] = Link(lock)
    told: dict[str, Any] = {"type": "link", "ide": "Code", "port": 5001}
    for state, reason in [(LinkState.CONNECTING, ""), (LinkState.REFUSED, "it says no")]:
        link.state, link.reason = state, reason
        house.events.stirred()
        assert await ear.hear() == {**told, "state": state, "reason": reason}


async def test_a_slow_listener_hears_how_it_is_and_not_how_it_became_so(house: House) -> None:
    house.events.subscribe(slow := Ear(1))
    house.events.subscribe(quick := Ear(2))
    slow.gate.clear()
    house.events.publish({"type": "locks"})
    assert await slow.hear() == await quick.hear() == {"type": "locks"}
    for n in range(300):
        house.propose(f"r{n}")
        house.save()
        house.cancel(f"r{n}")
        house.save()
    house.propose("last")
    house.save()
    slow.gate.set()
    heard = [await slow.hear()]
    while heard[-1].get("id") != "last":
        heard.append(await slow.hear())
    assert heard[0] == MISSED
    assert len(heard) < 300
    assert {event["state"] for event in heard[1:-1]} == {"cancelled"}


async def test_who_left_is_told_nothing_more_and_who_asks_twice_hears_once(house: House) -> None:
    house.events.subscribe(gone := Ear(1))
    house.events.subscribe(ear := Ear(2))
    house.events.subscribe(ear)
    house.events.left(gone.number)
    house.events.left(SessionId(7))  # never listened
    for _ in range(2):
        house.events.publish({"type": "locks"})
    house.events.publish({"type": "end"})
    assert [await ear.hear(), await ear.hear()] == [{"type": "locks"}, {"type": "end"}]
    assert gone.heard.empty()
