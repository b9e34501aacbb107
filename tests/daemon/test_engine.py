"""The engine with everything real around it but the process: journal, sockets, an emulator, the page's desk."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.core.asks import Ask, Cancel, OpenFile, Propose, Wait
from bridge.core.events import Asked, Restored, SessionId
from bridge.core.jsonrpc import RequestId
from bridge.core.reviews import Change, Outcome, Review, State, Step, Trigger, advance, digest
from bridge.core.router import Router
from bridge.daemon.engine import Engine
from bridge.daemon.lookout import Lookout
from bridge.daemon.pages import Pages
from bridge.errors import BridgeError, Conflict, Unavailable
from bridge.ides.dialing import Dialer
from bridge.ides.sockets import Sockets
from bridge.ides.surroundings import Surroundings
from bridge.store.journal import Journal, JournalThread
from ide_plugins.emulator import Emulator
from pathconv.probe import Probe

PATIENCE_S = 20.0


class Agent:
    """A session that keeps what it is told."""

    def __init__(self, number: int) -> None:
        self.number = SessionId(number)
        self.answers: dict[RequestId, asyncio.Future[Any]] = {}
        self.news: asyncio.Queue[Mapping[str, object]] = asyncio.Queue()

    def answer(self, id_: RequestId) -> asyncio.Future[Any]:
        return self.answers.setdefault(id_, asyncio.get_running_loop().create_future())

    def reply(self, id_: RequestId, result: object) -> None:
        self.answer(id_).set_result(result)

    def refuse(self, id_: RequestId, error: BridgeError) -> None:
        self.answer(id_).set_exception(error)

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        assert method == "review/surface"
        self.news.put_nowait(params)

    def tell(self, method: str, params: bytes) -> None:
        raise AssertionError(f"it follows no IDE: {method}")

    async def shown(self, surface: str | None) -> Mapping[str, object]:
        """Wait until a review is said to be shown there."""
        async with asyncio.timeout(PATIENCE_S):
            while (news := await self.news.get())["surface"] != surface:
                pass
        return news


class House:
    """One life of the daemon, without its process and its control socket."""

    def __init__(self, tasks: asyncio.TaskGroup, home: Path, workspace: Path, journal: JournalThread) -> None:
        self.workspace = workspace
        self.journal = journal
        self.saved: list[str] = []
        self._news = asyncio.Event()
        dialer = Dialer()
        self.lookout = Lookout(home, False, Surroundings(Probe()), dialer)
        router = Router(count(secrets.randbits(48)), pid=os.getpid(), version="0")
        sockets = partial(Sockets, dialer=dialer)
        self.engine = Engine(tasks, router, journal, self.lookout.scene_of, self._saved, self._ended, sockets)
        self.lookout.links = self.engine.sockets
        self.pages = Pages(tasks, self.engine, journal, str(home / "doors"))
        self.engine.joined(self.pages)
        self.agents = count(1)
        self.ids = count(1)

    def _saved(self, review_id: str) -> None:
        self.saved.append(review_id)
        self._news.set()
        self.pages.saved(review_id)

    async def _ended(self, review_id: str) -> None:
        await self.pages.ended(review_id)

    def agent(self) -> Agent:
        agent = Agent(next(self.agents))
        self.engine.joined(agent)
        return agent

    def review(self, id_: str = "r1", **more: Any) -> Review:
        base = "a\nb\n"
        path = os.fsencode(self.workspace / "a.txt")
        file = Change(path=path, base_hash=digest(base.encode()), base=base, proposed="a\nB\n")
        now = time.time()
        usual: dict[str, Any] = {"files": (file,), "workspace": os.fsencode(self.workspace), "changed": now}
        return Review(id=id_, created=now, **(usual | more))

    async def ask(self, agent: Agent, ask: Ask, review: Review | None = None) -> asyncio.Future[Any]:
        scene = await self.lookout.scene_of(review or self.review())
        id_ = next(self.ids)
        self.engine.feed(Asked(time.time(), agent.number, id_, ask, scene))
        return agent.answer(id_)

    async def propose(self, agent: Agent, review: Review) -> asyncio.Future[Any]:
        """Propose, wait until it is on disk, and begin to wait for its end."""
        async with asyncio.timeout(PATIENCE_S):
            await (await self.ask(agent, Propose(review=review), review))
        return await self.ask(agent, Wait(review_id=review.id))

    async def on_disk(self, id_: str = "r1") -> Review:
        return await self.journal.run(Journal.get, id_)

    async def stored(self, fits: Callable[[Review], bool], id_: str) -> None:
        """Wait until a review is on disk as it should be."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._news.clear()  # first: what is saved from here on is looked at again
                if fits(await self.on_disk(id_)):
                    return
                await self._news.wait()


@pytest.fixture
def workspace(home: Path) -> Path:
    path = home / "work"
    path.mkdir()
    (path / "a.txt").write_text("a\nb\n", encoding="utf-8")
    return path


OpenHouse = Callable[[], Any]


@pytest.fixture
def open_house(home: Path, workspace: Path, tmp_path: Path) -> OpenHouse:
    """Begin a life; the next one finds the journal of the last."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[House]:
        journal = JournalThread(str(tmp_path / "journal.sqlite"))
        try:
            async with asyncio.TaskGroup() as tasks:
                house = House(tasks, home, workspace, journal)
                await house.pages.resume()
                yield house
                await house.pages.stop()
                for link in list(house.engine.router.links.links):
                    house.engine.sockets.hang_up(link)
                house.engine.stop()
        finally:
            journal.close()

    return begin


@pytest.fixture
async def house(open_house: OpenHouse) -> AsyncIterator[House]:
    async with open_house() as house:
        yield house


@pytest.fixture
def make_ide(home: Path, workspace: Path) -> Callable[..., Emulator]:
    def make(**options: Any) -> Emulator:
        lock_dir = home / ".claude" / "ide"
        lock_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Emulator(workspace=workspace, lock_dir=lock_dir, **options)

    return make


MakeIde = Callable[..., Emulator]


async def result(answer: asyncio.Future[Any]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await answer


# (what the human does in the IDE, how the review ends, the text to write)
DECISIONS = [
    ("accept", Outcome.ACCEPTED, "a\nB\n"),
    ("edit:c", Outcome.ACCEPTED_WITH_EDITS, "a\nB\nc\n"),  # a final newline that the proposal has is kept
    ("reject", Outcome.REJECTED, None),
]


@pytest.mark.parametrize(("human", "outcome", "final"), DECISIONS)
async def test_a_decision_in_the_ide_is_on_disk_before_the_asker_hears_of_it(
    house: House, make_ide: MakeIde, human: str, outcome: Outcome, final: str | None
) -> None:
    async with make_ide(human=human) as ide:
        answer = await result(await house.propose(house.agent(), house.review()))
        assert (answer["outcome"], answer["files"][0]["final"]) == (outcome, final)
        assert (await house.on_disk()).outcome is outcome
        await ide.until(lambda: not ide.diffs, PATIENCE_S)


async def test_without_an_ide_the_page_decides(house: House) -> None:
    agent = house.agent()
    end = await house.propose(agent, house.review())
    assert (await agent.shown("page"))["id"] == "r1"
    assert house.pages.shown_in("r1") is None
    await house.pages.show("r1")
    decided = await house.pages.decide("r1", 1, ("a\nC\n",), ())
    assert (decided.outcome, decided.trigger) == (Outcome.ACCEPTED_WITH_EDITS, Trigger.ACCEPTED_ON_PAGE)
    assert (await result(end))["files"][0]["final"] == "a\nC\n"


async def test_the_first_decision_wins_and_the_second_learns_that_it_is_late(house: House) -> None:
    await house.propose(house.agent(), house.review())
    one = house.pages.decide("r1", 1, None, ())
    two = house.pages.decide("r1", 1, ("a\nB\n",), ())
    async with asyncio.timeout(PATIENCE_S):
        first, second = await asyncio.gather(one, two, return_exceptions=True)
    assert isinstance(first, Review)
    assert first.outcome is Outcome.REJECTED
    assert isinstance(second, Conflict)
    with pytest.raises(Conflict, match="already rejected"):  # also when the review has left the desk
        await house.pages.decide("r1", 1, ("a\nB\n",), ())
    assert (await house.on_disk()).outcome is Outcome.REJECTED


async def test_an_ide_that_dies_hands_its_review_to_the_page_and_a_new_ide_takes_it(
    house: House, make_ide: MakeIde
) -> None:
    agent = house.agent()
    async with make_ide() as ide:
        end = await house.propose(agent, house.review())
        await ide.next_diff()
        assert (await agent.shown("ide"))["ide"] == ide.name
        assert house.pages.shown_in("r1") == ide.name
        ide.die()
        await agent.shown("page")
        assert (await house.on_disk()).is_open
    async with make_ide(human="accept"):
        house.engine.look_again()
        assert (await result(end))["outcome"] == "accepted"


async def test_a_new_life_takes_back_what_the_last_one_left(open_house: OpenHouse, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        async with open_house() as first:
            await first.propose(first.agent(), first.review())
            await ide.next_diff()
        async with open_house() as second:
            undecided = await second.journal.run(Journal.undecided)
            assert [review.state for review in undecided] == [State.SHOWN]
            second.engine.feed(Restored(time.time(), undecided))
            end = await second.ask(second.agent(), Wait(review_id="r1"))
            await ide.until(lambda: len([name for name, _ in ide.calls if name == "openDiff"]) == 2, PATIENCE_S)
            await ide.accept()
            assert (await result(end))["outcome"] == "accepted"


async def test_a_review_of_an_earlier_life_is_answered_from_the_journal(house: House) -> None:
    await house.journal.run(Journal.save, advance(house.review(), Step.CANCEL, time.time()))
    agent = house.agent()
    assert (await result(await house.ask(agent, Wait(review_id="r1"))))["outcome"] == "cancelled"
    assert (await result(await house.ask(agent, Cancel(review_id="r1"))))["outcome"] == "cancelled"
    with pytest.raises(Unavailable, match="no review r9"):
        await result(await house.ask(agent, Wait(review_id="r9")))


async def test_an_agent_that_leaves_is_not_answered_and_its_review_stays(house: House) -> None:
    leaving, staying = house.agent(), house.agent()
    await house.propose(leaving, house.review())
    end = await house.ask(staying, Wait(review_id="r1"))
    assert house.engine.sessions == 3
    house.engine.left(leaving)
    assert house.engine.sessions == 2
    await house.pages.decide("r1", 1, None, ())
    assert (await result(end))["outcome"] == "rejected"
    assert not leaving.answer(2).done()


async def test_a_time_out_is_kept_and_the_review_stays(house: House) -> None:
    agent = house.agent()
    await house.propose(agent, house.review())
    with pytest.raises(BridgeError, match="still undecided"):
        await result(await house.ask(agent, Wait(review_id="r1", until=time.time() + 0.05)))
    assert (await house.on_disk()).is_open


async def test_a_file_is_opened_in_the_ide(house: House, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        path = str(house.workspace / "a.txt")
        opened = await result(await house.ask(house.agent(), OpenFile(path=path, line=2, text="a\nb\n")))
        assert opened == {"ide": ide.name, "port": ide.port, "positioned": True}


async def test_a_file_is_not_opened_where_no_ide_is(house: House) -> None:
    with pytest.raises(Unavailable, match="no IDE"):
        await result(await house.ask(house.agent(), OpenFile(path="/x")))


# ---- a journal that fails


class FullDisk(JournalThread):
    """A journal whose disk is full for a while."""

    full = False

    def submit(self, method: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self.full and method is Journal.save:
            return super().submit(_no_space)
        return super().submit(method, *args, **kwargs)


def _no_space(_: Journal) -> None:
    raise OSError(28, "No space left on device")


async def test_what_cannot_be_written_is_refused_and_a_decision_is_tried_again(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("bridge.core.seats.SAVE_AGAIN_S", 0.05)
    end = await house.propose(house.agent(), house.review())
    house.journal.__class__ = FullDisk
    monkeypatch.setattr(FullDisk, "full", True)
    with pytest.raises(Unavailable, match="No space left"):
        await house.propose(house.agent(), house.review("r2"))
    with pytest.raises(Unavailable, match="No space left"):
        await house.pages.decide("r1", 1, None, ())
    assert (await house.on_disk()).is_open
    assert not end.done()
    monkeypatch.setattr(FullDisk, "full", False)
    assert (await result(end))["outcome"] == "rejected"
    assert "No space left" in caplog.text


# ---- peers and bugs


async def test_a_bug_in_an_event_that_nobody_waits_for_is_logged_and_the_house_stands(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(house.engine.router.seats, "left", bug)
    house.engine.left(house.agent())
    assert "a bug in handling Left" in caplog.text
    await house.propose(house.agent(), house.review())
    assert (await house.on_disk()).is_open


async def test_a_bug_in_telling_one_asker_keeps_nothing_from_the_others(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill, well = house.agent(), house.agent()
    await house.propose(ill, house.review())
    waiting = await house.ask(well, Wait(review_id="r1"))

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ill, "reply", bug)
    await result(await house.ask(house.agent(), Cancel(review_id="r1")))
    assert (await result(waiting))["outcome"] == Outcome.CANCELLED
    assert "a bug in doing Reply" in caplog.text


async def test_a_bug_in_looking_around_for_one_review_leaves_the_others_their_scene(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = house.agent()
    for id_ in ("r1", "r2"):
        await house.propose(agent, house.review(id_))
    look = house.lookout.scene_of

    async def ill(review: Review) -> Any:
        if review.id == "r1":
            raise ZeroDivisionError
        return await look(review)

    monkeypatch.setattr(house.engine, "_look", ill)
    await house.engine.survey(("r1", "r2"))
    assert "a bug in looking around for review r1" in caplog.text
    scenes = {id_: seat.scene for id_, seat in house.engine.router.desk.seats.items()}
    assert (scenes["r1"], scenes["r2"] is not None) == (None, True)


# ---- the page's side


async def test_the_page_learns_of_every_change(house: House) -> None:
    agent = house.agent()
    await house.propose(agent, house.review())
    waiting = asyncio.ensure_future(house.pages.changed("r1", 1, PATIENCE_S))
    await house.ask(agent, Cancel(review_id="r1"))
    news = await result(waiting)
    assert news.outcome is Outcome.CANCELLED
    assert (await house.pages.changed("r1", news.version, 0.01)) == news
    assert await house.pages.find("r9") is None
    assert await house.pages.changed("r9", 0, PATIENCE_S) is None


async def test_an_invitation_is_for_open_reviews_and_its_door_for_this_user(house: House) -> None:
    with pytest.raises(Unavailable, match="not open"):
        await house.pages.invite("r1")
    await house.propose(house.agent(), house.review())
    assert not house.pages.running
    invitation = await house.pages.invite("r1")
    assert house.pages.running
    doors = [Path(house.pages.door(invitation)) for _ in range(2)]
    assert [door.stat().st_mode & 0o777 for door in doors] == [0o600, 0o600]
    assert invitation.link in doors[0].read_text(encoding="utf-8")
    os.utime(doors[0], (1.0, 1.0))
    house.pages.door(invitation)
    assert [door.exists() for door in doors] == [False, True]


async def test_an_unused_page_is_closed_once_no_review_is_open(house: House) -> None:
    agent = house.agent()
    await house.propose(agent, house.review())
    await house.pages.invite("r1")
    await house.pages.tidy(0.0)
    assert house.pages.running
    await result(await house.ask(agent, Cancel(review_id="r1")))
    await house.pages.tidy(3600.0)
    assert house.pages.running
    await house.pages.tidy(0.0)
    assert not house.pages.running
