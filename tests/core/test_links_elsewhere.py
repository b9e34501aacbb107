"""Links to IDEs of the other side: how they are dialled, how long that may take, what is said when they are silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge import connection
from bridge.core.events import Dial, Event, HangUp, LinkState, Scene, Tick
from bridge.core.link import RELAY_PAUSE_S
from bridge.core.links import HANDSHAKE_S, IDLE_S, RELAY_S
from bridge.core.ranking import Candidate, Listener
from bridge.core.reach import ENDED, Diagnosis, Route, Way
from bridge.core.relays import RELAYS_MOST, TRY_AGAIN
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
        << HangUp(CODE.lock.ide_id, f"no answer within {HANDSHAKE_S + RELAY_S:g} s")
        << refused(
            1,
            f"no IDE can be used here: {SILENCE.reason}; no answer within {HANDSHAKE_S + RELAY_S:g} s",
            SILENCE.fix or "",
        )
    )


def test_a_new_way_to_the_same_ide_is_taken_the_next_time(story: Playbook) -> None:
    """Windows has another address after it was started anew; the IDE may have kept port and token."""
    moved = replace(HIDDEN, route=replace(NAT, ways=(Way("172.30.0.1", vouched=True),)))
    story >> asks(LOOK, scene=scene(HIDDEN)) << Dial(CODE.lock, NAT)
    story >> closed(LinkState.GONE, "nobody") << refused(1, "no IDE can be used here: nobody", ENDED)
    story.quietly(Tick(1100.0))
    story >> asks(LOOK, scene=scene(moved), at=1100.0) << Dial(CODE.lock, moved.route)


def test_one_that_the_relay_reached_is_like_any_other(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(HIDDEN)))
    bring_up(story)
    story.quietly(answers(3))
    story >> asks(LOOK, 2, scene=scene(HIDDEN)) << calls("getOpenEditors", {}, 4)
    assert story.router.links.choose(scene(HIDDEN), 1000.0).chosen is not None
    assert story.router.links.state_of(HIDDEN) == (LinkState.LIVE, "")


def test_one_that_no_relay_could_look_for_is_left_alone_for_a_while(story: Playbook) -> None:
    failed = closed(LinkState.UNREACHABLE, "through a relay: no program")
    story.quietly(asks(LOOK, scene=scene(HIDDEN)), failed)
    links = story.router.links
    both = f"{SILENCE.reason}; through a relay: no program"  # the first is what the user can mend
    (left,) = links.choose(scene(HIDDEN), 1000.1).verdicts
    assert (left.usable, left.reason) == (False, both)
    assert links.state_of(left.candidate) == (LinkState.UNREACHABLE, both)
    assert left.candidate.silence == (both, SILENCE.fix)
    unexplained = links.choose(scene(replace(HIDDEN, silence=None)), 1000.1).verdicts[0].candidate
    assert unexplained.silence == ("through a relay: no program", None)
    assert links.choose(scene(HIDDEN), 1060.0).chosen is not None


def test_where_the_relay_met_nobody_no_way_needs_mending(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(HIDDEN)), closed(LinkState.GONE, "nothing listens there"))
    (left,) = story.router.links.choose(scene(HIDDEN), 1000.1).verdicts
    assert left.candidate.silence == ("nothing listens there", ENDED)


def test_status_says_that_one_cannot_be_reached_and_why(story: Playbook) -> None:
    links = story.router.links
    assert links.state_of(UNREACHABLE) == (LinkState.UNREACHABLE, SILENCE.reason)
    assert links.state_of(replace(UNREACHABLE, silence=None)) == (LinkState.UNREACHABLE, "")
    assert links.state_of(HIDDEN)[0] is LinkState.HIDDEN


def test_the_asker_is_told_what_mends_it(story: Playbook) -> None:
    (
        story
        >> asks(LOOK, scene=scene(UNREACHABLE))
        << refused(1, f"no IDE can be used here: {SILENCE.reason}", SILENCE.fix or "")
    )


@pytest.mark.parametrize("named", [None, "code"])
def test_the_silent_and_the_foreign_are_never_chosen(named: str | None) -> None:
    foreign = ide(4009, "/w", foreign="its workspace is in another distribution")
    assert reasons(UNREACHABLE, foreign, named=named) == [
        (4001, SILENCE.reason),
        (4009, "its workspace is in another distribution"),
    ]
    assert reasons(replace(UNREACHABLE, silence=None)) == [(4001, "nobody answers")]


def test_what_may_not_be_there_comes_after_what_is() -> None:
    newer = replace(HIDDEN, modified=5000.0)
    assert reasons(newer, ide(4002, "/w", modified=1.0)) == [
        (4002, "its folder /w holds the file"),
        (4001, "only a relay may get to it, so it comes last"),
    ]


# ---- stale lock files: how many relays one request starts


def stale(count: int) -> list[Candidate]:
    """Hidden IDEs, the newest first; nobody knows whether they are there."""
    hidden = ide(5001, "/w", route=NAT, listener=Listener.HIDDEN, silence=SILENCE)
    return [
        replace(hidden, lock=ide(5000 + nth, "/w", token=f"t{nth}").lock, modified=900.0 - nth)
        for nth in range(1, 1 + count)
    ]


def dialled(story: Playbook, event: Event) -> list[int]:
    """Give the ports that the router dials upon `event`."""
    return [command.lock.port for command in story.router.handle(event) if isinstance(command, Dial)]


def looked_for(story: Playbook, world: Scene, at: float, attempt_s: float = HANDSHAKE_S + RELAY_S) -> list[int]:
    """Let a session ask at `at`, and every relay find nobody after `attempt_s`; give the ports that were dialled."""
    ports: list[int] = []
    event: Event = asks(LOOK, scene=world, at=at)
    while new := dialled(story, event):
        ports += new
        (candidate,) = (candidate for candidate in world.candidates if candidate.lock.port == new[0])
        at += attempt_s
        event = closed(LinkState.GONE, "nobody", candidate, at=at)
    return ports


# As long as the shell waits for a relay, for Windows' refusal, and for the slowest that comes up and is silent then.
ATTEMPTS = [0.1, 2.8, 10.8, HANDSHAKE_S + RELAY_S, RELAY_S + 3 * HANDSHAKE_S]


@pytest.mark.parametrize("attempt_s", ATTEMPTS)
def test_one_request_starts_two_relays_and_no_more(story: Playbook, attempt_s: float) -> None:
    assert looked_for(story, scene(*stale(30)), 1000.0, attempt_s) == [5001, 5002]


def test_two_relays_that_take_their_whole_time_end_before_the_askers_patience_does() -> None:
    assert RELAYS_MOST * (HANDSHAKE_S + RELAY_S) < connection.CALL_S
    assert RELAY_PAUSE_S > RELAY_S + 3 * HANDSHAKE_S  # else the first might be tried again after the second


def test_the_others_are_unreachable_for_a_while_and_say_why(story: Playbook) -> None:
    world = scene(*stale(3))
    looked_for(story, world, 1000.0, 1.0)
    (first, second, third) = story.router.links.choose(world, 1002.0).verdicts
    assert first.reason == second.reason == "nobody"
    assert third.reason == "a relay found nobody twice a moment ago"
    assert third.candidate.silence == (third.reason, TRY_AGAIN)
    assert story.router.links.state_of(third.candidate) == (LinkState.UNREACHABLE, third.reason)
    story >> asks(LOOK, 2, scene=world, at=1002.0)
    story << refused(2, "no IDE can be used here: nobody", ENDED)


def test_one_that_announced_itself_since_is_let_try(story: Playbook) -> None:
    """Stale lock files must not cost the user the window that was just opened."""
    looked_for(story, scene(*stale(3)), 1000.0, 1.0)
    opened = replace(HIDDEN, modified=1002.5)
    story >> asks(LOOK, 2, scene=scene(opened, *stale(3)), at=1003.0) << Dial(CODE.lock, NAT)


def test_one_behind_many_stale_ones_has_its_turn(story: Playbook) -> None:
    """For each that was missed twice pauses longer than the others must wait."""
    world = scene(*stale(5))
    turns = [looked_for(story, world, at, 2.0) for at in (1000.0, 1030.0, 1060.0, 1090.0, 1120.0, 1150.0)]
    assert all(len(turn) <= RELAYS_MOST for turn in turns)
    assert {port for turn in turns for port in turn} == {5001, 5002, 5003, 5004, 5005}


def test_one_that_a_relay_got_to_before_is_let_try(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(HIDDEN)))
    bring_up(story)
    story.quietly(answers(3), Tick(1000.0 + IDLE_S))  # closed for want of work
    looked_for(story, scene(*stale(3)), 1100.0, 1.0)
    story >> asks(LOOK, 2, scene=scene(HIDDEN, *stale(3)), at=1103.0) << Dial(CODE.lock, NAT)


@pytest.mark.parametrize("lived_s", [1.0, 100.0])
def test_one_that_ended_after_a_relay_got_to_it_is_not(story: Playbook, lived_s: float) -> None:
    story.quietly(asks(LOOK, scene=scene(HIDDEN)))
    bring_up(story)
    story.quietly(closed(LinkState.GONE, at=1000.0 + lived_s))
    assert story.link().missed_at is None
    assert story.link().retry_at < 1002.0 + lived_s  # it was no relay that missed
    looked_for(story, scene(*stale(3)), 1200.0, 1.0)
    assert dialled(story, asks(LOOK, 2, scene=scene(HIDDEN), at=1203.0)) == []


def test_a_way_that_leads_to_it_meanwhile_is_taken_at_once(story: Playbook) -> None:
    """The user has let WSL through the firewall: it answers now, and no relay need be started."""
    assert looked_for(story, scene(HIDDEN), 1000.0, 1.0) == [4001]
    assert dialled(story, asks(LOOK, scene=scene(HIDDEN), at=1004.0)) == []
    story >> asks(LOOK, 2, scene=scene(replace(HIDDEN, listener=Listener.OURS)), at=1004.0) << Dial(CODE.lock, NAT)
    bring_up(story, at=1004.0)
    assert (story.link().missed_at, story.link().relay_at) == (None, 0.0)


def test_one_that_breaks_off_before_it_is_ready_was_missed_too(story: Playbook) -> None:
    story.quietly(asks(LOOK, scene=scene(HIDDEN)), closed(LinkState.LISTENING, "it closed the connection"))
    assert dialled(story, asks(LOOK, 2, scene=scene(HIDDEN), at=1000.0 + RELAY_PAUSE_S - 0.1)) == []
    assert not story.link().is_spare(1000.0 + RELAY_PAUSE_S - 0.1)
    assert dialled(story, asks(LOOK, 3, scene=scene(HIDDEN), at=1000.0 + 1.25 * RELAY_PAUSE_S)) == [4001]


def test_what_a_way_leads_to_is_no_concern_of_relays(story: Playbook) -> None:
    """Its route has a relay, but it need not be started: the IDE answered when it was looked for."""
    looked_for(story, scene(*stale(3)), 1000.0, 1.0)
    near = replace(CODE, route=NAT)
    story >> asks(LOOK, 2, scene=scene(near), at=1003.0) << Dial(CODE.lock, NAT)
    story >> closed(LinkState.NOT_ANSWERING, at=1003.0) << refused(2, "no IDE can be used here: not answering: why")
    assert story.link().retry_at < 1005.0
