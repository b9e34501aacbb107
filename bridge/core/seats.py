"""Seats: every undecided review, who waits for it, and what of it is on disk.

Every change of a review goes to the journal first and has its consequences when `Saved` comes back: only then
is a diff opened, an asker answered, a tab closed. So whatever was told to anybody is on disk, and a daemon that
was killed finds the review where it was (design.md D6).

Nothing is decided here: `bridge.core.showing` says where a review is shown, `bridge.core.desk` what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from bridge.core.events import Command, Deliver, Ended, Log, Refuse, Reply, Save, Scene, SessionId, Tell
from bridge.core.jsonrpc import RequestId
from bridge.core.link import Job, Link
from bridge.core.reviews import Review, State, decision
from bridge.errors import StillPending, Unavailable

__all__ = ["SAVE_AGAIN_S", "Seat", "Seats", "Then", "Waiter", "Where"]

SAVE_AGAIN_S: Final = 2.0  # a decision that could not be written is tried again

Where = Literal["ide", "queued", "page"]
Then = Callable[[float], None]  # what follows when a record is on disk; takes the time


class Waiter(NamedTuple):
    """A session's unanswered request about a review."""

    session: SessionId
    id: RequestId
    until: float | None = None


@dataclass(slots=True, eq=False)
class Seat:
    """An undecided review, where it is shown, and who is to be told."""

    review: Review
    scene: Scene | None  # None: nobody has looked around for it yet
    where: Where | None = None  # None: nowhere, or on its way
    told: tuple[Where | None, Link | None, str] | None = None  # what the waiters were told last
    job: Job | None = None  # on its way to an IDE whose link is being opened
    link: Link | None = None  # for "ide" and "queued"
    reason: str = ""  # why it is where it is, for the human
    kept: bool = True  # whether the journal has it
    proposers: dict[Waiter, bool] = field(default_factory=dict)  # until then; the value: whether it joined
    waiters: list[Waiter] = field(default_factory=list)
    openers: list[Waiter] = field(default_factory=list)  # to be told where it is shown
    deciders: list[Waiter] = field(default_factory=list)  # to be told that the end is on disk
    then: dict[int, Then] = field(default_factory=dict)  # by version: what its saving brings
    look_at: float | None = None  # when to look around for an IDE again
    unsaved: float | None = None  # when to try again to save the newest version
    closed: bool = False  # by who opened it: what it is decided to yet is delivered with that

    @property
    def id(self) -> str:
        """The review's id."""
        return self.review.id

    @property
    def settled(self) -> bool:
        """Whether the waiters know where it is; else it is on its way, and they will hear."""
        return self.told is not None and self.told[:2] == (self.where, self.link)

    @property
    def size(self) -> int:
        """How many characters of text it keeps in memory."""
        return sum(len(change.base) + len(change.proposed) for change in self.review.files)

    def forget(self, which: Callable[[Waiter], bool]) -> bool:
        """Forget requests that want no answer any more; tell whether one of them waited for the decision."""
        for proposer in [p for p in self.proposers if which(p)]:
            del self.proposers[proposer]
        waiting = len(self.waiters)
        for waiters in (self.waiters, self.openers, self.deciders):
            waiters[:] = [waiter for waiter in waiters if not which(waiter)]
        return len(self.waiters) < waiting


class Seats:
    """All undecided reviews by id, and those whose end is not on disk yet. Commands go to `out`."""

    def __init__(self, out: list[Command]) -> None:
        self.by_id: dict[str, Seat] = {}
        self._out = out

    # ---- who waits

    def settle(self, seat: Seat, where: Where | None, link: Link | None, reason: str) -> None:
        """Note where the review is and tell everybody who waits for it, once."""
        news = (where, link, reason if where is None else "")
        seat.where, seat.link, seat.reason, seat.job, seat.look_at = where, link, reason, None, None
        if news != seat.told:
            seat.told = news
            for session in dict.fromkeys(waiter.session for waiter in seat.waiters):
                self.tell(seat, session)
        self.answer_openers(seat)

    def tell(self, seat: Seat, session: SessionId) -> None:
        """Tell a session that waits where the review is."""
        self._out.append(Tell(session, seat.id, seat.where, seat.link.name if seat.link else None, seat.reason))

    def answer_openers(self, seat: Seat) -> None:
        """Tell those who wanted to see the review where it is."""
        ide = seat.link.name if seat.link else None
        answer = {"id": seat.id, "surface": seat.where, "ide": ide, "reason": seat.reason}
        self._out += [Reply(opener.session, opener.id, answer) for opener in seat.openers]
        seat.openers.clear()

    def answer_proposers(self, seat: Seat) -> None:
        """Tell those who proposed it that the review is on disk."""
        for proposer, joined in seat.proposers.items():
            self._out.append(Reply(proposer.session, proposer.id, {"id": seat.id, "joined": joined}))
        seat.proposers.clear()
        seat.kept = True

    def left(self, session: SessionId) -> None:
        """Forget who left; the reviews stay."""
        for seat in self.by_id.values():
            seat.forget(lambda waiter: waiter.session == session)

    def withdraw(self, session: SessionId, id_: RequestId) -> list[Seat]:
        """Forget a request that was taken back; give the reviews whose decision it waited for."""
        return [seat for seat in self.by_id.values() if seat.forget(lambda waiter: waiter[:2] == (session, id_))]

    def end(self, seat: Seat) -> None:
        """Tell everybody how the review ended, which is on disk, and forget it."""
        del self.by_id[seat.id]
        answer = decision(seat.review)
        for waiter in (*seat.deciders, *seat.waiters, *seat.openers):
            self._out.append(Reply(waiter.session, waiter.id, answer))
        self._out.append(Ended(seat.review))
        if seat.closed and seat.review.state is State.DECIDED:
            self._out.append(Deliver(seat.id))

    # ---- the journal

    def write(self, seat: Seat, record: Review, then: Then | None = None) -> None:
        """Take the review's next record; do `then` when the journal has it, or a newer one."""
        seat.review = record
        if then is not None:
            seat.then[record.version] = then
        self._out.append(Save(record))

    def saved(self, review_id: str, version: int, now: float) -> None:
        """Do what had to wait until the journal had this version."""
        seat = self.by_id.get(review_id)
        if seat is None:
            return
        if version == seat.review.version:
            seat.unsaved = None
        for waited in sorted(waiting for waiting in seat.then if waiting <= version):
            seat.then.pop(waited)(now)

    def save_failed(self, review_id: str, version: int, reason: str, now: float) -> bool:
        """Refuse a proposal that cannot be kept; keep a decision and try again; show nothing unsaved.

        Tells whether the review was given up.
        """
        seat = self.by_id.get(review_id)
        if seat is None or version < seat.review.version:  # a newer record is on its way, and stands for this one
            return False
        trouble = Unavailable(f"the journal cannot be written: {reason}", "bridge doctor")
        self._out.append(Log(f"review {review_id}: {trouble}"))
        refused = [*seat.deciders, *seat.proposers]
        if not seat.kept:
            refused += [*seat.waiters, *seat.openers]
            del self.by_id[review_id]
        self._out += [Refuse(waiter.session, waiter.id, trouble) for waiter in refused]
        seat.deciders.clear()
        seat.unsaved = now + SAVE_AGAIN_S
        return not seat.kept

    # ---- time

    def tick(self, now: float) -> None:
        """Save again what could not be saved, and answer who does not want to wait any longer."""
        for seat in self.by_id.values():
            if seat.unsaved is not None and now >= seat.unsaved:
                seat.unsaved = now + SAVE_AGAIN_S
                self._out.append(Save(seat.review))
            for waiter in [w for w in seat.waiters if w.until is not None and now >= w.until]:
                seat.waiters.remove(waiter)
                pending = StillPending(f"review {seat.id} is still undecided", f"bridge review wait {seat.id}")
                self._out.append(Refuse(waiter.session, waiter.id, pending))

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        for seat in self.by_id.values():
            if seat.unsaved is not None:
                yield seat.unsaved
            yield from (waiter.until for waiter in seat.waiters if waiter.until is not None)
