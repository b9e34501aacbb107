"""Links: the one connection to each IDE, shared by all sessions; when to dial, and what an answer belongs to.

Nobody's token is sent without work to do: a link is dialled for a job and closed when it was idle for
`IDLE_S` (design.md D2). It is *live* only when ``initialize`` is answered: a refused token can look like a
successful upgrade. A failed link carries its *trouble* in words until its pause is over, or, where the
token was refused or the port is somebody else's, until the lock file changes; selection reads it.

A job is what wants an IDE. It is started once on a link that is live, or told that the link failed, and may
then choose again; `Links` never drops one silently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from bridge.core import dialects, jsonrpc
from bridge.core.dialects import OFFICIAL, Answer, Tools, Traits
from bridge.core.events import Command, Dial, HangUp, LinkState, Log, Scene, Send
from bridge.core.jsonrpc import Message
from bridge.core.lockfile import LockFile
from bridge.core.selection import Candidate, Listener, Selection, select

__all__ = ["CALL_S", "HANDSHAKE_S", "IDLE_S", "Call", "Job", "Link", "Links"]

HANDSHAKE_S: Final = 2.0  # from dialling to each step of the handshake; a local IDE needs a tenth of it
CALL_S: Final = 10.0  # every call but openDiff, which waits for a human
IDLE_S: Final = 60.0
STEADY_S: Final = 10.0  # a link that lived so long was no accident: the pause starts afresh
PAUSE_S: Final = (0.5, 60.0)  # first and longest
FOR_GOOD: Final = frozenset({LinkState.REFUSED, LinkState.PORT_TAKEN})
UP: Final = frozenset({LinkState.CONNECTING, LinkState.LIVE})
FAILED: Final = FOR_GOOD | {LinkState.NOT_ANSWERING, LinkState.SLOT_LOST, LinkState.GONE}


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


@dataclass(slots=True, eq=False)
class Link:
    """What is known of one IDE's life (`ide_id`) and our connection to it."""

    lock: LockFile
    state: LinkState = LinkState.LISTENING
    reason: str = ""
    tools: Tools = field(default_factory=Tools)
    traits: Traits = OFFICIAL
    last_focus: float | None = None
    deadline: float | None = None  # of the handshake's step
    ready: bool = False  # live, and its tools are known
    calls: dict[int, Call] = field(default_factory=dict)
    held: list[Job] = field(default_factory=list)
    showing: list[str] = field(default_factory=list)  # reviews whose diff it shows
    queue: list[str] = field(default_factory=list)  # reviews that wait for their turn
    failures: int = 0
    retry_at: float = 0.0
    failed_lock: float | None = None  # the lock's mtime when the link failed
    live_since: float | None = None
    idle_since: float | None = None

    @property
    def id(self) -> str:
        """The IDE's identity: port and a hash of its token."""
        return self.lock.ide_id

    @property
    def name(self) -> str:
        """The IDE's name as its lock file has it: hostile text."""
        return self.lock.ide_name

    @property
    def busy(self) -> bool:
        """Whether something is under way here."""
        return bool(self.calls or self.held or self.showing or self.queue)

    def trouble(self, candidate: Candidate, now: float, named: bool) -> str | None:
        """Say why this IDE cannot be used now, or None."""
        if self.state in UP:
            return None
        pausing = now < self.retry_at
        if self.state not in FAILED:
            return f"{self.reason} a moment ago" if pausing else None
        if self.state is LinkState.SLOT_LOST:
            lasting = candidate.occupied
        else:
            lasting = self.state in FOR_GOOD and candidate.modified == self.failed_lock
        return f"{self.state}: {self.reason}" if pausing or (lasting and not named) else None


class _Choice(NamedTuple):
    """A choice that was made, and from what: the same question has the same answer."""

    scene: Scene
    known: list[Candidate]
    selection: Selection


class Links:
    """All links, and the jobs that wait for them. Commands go to `out`."""

    def __init__(self, out: list[Command], ids: Iterator[int], *, pid: int, version: str) -> None:
        self.links: dict[str, Link] = {}
        self.dropped = 0  # answers that belonged to nothing
        self._out = out
        self._ids = ids
        self._pid = pid
        self._version = version
        self._last: _Choice | None = None

    # ---- choosing

    def choose(self, scene: Scene, now: float) -> Selection:
        """Choose among the scene's IDEs, with what the links know added to what the shell saw."""
        known = [self._informed(candidate, scene, now) for candidate in scene.candidates]
        if self._last is None or self._last.scene is not scene or self._last.known != known:
            selection = select(known, scene.place, scene.terminal, named=scene.named, takeover=scene.takeover)
            self._last = _Choice(scene, known, selection)
        return self._last.selection

    def _informed(self, candidate: Candidate, scene: Scene, now: float) -> Candidate:
        link = self.links.get(candidate.lock.ide_id)
        if link is None:
            traits = dialects.traits_of(candidate.lock.ide_name, Tools())
            return replace(candidate, shareable=traits.several_clients)
        return replace(
            candidate,
            shareable=link.traits.several_clients,
            last_focus=link.last_focus,
            trouble=link.trouble(candidate, now, bool(scene.named)),
            occupied=candidate.occupied and link.state not in UP,  # it is we who are connected, or about to be
        )

    def state_of(self, candidate: Candidate) -> tuple[LinkState, str]:
        """Tell what `status` says of an IDE, and why."""
        link = self.links.get(candidate.lock.ide_id)
        if candidate.listener is Listener.NONE:
            return LinkState.GONE, "nothing listens on its port"
        if candidate.listener is Listener.FOREIGN:
            return LinkState.PORT_TAKEN, "its port belongs to another user"
        if link is not None and link.state not in (LinkState.LISTENING, LinkState.GONE):  # it came back
            return link.state, link.reason
        if candidate.occupied:
            return LinkState.OCCUPIED, "another client is connected"
        return LinkState.LISTENING, ""

    # ---- opening

    def use(self, candidate: Candidate, job: Job, now: float) -> None:
        """Start `job` on the IDE, dialling it first if need be."""
        link = self.links.get(candidate.lock.ide_id)
        if link is None or link.lock != candidate.lock:  # its folders may have changed; its identity did not
            link = self._adopt(candidate, link)
        if link.ready:
            job.start(link, now)
            self.note_idle(link, now)
            return
        link.held.append(job)
        if link.state not in UP:
            link.state, link.reason, link.deadline = LinkState.CONNECTING, "", now + HANDSHAKE_S
            link.failed_lock = candidate.modified
            self._out.append(Dial(link.lock))

    def use_if_up(self, link: Link, job: Job, now: float) -> None:
        """Start `job` on a link that is up, once its handshake is through; one that is down is left so."""
        if link.ready:
            job.start(link, now)
        elif link.state in UP:
            link.held.append(job)

    def _adopt(self, candidate: Candidate, link: Link | None) -> Link:
        if link is None:
            link = self.links[candidate.lock.ide_id] = Link(candidate.lock)
        link.lock = candidate.lock
        return link

    def opened(self, ide_id: str, now: float) -> None:
        """Begin the handshake: the IDE accepted the upgrade."""
        link = self.links[ide_id]
        link.deadline = now + HANDSHAKE_S
        self._request(link, "initialize", dialects.initialize(self._version), self._initialized)

    def _request(self, link: Link, method: str, params: bytes, done: Done) -> None:
        request_id = next(self._ids)
        link.calls[request_id] = Call(tool=method, done=done, deadline=None)
        self._out.append(Send(link.id, jsonrpc.request(request_id, method, params)))

    def _initialized(self, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        """Go on with the handshake: the IDE proved to speak MCP and took our token."""
        if message is None:
            return  # the link is closing already
        if answer.error is not None:
            self.hang_up(link, LinkState.REFUSED, f"initialize was refused: {answer.error}", now)
            return
        link.state, link.live_since, link.deadline = LinkState.LIVE, now, now + HANDSHAKE_S
        self._out += [
            Send(link.id, jsonrpc.notification("notifications/initialized")),
            Send(link.id, jsonrpc.notification("ide_connected", jsonrpc.dump({"pid": self._pid}))),
        ]
        self._request(link, "tools/list", jsonrpc.EMPTY, self._listed)

    def _listed(self, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        if message is not None:
            self._ready(link, Tools.parse(message), now)

    def _ready(self, link: Link, tools: Tools, now: float) -> None:
        """Start what waited: the IDE's tools are known, or will not be."""
        link.tools, link.traits = tools, dialects.traits_of(link.name, tools)
        link.ready, link.deadline = True, None
        held, link.held = link.held, []
        for job in held:
            job.start(link, now)
        self.note_idle(link, now)

    # ---- working

    def new_id(self) -> int:
        """Give a request id that no earlier life of the daemon used."""
        return next(self._ids)

    def call(
        self,
        link: Link,
        tool: str,
        arguments: bytes,
        done: Done | None,
        now: float,
        *,
        request_id: int | None = None,
        patience: float | None = CALL_S,
    ) -> None:
        """Call a tool; `arguments` is JSON already, `patience` None means that a human answers."""
        request_id = next(self._ids) if request_id is None else request_id
        deadline = None if patience is None else now + patience
        link.calls[request_id] = Call(tool=tool, done=done, deadline=deadline)
        link.idle_since = None
        self._out.append(Send(link.id, jsonrpc.request(request_id, "tools/call", dialects.call(tool, arguments))))

    def expect(self, link: Link, request_id: int, now: float) -> None:
        """Wait no longer for a human: what the call asked for was taken back."""
        call = link.calls.get(request_id)
        if call is not None:
            call.deadline = now + CALL_S

    def received(self, ide_id: str, message: Message, now: float) -> int | None:
        """Take a message; give the id of an answer that belongs to no call, for the desk to look up."""
        link = self.links[ide_id]
        if message.is_response:
            call = link.calls.pop(message.id, None) if isinstance(message.id, int) else None
            if call is None:
                if isinstance(message.id, int):
                    return message.id
                self.dropped += 1
                return None
            if call.done is not None:
                call.done(link, dialects.read_answer(message), message, now)
            self.note_idle(link, now)
        elif message.is_request and message.id is not None:
            self._out.append(Send(ide_id, _answer_ide(message)))
        elif message.method == "selection_changed":
            link.last_focus = now
        return None

    def note_idle(self, link: Link, now: float) -> None:
        """See whether the link has work left; if not, it is closed after `IDLE_S`."""
        link.idle_since = now if link.ready and not link.busy else None

    # ---- ending

    def closed(self, ide_id: str, state: LinkState, reason: str, now: float) -> None:
        """Take note that the link ended; held jobs choose again, unanswered calls are told."""
        link = self.links[ide_id]
        steady = link.live_since is not None and now - link.live_since >= STEADY_S
        link.failures = 0 if steady else link.failures + 1
        link.retry_at = now + _pause(link)
        self._rest(link, state, reason)
        self._out.append(Log(f"link to {link.name} on port {link.lock.port}: {state}: {reason}"))
        held, link.held = link.held, []
        calls, link.calls = list(link.calls.values()), {}
        for job in held:
            job.failed(link, now)
        for call in calls:
            if call.done is not None:
                call.done(link, Answer(error=f"{link.name} went away ({reason})"), None, now)

    def _rest(self, link: Link, state: LinkState, reason: str) -> None:
        link.state, link.reason = state, reason
        link.showing.clear()
        link.queue.clear()
        link.ready, link.deadline, link.live_since, link.idle_since = False, None, None, None

    def hang_up(self, link: Link, state: LinkState, reason: str, now: float) -> None:
        """Close the link from our side, because it failed us."""
        self._out.append(HangUp(link.id, reason))
        self.closed(link.id, state, reason, now)

    def tick(self, now: float) -> None:
        """Act on every deadline that has passed."""
        for link in list(self.links.values()):
            if link.deadline is not None and now >= link.deadline:
                self._too_slow(link, now)
            for request_id, call in list(link.calls.items()):
                if call.deadline is not None and now >= call.deadline:
                    del link.calls[request_id]
                    if call.done is not None:
                        late = Answer(error=f"{link.name} did not answer {call.tool} in time")
                        call.done(link, late, None, now)
                    self.note_idle(link, now)
            if link.idle_since is not None and now >= link.idle_since + IDLE_S and not link.traits.keep_open:
                self._out.append(HangUp(link.id, "idle"))
                link.failures = 0
                self._rest(link, LinkState.LISTENING, "")

    def _too_slow(self, link: Link, now: float) -> None:
        """End a handshake that stands still; an IDE that only withholds its tools is used without them."""
        if link.state is LinkState.LIVE:
            link.calls = {id_: call for id_, call in link.calls.items() if call.tool != "tools/list"}
            self._ready(link, Tools(), now)
        else:
            self.hang_up(link, LinkState.NOT_ANSWERING, f"no answer within {HANDSHAKE_S:g} s", now)

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        for link in self.links.values():
            if link.deadline is not None:
                yield link.deadline
            if link.idle_since is not None and not link.traits.keep_open:
                yield link.idle_since + IDLE_S
            yield from (call.deadline for call in link.calls.values() if call.deadline is not None)


def _pause(link: Link) -> float:
    """Double the pause with every failure; the jitter is the IDE's own, so that two daemons differ."""
    first, longest = PAUSE_S
    jitter = hashlib.sha256(f"{link.id} {link.failures}".encode()).digest()[0] / 255
    return min(first * 2.0 ** min(link.failures, 16), longest) * (0.75 + jitter / 2)


def _answer_ide(message: Message) -> bytes:
    """Answer what an IDE asks of us: ``ping``, and nothing else."""
    assert message.id is not None
    if message.method == "ping":
        return jsonrpc.result(message.id)
    return jsonrpc.error(message.id, jsonrpc.dump({"code": -32601, "message": "Method not found"}))
