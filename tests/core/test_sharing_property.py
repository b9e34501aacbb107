"""Many agents, whatever happens: each request is answered once and to its asker, and nothing is kept of who is gone.

On top of the world in which reviews are decided, agents that take us for their IDE come and go: they show diffs, close
tabs, call tools, take back what they asked, and follow what IDEs say. They all count their requests from 1.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from bridge.core import jsonrpc
from bridge.core.asks import Ask, CallTool, CloseTab, CloseTabs, ListTools, ShowDiff
from bridge.core.events import (
    Asked,
    Command,
    Deliver,
    Follows,
    Left,
    LookFor,
    Notify,
    Refuse,
    Reply,
    SessionId,
    Tell,
    Withdrawn,
)
from bridge.core.jsonrpc import RequestId
from bridge.core.reviews import Review, State, decision, same_proposal
from tests.core.test_decisions_property import Window, World
from tests.playbook import answers, notifies, review, tools

PATIENCE_S = 60.0  # two IDEs, each with a handshake and a call
CHANGED = "notifications/tools/list_changed"
LISTS = ["openFile openDiff close_tab", "openFile openDiff close_tab saveDocument"]
# As the shell does it: the key of a diff says what it is about.
DIFFS = st.sampled_from(["new\n", "newer\n"])
TABS = st.sampled_from(["a", "b"])


class Shared(World):
    """Agents are added to the world; `do` checks that they hear what is theirs."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.sessions = itertools.count(100)
        self.agents: dict[SessionId, itertools.count[int]] = {}  # each counts its own requests
        self.asked_at: dict[tuple[SessionId, RequestId], float] = {}
        self.lookfors: list[SessionId] = []
        self.delivered: set[str] = set()
        self.lists: dict[str, str] = dict.fromkeys(self.windows, LISTS[0])
        self.saying: str | None = None  # the IDE that says something unasked

    # ---- the shell

    def do(self, command: Command) -> None:
        match command:
            case Reply(session, int(id_)) | Refuse(session, int(id_)):
                assert (session, id_) in self.waiting, "answered once, and only who waits"
                super().do(command)
            case Notify():
                self.notified(command)
            case LookFor(sessions):
                self.lookfors += sessions
            case Deliver(review_id):
                self.deliver(review_id)
            case Tell(session, review_id) if session in self.agents:
                assert any(s == session and isinstance(ask, ShowDiff) for (s, _), ask in self.waiting.items())
                assert review_id in self.journal
            case _:
                super().do(command)

    def deliver(self, review_id: str) -> None:
        record = self.journal.get(review_id)
        if record is not None and record.state is State.DECIDED:
            self.delivered.add(review_id)

    def notified(self, told: Notify) -> None:
        assert told.session in self.agents
        if told.method == "notifications/progress":
            asker, id_ = json.loads(told.params)["progressToken"].split()
            assert int(asker) == told.session
            assert isinstance(self.waiting[told.session, int(id_)], CallTool)
        elif told.method != CHANGED:  # else it is said now, or was selected before the session came
            links = self.router.links.links
            saying = [links[self.saying]] if self.saying else [link for link in links.values() if link.selection]
            assert any(told.session in link.followers for link in saying)

    def answer(self, session: SessionId, id_: int | str, result: Any) -> None:
        assert isinstance(id_, int)
        ask = self.waiting[session, id_]
        match ask:
            case ShowDiff():
                record = self.journal[result["id"]]
                assert result == decision(record)
                assert record.outcome is not None
                assert same_proposal(record, ask.review)
            case CallTool():
                assert json.loads(result) == {"who": session, "id": id_}
            case ListTools():
                assert result is None or " ".join(result) in ["", *LISTS]
            case CloseTab():
                assert result is None or result["outcome"] is not None
            case CloseTabs():
                assert result in (0, 1, 2)
            case _:
                super().answer(session, id_, result)
                return
        del self.waiting[session, id_]

    def write_one(self, well: bool) -> None:
        id_ = self.writing[0].id
        super().write_one(well)
        if id_ in self.journal and id_ not in self.known:
            self.known.append(id_)

    def answer_chore(self, window: Window) -> None:
        id_ = self.chores(window)[0]
        asked = window.owes[id_]
        if asked["method"] == "tools/list":
            result = tools(self.lists[window.candidate.lock.ide_id])
        elif asked.get("params", {}).get("name") == "getOpenEditors":
            result = jsonrpc.dump(asked["params"]["arguments"])
        else:
            super().answer_chore(window)
            return
        del window.owes[id_]
        self.feed(answers(id_, result, candidate=window.candidate, at=self.now))

    # ---- agents

    def poses(self, data: st.DataObject, ask: Ask | None = None) -> None:
        """Let some agent ask; its call of a tool says whose it is."""
        session = self.some_agent(data)
        id_ = next(self.agents[session])
        if ask is None:
            arguments = jsonrpc.dump({"who": session, "id": id_})
            meta = jsonrpc.dump({"progressToken": f"{session} {id_}"})
            ask = CallTool(tool="getOpenEditors", arguments=arguments, posed=True, meta=meta)
        self.waiting[session, id_], self.asked_at[session, id_] = ask, self.now
        self.feed(Asked(self.now, session, id_, ask, self.world()))

    def some_agent(self, data: st.DataObject) -> SessionId:
        return data.draw(st.sampled_from(sorted(self.agents)))

    @precondition(lambda self: len(self.agents) < 3)
    @rule(follows=st.booleans())
    def come(self, follows: bool) -> None:
        session = SessionId(next(self.sessions))
        self.agents[session] = itertools.count(1)
        if follows:
            self.feed(Follows(self.now, session, self.world()))

    @precondition(lambda self: self.agents)
    @rule(data=st.data(), tab=TABS, text=DIFFS)
    def show_a_diff(self, data: st.DataObject, tab: str, text: str) -> None:
        new = review(f"d{next(self.numbers)}", at=self.now, proposed=text, request_key=f"diff of {text}")
        self.poses(data, ShowDiff(review=new, tab=tab, known=self.undelivered(new)))

    def undelivered(self, new: Review) -> Review | None:
        """Look into the journal for a decision that nobody took."""
        found = [
            record
            for record in self.journal.values()
            if (record.request_key, record.state) == (new.request_key, State.DECIDED)
            if record.id not in self.delivered and same_proposal(record, new)
        ]
        return found[-1] if found else None

    @precondition(lambda self: self.agents)
    @rule(data=st.data(), tab=TABS)
    def close_a_tab(self, data: st.DataObject, tab: str) -> None:
        self.poses(data, CloseTab(tab=tab))

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def close_all_tabs(self, data: st.DataObject) -> None:
        self.poses(data, CloseTabs())

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def call_a_tool(self, data: st.DataObject) -> None:
        self.poses(data)

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def list_tools(self, data: st.DataObject) -> None:
        self.poses(data, ListTools())

    @precondition(lambda self: self.agents)
    @rule(data=st.data(), there=st.booleans())
    def follow(self, data: st.DataObject, there: bool) -> None:
        self.feed(Follows(self.now, self.some_agent(data), self.world() if there else None))

    @precondition(lambda self: any(session in self.agents for session, _ in self.waiting))
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        session, id_ = data.draw(st.sampled_from(sorted(key for key in self.waiting if key[0] in self.agents)))
        del self.waiting[session, id_]
        self.feed(Withdrawn(self.now, session, id_))

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def take_back_what_was_not_asked(self, data: st.DataObject) -> None:
        session = self.some_agent(data)
        others = {id_ for other, id_ in self.waiting if other != session} - {
            id_ for other, id_ in self.waiting if other == session
        }
        for id_ in sorted(others):
            self.feed(Withdrawn(self.now, session, id_))

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.go(self.some_agent(data))

    def go(self, session: SessionId) -> None:
        del self.agents[session]
        self.waiting = {key: ask for key, ask in self.waiting.items() if key[0] != session}
        self.lookfors = [other for other in self.lookfors if other != session]
        self.feed(Left(self.now, session))

    # ---- IDEs and the shell

    @precondition(lambda self: any(w.up for w in self.windows.values()))
    @rule(
        data=st.data(),
        method=st.sampled_from(["selection_changed", "at_mentioned", CHANGED]),
        named=st.sampled_from(LISTS),
    )
    def say_something(self, data: st.DataObject, method: str, named: str) -> None:
        window = self.some(data, [w for w in self.windows.values() if w.up])
        self.saying = window.candidate.lock.ide_id
        if method == CHANGED:
            self.lists[self.saying] = named
        self.feed(notifies(method, candidate=window.candidate, at=self.now))
        self.saying = None

    @precondition(lambda self: any(w.up and self.chores(w) for w in self.windows.values()))
    @rule()
    def tell_of_progress(self) -> None:
        for window in self.windows.values():
            for id_ in self.chores(window) if window.up else ():
                params = jsonrpc.dump({"progressToken": id_, "progress": 1})
                self.feed(notifies("notifications/progress", params, candidate=window.candidate, at=self.now))

    @precondition(lambda self: self.lookfors)
    @rule()
    def look_for(self) -> None:
        sessions, self.lookfors = self.lookfors, []
        for session in dict.fromkeys(sessions):
            self.feed(Follows(self.now, session, self.world()))

    @precondition(lambda self: len(self.journal) > 1)
    @rule()
    def kill_the_daemon(self) -> None:
        self.agents.clear()
        self.lookfors.clear()
        super().kill_the_daemon()

    # ---- what always holds

    @invariant()
    def whoever_asks_is_remembered(self) -> None:
        held = {(w.session, w.id) for seat in self.seats() for w in self.remembered(seat)}
        assert set(self.waiting) == held | set(self.router.errands._under_way)

    @invariant()
    def nobody_waits_for_an_ide_for_ever(self) -> None:
        for key in self.router.errands._under_way:
            assert self.now <= self.asked_at[key] + PATIENCE_S or self.router.deadline() is not None

    @rule()
    def let_much_time_pass(self) -> None:
        self.let_time_pass(PATIENCE_S)
        assert all(self.asked_at[key] == self.now for key in self.router.errands._under_way)

    @invariant()
    def tabs_and_their_owners_agree(self) -> None:
        tabs = self.router.tabs
        assert set(tabs._tabs) <= set(self.agents)
        named = {id_: (session, tab) for session, mine in tabs._tabs.items() for tab, id_ in mine.items()}
        assert tabs._owners == named
        assert all(id_ in self.router.desk.seats or id_ in self.journal for id_ in named), "what could not be kept"

    @invariant()
    def followers_and_links_agree(self) -> None:
        followers = self.router.followers._by_session
        assert set(followers) <= set(self.agents)
        for link in self.router.links.links.values():
            assert link.followers == {s for s, follower in followers.items() if follower.link is link}
            assert link.ready or not link.followers
        for session, follower in followers.items():
            if follower.link is None and follower.job is None:
                assert follower.look_at is not None or session in self.lookfors, "looked for, sooner or later"
            if follower.job is not None:
                assert any(follower.job in link.held for link in self.router.links.links.values())

    @invariant()
    def a_link_rests_when_there_is_nothing_to_do(self) -> None:
        for link in self.router.links.links.values():
            assert (link.idle_since is not None) == (link.ready and not link.busy)
            assert link.ready or link.deadline is not None or not (link.calls or link.held)

    def teardown(self) -> None:
        """Everybody leaves: nothing is kept of them."""
        self.let_much_time_pass()
        for session in list(self.agents):
            self.go(session)
        super().teardown()
        router = self.router
        assert not (router.errands._under_way)
        assert not (router.tabs._tabs)
        assert not (router.tabs._owners)
        assert not router.followers.sessions
        assert not any(link.busy for link in router.links.links.values())


TestShared = Shared.TestCase
TestShared.settings = settings(
    deadline=None, max_examples=150, stateful_step_count=60, suppress_health_check=[HealthCheck.too_slow]
)
