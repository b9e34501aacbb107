"""The router: every event in, every command out, decided in full before the first await (design.md D1).

It joins what decides: `Links` (which IDE, and the connection to it), `Desk` (what is asked of reviews), `Presenter`
(where they are shown) and `Seats` (who waits, and what is on disk); the asks that need an IDE and nothing more are
here. The shell calls `handle` for each event and does what the commands say, in
their order; it calls again with `Tick` when `deadline` has come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bridge.core import answers, dialects, jsonrpc
from bridge.core.answers import Answer
from bridge.core.desk import Desk
from bridge.core.events import (
    Ask,
    AskDirty,
    Asked,
    CallTool,
    Cancel,
    Command,
    Decide,
    Event,
    Left,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    Look,
    OpenFile,
    Propose,
    Refuse,
    Reopen,
    Reply,
    Restored,
    Saved,
    SaveFailed,
    Seen,
    Surveyed,
    Tick,
    Wait,
)
from bridge.core.jsonrpc import Message
from bridge.core.link import Link
from bridge.core.links import Links
from bridge.core.seats import Seats
from bridge.core.selection import no_ide
from bridge.core.showing import Presenter
from bridge.core.spots import find_spot
from bridge.core.translate import Unmappable
from bridge.errors import BridgeError, Unavailable, Usage

__all__ = ["NOT_RELAYED", "RELAYED", "Router"]

# Tools that show or save, and decide nothing; a plugin's own tool might accept a diff in the human's place (D11).
RELAYED: Final = frozenset(
    {
        "checkDocumentDirty",
        "getCurrentSelection",
        "getDiagnostics",
        "getLatestSelection",
        "getOpenEditors",
        "getWorkspaceFolders",
        "saveDocument",
    }
)
NOT_RELAYED: Final = {
    "openFile": "use open: it checks the file and finds the line",
    "openDiff": "use propose: a proposed change is a review",
    "close_tab": "use cancel: a tab belongs to its review",
    "closeAllDiffTabs": "use cancel: the tabs belong to reviews, of other agents too",
    "executeCode": "the bridge runs no code",
}


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
        self._asks: dict[type[Any], Callable[[Asked, Any], None]] = {
            OpenFile: self._use_ide,
            CallTool: self._use_ide,
            AskDirty: self._use_ide,
            Propose: self.desk.propose,
            Wait: self.desk.wait,
            Cancel: self.desk.cancel,
            Reopen: self.desk.reopen,
            Decide: self.desk.decide,
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
            case Saved(now, review_id, version):
                self.seats.saved(review_id, version, now)
            case SaveFailed(now, review_id, version, reason):
                self.seats.save_failed(review_id, version, reason, now)
            case _:
                self._rarely(event)

    def _rarely(self, event: Event) -> None:
        match event:
            case Left(_, session):
                self.seats.left(session)
            case Restored(now, reviews):
                self.desk.restore(reviews, now)
            case Seen(now, review_id):
                self.presenter.seen(review_id, now)
            case Surveyed(now, scenes):
                self.desk.surveyed(scenes, now)
            case Tick(now):  # pragma: no branch (there are no more)
                self.links.tick(now)
                self.desk.tick(now)

    def deadline(self) -> float | None:
        """Say when `Tick` is wanted next; None: not at all."""
        return min((*self.links.deadlines(), *self.desk.deadlines()), default=None)

    def look_again(self) -> list[Command]:
        """Ask for a survey when there is a review that a new IDE might take."""
        unseated = self.desk.unseated()
        return [Look(unseated)] if unseated else []

    def _asked(self, asked: Asked) -> None:
        try:
            self._asks[type(asked.ask)](asked, asked.ask)
        except BridgeError as error:
            self._out.append(Refuse(asked.session, asked.id, error))

    def _heard(self, ide_id: str, message: Message, now: float) -> None:
        late = self.links.received(ide_id, message, now)
        if late is not None:
            self.presenter.late_answer(self.links.links[ide_id], message, now)

    # ---- asks that an IDE answers

    def _use_ide(self, asked: Asked, ask: Ask) -> None:
        if isinstance(ask, CallTool) and ask.tool in NOT_RELAYED:
            raise Usage(f"{ask.tool} is not relayed", NOT_RELAYED[ask.tool])
        if isinstance(ask, CallTool) and ask.tool not in RELAYED:
            raise Usage(f"{ask.tool} is not relayed", f"what an IDE may be asked: {', '.join(sorted(RELAYED))}")
        self._try(_Errand(self, asked), asked.now)

    def _try(self, errand: _Errand, now: float) -> None:
        """Send an errand to the best IDE that is left; each failure leaves one fewer."""
        asked = errand.asked
        assert asked.scene is not None
        selection = self.links.choose(asked.scene, now)
        if selection.chosen is not None:
            self.links.use(selection.chosen, errand, now)
        elif isinstance(asked.ask, AskDirty):
            self._out.append(Reply(asked.session, asked.id, {"dirty": None}))
        else:
            raise no_ide(selection, asked.scene.named)

    def do(self, errand: _Errand, link: Link, now: float) -> None:
        """Make the call that the errand is about, on a live link."""
        asked = errand.asked
        call = partial(self.links.call, link, now=now)
        try:
            match asked.ask:
                case CallTool(tool=tool, arguments=arguments, file=file):
                    if file is not None:
                        arguments = jsonrpc.dump(dialects.file_arguments(link.tools, tool, file))
                    call(tool, arguments, partial(self._relay, asked, tool))
                case AskDirty(path=path):
                    arguments = jsonrpc.dump(dialects.file_arguments(link.tools, "checkDocumentDirty", path))
                    call("checkDocumentDirty", arguments, partial(self._dirty, asked))
                case OpenFile(path=path, line=line, column=column, text=text):  # pragma: no branch (nor other asks)
                    spot = find_spot(text, line, column) if text is not None and line else None
                    given, positioned = dialects.open_file_arguments(link.tools, path, line=line, spot=spot)
                    call("openFile", jsonrpc.dump(given), partial(self._opened, asked, positioned))
        except BridgeError as error:
            if isinstance(error, Unmappable) and isinstance(asked.ask, AskDirty):  # then the IDE has not opened it
                self._out.append(Reply(asked.session, asked.id, {"dirty": None}))
            else:
                self._out.append(Refuse(asked.session, asked.id, error))

    def retry(self, errand: _Errand, link: Link, now: float) -> None:
        """Choose again: the link could not be opened."""
        try:
            self._try(errand, now)
        except BridgeError as error:
            self._out.append(Refuse(errand.asked.session, errand.asked.id, error))

    def _relay(self, asked: Asked, tool: str, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        """Pass a tool's result on as it is; only positions that count from 1 are shifted."""
        if message is None or message.error:
            self._refuse(asked, link, f"{tool}: {answer.error}")
            return
        try:
            result = _relayed(link, message)
        except (ValueError, RecursionError):
            self._refuse(asked, link, f"{tool}: its answer is not JSON that can be passed on")
        else:
            self._out.append(Reply(asked.session, asked.id, result))

    def _dirty(self, asked: Asked, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        self._out.append(Reply(asked.session, asked.id, {"dirty": answers.read_dirty(answer)}))

    def _opened(
        self, asked: Asked, positioned: bool, link: Link, answer: Answer, message: Message | None, now: float
    ) -> None:
        failure, found = answers.read_open_file(answer)
        if failure is not None:
            self._refuse(asked, link, failure)
            return
        result = {"ide": link.name, "port": link.lock.port, "positioned": positioned and found}
        self._out.append(Reply(asked.session, asked.id, result))

    def _refuse(self, asked: Asked, link: Link, reason: str) -> None:
        error = Unavailable(f"{link.name} could not do it: {reason}", "bridge status")
        self._out.append(Refuse(asked.session, asked.id, error))


def _relayed(link: Link, message: Message) -> bytes:
    """Give the result on one line, as the agents' sockets want it; raises `ValueError` or `RecursionError`."""
    if link.traits.one_based:
        return jsonrpc.dump(answers.zero_based_result(jsonrpc.load(message.result)))
    return jsonrpc.compact(message.result)


@dataclass(frozen=True, slots=True)
class _Errand:
    """The job of asking one IDE one thing for one session."""

    router: Router
    asked: Asked

    def start(self, link: Link, now: float) -> None:
        self.router.do(self, link, now)

    def failed(self, link: Link, now: float) -> None:
        self.router.retry(self, link, now)
