"""Following: sessions that hear what their IDE says unasked, whatever becomes of that IDE.

An agent that takes us for its IDE has one connection for hours; the IDE behind it comes and goes. So a session
*follows* the IDE that selection finds for it: while that lives, its notifications are passed on; when it is gone the
session follows the next one, or none until one is there, and is told when the tools that it may use have changed.

To be followed is work: it opens a link, and keeps it open (design.md D2). But whoever takes the IDE's only slot from us
keeps it, even if the user named that IDE: only a request takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.core import jsonrpc, translate
from bridge.core.answers import Answer, zero_based
from bridge.core.context import read_context, selection_changed
from bridge.core.events import Command, Follows, LookFor, Notify, Scene, SessionId
from bridge.core.jsonrpc import Message
from bridge.core.link import Link
from bridge.core.links import Links
from bridge.core.posing import offered
from bridge.core.progress import call_of

__all__ = ["GONE_S", "PAUSE_S", "Followers"]

PAUSE_S: Final = (0.5, 10.0)  # first and longest, before we look again for who follows no IDE
GONE_S: Final = 10.0  # without an IDE, before a session's tools are said to be gone: one that restarts is back by then
TOOLS_CHANGED: Final = "notifications/tools/list_changed"
CONTEXT: Final = "ide/contextUpdate"
_NOT_FOR_AGENTS: Final = frozenset({"notifications/cancelled", "notifications/message", "log_event", "ping"})


@dataclass(slots=True, eq=False)
class Follower:
    """A session, and the IDE that it follows."""

    session: SessionId
    scene: Scene | None = None
    link: Link | None = None
    job: _Follow | None = None  # on its way to an IDE whose link is being opened
    tools: tuple[str, ...] | None = None  # that it was told of; None: it has not asked
    alone_since: float | None = None  # it has no IDE since then
    looks: int = 0  # in vain, one after the other
    look_at: float | None = None


class Followers:
    """All sessions that follow an IDE. Commands go to `out`."""

    def __init__(self, out: list[Command], links: Links) -> None:
        self._out = out
        self._links = links
        self._by_session: dict[SessionId, Follower] = {}

    @property
    def sessions(self) -> tuple[SessionId, ...]:
        """Who follows an IDE, or would."""
        return tuple(self._by_session)

    # ---- choosing

    def follow(self, event: Follows) -> None:
        """Let a session follow the IDE that selection finds in its scene, now or instead of another one."""
        follower = self._by_session.setdefault(event.session, Follower(event.session))
        follower.scene = event.scene
        self.choose(follower, event.now)

    def choose(self, follower: Follower, now: float) -> None:
        """Follow the IDE that would be chosen now."""
        scene = follower.scene
        chosen = None if scene is None else self._links.choose(scene, now, again=True).chosen
        if chosen is None:
            self._leave(follower, now)
            self._be_alone(follower, now)
        elif follower.link is not None and follower.link.id == chosen.lock.ide_id:
            follower.job = None  # it stays, should it have been about to go
        elif follower.job is None or follower.job.ide_id != chosen.lock.ide_id:
            follower.look_at = None
            follower.job = _Follow(self, follower, chosen.lock.ide_id)
            self._links.use(chosen, follower.job, now)

    def _be_alone(self, follower: Follower, now: float) -> None:
        """Look again after a pause; one that lasts costs the session its IDE's tools."""
        follower.look_at = now + min(PAUSE_S[0] * 2.0 ** min(follower.looks, 16), PAUSE_S[1])
        follower.looks += 1
        if follower.alone_since is None:
            follower.alone_since = now
        elif now - follower.alone_since >= GONE_S:
            self._tell_tools(follower)

    def started(self, follower: Follower, link: Link, now: float) -> None:
        """Follow a link that is live, and no other; the session hears what was selected there last."""
        self._leave(follower, now)
        follower.link, follower.looks, follower.alone_since = link, 0, None
        link.followers.add(follower.session)
        self._tell_tools(follower)
        if link.selection is not None:
            self._out.append(Notify(follower.session, "selection_changed", link.selection))

    def _leave(self, follower: Follower, now: float) -> None:
        link, follower.link, follower.job = follower.link, None, None
        if link is not None:
            link.followers.discard(follower.session)
            link.note_idle(now)

    def left(self, session: SessionId, now: float) -> None:
        """Forget a session that ended."""
        follower = self._by_session.pop(session, None)
        if follower is not None:
            self._leave(follower, now)

    def link_lost(self, link: Link, now: float) -> None:
        """Look around for those who followed a link that ended."""
        for follower in self._by_session.values():
            if follower.link is link:
                follower.link = None
                if follower.job is None:
                    self._be_alone(follower, now)

    # ---- tools

    def asked_for_tools(self, session: SessionId, names: tuple[str, ...]) -> None:
        """Note which tools a session was told of."""
        follower = self._by_session.get(session)
        if follower is not None:
            follower.tools = names

    def _tell_tools(self, follower: Follower) -> None:
        """Say that the tools are others, if they are."""
        tools = offered(None if follower.link is None else follower.link.offers)
        if follower.tools is not None and follower.tools != tools:
            follower.tools = tools
            self._out.append(Notify(follower.session, TOOLS_CHANGED, jsonrpc.EMPTY))

    def _listed_anew(self, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        for follower in self._by_session.values():
            if follower.link is link:
                self._tell_tools(follower)

    # ---- hearing

    def hear(self, link: Link, message: Message, now: float) -> None:
        """Take what an IDE says unasked; whatever it is, its followers hear it."""
        if message.method == "notifications/progress":
            self._progressed(link, message)
        elif message.method == TOOLS_CHANGED:
            self._links.list_again(link, self._listed_anew, now)
        elif message.method == CONTEXT and link.traits.diffs_by_file:
            self._told_context(link, message, now)
        elif message.method not in _NOT_FOR_AGENTS:
            self._spread(link, message, now)

    def _spread(self, link: Link, message: Message, now: float) -> None:
        selected = message.method == "selection_changed"
        if selected:
            link.last_focus = now
        if not (selected or link.followers):
            return
        try:
            params = self._for_agents(link, message)
        except (ValueError, RecursionError):
            self._links.dropped += 1
            return
        if selected:
            link.selection = params
        self._out += [Notify(session, message.method or "", params) for session in sorted(link.followers)]

    def _told_context(self, link: Link, message: Message, now: float) -> None:
        """Keep what a companion tells of its window; followers hear of the selection, if it is another one.

        The first word of a connection says how things are: it is no sign that the human is there now.
        """
        try:
            context = read_context(jsonrpc.load(self._with_our_names(link, message).params))
        except (ValueError, RecursionError):
            context = None
        if context is None:
            self._links.dropped += 1
            return
        link.last_focus = (context.focused(now) or link.last_focus) if link.context is None else now
        link.context = context
        selected = selection_changed(context)
        params = None if selected is None else jsonrpc.dump(selected)
        if params is not None and params != link.selection:
            link.selection = params
            self._out += [Notify(session, "selection_changed", params) for session in sorted(link.followers)]

    def _with_our_names(self, link: Link, message: Message) -> Message:
        if link.route.mapper is not None:
            message, untranslated = translate.to_agent(link.route.mapper, message)
            self._links.untranslated += untranslated
        return message

    def _for_agents(self, link: Link, message: Message) -> bytes:
        """Give the parameters on one line, with our names for files, and positions that count from 0.

        Raises `ValueError` or `RecursionError` for what is no JSON: no agent could read it.
        """
        message = self._with_our_names(link, message)
        if not message.params:
            return jsonrpc.EMPTY
        if link.traits.one_based and message.method == "selection_changed":
            return jsonrpc.dump(zero_based(jsonrpc.load(message.params)))
        return jsonrpc.compact(message.params)

    def _progressed(self, link: Link, message: Message) -> None:
        """Pass on how far a call is, to who made it, under its own token."""
        try:
            params = jsonrpc.load(message.params)
            request_id = call_of(params)
            call = None if request_id is None else link.calls.get(request_id)
            if call is not None and call.progress is not None:
                self._out.append(call.progress.told(params))
        except (ValueError, RecursionError):
            self._links.dropped += 1

    # ---- time

    def tick(self, now: float) -> None:
        """Look around for those whose pause is over, and again should nobody report what was seen."""
        due = [f for f in self._by_session.values() if f.look_at is not None and now >= f.look_at]
        for follower in due:
            follower.look_at = now + PAUSE_S[1]
        if due:
            self._out.append(LookFor(tuple(follower.session for follower in due)))

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        yield from (f.look_at for f in self._by_session.values() if f.look_at is not None)


@dataclass(frozen=True, slots=True, eq=False)
class _Follow:
    """The job of following an IDE."""

    followers: Followers
    follower: Follower
    ide_id: str

    def start(self, link: Link, now: float) -> None:
        if self.follower.job is self:  # else it went elsewhere, or ended, while the link was opened
            self.followers.started(self.follower, link, now)

    def failed(self, link: Link, now: float) -> None:
        if self.follower.job is self:
            self.followers.choose(self.follower, now)
