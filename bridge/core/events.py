"""The router's vocabulary: what the shell reports (events) and what it is told to do (commands).

Every event carries `now`, seconds of a clock that may be compared with every other one (epoch seconds, so
that records make sense after a restart). A command is done by one function in the shell, which decides
nothing (design.md D1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType

from bridge.core.asks import Ask
from bridge.core.jsonrpc import Message, RequestId
from bridge.core.lockfile import LockFile
from bridge.core.reach import HERE, Route
from bridge.core.reviews import Review
from bridge.core.selection import Candidate, Pinned, Place
from bridge.core.terminal import Terminal
from bridge.errors import BridgeError

SessionId = NewType("SessionId", int)


class LinkState(StrEnum):
    """What can be said of an IDE and our link to it; the words of ``bridge status``."""

    LISTENING = "listening"  # its port answers to our user; no link is open
    OCCUPIED = "occupied"  # another client is connected
    CONNECTING = "connecting"
    LIVE = "live"  # `initialize` was answered
    REFUSED = "refused"  # it refused our token
    PORT_TAKEN = "port taken"  # somebody else listens there
    NOT_ANSWERING = "not answering"
    SLOT_LOST = "slot lost"  # another client took the one place it has
    GONE = "gone"  # nothing listens
    HIDDEN = "hidden"  # perhaps on Windows' own loopback: a relay looks when there is work
    UNREACHABLE = "unreachable"  # nobody answers beyond the Windows boundary, or outside the container


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Scene:
    """What the shell saw when a request came: every IDE, and where the asker stands. Each is equal to itself only."""

    candidates: tuple[Candidate, ...]
    place: Place
    terminal: Terminal
    named: str | None = None  # the IDE that the user named
    pinned: Pinned | None = None  # it was named by a pin
    takeover: bool = False  # the user allows an occupied IDE's slot to be taken


# ---- events


@dataclass(frozen=True, slots=True)
class Asked:
    """A session asks; it is answered by exactly one `Reply`, `Refuse` or `FromJournal`."""

    now: float
    session: SessionId
    id: RequestId
    ask: Ask
    scene: Scene | None = None  # for asks that may need an IDE


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A session takes a request back: it gets no answer, and a diff that nobody else waits for is cancelled."""

    now: float
    session: SessionId
    id: RequestId


@dataclass(frozen=True, slots=True)
class Follows:
    """A session wants to hear what the IDE that it works with says; `scene` None: nobody could look for one."""

    now: float
    session: SessionId
    scene: Scene | None


@dataclass(frozen=True, slots=True)
class Left:
    """A session ended, however it ended; nothing may be reported of it after that."""

    now: float
    session: SessionId


@dataclass(frozen=True, slots=True)
class Restored:
    """The daemon started and found these undecided reviews in its journal."""

    now: float
    reviews: tuple[Review, ...]


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """A dialled IDE accepted the WebSocket upgrade, or began its event stream; that is no proof yet."""

    now: float
    ide_id: str


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """An IDE sent a message."""

    now: float
    ide_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """A link, or the attempt at one, ended; `state` says what that means and `reason` why, in words."""

    now: float
    ide_id: str
    state: LinkState
    reason: str


@dataclass(frozen=True, slots=True)
class Saved:
    """The journal has this version of the review on disk."""

    now: float
    review_id: str
    version: int


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """The journal could not be written; `reason` in words."""

    now: float
    review_id: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The page shows a review to the human."""

    now: float
    review_id: str


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The shell looked around again, as `Look` asked or as the lock directories changed."""

    now: float
    scenes: dict[str, Scene | None]  # by review; None: its directory cannot be looked at


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment that `Router.deadline` named has come."""

    now: float


Event = (
    Asked
    | Withdrawn
    | Follows
    | Left
    | Restored
    | LinkOpened
    | LinkMessage
    | LinkClosed
    | Saved
    | SaveFailed
    | Seen
    | Surveyed
    | Tick
)


# ---- commands


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a session's request; `result` is what `json` can write, or bytes that are JSON already."""

    session: SessionId
    id: RequestId
    result: Any


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer a session's request with an error."""

    session: SessionId
    id: RequestId
    error: BridgeError

    def __eq__(self, other: object) -> bool:
        """Compare by what the asker reads: exceptions are otherwise equal only to themselves."""
        return isinstance(other, Refuse) and (self.session, self.id, self.error.to_json()) == (
            other.session,
            other.id,
            other.error.to_json(),
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class FromJournal:
    """Answer a session's request for an ended review: its `Decision` as the journal has it, or refuse."""

    session: SessionId
    id: RequestId
    review_id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Notify a session that waits for a review of where it is shown now."""

    session: SessionId
    review_id: str
    surface: str | None  # "ide", "page", "queued" behind another diff, or None: nowhere
    ide: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notify:
    """Pass on to a session what its IDE says unasked; `params` is JSON."""

    session: SessionId
    method: str
    params: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a WebSocket, or an event stream (SSE), to an IDE; report `LinkOpened` or `LinkClosed`."""

    lock: LockFile
    route: Route = HERE


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame to an IDE."""

    ide_id: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the link to an IDE; no `LinkClosed` is wanted for it."""

    ide_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Ping an IDE often enough that a silent death shows within 5 s, or at leisure again."""

    ide_id: str
    closely: bool


@dataclass(frozen=True, slots=True)
class Save:
    """Write this version of a review to the journal; report `Saved` or `SaveFailed`."""

    review: Review


@dataclass(frozen=True, slots=True)
class Look:
    """Look around for these reviews and report `Surveyed`: where they were shown is gone."""

    review_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookFor:
    """Look around for sessions that follow an IDE, and report `Follows` for each."""

    sessions: tuple[SessionId, ...]


@dataclass(frozen=True, slots=True)
class Deliver:
    """Note that the asker of a review has its decision, if there is one."""

    review_id: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A review ended and is on disk: whoever shows it takes note."""

    review: Review


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the daemon's log."""

    text: str


Command = (
    Reply
    | Refuse
    | FromJournal
    | Tell
    | Notify
    | Dial
    | Send
    | HangUp
    | Watch
    | Save
    | Look
    | LookFor
    | Deliver
    | Ended
    | Log
)

__all__ = [
    "Asked",
    "Command",
    "Deliver",
    "Dial",
    "Ended",
    "Event",
    "Follows",
    "FromJournal",
    "HangUp",
    "Left",
    "LinkClosed",
    "LinkMessage",
    "LinkOpened",
    "LinkState",
    "Log",
    "Look",
    "LookFor",
    "Notify",
    "Refuse",
    "Reply",
    "Restored",
    "Save",
    "SaveFailed",
    "Saved",
    "Scene",
    "Seen",
    "Send",
    "SessionId",
    "Surveyed",
    "Tell",
    "Tick",
    "Watch",
    "Withdrawn",
]
