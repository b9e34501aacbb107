"""The link to an IDE: dialled for work, live when ``initialize`` is answered, closed when idle."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import pytest

from bridge.core import jsonrpc
from bridge.core.events import (
    AskDirty,
    CallTool,
    HangUp,
    LinkClosed,
    LinkMessage,
    LinkState,
    Refuse,
    Reply,
    Send,
    Tick,
)
from bridge.core.links import CALL_S, HANDSHAKE_S, IDLE_S, Link
from bridge.core.ranking import Candidate, Listener
from bridge.errors import Unavailable
from tests.playbook import (
    ANN,
    CODE,
    IDEA,
    NVIM,
    Playbook,
    answers,
    asks,
    bring_up,
    calls,
    dials,
    fails,
    opened,
    scene,
    tools,
)

LOOK = CallTool(tool="getOpenEditors", arguments=b"{}")
HINT = "open the folder in an IDE with its Claude Code plugin, or see bridge status"


def closed(state: LinkState, reason: str = "why", candidate: Candidate = CODE, at: float = 1000.0) -> LinkClosed:
    return LinkClosed(at, candidate.lock.ide_id, state, reason)


def refused(id_: int, message: str, hint: str = HINT) -> Refuse:
    return Refuse(ANN, id_, Unavailable(message, hint))


def could_not(id_: int, why: str, name: str = "Visual Studio Code") -> Refuse:
    return refused(id_, f"{name} could not do it: {why}", "bridge status")


def initialize(id_: int) -> Send:
    client = {"name": "bridge", "version": "1.0"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    return Send(CODE.lock.ide_id, jsonrpc.request(id_, "initialize", jsonrpc.dump(params)))


def after_initialize(id_: int) -> list[Send]:
    frames = (
        jsonrpc.notification("notifications/initialized"),
        jsonrpc.notification("ide_connected", b'{"pid":77}'),
        jsonrpc.request(id_, "tools/list"),
    )
    return [Send(CODE.lock.ide_id, frame) for frame in frames]


@pytest.fixture
def live(story: Playbook) -> Playbook:
    """A story in which CODE's link is live, and idle since 1000; the next id is 4."""
    story.quietly(asks(LOOK, scene=scene(CODE)))
    bring_up(story)
    return story.quietly(answers(3))


def test_an_ide_is_dialled_for_work_and_proves_itself_before_it_gets_any(story: Playbook) -> None:
    hello, connected, listing = after_initialize(2)
    (
        story
        >> asks(LOOK, scene=scene(CODE))
        << dials()
        >> opened()
        << initialize(1)
        >> answers(1)
        << hello
        << connected
        << listing
        >> answers(2, tools())
        << calls("getOpenEditors", {}, 3)
        >> answers(3, b'{"content":[]}')
        << Reply(ANN, 1, b'{"content":[]}')
    )


def test_two_jobs_share_one_dialling(story: Playbook) -> None:
    story >> asks(LOOK, 1, scene=scene(CODE)) << dials() >> asks(LOOK, 2, scene=scene(CODE))
    bring_up(story)
    assert [call.tool for call in story.link().calls.values()] == ["getOpenEditors"] * 2


def test_each_session_gets_its_own_answer_whatever_the_order(live: Playbook) -> None:
    (
        live
        >> asks(LOOK, 8, scene=scene(CODE))
        << calls("getOpenEditors", {}, 4)
        >> asks(LOOK, 8, who=ANN, scene=scene(CODE))
        << calls("getOpenEditors", {}, 5)
        >> answers(5, b'"second"')
        << Reply(ANN, 8, b'"second"')
        >> answers(4, b'"first"')
        << Reply(ANN, 8, b'"first"')
        >> answers(4, b'"again"')  # nobody waits for it
    )
    assert live.router.links.dropped == 1


class Failure(NamedTuple):
    state: LinkState
    again_at: float | None  # a request then dials again; None: not before the lock file changes
    occupied: bool = False


FAILURES = [
    Failure(LinkState.LISTENING, 1002.0),
    Failure(LinkState.NOT_ANSWERING, 1002.0),
    Failure(LinkState.GONE, 1002.0),
    Failure(LinkState.SLOT_LOST, 1002.0),
    Failure(LinkState.SLOT_LOST, None, occupied=True),
    Failure(LinkState.REFUSED, None),
    Failure(LinkState.PORT_TAKEN, None),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_a_link_that_failed_is_let_alone_for_a_while_or_for_good(story: Playbook, failure: Failure) -> None:
    world = scene(replace(CODE, occupied=failure.occupied))
    story >> asks(LOOK, 1, scene=scene(CODE)) << dials() >> closed(failure.state)
    said = "why a moment ago" if failure.state is LinkState.LISTENING else f"{failure.state}: why"
    story << refused(1, f"no IDE can be used here: {said}")
    story >> asks(LOOK, 2, scene=world, at=1000.1) << refused(2, f"no IDE can be used here: {said}")
    if failure.again_at is not None:
        story >> asks(LOOK, 3, scene=world, at=failure.again_at) << dials()
    else:
        story >> asks(LOOK, 3, scene=world, at=9000.0) << refused(3, f"no IDE can be used here: {said}")


@pytest.mark.parametrize("state", [LinkState.REFUSED, LinkState.PORT_TAKEN])
def test_a_new_lock_file_or_the_users_word_ends_a_refusal(story: Playbook, state: LinkState) -> None:
    story.quietly(asks(LOOK, 1, scene=scene(CODE)), closed(state))
    (
        story
        >> asks(LOOK, 2, scene=scene(replace(CODE, modified=1500.0)), at=1500.0)
        << dials()
        >> closed(state, at=1500.0)
    )
    story << refused(2, f"no IDE can be used here: {state}: why")
    story >> asks(LOOK, 3, scene=scene(CODE, named="4001"), at=1600.0) << dials()


def test_a_lost_slot_is_taken_back_only_on_the_users_word_and_never_at_once(story: Playbook) -> None:
    taken = replace(CODE, occupied=True)
    story.quietly(asks(LOOK, 1, scene=scene(CODE)))
    bring_up(story)
    trouble = refused(2, "no IDE can be used here: slot lost: why")
    story >> closed(LinkState.SLOT_LOST) << could_not(1, "getOpenEditors: Visual Studio Code went away (why)")
    story >> asks(LOOK, 2, scene=scene(taken, named="code"), at=1000.1) << trouble
    story >> asks(LOOK, 3, scene=scene(taken, named="code"), at=1010.0) << dials()
    # Displaced again, in the handshake: the job is refused, not dialled in a circle.
    story >> closed(LinkState.SLOT_LOST, at=1010.0) << refused(3, "no IDE can be used here: slot lost: why")


def test_the_pause_grows_until_a_link_was_live_for_a_while(story: Playbook) -> None:
    pauses, at = [], 1000.0
    for id_ in range(12):
        story.quietly(asks(LOOK, id_, scene=scene(CODE), at=at), closed(LinkState.GONE, at=at))
        pauses.append(story.link().retry_at - at)
        at = story.link().retry_at
    assert all(later > earlier for earlier, later in pairwise(pauses[:6]))
    assert max(pauses) <= 75
    story.quietly(asks(LOOK, 99, scene=scene(CODE), at=at))
    bring_up(story, at=at)
    story.quietly(closed(LinkState.GONE, at=at + 60))
    assert story.link().retry_at - at - 60 < 1


def test_the_next_ide_is_tried_when_the_first_hangs(story: Playbook) -> None:
    (
        story
        >> asks(LOOK, scene=scene(CODE, IDEA))
        << dials(CODE)
        >> Tick(1000.0 + HANDSHAKE_S - 0.1)
        >> Tick(1000.0 + HANDSHAKE_S)
        << HangUp(CODE.lock.ide_id, "no answer within 2 s")
        << dials(IDEA)
    )
    assert story.router.links.state_of(CODE) == (LinkState.NOT_ANSWERING, "no answer within 2 s")


def test_each_step_of_the_handshake_has_its_own_deadline(story: Playbook) -> None:
    story >> asks(LOOK, scene=scene(CODE)) << dials() >> opened(at=1001.0) << initialize(1)
    assert story.router.deadline() == 1001.0 + HANDSHAKE_S
    story >> Tick(1003.0) << HangUp(CODE.lock.ide_id, "no answer within 2 s")
    story << refused(1, "no IDE can be used here: not answering: no answer within 2 s")
    assert story.router.deadline() is None


def test_an_ide_that_refuses_initialize_stays_refused(story: Playbook) -> None:
    reason = "initialize was refused: no"
    story.quietly(asks(LOOK, scene=scene(CODE)), opened())
    story >> fails(1, "no") << HangUp(CODE.lock.ide_id, reason)
    story << refused(1, f"no IDE can be used here: refused: {reason}")
    story >> Tick(1000.0 + 2 * IDLE_S)  # it is no idle link that becomes a fresh one
    assert story.router.links.state_of(CODE) == (LinkState.REFUSED, reason)


def test_an_ide_that_withholds_its_tools_is_used_without_them(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(CODE)), opened(), answers(1))
    story >> Tick(1002.0) << calls("getOpenEditors", {}, 3)
    story >> answers(2, tools(), at=1003.0)  # too late to matter
    story >> answers(3, at=1003.0) << Reply(ANN, 1, b"{}")


@pytest.mark.parametrize("listed", [b'{"tools":5}', b"1" * 5000, b'{"tools":[{"name":5}]}'], ids=repr)
def test_a_list_of_tools_that_is_none_is_no_list(story: Playbook, listed: bytes) -> None:
    story.quietly(asks(LOOK, scene=scene(CODE)))
    bring_up(story, listed=listed)
    assert story.link().tools.schemas == {}
    assert story.link().ready


def test_the_ide_going_in_the_handshake_leaves_the_job_to_the_next(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(CODE, IDEA)), opened())
    story >> closed(LinkState.REFUSED, "close code 1008") << dials(IDEA)
    story.quietly(opened(IDEA), answers(2, candidate=IDEA))
    story >> closed(LinkState.GONE, candidate=IDEA) << refused(1, "no IDE can be used here: refused: close code 1008")


# ---- calls


def test_a_call_that_is_not_answered_is_refused_in_time(live: Playbook) -> None:
    live >> asks(LOOK, 2, scene=scene(CODE)) << calls("getOpenEditors", {}, 4)
    assert live.router.deadline() == 1000.0 + CALL_S
    late = "getOpenEditors: Visual Studio Code did not answer getOpenEditors in time"
    live >> Tick(1000.0 + CALL_S) << could_not(2, late)
    live >> answers(4, at=1011.0)  # dropped
    assert live.router.links.dropped == 1


def test_every_unanswered_call_is_told_that_the_ide_went(live: Playbook) -> None:
    live.quietly(asks(LOOK, 2, scene=scene(CODE)), asks(AskDirty(path="/w/a.py"), 3, scene=scene(CODE)))
    live >> closed(LinkState.GONE, "the IDE ended")
    (
        live
        << could_not(2, "getOpenEditors: Visual Studio Code went away (the IDE ended)")
        << Reply(ANN, 3, {"dirty": None})
    )


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"id": 5, "method": "ping"}, {"jsonrpc": "2.0", "id": 5, "result": {}}),
        (
            {"id": "x", "method": "roots/list"},
            {"jsonrpc": "2.0", "id": "x", "error": {"code": -32601, "message": "Method not found"}},
        ),
    ],
)
def test_what_an_ide_asks_is_answered(live: Playbook, asked: dict[str, object], answer: object) -> None:
    message = jsonrpc.decode(jsonrpc.dump(asked))
    live >> LinkMessage(1000.0, CODE.lock.ide_id, message) << Send(CODE.lock.ide_id, jsonrpc.dump(answer))


def test_answers_to_nothing_and_notifications_are_let_pass(live: Playbook) -> None:
    for frame in (b'{"id":"mine","result":1}', b'{"id":999,"result":1}', b'{"method":"log_event"}'):
        live >> LinkMessage(1000.0, CODE.lock.ide_id, jsonrpc.decode(frame))
    assert live.router.links.dropped == 2


def test_a_selection_is_the_last_focus(live: Playbook) -> None:
    live.quietly(asks(LOOK, 2, scene=scene(NVIM, named="nvim")))
    story = live
    story >> LinkMessage(1050.0, CODE.lock.ide_id, jsonrpc.decode(b'{"method":"selection_changed","params":{}}'))
    newer = replace(NVIM, modified=2000.0)
    assert story.router.links.choose(scene(newer, CODE), 1060.0).chosen == replace(CODE, last_focus=1050.0)


# ---- rest


def test_an_idle_link_is_closed_and_dialled_again_for_work(live: Playbook) -> None:
    assert live.router.deadline() == 1000.0 + IDLE_S
    live >> Tick(1000.0 + IDLE_S) << HangUp(CODE.lock.ide_id, "idle")
    assert live.router.deadline() is None
    live >> asks(LOOK, 2, scene=scene(CODE), at=1100.0) << dials()


def test_a_link_that_rested_has_no_failures_to_its_name(story: Playbook) -> None:
    story.quietly(asks(LOOK, 1, scene=scene(CODE)), closed(LinkState.GONE))
    story.quietly(asks(LOOK, 2, scene=scene(CODE), at=1010.0))
    bring_up(story, at=1010.0)
    story.quietly(answers(story.next_id(), at=1010.0), Tick(1010.0 + IDLE_S))
    assert story.link().failures == 0


def test_a_plugin_that_hides_when_its_client_leaves_is_kept(story: Playbook) -> None:
    monet = replace(CODE, lock=CODE.lock.model_copy(update={"ide_name": "Emacs (monet)"}))
    story.quietly(asks(LOOK, scene=scene(monet)))
    bring_up(story, monet, tools(openFile=("uri",)))
    story.quietly(answers(3))
    assert story.router.deadline() is None
    story >> Tick(9000.0)


def test_the_newest_lock_file_of_an_ide_counts(live: Playbook) -> None:
    moved = replace(CODE, lock=CODE.lock.model_copy(update={"workspace_folders": ("/w", "/x")}))
    live.quietly(asks(LOOK, 2, scene=scene(moved)))
    assert live.link().lock == moved.lock


class Word(NamedTuple):
    candidate: Candidate
    link: LinkState | None  # of our link, if there is one
    state: LinkState
    why: str


WORDS = [
    Word(CODE, None, LinkState.LISTENING, ""),
    Word(replace(CODE, occupied=True), None, LinkState.OCCUPIED, "another client is connected"),
    Word(replace(CODE, listener=Listener.NONE), LinkState.LIVE, LinkState.GONE, "nothing listens on its port"),
    Word(replace(CODE, listener=Listener.FOREIGN), None, LinkState.PORT_TAKEN, "its port belongs to another user"),
    Word(CODE, LinkState.LISTENING, LinkState.LISTENING, ""),
    Word(replace(CODE, occupied=True), LinkState.LIVE, LinkState.LIVE, "why"),
    Word(CODE, LinkState.REFUSED, LinkState.REFUSED, "why"),
    Word(CODE, LinkState.SLOT_LOST, LinkState.SLOT_LOST, "why"),
    Word(CODE, LinkState.GONE, LinkState.LISTENING, ""),  # it came back
]


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_status_says_what_is_known_of_an_ide(story: Playbook, word: Word) -> None:
    if word.link is not None:
        story.router.links.links[CODE.lock.ide_id] = Link(CODE.lock, state=word.link, reason="why")
    assert story.router.links.state_of(word.candidate) == (word.state, word.why)


def test_our_own_connection_occupies_nothing(live: Playbook) -> None:
    world = scene(replace(CODE, occupied=True))
    live >> asks(LOOK, 2, scene=world) << calls("getOpenEditors", {}, 4)


def test_our_own_dialling_occupies_nothing(story: Playbook) -> None:
    story >> asks(LOOK, 1, scene=scene(CODE)) << dials()
    story >> asks(LOOK, 2, scene=scene(replace(CODE, occupied=True)))


# ---- what is left to do when a review has ended


@dataclass
class Tidying:
    """A job that notes what became of it."""

    became: list[str] = field(default_factory=list)

    def start(self, link: Link, now: float) -> None:
        self.became.append("started")

    def failed(self, link: Link, now: float) -> None:
        self.became.append("failed")


def test_tidying_is_done_on_a_link_that_is_up_and_dials_none(story: Playbook) -> None:
    story >> asks(LOOK, scene=scene(CODE)) << dials()
    job, links = Tidying(), story.router.links
    links.use_if_up(story.link(), job, 1000.0)
    assert job.became == []  # when the handshake is through
    bring_up(story)
    links.use_if_up(story.link(), job, 1000.0)
    assert job.became == ["started", "started"]
    story.quietly(closed(LinkState.GONE))
    links.use_if_up(story.link(), job, 1000.0)
    assert job.became == ["started", "started"]


def test_a_call_whose_answer_interests_nobody_ends_all_the_same(live: Playbook) -> None:
    links, link = live.router.links, live.link()
    first, second = links.new_id(), links.new_id()
    for id_ in (first, second):
        links.call(link, "close_tab", b"{}", None, 1000.0, request_id=id_)
    live.quietly(answers(first), Tick(1000.0 + CALL_S))
    assert link.idle_since == 1000.0 + CALL_S
    links.call(link, "close_tab", b"{}", None, 1011.0)
    live.quietly(closed(LinkState.GONE, at=1012.0))
    assert not link.calls


def test_a_human_is_waited_for_until_the_call_is_taken_back(live: Playbook) -> None:
    links, link = live.router.links, live.link()
    links.call(link, "openDiff", b"{}", None, 1000.0, request_id=11, patience=None)
    assert live.router.deadline() is None
    links.expect(link, 11, 2000.0)
    links.expect(link, 99, 2000.0)  # answered meanwhile
    assert live.router.deadline() == 2000.0 + CALL_S
