"""A link that failed: for how long it is let alone, and what ends that."""

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import pytest

from bridge.core.events import Dial, LinkState, Tick
from bridge.core.link import SLOT_PAUSE_S, Link
from bridge.core.links import IDLE_S
from bridge.core.reach import HERE, Route
from tests.core.stories import LOOK, closed, could_not, refused
from tests.playbook import CODE, NVIM, Playbook, answers, asks, bring_up, dials, scene


class Failure(NamedTuple):
    state: LinkState
    again_at: float | None  # a request then dials again; None: not before the lock file changes
    occupied: bool = False
    route: Route = HERE


FAILURES = [
    Failure(LinkState.LISTENING, 1002.0),
    Failure(LinkState.NOT_ANSWERING, 1002.0),
    Failure(LinkState.GONE, 1002.0),
    Failure(LinkState.SLOT_LOST, 1000.0 + SLOT_PAUSE_S),
    Failure(LinkState.SLOT_LOST, None, occupied=True),
    Failure(LinkState.SLOT_LOST, None, route=Route(here=False)),  # nobody sees who is connected there
    Failure(LinkState.REFUSED, None),
    Failure(LinkState.PORT_TAKEN, None),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_a_link_that_failed_is_let_alone_for_a_while_or_for_good(story: Playbook, failure: Failure) -> None:
    there = replace(CODE, route=failure.route)
    world = scene(replace(there, occupied=failure.occupied))
    story >> asks(LOOK, 1, scene=scene(there)) << Dial(there.lock, there.route) >> closed(failure.state)
    said = "why a moment ago" if failure.state is LinkState.LISTENING else f"{failure.state}: why"
    story << refused(1, f"no IDE can be used here: {said}")
    story >> asks(LOOK, 2, scene=world, at=1000.1) << refused(2, f"no IDE can be used here: {said}")
    if failure.again_at is not None:
        assert failure.state is not LinkState.SLOT_LOST or story.link().retry_at == failure.again_at
        story >> asks(LOOK, 3, scene=world, at=failure.again_at) << dials()
    else:
        story >> asks(LOOK, 3, scene=world, at=9000.0) << refused(3, f"no IDE can be used here: {said}")


def test_an_ide_that_came_back_is_not_let_alone(story: Playbook) -> None:
    """One without a token, on the same port, is the same to us but for its lock file."""
    story.quietly(asks(LOOK, 1, scene=scene(CODE)), closed(LinkState.GONE))
    story >> asks(LOOK, 2, scene=scene(replace(CODE, modified=1000.1)), at=1000.1) << dials()


def test_an_ide_with_room_for_several_keeps_it_though_it_never_told_its_tools(story: Playbook) -> None:
    story.quietly(asks(LOOK, 1, scene=scene(NVIM)), closed(LinkState.NOT_ANSWERING, candidate=NVIM))
    story >> asks(LOOK, 2, scene=scene(replace(NVIM, occupied=True)), at=1002.0) << dials(NVIM)


@pytest.mark.parametrize("state", [LinkState.REFUSED, LinkState.PORT_TAKEN])
def test_a_new_lock_file_or_the_users_word_ends_a_refusal(story: Playbook, state: LinkState) -> None:
    story.quietly(asks(LOOK, 1, scene=scene(CODE)), closed(state))
    (
        story
        >> asks(LOOK, 2, scene=scene(replace(CODE, modified=1500.0)), at=1500.0)
        << dials()
        >> closed(state, at=1500.0)
    )
    story << refused(2, f"no IDE can be used here: {state}: why")
    story >> asks(LOOK, 3, scene=scene(CODE, named="4001"), at=1600.0) << dials()


def test_a_lost_slot_is_taken_back_only_on_the_users_word_and_never_at_once(story: Playbook) -> None:
    taken = replace(CODE, occupied=True)
    story.quietly(asks(LOOK, 1, scene=scene(CODE)))
    bring_up(story)
    named, hint = "no IDE called code can be used: slot lost: why", "bridge status lists the IDEs"
    story >> closed(LinkState.SLOT_LOST) << could_not(1, "getOpenEditors: Visual Studio Code went away (why)")
    story >> asks(LOOK, 2, scene=scene(taken, named="code"), at=1000.1) << refused(2, named, hint)
    story >> asks(LOOK, 3, scene=scene(taken, named="code"), at=1010.0) << dials()
    # Displaced again, in the handshake: the job is refused, not dialled in a circle.
    story >> closed(LinkState.SLOT_LOST, at=1010.0) << refused(3, named, hint)


def test_the_pause_grows_until_a_link_was_live_for_a_while(story: Playbook) -> None:
    pauses, at = [], 1000.0
    for id_ in range(12):
        story.quietly(asks(LOOK, id_, scene=scene(CODE), at=at), closed(LinkState.GONE, at=at))
        pauses.append(story.link().retry_at - at)
        at = story.link().retry_at
    assert all(later > earlier for earlier, later in pairwise(pauses[:6]))
    assert max(pauses) <= 75
    story.quietly(asks(LOOK, 99, scene=scene(CODE), at=at))
    bring_up(story, at=at)
    story.quietly(closed(LinkState.GONE, at=at + 60))
    assert story.link().retry_at - at - 60 < 1


SPARE = [
    (Link(CODE.lock), True),
    (Link(CODE.lock, retry_at=1000.1), False),
    (Link(CODE.lock, state=LinkState.REFUSED, retry_at=1000.0), True),
    (Link(CODE.lock, state=LinkState.LIVE), False),
    (Link(CODE.lock, queue=["r1"]), False),
]


@pytest.mark.parametrize(("link", "spare"), SPARE)
def test_a_link_is_spare_when_it_is_down_holds_nothing_and_need_not_pause(link: Link, spare: bool) -> None:
    assert link.is_spare(1000.0) is spare
    assert (link.state is LinkState.LIVE) <= (link.trouble(CODE, 1000.0, named=False) is None)


def test_a_link_that_rested_has_no_failures_to_its_name(story: Playbook) -> None:
    story.quietly(asks(LOOK, 1, scene=scene(CODE)), closed(LinkState.GONE))
    story.quietly(asks(LOOK, 2, scene=scene(CODE), at=1010.0))
    bring_up(story, at=1010.0)
    story.quietly(answers(story.next_id(), at=1010.0), Tick(1010.0 + IDLE_S))
    assert story.link().failures == 0
