from dataclasses import replace
from typing import Any

import pytest

from bridge.core.reviews import (
    OPEN,
    TRANSITIONS,
    Change,
    Comment,
    Outcome,
    Review,
    State,
    Step,
    Trigger,
    advance,
    decide,
    decision,
    digest,
    same_proposal,
)
from bridge.errors import Conflict
from tests.playbook import review

# What design.md D6 says: from an open state to anywhere, from an end nowhere, and a decision is delivered.
WAYS = {
    (state, step): end
    for state in (State.PROPOSED, State.SHOWN)
    for step, end in {
        Step.SHOW: State.SHOWN,
        Step.UNSHOW: State.PROPOSED,
        Step.DECIDE: State.DECIDED,
        Step.CANCEL: State.CANCELLED,
        Step.SUPERSEDE: State.SUPERSEDED,
        Step.EXPIRE: State.EXPIRED,
    }.items()
} | {(state, Step.DELIVER): State.DELIVERED for state in (State.DECIDED, State.DELIVERED)}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_only_the_ways_of_the_table_are_open(state: State, step: Step) -> None:
    before = replace(review(), state=state, version=5)
    if (state, step) not in WAYS:
        with pytest.raises(Conflict, match=f"review r1 is already {state}"):
            advance(before, step, 2000.0)
        return
    after = advance(before, step, 2000.0, title="more")
    assert (after.state, after.version, after.changed, after.title) == (WAYS[state, step], 6, 2000.0, "more")
    assert after.is_open == (after.state in OPEN)


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize(
    ("step", "outcome", "trigger"),
    [
        (Step.CANCEL, Outcome.CANCELLED, Trigger.CANCELLED),
        (Step.SUPERSEDE, Outcome.SUPERSEDED, Trigger.NEWER_PROPOSAL),
        (Step.EXPIRE, Outcome.EXPIRED, Trigger.AGE),
    ],
)
def test_an_end_without_a_decision_says_so(step: Step, outcome: Outcome, trigger: Trigger) -> None:
    after = advance(review(), step, 2000.0)
    assert (after.outcome, after.trigger, after.accepted) == (outcome, trigger, False)
    with pytest.raises(Conflict, match=f"review r1 is already {outcome}") as caught:
        decide(after, 2001.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    assert caught.value.hint == "bridge review show r1"


@pytest.mark.parametrize(
    ("finals", "outcome", "final"),
    [
        (("new\n",), Outcome.ACCEPTED, "new\n"),
        (("mine\n",), Outcome.ACCEPTED_WITH_EDITS, "mine\n"),
        (("",), Outcome.ACCEPTED_WITH_EDITS, ""),
        (None, Outcome.REJECTED, None),
    ],
)
def test_a_decision_keeps_what_the_human_said(
    finals: tuple[str, ...] | None, outcome: Outcome, final: str | None
) -> None:
    comments = (Comment(text="why", file=0, line=2),)
    after = decide(review(), 2000.0, finals=finals, trigger=Trigger.ACCEPTED_ON_PAGE, comments=comments)
    assert (after.state, after.outcome, after.trigger) == (State.DECIDED, outcome, Trigger.ACCEPTED_ON_PAGE)
    assert after.comments == comments
    assert [file.final for file in after.files] == [final]
    assert after.accepted == (finals is not None)


def test_the_final_texts_must_be_those_of_the_files() -> None:
    with pytest.raises(ValueError, match="zip"):
        decide(review(), 2000.0, finals=("a", "b"), trigger=Trigger.ACCEPTED_ON_PAGE)


OTHERS: list[dict[str, Any]] = [{"path": b"/w/b.py"}, {"base": "older\n"}, {"proposed": "else\n"}]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_the_same_change_is_the_same_path_base_and_proposal(other: dict[str, Any]) -> None:
    assert same_proposal(review(), review("r2", title="again", at=5.0))
    assert not same_proposal(review(), review(**other))


def test_a_digest_is_sha256() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_decision_is_told_with_the_text_to_write() -> None:
    change = Change(path=b"/w/\xff", base_hash=None, base="", proposed="new\n")
    asked = Review(id="r1", files=(change,), workspace=b"/w", created=1.0, changed=1.0, title="Add it")
    comments = (Comment(text="good", line=0),)
    told = decision(decide(asked, 2.0, finals=("mine\n",), trigger=Trigger.ACCEPTED_IN_IDE, comments=comments))
    assert told == {
        "id": "r1",
        "state": "decided",
        "outcome": "accepted_with_edits",
        "trigger": "accepted_in_ide",
        "title": "Add it",
        "comments": [{"text": "good", "file": None, "line": 0}],
        "files": [{"path": "/w/\udcff", "base_hash": None, "edited": True, "final": "mine\n"}],
    }


def test_an_open_review_is_told_without_an_outcome() -> None:
    told = decision(review())
    assert (told["state"], told["outcome"], told["trigger"]) == ("proposed", None, None)
    assert told["files"][0] == {"path": "/w/a.py", "base_hash": digest(b"old\n"), "edited": False, "final": None}
