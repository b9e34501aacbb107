"""Tabs: the diffs that agents open as if with an IDE, each a review that belongs to who opened it.

To the agent a diff is a blocking call and a tab with a name of its choice. Behind it is a review: it stays when the
agent goes, and one that asks for the same change afterwards joins it, or gets the decision that nobody has taken. What
is somebody else's is never joined, closed or counted.

An acceptance is *delivered* when its tab is closed, which agents do when they have written the file. Whoever asks for
the same change after that is asking the human anew.
"""

from __future__ import annotations

from bridge.core.asks import CloseTab, CloseTabs, ShowDiff
from bridge.core.desk import Desk
from bridge.core.events import Asked, Command, Deliver, Reply, SessionId
from bridge.core.jsonrpc import RequestId
from bridge.core.reviews import Review, decision, same_proposal
from bridge.core.seats import Seat, Waiter

__all__ = ["Tabs"]


class Tabs:
    """Whose each tab is. Commands go to `out`; the reviews are at the `desk`."""

    def __init__(self, out: list[Command], desk: Desk) -> None:
        self._out = out
        self._desk = desk
        self._tabs: dict[SessionId, dict[str, str]] = {}  # the review behind each tab, by its name
        self._owners: dict[str, SessionId] = {}

    # ---- opening

    def show(self, asked: Asked, ask: ShowDiff) -> None:
        """Show a change: join the review that it is already, take a decision that waits, or open a new review."""
        mine = self._tabs.get(asked.session, {})
        before = self._desk.seats.get(mine.get(ask.tab, ""))
        waiter = Waiter(asked.session, asked.id)
        seat = self._joinable(asked.session, ask, before)
        if seat is not None:
            self._own(asked.session, ask.tab, seat.id)
            self._desk.join(seat, waiter)
        elif ask.known is not None and ask.known.id not in self._owners:
            self._own(asked.session, ask.tab, ask.known.id)
            self._out.append(Reply(asked.session, asked.id, decision(ask.known)))
        else:
            older = before.id if before is not None and before.review.is_open else None
            self._desk.admit(asked, ask.review, waiters=[waiter], supersedes=older)
            self._own(asked.session, ask.tab, ask.review.id)

    def _joinable(self, session: SessionId, ask: ShowDiff, before: Seat | None) -> Seat | None:
        """Find the undecided review of the same change that is this session's under the same name, or nobody's."""
        if before is not None and before.review.is_open and same_proposal(before.review, ask.review):
            return before
        return next((seat for seat in self._desk.seats.values() if self._is_orphan(seat, ask.review)), None)

    def _is_orphan(self, seat: Seat, new: Review) -> bool:
        old = seat.review
        same = (old.request_key, old.workspace) == (new.request_key, new.workspace)
        return same and old.is_open and seat.id not in self._owners and same_proposal(old, new)

    def _own(self, session: SessionId, tab: str, review_id: str) -> None:
        mine = self._tabs.setdefault(session, {})
        if (before := mine.get(tab)) is not None:
            del self._owners[before]
        mine[tab] = review_id
        self._owners[review_id] = session

    # ---- closing

    def close(self, asked: Asked, ask: CloseTab) -> None:
        """Close a tab of this session's; any other name is that of a tab which is closed already."""
        review_id = self._disown(asked.session, ask.tab)
        seat = self._desk.seats.get(review_id or "")
        if seat is not None:
            self._desk.drop(seat, asked.now, Waiter(asked.session, asked.id))
            return
        if review_id is not None:
            self._out.append(Deliver(review_id))
        self._out.append(Reply(asked.session, asked.id, None))

    def close_all(self, asked: Asked, ask: CloseTabs) -> None:
        """Close every tab of this session's; the answer is their number, at once."""
        tabs = list(self._tabs.get(asked.session, ()))
        for tab in tabs:
            review_id = self._disown(asked.session, tab) or ""
            seat = self._desk.seats.get(review_id)
            if seat is not None:
                self._desk.drop(seat, asked.now)
            else:
                self._out.append(Deliver(review_id))
        self._out.append(Reply(asked.session, asked.id, len(tabs)))

    def withdraw(self, session: SessionId, id_: RequestId, now: float) -> None:
        """Take back a call that shows a diff: the review is cancelled, unless another call waits for it."""
        waiter = Waiter(session, id_)
        for tab, review_id in list(self._tabs.get(session, {}).items()):
            seat = self._desk.seats.get(review_id)
            if seat is not None and waiter in seat.waiters:
                seat.waiters.remove(waiter)
                if not seat.waiters:
                    self._disown(session, tab)
                    self._desk.drop(seat, now)

    def _disown(self, session: SessionId, tab: str) -> str | None:
        review_id = self._tabs.get(session, {}).pop(tab, None)
        if review_id is not None:
            del self._owners[review_id]
        return review_id

    def left(self, session: SessionId) -> None:
        """Leave the reviews of a session that ended to whoever asks for the same."""
        for review_id in self._tabs.pop(session, {}).values():
            del self._owners[review_id]
