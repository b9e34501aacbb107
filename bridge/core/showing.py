"""Showing: which surface has each undecided review, and what an IDE that shows one says.

A review is in exactly one place: in an IDE, queued behind another diff of that IDE, or on the page. The page may
be opened for any of them; the first decision wins. An IDE gets a diff when there is room for it, and when the journal
knows of it; how many it shows, and what it says of them, is its plugin's manner (`bridge.core.diffs`).

What an IDE says is believed only as far as it goes (design.md D6): an acceptance in answer to ``openDiff`` counts
whenever it comes, if the review is open; all else only for the diff that is open now; a closed tab is no decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bridge.core import jsonrpc, text
from bridge.core.answers import Verdict, read_answer, read_verdict
from bridge.core.diffs import Blocking, ByFile, Manner
from bridge.core.events import Command, LinkState, Look, Watch
from bridge.core.jsonrpc import Message
from bridge.core.link import Link
from bridge.core.links import CALL_S, Links
from bridge.core.reviews import Review, Showing, State, Step, Surface, Trigger, advance, decide
from bridge.core.seats import Seat, Seats
from bridge.core.selection import why_none
from bridge.errors import BadData

__all__ = ["LOOK_AGAIN_S", "Presenter", "settled", "why_no_diff"]

LOOK_AGAIN_S: Final = 10.0  # a review that may be shown in an IDE only, and is shown nowhere


class Presenter:
    """Shows reviews: `links` has the IDEs, `seats` the reviews. Commands go to `out`."""

    def __init__(self, out: list[Command], links: Links, seats: Seats) -> None:
        self.seats: Mapping[str, Seat] = seats.by_id
        self.by_file = ByFile(self, links)
        self._manners: dict[bool, Manner] = {False: Blocking(self, links), True: self.by_file}
        self._out = out
        self._links = links
        self._seats = seats
        links.diff_closed = self.by_file.closed

    # ---- finding a place

    def place(self, seat: Seat, now: float, *, again: bool = False) -> None:
        """Show the review: in the IDE that selection finds, else on the page; `again` as `Links.choose` has it.

        One that no diff can show is on the page, wherever it is wanted.
        """
        scene = seat.scene
        if scene is None or seat.review.surface is Surface.PAGE:
            self._seats.settle(seat, "page", None, seat.reason)
            return
        if why := why_no_diff(seat.review):
            self._seats.settle(seat, "page", None, why)
            return
        selection = self._links.choose(scene, now, "openDiff", again=again)
        if selection.chosen is not None:
            seat.job = _Show(self, seat)
            self._links.use(selection.chosen, seat.job, now)
            return
        reason = seat.reason or why_none(selection, scene.named)
        if seat.review.surface is Surface.AUTO:
            self._seats.settle(seat, "page", None, reason)
        else:
            self._seats.settle(seat, None, None, reason)
            seat.look_at = now + LOOK_AGAIN_S

    def move(self, seat: Seat, surface: Surface, named: str | None, now: float) -> None:
        """Show the review where the human wants it, even where its tab was closed before.

        The wish is part of the record, so that it outlives the daemon.
        """
        wish = {"surface": surface, "ide": named}
        if not self._belongs_where_it_is(seat, surface, now):
            self._withdraw(seat, now)
            self._unshow(seat, "", now, **wish)
            self.place(seat, now)
            return
        if (seat.review.surface, seat.review.ide) != (surface, named):
            step = Step.SHOW if seat.where == "ide" else Step.UNSHOW  # the state stays what it is
            self._seats.write(seat, advance(seat.review, step, now, **wish))
        if seat.settled:
            self._seats.answer_openers(seat)

    def _belongs_where_it_is(self, seat: Seat, surface: Surface, now: float) -> bool:
        """Tell whether an IDE has the review, and is the one that would be chosen now."""
        if seat.link is None or seat.scene is None or surface is Surface.PAGE:
            return False
        chosen = self._links.choose(seat.scene, now, "openDiff").chosen
        return chosen is None or chosen.lock.ide_id == seat.link.id

    def _withdraw(self, seat: Seat, now: float) -> None:
        """Take the review out of its IDE: what that answers to the closed tab is no decision."""
        if seat.where == "ide":
            self._close(seat.review, seat.review.showings[-1], now)
        link = seat.link
        _leave_queue(seat)
        if link is not None:
            self.free(link, seat.id, now)

    def seen(self, review_id: str, now: float) -> None:
        """Note that the human has it on the page: it does not jump into an IDE any more, now or after a restart."""
        seat = self._seats.by_id.get(review_id)
        if seat is not None and seat.review.state is State.PROPOSED:
            self._seats.write(seat, advance(seat.review, Step.SHOW, now, surface=Surface.PAGE))
            _leave_queue(seat)
            self._seats.settle(seat, "page", None, seat.reason)

    def restored(self, seat: Seat, now: float) -> None:
        """Take note of where an earlier life of the daemon showed the review."""
        if seat.review.state is State.SHOWN and seat.review.surface is Surface.PAGE:
            self._seats.settle(seat, "page", None, "")  # the human has it there, and the page comes back by itself
        elif seat.review.state is State.SHOWN:
            self._unshow(seat, "the bridge was restarted", now)

    # ---- in an IDE

    def show(self, seat: Seat, link: Link, now: float) -> None:
        """Show the review on a live link, or queue it behind the diff that is there."""
        seat.job = None
        if link.lacks("openDiff") is not None:  # which its list of tools has shown only now
            seat.where, seat.link = None, None
            self.place(seat, now, again=True)
            return
        manner = self._manners[link.traits.diffs_by_file]
        obstacle = manner.obstacle(link, seat, now)
        if obstacle is not None:
            link.queue.append(seat.id)
            seat.where, seat.link = "queued", link
            if obstacle:  # else it is on its way, and nobody needs to know
                self._seats.settle(seat, "queued", link, obstacle)
            return
        showing = Showing(ide_id=link.id, request_id=self._links.new_id(), tab_name=manner.name(seat.review))
        link.showing.append(seat.id)
        seat.where, seat.link = "ide", link
        record = advance(seat.review, Step.SHOW, now, showings=(*seat.review.showings, showing))
        self._seats.write(seat, record, partial(self._open_diff, seat, link, showing))

    def _open_diff(self, seat: Seat, link: Link, showing: Showing, now: float) -> None:
        """Send what the journal now knows of; unless the world moved on meanwhile."""
        if not seat.review.is_open or seat.where != "ide" or seat.review.showings[-1] is not showing:
            return
        manner = self._manners[link.traits.diffs_by_file]
        done = partial(manner.answered, seat, showing)
        patience = None if manner.waits else CALL_S
        try:
            body = jsonrpc.dump(manner.arguments(link, seat.review, showing.tab_name))
            self._links.call(link, "openDiff", body, done, now, request_id=showing.request_id, patience=patience)
        except BadData as exc:  # the IDE cannot be told of this file
            self.to_page(seat, link, str(exc), now)
            return
        self._out.append(Watch(link.id, closely=True))
        self._seats.settle(seat, "ide", link, "")

    def free(self, link: Link, review_id: str, now: float) -> None:
        """Give the link's place for a diff to the next in its queue."""
        if review_id not in link.showing:
            return
        link.showing.remove(review_id)
        link.open_diffs.pop(review_id, None)
        if not link.showing:
            self._out.append(Watch(link.id, closely=False))
        self.advance(link, now)

    def advance(self, link: Link, now: float) -> None:
        """Show what waits on the link, in its order; what has no room yet goes on waiting."""
        waiting, link.queue = link.queue, []
        for review_id in waiting:
            self.show(self._seats.by_id[review_id], link, now)
        link.note_idle(now)

    def _unshow(self, seat: Seat, reason: str, now: float, **wish: Any) -> None:
        seat.where, seat.link, seat.reason = None, None, reason
        self._seats.write(seat, advance(seat.review, Step.UNSHOW, now, **wish))

    def to_page(self, seat: Seat, link: Link, reason: str, now: float) -> None:
        """Move the review to the page for good: this IDE does not show it again by itself."""
        self.free(link, seat.id, now)
        self._unshow(seat, reason, now, surface=Surface.PAGE)
        self.place(seat, now)

    # ---- what an IDE says

    def late_answer(self, link: Link, message: Message, now: float) -> None:
        """Read an answer to an ``openDiff`` of an earlier socket or daemon: only an acceptance counts."""
        verdict, final = read_verdict(read_answer(message))
        for seat in self._seats.by_id.values():
            asked = any((shown.ide_id, shown.request_id) == (link.id, message.id) for shown in seat.review.showings)
            if asked and verdict is Verdict.SAVED and seat.review.is_open:
                self.accept(seat, final, now)
                return
        self._links.dropped += 1

    def accept(self, seat: Seat, final: str, now: float) -> None:
        """End the review with the text that the human accepted in an IDE."""
        finals = settled(seat.review, (final,))
        self.finish(seat, decide(seat.review, now, finals=finals, trigger=Trigger.ACCEPTED_IN_IDE))

    def reject(self, seat: Seat, trigger: Trigger, now: float) -> None:
        """End the review with the human's no in an IDE."""
        self.finish(seat, decide(seat.review, now, finals=None, trigger=trigger))

    def link_lost(self, link: Link, now: float) -> None:
        """Look around for the reviews that were shown on a link that ended, and for those that were queued."""
        lost = [seat for seat in self._seats.by_id.values() if seat.link is link and seat.review.is_open]
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

    # ---- the end

    def finish(self, seat: Seat, record: Review) -> None:
        """Take the record that ends the review; it has its consequences when it is on disk."""
        seat.job = None
        _leave_queue(seat)
        self._seats.write(seat, record, partial(self._ended, seat))

    def _ended(self, seat: Seat, now: float) -> None:
        """Tell everybody, close the tabs, make room."""
        self._seats.end(seat)
        for showing in {shown.ide_id: shown for shown in seat.review.showings}.values():
            self._close(seat.review, showing, now)
        for link in list(self._links.links.values()):  # what waited may be shown by another IDE, which is a new link
            self.free(link, seat.id, now)

    def _close(self, review: Review, showing: Showing, now: float) -> None:
        link = self._links.links.get(showing.ide_id)
        if link is not None and self._manners[link.traits.diffs_by_file].may_be_open(link, review):
            self._links.expect(link, showing.request_id, now)
            self._links.close_tab(link, showing.tab_name, now)


def why_no_diff(review: Review) -> str:
    """Say why no IDE can show this review; "" if one can.

    An IDE's diff is of one file and is answered for itself, but a review is decided once.
    """
    several = len(review.files)
    return f"it has {several} files, which an IDE's diff cannot show as one" if several > 1 else ""


def settled(review: Review, finals: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """Give the texts that a surface returned their proposal's line endings, BOM and final newline back.

    None, for a file that was rejected, stays None. Raises `BadData` when they are not as many as the review's files.
    """
    if len(finals) != len(review.files):
        raise BadData(f"the review has {len(review.files)} files, the decision {len(finals)}")
    return tuple(
        None if final is None else text.settle(change.proposed, final)
        for change, final in zip(review.files, finals, strict=True)
    )


def _leave_queue(seat: Seat) -> None:
    if seat.where == "queued" and seat.link is not None:
        seat.link.queue.remove(seat.id)
        seat.where, seat.link = None, None


@dataclass(frozen=True, slots=True, eq=False)
class _Show:
    """The job of showing a review in an IDE."""

    presenter: Presenter
    seat: Seat

    def start(self, link: Link, now: float) -> None:
        if self.seat.job is self:  # else it went elsewhere while the link was opened
            self.presenter.show(self.seat, link, now)

    def failed(self, link: Link, now: float) -> None:
        if self.seat.job is self:
            self.seat.reason = f"{link.name}: {link.state}: {link.reason}"
            self.presenter.place(self.seat, now, again=True)
