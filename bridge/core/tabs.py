"""Tabs: the diffs that agents open as if with an IDE, each a review that belongs to who opened it.

To the agent a diff is a blocking call and a tab with a name of its choice. Behind it is a review: it stays when the
agent goes, and one that asks for the same change afterwards joins it, or gets the decision that nobody has taken. What
is somebody else's is never joined, closed or counted.

A decision is *delivered* when its tab is closed, which agents do when they have written the file, or shows another
change. Whoever asks for the same change after that, or long after the decision, is asking the human anew.
"""

from __future__ import annotations

from typing import Final

from bridge.core.asks import CloseTab, CloseTabs, ShowDiff
from bridge.core.desk import Desk
from bridge.core.events import Asked, Command, Deliver, Reply, SessionId
from bridge.core.reviews import Review, State, decision, same_proposal
from bridge.core.seats import Seat, Waiter
from bridge.errors import Unavailable

__all__ = ["FREE_S", "MOST_TABS", "Tabs"]

# So long after it was made a decision waits for who asks for the same change. An agent may have written the file and
# ended without closing its tab; should somebody undo that, a yes of last week must not do it again unseen.
FREE_S: Final = 3600.0
MOST_TABS: Final = 50  # of one session: others want to be shown too


class Tabs:
    """Whose each tab is. Commands go to `out`; the reviews are at the `desk`."""

    def __init__(self, out: list[Command], desk: Desk) -> None:
        self._out = out
        self._desk = desk
        self._tabs: dict[SessionId, dict[str, str]] = {}  # the review behind each tab, by its name
        self._owners: dict[str, tuple[SessionId, str]] = {}  # the tab of each of these reviews

    # ---- opening

    def show(self, asked: Asked, ask: ShowDiff) -> None:
        """Show a change: join the review that it is already, take a decision that waits, or open a new review.

        What its tab showed before is superseded. Raises what `Desk.admit` and `Desk.join` raise; then the tab stays.
        """
        mine = self._tabs.get(asked.session, {})
        before = mine.get(ask.tab)
        if before is None and len(mine) >= MOST_TABS:
            raise Unavailable(f"this agent has {len(mine)} diffs open: no more are shown", "close some, or decide")
        waiter = Waiter(asked.session, asked.id)
        seat = self._joinable(ask.review, before)
        if seat is not None:
            self._desk.join(seat, waiter)
            review_id = seat.id
        elif ask.known is not None and self._is_free(ask.known, asked.now):
            self._out.append(Reply(asked.session, asked.id, decision(ask.known)))
            review_id = ask.known.id
        else:
            self._desk.admit(asked, ask.review, waiters=[waiter], supersedes=before)  # when the new one is on disk
            review_id = ask.review.id
        self._own(asked.session, ask.tab, review_id)
        if review_id != ask.review.id:
            self._desk.supersede(before, review_id, asked.now)

    def _joinable(self, new: Review, before: str | None) -> Seat | None:
        """Find the review of the same change that this tab shows, or that is nobody's."""
        mine = self._desk.seats.get(before or "")
        if mine is not None and _is_same(mine.review, new):
            return mine
        return next((seat for seat in self._desk.seats.values() if self._is_orphan(seat, new)), None)

    def _is_orphan(self, seat: Seat, new: Review) -> bool:
        """Tell whether a session that left, or an earlier life of the daemon, opened a tab for this change.

        Its request key tells: whatever has none was not opened so.
        """
        if new.request_key is None or seat.closed or seat.id in self._owners:
            return False
        old = seat.review
        return (old.request_key, old.workspace) == (new.request_key, new.workspace) and _is_same(old, new)

    def _is_free(self, known: Review, now: float) -> bool:
        """Tell whether nobody has, or is about to have, this decision, and it is no older than an interruption."""
        return known.id not in self._owners and known.id not in self._desk.seats and now < known.changed + FREE_S

    def _own(self, session: SessionId, tab: str, review_id: str) -> None:
        mine = self._tabs.setdefault(session, {})
        before = mine.get(tab)
        if before == review_id:
            return
        if before is not None:
            self._release(before)
        mine[tab] = review_id
        self._owners[review_id] = session, tab

    # ---- closing

    def close(self, asked: Asked, ask: CloseTab) -> None:
        """Close a tab of this session's; any other name is that of a tab which is closed already."""
        review_id = self._tabs.get(asked.session, {}).pop(ask.tab, None)
        seat = None if review_id is None else self._release(review_id)
        if seat is not None:
            self._desk.drop(seat, asked.now, Waiter(asked.session, asked.id))
        else:
            self._out.append(Reply(asked.session, asked.id, None))

    def close_all(self, asked: Asked, ask: CloseTabs) -> None:
        """Close every tab of this session's; the answer is their number, at once."""
        tabs = self._tabs.pop(asked.session, {})
        for review_id in tabs.values():
            seat = self._release(review_id)
            if seat is not None:
                self._desk.drop(seat, asked.now)
        self._out.append(Reply(asked.session, asked.id, len(tabs)))

    def _release(self, review_id: str) -> Seat | None:
        """Be done with a review: its decision counts as delivered. Give its seat, if it is still at the desk."""
        del self._owners[review_id]
        seat = self._desk.seats.get(review_id)
        if seat is None:
            self._out.append(Deliver(review_id))
        else:
            seat.closed = True
        return seat

    # ---- leaving

    def abandon(self, session: SessionId, seat: Seat, now: float) -> None:
        """Cancel a review that this session opened and does not wait for any more, unless another call does."""
        if self._owners.get(seat.id, (None, ""))[0] == session and not seat.waiters:
            self.forget(seat.id)
            self._desk.drop(seat, now)

    def forget(self, review_id: str) -> None:
        """Forget whose tab it was, if it was anybody's; nobody is told."""
        owner = self._owners.pop(review_id, None)
        if owner is not None:
            session, tab = owner
            del self._tabs[session][tab]

    def left(self, session: SessionId) -> None:
        """Leave the reviews of a session that ended to whoever asks for the same."""
        for review_id in self._tabs.pop(session, {}).values():
            del self._owners[review_id]


def _is_same(old: Review, new: Review) -> bool:
    """Tell whether a review may stand for a new one: the same change, and a human decides it or just has."""
    return (old.is_open or old.state is State.DECIDED) and same_proposal(old, new)
