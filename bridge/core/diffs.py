"""Diffs in an IDE: how one is shown and decided, in each of the two manners that plugins have.

*Blocking*, as the official plugin does it: a diff is known by the name of its tab, and ``openDiff`` is answered when
the human has decided. *By file*, as the companions of Gemini CLI and Qwen Code do it: ``openDiff`` is answered at once,
and a notification names the file that was decided, to every client of the window. So one diff of a file is open at a
time, and what is said of a file counts only while its newest diff is known to be open:

- Before the first diff of a file on a connection whatever may be open of it is closed: a diff of an earlier connection,
  of which nobody knows what became, or one of another client, whose word would be taken for ours.
- The next diff of a file waits until the IDE has answered the closing of the one before; should that answer say that
  none was open, it was decided a moment ago, and what is said of the file in the next `SETTLE_S` means nothing.
- Word that comes before ``openDiff`` is answered waits for that: answers and notifications come on two streams. It
  means nothing if the diff was not opened.

What cannot be told apart: a diff of the same file that another client opens in the same window, or had open there until
just before, meanwhile: its word is taken for ours.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from bridge.core import dialects, jsonrpc, translate
from bridge.core.answers import Answer, Verdict, read_closed_diff, read_verdict
from bridge.core.jsonrpc import Message
from bridge.core.link import UP, Link
from bridge.core.links import Links
from bridge.core.reviews import Review, Showing, Trigger
from bridge.core.seats import Seat

__all__ = ["SETTLE_S", "Blocking", "ByFile", "Manner", "Stage"]

SETTLE_S: Final = 1.0  # between what an IDE says of a diff and its answer to closing that, which may overtake it


class Stage(Protocol):
    """Where reviews are shown and decided, as far as a manner needs it: `bridge.core.showing.Presenter`."""

    seats: Mapping[str, Seat]

    def free(self, link: Link, review_id: str, now: float) -> None:
        """Give the review's place on the link to the next."""

    def advance(self, link: Link, now: float) -> None:
        """Show what waits on the link, as far as there is room."""

    def to_page(self, seat: Seat, link: Link, reason: str, now: float) -> None:
        """Move the review to the page for good."""

    def accept(self, seat: Seat, final: str, now: float) -> None:
        """End the review with the text that the human accepted."""

    def reject(self, seat: Seat, trigger: Trigger, now: float) -> None:
        """End the review with the human's no."""


class Manner(Protocol):
    """How a kind of plugin shows diffs."""

    @property
    def waits(self) -> bool:
        """Whether ``openDiff`` is answered by the human."""

    def obstacle(self, link: Link, seat: Seat, now: float) -> str | None:
        """Say what is in the way of this review's diff, and see that it will go; without words if that is at once."""

    def may_be_open(self, link: Link, review: Review) -> bool:
        """Tell whether its diff, which was shown there once, may be open, and no other one by its name."""

    def name(self, review: Review) -> str:
        """Give the name by which the diff will be closed."""

    def arguments(self, link: Link, review: Review, name: str) -> dict[str, Any]:
        """Build the arguments of ``openDiff``; raises `BadData` for a file that the IDE cannot be told."""

    def answered(
        self, seat: Seat, showing: Showing, link: Link, answer: Answer, message: Message | None, now: float
    ) -> None:
        """Take the answer to ``openDiff``."""


def _path(review: Review) -> str:
    return os.fsdecode(review.files[0].path)


def _is_current(seat: Seat, showing: Showing, link: Link) -> bool:
    """Tell whether the review still is where this showing put it."""
    return (seat.where, seat.link) == ("ide", link) and showing is seat.review.showings[-1]


class Blocking:
    """One tab for each diff; the answer is the decision."""

    waits: Final = True

    def __init__(self, stage: Stage, links: Links) -> None:
        self._stage = stage
        self._links = links

    def obstacle(self, link: Link, seat: Seat, now: float) -> str | None:
        """Let one diff be shown at a time, unless the plugin holds several."""
        return "another diff is open there" if link.showing and not link.traits.several_diffs else None

    def may_be_open(self, link: Link, review: Review) -> bool:
        """Take it for open: its tab is nobody else's, and stays when it was decided."""
        return True

    def name(self, review: Review) -> str:
        """Name the tab."""
        return dialects.tab_name(_path(review), review.id)

    def arguments(self, link: Link, review: Review, name: str) -> dict[str, Any]:
        """Build the arguments of ``openDiff``."""
        return dialects.open_diff_arguments(link.tools, _path(review), review.files[0].proposed, name)

    def answered(
        self, seat: Seat, showing: Showing, link: Link, answer: Answer, message: Message | None, now: float
    ) -> None:
        """Read the decision."""
        if message is None:  # its diff was taken back, or its link is lost: both are seen to elsewhere
            return
        current = _is_current(seat, showing, link)
        if current:  # else the place was given up when the diff was taken back, and may be a newer diff's
            self._stage.free(link, seat.id, now)
        verdict, said = read_verdict(answer)
        link.tells_closing |= verdict is Verdict.CLOSED
        if not seat.review.is_open or not (current or verdict is Verdict.SAVED):
            self._links.dropped += 1
        elif verdict is Verdict.SAVED:
            self._stage.accept(seat, said, now)
        elif verdict is Verdict.REJECTED:
            trigger = Trigger.REJECTED_IN_IDE if link.tells_closing else Trigger.REJECTED_OR_CLOSED
            self._stage.reject(seat, trigger, now)
        else:
            reason = f"its tab in {link.name} was closed" if verdict is Verdict.CLOSED else f"{link.name}: {said}"
            self._stage.to_page(seat, link, reason, now)


class ByFile:
    """One diff for each file; a notification is the decision."""

    waits: Final = False

    NEWS: Final[Mapping[str, Verdict]] = {
        "ide/diffAccepted": Verdict.SAVED,
        "ide/diffRejected": Verdict.REJECTED,  # or its tab was closed
        "ide/diffClosed": Verdict.REJECTED,  # the same, of Qwen's companion and older ones of Gemini's
    }

    def __init__(self, stage: Stage, links: Links) -> None:
        self._stage = stage
        self._links = links
        self._early: dict[int, tuple[Verdict, Any]] = {}  # what was said of a diff before that request was answered

    # ---- showing

    def obstacle(self, link: Link, seat: Seat, now: float) -> str | None:
        """Let one diff of a file be open at a time, and none of which nothing is known."""
        path = _path(seat.review)
        file = link.key(path)
        if any(self._file(link, other) == file for other in link.showing):
            return "another diff of this file is open there"
        if file not in link.cleared:
            self._links.close_tab(link, path, now)
        return "" if file in link.closing else None

    def may_be_open(self, link: Link, review: Review) -> bool:
        """Tell whether it is shown now, or was on an earlier connection: a decided diff is closed."""
        return review.id in link.showing or link.key(_path(review)) not in link.cleared

    def name(self, review: Review) -> str:
        """Name the file, by which the plugin knows its diff."""
        return _path(review)

    def arguments(self, link: Link, review: Review, name: str) -> dict[str, Any]:
        """Build the arguments of ``openDiff``."""
        return dialects.open_file_diff_arguments(link.tools, name, review.files[0].proposed)

    def answered(
        self, seat: Seat, showing: Showing, link: Link, answer: Answer, message: Message | None, now: float
    ) -> None:
        """Note that the diff is open, or why not."""
        early = self._early.pop(showing.request_id, None)
        lost = message is None and link.state not in UP  # which is seen to elsewhere
        if lost or not seat.review.is_open or not _is_current(seat, showing, link):
            return
        if answer.error is None:
            link.open_diffs[seat.id] = link.key(showing.tab_name)
            if early is not None:
                self._decide(seat, link, *early, now)
            return
        if message is None:  # it may still come to show it, after the closing even
            self._links.close_tab(link, showing.tab_name, now)
            link.cleared.discard(link.key(showing.tab_name))
        self._stage.to_page(seat, link, f"{link.name}: {answer.error}", now)

    def closed(self, name: str, opened: bool, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        """Make room for the next diff of this file: the IDE has answered its closing.

        `opened`: one was opened on this connection, so that word of it may be on its way if it is not open.
        """
        file = link.key(name)
        if opened and link.ready and read_closed_diff(answer) is None:
            link.closing[file] = now + SETTLE_S
        else:
            link.closing.pop(file, None)
            self._stage.advance(link, now)

    def _file(self, link: Link, review_id: str) -> str | None:
        seat = self._stage.seats.get(review_id)
        return None if seat is None else link.key(_path(seat.review))

    # ---- hearing

    def hear(self, link: Link, message: Message, now: float) -> None:
        """Take what the IDE says of a diff: it decides the review whose diff of that file is open there, or nothing."""
        params = self._read(link, message)
        path = params.get("filePath")
        file = link.key(path) if isinstance(path, str) else ""
        seat = next((s for s in self._seats_on(link) if link.key(_path(s.review)) == file), None)
        request_id = None if seat is None else seat.review.showings[-1].request_id
        said = self.NEWS[message.method or ""], params.get("content")
        if seat is not None and seat.id in link.open_diffs:
            self._decide(seat, link, *said, now)
        elif request_id in link.calls and request_id not in self._early:
            self._early[request_id] = said
        else:
            self._links.dropped += 1

    def _read(self, link: Link, message: Message) -> dict[str, Any]:
        """Give what is said, with our names for files; nothing where it cannot be read."""
        if link.route.mapper is not None:
            message, untranslated = translate.to_agent(link.route.mapper, message)
            self._links.untranslated += untranslated
        try:
            params = jsonrpc.load(message.params)
        except (ValueError, RecursionError):
            return {}
        return params if isinstance(params, dict) else {}

    def _seats_on(self, link: Link) -> Iterator[Seat]:
        """Give the undecided reviews that are shown there, or are about to be."""
        for review_id in link.showing:
            seat = self._stage.seats.get(review_id)
            if seat is not None and (seat.where, seat.link) == ("ide", link) and seat.review.is_open:
                yield seat

    def _decide(self, seat: Seat, link: Link, verdict: Verdict, content: Any, now: float) -> None:
        self._stage.free(link, seat.id, now)
        if verdict is Verdict.REJECTED:
            self._stage.reject(seat, Trigger.REJECTED_OR_CLOSED, now)
        elif isinstance(content, str):
            self._stage.accept(seat, content, now)
        else:
            self._stage.to_page(seat, link, f"{link.name} did not say which text was accepted", now)

    # ---- time

    def tick(self, now: float) -> None:
        """Wait no longer for what an IDE may have said of a diff before it was closed."""
        for link in list(self._links.links.values()):  # what waited may be shown by another IDE, which is a new link
            due = [file for file, until in link.closing.items() if now >= until]
            for file in due:
                del link.closing[file]
            if due:
                self._stage.advance(link, now)

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        for link in self._links.links.values():
            yield from (until for until in link.closing.values() if until < math.inf)
