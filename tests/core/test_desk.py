"""What is asked of reviews: proposed, waited for, decided once, taken back; and how they end by themselves."""

from dataclasses import replace

import pytest

from bridge.core.asks import Ask, Cancel, Decide, Propose, Reopen
from bridge.core.events import FromJournal, LinkState, Look, Refuse, Reply, Save, Seen, Surveyed, Tick, Watch
from bridge.core.links import IDLE_S
from bridge.core.reviews import (
    EXPIRES_AFTER_S,
    Comment,
    Outcome,
    Review,
    State,
    Step,
    Surface,
    Trigger,
    advance,
    decide,
)
from bridge.core.showing import LOOK_AGAIN_S
from bridge.errors import BadData, Conflict, Unavailable
from tests.core.stories import ID, NAME, WAIT, ends, lost, proposed, restored, saved, shown, tell, then
from tests.playbook import (
    ANN,
    BOB,
    CODE,
    IDEA,
    PAGE,
    Playbook,
    asks,
    bring_up,
    closes_tab,
    dials,
    review,
    says,
    scene,
    shows,
)

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
    seen = advance(on_page, Step.SHOW, 1001.0, surface=Surface.PAGE)
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


# ---- keys and limits


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


def test_who_asks_again_after_a_crash_supersedes_what_the_crash_had_spared(story: Playbook, on_page: Review) -> None:
    newer = replace(review("r2", request_key="k"), state=State.PROPOSED)
    old = advance(on_page, Step.SUPERSEDE, 1000.0)
    story >> asks(Propose(review=review("r3", request_key="k"), known=newer, supersedes="r1"), 5, scene=scene())
    story << Reply(ANN, 5, {"id": "r2", "joined": True}) << Save(old)
    then(story >> saved(old), *ends(old, (ANN, 2)))


def test_waiting_without_end_is_stopped(story: Playbook, on_page: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.core.desk.MOST_WAITERS", 1)
    story >> asks(WAIT, 3) << Refuse(ANN, 3, Unavailable("1 requests wait for review r1 already", "wait once"))


@pytest.mark.parametrize("limit", ["MOST_REVIEWS", "MOST_BYTES"])
def test_a_loop_that_runs_wild_is_stopped(story: Playbook, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(f"bridge.core.desk.{limit}", 1)
    proposed(story)
    error = Unavailable("1 reviews wait for a decision: no more are taken", "bridge review ls")
    story >> asks(Propose(review=review("r2")), scene=scene()) << Refuse(ANN, 1, error)


def test_a_review_for_an_ide_only_is_refused_where_none_is(story: Playbook) -> None:
    error = Unavailable(
        "no IDE can be used here", "open the folder in an IDE with its Claude Code plugin, or see bridge status"
    )
    story >> asks(Propose(review=review(surface=Surface.IDE)), scene=scene()) << Refuse(ANN, 1, error)
    occupied = scene(replace(CODE, occupied=True))
    why = Unavailable(f"{error.message}: occupied by another client", error.hint)
    story >> asks(Propose(review=review(surface=Surface.IDE)), scene=occupied) << Refuse(ANN, 1, why)


# ---- ends


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


@pytest.mark.parametrize(
    "ask",
    [WAIT, Cancel(review_id="r1"), Decide(review_id="r1", finals=None), Reopen(review_id="r1", surface=Surface.IDE)],
    ids=lambda ask: type(ask).__name__,
)
def test_what_has_ended_is_told_from_the_journal(story: Playbook, ask: Ask) -> None:
    story >> asks(ask, 5, scene=scene()) << FromJournal(ANN, 5, "r1")


def test_the_page_comes_too_late_when_the_ide_has_decided(story: Playbook, in_ide: Review) -> None:
    story.quietly(says(3, "FILE_SAVED", "new\n"))
    late = Conflict("review r1 is already accepted", "bridge review show r1")
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Refuse(PAGE, 7, late)
    reopen = Reopen(review_id="r1", surface=Surface.PAGE)
    story >> asks(reopen, 8, who=BOB, scene=scene()) << Refuse(BOB, 8, late)


def test_who_cancels_may_say_that_the_agent_asks_in_its_terminal(story: Playbook, in_ide: Review) -> None:
    moved = advance(in_ide, Step.CANCEL, 1000.0, trigger=Trigger.MOVED_TO_TERMINAL)
    assert (moved.outcome, moved.trigger) == (Outcome.CANCELLED, Trigger.MOVED_TO_TERMINAL)
    story >> asks(Cancel(review_id="r1", trigger=Trigger.MOVED_TO_TERMINAL), 5, who=BOB) << Save(moved)
    then(story >> saved(moved), *ends(moved, (BOB, 5), (ANN, 2)), closes_tab(4), Watch(ID, closely=False))


def test_cancelling_what_was_decided_changes_nothing_and_tells_the_decision(story: Playbook, in_ide: Review) -> None:
    accepted = decide(in_ide, 1000.0, finals=("new\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    story.quietly(says(3, "FILE_SAVED", "new\n"))
    assert story.router.deadline() == 1000.0 + IDLE_S  # of the link: the review will not expire
    story >> asks(Cancel(review_id="r1"), 8, who=BOB)  # the answer waits for the disk, as everybody's does
    then(story >> saved(accepted), *ends(accepted, (BOB, 8), (ANN, 2)), closes_tab(4))


# ---- looking around


def test_an_ide_that_comes_later_takes_what_nobody_looks_at(story: Playbook, on_page: Review) -> None:
    story >> Surveyed(1001.0, {"r1": scene(CODE), "gone": scene(CODE)}) << dials()


def test_an_ide_that_comes_later_is_not_met_by_what_nobody_waits_for(story: Playbook) -> None:
    proposed(story)
    story >> Surveyed(1001.0, {"r1": scene(CODE)})
    assert story.router.desk.seats["r1"].where == "page"


def test_an_ide_that_comes_later_does_not_take_what_the_human_reads(story: Playbook, on_page: Review) -> None:
    story.quietly(Seen(1000.0, "r1"))
    assert story.router.look_again() == []
    story >> Surveyed(1001.0, {"r1": scene(CODE)})
    story.quietly(asks(Reopen(review_id="r1", surface=Surface.AUTO), 5, scene=scene(CODE)))  # unless told so
    bring_up(story)
    assert story.router.desk.seats["r1"].where == "ide"


def test_what_must_be_shown_in_an_ide_is_looked_around_for_until_there_is_one(story: Playbook) -> None:
    proposed(story, CODE, surface=Surface.IDE)
    story.quietly(lost())
    again = 1000.0 + LOOK_AGAIN_S
    assert story.router.deadline() == again
    story >> Tick(again - 1.0) >> Tick(again) << Look(("r1",)) >> Tick(again + 1.0)
    story >> Surveyed(again, {"r1": scene(CODE)}) << dials()


def test_a_survey_does_not_move_what_an_ide_shows(story: Playbook, two: tuple[Review, Review]) -> None:
    story >> Surveyed(1001.0, {"r1": scene(IDEA), "r2": scene(IDEA)})
    assert story.router.look_again() == []


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


# ---- a slot that another client took


def test_a_review_does_not_take_a_lost_slot_back_unless_the_human_wants_it_there(
    story: Playbook, in_ide: Review
) -> None:
    taken = scene(replace(CODE, occupied=True), named="code")
    (look,) = [c for c in story.router.handle(lost("taken", LinkState.SLOT_LOST)) if isinstance(c, Look)]
    story.quietly(saved(story.router.desk.seats["r1"].review))
    for at in (1000.5, 1100.0, 9000.0):
        story.quietly(Surveyed(at, dict.fromkeys(look.review_ids, taken)))
        assert story.router.desk.seats["r1"].where == "page"
    wish = Reopen(review_id="r1", surface=Surface.IDE)
    assert dials() in story.router.handle(asks(wish, 5, scene=taken, at=9001.0))


def test_an_agent_that_asks_again_does_not_take_a_lost_slot_back_either(story: Playbook, in_ide: Review) -> None:
    story.quietly(lost("taken", LinkState.SLOT_LOST))
    taken = scene(replace(CODE, occupied=True))
    story >> asks(Propose(review=review("r2", at=9000.0)), 5, scene=taken, at=9000.0)
    story << Save(review("r2", at=9000.0))
    story.quietly(saved(review("r2", at=9000.0)))
    assert story.router.desk.seats["r2"].where == "page"


# ---- taken back before it is on disk


def test_a_review_that_ended_before_it_was_on_disk_is_shown_nowhere(story: Playbook) -> None:
    new = review()
    story >> asks(Propose(review=new), scene=scene(CODE)) << Save(new)
    gone = advance(new, Step.CANCEL, 1000.0)
    story >> asks(Cancel(review_id="r1"), 2) << Save(gone)
    story >> saved(new) << Reply(ANN, 1, {"id": "r1", "joined": False})
    then(story >> saved(gone), *ends(gone, (ANN, 2)))
