"""The link to an IDE: dialled for work, live when ``initialize`` is answered, closed when idle."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from bridge.core import jsonrpc
from bridge.core.answers import Answer
from bridge.core.asks import AskDirty
from bridge.core.events import HangUp, LinkMessage, LinkState, Reply, Send, Tick
from bridge.core.jsonrpc import Message
from bridge.core.link import Link
from bridge.core.links import CALL_S, HANDSHAKE_S, IDLE_S, MOST_LINKS
from bridge.core.ranking import Candidate, Listener
from tests.core.candidates import ide
from tests.core.stories import LOOK, closed, could_not, refused
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
    withdraws,
)


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
    world = scene(CODE)
    story >> asks(LOOK, 1, scene=world) << dials() >> asks(LOOK, 2, scene=world) >> asks(LOOK, 3, scene=world)
    bring_up(story)
    assert [call.tool for call in story.link().calls.values()] == ["getOpenEditors"] * 3


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


# ---- IDEs that are over


def window(port: int) -> Candidate:
    return ide(port, "/w", token=f"secret-{port}")


def full(story: Playbook, state: LinkState = LinkState.GONE) -> list[str]:
    """Let `MOST_LINKS` IDEs come and go, CODE first; give the ids of all links."""
    for candidate in (CODE, *map(window, range(5001, 5000 + MOST_LINKS))):
        story.quietly(asks(LOOK, scene=scene(candidate)), closed(state, candidate=candidate))
    return list(story.router.links.links)


def test_what_is_known_of_ides_that_are_over_is_bounded(story: Playbook) -> None:
    ids = full(story)
    assert len(ids) == MOST_LINKS
    for port in (6001, 6002, 6003):
        story.quietly(asks(LOOK, scene=scene(window(port)), at=2000.0))
    assert list(story.router.links.links)[: MOST_LINKS - 3] == ids[3:]
    assert len(story.router.links.links) == MOST_LINKS


def test_an_ide_that_must_be_let_alone_is_not_forgotten_before_its_time(story: Playbook) -> None:
    full(story)
    story.quietly(asks(LOOK, scene=scene(window(6001)), at=1000.1))
    said = refused(1, "no IDE can be used here: gone: why")
    story >> asks(LOOK, scene=scene(CODE), at=1000.1) << said


def test_an_ide_with_work_is_not_forgotten_and_a_refusal_last(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(NVIM)))
    story.quietly(asks(LOOK, scene=scene(IDEA)), closed(LinkState.REFUSED, candidate=IDEA))
    full(story)
    story.quietly(asks(LOOK, scene=scene(window(6001)), at=2000.0))
    left = story.router.links.links
    assert (NVIM.lock.ide_id in left, IDEA.lock.ide_id in left, CODE.lock.ide_id in left) == (True, True, False)


# ---- what is left to do when a review has ended


def test_a_tab_is_closed_at_once_or_when_its_ide_is_next_live_and_none_is_dialled_for_it(story: Playbook) -> None:
    story >> asks(LOOK, scene=scene(CODE)) << dials()
    links = story.router.links
    links.close_tab(story.link(), "in the handshake", 1000.0)
    bring_up(story)
    links.close_tab(story.link(), "live", 1000.0)
    assert [call.tool for call in story.link().calls.values()] == ["close_tab", "getOpenEditors", "close_tab"]
    story.quietly(closed(LinkState.GONE))
    links.close_tab(story.link(), "down", 1000.0)
    assert (story.link().state, list(story.link().leftovers)) == (LinkState.GONE, ["down"])
    story.quietly(asks(LOOK, scene=scene(CODE), at=1010.0))
    bring_up(story, at=1010.0)
    assert [call.tool for call in story.link().calls.values()] == ["close_tab", "getOpenEditors"]
    assert not story.link().leftovers


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


# ---- what is taken back, and what changes


def test_taking_back_what_was_answered_says_nothing(live: Playbook) -> None:
    live >> asks(LOOK, 2, scene=scene(CODE)) << calls("getOpenEditors", {}, 4) >> answers(4) << Reply(ANN, 2, b"{}")
    live.router.links.take_back(live.link(), 4)
    live >> Tick(1000.0)  # with which it would come out


def test_a_call_that_was_taken_back_keeps_the_link_from_resting_until_its_time(live: Playbook) -> None:
    live.quietly(asks(LOOK, 2, scene=scene(CODE)), withdraws(2))
    assert live.link().idle_since is None
    live >> Tick(1000.0 + CALL_S)
    assert live.link().idle_since == 1000.0 + CALL_S


def test_tools_are_listed_again_one_time_after_the_other(live: Playbook) -> None:
    told = list[frozenset[str]]()

    def done(link: Link, answer: Answer, message: Message | None, now: float) -> None:
        told.append(frozenset(link.tools.schemas))

    links, link = live.router.links, live.link()
    for _ in range(3):
        links.list_again(link, done, 1000.0)
    live.quietly(answers(4, tools("a b")))
    links.list_again(link, done, 1000.0)
    live.quietly(Tick(1000.0 + CALL_S))  # this time it does not say
    assert told == [{"a", "b"}, {"a", "b"}]
    live.quietly(closed(LinkState.GONE))
    links.list_again(link, done, 1000.0)
    assert not link.calls


@pytest.mark.parametrize(("again", "chosen"), [(False, True), (True, False)])
@pytest.mark.parametrize("state", [LinkState.SLOT_LOST, LinkState.REFUSED], ids=str)
def test_a_name_overrides_a_refusal_only_while_somebody_asks(
    live: Playbook, state: LinkState, again: bool, chosen: bool
) -> None:
    live.quietly(closed(state))
    world = scene(replace(CODE, occupied=True), named="code")
    assert (live.router.links.choose(world, 9000.0, again=again).chosen is not None) is chosen
