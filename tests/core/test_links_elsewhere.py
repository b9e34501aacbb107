"""Links to IDEs of the other side: how they are dialled, how long that may take, what is said when they are silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.events import Dial, HangUp, LinkState, Tick
from bridge.core.links import HANDSHAKE_S, RELAY_S
from bridge.core.ranking import Candidate, Listener
from bridge.core.reach import Diagnosis, Route, Way
from bridge.core.selection import select
from bridge.core.terminal import Terminal
from tests.core.candidates import ide
from tests.core.stories import LOOK, closed, refused
from tests.playbook import CODE, Playbook, answers, asks, bring_up, calls, scene

SILENCE = Diagnosis("it listens on Windows' own loopback only", "turn the key")
NAT = Route(here=False, ways=(Way("172.21.96.1", vouched=True), Way("127.0.0.1")), relay=True)
HIDDEN = replace(CODE, route=NAT, listener=Listener.HIDDEN, silence=SILENCE)
UNREACHABLE = replace(CODE, route=replace(NAT, relay=False), listener=Listener.UNREACHABLE, silence=SILENCE)


def reasons(*candidates: Candidate, **question: Any) -> list[tuple[int, str]]:
    place = scene().place
    verdicts = select(candidates, place, Terminal(), **question).verdicts
    return [(verdict.candidate.lock.port, verdict.reason) for verdict in verdicts]


def test_an_ide_is_dialled_on_its_route_and_a_relay_may_take_its_time(story: Playbook) -> None:
    late = 1000.0 + HANDSHAKE_S + RELAY_S
    (
        story
        >> asks(LOOK, scene=scene(HIDDEN))
        << Dial(CODE.lock, NAT)
        >> Tick(1000.0 + HANDSHAKE_S)
        >> Tick(late)
        << HangUp(CODE.lock.ide_id, f"no answer within {HANDSHAKE_S:g} s")
        << refused(1, f"no IDE can be used here: {SILENCE.reason}; no answer within {HANDSHAKE_S:g} s")
    )


def test_a_new_way_to_the_same_ide_is_taken_the_next_time(story: Playbook) -> None:
    """Windows has another address after it was started anew; the IDE may have kept port and token."""
    moved = replace(HIDDEN, route=replace(NAT, ways=(Way("172.30.0.1", vouched=True),)))
    story >> asks(LOOK, scene=scene(HIDDEN)) << Dial(CODE.lock, NAT)
    story >> closed(LinkState.GONE, "nobody") << refused(1, f"no IDE can be used here: {SILENCE.reason}; nobody")
    story.quietly(Tick(1100.0))
    story >> asks(LOOK, scene=scene(moved), at=1100.0) << Dial(CODE.lock, moved.route)


def test_one_that_the_relay_reached_is_like_any_other(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(HIDDEN)))
    bring_up(story)
    story.quietly(answers(3))
    story >> asks(LOOK, 2, scene=scene(HIDDEN)) << calls("getOpenEditors", {}, 4)
    assert story.router.links.choose(scene(HIDDEN), 1000.0).chosen is not None
    assert story.router.links.state_of(HIDDEN) == (LinkState.LIVE, "")


def test_one_that_the_relay_did_not_reach_is_left_alone_for_a_while(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(HIDDEN)), closed(LinkState.GONE, "through a relay: nobody"))
    links = story.router.links
    both = f"{SILENCE.reason}; through a relay: nobody"  # the first is what the user can mend
    (left,) = links.choose(scene(HIDDEN), 1000.1).verdicts
    assert (left.usable, left.reason) == (False, both)
    assert links.state_of(left.candidate) == (LinkState.UNREACHABLE, both)
    assert left.candidate.silence == (both, SILENCE.fix)
    unexplained = links.choose(scene(replace(HIDDEN, silence=None)), 1000.1).verdicts[0].candidate
    assert unexplained.silence == ("through a relay: nobody", None)
    assert links.choose(scene(HIDDEN), 1060.0).chosen is not None


def test_status_says_that_one_cannot_be_reached_and_why(story: Playbook) -> None:
    assert story.router.links.state_of(UNREACHABLE) == (LinkState.UNREACHABLE, SILENCE.reason)
    assert story.router.links.state_of(replace(UNREACHABLE, silence=None)) == (LinkState.UNREACHABLE, "")
    assert story.router.links.state_of(HIDDEN) == (LinkState.LISTENING, "")


@pytest.mark.parametrize("named", [None, "code"])
def test_the_silent_and_the_foreign_are_never_chosen(named: str | None) -> None:
    foreign = ide(4009, "/w", foreign="its workspace is in another distribution")
    assert reasons(UNREACHABLE, foreign, named=named) == [
        (4009, "its workspace is in another distribution"),
        (4001, SILENCE.reason),
    ]
    assert reasons(replace(UNREACHABLE, silence=None)) == [(4001, "nobody answers")]


def test_what_may_not_be_there_comes_after_what_is() -> None:
    newer = replace(HIDDEN, modified=5000.0)
    assert reasons(newer, ide(4002, "/w", modified=1.0)) == [
        (4002, "its folder /w holds the file"),
        (4001, "only a relay may get to it, so it comes last"),
    ]
