"""The router's vocabulary: what the shell reports (events) and what it is told to do (commands).

Every event carries `now`, seconds of a clock that may be compared with every other one (epoch seconds, so
that records make sense after a restart). A command is done by one function in the shell, which decides
nothing (design.md D1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType

from bridge.core.jsonrpc import Message, RequestId
from bridge.core.lockfile import LockFile
from bridge.core.reach import HERE, Route
from bridge.core.reviews import Change, Comment, Review, Surface
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the shell saw when a request came: every IDE, and where the asker stands."""

    candidates: tuple[Candidate, ...]
    place: Place
    terminal: Terminal
    named: str | None = None  # the IDE that the user named
    pinned: Pinned | None = None  # it was named by a pin
    takeover: bool = False  # the user allows an occupied IDE's slot to be taken


# ---- what an agent may ask


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """Open a file; `line` and `column` are 1-based; `text` is the file's, to find the line by."""

    path: str
    line: int | None = None
    column: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTool:
    """Call one of the IDE's own tools; `arguments` is JSON and crosses untouched, but for paths (`core.translate`).

    With `file`, the one file that the tool is about, it gets that alone, in the argument that its plugin has for it.
    """

    tool: str
    arguments: bytes
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDirty:
    """Ask whether the document has unsaved changes in its IDE."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Propose a change: the review as it would begin, and the one that its request key named before."""

    review: Review
    known: Review | None = None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Answer when the review has ended, or at `until` (epoch seconds; None: no limit)."""

    review_id: str
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End an undecided review."""

    review_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Show an undecided review again, there where the human wants it."""

    review_id: str
    surface: Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """The human's decision on the page; `finals` None is a rejection. No front for agents builds this."""

    review_id: str
    finals: tuple[str, ...] | None
    comments: tuple[Comment, ...] = ()


Ask = OpenFile | CallTool | AskDirty | Propose | Wait | Cancel | Reopen | Decide


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
class Left:
    """A session ended, however it ended."""

    now: float
    session: SessionId


@dataclass(frozen=True, slots=True)
class Restored:
    """The daemon started and found these undecided reviews in its journal."""

    now: float
    reviews: tuple[Review, ...]


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """A dialled IDE accepted the WebSocket upgrade; that is no proof yet."""

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


Event = Asked | Left | Restored | LinkOpened | LinkMessage | LinkClosed | Saved | SaveFailed | Seen | Surveyed | Tick


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
class Dial:
    """Open a WebSocket to an IDE; report `LinkOpened` or `LinkClosed`."""

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
class Ended:
    """A review ended and is on disk: whoever shows it takes note."""

    review: Review


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the daemon's log."""

    text: str


Command = Reply | Refuse | FromJournal | Tell | Dial | Send | HangUp | Watch | Save | Look | Ended | Log

__all__ = [
    "Ask",
    "AskDirty",
    "Asked",
    "CallTool",
    "Cancel",
    "Change",
    "Command",
    "Decide",
    "Dial",
    "Ended",
    "Event",
    "FromJournal",
    "HangUp",
    "Left",
    "LinkClosed",
    "LinkMessage",
    "LinkOpened",
    "LinkState",
    "Log",
    "Look",
    "OpenFile",
    "Propose",
    "Refuse",
    "Reopen",
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
    "Wait",
    "Watch",
]
