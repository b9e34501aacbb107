"""Reviews: shown in an IDE, queued, on the page; decided once, and never lost (design.md D6)."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from bridge.core.desk import LOOK_AGAIN_S, SAVE_AGAIN_S
from bridge.core.dialects import tab_name
from bridge.core.events import (
    Ask,
    CallTool,
    Cancel,
    Command,
    Decide,
    Ended,
    Event,
    FromJournal,
    Left,
    LinkClosed,
    LinkState,
    Look,
    Propose,
    Refuse,
    Reopen,
    Reply,
    Restored,
    Save,
    Saved,
    SaveFailed,
    Seen,
    Surveyed,
    Tell,
    Tick,
    Wait,
    Watch,
)
from bridge.core.links import CALL_S, IDLE_S
from bridge.core.ranking import Candidate
from bridge.core.reviews import (
    EXPIRES_AFTER_S,
    Comment,
    Outcome,
    Review,
    Showing,
    State,
    Step,
    Surface,
    Trigger,
    advance,
    decide,
    decision,
)
from bridge.errors import BadData, Conflict, StillPending, Unavailable
from tests.playbook import (
    ANN,
    BOB,
    CODE,
    IDEA,
    NVIM,
    PAGE,
    Playbook,
    answers,
    asks,
    bring_up,
    closes_tab,
    dials,
    fails,
    opened,
    review,
    says,
    scene,
    shows,
    tools,
)

ID = CODE.lock.ide_id
NAME = "Visual Studio Code"
NO_IDE = "no IDE is running"
WAIT = Wait(review_id="r1")
NOTHING: Ask = CallTool(tool="getOpenEditors", arguments=b"{}")


def proposed(story: Playbook, *candidates: Candidate, id_: str = "r1", **more: Any) -> Review:
    """Let ANN propose a change, and have it on disk."""
    new = review(id_, at=story.at, **more)
    story.quietly(asks(Propose(review=new), 900, scene=scene(*candidates), at=story.at), Saved(story.at, id_, 1))
    return new


def shown(record: Review, request_id: int, candidate: Candidate = CODE, at: float = 1000.0) -> Review:
    """The record of a review whose diff an IDE is about to get."""
    tab = tab_name("/w/a.py", record.id)
    showing = Showing(ide_id=candidate.lock.ide_id, request_id=request_id, tab_name=tab)
    return advance(record, Step.SHOW, at, showings=(*record.showings, showing))


def unshown(record: Review, at: float = 1000.0, **changes: Any) -> Review:
    return advance(record, Step.UNSHOW, at, **changes)


def ends(record: Review, *waiting: tuple[Any, int]) -> list[Command]:
    """What follows when the end of a review is on disk, but for its tabs."""
    return [*(Reply(who, id_, decision(record)) for who, id_ in waiting), Ended(record)]


def tell(surface: str | None, ide: str | None = None, reason: str = "", of: str = "r1") -> Tell:
    return Tell(ANN, of, surface, ide, reason)


def saved(record: Review, at: float | None = None) -> Saved:
    return Saved(record.changed if at is None else at, record.id, record.version)


def lost(reason: str = "the IDE ended", state: LinkState = LinkState.GONE, at: float = 1000.0) -> LinkClosed:
    return LinkClosed(at, ID, state, reason)


def then(story: Playbook, *commands: Command) -> Playbook:
    for command in commands:
        story << command
    return story


@pytest.fixture
def on_page(story: Playbook) -> Review:
    """A story in which there is no IDE, and ANN waits for a review that is on the page."""
    record = proposed(story)
    story >> asks(WAIT, 2) << tell("page", reason=NO_IDE)
    return record


@pytest.fixture
def in_ide(story: Playbook) -> Review:
    """A story in which CODE shows a review by request 3, and ANN waits."""
    record = proposed(story, CODE)
    bring_up(story)
    record = shown(record, 3)
    story.quietly(saved(record))
    story >> asks(WAIT, 2) << tell("ide", NAME)
    return record


@pytest.fixture
def two(story: Playbook, in_ide: Review) -> tuple[Review, Review]:
    """The same, and a second review is queued behind the first; ANN waits for it too."""
    second = proposed(story, CODE, id_="r2")
    story >> asks(Wait(review_id="r2"), 4) << tell("queued", NAME, "another diff is open there", of="r2")
    return in_ide, second


# ---- the main job


def test_a_proposal_is_shown_and_accepted_and_every_word_is_on_disk_before_it_is_said(story: Playbook) -> None:
    new = review()
    open_ = shown(new, 3)
    (
        story
        >> asks(Propose(review=new), scene=scene(CODE))
        << Save(new)
        >> saved(new)
        << Reply(ANN, 1, {"id": "r1", "joined": False})
        << dials()
        >> asks(WAIT, 2)  # it is on its way: nothing to tell yet
    )
    bring_up(story)
    assert story.router.desk.seats["r1"].review == open_
    accepted = decide(open_, 1000.0, finals=("new\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    story >> saved(open_) << shows(3) << Watch(ID, closely=True) << tell("ide", NAME)
    story >> says(3, "FILE_SAVED", "new") << Watch(ID, closely=False) << Save(accepted)
    then(story >> saved(accepted), *ends(accepted, (ANN, 2)), closes_tab(4))
    story >> says(4, "TAB_CLOSED")
    assert not story.router.desk.seats
    assert story.router.deadline() == 1000.0 + IDLE_S


def test_the_page_shows_it_when_there_is_no_ide_and_its_decision_counts(story: Playbook, on_page: Review) -> None:
    seen = advance(on_page, Step.SHOW, 1001.0)
    comments = (Comment(text="no", line=3),)
    rejected = decide(seen, 1002.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE, comments=comments)
    ask = Decide(review_id="r1", finals=None, comments=comments)
    story >> Seen(1001.0, "r1") << Save(seen) >> saved(seen) >> Seen(1001.0, "r1") >> Seen(1001.0, "gone")
    story >> asks(ask, 7, who=PAGE, at=1002.0) << Save(rejected)
    then(story >> saved(rejected), *ends(rejected, (PAGE, 7), (ANN, 2)))


def test_edits_on_the_page_come_back_with_the_proposals_line_endings(story: Playbook) -> None:
    record = proposed(story, proposed="a\r\nb\r\n")
    accepted = decide(record, 1000.0, finals=("a\r\nc\r\n",), trigger=Trigger.ACCEPTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=("a\nc\n",)), 7, who=PAGE) << Save(accepted)
    assert accepted.outcome is Outcome.ACCEPTED_WITH_EDITS


def test_a_decision_about_other_files_is_refused(story: Playbook, on_page: Review) -> None:
    error = BadData("the review has 1 files, the decision 2")
    story >> asks(Decide(review_id="r1", finals=("a", "b")), 7, who=PAGE) << Refuse(PAGE, 7, error)


# ---- what an IDE may answer


class Said(NamedTuple):
    texts: tuple[str, ...]
    why: str  # it is on the page then


UNDECIDED = [
    Said(("TAB_CLOSED",), f"its tab in {NAME} was closed"),
    Said(("FILE_SAVED",), f"{NAME}: the IDE did not say which text was accepted"),
    Said(("whatever",), f"{NAME}: the IDE's answer to openDiff is not understood"),
    Said((), f"{NAME}: the IDE's answer to openDiff is not understood"),
]


@pytest.mark.parametrize("said", UNDECIDED, ids=str)
def test_what_is_no_decision_sends_the_review_to_the_page_for_good(story: Playbook, in_ide: Review, said: Said) -> None:
    back = unshown(in_ide, surface=Surface.PAGE)
    story >> says(3, *said.texts) << Watch(ID, closely=False) << Save(back) << tell("page", reason=said.why)
    story >> saved(back) >> Surveyed(1001.0, {"r1": scene(CODE)})  # it does not return by itself
    assert story.router.look_again() == []


def test_an_ide_that_refuses_the_diff_says_why(story: Playbook, in_ide: Review) -> None:
    back = unshown(in_ide, surface=Surface.PAGE)
    story >> fails(3, "unsaved changes") << Watch(ID, closely=False)
    story << Save(back) << tell("page", reason=f"{NAME}: unsaved changes")


def test_a_rejection_says_that_the_plugin_may_mean_a_closed_tab(story: Playbook, in_ide: Review) -> None:
    rejected = decide(in_ide, 1000.0, finals=None, trigger=Trigger.REJECTED_OR_CLOSED)
    story >> says(3, "DIFF_REJECTED", "tab") << Watch(ID, closely=False) << Save(rejected)


def test_the_page_decides_while_the_ide_shows_it_and_the_ide_comes_too_late(story: Playbook, in_ide: Review) -> None:
    accepted = decide(in_ide, 1000.0, finals=("new\n",), trigger=Trigger.ACCEPTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=("new\n",)), 7, who=PAGE) << Save(accepted)
    story >> says(3, "FILE_SAVED", "other") << Watch(ID, closely=False)
    then(story >> saved(accepted), *ends(accepted, (PAGE, 7), (ANN, 2)), closes_tab(4))
    assert story.router.links.dropped == 1


def test_the_page_comes_too_late_when_the_ide_has_decided(story: Playbook, in_ide: Review) -> None:
    story.quietly(says(3, "FILE_SAVED", "new\n"))
    late = Conflict("review r1 is already accepted", "bridge review show r1")
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Refuse(PAGE, 7, late)
    story >> asks(Cancel(review_id="r1"), 8, who=BOB) << Refuse(BOB, 8, late)


def test_the_rejection_that_follows_our_own_closing_is_no_decision(story: Playbook, in_ide: Review) -> None:
    """The tab was closed by us, since the human wants the page: DIFF_REJECTED is the plugin's way to say so."""
    back = unshown(replace(in_ide, surface=Surface.PAGE))
    story >> asks(Reopen(review_id="r1", surface=Surface.PAGE), 5, scene=scene(CODE)) << closes_tab(4)
    story << Watch(ID, closely=False) << Save(back) << tell("page")
    story << Reply(ANN, 5, {"id": "r1", "surface": "page", "ide": None, "reason": ""})
    story >> says(3, "DIFF_REJECTED", "tab") >> says(4, "TAB_CLOSED")
    assert story.router.links.dropped == 1
    assert story.router.desk.seats["r1"].review.is_open


def test_an_acceptance_counts_even_if_the_tab_was_taken_back(story: Playbook, in_ide: Review) -> None:
    story.quietly(asks(Reopen(review_id="r1", surface=Surface.PAGE), 5, scene=scene(CODE)))
    back = story.router.desk.seats["r1"].review
    accepted = decide(back, 1000.0, finals=("mine\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    story >> says(3, "FILE_SAVED", "mine\n") << Save(accepted)


def test_a_plugin_that_never_answers_the_diff_that_was_taken_back_leaves_the_link_idle(
    story: Playbook, in_ide: Review
) -> None:
    story.quietly(asks(Cancel(review_id="r1"), 5))
    story.quietly(saved(story.router.desk.seats["r1"].review))
    story >> Tick(1000.0 + CALL_S)
    assert story.link().idle_since == 1000.0 + CALL_S


# ---- IDEs that come and go


def test_an_ide_that_dies_gives_the_review_back_and_the_page_names_it(story: Playbook, in_ide: Review) -> None:
    back = unshown(in_ide)
    story >> lost() << Save(back) << Look(("r1",))
    story >> saved(back) >> Surveyed(1000.0, {"r1": scene()})
    story << tell("page", reason=f"{NAME} went away (the IDE ended)")


def test_the_waiters_hear_when_it_moves_from_one_ide_to_another(story: Playbook, in_ide: Review) -> None:
    story.quietly(asks(NOTHING, 9, scene=scene(IDEA)))
    bring_up(story, IDEA)
    back = unshown(in_ide)
    again = shown(back, 7, IDEA)
    story >> lost() << Save(back) << Look(("r1",)) >> Surveyed(1000.0, {"r1": scene(IDEA)}) << Save(again)
    story >> saved(again) << shows(7, IDEA) << Watch(IDEA.lock.ide_id, closely=True) << tell("ide", "IntelliJ IDEA")


def test_a_dropped_connection_is_mended_and_the_old_answer_may_still_come(story: Playbook, in_ide: Review) -> None:
    back = unshown(in_ide)
    story >> lost("it closed the connection", LinkState.LISTENING) << Save(back)
    later = story.router.deadline()
    assert later is not None
    story >> Tick(later) << Look(("r1",)) >> Surveyed(later, {"r1": scene(CODE)}) << dials()
    story.quietly(opened(at=later), answers(4, at=later))
    accepted = decide(back, later, finals=("mine\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    story >> says(3, "FILE_SAVED", "mine\n", at=later) << Save(accepted)
    # The tools come: nothing is left to show.
    story >> answers(5, tools(), at=later)
    then(story >> saved(accepted), *ends(accepted, (ANN, 2)), closes_tab(6))


@pytest.fixture
def late(story: Playbook, in_ide: Review) -> Playbook:
    """The review was accepted by a late answer, all is on disk, and the handshake is still under way."""
    later = 1009.0
    story.quietly(lost("it closed the connection", LinkState.LISTENING))
    story.quietly(Surveyed(later, {"r1": scene(CODE)}), opened(at=later))
    accepted = decide(unshown(in_ide), later, finals=("mine\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    story >> says(3, "FILE_SAVED", "mine\n", at=later) << Save(accepted)
    return then(story >> saved(accepted, later), *ends(accepted, (ANN, 2)))


def test_the_tab_of_a_late_answer_is_closed_once_the_handshake_is_through(late: Playbook) -> None:
    late.quietly(answers(4, at=1009.0)) >> answers(5, tools(), at=1009.0) << closes_tab(6)


def test_the_tab_of_a_late_answer_stays_if_the_handshake_fails(late: Playbook) -> None:
    late >> lost("no answer", LinkState.NOT_ANSWERING, 1009.0)
    assert not late.link().held


@pytest.mark.parametrize("texts", [("DIFF_REJECTED", "tab"), ("TAB_CLOSED",)])
def test_other_old_answers_on_a_new_connection_decide_nothing(
    story: Playbook, in_ide: Review, texts: tuple[str, ...]
) -> None:
    story.quietly(lost(), Surveyed(1009.0, {"r1": scene(CODE)}))
    bring_up(story, at=1009.0)
    story.quietly(Saved(1009.0, "r1", 4))
    story >> says(3, *texts, at=1009.0) >> says(99, "FILE_SAVED", "x", at=1009.0)
    assert story.router.links.dropped == 2
    assert story.router.desk.seats["r1"].where == "ide"


def test_an_ide_that_dies_before_the_journal_answered_gets_no_diff_on_its_new_connection(story: Playbook) -> None:
    record = proposed(story, CODE)
    bring_up(story)
    first = shown(record, 3)
    back = unshown(first)
    story >> lost() << Save(back) << Look(("r1",))
    story >> Surveyed(1009.0, {"r1": scene(CODE)}) << dials()
    bring_up(story, at=1009.0)
    again = shown(back, 6, at=1009.0)
    story >> saved(first, 1009.0) >> saved(back, 1009.0)  # the journal was slow
    story >> saved(again) << shows(6) << Watch(ID, closely=True)


def test_a_dead_ide_frees_those_who_queued_there(story: Playbook, two: tuple[Review, Review]) -> None:
    first, _ = two
    story >> lost() << Save(unshown(first)) << Look(("r1", "r2"))
    gone = f"{NAME} went away (the IDE ended)"
    story >> Surveyed(1000.0, {"r1": scene(), "r2": scene()})
    story << tell("page", reason=gone) << tell("page", reason=gone, of="r2")


def test_a_dead_ide_frees_those_who_queued_even_if_the_first_diff_was_not_sent_yet(story: Playbook) -> None:
    first = proposed(story, CODE)
    bring_up(story)
    proposed(story, CODE, id_="r2")
    cancelled = advance(shown(first, 3), Step.CANCEL, 1000.0)
    story >> asks(Cancel(review_id="r1"), 5) << Save(cancelled) >> lost() << Look(("r2",))
    then(story >> saved(cancelled), *ends(cancelled, (ANN, 5)))
    story.quietly(Surveyed(1000.0, {"r2": scene()}))
    assert story.router.desk.seats["r2"].where == "page"


def test_it_does_not_move_where_two_links_were_opened_for_it(story: Playbook) -> None:
    """A hanging IDE fails after another one took the review: that changes nothing."""
    record = proposed(story, CODE)
    better = replace(IDEA, modified=2000.0)
    story >> Surveyed(1001.0, {"r1": scene(CODE, better)})  # it is on its way to the first
    story >> asks(Reopen(review_id="r1", surface=Surface.IDE), 5, scene=scene(better, named="idea")) << dials(IDEA)
    bring_up(story, IDEA)
    again = shown(replace(record, surface=Surface.IDE, ide="idea"), 3, IDEA)
    story >> saved(again) << shows(3, IDEA) << Watch(IDEA.lock.ide_id, closely=True)
    story << Reply(ANN, 5, {"id": "r1", "surface": "ide", "ide": "IntelliJ IDEA", "reason": ""})
    story.quietly(opened(CODE), lost())
    rejected = decide(again, 1000.0, finals=None, trigger=Trigger.REJECTED_OR_CLOSED)
    story >> says(3, "DIFF_REJECTED", candidate=IDEA) << Watch(IDEA.lock.ide_id, closely=False) << Save(rejected)


@pytest.mark.parametrize(
    "to_the_page",
    [Seen(1000.0, "r1"), asks(Reopen(review_id="r1", surface=Surface.PAGE), 5, scene=scene(CODE))],
    ids=["seen", "reopened"],
)
def test_it_stays_on_the_page_although_its_link_comes_up(story: Playbook, to_the_page: Event) -> None:
    proposed(story, CODE)
    story.quietly(to_the_page)
    bring_up(story)
    assert story.router.desk.seats["r1"].where == "page"
    assert story.link().showing == []
    assert story.link().idle_since == 1000.0


def test_an_ended_review_is_not_placed_again_when_its_link_fails(story: Playbook) -> None:
    proposed(story, CODE)
    story.quietly(asks(Cancel(review_id="r1"), 5))
    story >> lost()


# ---- one diff at a time


def test_the_next_diff_is_opened_when_the_first_is_decided(story: Playbook, two: tuple[Review, Review]) -> None:
    first, second = two
    accepted = decide(first, 1000.0, finals=("new\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    next_ = shown(second, 4)
    story >> says(3, "FILE_SAVED", "new\n") << Watch(ID, closely=False) << Save(next_) << Save(accepted)
    story >> saved(next_) << shows(4, of="r2") << Watch(ID, closely=True) << tell("ide", NAME, of="r2")
    then(story >> saved(accepted), *ends(accepted, (ANN, 2)), closes_tab(5))


def test_the_queue_is_first_come_first_served(story: Playbook, two: tuple[Review, Review]) -> None:
    proposed(story, CODE, id_="r3")
    story.quietly(asks(Cancel(review_id="r1"), 5), Saved(1000.0, "r1", 3))
    assert (story.link().showing, story.link().queue) == (["r2"], ["r3"])


ENDS_IN_THE_QUEUE: list[tuple[Event, str]] = [
    (asks(Cancel(review_id="r2"), 5), "cancelled"),
    (asks(Decide(review_id="r2", finals=None), 5, who=PAGE), "rejected"),
]


@pytest.mark.parametrize(("end", "outcome"), ENDS_IN_THE_QUEUE, ids=lambda value: str(value)[:8])
def test_a_review_may_end_in_the_queue(story: Playbook, two: tuple[Review, Review], end: Event, outcome: str) -> None:
    story.quietly(end)
    assert story.router.desk.seats["r2"].review.outcome == outcome
    # The turn comes before the journal answers: it passes.
    story.quietly(says(3, "TAB_CLOSED"), Saved(1000.0, "r2", 2))
    assert (story.link().showing, story.link().queue) == ([], [])


def test_a_queued_review_can_be_seen_on_the_page_and_then_stays_there(
    story: Playbook, two: tuple[Review, Review]
) -> None:
    seen = advance(two[1], Step.SHOW, 1000.0)
    story >> Seen(1000.0, "r2") << Save(seen) << tell("page", reason="another diff is open there", of="r2")
    assert story.link().queue == []


def test_a_queued_review_that_is_reopened_twice_queues_once(story: Playbook, two: tuple[Review, Review]) -> None:
    world = scene(CODE)
    for id_, surface in enumerate((Surface.PAGE, Surface.AUTO, Surface.PAGE, Surface.AUTO), 5):
        story.quietly(asks(Reopen(review_id="r2", surface=surface), id_, scene=world))
    assert story.link().queue == ["r2"]
    answer = {"id": "r2", "surface": "queued", "ide": NAME, "reason": "another diff is open there"}
    story >> asks(Reopen(review_id="r2", surface=Surface.AUTO), 9, scene=world) << Reply(ANN, 9, answer)


def test_a_plugin_that_holds_several_diffs_gets_them_at_once(story: Playbook) -> None:
    for id_ in ("r1", "r2"):
        proposed(story, NVIM, id_=id_)
    bring_up(story, NVIM)
    assert story.link(NVIM).showing == ["r1", "r2"]
    story.quietly(Saved(1000.0, "r1", 2), Saved(1000.0, "r2", 2))
    story.quietly(says(3, "DIFF_REJECTED", candidate=NVIM))
    assert story.router.desk.seats["r1"].review.outcome is Outcome.REJECTED
    assert story.link(NVIM).showing == ["r2"]


# ---- where a review may be shown


def test_a_review_for_an_ide_only_is_refused_where_none_is(story: Playbook) -> None:
    error = Unavailable(
        "no IDE can be used here", "open the folder in an IDE with its Claude Code plugin, or see bridge status"
    )
    story >> asks(Propose(review=review(surface=Surface.IDE)), scene=scene()) << Refuse(ANN, 1, error)
    occupied = scene(replace(CODE, occupied=True))
    why = Unavailable(f"{error.message}: occupied by another client", error.hint)
    story >> asks(Propose(review=review(surface=Surface.IDE)), scene=occupied) << Refuse(ANN, 1, why)


def test_a_review_for_an_ide_only_waits_nowhere_until_one_comes(story: Playbook) -> None:
    proposed(story, CODE, surface=Surface.IDE)
    gone = f"{NAME}: gone: the IDE ended"
    story >> asks(WAIT, 2) >> lost() << tell(None, reason=gone) >> asks(Wait(review_id="r1"), 3)
    story << tell(None, reason=gone)
    assert story.router.look_again() == [Look(("r1",))]
    again = 1000.0 + LOOK_AGAIN_S
    assert story.router.deadline() == again
    story >> Tick(again) << Look(("r1",)) >> Surveyed(again, {"r1": scene()})  # no news, nothing told
    story >> Tick(again + LOOK_AGAIN_S) << Look(("r1",)) >> Surveyed(again + LOOK_AGAIN_S, {"r1": scene(IDEA)})
    story << dials(IDEA)


def test_a_review_for_the_page_goes_to_no_ide(story: Playbook) -> None:
    new = review(surface=Surface.PAGE)
    story.quietly(asks(Propose(review=new), scene=scene(CODE)))
    story >> saved(new) << Reply(ANN, 1, {"id": "r1", "joined": False})


def test_an_ide_that_comes_later_takes_what_nobody_looks_at(story: Playbook, on_page: Review) -> None:
    story >> Surveyed(1001.0, {"r1": scene(CODE), "gone": scene(CODE)}) << dials()


def test_an_ide_that_comes_later_does_not_take_what_the_human_reads(story: Playbook, on_page: Review) -> None:
    story.quietly(Seen(1000.0, "r1"))
    story >> Surveyed(1001.0, {"r1": scene(CODE)})
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(CODE)) << dials()  # unless told so


def test_a_survey_does_not_move_what_an_ide_shows(story: Playbook, two: tuple[Review, Review]) -> None:
    story >> Surveyed(1001.0, {"r1": scene(IDEA), "r2": scene(IDEA)})
    assert story.router.look_again() == []


def test_reopening_where_it_is_just_says_so(story: Playbook, in_ide: Review) -> None:
    answer = {"id": "r1", "surface": "ide", "ide": NAME, "reason": ""}
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(CODE)) << Reply(ANN, 5, answer)
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 6, scene=scene()) << Reply(ANN, 6, answer)


def test_reopening_what_is_on_its_way_is_answered_when_it_has_come(story: Playbook) -> None:
    open_ = shown(proposed(story, CODE), 3)
    bring_up(story)
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(CODE))
    story >> saved(open_) << shows(3) << Watch(ID, closely=True)
    story << Reply(ANN, 5, {"id": "r1", "surface": "ide", "ide": NAME, "reason": ""})


def test_a_name_that_is_not_utf8_is_for_the_page_only(story: Playbook) -> None:
    new = review(path=b"/w/\xff.py")
    story.quietly(asks(Propose(review=new), 1, scene=scene(CODE)), saved(new))
    bring_up(story)
    open_ = story.router.desk.seats["r1"].review
    back = unshown(open_, surface=Surface.PAGE)
    story >> asks(WAIT, 2) >> saved(open_) << Watch(ID, closely=False) << Save(back)
    story << tell("page", reason="no IDE can be told this name: it has bytes that are not UTF-8")
    assert story.link().idle_since == 1000.0


# ---- keys, limits and ends


def test_the_same_key_joins_and_hears_of_it_when_it_is_on_disk(story: Playbook) -> None:
    new = review(request_key="k")
    story >> asks(Propose(review=new), 1, scene=scene()) << Save(new)
    story >> asks(Propose(review=review("r2", request_key="k")), 2, who=BOB, scene=scene())
    story >> saved(new) << Reply(ANN, 1, {"id": "r1", "joined": False}) << Reply(BOB, 2, {"id": "r1", "joined": True})
    story >> asks(Propose(review=review("r3", request_key="k")), 3, scene=scene())
    story << Reply(ANN, 3, {"id": "r1", "joined": True})


def test_the_same_key_joins_what_only_the_journal_knows(story: Playbook) -> None:
    old = replace(review("r0", request_key="k"), state=State.DELIVERED, outcome=Outcome.ACCEPTED)
    again = Propose(review=review(request_key="k"), known=old)
    story >> asks(again, scene=scene()) << Reply(ANN, 1, {"id": "r0", "joined": True})


def test_the_same_key_for_another_change_is_a_conflict(story: Playbook) -> None:
    proposed(story, request_key="k")
    other = Propose(review=review("r2", request_key="k", proposed="else\n"))
    error = Conflict("the request key 'k' names another change (review r1)", "use a new key for a new change")
    story >> asks(other, scene=scene()) << Refuse(ANN, 1, error)


def test_a_newer_proposal_supersedes_an_older_one(story: Playbook, on_page: Review) -> None:
    new = review("r2")
    old = advance(on_page, Step.SUPERSEDE, 1000.0)
    story >> asks(Propose(review=new, supersedes="r1"), 5, scene=scene()) << Save(new)
    story >> saved(new) << Reply(ANN, 5, {"id": "r2", "joined": False}) << Save(old)
    then(story >> saved(old), *ends(old, (ANN, 2)))


@pytest.mark.parametrize("limit", ["MOST_REVIEWS", "MOST_BYTES"])
def test_a_loop_that_runs_wild_is_stopped(story: Playbook, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(f"bridge.core.desk.{limit}", 1)
    proposed(story)
    error = Unavailable("1 reviews wait for a decision: no more are taken", "bridge review ls")
    story >> asks(Propose(review=review("r2")), scene=scene()) << Refuse(ANN, 1, error)


@pytest.mark.parametrize(
    "ask",
    [WAIT, Cancel(review_id="r1"), Decide(review_id="r1", finals=None), Reopen(review_id="r1", surface=Surface.IDE)],
    ids=lambda ask: type(ask).__name__,
)
def test_what_has_ended_is_told_from_the_journal(story: Playbook, ask: Ask) -> None:
    story >> asks(ask, 5, scene=scene()) << FromJournal(ANN, 5, "r1")


def test_a_cancelled_diff_is_closed_and_every_waiter_hears(story: Playbook, in_ide: Review) -> None:
    cancelled = advance(in_ide, Step.CANCEL, 1000.0)
    story >> asks(Cancel(review_id="r1"), 5, who=BOB) << Save(cancelled)
    then(story >> saved(cancelled), *ends(cancelled, (BOB, 5), (ANN, 2)), closes_tab(4), Watch(ID, closely=False))
    story >> says(4, "TAB_CLOSED") >> says(3, "DIFF_REJECTED", "tab")


def test_an_undecided_review_expires(story: Playbook, on_page: Review) -> None:
    end = on_page.created + EXPIRES_AFTER_S
    assert story.router.deadline() == end
    expired = advance(on_page, Step.EXPIRE, end)
    then(story >> Tick(end) << Save(expired) >> saved(expired), *ends(expired, (ANN, 2)))
    assert story.router.deadline() is None


def test_a_waiter_gets_its_answer_at_its_time_and_the_review_stays(story: Playbook, on_page: Review) -> None:
    pending = StillPending("review r1 is still undecided", "bridge review wait r1")
    story >> asks(Wait(review_id="r1", until=1005.0), 5, who=BOB) << Tell(BOB, "r1", "page", None, NO_IDE)
    assert story.router.deadline() == 1005.0
    story >> Tick(1005.0) << Refuse(BOB, 5, pending) >> Tick(1006.0)
    assert story.router.desk.seats["r1"].review.is_open


def test_an_agent_that_leaves_is_answered_no_more_and_the_review_stays(story: Playbook, on_page: Review) -> None:
    rejected = decide(on_page, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story >> Left(1000.0, ANN)
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected)
    then(story >> saved(rejected), *ends(rejected, (PAGE, 7)))


def test_an_agent_that_leaves_before_its_proposal_is_on_disk_is_not_answered(story: Playbook) -> None:
    new = review()
    story >> asks(Propose(review=new), scene=scene()) << Save(new) >> Left(1000.0, ANN) >> saved(new)
    assert story.router.desk.seats["r1"].where == "page"


# ---- the journal fails


def journal_fails(record: Review, at: float = 1000.0) -> SaveFailed:
    return SaveFailed(at, record.id, record.version, "disk full")


BROKEN = Unavailable("the journal cannot be written: disk full", "bridge doctor")


def test_a_proposal_that_cannot_be_kept_is_refused_to_all_who_made_it(story: Playbook) -> None:
    new = review(request_key="k")
    story.quietly(asks(Propose(review=new), 1, scene=scene(CODE)))
    story.quietly(asks(Propose(review=review("r2", request_key="k")), 2, who=BOB, scene=scene(CODE)))
    story >> journal_fails(new) << Refuse(ANN, 1, BROKEN) << Refuse(BOB, 2, BROKEN)
    story >> saved(new) >> journal_fails(new)  # of something that is not here any more
    assert story.router.deadline() is None


def test_an_ide_that_comes_before_the_proposal_is_on_disk_does_not_get_it(story: Playbook) -> None:
    new = review()
    story.quietly(asks(Propose(review=new), 1, scene=scene()))
    assert story.router.look_again() == []
    story >> Surveyed(1000.0, {"r1": scene(CODE)}) >> journal_fails(new) << Refuse(ANN, 1, BROKEN)


def test_a_decision_that_cannot_be_written_is_kept_and_tried_again(story: Playbook, on_page: Review) -> None:
    rejected = decide(on_page, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected)
    story >> journal_fails(rejected) << Refuse(PAGE, 7, BROKEN)
    again = 1000.0 + SAVE_AGAIN_S
    assert story.router.deadline() == again
    story >> Tick(again) << Save(rejected) >> journal_fails(rejected, again)
    story >> Tick(again + SAVE_AGAIN_S) << Save(rejected)
    then(story >> saved(rejected, again + SAVE_AGAIN_S), *ends(rejected, (ANN, 2)))


def test_a_diff_is_not_opened_before_the_journal_knows_of_it(story: Playbook) -> None:
    open_ = shown(proposed(story, CODE), 3)
    bring_up(story)
    story >> journal_fails(open_) >> Tick(1002.0) << Save(open_)
    story >> saved(open_, 1002.0) << shows(3) << Watch(ID, closely=True)


# ---- the daemon was killed


def restored(*reviews: Review, at: float = 2000.0) -> Restored:
    return Restored(at, reviews)


def test_a_tab_that_was_left_in_an_ide_which_is_not_connected_is_let_be(story: Playbook) -> None:
    old = replace(shown(review(), 40), version=2)
    back = unshown(old, 2000.0)
    story.quietly(restored(old), saved(back), Surveyed(2000.0, {"r1": scene()}))
    rejected = decide(back, 2000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE, at=2000.0) << Save(rejected)
    then(story >> saved(rejected), *ends(rejected, (PAGE, 7)))


def test_what_an_ide_showed_before_the_restart_is_shown_again_and_its_old_answer_counts(story: Playbook) -> None:
    old = replace(shown(review(), 40), version=2)
    back = unshown(old, 2000.0)
    story >> restored(old) << Save(back) << Look(("r1",)) >> asks(WAIT, 2, at=2000.0)
    story >> Surveyed(2000.0, {"r1": scene(CODE)}) << dials()
    bring_up(story, at=2000.0)
    again = shown(back, 3, at=2000.0)
    story >> saved(again) << shows(3) << Watch(ID, closely=True) << tell("ide", NAME)
    accepted = decide(again, 2000.0, finals=("mine\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    story >> says(40, "FILE_SAVED", "mine\n", at=2000.0) << Save(accepted)


def test_what_an_ide_showed_goes_to_the_page_if_the_ide_is_gone_and_back_to_the_next(story: Playbook) -> None:
    story.quietly(restored(shown(review(), 40)))
    story >> asks(WAIT, 2, at=2000.0) >> Surveyed(2000.0, {"r1": scene()})
    story << tell("page", reason="the bridge was restarted") >> Surveyed(2001.0, {"r1": scene(IDEA)}) << dials(IDEA)


def test_what_was_read_on_the_page_stays_there(story: Playbook) -> None:
    seen = advance(review(), Step.SHOW, 1001.0)
    story >> restored(seen) << Look(("r1",)) >> asks(WAIT, 2, at=2000.0) << tell("page")
    story >> Surveyed(2000.0, {"r1": scene(CODE)})


def test_what_nobody_could_look_around_for_is_on_the_page(story: Playbook) -> None:
    story >> restored(review()) << Look(("r1",)) >> asks(WAIT, 2, at=2000.0)
    story >> Surveyed(2000.0, {"r1": None}) << tell("page")


def test_nothing_to_restore_is_nothing_to_do(story: Playbook) -> None:
    story >> restored()
    assert story.router.deadline() is None


def test_what_expired_while_the_daemon_was_away_ends_at_once(story: Playbook) -> None:
    at = 1000.0 + 2 * EXPIRES_AFTER_S
    story.quietly(restored(review(), at=at))
    story >> Tick(at) << Save(advance(review(), Step.EXPIRE, at))
