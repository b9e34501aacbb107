"""Words of the stories about links and reviews: what has happened before, and what follows."""

from typing import Any

from bridge.core.asks import CallTool, Propose, Wait
from bridge.core.dialects import tab_name
from bridge.core.events import Command, Ended, LinkClosed, LinkState, Refuse, Reply, Restored, Saved, Tell
from bridge.core.ranking import Candidate
from bridge.core.reviews import Review, Showing, Step, advance, decision
from bridge.errors import Unavailable
from tests.playbook import ANN, CODE, Playbook, asks, review, scene

ID = CODE.lock.ide_id
NAME = "Visual Studio Code"
NO_IDE = "no IDE is running"
WAIT = Wait(review_id="r1")
LOOK = CallTool(tool="getOpenEditors", arguments=b"{}")
HINT = "open the folder in an IDE with its Claude Code plugin, or see bridge status"


# ---- links


def closed(state: LinkState, reason: str = "why", candidate: Candidate = CODE, at: float = 1000.0) -> LinkClosed:
    return LinkClosed(at, candidate.lock.ide_id, state, reason)


def refused(id_: int, message: str, hint: str = HINT) -> Refuse:
    return Refuse(ANN, id_, Unavailable(message, hint))


def could_not(id_: int, why: str, name: str = "Visual Studio Code") -> Refuse:
    return refused(id_, f"{name} could not do it: {why}", "bridge status")


# ---- reviews


def proposed(story: Playbook, *candidates: Candidate, id_: str = "r1", **more: Any) -> Review:
    """Let ANN propose a change, and have it on disk."""
    new = review(id_, at=story.at, **more)
    story.quietly(asks(Propose(review=new), 900, scene=scene(*candidates), at=story.at), Saved(story.at, id_, 1))
    return new


def shown(record: Review, request_id: int, candidate: Candidate = CODE, at: float = 1000.0) -> Review:
    """The record of a review whose diff an IDE is about to get."""
    tab = tab_name("/w/a.py", record.id)
    showing = Showing(ide_id=candidate.lock.ide_id, request_id=request_id, tab_name=tab)
    return advance(record, Step.SHOW, at, showings=(*record.showings, showing))


def unshown(record: Review, at: float = 1000.0, **changes: Any) -> Review:
    return advance(record, Step.UNSHOW, at, **changes)


def ends(record: Review, *waiting: tuple[Any, int | str]) -> list[Command]:
    """What follows when the end of a review is on disk, but for its tabs."""
    return [*(Reply(who, id_, decision(record)) for who, id_ in waiting), Ended(record)]


def tell(surface: str | None, ide: str | None = None, reason: str = "", of: str = "r1") -> Tell:
    return Tell(ANN, of, surface, ide, reason)


def saved(record: Review, at: float | None = None) -> Saved:
    return Saved(record.changed if at is None else at, record.id, record.version)


def lost(reason: str = "the IDE ended", state: LinkState = LinkState.GONE, at: float = 1000.0) -> LinkClosed:
    return closed(state, reason, at=at)


def restored(*reviews: Review, at: float = 2000.0) -> Restored:
    return Restored(at, reviews)


def then(story: Playbook, *commands: Command) -> Playbook:
    for command in commands:
        story << command
    return story
