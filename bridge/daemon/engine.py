"""The engine: feeds events to the router and does what its commands say. It decides nothing."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from bridge.core.events import (
    Command,
    Deliver,
    Dial,
    Ended,
    Event,
    Follows,
    FromJournal,
    HangUp,
    Left,
    Log,
    Look,
    LookFor,
    Notify,
    Refuse,
    Reply,
    Save,
    Saved,
    SaveFailed,
    Scene,
    Send,
    SessionId,
    Surveyed,
    Tell,
    Tick,
    Watch,
)
from bridge.core.jsonrpc import RequestId
from bridge.core.reviews import Review, decision
from bridge.core.router import Router
from bridge.core.text import visible
from bridge.daemon.events import Events
from bridge.errors import BridgeError, Conflict, Unavailable
from bridge.ides.sockets import Sockets
from bridge.store.journal import Journal, JournalThread

__all__ = ["Asker", "Engine"]

logger = logging.getLogger(__name__)

MOST_PAUSE_S: Final = 3600.0  # a clock that jumps must not keep a timer away for days
RECKON_S: Final = 0.05  # between two reckonings of when the timer must ring: they go over everything that waits


class Asker(Protocol):
    """What answers go to: a session of the control socket, or the page."""

    number: SessionId

    def reply(self, id_: RequestId, result: object) -> None:
        """Take an answer."""

    def refuse(self, id_: RequestId, error: BridgeError) -> None:
        """Take a refusal."""

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Take what was not asked for."""

    def tell(self, method: str, params: bytes) -> None:
        """Take what its IDE says; `params` is JSON."""


class Engine:
    """Joins router, journal, links and askers.

    Args:
        tasks: where everything that takes time lives.
        look: gives a `Scene` for a review, as the world is now.
        saved: is called with the id of every review whose newest record is on disk.
        ended: is awaited with the id of every review that ended.
        sockets: makes the links' sockets, which report to the engine.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        router: Router,
        journal: JournalThread,
        look: Callable[[Review], Awaitable[Scene]],
        saved: Callable[[str], None],
        ended: Callable[[str], Coroutine[Any, Any, None]],
        sockets: Callable[[asyncio.TaskGroup, Callable[[Event], None]], Sockets],
    ) -> None:
        self.router = router
        self.journal = journal
        self.sockets = sockets(tasks, self.report)
        self.events = Events(tasks, router)
        self._tasks = tasks
        self._look = look
        self._saved = saved
        self._ended = ended
        self._askers: dict[SessionId, Asker] = {}
        self._lookers: dict[SessionId, Callable[[], Awaitable[Scene | None]]] = {}  # of those who follow an IDE
        self._reckoned = 0.0
        self._reckoning: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    # ---- askers

    @property
    def sessions(self) -> int:
        """How many askers there are."""
        return len(self._askers)

    def joined(self, asker: Asker) -> None:
        """Know an asker from now on."""
        self._askers[asker.number] = asker

    def left(self, asker: Asker) -> None:
        """Forget an asker."""
        del self._askers[asker.number]
        self._lookers.pop(asker.number, None)
        self.events.left(asker.number)
        self.report(Left(time.time(), asker.number))

    async def follow(self, asker: Asker, look: Callable[[], Awaitable[Scene | None]]) -> None:
        """Let an asker hear what its IDE says; `look` describes the world for it, now and whenever that changes."""
        if asker.number in self._askers:
            self._lookers[asker.number] = look
            await self._look_for((asker.number,))

    # ---- events and commands

    def report(self, event: Event) -> None:
        """Feed an event that nobody waits for: a bug in handling it ends up in the log, not with the daemon."""
        try:
            self.feed(event)
        except Exception:
            logger.exception("a bug in handling %s", type(event).__name__)

    def feed(self, event: Event) -> None:
        """Let the router decide what `event` means, and do it; what goes wrong in deciding is the caller's to tell."""
        self._do_all(self.router.handle(event))
        self.events.stirred()
        self._set_timer()

    def _do_all(self, commands: Iterable[Command]) -> None:
        """Do every command: a bug in doing one must not keep the next waiter from its answer."""
        for command in commands:
            try:
                self._do(command)
            except Exception:
                logger.exception("a bug in doing %s", type(command).__name__)

    def _do(self, command: Command) -> None:
        match command:
            case Send(ide_id, frame):
                self.sockets.send(ide_id, frame)
            case Reply() | Refuse() | Notify() | Tell():
                if (asker := self._askers.get(command.session)) is not None:
                    _say(asker, command)
            case Dial(lock, route):
                self.sockets.dial(lock, route)
            case HangUp(ide_id, _):
                self.sockets.hang_up(ide_id)
            case Watch(ide_id, closely):
                self.sockets.watch(ide_id, closely)
            case Log(text):
                logger.info("%s", visible(text))
            case Save(review):
                self._save(review)
            case _:
                self._begin(command)

    def _begin(self, command: FromJournal | Deliver | Look | LookFor | Ended) -> None:
        """Begin what takes time."""
        match command:
            case FromJournal(session, id_, review_id):
                self._tasks.create_task(self._from_journal(session, id_, review_id))
            case Deliver(review_id):
                self.deliver(review_id)
            case Look(review_ids):
                self._tasks.create_task(self.survey(review_ids))
            case LookFor(sessions):
                self._tasks.create_task(self._look_for(sessions), name="looking for sessions")
            case Ended(review):
                logger.info("review %s: %s", review.id, review.outcome)
                self.events.ended(review)
                self._tasks.create_task(self._ended(review.id))

    # ---- the journal

    def _save(self, review: Review) -> None:
        future = asyncio.wrap_future(self.journal.submit(Journal.save, review))
        future.add_done_callback(partial(self._was_saved, review))

    def _was_saved(self, review: Review, future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            self._report_saved(review, future.exception())

    def _report_saved(self, review: Review, error: BaseException | None) -> None:
        if error is None:
            self.report(Saved(time.time(), review.id, review.version))
            self._saved(review.id)
        else:
            logger.error("the journal: %s", error)
            self.report(SaveFailed(time.time(), review.id, review.version, str(error)))

    async def _from_journal(self, session: SessionId, id_: RequestId, review_id: str) -> None:
        try:
            answer = decision(await self.journal.run(Journal.get, review_id))
        except BridgeError as error:
            self._do(Refuse(session, id_, error))
        except sqlite3.Error as exc:
            self._do(Refuse(session, id_, Unavailable(f"the journal cannot be read: {exc}", "bridge doctor")))
        except Exception:
            logger.exception("a bug in reading review %r", review_id)
            self._do(Refuse(session, id_, BridgeError("a bug in the bridge: see its log", "bridge logs")))
        else:
            self._do(Reply(session, id_, answer))

    def deliver(self, review_id: str) -> None:
        """Note that the asker of a review has its decision; where there is none, there is nothing to note."""
        self._tasks.create_task(self._deliver(review_id), name="delivered")

    async def _deliver(self, review_id: str) -> None:
        try:
            await self.journal.run(Journal.deliver, review_id, time.time())
        except (Conflict, Unavailable):  # it ended undecided, or was purged
            pass
        except sqlite3.Error as exc:
            logger.error("the journal: %s", exc)

    # ---- looking around, and time

    async def survey(self, review_ids: tuple[str, ...]) -> None:
        """Look around for these reviews, and tell the router what there is."""
        seats = [seat for id_ in review_ids if (seat := self.router.desk.seats.get(id_)) is not None]
        scenes = {seat.id: await _seen(self._look(seat.review), f"review {seat.id}") for seat in seats}
        self.report(Surveyed(time.time(), scenes))

    def look_again(self) -> None:
        """Offer reviews that no IDE shows to whatever is there now."""
        self._do_all(self.router.look_again())
        self.events.stirred()

    async def _look_for(self, sessions: tuple[SessionId, ...]) -> None:
        """Look around for sessions that follow an IDE, and tell the router what there is."""
        for session in sessions:
            if (look := self._lookers.get(session)) is not None:
                scene = await _seen(look(), "an agent")
                if session in self._lookers:  # it may have left meanwhile
                    self.report(Follows(time.time(), session, scene))

    def _set_timer(self) -> None:
        """See when the timer must ring: at once, or a moment after the last time that was seen to."""
        now = time.monotonic()
        if now - self._reckoned >= RECKON_S:
            self._reckon()
        elif self._reckoning is None:
            self._reckoning = asyncio.get_running_loop().call_later(RECKON_S, self._reckon)

    def _reckon(self) -> None:
        """Ring when the router wants it, or earlier: then it has nothing to do, which is cheaper than a new timer."""
        if self._reckoning is not None:
            self._reckoning.cancel()
        self._reckoning, self._reckoned = None, time.monotonic()
        due = self.router.deadline()
        if due is None or (self._due is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        pause = min(max(due - time.time(), 0.0), MOST_PAUSE_S)
        self._timer = asyncio.get_running_loop().call_later(pause, self._ring)

    def _ring(self) -> None:
        self._timer, self._due = None, None
        self.report(Tick(time.time()))

    def stop(self) -> None:
        """Ring no more."""
        for timer in (self._timer, self._reckoning):
            if timer is not None:
                timer.cancel()


async def _seen(look: Awaitable[Scene | None], whom: str) -> Scene | None:
    """Give what a look around shows; None where nobody can look, who is then looked around for again."""
    try:
        return await look
    except (BridgeError, OSError) as exc:  # its directory is gone: the page needs none
        logger.info("cannot look around for %s: %s", whom, visible(str(exc)))
    except Exception:
        logger.exception("a bug in looking around for %s", whom)
    return None


def _say(asker: Asker, command: Reply | Refuse | Notify | Tell) -> None:
    match command:
        case Reply(_, id_, result):
            asker.reply(id_, result)
        case Refuse(_, id_, error):
            asker.refuse(id_, error)
        case Notify(_, method, params):
            asker.tell(method, params)
        case Tell(_, review_id, surface, ide, reason):
            asker.notify("review/surface", {"id": review_id, "surface": surface, "ide": ide, "reason": reason})
