"""Reviews: shown in an IDE, queued, on the page; an IDE is believed only as far as it goes (design.md D6)."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from bridge.core.asks import Cancel, Decide, Propose, Reopen, Wait
from bridge.core.events import Event, LinkState, Look, Reply, Save, Saved, Seen, Surveyed, Tick, Watch
from bridge.core.links import CALL_S
from bridge.core.reviews import Outcome, Review, State, Step, Surface, Trigger, advance, decide
from bridge.core.showing import LOOK_AGAIN_S, settled
from bridge.errors import BadData
from tests.core.stories import ID, LOOK, NAME, WAIT, ends, lost, proposed, restored, saved, shown, tell, then, unshown
from tests.playbook import (
    ANN,
    CODE,
    GEMINI,
    IDEA,
    NVIM,
    PAGE,
    Playbook,
    answers,
    asks,
    bring_up,
    calls,
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


class Said(NamedTuple):
    texts: tuple[str, ...]
    why: str  # it is on the page then


UNDECIDED = [
    Said(("TAB_CLOSED",), f"its tab in {NAME} was closed"),
    Said(("FILE_SAVED",), f"{NAME}: the IDE did not say which text was accepted"),
    Said(("whatever",), f"{NAME}: the IDE's answer to openDiff is not understood"),
    Said((), f"{NAME}: the IDE's answer to openDiff is not understood"),
]


# ---- what an IDE cannot show


def test_an_ide_that_shows_no_diffs_is_passed_over_once_that_is_known(story: Playbook) -> None:
    """The companion lists no closeDiff: neither does its own agent show diffs then."""
    proposed(story, replace(GEMINI, ancestor=True), IDEA)
    story.quietly(opened(GEMINI), answers(1, candidate=GEMINI))
    story >> answers(2, tools("openDiff"), candidate=GEMINI) << dials(IDEA)
    assert story.router.links.lacking(GEMINI)[1] == "it shows no diffs"


def test_without_another_its_review_is_on_the_page(story: Playbook) -> None:
    proposed(story, GEMINI)
    story.quietly(opened(GEMINI), answers(1, candidate=GEMINI), asks(WAIT, 2))
    story >> answers(2, tools(""), candidate=GEMINI) << tell("page", reason="it shows no diffs")


# ---- what an IDE may answer


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


def test_a_plugin_that_has_told_closing_from_rejecting_means_no_when_it_says_so(
    story: Playbook, in_ide: Review
) -> None:
    story.quietly(says(3, "TAB_CLOSED"), asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(CODE)))
    again = story.router.desk.seats["r1"].review
    story.quietly(saved(again))
    rejected = decide(again, 1000.0, finals=None, trigger=Trigger.REJECTED_IN_IDE)
    story >> says(4, "DIFF_REJECTED", "tab") << Watch(ID, closely=False) << Save(rejected)


def test_the_page_decides_while_the_ide_shows_it_and_the_ide_comes_too_late(story: Playbook, in_ide: Review) -> None:
    accepted = decide(in_ide, 1000.0, finals=("new\n",), trigger=Trigger.ACCEPTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=("new\n",)), 7, who=PAGE) << Save(accepted)
    story >> says(3, "FILE_SAVED", "other") << Watch(ID, closely=False)
    then(story >> saved(accepted), *ends(accepted, (PAGE, 7), (ANN, 2)), closes_tab(4))
    assert story.router.links.dropped == 1


def test_the_rejection_that_follows_our_own_closing_is_no_decision(story: Playbook, in_ide: Review) -> None:
    """The tab was closed by us, since the human wants the page: DIFF_REJECTED is the plugin's way to say so."""
    back = unshown(in_ide, surface=Surface.PAGE)
    story >> asks(Reopen(review_id="r1", surface=Surface.PAGE), 5, scene=scene(CODE)) << closes_tab(4)
    story << Watch(ID, closely=False) << Save(back) << tell("page")
    story << Reply(ANN, 5, {"id": "r1", "surface": "page", "ide": None, "reason": ""})
    story >> says(3, "DIFF_REJECTED", "tab") >> says(4, "TAB_CLOSED")
    assert story.router.links.dropped == 1
    assert story.router.desk.seats["r1"].review.is_open


def test_the_answer_to_a_diff_that_was_taken_back_does_not_make_room_where_it_is_shown_again(
    story: Playbook, in_ide: Review
) -> None:
    for id_, surface in ((5, Surface.PAGE), (6, Surface.AUTO)):
        story.quietly(asks(Reopen(review_id="r1", surface=surface), id_, scene=scene(CODE)))
    story >> says(3, "DIFF_REJECTED", "tab") >> says(4, "TAB_CLOSED")
    assert story.link().showing == ["r1"]
    again = story.router.desk.seats["r1"].review
    story >> saved(again) << shows(5) << Watch(ID, closely=True) << tell("ide", NAME)
    story << Reply(ANN, 6, {"id": "r1", "surface": "ide", "ide": NAME, "reason": ""})


@pytest.mark.parametrize("word", ["DIFF_REJECTED", "TAB_CLOSED"])
def test_the_answer_to_a_diff_that_was_taken_back_says_nothing_of_its_review_in_the_queue(
    story: Playbook, two: tuple[Review, Review], word: str
) -> None:
    for id_, surface in enumerate((Surface.PAGE, Surface.AUTO), 5):
        story.quietly(asks(Reopen(review_id="r1", surface=surface), id_, scene=scene(CODE)))
    story.quietly(saved(story.router.desk.seats["r2"].review))
    assert (story.link().showing, story.link().queue) == (["r2"], ["r1"])
    story >> says(3, word)
    seat = story.router.desk.seats["r1"]
    assert (seat.where, seat.review.is_open, story.link().queue) == ("queued", True, ["r1"])


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
    story.quietly(asks(LOOK, 9, scene=scene(IDEA)))
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


def test_a_tab_that_stayed_open_is_closed_when_its_ide_is_live_for_other_work(story: Playbook, in_ide: Review) -> None:
    story.quietly(lost(), asks(Cancel(review_id="r1"), 5))
    story.quietly(saved(story.router.desk.seats["r1"].review))
    story.quietly(asks(LOOK, 9, scene=scene(CODE), at=1009.0), opened(at=1009.0), answers(4, at=1009.0))
    story >> answers(5, tools(), at=1009.0) << closes_tab(6) << calls("getOpenEditors", {}, 7)
    story >> says(6, "TAB_CLOSED", at=1009.0)


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
    wanted = unshown(record, surface=Surface.IDE, ide="idea")
    story >> asks(Reopen(review_id="r1", surface=Surface.IDE), 5, scene=scene(better, named="idea"))
    story << Save(wanted) << dials(IDEA)
    bring_up(story, IDEA)
    again = shown(wanted, 3, IDEA)
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
    seen = advance(two[1], Step.SHOW, 1000.0, surface=Surface.PAGE)
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


@pytest.mark.parametrize("review_id", ["r1", "gone"])
def test_looking_at_the_page_takes_nothing_from_an_ide(story: Playbook, in_ide: Review, review_id: str) -> None:
    story >> Seen(1000.0, review_id)


def test_a_surface_gives_a_text_for_each_file() -> None:
    with pytest.raises(BadData, match="the review has 1 files, the decision 2"):
        settled(review(), ("a", "b"))


def test_a_name_that_is_not_utf8_is_for_the_page_only(story: Playbook) -> None:
    new = review(path=b"/w/\xff.py")
    story.quietly(asks(Propose(review=new), 1, scene=scene(CODE)), saved(new))
    bring_up(story)
    open_ = story.router.desk.seats["r1"].review
    back = unshown(open_, surface=Surface.PAGE)
    story >> asks(WAIT, 2) >> saved(open_) << Watch(ID, closely=False) << Save(back)
    story << tell("page", reason="no IDE can be told this name: it has bytes that are not UTF-8")
    assert story.link().idle_since == 1000.0


# ---- where the human wants it


def test_reopening_where_it_is_just_says_so(story: Playbook, in_ide: Review) -> None:
    answer = {"id": "r1", "surface": "ide", "ide": NAME, "reason": ""}
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(CODE)) << Reply(ANN, 5, answer)
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 6, scene=scene()) << Reply(ANN, 6, answer)


KEPT: list[tuple[str, Step]] = [("r1", Step.SHOW), ("r2", Step.UNSHOW)]


@pytest.mark.parametrize(("which", "step"), KEPT)
def test_a_wish_is_kept_although_the_review_stays_where_it_is(
    story: Playbook, two: tuple[Review, Review], which: str, step: Step
) -> None:
    record = next(record for record in two if record.id == which)
    wanted = advance(record, step, 1000.0, surface=Surface.IDE, ide="code")
    assert wanted.state == record.state
    reopen = asks(Reopen(review_id=which, surface=Surface.IDE), 5, scene=scene(CODE, named="code"))
    (save, reply) = story.router.handle(reopen)
    assert save == Save(wanted)
    assert isinstance(reply, Reply)


def test_a_wish_is_there_after_a_restart(story: Playbook, in_ide: Review) -> None:
    wanted = unshown(in_ide, surface=Surface.PAGE)
    story >> asks(Reopen(review_id="r1", surface=Surface.PAGE), 5, scene=scene(CODE)) << closes_tab(4)
    story << Watch(ID, closely=False) << Save(wanted) << tell("page")
    story << Reply(ANN, 5, {"id": "r1", "surface": "page", "ide": None, "reason": ""})
    later = Playbook()
    later >> restored(wanted) << Look(("r1",)) >> Surveyed(2000.0, {"r1": scene(CODE)})
    later.check()
    assert later.router.desk.seats["r1"].where == "page"


def test_what_the_human_had_on_the_page_and_wants_in_an_ide_is_not_forgotten_in_its_queue(
    story: Playbook, two: tuple[Review, Review]
) -> None:
    story.quietly(Seen(1000.0, "r2"), asks(Reopen(review_id="r2", surface=Surface.AUTO), 5, scene=scene(CODE)))
    assert story.link().queue == ["r2"]
    story.quietly(lost(), Surveyed(1000.0, {"r1": scene(), "r2": scene()}))
    assert story.router.desk.seats["r2"].where == "page"


def test_reopening_what_is_on_its_way_is_answered_when_it_has_come(story: Playbook) -> None:
    open_ = shown(proposed(story, CODE), 3)
    bring_up(story)
    story >> asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(CODE))
    story >> saved(open_) << shows(3) << Watch(ID, closely=True)
    story << Reply(ANN, 5, {"id": "r1", "surface": "ide", "ide": NAME, "reason": ""})


# ---- the daemon was killed


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
    before = replace(shown(review(), 40), state=State.PROPOSED)  # an IDE had it, and went away
    seen = advance(before, Step.SHOW, 1001.0, surface=Surface.PAGE)
    story >> restored(seen) << Look(("r1",)) >> asks(WAIT, 2, at=2000.0) << tell("page")
    story >> Surveyed(2000.0, {"r1": scene(CODE)})
