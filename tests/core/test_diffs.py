"""Diffs that are known by their file, as the companions show them: one at a time of each, and whose word counts."""

from dataclasses import replace

import pytest

from bridge.core import jsonrpc
from bridge.core.asks import Ask, Cancel, Decide, Propose, Reopen, Wait
from bridge.core.diffs import SETTLE_S
from bridge.core.events import LinkState, Look, Reply, Save, Surveyed, Tick, Watch
from bridge.core.links import CALL_S
from bridge.core.lockfile import Family
from bridge.core.reviews import Review, Showing, Step, Surface, Trigger, advance, decide
from bridge.core.router import Router
from bridge.core.selection import Candidate
from tests.core.boundaries import WSL
from tests.core.candidates import ide
from tests.core.stories import closed, ends, proposed, restored, saved, tell, then, unshown
from tests.playbook import (
    ANN,
    CODE,
    COMPANION,
    GEMINI,
    PAGE,
    Playbook,
    answers,
    asks,
    bring_up,
    closes_file,
    dials,
    fails,
    notifies,
    opened,
    review,
    says,
    scene,
    shows_file,
    tells,
    tools,
)

ID = GEMINI.lock.ide_id
NAME = GEMINI.lock.ide_name
QWEN = ide(4005, "/w", name="VS Code", token="secret-qwen", family=Family.QWEN)
QUEUED = "another diff of this file is open there"
OPEN_THEN = '{"content": "new\\n"}'  # the answer to closeDiff where a diff was open
UNWATCH, WATCH = Watch(ID, closely=False), Watch(ID, closely=True)


def shown(record: Review, request_id: int, *, path: str = "/w/a.py", at: float = 1000.0) -> Review:
    """The record of a review whose diff a companion is about to get."""
    showing = Showing(ide_id=ID, request_id=request_id, tab_name=path)
    return advance(record, Step.SHOW, at, showings=(*record.showings, showing))


def accepted(record: Review, text: str = "new\n", at: float = 1000.0) -> Review:
    return decide(record, at, finals=(text,), trigger=Trigger.ACCEPTED_IN_IDE)


def rejected(record: Review) -> Review:
    return decide(record, 1000.0, finals=None, trigger=Trigger.REJECTED_OR_CLOSED)


def cancelled(record: Review) -> Review:
    return advance(record, Step.CANCEL, 1000.0)


def take_up(story: Playbook, candidate: Candidate = GEMINI) -> None:
    """Let a companion be dialled, and have closed whatever it may have open of the first file."""
    bring_up(story, candidate, tools(COMPANION))
    story.quietly(says(3, "{}", candidate=candidate))


@pytest.fixture
def first(story: Playbook) -> Review:
    """A story in which GEMINI's companion is about to be told of r1, by request 4; ANN waits for it."""
    record = proposed(story, GEMINI)
    take_up(story)
    record = shown(record, 4)
    story.quietly(asks(Wait(review_id="r1"), 2))
    story >> saved(record) << shows_file(4) << WATCH << tell("ide", NAME)
    return record


@pytest.fixture
def in_ide(story: Playbook, first: Review) -> Review:
    """The same, and the diff of r1 is open there."""
    story >> answers(4, b'{"content":[]}', candidate=GEMINI)
    return first


@pytest.fixture
def second(story: Playbook, in_ide: Review) -> Review:
    """The same, and r2, which is about the same file, is queued behind it; ANN waits for it too."""
    record = proposed(story, GEMINI, id_="r2", proposed="newer\n")
    story >> asks(Wait(review_id="r2"), 4) << tell("queued", NAME, QUEUED, of="r2")
    return record


# ---- the first of a file


@pytest.mark.parametrize("was_open", [OPEN_THEN, "{}", ""])
def test_whatever_is_open_of_a_file_is_closed_before_its_first_diff(story: Playbook, was_open: str) -> None:
    """It may be of an earlier connection, or somebody else's; who waits hears of the review when it is shown."""
    record = proposed(story, GEMINI)
    story.quietly(asks(Wait(review_id="r1"), 2), opened(GEMINI), answers(1, candidate=GEMINI))
    story >> answers(2, tools(COMPANION), candidate=GEMINI) << closes_file(3)
    assert story.router.desk.seats["r1"].where == "queued"
    record = shown(record, 4)
    story >> says(3, was_open, candidate=GEMINI) << Save(record)
    story >> saved(record) << shows_file(4) << WATCH << tell("ide", NAME)


# ---- what is said


@pytest.mark.parametrize("text", ["new\n", "mine\n"])
def test_an_acceptance_ends_the_review_and_nothing_is_left_to_close(story: Playbook, in_ide: Review, text: str) -> None:
    end = accepted(in_ide, text)
    story >> tells("diffAccepted", text) << UNWATCH << Save(end) >> saved(end)
    then(story, *ends(end, (ANN, 2)))
    story >> tells("diffAccepted", text)  # and nothing more
    assert story.router.links.dropped == 1


@pytest.mark.parametrize("what", ["diffRejected", "diffClosed"])
def test_a_rejection_may_have_been_a_closed_tab(story: Playbook, in_ide: Review, what: str) -> None:
    story >> tells(what, "new\n") << UNWATCH << Save(rejected(in_ide))


def test_an_acceptance_without_its_text_is_no_decision(story: Playbook, in_ide: Review) -> None:
    back = unshown(in_ide, surface=Surface.PAGE)
    story >> tells("diffAccepted") << UNWATCH << Save(back)
    story << tell("page", reason=f"{NAME} did not say which text was accepted")


@pytest.mark.parametrize(
    "said",
    [
        tells("diffAccepted", "new\n", path="/w/b.py"),
        notifies("ide/diffAccepted", b'{"content": "new"}', candidate=GEMINI),
        notifies("ide/diffAccepted", b"[1]", candidate=GEMINI),
        notifies("ide/diffRejected", b'{"filePath": 5}', candidate=GEMINI),
        notifies("ide/diffRejected", b"1" * 5000, candidate=GEMINI),
    ],
    ids=str,
)
def test_what_is_said_of_nothing_that_is_shown_decides_nothing(story: Playbook, in_ide: Review, said: object) -> None:
    story >> said  # type: ignore[operator]
    assert story.router.links.dropped == 1


def test_what_is_said_before_the_diff_is_sent_decides_nothing(story: Playbook) -> None:
    record = proposed(story, GEMINI)
    take_up(story)
    story >> tells("diffAccepted", "foreign\n")
    story >> saved(shown(record, 4)) << shows_file(4) << WATCH
    assert story.router.links.dropped == 1


def test_what_is_said_before_the_answer_counts_with_it(story: Playbook, first: Review) -> None:
    """Answers and notifications come on two streams, and the first word is the one that counts."""
    story >> tells("diffAccepted", "mine\n") >> tells("diffRejected")
    story >> answers(4, b'{"content":[]}', candidate=GEMINI) << UNWATCH << Save(accepted(first, "mine\n"))
    assert story.router.links.dropped == 1


def test_but_not_if_the_diff_was_not_opened(story: Playbook, first: Review) -> None:
    back = unshown(first, surface=Surface.PAGE)
    story >> tells("diffAccepted", "mine\n")
    story >> answers(4, b'{"isError":true}', candidate=GEMINI) << UNWATCH << Save(back)
    story << tell("page", reason=f"{NAME}: the IDE reports an error")


@pytest.mark.parametrize("answer", [b'{"content":[]}', b'{"isError":true}'])
@pytest.mark.parametrize("ask", [Cancel(review_id="r1"), Reopen(review_id="r1", surface=Surface.PAGE)])
def test_nor_if_it_was_taken_back_meanwhile(story: Playbook, first: Review, ask: Ask, answer: bytes) -> None:
    story.quietly(tells("diffAccepted", "mine\n"), asks(ask, 5, scene=scene(GEMINI)))
    story >> answers(4, answer, candidate=GEMINI)


def test_other_plugins_may_use_the_words_for_something_else(story: Playbook) -> None:
    proposed(story, CODE)
    bring_up(story)
    story >> tells("diffAccepted", "new\n", candidate=CODE)
    assert story.router.links.dropped == 0


def test_an_ide_that_refuses_the_diff_says_why(story: Playbook, first: Review) -> None:
    back = unshown(first, surface=Surface.PAGE)
    refusal = jsonrpc.dump({"isError": True, "content": [{"type": "text", "text": "no room"}]})
    story >> answers(4, refusal, candidate=GEMINI) << UNWATCH << Save(back)
    story << tell("page", reason=f"{NAME}: no room")


def test_an_ide_that_does_not_answer_in_time_may_still_show_it(story: Playbook, first: Review) -> None:
    late = 1000.0 + CALL_S
    back = unshown(first, late, surface=Surface.PAGE)
    story >> Tick(late) << closes_file(5) << UNWATCH << Save(back)
    story << tell("page", reason=f"{NAME}: {NAME} did not answer openDiff in time")
    assert not story.link(GEMINI).cleared  # so whatever is open of that file is closed before its next diff


def test_a_file_that_no_ide_can_be_told_is_on_the_page(story: Playbook) -> None:
    record = proposed(story, GEMINI, path=b"/w/\xff.py")
    take_up(story)
    there = shown(record, 4, path="/w/\udcff.py")
    story >> saved(there) << UNWATCH << Save(unshown(there, surface=Surface.PAGE))


def test_no_companion_is_told_that_an_agent_connected(story: Playbook) -> None:
    proposed(story, GEMINI)
    story.quietly(opened(GEMINI))
    commands = story.router.handle(answers(2, candidate=GEMINI))
    assert not any(b"ide_connected" in getattr(command, "frame", b"") for command in commands)


# ---- two of one file


def test_diffs_of_two_files_are_open_side_by_side(story: Playbook, in_ide: Review) -> None:
    other = shown(proposed(story, GEMINI, id_="r2", path=b"/w/b.py"), 6, path="/w/b.py")
    story >> says(5, "{}", candidate=GEMINI) << Save(other) >> saved(other) << shows_file(6, path="/w/b.py") << WATCH
    story >> answers(6, b'{"content":[]}', candidate=GEMINI)
    end = rejected(other)
    story >> tells("diffRejected", path="/w/b.py") << Save(end)  # r1 is still watched
    story >> tells("diffAccepted", "new\n") << UNWATCH << Save(accepted(in_ide))


def test_the_next_of_a_file_is_shown_when_the_first_is_decided(story: Playbook, in_ide: Review, second: Review) -> None:
    end, next_ = accepted(in_ide), shown(second, 5)
    story >> tells("diffAccepted", "new\n") << UNWATCH << Save(next_) << Save(end)
    story >> saved(end)
    then(story, *ends(end, (ANN, 2)))  # its diff was closed by the IDE
    story >> saved(next_) << shows_file(5, proposed="newer\n") << WATCH << tell("ide", NAME, of="r2")
    story >> answers(5, b'{"content":[]}', candidate=GEMINI)
    story >> tells("diffRejected") << UNWATCH << Save(rejected(next_))


def test_the_next_of_a_file_waits_until_the_first_is_closed(story: Playbook, in_ide: Review, second: Review) -> None:
    end, next_ = cancelled(in_ide), shown(second, 6)
    story >> asks(Cancel(review_id="r1"), 5) << Save(end) >> saved(end)
    then(story, *ends(end, (ANN, 5), (ANN, 2)))
    story << closes_file(5) << UNWATCH
    story >> tells("diffAccepted", "new\n")  # late, and of r1
    story >> says(5, OPEN_THEN, candidate=GEMINI) << Save(next_)
    story >> saved(next_) << shows_file(6, proposed="newer\n") << WATCH << tell("ide", NAME, of="r2")


@pytest.mark.parametrize("answer", ["{}", '{"content": null}', None])
def test_where_none_was_open_word_of_it_may_be_on_its_way(
    story: Playbook, in_ide: Review, second: Review, answer: str | None
) -> None:
    """The human decided r1 just before it was taken back: what he said of it is not said of r2."""
    story.quietly(asks(Cancel(review_id="r1"), 5), saved(cancelled(in_ide)))
    story >> (fails(5, "no such diff", candidate=GEMINI) if answer is None else says(5, answer, candidate=GEMINI))
    story >> tells("diffAccepted", "new\n") >> tells("diffAccepted", "somebody else's\n")
    assert story.router.deadline() == 1000.0 + SETTLE_S
    story >> Tick(1000.0 + SETTLE_S) << Save(shown(second, 6, at=1000.0 + SETTLE_S))
    assert story.router.links.dropped == 2


def test_so_it_may_if_the_closing_is_never_answered(story: Playbook, in_ide: Review, second: Review) -> None:
    story.quietly(asks(Cancel(review_id="r1"), 5), saved(cancelled(in_ide)))
    late = 1000.0 + CALL_S + SETTLE_S
    story >> Tick(1000.0 + CALL_S) >> Tick(late) << Save(shown(second, 6, at=late))


def test_a_decision_on_the_page_closes_the_diff(story: Playbook, in_ide: Review) -> None:
    end = decide(in_ide, 1000.0, finals=("new\n",), trigger=Trigger.ACCEPTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=("new\n",)), 9, who=PAGE) << Save(end)
    story >> tells("diffRejected")  # a moment later: the first decision wins
    story >> saved(end)
    then(story, *ends(end, (PAGE, 9), (ANN, 2)))
    story << closes_file(5) << UNWATCH
    assert story.router.links.dropped == 1


def test_the_end_of_a_review_that_is_not_shown_there_any_more_closes_no_other_diff(
    story: Playbook, in_ide: Review
) -> None:
    on_page = unshown(in_ide, surface=Surface.PAGE)
    story.quietly(tells("diffAccepted"), saved(on_page))
    other = shown(proposed(story, GEMINI, id_="r2", proposed="newer\n"), 5)
    story.quietly(saved(other))
    end = cancelled(on_page)
    story >> asks(Cancel(review_id="r1"), 5) << Save(end) >> saved(end)
    then(story, *ends(end, (ANN, 5), (ANN, 2)))


def test_a_newer_proposal_takes_the_diff_s_place(story: Playbook, in_ide: Review) -> None:
    new = review("r2", proposed="newer\n")
    ask = Propose(review=new, supersedes="r1")
    end = advance(in_ide, Step.SUPERSEDE, 1000.0)
    (
        story
        >> asks(ask, 5, scene=scene(GEMINI))
        << Save(new)
        >> saved(new)
        << Reply(ANN, 5, {"id": "r2", "joined": False})
    )
    story << Save(end) >> saved(end)
    then(story, *ends(end, (ANN, 2)))
    story << closes_file(5) << UNWATCH
    story >> says(5, "new\n", candidate=GEMINI) << Save(shown(new, 6))  # plain text, as the specification has it


def test_a_diff_that_went_to_the_page_and_back_is_a_new_one(story: Playbook, in_ide: Review) -> None:
    story.quietly(tells("diffAccepted"))
    back = unshown(in_ide, surface=Surface.PAGE)
    again = shown(unshown(back, surface=Surface.AUTO), 5)
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(GEMINI))
    story << Save(unshown(back, surface=Surface.AUTO)) << Save(again)
    story >> tells("diffAccepted", "late\n")
    story.quietly(saved(again))
    story >> answers(5, b'{"content":[]}', candidate=GEMINI)
    story >> tells("diffAccepted", "new\n") << UNWATCH << Save(accepted(again))


def test_moving_a_review_to_the_page_takes_its_diff_back(story: Playbook, in_ide: Review) -> None:
    away = unshown(in_ide, surface=Surface.PAGE)
    story >> asks(Reopen(review_id="r1", surface=Surface.PAGE), 5, scene=scene(GEMINI))
    story << closes_file(5) << UNWATCH << Save(away) << tell("page")
    story << Reply(ANN, 5, {"id": "r1", "surface": "page", "ide": None, "reason": ""})
    story >> tells("diffAccepted", "new\n")
    assert story.router.links.dropped == 1


# ---- lost and found


def test_after_a_lost_link_the_review_is_offered_again_and_its_old_diff_closed(story: Playbook, in_ide: Review) -> None:
    back = unshown(in_ide)
    story >> closed(LinkState.GONE, candidate=GEMINI) << Save(back) << Look(("r1",))
    story.quietly(saved(back), Surveyed(1002.0, {"r1": scene(GEMINI)}))
    bring_up(story, GEMINI, tools(COMPANION), 1002.0)
    assert story.router.desk.seats["r1"].where == "queued"
    story >> tells("diffAccepted", "new\n", at=1002.0)  # of the old one: he is asked again
    again = shown(back, 8, at=1002.0)
    story >> says(7, OPEN_THEN, candidate=GEMINI, at=1002.0) << Save(again)
    story >> saved(again) << shows_file(8) << WATCH  # as ANN was told


def test_a_closing_that_the_link_did_not_survive_is_over(story: Playbook, in_ide: Review) -> None:
    story.quietly(asks(Cancel(review_id="r1"), 5), saved(cancelled(in_ide)))
    story >> closed(LinkState.GONE, candidate=GEMINI)
    assert story.link(GEMINI).closing == {}
    assert story.router.deadline() is None


def test_a_diff_that_ended_meanwhile_is_closed_before_the_next_of_its_file(story: Playbook, in_ide: Review) -> None:
    end = cancelled(unshown(in_ide))
    story.quietly(closed(LinkState.GONE, candidate=GEMINI), asks(Cancel(review_id="r1"), 5), saved(end))
    record = review("r2", proposed="newer\n", at=1002.0)
    story.quietly(asks(Propose(review=record), 6, scene=scene(GEMINI), at=1002.0), saved(record))
    bring_up(story, GEMINI, tools(COMPANION), 1002.0)
    assert story.router.desk.seats["r2"].where == "queued"
    story >> says(7, OPEN_THEN, candidate=GEMINI, at=1002.0) << Save(shown(record, 8, at=1002.0))


def test_a_daemon_that_was_killed_offers_it_again(in_ide: Review) -> None:
    story = Playbook(Router(iter(range(100, 200)), pid=77, version="1.0"))
    back = unshown(in_ide, 2000.0)
    story >> restored(in_ide) << Save(back) << Look(("r1",))
    story.quietly(saved(back), Surveyed(2000.0, {"r1": scene(GEMINI)}))
    bring_up(story, GEMINI, tools(COMPANION), 2000.0)
    again = shown(back, 103, at=2000.0)
    story >> says(102, OPEN_THEN, candidate=GEMINI, at=2000.0) << Save(again)
    story.check()


# ---- across the Windows boundary


@pytest.fixture
def over_there(story: Playbook) -> Candidate:
    """A companion in Windows, to which the file is ``C:\\w\\a.py``."""
    there = replace(GEMINI, route=replace(GEMINI.route, here=False, mapper=WSL))
    record = proposed(story, there, path=b"/mnt/c/w/a.py")
    take_up(story, there)
    story.quietly(saved(shown(record, 4, path="/mnt/c/w/a.py")))
    story >> answers(4, b'{"content":[]}', candidate=there)
    return there


@pytest.mark.parametrize("path", ["C:\\w\\a.py", "c:\\W\\A.py", "/mnt/c/w/a.py"])
def test_the_file_is_known_in_whatever_spelling(story: Playbook, over_there: Candidate, path: str) -> None:
    story.quietly(tells("diffAccepted", "new\n", path=path, candidate=over_there))
    assert not story.router.desk.seats["r1"].review.is_open


def test_what_has_no_name_here_is_counted(story: Playbook, over_there: Candidate) -> None:
    story >> tells("diffAccepted", "new\n", path="Z:\\w\\a.py", candidate=over_there)
    assert (story.router.links.untranslated, story.router.links.dropped) == (1, 1)


# ---- an IDE that has no diffs any more


@pytest.fixture
def stripped(story: Playbook, in_ide: Review) -> Review:
    """In a story in which GEMINI shows r1, and r2 waits behind it, GEMINI's companion takes its tools back."""
    proposed(story, GEMINI, QWEN, id_="r2", proposed="newer\n")
    assert story.router.desk.seats["r2"].where == "queued"
    story.quietly(notifies("notifications/tools/list_changed", candidate=GEMINI))
    story.quietly(answers(story.next_id(GEMINI), tools("other"), candidate=GEMINI))
    return in_ide


def test_what_waited_goes_to_another_ide_when_the_first_is_taken_back(story: Playbook, stripped: Review) -> None:
    story.quietly(asks(Cancel(review_id="r1"), 9))
    story >> saved(cancelled(stripped))
    then(story, *ends(cancelled(stripped), (ANN, 9), (ANN, 2)))
    story << closes_file(6) << UNWATCH << dials(QWEN)


def test_what_waited_goes_to_another_ide_when_nothing_can_be_said_of_the_first(
    story: Playbook, stripped: Review
) -> None:
    story.router.links.links[ID].closing["/w/a.py"] = 1001.0
    story >> Tick(1001.0) << dials(QWEN)
