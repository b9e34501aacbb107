"""The desk: where each undecided review is shown, who waits for it, and how it ends.

Every change of a review goes to the journal first and has its consequences when `Saved` comes back: only
then is a diff opened, an asker answered, a tab closed. So whatever was told to anybody is on disk, and a
daemon that was killed finds the review where it was (design.md D6).

A review is undecided in exactly one *seat*: in an IDE, queued behind another diff of that IDE, or on the page.
The page may be opened for any of them; the first decision wins.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

from bridge.core import dialects, jsonrpc, text
from bridge.core.dialects import Answer, Verdict
from bridge.core.events import (
    Asked,
    Cancel,
    Command,
    Decide,
    Ended,
    FromJournal,
    LinkState,
    Log,
    Look,
    Propose,
    Refuse,
    Reopen,
    Reply,
    Save,
    Scene,
    SessionId,
    Tell,
    Wait,
    Watch,
)
from bridge.core.jsonrpc import Message, RequestId
from bridge.core.links import Link, Links
from bridge.core.reviews import (
    EXPIRES_AFTER_S,
    Review,
    Showing,
    State,
    Step,
    Surface,
    Trigger,
    advance,
    decide,
    decision,
    same_proposal,
)
from bridge.errors import BadData, BridgeError, Conflict, StillPending, Unavailable

__all__ = ["MOST_BYTES", "MOST_REVIEWS", "Desk"]

MOST_REVIEWS: Final = 200  # undecided at once; more is a loop that runs wild, not a human's work
MOST_BYTES: Final = 256 * 2**20  # of their texts
SAVE_AGAIN_S: Final = 2.0  # a decision that could not be written is tried again
LOOK_AGAIN_S: Final = 10.0  # a review that may be shown in an IDE only, and is shown nowhere


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
    where: str | None = None  # "ide", "queued", "page", or None: nowhere, or on its way
    told: tuple[str | None, Link | None, str] | None = None  # what the waiters were told last
    job: _Show | None = None  # on its way to an IDE whose link is being opened
    link: Link | None = None  # for "ide" and "queued"
    reason: str = ""  # why it is where it is, for the human
    kept: bool = True  # whether the journal has it
    proposers: dict[Waiter, bool] = field(default_factory=dict)  # until then; the value: whether it joined
    waiters: list[Waiter] = field(default_factory=list)
    openers: list[Waiter] = field(default_factory=list)  # to be told where it is shown
    deciders: list[Waiter] = field(default_factory=list)  # to be told that the decision is on disk
    then: dict[int, Callable[[float], None]] = field(default_factory=dict)  # by version: what its saving brings
    look_at: float | None = None  # when to look around for an IDE again
    unsaved: float | None = None  # when to try again to save the newest version

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


class Desk:
    """All undecided reviews. Commands go to `out`; `links` shows diffs."""

    def __init__(self, out: list[Command], links: Links) -> None:
        self.seats: dict[str, Seat] = {}
        self._out = out
        self._links = links

    # ---- what agents and humans ask

    def propose(self, asked: Asked, ask: Propose) -> None:
        """Take a new review, or join the one that its request key names."""
        before = self._same_key(ask)
        if before is not None:
            self._join(asked, ask.review, before)
            return
        if len(self.seats) >= MOST_REVIEWS or sum(seat.size for seat in self.seats.values()) > MOST_BYTES:
            raise Unavailable(f"{len(self.seats)} reviews wait for a decision: no more are taken", "bridge review ls")
        assert asked.scene is not None
        if ask.review.surface is Surface.IDE:
            self._insist_on_an_ide(asked.scene, asked.now)
        proposers = {Waiter(asked.session, asked.id): False}
        seat = self.seats[ask.review.id] = Seat(ask.review, asked.scene, kept=False, proposers=proposers)
        self._save(seat, partial(self._proposed, seat, ask.supersedes))

    def _same_key(self, ask: Propose) -> Review | None:
        """Find the review that has this request key; one at the desk is newer than what the journal said."""
        new = ask.review
        if new.request_key is None:
            return None
        mine = (
            seat.review
            for seat in self.seats.values()
            if (seat.review.request_key, seat.review.workspace) == (new.request_key, new.workspace)
        )
        return next(mine, ask.known)

    def _join(self, asked: Asked, new: Review, before: Review) -> None:
        if not same_proposal(new, before):
            raise Conflict(
                f"the request key {new.request_key!r} names another change (review {before.id})",
                "use a new key for a new change",
            )
        seat = self.seats.get(before.id)
        if seat is not None and not seat.kept:
            seat.proposers[Waiter(asked.session, asked.id)] = True
        else:
            self._out.append(Reply(asked.session, asked.id, {"id": before.id, "joined": True}))

    def _insist_on_an_ide(self, scene: Scene, now: float) -> None:
        selection = self._links.choose(scene, now)
        if selection.chosen is None:
            raise no_ide(selection.verdicts[0].reason if selection.verdicts else None)

    def _proposed(self, seat: Seat, supersedes: str | None, now: float) -> None:
        for proposer, joined in seat.proposers.items():
            self._out.append(Reply(proposer.session, proposer.id, {"id": seat.id, "joined": joined}))
        seat.proposers.clear()
        seat.kept = True
        older = self.seats.get(supersedes or "")
        if older is not None and older is not seat and older.review.is_open:
            self._end(older, Step.SUPERSEDE, now)
        self.place(seat, now)

    def wait(self, asked: Asked, ask: Wait) -> None:
        """Answer when the review has ended; until then tell where it is shown."""
        seat = self.seats.get(ask.review_id)
        if seat is None:
            self._out.append(FromJournal(asked.session, asked.id, ask.review_id))
            return
        seat.waiters.append(Waiter(asked.session, asked.id, ask.until))
        if seat.settled:
            self._out.append(self._tell(seat, asked.session))

    def cancel(self, asked: Asked, ask: Cancel) -> None:
        """End an undecided review; its waiters learn that it was cancelled."""
        seat = self._undecided(asked, ask.review_id)
        if seat is not None:
            seat.deciders.append(Waiter(asked.session, asked.id))
            self._end(seat, Step.CANCEL, asked.now)

    def reopen(self, asked: Asked, ask: Reopen) -> None:
        """Show an undecided review where the human wants it, even where its tab was closed before."""
        seat = self._undecided(asked, ask.review_id)
        if seat is None:
            return
        assert asked.scene is not None
        seat.scene = asked.scene
        seat.review = replace(seat.review, surface=ask.surface, ide=asked.scene.named)
        seat.openers.append(Waiter(asked.session, asked.id))
        if seat.link is None:
            self.place(seat, asked.now)
        elif self._belongs_where_it_is(seat, asked.now):
            if seat.settled:
                self._answer_openers(seat, seat.where, seat.link)
        else:
            self._withdraw(seat, seat.link, asked.now)
            self.place(seat, asked.now)

    def _belongs_where_it_is(self, seat: Seat, now: float) -> bool:
        """Tell whether the IDE that has the review is the one that would be chosen now."""
        if seat.review.surface is Surface.PAGE or seat.scene is None or seat.link is None:
            return False
        chosen = self._links.choose(seat.scene, now).chosen
        return chosen is None or chosen.lock.ide_id == seat.link.id

    def _withdraw(self, seat: Seat, link: Link, now: float) -> None:
        """Take the review out of an IDE: what that answers to the closed tab is no decision."""
        if seat.where == "ide":
            self._close_tab(seat.review.showings[-1], now)
        self._leave_queue(seat)
        self._free(link, seat.id, now)
        self._unshow(seat, "", now)

    def decide(self, asked: Asked, ask: Decide) -> None:
        """Take the human's decision from the page."""
        seat = self._undecided(asked, ask.review_id)
        if seat is None:
            return
        trigger = Trigger.REJECTED_ON_PAGE if ask.finals is None else Trigger.ACCEPTED_ON_PAGE
        finals = None if ask.finals is None else _settled(seat.review, ask.finals)
        record = decide(seat.review, asked.now, finals=finals, trigger=trigger, comments=ask.comments)
        seat.deciders.append(Waiter(asked.session, asked.id))
        self._finish(seat, record)

    def _undecided(self, asked: Asked, review_id: str) -> Seat | None:
        """Find the seat; a review that has left the desk is answered from the journal."""
        seat = self.seats.get(review_id)
        if seat is None:
            self._out.append(FromJournal(asked.session, asked.id, review_id))
        elif not seat.review.is_open:
            raise Conflict(f"review {review_id} is already {seat.review.outcome}", f"bridge review show {review_id}")
        return seat

    def left(self, session: SessionId) -> None:
        """Forget who left; the reviews stay."""
        for seat in self.seats.values():
            for proposer in [p for p in seat.proposers if p.session == session]:
                del seat.proposers[proposer]
            for waiting in (seat.waiters, seat.openers, seat.deciders):
                waiting[:] = [waiter for waiter in waiting if waiter.session != session]

    # ---- where a review is shown

    def restore(self, reviews: tuple[Review, ...], now: float) -> None:
        """Take back what an earlier life of the daemon left undecided, and look around for it."""
        for review in reviews:
            seat = self.seats[review.id] = Seat(review, None)
            if review.state is State.SHOWN and review.showings:
                self._unshow(seat, "the bridge was restarted", now)
            elif review.state is State.SHOWN:  # the human has it there, and the page comes back by itself
                self._settle(seat, "page", None, "")
        if reviews:
            self._out.append(Look(tuple(review.id for review in reviews)))

    def surveyed(self, scenes: dict[str, Scene | None], now: float) -> None:
        """Offer the reviews that no surface shows to the IDEs that are there now."""
        for review_id, scene in scenes.items():
            seat = self.seats.get(review_id)
            if seat is None or not seat.kept or seat.where in ("ide", "queued"):
                continue
            seat.scene = scene
            if seat.job is None and seat.review.state is State.PROPOSED:  # not under the human's eyes
                self.place(seat, now)

    def unseated(self) -> tuple[str, ...]:
        """Name the reviews that an IDE might take."""
        return tuple(
            seat.id
            for seat in self.seats.values()
            if seat.kept
            and seat.where not in ("ide", "queued")
            and seat.review.surface is not Surface.PAGE
            and seat.review.is_open
        )

    def place(self, seat: Seat, now: float) -> None:
        """Show the review: in the IDE that selection finds, else on the page."""
        scene = seat.scene
        if scene is None or seat.review.surface is Surface.PAGE:
            self._settle(seat, "page", None, seat.reason)
            return
        selection = self._links.choose(scene, now)
        if selection.chosen is not None:
            seat.job = _Show(self, seat)
            self._links.use(selection.chosen, seat.job, now)
            return
        reason = seat.reason or (selection.verdicts[0].reason if selection.verdicts else "no IDE is running")
        if seat.review.surface is Surface.AUTO:
            self._settle(seat, "page", None, reason)
        else:
            self._settle(seat, None, None, reason)
            seat.look_at = now + LOOK_AGAIN_S

    def show(self, seat: Seat, link: Link, now: float) -> None:
        """Show the review on a live link, or queue it behind the diff that is there."""
        seat.job = None
        if link.showing and not link.traits.several_diffs:
            link.queue.append(seat.id)
            self._settle(seat, "queued", link, "another diff is open there")
            return
        path = os.fsdecode(seat.review.files[0].path)
        showing = Showing(ide_id=link.id, request_id=self._links.new_id(), tab_name=dialects.tab_name(path, seat.id))
        link.showing.append(seat.id)
        seat.where, seat.link = "ide", link
        showings = (*seat.review.showings, showing)
        seat.review = advance(seat.review, Step.SHOW, now, showings=showings)
        self._save(seat, partial(self._open_diff, seat, link, showing))

    def _open_diff(self, seat: Seat, link: Link, showing: Showing, now: float) -> None:
        """Send what the journal now knows of; unless the world moved on meanwhile."""
        if not seat.review.is_open or seat.where != "ide" or seat.review.showings[-1] is not showing:
            return
        change = seat.review.files[0]
        try:
            arguments = dialects.open_diff_arguments(
                link.tools, os.fsdecode(change.path), change.proposed, showing.tab_name
            )
        except BadData as exc:
            self._to_page(seat, link, str(exc), now)
            return
        done = partial(self._answered, seat, showing)
        self._links.call(
            link,
            "openDiff",
            jsonrpc.dump(arguments),
            done,
            now,
            request_id=showing.request_id,
            patience=None,
        )
        self._out.append(Watch(link.id, closely=True))
        self._settle(seat, "ide", link, "")

    def _settle(self, seat: Seat, where: str | None, link: Link | None, reason: str) -> None:
        """Note where the review is and tell everybody who waits for it, once."""
        news = (where, link, reason if where is None else "")
        seat.where, seat.link, seat.reason, seat.job, seat.look_at = where, link, reason, None, None
        if news != seat.told:
            seat.told = news
            sessions = dict.fromkeys(waiter.session for waiter in seat.waiters)
            self._out += [self._tell(seat, session) for session in sessions]
        self._answer_openers(seat, where, link)

    def _answer_openers(self, seat: Seat, where: str | None, link: Link | None) -> None:
        answer = {"id": seat.id, "surface": where, "ide": link.name if link else None, "reason": seat.reason}
        self._out += [Reply(opener.session, opener.id, answer) for opener in seat.openers]
        seat.openers.clear()

    @staticmethod
    def _tell(seat: Seat, session: SessionId) -> Tell:
        return Tell(session, seat.id, seat.where, seat.link.name if seat.link else None, seat.reason)

    def seen(self, review_id: str, now: float) -> None:
        """Note that the human has it on the page: it does not jump into an IDE any more."""
        seat = self.seats.get(review_id)
        if seat is not None and seat.review.state is State.PROPOSED:
            seat.review = advance(seat.review, Step.SHOW, now)
            self._save(seat, None)
            self._leave_queue(seat)
            self._settle(seat, "page", None, seat.reason)

    # ---- what an IDE says

    def _answered(
        self, seat: Seat, showing: Showing, link: Link, answer: Answer, message: Message | None, now: float
    ) -> None:
        """Read the answer to ``openDiff``."""
        if message is None:  # its diff was taken back, or its link is lost: both are seen to elsewhere
            return
        stale = showing is not seat.review.showings[-1] or seat.link is not link
        self._free(link, seat.id, now)
        verdict, said = dialects.read_verdict(answer)
        if not seat.review.is_open or (stale and verdict is not Verdict.SAVED):
            self._links.dropped += 1
        elif verdict is Verdict.SAVED:
            self._accept(seat, said, now)
        elif verdict is Verdict.REJECTED:
            self._finish(seat, decide(seat.review, now, finals=None, trigger=Trigger.REJECTED_OR_CLOSED))
        else:
            reason = f"its tab in {link.name} was closed" if verdict is Verdict.CLOSED else f"{link.name}: {said}"
            self._to_page(seat, link, reason, now)

    def link_lost(self, link: Link, now: float) -> None:
        """Look around for the reviews that were shown on a link that ended, and for those that were queued."""
        lost = [seat for seat in self.seats.values() if seat.link is link and seat.review.is_open]
        for seat in lost:
            reason = f"{link.name} went away ({link.reason})"
            if seat.where == "ide":
                self._unshow(seat, reason, now)
            else:
                seat.where, seat.link, seat.reason = None, None, reason
        if link.state is LinkState.LISTENING and link.failures <= 1:
            for seat in lost:  # its plugin may only have dropped the connection, and the tab is still there
                seat.look_at = link.retry_at
        elif lost:
            self._out.append(Look(tuple(seat.id for seat in lost)))

    def late_answer(self, link: Link, message: Message, now: float) -> None:
        """Read an answer to an ``openDiff`` of an earlier socket or daemon: only an acceptance counts."""
        verdict, final = dialects.read_verdict(dialects.read_answer(message))
        for seat in self.seats.values():
            asked = any((shown.ide_id, shown.request_id) == (link.id, message.id) for shown in seat.review.showings)
            if asked and verdict is Verdict.SAVED and seat.review.is_open:
                self._accept(seat, final, now)
                return
        self._links.dropped += 1

    def _accept(self, seat: Seat, final: str, now: float) -> None:
        finals = _settled(seat.review, (final,))
        self._finish(seat, decide(seat.review, now, finals=finals, trigger=Trigger.ACCEPTED_IN_IDE))

    def _to_page(self, seat: Seat, link: Link, reason: str, now: float) -> None:
        """Move the review to the page for good: this IDE does not show it again by itself."""
        self._free(link, seat.id, now)
        seat.review = replace(seat.review, surface=Surface.PAGE)
        self._unshow(seat, reason, now)
        self.place(seat, now)

    def _unshow(self, seat: Seat, reason: str, now: float) -> None:
        seat.where, seat.link, seat.reason = None, None, reason
        seat.review = advance(seat.review, Step.UNSHOW, now)
        self._save(seat, None)

    def _free(self, link: Link, review_id: str, now: float) -> None:
        """Give the link's place for a diff to the next in its queue."""
        if review_id not in link.showing:
            return
        link.showing.remove(review_id)
        if not link.showing:
            self._out.append(Watch(link.id, closely=False))
        while link.queue and not link.showing:
            self.show(self.seats[link.queue.pop(0)], link, now)
        self._links.note_idle(link, now)

    @staticmethod
    def _leave_queue(seat: Seat) -> None:
        if seat.where == "queued" and seat.link is not None:
            seat.link.queue.remove(seat.id)
            seat.where, seat.link = None, None

    # ---- how a review ends

    def _end(self, seat: Seat, step: Step, now: float) -> None:
        self._finish(seat, advance(seat.review, step, now))

    def _finish(self, seat: Seat, record: Review) -> None:
        seat.review, seat.job = record, None
        self._leave_queue(seat)
        self._save(seat, partial(self._ended, seat))

    def _ended(self, seat: Seat, now: float) -> None:
        """Tell everybody, close the tab, make room: the end is on disk."""
        del self.seats[seat.id]
        answer = decision(seat.review)
        for waiter in (*seat.deciders, *seat.waiters, *seat.openers):
            self._out.append(Reply(waiter.session, waiter.id, answer))
        self._out.append(Ended(seat.review))
        for showing in {shown.ide_id: shown for shown in seat.review.showings}.values():
            self._close_tab(showing, now)
        for link in self._links.links.values():
            self._free(link, seat.id, now)

    def _close_tab(self, showing: Showing, now: float) -> None:
        link = self._links.links.get(showing.ide_id)
        if link is not None:
            self._links.use_if_up(link, _CloseTab(self._links, showing), now)

    # ---- the journal

    def _save(self, seat: Seat, then: Callable[[float], None] | None) -> None:
        if then is not None:
            seat.then[seat.review.version] = then
        self._out.append(Save(seat.review))

    def saved(self, review_id: str, version: int, now: float) -> None:
        """Do what had to wait until the journal had this version."""
        seat = self.seats.get(review_id)
        if seat is None:
            return
        if version == seat.review.version:
            seat.unsaved = None
        then = seat.then.pop(version, None)
        if then is not None:
            then(now)

    def save_failed(self, review_id: str, version: int, reason: str, now: float) -> None:
        """Refuse a proposal that cannot be kept; keep a decision and try again; show nothing unsaved."""
        seat = self.seats.get(review_id)
        if seat is None:
            return
        trouble = Unavailable(f"the journal cannot be written: {reason}", "bridge doctor")
        self._out.append(Log(f"review {review_id}: {trouble}"))
        refused = [*seat.deciders, *seat.proposers]
        if not seat.kept:
            refused += [*seat.waiters, *seat.openers]
            del self.seats[review_id]
        for waiter in refused:
            self._out.append(Refuse(waiter.session, waiter.id, trouble))
        seat.deciders.clear()
        seat.unsaved = now + SAVE_AGAIN_S

    # ---- time

    def tick(self, now: float) -> None:
        """Act on every moment that has passed."""
        for seat in list(self.seats.values()):
            if seat.unsaved is not None and now >= seat.unsaved:
                seat.unsaved = now + SAVE_AGAIN_S
                self._out.append(Save(seat.review))
            if seat.look_at is not None and now >= seat.look_at:
                seat.look_at = None
                self._out.append(Look((seat.id,)))
            if seat.review.is_open and now >= seat.review.created + EXPIRES_AFTER_S:
                self._end(seat, Step.EXPIRE, now)
            for waiter in [w for w in seat.waiters if w.until is not None and now >= w.until]:
                seat.waiters.remove(waiter)
                pending = StillPending(f"review {seat.id} is still undecided", f"bridge review wait {seat.id}")
                self._out.append(Refuse(waiter.session, waiter.id, pending))

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        for seat in self.seats.values():
            yield from (moment for moment in (seat.unsaved, seat.look_at) if moment is not None)
            if seat.review.is_open:
                yield seat.review.created + EXPIRES_AFTER_S
            yield from (waiter.until for waiter in seat.waiters if waiter.until is not None)


def no_ide(reason: str | None) -> BridgeError:
    """Build the error of a request that only an IDE can serve."""
    message = "no IDE can be used here" + (f": {reason}" if reason else "")
    return Unavailable(message, "open the folder in an IDE with its Claude Code plugin, or see bridge status")


def _settled(review: Review, finals: tuple[str, ...]) -> tuple[str, ...]:
    """Give the texts that a surface returned their proposal's line endings, BOM and final newline back."""
    if len(finals) != len(review.files):
        raise BadData(f"the review has {len(review.files)} files, the decision {len(finals)}")
    return tuple(text.settle(change.proposed, final) for change, final in zip(review.files, finals, strict=True))


@dataclass(frozen=True, slots=True)
class _Show:
    """The job of showing a review in an IDE."""

    desk: Desk
    seat: Seat

    def start(self, link: Link, now: float) -> None:
        if self.seat.job is self:  # else it went elsewhere while the link was opened
            self.desk.show(self.seat, link, now)

    def failed(self, link: Link, now: float) -> None:
        if self.seat.job is self:
            self.seat.reason = f"{link.name}: {link.state}: {link.reason}"
            self.desk.place(self.seat, now)


@dataclass(frozen=True, slots=True)
class _CloseTab:
    """The job of closing a tab that has served; it may have to wait for a handshake, as late answers do not."""

    links: Links
    showing: Showing

    def start(self, link: Link, now: float) -> None:
        self.links.expect(link, self.showing.request_id, now)
        arguments = jsonrpc.dump(dialects.close_tab_arguments(link.tools, self.showing.tab_name))
        self.links.call(link, "close_tab", arguments, None, now)

    def failed(self, link: Link, now: float) -> None:
        """Leave the tab to the human: nobody is there to close it."""
