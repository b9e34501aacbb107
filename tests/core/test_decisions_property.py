"""Whatever happens in whatever order: a review ends once, nothing is said that is not on disk, nobody is forgotten.

Hypothesis plays agents, humans, two IDEs and a journal against one router; the model remembers what was written
and what was said. IDEs are strict: they answer only what they were asked, and one shows a single diff at a time; or,
if their plugin knows diffs by file, a single one of each file.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.core import jsonrpc
from bridge.core.asks import Ask, Cancel, Decide, Propose, Reopen, Wait
from bridge.core.events import (
    Asked,
    Command,
    Dial,
    Ended,
    Event,
    FromJournal,
    HangUp,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkState,
    Look,
    Refuse,
    Reply,
    Restored,
    Save,
    Saved,
    SaveFailed,
    Scene,
    Seen,
    Send,
    SessionId,
    Surveyed,
    Tell,
    Tick,
    Watch,
)
from bridge.core.lockfile import Family
from bridge.core.ranking import Candidate
from bridge.core.reviews import EXPIRES_AFTER_S, Outcome, Review, Surface, decision
from bridge.core.router import Router
from tests.core.candidates import ide
from tests.playbook import ANN, BOB, CODE, COMPANION, GEMINI, IDEA, PAGE, answers, fails, review, says, scene, tools

QWEN = ide(4005, "/w", name="VS Code", token="secret-qwen", family=Family.QWEN)
ENDS = {Outcome.CANCELLED, Outcome.SUPERSEDED, Outcome.EXPIRED}
DEATHS = [LinkState.GONE, LinkState.LISTENING, LinkState.NOT_ANSWERING, LinkState.SLOT_LOST]


@dataclass
class Window:
    """An IDE: its line to the bridge, the requests it owes an answer, and diffs of earlier lines."""

    candidate: Candidate
    there: bool = True
    dialled: bool = False
    up: bool = False
    owes: dict[int, dict[str, Any]] = field(default_factory=dict)
    old_diffs: list[int] = field(default_factory=list)

    def diffs(self) -> list[int]:
        return [id_ for id_, asked in self.owes.items() if asked.get("params", {}).get("name") == "openDiff"]

    def answer(self, request: dict[str, Any]) -> bytes:
        """Give the answer to anything but a diff."""
        return tools() if request["method"] == "tools/list" else b"{}"

    def drop(self) -> None:
        self.old_diffs += self.diffs()
        self.owes.clear()
        self.dialled = self.up = False


def text_of(request: dict[str, Any]) -> str:
    return str(request["params"]["arguments"]["new_file_contents"])


class World(RuleBasedStateMachine):
    """The rules are what may happen; `feed` does what the router says and checks it."""

    PATHS: tuple[bytes, ...] = (b"/w/a.py",)

    @initialize()
    def begin(self) -> None:
        self.set_up(Window(CODE), Window(IDEA))

    def set_up(self, *windows: Window) -> None:
        self.now = 1000.0
        self.ids = itertools.count(1)
        self.router = self.new_router()
        self.windows = {w.candidate.lock.ide_id: w for w in windows}
        self.journal: dict[str, Review] = {}
        self.writing: list[Review] = []
        self.known: list[str] = []  # reviews that an agent knows of
        self.shown_by: dict[int, str] = {}  # by request id
        self.yes: dict[str, set[str]] = {}  # texts that a human accepted, by review
        self.ended: set[str] = set()
        self.waiting: dict[tuple[SessionId, int], Ask] = {}
        self.looks: list[tuple[str, ...]] = []
        self.numbers = itertools.count(1)

    def new_router(self) -> Router:
        return Router(self.ids, pid=7, version="1")

    # ---- the shell

    def feed(self, event: Event) -> None:
        for command in self.router.handle(event):
            self.do(command)

    def do(self, command: Command) -> None:
        match command:
            case Dial(lock):
                window = self.windows[lock.ide_id]
                assert not window.dialled, "one link per IDE"
                window.dialled = True
            case HangUp(ide_id):
                self.windows[ide_id].drop()
            case Send(ide_id, frame):
                self.hear(self.windows[ide_id], json.loads(frame))
            case Save(record):
                self.writing.append(record)
            case Look(review_ids):
                self.looks.append(review_ids)
            case Reply(session, id_, result):
                self.answer(session, id_, result)
            case Refuse(session, int(id_)):
                self.waiting.pop((session, id_))
            case FromJournal(session, id_, review_id):
                assert review_id in self.journal, "the journal is asked for what it has"
                self.answer(session, id_, decision(self.journal[review_id]))
            case Ended(record):
                assert record.id not in self.ended, "a review ends once"
                assert self.journal[record.id] == record, "and on disk"
                self.ended.add(record.id)
            case Tell(session, review_id):
                assert any(s == session and isinstance(ask, Wait) for (s, _), ask in self.waiting.items())
                assert review_id in self.journal
            case Watch(ide_id):
                assert self.windows[ide_id].up

    def hear(self, window: Window, message: dict[str, Any]) -> None:
        assert window.up, "nothing is sent to an IDE that is not there"
        if "id" not in message:
            return
        window.owes[message["id"]] = message
        if message.get("params", {}).get("name") == "openDiff":
            (showing,) = [(r.id, s) for r in self.journal.values() for s in r.showings if s.request_id == message["id"]]
            self.shown_by[message["id"]] = showing[0]

    def answer(self, session: SessionId, id_: int | str, result: Any) -> None:
        assert isinstance(id_, int)
        ask = self.waiting.pop((session, id_))  # a KeyError: it was answered twice
        if isinstance(ask, Propose):
            assert result["id"] in self.journal, "a review is on disk before anybody hears of it"
            self.known.append(result["id"])
        elif "outcome" in result:
            assert result == decision(self.journal[result["id"]])
        if isinstance(ask, Wait | Decide | Cancel):
            assert result["outcome"] is not None, "whoever waits hears of the end and of nothing else"

    def world(self) -> Scene:
        return scene(*(w.candidate for w in self.windows.values() if w.there))

    def ask(self, ask: Ask, who: SessionId = ANN) -> None:
        id_ = next(self.numbers)
        self.waiting[who, id_] = ask
        self.feed(Asked(self.now, who, id_, ask, self.world()))

    # ---- agents and humans

    @rule(surface=st.sampled_from([Surface.AUTO, Surface.AUTO, Surface.PAGE, Surface.IDE]), data=st.data())
    def propose(self, surface: Surface, data: st.DataObject) -> None:
        id_ = f"r{next(self.numbers)}"
        key = data.draw(st.sampled_from([None, None, f"key of {surface}"]))
        older = data.draw(st.sampled_from([None, *self.known]))
        path = data.draw(st.sampled_from(self.PATHS))
        record = review(id_, at=self.now, surface=surface, request_key=key and f"{key} {path!r}", path=path)
        known = [r for r in self.journal.values() if key is not None and r.request_key == record.request_key]
        self.ask(Propose(review=record, known=known[-1] if known else None, supersedes=older), BOB)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), patience=st.sampled_from([None, 3.0]), who=st.sampled_from([ANN, BOB]))
    def wait(self, data: st.DataObject, patience: float | None, who: SessionId) -> None:
        until = None if patience is None else self.now + patience
        self.ask(Wait(review_id=data.draw(st.sampled_from(self.known)), until=until), who)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.ask(Cancel(review_id=data.draw(st.sampled_from(self.known))))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), surface=st.sampled_from(Surface))
    def reopen(self, data: st.DataObject, surface: Surface) -> None:
        self.ask(Reopen(review_id=data.draw(st.sampled_from(self.known)), surface=surface))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), text=st.sampled_from([None, "new\n", "mine\n"]))
    def decide_on_page(self, data: st.DataObject, text: str | None) -> None:
        id_ = data.draw(st.sampled_from(self.known))
        if text is not None:
            self.yes.setdefault(id_, set()).add(text)
        self.ask(Decide(review_id=id_, finals=None if text is None else (text,)), PAGE)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def look_at_the_page(self, data: st.DataObject) -> None:
        self.feed(Seen(self.now, data.draw(st.sampled_from(self.known))))

    # ---- IDEs

    def some(self, data: st.DataObject, windows: list[Window]) -> Window:
        return data.draw(st.sampled_from(windows))

    @precondition(lambda self: any(w.dialled and not w.up for w in self.windows.values()))
    @rule(data=st.data(), smoothly=st.sampled_from([True, True, False]))
    def take_the_call(self, data: st.DataObject, smoothly: bool) -> None:
        window = self.some(data, [w for w in self.windows.values() if w.dialled and not w.up])
        if smoothly:
            self.pick_up(window)
        else:
            self.open_line(window)

    def pick_up(self, window: Window) -> bool:
        """Open a dialled line and answer all but diffs; tell whether there was anything to do."""
        busy = bool(self.chores(window))
        if window.dialled and not window.up:
            busy = True
            self.open_line(window)
        while self.chores(window):
            self.answer_chore(window)
        return busy

    def open_line(self, window: Window) -> None:
        if window.there:
            window.up = True
            self.feed(LinkOpened(self.now, window.candidate.lock.ide_id))
        else:
            self.end_link(window, LinkState.GONE)

    @precondition(lambda self: any(self.chores(w) for w in self.windows.values()))
    @rule(data=st.data())
    def do_a_chore(self, data: st.DataObject) -> None:
        """Answer anything but a diff."""
        window = self.some(data, [w for w in self.windows.values() if self.chores(w)])
        self.answer_chore(window)

    def answer_chore(self, window: Window) -> None:
        id_ = self.chores(window)[0]
        self.feed(answers(id_, window.answer(window.owes.pop(id_)), candidate=window.candidate, at=self.now))

    @staticmethod
    def chores(window: Window) -> list[int]:
        return [id_ for id_ in window.owes if id_ not in window.diffs()]

    @precondition(lambda self: any(w.diffs() for w in self.windows.values()))
    @rule(data=st.data(), said=st.sampled_from(["yes", "edited", "no", "closed", "broken"]))
    def decide_in_ide(self, data: st.DataObject, said: str) -> None:
        window = self.some(data, [w for w in self.windows.values() if w.diffs()])
        id_ = data.draw(st.sampled_from(window.diffs()))
        text = text_of(window.owes.pop(id_))
        self.feed(self.verdict(window, id_, said, text))

    @precondition(lambda self: any(w.up and w.old_diffs for w in self.windows.values()))
    @rule(data=st.data(), said=st.sampled_from(["yes", "edited", "no", "closed", "broken"]))
    def answer_late(self, data: st.DataObject, said: str) -> None:
        """Give the answer to a diff of an earlier line, as plugins do."""
        window = self.some(data, [w for w in self.windows.values() if w.up and w.old_diffs])
        id_ = data.draw(st.sampled_from(window.old_diffs))
        self.feed(self.verdict(window, id_, said, "new\n"))

    def verdict(self, window: Window, id_: int, said: str, text: str) -> LinkMessage:
        final = {"yes": text, "edited": "mine\n"}.get(said)
        review_id = self.shown_by[id_]
        if final is not None:
            self.yes.setdefault(review_id, set()).add(final)
            self.saw_saved(review_id)
            return says(id_, "FILE_SAVED", final, candidate=window.candidate, at=self.now)
        if said == "broken":
            return fails(id_, "no", candidate=window.candidate, at=self.now)
        word = "DIFF_REJECTED" if said == "no" else "TAB_CLOSED"
        return says(id_, word, candidate=window.candidate, at=self.now)

    def saw_saved(self, review_id: str) -> None:
        """Remember that an acceptance of an open review must count."""
        seat = self.router.desk.seats.get(review_id)
        self.must_accept = review_id if seat is not None and seat.review.is_open else None

    must_accept: str | None = None

    @precondition(lambda self: any(w.dialled for w in self.windows.values()))
    @rule(data=st.data(), state=st.sampled_from(DEATHS))
    def lose_a_link(self, data: st.DataObject, state: LinkState) -> None:
        window = self.some(data, [w for w in self.windows.values() if w.dialled])
        window.there = state is not LinkState.GONE
        self.end_link(window, state)

    def end_link(self, window: Window, state: LinkState) -> None:
        window.drop()
        self.feed(LinkClosed(self.now, window.candidate.lock.ide_id, state, "why"))

    @precondition(lambda self: self.writing or self.looks or any(w.dialled and not w.up for w in self.windows.values()))
    @rule()
    def settle(self) -> None:
        """Let everything be done that needs no human."""
        while self.writing or self.looks or any(self.pick_up(window) for window in self.windows.values()):
            if self.writing:
                self.write_one(True)
            if self.looks:
                self.survey()

    @precondition(lambda self: not all(w.there for w in self.windows.values()))
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        self.some(data, list(self.windows.values())).there = True
        for command in self.router.look_again():
            self.do(command)

    # ---- the shell's own

    @precondition(lambda self: self.writing)
    @rule(most=st.integers(1, 5))
    def write(self, most: int) -> None:
        for _ in range(most):
            if self.writing:
                self.write_one(True)

    @precondition(lambda self: self.writing)
    @rule()
    def fail_to_write(self) -> None:
        self.write_one(False)

    def write_one(self, well: bool) -> None:
        record = self.writing.pop(0)
        if not well:
            self.feed(SaveFailed(self.now, record.id, record.version, "disk full"))
            return
        before = self.journal.get(record.id)
        assert before is None or before.is_open or before == record, "an end is final"
        if before is None or before.version < record.version:
            self.journal[record.id] = record
        self.feed(Saved(self.now, record.id, record.version))

    @precondition(lambda self: self.looks)
    @rule()
    def survey(self) -> None:
        self.feed(Surveyed(self.now, dict.fromkeys(self.looks.pop(0), self.world())))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 100.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.go_on_for(seconds)

    def go_on_for(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.router.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.feed(Tick(self.now))
        self.now = until

    @precondition(lambda self: len(self.journal) > 1)
    @rule()
    def kill_the_daemon(self) -> None:
        """What was not written is lost, and so is everybody who waited."""
        for window in self.windows.values():
            window.drop()
        self.writing.clear()
        self.looks.clear()
        self.waiting.clear()
        self.must_accept = None
        self.router = self.new_router()
        self.feed(Restored(self.now, tuple(r for r in self.journal.values() if r.is_open)))

    # ---- what always holds

    def seats(self) -> Iterator[Any]:
        yield from self.router.desk.seats.values()

    @invariant()
    def one_diff_at_a_time(self) -> None:
        for link in self.router.links.links.values():
            assert len(link.showing) <= len(self.PATHS)
            assert len(set(link.queue)) == len(link.queue)
            shown = [
                seat.id for seat in self.seats() if seat.link is link and seat.where == "ide" and seat.review.is_open
            ]
            queued = [seat.id for seat in self.seats() if seat.link is link and seat.where == "queued"]
            assert set(shown) <= set(link.showing)
            assert sorted(queued) == sorted(link.queue)
            assert link.showing or link.closing or not link.queue, "a queue advances"

    @invariant()
    def every_open_review_is_somewhere_or_looked_for(self) -> None:
        looked_for = set(itertools.chain(*self.looks))
        for seat in self.seats():
            if seat.review.is_open and seat.kept and seat.where is None:
                assert seat.job is not None or seat.look_at is not None or seat.id in looked_for

    @invariant()
    def every_job_waits_on_a_link_that_is_coming_up(self) -> None:
        for seat in self.seats():
            if seat.job is not None:
                assert any(seat.job in link.held for link in self.router.links.links.values())
        for link in self.router.links.links.values():
            assert not link.held or link.deadline is not None

    @invariant()
    def nothing_is_accepted_without_a_human(self) -> None:
        for record in (*self.journal.values(), *(seat.review for seat in self.seats())):
            if record.accepted:
                assert record.files[0].final in self.yes[record.id]

    @invariant()
    def no_acceptance_is_lost(self) -> None:
        if self.must_accept is not None:
            seat = self.router.desk.seats[self.must_accept]
            assert seat.review.accepted
            self.must_accept = None

    @invariant()
    def whoever_asks_is_remembered(self) -> None:
        held = {(w.session, w.id) for seat in self.seats() for w in self.remembered(seat)}
        assert set(self.waiting) == held

    @staticmethod
    def remembered(seat: Any) -> Iterator[Any]:
        yield from (*seat.proposers, *seat.waiters, *seat.openers, *seat.deciders)

    @invariant()
    def an_end_keeps_its_outcome(self) -> None:
        for record in self.journal.values():
            assert (record.outcome is None) == record.is_open
            if record.outcome in ENDS:
                assert record.files[0].final is None

    def teardown(self) -> None:
        """Let everything settle: the journal works again, and a week goes by. Everybody is answered."""
        for _ in range(4):
            while self.writing:
                self.write_one(True)
            self.now += EXPIRES_AFTER_S
            self.feed(Tick(self.now))
        assert not self.waiting
        assert not self.router.desk.seats
        assert all(not record.is_open for record in self.journal.values())


@dataclass
class Companion(Window):
    """An IDE that knows diffs by their file: it answers whatever it is asked, and tells later what became of a diff."""

    open: list[tuple[str, int, str]] = field(default_factory=list)  # its file, the request for it, what is proposed
    said: list[tuple[str, int | None, dict[str, Any]]] = field(default_factory=list)  # on its way: method, whose, what

    def diffs(self) -> list[int]:
        return []

    def drop(self) -> None:
        """Lose the line, and what was on its way; what is open stays open."""
        self.owes.clear()
        self.said.clear()
        self.dialled = self.up = False

    def answer(self, request: dict[str, Any]) -> bytes:
        if request["method"] == "tools/list":
            return tools(COMPANION)
        arguments = request["params"].get("arguments", {})
        match request["params"].get("name"):
            case "openDiff":
                self.open.append((arguments["filePath"], request["id"], arguments["newContent"]))
            case "closeDiff":
                mine = next((diff for diff in self.open if diff[0] == arguments["filePath"]), None)
                if mine is not None:
                    self.open.remove(mine)
                closed = {} if mine is None else {"content": mine[2]}
                result: bytes = jsonrpc.dump({"content": [{"type": "text", "text": json.dumps(closed)}]})
                return result
        return b"{}"


class Companions(World):
    """The same with IDEs that know diffs by their file.

    What they say unasked may be overtaken by their answers: a word may be on its way while its diff is taken back,
    closed and followed by the next. While the line holds it is heard within a second.
    """

    PATHS = (b"/w/a.py", b"/w/a.py", b"/w/b.py")

    @initialize()
    def begin(self) -> None:
        self.set_up(Companion(GEMINI), Companion(QWEN))

    def companions(self) -> list[Companion]:
        return [window for window in self.windows.values() if isinstance(window, Companion)]

    @precondition(lambda self: any(w.there and w.open for w in self.companions()))
    @rule(data=st.data(), said=st.sampled_from(["yes", "edited", "no", "closed"]))
    def decide_in_ide(self, data: st.DataObject, said: str) -> None:
        """Let the human decide a diff that is open, whether or not its IDE has a line to tell that on."""
        window = data.draw(st.sampled_from([w for w in self.companions() if w.there and w.open]))
        self.decide_there(window, data.draw(st.sampled_from(window.open)), said)

    def decide_there(self, window: Companion, diff: tuple[str, int, str], said: str) -> None:
        file, request_id, proposed = diff
        window.open.remove(diff)
        method = {"no": "ide/diffRejected", "closed": "ide/diffClosed"}.get(said, "ide/diffAccepted")
        params = {"filePath": file}
        if method == "ide/diffAccepted":
            params["content"] = text = proposed if said == "yes" else f"edit of {self.shown_by[request_id]}\n"
            self.yes.setdefault(self.shown_by[request_id], set()).add(text)
        if window.up:
            window.said.append((method, request_id, params))

    @rule(data=st.data(), said=st.sampled_from(["yes", "edited", "no"]), most=st.integers(0, 2))
    def decide_too_late(self, data: st.DataObject, said: str, most: int) -> None:
        """Let the human decide what is taken back before that is heard, when others of that file may wait."""
        for _ in range(most):
            self.ask(Propose(review=review(f"r{next(self.numbers)}", at=self.now)), BOB)
        self.settle()
        window = data.draw(st.sampled_from(self.companions()))
        if window.up and window.open:
            diff = data.draw(st.sampled_from(window.open))
            self.decide_there(window, diff, said)
            self.ask(Cancel(review_id=self.shown_by[diff[1]]))
            self.settle()

    @precondition(lambda self: any(w.up and w.said for w in self.companions()))
    @rule(data=st.data())
    def be_heard(self, data: st.DataObject) -> None:
        window = data.draw(st.sampled_from([w for w in self.companions() if w.up and w.said]))
        self.deliver(window, *window.said.pop(0))

    def deliver(self, window: Companion, method: str, request_id: int | None, params: dict[str, Any]) -> None:
        review_id = "" if request_id is None else self.shown_by[request_id]
        seat = self.router.desk.seats.get(review_id)
        if seat is not None and (seat.where, seat.review.is_open) == ("ide", True):
            current = seat.review.showings[-1].request_id == request_id
            self.must_accept = review_id if current and "content" in params else self.must_accept
        frame = jsonrpc.notification(method, jsonrpc.dump(params))
        self.feed(LinkMessage(self.now, window.candidate.lock.ide_id, jsonrpc.decode(frame)))

    @precondition(lambda self: any(w.up for w in self.companions()))
    @rule(data=st.data(), path=st.sampled_from(PATHS))
    def say_something_else(self, data: st.DataObject, path: bytes) -> None:
        """Tell of somebody else's diff, while none of ours of that file is open or about to be."""
        window = data.draw(st.sampled_from([w for w in self.companions() if w.up]))
        link = self.router.links.links[window.candidate.lock.ide_id]
        asked = any(owed.get("params", {}).get("name") == "openDiff" for owed in window.owes.values())
        if not asked and path.decode() not in link.open_diffs.values():
            self.deliver(window, "ide/diffAccepted", None, {"filePath": path.decode(), "content": "not ours\n"})

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 100.0]))
    def let_time_pass(self, seconds: float) -> None:
        """Nothing stays on its way for as long as a second."""
        for window in self.companions():
            while window.up and window.said:
                self.deliver(window, *window.said.pop(0))
        self.go_on_for(seconds)

    answer_late = None  # type: ignore[assignment]  # an answer ends with its connection


SETTINGS = settings(
    deadline=None, max_examples=100, stateful_step_count=60, suppress_health_check=[HealthCheck.too_slow]
)
TestWorld = World.TestCase
TestWorld.settings = SETTINGS
TestCompanions = Companions.TestCase
TestCompanions.settings = SETTINGS
