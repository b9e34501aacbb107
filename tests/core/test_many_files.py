"""A review of several files: on the page whatever is wanted, decided once, and each file for itself."""

from dataclasses import replace

import pytest

from bridge.core.asks import Decide, Propose, Reopen
from bridge.core.events import Look, Refuse, Reply, Save, Seen, Surveyed
from bridge.core.reviews import Change, Outcome, Review, Step, Surface, Trigger, advance, decide, decision
from bridge.errors import BadData, Usage
from tests.core.stories import WAIT, ends, restored, saved, tell, then, unshown
from tests.playbook import ANN, CODE, PAGE, Playbook, asks, review, scene

WHY = "it has 3 files, which an IDE's diff cannot show as one"
BOTH = ("new\n", "b\r\n", "")


def several(surface: Surface = Surface.AUTO) -> Review:
    first = review(surface=surface)
    others = [
        Change(path=b"/w/b.py", base_hash="0", base="a\r\n", proposed="b\r\n"),
        Change(path=b"/elsewhere/c.py", base_hash=None, base="", proposed=""),
    ]
    return replace(first, files=(*first.files, *others))


@pytest.fixture
def paged(story: Playbook) -> Review:
    """ANN waits for a review of three files, and CODE could be asked."""
    new = several()
    story >> asks(Propose(review=new), 1, scene=scene(CODE)) << Save(new)
    story >> saved(new) << Reply(ANN, 1, {"id": "r1", "joined": False})
    story >> asks(WAIT, 2) << tell("page", reason=WHY)
    return new


def test_several_files_are_on_the_page_although_an_ide_is_there(story: Playbook, paged: Review) -> None:
    assert story.router.look_again() == []
    story >> Surveyed(1001.0, {"r1": scene(CODE)})
    assert story.router.desk.seats["r1"].where == "page"


def test_an_ide_alone_is_no_place_for_several_files(story: Playbook) -> None:
    error = Usage(f"an IDE cannot show this review: {WHY}", "let it be shown on the page, or propose file by file")
    story >> asks(Propose(review=several(Surface.IDE)), scene=scene(CODE)) << Refuse(ANN, 1, error)
    assert not story.router.desk.seats


@pytest.mark.parametrize("surface", [Surface.AUTO, Surface.IDE])
def test_who_wants_them_in_an_ide_is_told_why_they_are_on_the_page(
    story: Playbook, paged: Review, surface: Surface
) -> None:
    again = unshown(paged, surface=surface, ide="code")
    story >> asks(Reopen(review_id="r1", surface=surface), 5, scene=scene(CODE, named="code")) << Save(again)
    story << Reply(ANN, 5, {"id": "r1", "surface": "page", "ide": None, "reason": WHY})
    story >> saved(again)
    assert story.router.look_again() == []


def test_they_are_on_the_page_after_a_restart_too(story: Playbook) -> None:
    story >> restored(several()) << Look(("r1",)) >> asks(WAIT, 2, at=2000.0)
    story >> Surveyed(2000.0, {"r1": scene(CODE)}) << tell("page", reason=WHY)


def test_what_the_human_reads_on_the_page_stays_there(story: Playbook, paged: Review) -> None:
    seen = advance(paged, Step.SHOW, 1001.0, surface=Surface.PAGE)
    story >> Seen(1001.0, "r1") << Save(seen) >> saved(seen)


# (what the page returns, what is accepted of each file, the outcome)
DECISIONS: list[tuple[tuple[str | None, ...] | None, tuple[str | None, ...], Outcome]] = [
    (("new\n", "b\n", ""), BOTH, Outcome.ACCEPTED),
    (("new\n", "mine\n", ""), ("new\n", "mine\r\n", ""), Outcome.ACCEPTED_WITH_EDITS),
    ((None, "b\n", ""), (None, "b\r\n", ""), Outcome.PARTIALLY_ACCEPTED),
    ((None, "mine\n", None), (None, "mine\r\n", None), Outcome.PARTIALLY_ACCEPTED),
    ((None, None, ""), (None, None, ""), Outcome.PARTIALLY_ACCEPTED),
    ((None, None, None), (None, None, None), Outcome.REJECTED),
    (None, (None, None, None), Outcome.REJECTED),
]


@pytest.mark.parametrize(("returned", "finals", "outcome"), DECISIONS)
def test_each_file_is_decided_for_itself(
    story: Playbook,
    paged: Review,
    returned: tuple[str | None, ...] | None,
    finals: tuple[str | None, ...],
    outcome: Outcome,
) -> None:
    story.quietly(asks(Decide(review_id="r1", finals=returned), 7, who=PAGE))
    record = story.router.desk.seats["r1"].review
    assert (record.outcome, tuple(file.final for file in record.files)) == (outcome, finals)
    rejected = outcome is Outcome.REJECTED
    assert record.trigger is (Trigger.REJECTED_ON_PAGE if rejected else Trigger.ACCEPTED_ON_PAGE)
    assert record.accepted is not rejected
    then(story >> saved(record), *ends(record, (PAGE, 7), (ANN, 2)))


def test_a_decision_must_be_about_all_files(story: Playbook, paged: Review) -> None:
    error = BadData("the review has 3 files, the decision 2")
    story >> asks(Decide(review_id="r1", finals=("new\n", None)), 7, who=PAGE) << Refuse(PAGE, 7, error)


def test_the_agent_is_told_of_each_file() -> None:
    record = decide(several(), 2.0, finals=("mine\n", "b\r\n", None), trigger=Trigger.ACCEPTED_ON_PAGE)
    told = decision(record)
    assert told["outcome"] == "partially_accepted"
    assert [(file["path"], file["edited"], file["final"]) for file in told["files"]] == [
        ("/w/a.py", True, "mine\n"),
        ("/w/b.py", False, "b\r\n"),
        ("/elsewhere/c.py", False, None),
    ]
