"""Links: the one connection to each IDE, shared by all sessions; when to dial, and what an answer belongs to.

Nobody's token is sent without work to do: a link is dialled for a job and closed when it was idle for
`IDLE_S` (design.md D2). It is *live* only when ``initialize`` is answered: a refused token can look like a
successful upgrade. What is known of one IDE and its link, failures included, is a `Link`.

A job is what wants an IDE. It is started once on a link that is live, or told that the link failed, and may
then choose again; `Links` never drops one silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from bridge.core import dialects, jetbrains, jsonrpc, progress, translate
from bridge.core.answers import Answer, read_answer
from bridge.core.choosing import Choices
from bridge.core.dialects import Tools
from bridge.core.events import Command, Dial, HangUp, LinkState, Log, Send, SessionId
from bridge.core.jsonrpc import Message
from bridge.core.link import FOR_GOOD, UP, Call, Done, Job, Link
from bridge.core.lockfile import Family
from bridge.core.selection import Candidate, Listener
from bridge.errors import BadData

__all__ = ["CALL_S", "HANDSHAKE_S", "IDLE_S", "MOST_LINKS", "RELAY_S", "Links"]

HANDSHAKE_S: Final = 2.0  # from dialling to each step of the handshake; a local IDE needs a tenth of it
RELAY_S: Final = 12.0  # more, where a Windows program may have to be started: PowerShell takes seconds
CALL_S: Final = 10.0  # every call but openDiff, which waits for a human
IDLE_S: Final = 60.0
MOST_LINKS: Final = 100  # every life of an IDE is one; beyond this, those that are over are forgotten

DiffClosed = Callable[[str, bool, Link, Answer, Message | None, float], None]


class Links:
    """All links, and the jobs that wait for them. Commands go to `out`."""

    def __init__(self, out: list[Command], ids: Iterator[int], *, pid: int, version: str) -> None:
        self.links: dict[str, Link] = {}
        self.dropped = 0  # answers that belonged to nothing
        self.untranslated = 0  # paths of IDEs that have no name on our side, and passed as they are
        self._out = out
        self._ids = ids
        self._pid = pid
        self._version = version
        choices = Choices(self.links)
        self.choose = choices.choose
        self.diff_closed: DiffClosed = lambda *_: None  # who shows diffs sets it
        self.state_of = choices.state_of
        self.lacking = choices.lacking

    # ---- opening

    def use(self, candidate: Candidate, job: Job, now: float) -> None:
        """Start `job` on the IDE, dialling it first if need be."""
        link = self.links.get(candidate.lock.ide_id)
        if link is None:
            self._make_room(now)
            link = self.links[candidate.lock.ide_id] = Link(candidate.lock)
        # Its folders may have changed, or the way to it; its identity did not.
        link.lock, link.route = candidate.lock, candidate.route
        if link.ready:
            job.start(link, now)
            link.note_idle(now)
            return
        link.held.append(job)
        if link.state not in UP:
            link.state, link.reason = LinkState.CONNECTING, ""
            link.allow(HANDSHAKE_S + (RELAY_S if link.route.relay else 0.0), now)
            link.failed_lock, link.hidden = candidate.modified, candidate.listener is Listener.HIDDEN
            self._out.append(Dial(link.lock, link.route))

    def _make_room(self, now: float) -> None:
        """Forget links that are down and hold nothing, once there are many; those that must pause stay."""
        spare = [link for link in self.links.values() if link.is_spare(now)]
        spare.sort(key=lambda link: link.state in FOR_GOOD)  # a refusal is remembered longest
        for link in spare[: max(len(self.links) + 1 - MOST_LINKS, 0)]:
            del self.links[link.id]

    def opened(self, ide_id: str, now: float) -> None:
        """Begin the handshake: the IDE accepted the upgrade, or began its event stream."""
        link = self.links[ide_id]
        link.allow(HANDSHAKE_S, now)
        self._request(link, "initialize", dialects.initialize(self._version), self._initialized)

    def _request(self, link: Link, method: str, params: bytes, done: Done, deadline: float | None = None) -> None:
        request_id = next(self._ids)
        link.calls[request_id] = Call(tool=method, done=done, deadline=deadline)
        link.idle_since = None
        self._out.append(Send(link.id, jsonrpc.request(request_id, method, params)))

    def _initialized(self, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        """Go on with the handshake: the IDE proved to speak MCP and took our token."""
        if message is None:
            return  # the link is closing already
        if answer.error is not None:
            self.hang_up(link, LinkState.REFUSED, f"initialize was refused: {answer.error}", now)
            return
        link.state, link.live_since = LinkState.LIVE, now
        link.allow(HANDSHAKE_S, now)
        self._out.append(Send(link.id, jsonrpc.notification("notifications/initialized")))
        if link.lock.family is Family.JETBRAINS:
            link.product = jetbrains.product_of(message)
        if link.lock.family is Family.CLAUDE:
            self._out.append(Send(link.id, jsonrpc.notification("ide_connected", jsonrpc.dump({"pid": self._pid}))))
        self._request(link, "tools/list", jsonrpc.EMPTY, self._listed)

    def _listed(self, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        if message is None:
            return
        tools = Tools.parse(message)
        if (mark := link.traits.mark) and mark not in tools.schemas:
            self.hang_up(link, LinkState.PORT_TAKEN, f"who listens there has no {mark}", now)
        else:
            self._ready(link, tools, now)

    def _ready(self, link: Link, tools: Tools, now: float) -> None:
        """Start what waited: the IDE's tools are known, or will not be."""
        link.learn(tools)
        link.ready, link.deadline, link.missed_at = True, None, None
        while link.leftovers:
            self.close_tab(link, link.leftovers.popleft(), now)
        held, link.held = link.held, []
        for job in held:
            job.start(link, now)
        link.note_idle(now)

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
        meta: bytes = b"",
        session: SessionId | None = None,
        raw: bool = False,
    ) -> int:
        """Call a tool and give the request's id.

        Args:
            arguments, meta: JSON already.
            patience: seconds; None means that a human answers.
            session: who hears of the call's progress, if `meta` has a token for that.
            raw: `done` reads the message itself, if at all; its `answer` says only why there is none.

        Raises before anything is sent: `Unmappable` for a path of ours that the IDE has no name for, or that means
        another file there; `BadData` for arguments that cannot be read.
        """
        if link.route.mapper is not None:
            arguments = translate.to_ide(link.route.mapper, tool, arguments)
        request_id = next(self._ids) if request_id is None else request_id
        deadline = None if patience is None else now + patience
        call = link.calls[request_id] = Call(tool=tool, done=done, deadline=deadline, raw=raw)
        link.idle_since = None
        if meta:
            meta, call.progress = progress.swapped(meta, request_id, session)
        params = dialects.call(tool, arguments, meta)
        self._out.append(Send(link.id, jsonrpc.request(request_id, "tools/call", params)))
        return request_id

    def take_back(self, link: Link, request_id: int) -> None:
        """Tell the IDE that nobody wants the answer any more, which is dropped if it comes."""
        call = link.calls.get(request_id)
        if call is not None:
            call.done, call.progress = None, None
            cancelled = jsonrpc.dump({"requestId": request_id})
            self._out.append(Send(link.id, jsonrpc.notification("notifications/cancelled", cancelled)))

    def expect(self, link: Link, request_id: int, now: float) -> None:
        """Wait no longer for a human: what the call asked for was taken back."""
        call = link.calls.get(request_id)
        if call is not None:
            call.deadline = now + CALL_S

    def close_tab(self, link: Link, tab: str, now: float) -> None:
        """Close a diff, now or when the IDE is next live: it is not dialled for that.

        `tab` is its tab's name, or its file, where that names the diff: then `diff_closed` is told of the answer.
        """
        if not link.ready:
            link.leftovers.append(tab)
            return
        by_file, file = link.traits.diffs_by_file, link.key(tab)
        tool, arguments = dialects.closing(link.tools, tab, by_file=by_file)
        done = partial(self.diff_closed, tab, file in link.cleared) if by_file else None
        try:
            self.call(link, tool, jsonrpc.dump(arguments), done, now)
        except BadData:
            return  # its schema wants a path of its own that is none: the tab stays, which harms nobody
        if by_file:
            link.open_diffs = {review: known for review, known in link.open_diffs.items() if known != file}
            link.closing[file] = math.inf
            link.cleared.add(file)

    def received(self, ide_id: str, message: Message, now: float) -> int | None:
        """Take an answer or a request; give the id of an answer that belongs to no call, for the desk to look up."""
        if message.is_response:
            return self._answered(self.links[ide_id], message, now)
        self._out.append(Send(ide_id, _answer_ide(message)))
        return None

    def list_again(self, link: Link, done: Done, now: float) -> None:
        """Ask an IDE whose tools changed for them, which are known to `link` when `done` is told.

        Not while they are being listed: that answer comes after the change.
        """

        def listed(link: Link, answer: Answer, message: Message | None, now: float) -> None:
            if message is not None and not message.error:
                link.learn(Tools.parse(message))
            done(link, answer, message, now)

        if link.ready and all(call.tool != "tools/list" for call in link.calls.values()):
            self._request(link, "tools/list", jsonrpc.EMPTY, listed, now + CALL_S)

    def _answered(self, link: Link, message: Message, now: float) -> int | None:
        request_id = message.id
        if not isinstance(request_id, int):
            self.dropped += 1
            return None
        call = link.calls.get(request_id)
        if call is None:
            return request_id
        if call.done is not None:
            message = self._translated(link, call.tool, message)
        del link.calls[request_id]  # not before: should translating fail, the call still has its deadline
        if call.done is not None:
            call.done(link, Answer() if call.raw else read_answer(message), message, now)
        link.note_idle(now)
        return None

    def _translated(self, link: Link, tool: str, message: Message) -> Message:
        """Give the answer with our names for its paths."""
        if link.route.mapper is None:
            return message
        message, untranslated = translate.to_agent_result(link.route.mapper, tool, message)
        self.untranslated += untranslated
        return message

    # ---- ending

    def closed(self, ide_id: str, state: LinkState, reason: str, now: float) -> None:
        """Take note that the link ended; held jobs choose again, unanswered calls are told."""
        link = self.links[ide_id]
        if state is LinkState.SLOT_LOST and link.traits.several_clients:  # who is connected takes no place of ours
            state, reason = LinkState.LISTENING, "it closed the connection"
        link.fail(state, reason, now)
        self._out.append(Log(f"link to {link.name} on port {link.lock.port}: {state}: {reason}"))
        held, link.held = link.held, []
        calls, link.calls = list(link.calls.values()), {}
        for job in held:
            job.failed(link, now)
        for call in calls:
            if call.done is not None:
                call.done(link, Answer(error=f"{link.name} went away ({reason})"), None, now)

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
                    link.note_idle(now)
            if link.idle_since is not None and now >= link.idle_since + IDLE_S and not link.traits.keep_open:
                self._out.append(HangUp(link.id, "idle"))
                link.failures = 0
                link.rest(LinkState.LISTENING, "")

    def _too_slow(self, link: Link, now: float) -> None:
        """End a handshake that stands still; an IDE that only withholds its tools is used without them."""
        if link.state is LinkState.LIVE and not link.traits.mark:
            link.calls = {id_: call for id_, call in link.calls.items() if call.tool != "tools/list"}
            self._ready(link, Tools(), now)
        else:
            self.hang_up(link, LinkState.NOT_ANSWERING, f"no answer within {link.allowed_s:g} s", now)

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        for link in self.links.values():
            if link.deadline is not None:
                yield link.deadline
            if link.idle_since is not None and not link.traits.keep_open:
                yield link.idle_since + IDLE_S
            yield from (call.deadline for call in link.calls.values() if call.deadline is not None)


def _answer_ide(message: Message) -> bytes:
    """Answer what an IDE asks of us: ``ping``, and nothing else."""
    assert message.id is not None
    if message.method == "ping":
        return jsonrpc.result(message.id)
    return jsonrpc.error(message.id, jsonrpc.dump({"code": -32601, "message": "Method not found"}))
