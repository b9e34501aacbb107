"""Asked again over MCP: what is joined, and what is a new review."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core.again import REMEMBERED_S, rejoined
from bridge.core.reviews import Change, Review, State

NOW = 1_000_000.0
REVIEW = Review(
    id="r1",
    files=(Change(path=b"/w/a", base_hash=None, base="", proposed="x"),),
    workspace=b"/w",
    created=NOW,
    changed=NOW,
)
LATER = NOW + REMEMBERED_S
SOON, NAMED = LATER - 1, True

# (state of the review that is known, whether the agent named it, when it asks again, whether it joins)
AGAIN = [
    (State.PROPOSED, False, LATER, True),
    (State.SHOWN, NAMED, LATER, True),
    (State.DECIDED, False, SOON, True),  # the answer may never have reached the agent
    (State.DECIDED, False, LATER, False),  # a yes of last week must not do what was undone since
    (State.DELIVERED, False, SOON, False),  # who was told no asks the human again
    (State.DECIDED, NAMED, SOON, True),
    (State.DELIVERED, NAMED, SOON, True),
    (State.DELIVERED, NAMED, LATER, False),
    (State.CANCELLED, NAMED, SOON, False),
    (State.SUPERSEDED, False, SOON, False),
    (State.EXPIRED, NAMED, SOON, False),
]


@pytest.mark.parametrize(("state", "named", "now", "joins"), AGAIN)
def test_a_decision_stands_in_for_another_only_shortly(state: State, named: bool, now: float, joins: bool) -> None:
    known = replace(REVIEW, state=state)
    assert rejoined(known, named, now) == (known if joins else None)


def test_what_nobody_knows_is_new() -> None:
    assert rejoined(None, True, NOW) is None
