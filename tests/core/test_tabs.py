"""Diffs that agents open as if with an IDE: whose each is, who may join it, and what closing it means."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.asks import Ask, Cancel, CloseTab, CloseTabs, Decide, Propose, ShowDiff, Wait
from bridge.core.desk import MOST_REVIEWS, MOST_WAITERS
from bridge.core.events import (
    Command,
    Deliver,
    Ended,
    Left,
    Refuse,
    Reply,
    Save,
    SaveFailed,
    SessionId,
    Tell,
    Tick,
    Watch,
)
from bridge.core.reviews import Outcome, Review, Step, Surface, Trigger, advance, decide, decision
from bridge.core.tabs import FREE_S, MOST_TABS
from bridge.errors import Unavailable
from tests.core.stories import ID, NAME, NO_IDE, ends, restored, saved, shown, tell, then
from tests.playbook import (
    ANN,
    BOB,
    CODE,
    PAGE,
    Playbook,
    asks,
    bring_up,
    closes_tab,
    review,
    says,
    scene,
    shows,
    withdraws,
)

BROKEN = Unavailable("the journal cannot be written: disk full", "bridge doctor")
CLOSE = CloseTab(tab="t")
ALL = CloseTabs()


def change(id_: str = "r1", **more: Any) -> Review:
    """A change that an agent wants to be seen; the same one has the same key."""
    return review(id_, **{"request_key": "k", **more})


def diff(record: Review, tab: str = "t", known: Review | None = None) -> ShowDiff:
    return ShowDiff(review=record, tab=tab, known=known)


def in_tab(story: Playbook, record: Review, tab: str = "t", *, id_: int = 1, who: SessionId = ANN) -> Review:
    """Let a session open a diff, which is on the page: there is no IDE."""
    story.quietly(asks(diff(record, tab), id_, who=who, scene=scene()), saved(record))
    return record


def accepted(record: Review, final: str = "new\n") -> Review:
    return decide(record, 1000.0, finals=(final,), trigger=Trigger.ACCEPTED_ON_PAGE)


def rejected(record: Review) -> Review:
    return decide(record, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)


def cancelled(record: Review) -> Review:
    return advance(record, Step.CANCEL, 1000.0)


def superseded(record: Review) -> Review:
    return advance(record, Step.SUPERSEDE, 1000.0)


def human(story: Playbook, record: Review) -> Review:
    """Let the human decide as `record` says, and the journal fall behind."""
    finals = None if record.files[0].final is None else (record.files[0].final,)
    story.quietly(asks(Decide(review_id=record.id, finals=finals), 90, who=PAGE))
    return record


def decided(story: Playbook, record: Review) -> Review:
    """Let the human decide as `record` says."""
    story.quietly(saved(human(story, record)))
    return record


def nothing_is_kept(story: Playbook) -> bool:
    tabs = story.router.tabs
    return not (tabs._owners or any(tabs._tabs.values()))


# ---- opening


def test_a_diff_is_shown_and_its_call_answered_when_it_is_decided(story: Playbook) -> None:
    new = change()
    open_ = shown(new, 3)
    story >> asks(diff(new), scene=scene(CODE)) << Save(new)
    story.quietly(saved(new))
    bring_up(story)
    story >> saved(open_) << shows(3) << Watch(ID, closely=True) << tell("ide", NAME)
    yes = decide(open_, 1000.0, finals=("new\n",), trigger=Trigger.ACCEPTED_IN_IDE)
    story >> says(3, "FILE_SAVED", "new\n") << Watch(ID, closely=False) << Save(yes)
    then(story >> saved(yes), *ends(yes, (ANN, 1)), closes_tab(4))
    story >> asks(CLOSE, 2) << Deliver("r1") << Reply(ANN, 2, None)  # the agent has written the file
    assert nothing_is_kept(story)


def test_the_same_tab_and_text_again_waits_for_the_same_decision(story: Playbook) -> None:
    record = in_tab(story, change())
    story >> asks(diff(change("r2")), 2, scene=scene()) << tell("page", reason=NO_IDE)
    no = human(story, rejected(record))
    then(story >> saved(no), *ends(no, (PAGE, 90), (ANN, 1), (ANN, 2)))


def test_the_same_tab_with_another_text_supersedes_what_it_showed_once_the_new_one_is_on_disk(story: Playbook) -> None:
    record, new = in_tab(story, change()), change("r2", proposed="newer\n")
    story >> asks(diff(new), 2, scene=scene()) << Save(new)
    story >> saved(new) << Save(superseded(record)) << tell("page", reason=NO_IDE, of="r2")
    then(story >> saved(superseded(record)), *ends(superseded(record), (ANN, 1)))
    story >> asks(ALL, 3) << Save(cancelled(new)) << Reply(ANN, 3, 1)


def test_an_acceptance_that_comes_before_the_new_text_is_on_disk_is_the_answer_and_delivered(story: Playbook) -> None:
    record, new = in_tab(story, change()), change("r2", proposed="newer\n")
    story >> asks(diff(new), 2, scene=scene()) << Save(new)
    yes = decided(story, accepted(record))
    story >> saved(new) << tell("page", reason=NO_IDE, of="r2")
    story.quietly(Left(1000.0, ANN))
    again = change("r3")  # asked anew: what was accepted the first time was heard
    story >> asks(diff(again), 4, who=BOB, scene=scene()) << Save(again)
    assert yes.accepted


def test_a_tab_that_shows_what_was_left_behind_ends_what_it_showed(story: Playbook) -> None:
    orphan = in_tab(story, change("r1"), who=BOB)
    story.quietly(Left(1000.0, BOB))
    mine = in_tab(story, change("r2", proposed="newer\n"))
    story >> asks(diff(change("r3")), 2, scene=scene()) << tell("page", reason=NO_IDE) << Save(superseded(mine))
    then(story >> saved(superseded(mine)), *ends(superseded(mine), (ANN, 1)))
    story >> asks(CLOSE, 3) << Save(cancelled(orphan))


def test_two_tabs_of_one_change_are_two_reviews(story: Playbook) -> None:
    in_tab(story, change("r1"), "t")
    story >> asks(diff(change("r2"), "u"), 2, scene=scene()) << Save(change("r2"))


def test_a_diff_that_wants_an_ide_is_refused_without_one_and_the_tab_stays(story: Playbook) -> None:
    record = in_tab(story, change())
    new = change("r2", proposed="newer\n", surface=Surface.IDE)
    hint = "open the folder in an IDE with its Claude Code plugin, or see bridge status"
    story >> asks(diff(new), 2, scene=scene()) << Refuse(ANN, 2, Unavailable("no IDE can be used here", hint))
    story >> asks(CLOSE, 3) << Save(cancelled(record))


def test_a_flood_is_refused_and_leaves_no_tab(story: Playbook) -> None:
    for number in range(MOST_REVIEWS):
        agent = SessionId(100 + number // MOST_TABS)
        in_tab(story, change(f"r{number}", request_key=str(number)), str(number), id_=number, who=agent)
    said = Unavailable("200 reviews wait for a decision: no more are taken", "bridge review ls")
    story >> asks(diff(change("one too many")), 900, who=BOB, scene=scene()) << Refuse(BOB, 900, said)
    story >> asks(ALL, 901, who=BOB) << Reply(BOB, 901, 0)


def test_one_agent_cannot_take_the_place_of_all_others(story: Playbook) -> None:
    for number in range(MOST_TABS):
        in_tab(story, change(f"r{number}", request_key=str(number)), str(number), id_=number)
    said = Unavailable("this agent has 50 diffs open: no more are shown", "close some, or decide")
    more = change("more")
    story >> asks(diff(more, "more"), 900, scene=scene()) << Refuse(ANN, 900, said)
    other = change("other")
    story >> asks(diff(other), 1, who=BOB, scene=scene()) << Save(other)
    again = change("again", proposed="newer\n")
    story >> asks(diff(again, "0"), 901, scene=scene()) << Save(again)  # a tab that it has


# ---- whose it is


def test_what_is_somebody_elses_is_not_joined_closed_or_counted(story: Playbook) -> None:
    in_tab(story, change("r1"))
    story >> asks(diff(change("r2")), 1, who=BOB, scene=scene()) << Save(change("r2"))
    story.quietly(saved(change("r2")))
    story >> asks(ALL, 2, who=BOB) << Save(cancelled(change("r2"))) << Reply(BOB, 2, 1)
    story >> asks(CLOSE, 3, who=BOB) << Reply(BOB, 3, None)
    assert story.router.desk.seats["r1"].review.is_open


LEFT_BEHIND = [
    ({}, True),
    ({"proposed": "other\n"}, False),
    ({"base": "other\n"}, False),
    ({"request_key": "other"}, False),
    ({"request_key": None}, False),
    ({"path": b"/w/b.py"}, False),
]


@pytest.mark.parametrize(("asked", "joins"), LEFT_BEHIND)
def test_a_review_whose_agent_left_is_joined_by_who_asks_for_the_same(
    story: Playbook, asked: dict[str, Any], joins: bool
) -> None:
    in_tab(story, change())
    new = change("r2", **asked)
    story >> Left(1000.0, ANN) >> asks(diff(new), 5, who=BOB, scene=scene())
    story << (Tell(BOB, "r1", "page", None, NO_IDE) if joins else Save(new))


def test_reviews_of_another_workspace_are_not_joined(story: Playbook) -> None:
    in_tab(story, change())
    new = replace(change("r2"), workspace=b"/x")
    story >> Left(1000.0, ANN) >> asks(diff(new), 5, who=BOB, scene=scene()) << Save(new)


def test_what_was_proposed_without_a_key_is_no_tab_that_anybody_may_join(story: Playbook) -> None:
    story.quietly(asks(Propose(review=review()), scene=scene()), saved(review()))
    story >> asks(diff(review("r2")), who=BOB, scene=scene()) << Save(review("r2"))


def test_after_a_restart_of_the_daemon_a_review_is_joined_by_who_asks_for_the_same(story: Playbook) -> None:
    old = change()
    story.quietly(restored(old))
    story >> asks(diff(change("r2")), scene=scene(), at=2000.0)
    yes = human(story, accepted(old))
    then(story >> saved(yes), *ends(yes, (PAGE, 90), (ANN, 1)))
    story >> asks(CLOSE, 2) << Deliver("r1") << Reply(ANN, 2, None)


def test_a_review_that_too_many_wait_for_is_not_joined(story: Playbook) -> None:
    in_tab(story, change())
    story.quietly(Left(1000.0, ANN), *(asks(Wait(review_id="r1"), n, who=PAGE) for n in range(MOST_WAITERS)))
    said = Unavailable("100 requests wait for review r1 already", "wait once")
    story >> asks(diff(change("r2")), who=BOB, scene=scene()) << Refuse(BOB, 1, said)
    assert nothing_is_kept(story)


# ---- decisions that wait


def test_a_decision_that_nobody_took_is_the_answer_at_once(story: Playbook) -> None:
    yes = decided(story, accepted(in_tab(story, change())))
    story.quietly(Left(1000.0, ANN))
    story >> asks(diff(change("r2"), known=yes), 5, who=BOB, scene=scene()) << Reply(BOB, 5, decision(yes))
    story >> asks(CLOSE, 6, who=BOB) << Deliver("r1") << Reply(BOB, 6, None)
    assert nothing_is_kept(story)


def test_a_decision_of_long_ago_is_none_for_who_asks_the_same_again(story: Playbook) -> None:
    """Its asker may have written the file without closing the tab, and somebody undone that since."""
    yes = decided(story, accepted(in_tab(story, change())))
    story.quietly(Left(1000.0, ANN))
    late = yes.changed + FREE_S
    new = change("r2", at=late)
    story >> asks(diff(new, known=yes), 5, who=BOB, scene=scene(), at=late) << Save(new)


def test_a_decision_on_its_way_to_the_disk_is_waited_for(story: Playbook) -> None:
    """Else the human would be asked twice by an agent that lost its connection at the wrong moment."""
    record = in_tab(story, change())
    yes = human(story, accepted(record))
    story >> Left(1000.0, ANN) >> asks(diff(change("r2")), 5, who=BOB, scene=scene())
    story << Tell(BOB, "r1", "page", None, NO_IDE)
    then(story >> saved(yes), *ends(yes, (PAGE, 90), (BOB, 5)))


@pytest.mark.parametrize("end", [Step.CANCEL, Step.EXPIRE], ids=str)
def test_what_ended_without_a_decision_is_asked_anew(story: Playbook, end: Step) -> None:
    in_tab(story, change())
    late = 1000.0 if end is Step.CANCEL else 1e6
    if end is Step.CANCEL:
        story.quietly(asks(Cancel(review_id="r1"), 7, who=PAGE))
    else:
        story.quietly(Tick(late))
    new = change("r2", at=late)
    story >> asks(diff(new), 5, scene=scene(), at=late) << Save(new)


def test_a_decision_that_its_asker_has_is_nobody_elses(story: Playbook) -> None:
    """ANN has not written the file yet: BOB, who wants the same, asks for himself."""
    yes = decided(story, accepted(in_tab(story, change())))
    new = change("r2")
    story >> asks(diff(new, known=yes), 5, who=BOB, scene=scene()) << Save(new)


def test_who_asks_again_for_what_was_rejected_asks_the_human_anew(story: Playbook) -> None:
    no = decided(story, rejected(in_tab(story, change())))
    new = change("r2")
    story >> asks(diff(new, known=no), 5, scene=scene()) << Save(new) << Deliver("r1")
    story >> saved(new) << tell("page", reason=NO_IDE, of="r2")


def test_a_tab_that_takes_a_decision_ends_what_it_showed(story: Playbook) -> None:
    yes = decided(story, accepted(in_tab(story, change(), who=BOB)))
    story.quietly(Left(1000.0, BOB))
    mine = in_tab(story, change("r2", proposed="newer\n"))
    story >> asks(diff(change("r3"), known=yes), 2, scene=scene()) << Reply(ANN, 2, decision(yes))
    story << Save(superseded(mine))


# ---- closing


def test_closing_an_undecided_tab_cancels_its_review_and_both_calls_hear(story: Playbook) -> None:
    record = in_tab(story, change())
    story >> asks(CLOSE, 2) << Save(cancelled(record))
    then(story >> saved(cancelled(record)), *ends(cancelled(record), (ANN, 2), (ANN, 1)))
    assert nothing_is_kept(story)


def test_closing_a_tab_that_was_just_decided_delivers_the_decision(story: Playbook) -> None:
    """The same change asked for later must not find a decision that its agent left behind."""
    yes = human(story, accepted(in_tab(story, change())))
    story >> asks(CLOSE, 2)
    new = change("r2")
    story >> asks(diff(new), 3, scene=scene()) << Save(new)
    (
        story
        >> saved(yes)
        << Reply(PAGE, 90, decision(yes))
        << Reply(ANN, 2, decision(yes))
        << Reply(ANN, 1, decision(yes))
    )
    story << Ended(yes) << Deliver("r1")


def test_a_decision_that_is_about_to_be_delivered_is_not_taken(story: Playbook) -> None:
    yes = human(story, accepted(in_tab(story, change())))
    story >> asks(ALL, 2) << Reply(ANN, 2, 1)
    new = change("r2")  # whoever looked into the journal a moment ago found it undelivered
    story >> asks(diff(new, known=yes), 5, who=BOB, scene=scene()) << Save(new)


@pytest.mark.parametrize("tab", ["never opened", "t"])
def test_any_other_name_is_that_of_a_tab_that_is_closed_already(story: Playbook, tab: str) -> None:
    in_tab(story, change())
    story.quietly(asks(CLOSE, 2))
    story >> asks(CloseTab(tab=tab), 3) << Reply(ANN, 3, None)


def test_all_tabs_of_a_session_are_closed_and_counted_whatever_became_of_them(story: Playbook) -> None:
    undecided = in_tab(story, change("r1"), "a")
    decided(story, accepted(in_tab(story, change("r2", request_key="2"), "b")))
    in_tab(story, change("r3", request_key="3"), "c", who=BOB)
    story >> asks(ALL, 9) << Save(cancelled(undecided)) << Deliver("r2") << Reply(ANN, 9, 2)
    story >> asks(ALL, 10) << Reply(ANN, 10, 0)


def test_a_tab_closed_before_its_review_is_on_disk_is_never_shown(story: Playbook) -> None:
    new = change()
    story >> asks(diff(new), scene=scene(CODE)) << Save(new)
    story >> asks(CLOSE, 2) << Save(cancelled(new))
    story >> saved(new)
    then(story >> saved(cancelled(new)), *ends(cancelled(new), (ANN, 2), (ANN, 1)))


# ---- taking back


def test_a_call_that_is_taken_back_cancels_its_review_and_gets_no_answer(story: Playbook) -> None:
    record = in_tab(story, change())
    story >> withdraws(1) << Save(cancelled(record))
    then(story >> saved(cancelled(record)), *ends(cancelled(record)))
    assert nothing_is_kept(story)


def test_a_review_that_another_call_waits_for_stays(story: Playbook) -> None:
    record = in_tab(story, change())
    story.quietly(asks(diff(change("r2")), 2, scene=scene()))
    story >> withdraws(1) >> withdraws(2) << Save(cancelled(record))


def test_nobody_takes_back_what_is_somebody_elses_or_was_not_asked(story: Playbook) -> None:
    in_tab(story, change())
    story >> withdraws(1, who=BOB) >> withdraws(7) >> withdraws("1")
    story.quietly(asks(Wait(review_id="r1"), 5, who=BOB))
    story >> withdraws(5, who=BOB)
    assert story.router.desk.seats["r1"].review.is_open


def test_a_decision_that_nobody_hears_any_more_waits_for_who_asks_again(story: Playbook) -> None:
    yes = human(story, accepted(in_tab(story, change())))
    story >> withdraws(1)
    story >> saved(yes) << Reply(PAGE, 90, decision(yes)) << Ended(yes)
    story >> asks(diff(change("r2"), known=yes), 2, scene=scene()) << Reply(ANN, 2, decision(yes))


@pytest.mark.parametrize(
    "ask", [Propose(review=change("r2", proposed="x")), Cancel(review_id="r1"), Wait(review_id="r1"), CLOSE], ids=repr
)
def test_whatever_is_taken_back_gets_no_answer(story: Playbook, ask: Ask) -> None:
    in_tab(story, change())
    story.quietly(asks(ask, 5, scene=scene()), withdraws(5))
    story.quietly(asks(Cancel(review_id="r1"), 6))
    after = story.router.desk.seats["r1"].review
    then(story >> saved(after), *ends(after, (ANN, 6), (ANN, 1)))
    assert after.outcome is Outcome.CANCELLED
    if "r2" in story.router.desk.seats:
        story >> saved(change("r2", proposed="x"))


# ---- the journal fails


def broken(record: Review) -> SaveFailed:
    return SaveFailed(1000.0, record.id, record.version, "disk full")


def test_a_diff_that_cannot_be_kept_is_refused_and_its_tab_forgotten(story: Playbook) -> None:
    new = change()
    story >> asks(diff(new), scene=scene()) << Save(new) >> broken(new) << Refuse(ANN, 1, BROKEN)
    assert nothing_is_kept(story)
    story >> asks(ALL, 2) << Reply(ANN, 2, 0)


def test_a_tab_whose_new_text_cannot_be_kept_leaves_the_old_review_to_the_human(story: Playbook) -> None:
    record, new = in_tab(story, change()), change("r2", proposed="newer\n")
    story >> asks(diff(new), 2, scene=scene()) << Save(new) >> broken(new) << Refuse(ANN, 2, BROKEN)
    yes = human(story, accepted(record))
    story >> saved(yes) << Reply(PAGE, 90, decision(yes)) << Reply(ANN, 1, decision(yes)) << Ended(yes) << Deliver("r1")


def test_a_cancellation_that_cannot_be_kept_is_told_and_kept_trying(story: Playbook) -> None:
    record = in_tab(story, change())
    end = cancelled(record)
    story >> asks(CLOSE, 2) << Save(end) >> broken(end) << Refuse(ANN, 2, BROKEN)
    story >> Tick(1002.0) << Save(end)
    then(story >> saved(end), *ends(end, (ANN, 1)))
    assert nothing_is_kept(story)


def test_a_diff_taken_back_that_cannot_be_kept_either_is_simply_gone(story: Playbook) -> None:
    new = change()
    story.quietly(asks(diff(new), scene=scene()), asks(CLOSE, 2))
    story >> broken(new) >> broken(cancelled(new)) << Refuse(ANN, 2, BROKEN) << Refuse(ANN, 1, BROKEN)
    assert not story.router.desk.seats


# ---- leaving


def left_after(story: Playbook, state: str) -> list[Command]:
    new = change()
    story.quietly(asks(diff(new), scene=scene()))
    if state != "asked":
        story.quietly(saved(new))
    if state == "closing":
        story.quietly(asks(CLOSE, 2))
    if state == "deciding":
        human(story, accepted(new))
    if state == "decided":
        decided(story, accepted(new))
    return story.router.handle(Left(1000.0, ANN))


@pytest.mark.parametrize("state", ["asked", "open", "closing", "deciding", "decided"])
def test_an_agent_may_leave_in_any_state_and_nothing_of_it_is_kept(story: Playbook, state: str) -> None:
    assert left_after(story, state) == []
    assert nothing_is_kept(story)
    assert not story.router.tabs._tabs
    for seat in story.router.desk.seats.values():
        assert not [*seat.proposers, *seat.waiters, *seat.openers, *(d for d in seat.deciders if d.session == ANN)]
    story >> asks(ALL, 9, who=BOB) << Reply(BOB, 9, 0)
