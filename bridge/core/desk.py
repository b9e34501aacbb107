"""The desk: what agents and humans ask of undecided reviews, and when a review ends by itself.

The desk takes a proposal, lets others wait for it, takes it back, and takes the human's decision from the page;
it looks around for IDEs that may show what no IDE shows. Where a review is shown, and what an IDE says of it, is
`bridge.core.showing`; who waits, and what is on disk, `bridge.core.seats`. Ended reviews leave the desk as soon
as the journal has them, which answers for them from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from bridge.core.asks import Cancel, Decide, Propose, Reopen, Wait
from bridge.core.events import Asked, Command, FromJournal, Look, Reply, Scene
from bridge.core.links import Links
from bridge.core.reviews import EXPIRES_AFTER_S, Review, State, Step, Surface, Trigger, advance, decide, same_proposal
from bridge.core.seats import Seat, Seats, Waiter
from bridge.core.selection import no_ide
from bridge.core.showing import Presenter, settled, why_no_diff
from bridge.errors import Conflict, Unavailable, Usage

__all__ = ["MOST_BYTES", "MOST_REVIEWS", "Desk"]

MOST_REVIEWS: Final = 200  # undecided at once; more is a loop that runs wild, not a human's work
MOST_WAITERS: Final = 100  # for one review
MOST_BYTES: Final = 256 * 2**20  # of their texts


class Desk:
    """All undecided reviews, and what may be asked of them. Commands go to `out`.

    Attributes:
        seats: the reviews by id, for reading.
    """

    def __init__(self, out: list[Command], links: Links, seats: Seats, presenter: Presenter) -> None:
        self.seats: Mapping[str, Seat] = seats.by_id
        self._out = out
        self._links = links
        self._seats = seats
        self._presenter = presenter

    # ---- proposing

    def propose(self, asked: Asked, ask: Propose) -> None:
        """Take a new review, or join the one that its request key names."""
        before = self._same_key(ask)
        if before is not None:
            self._join(asked, ask.review, before, ask.supersedes)
            return
        self.admit(asked, ask.review, proposers={Waiter(asked.session, asked.id): False}, supersedes=ask.supersedes)

    def admit(
        self,
        asked: Asked,
        review: Review,
        *,
        proposers: dict[Waiter, bool] | None = None,
        waiters: list[Waiter] | None = None,
        supersedes: str | None = None,
    ) -> None:
        """Take a new review; those who proposed it are answered when it is on disk, those who wait when it has ended.

        Raises `Unavailable` when there are too many, or when it wants an IDE and there is none; `Usage` when it wants
        one and none could show it.
        """
        self._refuse_a_flood()
        assert asked.scene is not None
        if review.surface is Surface.IDE:
            if why := why_no_diff(review):
                raise Usage(
                    f"an IDE cannot show this review: {why}", "let it be shown on the page, or propose file by file"
                )
            self._insist_on_an_ide(asked.scene, asked.now)
        seat = Seat(review, asked.scene, kept=False, proposers=proposers or {}, waiters=waiters or [])
        self._seats.by_id[review.id] = seat
        self._seats.write(seat, review, partial(self._proposed, seat, supersedes))

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

    def _join(self, asked: Asked, new: Review, before: Review, supersedes: str | None) -> None:
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
            self.supersede(supersedes, before.id, asked.now)  # a crash may have come between the two records

    def _refuse_a_flood(self) -> None:
        if len(self.seats) >= MOST_REVIEWS or sum(seat.size for seat in self.seats.values()) > MOST_BYTES:
            raise Unavailable(f"{len(self.seats)} reviews wait for a decision: no more are taken", "bridge review ls")

    def _insist_on_an_ide(self, scene: Scene, now: float) -> None:
        selection = self._links.choose(scene, now, "openDiff")
        if selection.chosen is None:
            raise no_ide(selection, scene.named)

    def _proposed(self, seat: Seat, supersedes: str | None, now: float) -> None:
        self._seats.answer_proposers(seat)
        self.supersede(supersedes, seat.id, now)
        if seat.review.is_open:  # else it was taken back before it was on disk
            self._presenter.place(seat, now)

    def supersede(self, older_id: str | None, newer_id: str, now: float) -> None:
        """End the older of two reviews, if there is one and it is undecided."""
        older = self.seats.get(older_id or "")
        if older is not None and older.id != newer_id and older.review.is_open:
            self._end(older, Step.SUPERSEDE, now)

    # ---- about a review

    def wait(self, asked: Asked, ask: Wait) -> None:
        """Answer when the review has ended; until then tell where it is shown."""
        seat = self._seat(asked, ask.review_id)
        if seat is not None:
            self.join(seat, Waiter(asked.session, asked.id, ask.until))

    def join(self, seat: Seat, waiter: Waiter) -> None:
        """Let one more request wait for a review. Raises `Unavailable` when there are too many."""
        if len(seat.waiters) >= MOST_WAITERS:
            raise Unavailable(f"{len(seat.waiters)} requests wait for review {seat.id} already", "wait once")
        seat.waiters.append(waiter)
        if seat.settled:
            self._seats.tell(seat, waiter.session)

    def cancel(self, asked: Asked, ask: Cancel) -> None:
        """End an undecided review; its waiters learn that it was cancelled.

        One that has ended keeps its end, and that is the answer, once it is on disk.
        """
        seat = self._seat(asked, ask.review_id)
        if seat is not None:
            self.drop(seat, asked.now, Waiter(asked.session, asked.id), ask.trigger)

    def drop(self, seat: Seat, now: float, asker: Waiter | None = None, trigger: Trigger = Trigger.CANCELLED) -> None:
        """Cancel a review that is undecided; `asker` is told how it ended, once that is on disk."""
        if asker is not None:
            seat.deciders.append(asker)
        if seat.review.is_open:
            self._end(seat, Step.CANCEL, now, trigger=trigger)

    def reopen(self, asked: Asked, ask: Reopen) -> None:
        """Show an undecided review where the human wants it."""
        seat = self._undecided(asked, ask.review_id)
        if seat is not None:
            assert asked.scene is not None
            seat.scene = asked.scene
            seat.openers.append(Waiter(asked.session, asked.id))
            self._presenter.move(seat, ask.surface, asked.scene.named, asked.now)

    def decide(self, asked: Asked, ask: Decide) -> None:
        """Take the human's decision from the page."""
        seat = self._undecided(asked, ask.review_id)
        if seat is None:
            return
        rejected = all(text is None for text in ask.finals or ())
        trigger = Trigger.REJECTED_ON_PAGE if rejected else Trigger.ACCEPTED_ON_PAGE
        finals = None if ask.finals is None else settled(seat.review, ask.finals)
        record = decide(seat.review, asked.now, finals=finals, trigger=trigger, comments=ask.comments)
        seat.deciders.append(Waiter(asked.session, asked.id))
        self._presenter.finish(seat, record)

    def _seat(self, asked: Asked, review_id: str) -> Seat | None:
        """Find the seat; a review that has left the desk is answered from the journal."""
        seat = self.seats.get(review_id)
        if seat is None:
            self._out.append(FromJournal(asked.session, asked.id, review_id))
        return seat

    def _undecided(self, asked: Asked, review_id: str) -> Seat | None:
        """Find the seat as `_seat` does; raises `Conflict` if the review has ended."""
        seat = self._seat(asked, review_id)
        if seat is not None and not seat.review.is_open:
            raise Conflict(f"review {review_id} is already {seat.review.outcome}", f"bridge review show {review_id}")
        return seat

    # ---- looking around

    def restore(self, reviews: tuple[Review, ...], now: float) -> None:
        """Take back what an earlier life of the daemon left undecided, and look around for it."""
        for review in reviews:
            seat = self._seats.by_id[review.id] = Seat(review, None)
            self._presenter.restored(seat, now)
        if reviews:
            self._out.append(Look(tuple(review.id for review in reviews)))

    def surveyed(self, scenes: dict[str, Scene | None], now: float) -> None:
        """Offer the reviews that no surface shows to the IDEs that are there now.

        One that no IDE ever showed and nobody waits for stays on the page: whoever starts an IDE shall not be met
        by the proposals of agents that are gone.
        """
        for review_id, scene in scenes.items():
            seat = self.seats.get(review_id)
            if seat is None or not seat.kept or seat.where in ("ide", "queued"):
                continue
            asked_for = seat.waiters or seat.openers or seat.review.surface is Surface.IDE
            seat.scene = scene if asked_for or seat.review.showings else None
            if seat.job is None and seat.review.state is State.PROPOSED:  # not under the human's eyes
                self._presenter.place(seat, now, again=True)

    def unseated(self) -> tuple[str, ...]:
        """Name the reviews that an IDE might take."""
        return tuple(
            seat.id
            for seat in self.seats.values()
            if seat.kept
            and seat.where not in ("ide", "queued")
            and seat.review.surface is not Surface.PAGE
            and not why_no_diff(seat.review)
            and seat.review.is_open
        )

    # ---- time

    def tick(self, now: float) -> None:
        """Act on every moment that has passed."""
        self._seats.tick(now)
        for seat in self.seats.values():
            if seat.look_at is not None and now >= seat.look_at:
                seat.look_at = None
                self._out.append(Look((seat.id,)))
            if seat.review.is_open and now >= seat.review.created + EXPIRES_AFTER_S:
                self._end(seat, Step.EXPIRE, now)

    def _end(self, seat: Seat, step: Step, now: float, **changes: Any) -> None:
        self._presenter.finish(seat, advance(seat.review, step, now, **changes))

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        yield from self._seats.deadlines()
        for seat in self.seats.values():
            if seat.look_at is not None:
                yield seat.look_at
            if seat.review.is_open:
                yield seat.review.created + EXPIRES_AFTER_S
