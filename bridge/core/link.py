"""A link: what is known of one IDE and of our connection to it.

A failed link carries its *trouble* in words until its pause is over, or, where the token was refused or the port
is somebody else's, until the lock file changes; selection reads it. The pause grows with every failure until a
link was live for a while. When to dial, and what to say, is `bridge.core.links`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from bridge.core.answers import Answer
from bridge.core.context import Context
from bridge.core.dialects import Tools
from bridge.core.events import LinkState, SessionId
from bridge.core.jsonrpc import Message
from bridge.core.lockfile import LockFile
from bridge.core.progress import Progress
from bridge.core.ranking import Candidate
from bridge.core.reach import HERE, Route
from bridge.core.traits import Traits, lacks, offers, traits_of

__all__ = ["FAILED", "FOR_GOOD", "RELAY_PAUSE_S", "SLOT_PAUSE_S", "UP", "Call", "Done", "Job", "Link"]

STEADY_S: Final = 10.0  # a link that lived so long was no accident: the pause starts afresh
PAUSE_S: Final = (0.5, 60.0)  # first and longest
SLOT_PAUSE_S: Final = 5.0  # after another client took its place, at least: what was seen a moment ago is no proof
RELAY_LONGEST_S: Final = 600.0  # stale lock files must not take the turns of those behind them for ever
RELAY_PAUSE_S: Final = 20.0  # after a relay missed, at least: longer than looking for the next IDE may take
MOST_LEFTOVERS: Final = 20
FOR_GOOD: Final = frozenset({LinkState.REFUSED, LinkState.PORT_TAKEN})
UP: Final = frozenset({LinkState.CONNECTING, LinkState.LIVE})
FAILED: Final = FOR_GOOD | {
    LinkState.NOT_ANSWERING,
    LinkState.SLOT_LOST,
    LinkState.GONE,
    LinkState.UNREACHABLE,
}


class Job(Protocol):
    """Something that wants an IDE."""

    def start(self, link: Link, now: float) -> None:
        """Do the work: the link is live and its tools are known."""

    def failed(self, link: Link, now: float) -> None:
        """Choose again, or give up: the link could not be opened."""


class Done(Protocol):
    """What takes the answer to a call."""

    def __call__(self, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        """Take the answer; `message` None means that none will come, and `answer.error` says why."""


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that the IDE has not answered."""

    tool: str
    done: Done | None  # None: the answer interests nobody
    deadline: float | None  # None: a human answers, or the link's own deadline counts
    progress: Progress | None = None
    raw: bool = False  # what the answer says is for `done` to read


@dataclass(slots=True, eq=False)
class Link:
    """What is known of one IDE's life (`ide_id`) and our connection to it."""

    lock: LockFile
    product: str = ""  # what it calls itself, where its lock file does not
    route: Route = HERE
    state: LinkState = LinkState.LISTENING
    reason: str = ""
    tools: Tools = field(default_factory=Tools)
    listed: bool = False  # it was asked for its tools, and they are `tools`
    traits: Traits = field(init=False)  # by its family alone, until its tools are known
    last_focus: float | None = None
    deadline: float | None = None  # of the handshake's step, set by `allow`
    allowed_s: float = 0.0  # for that step
    ready: bool = False  # live, and its tools are known
    calls: dict[int, Call] = field(default_factory=dict)
    held: list[Job] = field(default_factory=list)
    showing: list[str] = field(default_factory=list)  # reviews whose diff it shows
    queue: list[str] = field(default_factory=list)  # reviews that wait for their turn
    failures: int = 0
    retry_at: float = 0.0
    hidden: bool = False  # it was dialled where only a relay leads
    missed_at: float | None = None  # when a relay failed to get to it, and none has since
    failed_lock: float | None = None  # the lock's mtime when the link failed
    leftovers: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LEFTOVERS))  # diffs to close when live
    # Of a plugin that knows diffs by file, on this connection; a file as `key` gives it:
    open_diffs: dict[str, str] = field(default_factory=dict)  # the file of each review whose diff it said is open
    closing: dict[str, float] = field(default_factory=dict)  # files, and until when; infinite: until that is answered
    cleared: set[str] = field(default_factory=set)  # files of which no diff of others, or of earlier, is open
    followers: set[SessionId] = field(default_factory=set)  # hear what it says unasked
    selection: bytes | None = None  # what was selected last, as followers heard it
    context: Context | None = None  # what a companion told of its window last
    tells_closing: bool = False  # it has answered that a diff's tab was closed: then its "rejected" means no
    live_since: float | None = None
    idle_since: float | None = None

    def __post_init__(self) -> None:
        """Know what all plugins of its family have in common."""
        self.traits = traits_of(self.lock.family, "", self.tools)

    @property
    def id(self) -> str:
        """The IDE's identity: port and a hash of its token."""
        return self.lock.ide_id

    @property
    def name(self) -> str:
        """The IDE's name as it, or its lock file, has it: hostile text."""
        return self.product or self.lock.ide_name

    @property
    def offers(self) -> Collection[str]:
        """The tools that an agent of this IDE is offered."""
        return offers(self.traits, self.tools)

    def key(self, path: str) -> str:
        """Give what is the same for all spellings of one path, of ours, that this IDE may use."""
        mapper = self.route.mapper
        return path if mapper is None else mapper.key(path)

    @property
    def busy(self) -> bool:
        """Whether something is under way here."""
        return bool(self.calls or self.held or self.showing or self.queue or self.followers)

    def is_spare(self, now: float) -> bool:
        """Tell whether nothing is lost when the link is forgotten, but for a lasting trouble."""
        return self.state not in UP and not self.busy and now >= max(self.retry_at, self.relay_at)

    def learn(self, tools: Tools) -> None:
        """Know its tools, and what kind of plugin has these."""
        self.traits = traits_of(self.lock.family, self.name, tools)
        self.tools, self.listed = tools.taking(self.traits.argument), True

    def lacks(self, tool: str) -> str | None:
        """Say why it cannot serve an official tool, as `traits.lacks` does."""
        return lacks(self.traits, self.tools if self.listed else None, tool)

    def note_idle(self, now: float) -> None:
        """See whether there is work left; if not, `Links` closes the link after a while."""
        self.idle_since = now if self.ready and not self.busy else None

    def fail(self, state: LinkState, reason: str, now: float) -> None:
        """Take note that the link ended, and how long it is to be let alone."""
        steady = self.live_since is not None and now - self.live_since >= STEADY_S
        self.failures = 0 if steady else self.failures + 1
        if self.hidden and not self.ready:
            self.missed_at = now
        least = SLOT_PAUSE_S if state is LinkState.SLOT_LOST else 0.0
        self.retry_at = now + max(self._pause(*PAUSE_S), least)
        self.rest(state, reason)

    @property
    def relay_at(self) -> float:
        """When a relay may look for it again; a way that leads to it meanwhile may be taken from `retry_at` on."""
        if self.missed_at is None:
            return 0.0
        return self.missed_at + max(self._pause(RELAY_PAUSE_S / 2, RELAY_LONGEST_S), RELAY_PAUSE_S)

    def _pause(self, first: float, longest: float) -> float:
        """Double the pause with every failure; the jitter is the IDE's own, so that two daemons differ."""
        jitter = hashlib.sha256(f"{self.id} {self.failures}".encode()).digest()[0] / 255
        return min(first * 2.0 ** min(self.failures, 16), longest) * (0.75 + jitter / 2)

    def allow(self, seconds: float, now: float) -> None:
        """Give the next step of the handshake so much time."""
        self.allowed_s, self.deadline = seconds, now + seconds

    def rest(self, state: LinkState, reason: str) -> None:
        """Forget what belonged to the connection, but for calls and jobs: they are still to be told."""
        self.state, self.reason = state, reason
        self.showing.clear()
        self.queue.clear()
        self.followers.clear()
        self.selection, self.context = None, None
        self.open_diffs.clear()
        self.closing.clear()
        self.cleared.clear()
        self.ready, self.deadline, self.live_since, self.idle_since = False, None, None, None

    def trouble(self, candidate: Candidate, now: float, named: bool) -> str | None:
        """Say why this IDE cannot be used now, or None."""
        if self.state in UP:
            return None
        pausing = now < self.retry_at
        if self.state not in FAILED:
            return f"{self.reason} a moment ago" if pausing else None
        unchanged = candidate.modified == self.failed_lock
        if self.state is LinkState.GONE and not unchanged:
            return None  # it came back, and cannot be told from its former life: it has no token
        if self.state is LinkState.SLOT_LOST:  # on another machine nobody sees who is connected
            lasting = candidate.occupied or (unchanged and not self.route.here)
        else:
            lasting = unchanged and self.state in FOR_GOOD
        return f"{self.state}: {self.reason}" if pausing or (lasting and not named) else None
