"""What the router does itself: it joins the parts, and says when it wants to be called again."""

from dataclasses import replace

import pytest

from bridge.core.asks import Propose, Wait
from bridge.core.events import (
    Left,
    Look,
    Restored,
    Save,
    Saved,
    SaveFailed,
    Seen,
    Surveyed,
    Tick,
)
from bridge.core.reviews import Outcome, Showing, State
from tests.playbook import (
    ANN,
    CODE,
    Playbook,
    asks,
    bring_up,
    review,
    says,
    scene,
)


def test_there_is_no_deadline_and_nobody_to_look_for_at_first(story: Playbook) -> None:
    assert story.router.deadline() is None
    assert story.router.look_again() == []


def test_a_review_that_no_ide_shows_is_looked_around_for(story: Playbook) -> None:
    story.quietly(asks(Propose(review=review()), scene=scene()), Saved(1000.0, "r1", 1))
    story.quietly(asks(Wait(review_id="r1"), 2))
    assert story.router.look_again() == [Look(("r1",))]
    story.quietly(Surveyed(1000.0, {"r1": scene(CODE)}))
    bring_up(story)
    assert story.router.look_again() == []


def test_what_was_decided_before_a_bug_struck_is_said_to_nobody(
    story: Playbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    story.quietly(asks(Propose(review=review()), scene=scene()))
    with monkeypatch.context() as patched:
        patched.setattr(story.router.presenter, "place", bug)
        with pytest.raises(ZeroDivisionError):
            story.router.handle(Saved(1000.0, "r1", 1))
    story >> Tick(1000.0)


def test_every_kind_of_event_finds_its_way(story: Playbook) -> None:
    """A review's life over a restart: shown, lost, read, decided late, and decided again."""
    before = replace(review(), showings=(Showing(ide_id=CODE.lock.ide_id, request_id=40, tab_name="t"),))
    shown = replace(before, state=State.SHOWN)
    story.quietly(Restored(1000.0, (shown,)), Surveyed(1000.0, {"r1": scene(CODE)}))
    bring_up(story)
    story.quietly(Left(1000.0, ANN), Seen(1000.0, "r1"))
    late = says(40, "FILE_SAVED", "mine\n")
    (save,) = story.router.handle(late)
    assert isinstance(save, Save)
    assert save.review.outcome is Outcome.ACCEPTED_WITH_EDITS
    story.quietly(SaveFailed(1000.0, "r1", save.review.version, "disk full"))
    story >> Tick(1002.0) << save
    story.quietly(Saved(1002.0, "r1", save.review.version))
    assert not story.router.desk.seats
