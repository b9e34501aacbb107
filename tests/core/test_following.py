"""Sessions that hear what their IDE says: from which one, under which names, and what becomes of them when it goes."""

from dataclasses import replace

import msgspec
import pytest

from bridge.core import jsonrpc
from bridge.core.asks import ListTools, OpenFile
from bridge.core.events import (
    Dial,
    Follows,
    HangUp,
    Left,
    LinkMessage,
    LinkState,
    LookFor,
    Reply,
    Send,
    SessionId,
    Tick,
)
from bridge.core.following import GONE_S, PAUSE_S
from bridge.core.jsonrpc import Message
from bridge.core.link import SLOT_PAUSE_S
from bridge.core.links import CALL_S, IDLE_S
from bridge.core.ranking import Candidate
from bridge.core.reach import Route
from tests.core.boundaries import WSL
from tests.core.candidates import ide
from tests.core.stories import LOOK, closed
from tests.playbook import (
    ANN,
    BOB,
    CODE,
    IDEA,
    Playbook,
    answers,
    asks,
    bring_up,
    calls,
    dials,
    follows,
    hears,
    notifies,
    opened,
    scene,
    tools,
)

SELECTED = b'{"text":"a","selection":{"start":{"line":3,"character":1}}}'
CHANGED = "notifications/tools/list_changed"
CAT = SessionId(3)
AGAIN = ide(4001, "/w", token="secret-next", modified=1100.0)  # CODE after a restart, on the same port


def looks_for(*sessions: SessionId) -> LookFor:
    return LookFor(sessions or (ANN,))


def lists(id_: int, candidate: Candidate = CODE) -> Send:
    return Send(candidate.lock.ide_id, jsonrpc.request(id_, "tools/list"))


def raw(method: str, params: bytes) -> LinkMessage:
    """A notification whose parameters need not be JSON: the envelope does not tell."""
    return LinkMessage(1000.0, CODE.lock.ide_id, Message(method=method, params=msgspec.Raw(params)))


def nobody_is_kept(story: Playbook) -> bool:
    return not story.router.followers.sessions and not any(link.followers for link in story.router.links.links.values())


@pytest.fixture
def followed(story: Playbook) -> Playbook:
    """A story in which ANN follows CODE; the next id is 3."""
    story >> follows(CODE) << dials()
    bring_up(story)
    return story


# ---- whom


def test_to_follow_an_ide_opens_a_link_and_keeps_it_open(followed: Playbook) -> None:
    assert followed.router.deadline() is None
    followed >> Tick(1000.0 + 2 * IDLE_S) >> Left(2000.0, ANN)
    assert followed.router.deadline() == 2000.0 + IDLE_S
    followed >> Tick(2000.0 + IDLE_S) << HangUp(CODE.lock.ide_id, "idle")
    assert nobody_is_kept(followed)


def test_the_link_stays_open_until_the_last_of_two_leaves(followed: Playbook) -> None:
    followed >> follows(CODE, who=BOB)
    followed >> notifies("selection_changed", SELECTED)
    followed << hears("selection_changed", SELECTED) << hears("selection_changed", SELECTED, who=BOB)
    followed >> Left(1000.0, ANN) >> Tick(1000.0 + IDLE_S)
    followed >> notifies("at_mentioned", b'{"filePath":"/w/a.py"}')
    followed << hears("at_mentioned", b'{"filePath":"/w/a.py"}', who=BOB)
    followed >> Left(2000.0, BOB) >> Tick(2000.0 + IDLE_S) << HangUp(CODE.lock.ide_id, "idle")


def test_whoever_begins_to_follow_hears_what_was_selected_last(followed: Playbook) -> None:
    followed.quietly(notifies("selection_changed", b'{"old":1}'), notifies("selection_changed", SELECTED))
    followed >> follows(CODE, who=BOB) << hears("selection_changed", SELECTED, who=BOB)
    followed >> follows(CODE, who=BOB)  # told already


def test_what_another_life_of_the_ide_selected_is_not_told(followed: Playbook) -> None:
    followed.quietly(notifies("selection_changed", SELECTED), closed(LinkState.LISTENING), follows(CODE, at=1010.0))
    bring_up(followed, at=1010.0)
    assert followed.link().followers == {ANN}
    followed >> notifies("at_mentioned", at=1010.0) << hears("at_mentioned")


def test_who_follows_goes_to_a_better_ide_and_hears_the_old_one_until_then(followed: Playbook) -> None:
    better = replace(IDEA, modified=2000.0)
    followed >> follows(CODE, better) << dials(better)
    followed >> follows(CODE, better)  # on its way already
    assert len(followed.link(better).held) == 1
    followed >> notifies("selection_changed", SELECTED) << hears("selection_changed", SELECTED)
    bring_up(followed, better)
    followed >> notifies("selection_changed", SELECTED) >> notifies("selection_changed", b"{}", candidate=better)
    followed << hears("selection_changed")
    assert followed.link().idle_since == 1000.0


def test_who_was_about_to_go_may_stay(followed: Playbook) -> None:
    better = replace(IDEA, modified=2000.0)
    followed >> follows(CODE, better) << dials(better) >> follows(CODE)
    bring_up(followed, better)
    followed >> notifies("x", candidate=better) >> notifies("x") << hears("x")


def test_who_was_about_to_go_stays_when_the_better_one_cannot_be_opened(followed: Playbook) -> None:
    better = replace(IDEA, modified=2000.0)
    followed >> follows(CODE, better) << dials(better) >> closed(LinkState.GONE, candidate=better)
    followed >> notifies("x") << hears("x")
    assert followed.router.deadline() is None


def test_who_was_about_to_go_goes_on_when_the_old_one_is_lost(followed: Playbook) -> None:
    better = replace(IDEA, modified=2000.0)
    followed >> follows(CODE, better) << dials(better) >> closed(LinkState.GONE)
    bring_up(followed, better)
    followed >> notifies("x", candidate=better) << hears("x")
    followed >> Tick(1000.0 + PAUSE_S[1])


def test_who_left_while_the_link_was_opened_is_not_waited_for(story: Playbook) -> None:
    story >> follows(CODE) << dials() >> Left(1000.0, ANN)
    bring_up(story)
    assert nobody_is_kept(story)
    assert story.router.deadline() == 1000.0 + IDLE_S


def test_who_left_is_not_taken_elsewhere(story: Playbook) -> None:
    story >> follows(CODE, IDEA) << dials() >> Left(1000.0, ANN) >> Left(1000.0, BOB) >> closed(LinkState.GONE)


# ---- without an IDE


def test_without_an_ide_we_look_around_at_a_slowing_pace(story: Playbook) -> None:
    story >> follows()
    at, pauses = 1000.0, []
    for _ in range(8):
        due = story.router.deadline()
        assert due is not None
        pauses.append(due - at)
        at = due
        story >> Tick(at) << looks_for()
        assert story.router.deadline() == at + PAUSE_S[1]  # should the look fail
        story >> follows(at=at)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    story >> follows(CODE, at=at) << dials()
    assert story.router.deadline() == at + 2.0  # of the handshake


def test_those_without_an_ide_are_looked_around_for_together(story: Playbook) -> None:
    story >> follows() >> follows(who=BOB) >> Tick(1000.5) << looks_for(ANN, BOB)
    assert story.router.look_again() == [looks_for(ANN, BOB)]


def test_where_nobody_could_look_there_is_no_ide(followed: Playbook) -> None:
    followed >> Follows(1000.0, ANN, None) >> notifies("x")
    assert followed.link().idle_since == 1000.0
    assert followed.router.deadline() == 1000.0 + PAUSE_S[0]


def test_an_ide_that_cannot_be_opened_is_looked_for_again(story: Playbook) -> None:
    story >> follows(CODE) << dials() >> closed(LinkState.GONE)
    story >> Tick(1000.0 + PAUSE_S[0]) << looks_for()


def test_the_next_ide_is_followed_when_the_first_cannot_be_opened(story: Playbook) -> None:
    story >> follows(CODE, IDEA) << dials() >> closed(LinkState.REFUSED) << dials(IDEA)


# ---- an IDE that goes


def test_an_ide_that_restarts_is_followed_again_whatever_its_port_and_token(followed: Playbook) -> None:
    other_port = ide(4009, "/w", token="secret", modified=1100.0)
    at = 1100.0
    for life, before in ((AGAIN, CODE), (other_port, AGAIN)):
        followed >> closed(LinkState.GONE, candidate=before, at=at)
        followed >> Tick(at + PAUSE_S[0]) << looks_for() >> follows(life, at=at + 1) << Dial(life.lock)
        bring_up(followed, life, at=at + 1)
        followed >> notifies("x", candidate=life) << hears("x")
        at += 100.0


def test_one_that_comes_back_a_moment_later_is_followed_without_a_word(followed: Playbook) -> None:
    """The extension host was reloaded: the agent's tools are the same, and it need not know."""
    story = followed
    (
        story
        >> asks(ListTools(), scene=scene(CODE))
        << Reply(ANN, 1, ["openFile", "openDiff", "close_tab", "checkDocumentDirty"])
    )
    story >> closed(LinkState.LISTENING, at=1100.0) >> Tick(1100.5) << looks_for()
    story >> follows(at=1100.6) >> Tick(1101.6) << looks_for() >> follows(at=1101.7)
    story >> follows(CODE, at=1107.0) << dials()
    bring_up(story, at=1107.0)
    assert story.link().followers == {ANN}
    story >> closed(LinkState.LISTENING, at=1200.0) >> follows(at=1200.0 + GONE_S - 1)  # it was told nothing


def test_only_who_followed_the_lost_link_is_looked_around_for(followed: Playbook) -> None:
    followed.quietly(follows(IDEA, who=BOB))
    bring_up(followed, IDEA)
    followed >> closed(LinkState.GONE) >> Tick(1000.0 + PAUSE_S[0]) << looks_for(ANN)


# ---- a slot that is lost


TAKEN = replace(CODE, occupied=True)


def test_a_lost_slot_is_not_taken_back_while_another_client_has_it(followed: Playbook) -> None:
    followed >> closed(LinkState.SLOT_LOST, at=1100.0) >> Tick(1100.5) << looks_for()
    at = 1101.0
    for _ in range(20):
        followed >> follows(TAKEN, at=at)
        at += 60.0
    followed >> follows(CODE, at=at) << dials()


@pytest.mark.parametrize("named", ["code", "4001"])
def test_not_even_an_ide_that_the_user_named_is_fought_for_by_who_follows(followed: Playbook, named: str) -> None:
    followed >> closed(LinkState.SLOT_LOST, at=1100.0)
    followed >> follows(TAKEN, named=named, at=9000.0)
    followed >> asks(LOOK, 1, scene=scene(TAKEN, named=named), at=9001.0) << dials()  # a request takes it back
    bring_up(followed, at=9001.0)
    followed >> follows(TAKEN, named=named, at=9002.0) >> notifies("x", at=9002.0) << hears("x")


def test_a_look_from_before_the_slot_was_lost_does_not_take_it_back(followed: Playbook) -> None:
    """A scene may be a second old: then it says that nobody but us is connected."""
    followed >> closed(LinkState.SLOT_LOST, at=1100.0)
    followed >> follows(CODE, at=1100.0 + SLOT_PAUSE_S - 0.1)


def test_an_ide_that_refuses_us_is_not_dialled_by_who_follows_even_if_it_is_named(story: Playbook) -> None:
    story >> follows(CODE, named="code") << dials() >> closed(LinkState.REFUSED)
    story >> follows(CODE, named="code", at=9000.0)
    story >> follows(replace(CODE, modified=8000.0), named="code", at=9000.0) << dials()


def test_an_occupied_ide_is_not_followed_unless_it_is_named(story: Playbook) -> None:
    story >> follows(TAKEN) >> follows(TAKEN, named="code") << dials()


# ---- tools


def ask_for_tools(story: Playbook, who: SessionId = ANN, id_: int = 9) -> None:
    story.quietly(asks(ListTools(), id_, who=who, scene=scene(CODE)))


def test_an_agent_is_told_when_its_tools_are_others(followed: Playbook) -> None:
    ask_for_tools(followed)
    followed >> closed(LinkState.GONE, at=1100.0)
    followed >> follows(at=1100.0 + GONE_S) << hears(CHANGED)  # there is no IDE: only our own are left
    followed >> follows(at=1200.0)  # told already
    followed >> follows(IDEA, at=1203.0) << dials(IDEA)
    followed.quietly(opened(IDEA), answers(3, candidate=IDEA))
    followed >> answers(4, tools("openFile saveDocument"), candidate=IDEA) << hears(CHANGED)


def test_an_agent_that_never_asked_is_told_nothing(followed: Playbook) -> None:
    followed >> closed(LinkState.GONE, at=1100.0) >> follows(at=1200.0)


def test_who_only_asks_for_tools_follows_nothing(story: Playbook) -> None:
    story >> asks(ListTools(), scene=scene()) << Reply(ANN, 1, None)
    assert nobody_is_kept(story)


def test_an_ide_that_gets_other_tools_is_asked_for_them_and_the_agents_are_told(followed: Playbook) -> None:
    ask_for_tools(followed)
    followed.quietly(follows(CODE, who=BOB), follows(IDEA, who=CAT))
    bring_up(followed, IDEA)
    followed.quietly(asks(ListTools(), 9, who=CAT, scene=scene(IDEA)))
    followed >> notifies(CHANGED) << lists(5)
    followed >> answers(5, tools("openFile saveDocument")) << hears(CHANGED)  # BOB has not asked, CAT's are the same
    followed >> asks(ListTools(), 10, scene=scene(CODE)) << Reply(ANN, 10, ["openFile", "saveDocument"])


def test_a_change_that_changes_nothing_is_not_told(followed: Playbook) -> None:
    """One plugin says so every 30 s."""
    ask_for_tools(followed)
    followed >> notifies(CHANGED) << lists(3) >> notifies(CHANGED) >> answers(3, tools())
    followed >> notifies(CHANGED) << lists(4)


@pytest.mark.parametrize("how", ["late", "an error"])
def test_an_ide_that_does_not_list_its_new_tools_keeps_the_old_ones(followed: Playbook, how: str) -> None:
    ask_for_tools(followed)
    before = followed.link().tools
    followed.quietly(notifies(CHANGED))
    if how == "late":
        followed >> Tick(1000.0 + CALL_S)
    else:
        error = jsonrpc.decode(jsonrpc.error(3, b'{"code":-32601}'))
        followed >> LinkMessage(1000.0, CODE.lock.ide_id, error)
    assert followed.link().tools == before
    assert not followed.link().calls


def test_a_new_list_may_show_another_plugin(story: Playbook) -> None:
    emacs = replace(CODE, lock=CODE.lock.model_copy(update={"ide_name": "Emacs"}))
    story.quietly(follows(emacs))
    bring_up(story, emacs, tools(""))
    assert story.link().traits.one_based
    story.quietly(notifies(CHANGED), answers(3, tools("openFile", openFile=("uri",))))
    assert story.link().traits.keep_open


def test_an_ide_that_says_so_in_the_handshake_is_not_asked_twice(story: Playbook) -> None:
    story.quietly(follows(CODE))
    story.quietly(LinkMessage(1000.0, CODE.lock.ide_id, Message(method=CHANGED)))
    assert not story.link().calls
    bring_up(story)
    assert not story.link().calls


def test_an_idle_link_that_was_asked_for_tools_is_still_closed(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(CODE)))
    bring_up(story)
    story.quietly(answers(3), notifies(CHANGED))
    story >> Tick(1000.0 + CALL_S)
    story >> Tick(1000.0 + CALL_S + IDLE_S) << HangUp(CODE.lock.ide_id, "idle")
    assert not story.link().busy


# ---- what is heard


@pytest.mark.parametrize("method", ["notifications/cancelled", "notifications/message", "log_event"])
def test_what_is_meant_for_us_is_not_passed_on(followed: Playbook, method: str) -> None:
    followed >> notifies(method)


@pytest.mark.parametrize(
    ("params", "heard"),
    [
        (b'{"a": 1,\n "b": [1, 2]}', b'{"a":1,"b":[1,2]}'),  # on one line, as agents' sockets want it
        (b"", b"{}"),
        (b"5", b"5"),
        (rb'{"cut":"\ud83d"}', rb'{"cut":"\ud83d"}'),
    ],
)
def test_whatever_it_is_followers_hear_it(followed: Playbook, params: bytes, heard: bytes) -> None:
    for method in ("selection_changed", "diagnostics_changed", "never/seen"):
        followed >> raw(method, params) << hears(method, heard)


@pytest.mark.parametrize("params", [b"NaN", b"{", b"[" * 5000, b'{"a":tru}'], ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("method", ["selection_changed", "at_mentioned"])
@pytest.mark.parametrize("mapper", [None, WSL], ids=["here", "beyond"])
def test_what_is_no_json_is_not_passed_on(followed: Playbook, params: bytes, method: str, mapper: object) -> None:
    followed.link().route = Route(mapper=mapper)  # type: ignore[arg-type]
    followed.quietly(notifies("selection_changed", SELECTED))
    followed >> raw(method, params)
    assert followed.router.links.dropped == 1
    assert followed.link().selection == SELECTED


def test_nobody_pays_for_what_nobody_hears(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(CODE)))
    bring_up(story)
    story >> raw("at_mentioned", b"NaN")  # not even read
    assert story.router.links.dropped == 0


def test_a_selection_is_remembered_even_if_nobody_follows_yet(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(CODE)))
    bring_up(story)
    story >> notifies("selection_changed", SELECTED, at=1005.0)
    story >> follows(CODE) << hears("selection_changed", SELECTED)
    assert story.link().last_focus == 1005.0


def test_positions_count_from_0_whatever_the_plugin_counts_from(story: Playbook) -> None:
    emacs = replace(CODE, lock=CODE.lock.model_copy(update={"ide_name": "Emacs"}))
    story.quietly(follows(emacs))
    bring_up(story, emacs)
    shifted = b'{"text":"a","selection":{"start":{"line":2,"character":0}}}'
    story >> notifies("selection_changed", SELECTED) << hears("selection_changed", shifted)
    story >> notifies("x", SELECTED) << hears("x", SELECTED)  # what it is about nobody knows
    story >> raw("selection_changed", b"[" * 900 + b"]" * 900)


def test_files_have_our_names(story: Playbook) -> None:
    beyond = replace(CODE, route=Route(here=False, mapper=WSL))
    story.quietly(follows(beyond))
    bring_up(story, beyond)
    said = b'{"filePath":"C:\\\\src\\\\a.py"}'
    for method in ("selection_changed", "at_mentioned"):
        story >> notifies(method, said) << hears(method, b'{"filePath":"/mnt/c/src/a.py"}')
    story >> notifies("x", said) << hears("x", said)
    unknown = b'{"filePath":"Z:\\\\a.py"}'
    story >> notifies("at_mentioned", unknown) << hears("at_mentioned", unknown)
    assert story.router.links.untranslated == 1


# ---- beside everything else


def test_following_is_no_hindrance_to_work(followed: Playbook) -> None:
    followed >> asks(LOOK, scene=scene(CODE)) << calls("getOpenEditors", {}, 3)
    followed >> notifies("x") << hears("x") >> answers(3) << Reply(ANN, 1, b"{}")


def test_a_request_and_a_follower_share_one_dialling(story: Playbook) -> None:
    story >> asks(OpenFile(path="/w/a.py"), scene=scene(CODE)) << dials() >> follows(CODE)
    bring_up(story)
    assert story.link().followers == {ANN}
    assert [call.tool for call in story.link().calls.values()] == ["openFile"]
