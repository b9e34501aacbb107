"""The router: every event in, every command out, decided in full before the first await (design.md D1).

It joins what decides: `Links` (which IDE, and the connection to it), `Errands` (what an IDE is asked), `Desk` (what
is asked of reviews), `Presenter` (where they are shown), `Seats` (who waits, and what is on disk), `Tabs` (whose diff
each is) and `Followers` (who hears what an IDE says). The shell calls `handle` for each event and does what the
commands say, in their order; it calls again with `Tick` when `deadline` has come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bridge.core.asks import (
    AskDirty,
    CallTool,
    Cancel,
    CloseTab,
    CloseTabs,
    Decide,
    ListTools,
    OpenFile,
    Propose,
    Reopen,
    ShowDiff,
    Wait,
)
from bridge.core.desk import Desk
from bridge.core.errands import Errands
from bridge.core.events import (
    Asked,
    Command,
    Event,
    Follows,
    Left,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    Look,
    LookFor,
    Refuse,
    Restored,
    Saved,
    SaveFailed,
    Seen,
    SessionId,
    Surveyed,
    Tick,
    Withdrawn,
)
from bridge.core.following import Followers
from bridge.core.jsonrpc import Message, RequestId
from bridge.core.links import Links
from bridge.core.seats import Seats
from bridge.core.showing import Presenter
from bridge.core.tabs import Tabs
from bridge.errors import BridgeError

__all__ = ["Router"]


class Router:
    """What the daemon decides.

    Args:
        ids: request ids for IDEs; they must not repeat those of an earlier life of the daemon, whose answers
            may still arrive.
        pid: told to IDEs as the agent's, in ``ide_connected``.
        version: told to IDEs in ``initialize``.
    """

    def __init__(self, ids: Iterator[int], *, pid: int, version: str) -> None:
        self._out: list[Command] = []
        self.links = Links(self._out, ids, pid=pid, version=version)
        self.seats = Seats(self._out)
        self.presenter = Presenter(self._out, self.links, self.seats)
        self.desk = Desk(self._out, self.links, self.seats, self.presenter)
        self.tabs = Tabs(self._out, self.desk)
        self.followers = Followers(self._out, self.links)
        self.errands = Errands(self._out, self.links, self.followers)
        self._asks: dict[type[Any], Callable[[Asked, Any], None]] = {
            OpenFile: self.errands.send,
            CallTool: self.errands.send,
            AskDirty: self.errands.send,
            ListTools: self.errands.send,
            Propose: self.desk.propose,
            Wait: self.desk.wait,
            Cancel: self.desk.cancel,
            Reopen: self.desk.reopen,
            Decide: self.desk.decide,
            ShowDiff: self.tabs.show,
            CloseTab: self.tabs.close,
            CloseTabs: self.tabs.close_all,
        }

    def handle(self, event: Event) -> list[Command]:
        """Decide what `event` means; the caller does every command.

        Never raises for what a peer did. After a bug that raises, what was decided halfway is dropped: it must not
        come out with the next event, whose asker it is not for.
        """
        try:
            self._decide(event)
            return self._out[:]
        finally:
            self._out.clear()

    def _decide(self, event: Event) -> None:
        match event:
            case Asked():
                self._asked(event)
            case LinkMessage(now, ide_id, message):
                self._heard(ide_id, message, now)
            case LinkOpened(now, ide_id):
                self.links.opened(ide_id, now)
            case LinkClosed(now, ide_id, state, reason):
                self.links.closed(ide_id, state, reason, now)
                self.presenter.link_lost(self.links.links[ide_id], now)
                self.followers.link_lost(self.links.links[ide_id], now)
            case Saved(now, review_id, version):
                self.seats.saved(review_id, version, now)
            case SaveFailed(now, review_id, version, reason):
                if self.seats.save_failed(review_id, version, reason, now):
                    self.tabs.forget(review_id)
            case _:
                self._rarely(event)

    def _rarely(self, event: Event) -> None:
        match event:
            case Left(now, session):
                self._left(session, now)
            case Withdrawn(now, session, id_):
                self._withdrawn(session, id_, now)
            case Follows():
                self.followers.follow(event)
            case Restored(now, reviews):
                self.desk.restore(reviews, now)
            case Seen(now, review_id):
                self.presenter.seen(review_id, now)
            case Surveyed(now, scenes):
                self.desk.surveyed(scenes, now)
            case Tick(now):  # pragma: no branch (there are no more)
                self.links.tick(now)
                self.desk.tick(now)
                self.followers.tick(now)
                self.errands.tick(now)
                self.presenter.by_file.tick(now)

    def deadline(self) -> float | None:
        """Say when `Tick` is wanted next; None: not at all."""
        those = (self.links, self.desk, self.followers, self.errands, self.presenter.by_file)
        return min((moment for each in those for moment in each.deadlines()), default=None)

    def look_again(self) -> list[Command]:
        """Ask for a survey when there is a review, or a session, that a new IDE might take."""
        unseated, sessions = self.desk.unseated(), self.followers.sessions
        return [*([Look(unseated)] if unseated else []), *([LookFor(sessions)] if sessions else [])]

    def _asked(self, asked: Asked) -> None:
        try:
            self._asks[type(asked.ask)](asked, asked.ask)
        except BridgeError as error:
            self._out.append(Refuse(asked.session, asked.id, error))

    def _left(self, session: SessionId, now: float) -> None:
        """Forget who left: the reviews stay, the calls are taken back."""
        self.seats.left(session)
        self.tabs.left(session)
        self.followers.left(session, now)
        self.errands.left(session)

    def _withdrawn(self, session: SessionId, id_: RequestId, now: float) -> None:
        self.errands.withdraw(session, id_)
        for seat in self.seats.withdraw(session, id_):
            self.tabs.abandon(session, seat, now)

    def _heard(self, ide_id: str, message: Message, now: float) -> None:
        link = self.links.links[ide_id]
        if message.is_notification:
            by_file = link.traits.diffs_by_file and message.method in self.presenter.by_file.NEWS
            knew = link.context
            (self.presenter.by_file if by_file else self.followers).hear(link, message, now)
            if link.context is not knew:
                self.errands.told(link, now)
            return
        late = self.links.received(ide_id, message, now)
        if late is not None:
            self.presenter.late_answer(link, message, now)
