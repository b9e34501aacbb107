"""The blocking client: against daemons of the test's own making, and the real one where it matters."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from bridge import __version__
from bridge.client import Client, Stopped
from bridge.connection import SENT
from bridge.core import announcements
from bridge.core.terminal import READS
from bridge.errors import BadData, StillPending, Unavailable, Usage
from bridge.finding import read_address
from bridge.news import MISSED
from bridge.paths import Paths
from tests.e2e.support import everything_ends, kill_daemon
from tests.fakedaemon import PATIENCE_S, FakeDaemon, Say, breaks, in_turn, refuses

DECISION = {"id": "r1", "outcome": "accepted", "files": []}


@pytest.fixture
def bridge() -> Iterator[Client]:
    with Client(name="me", cwd="/w", environ=os.environ, spawn=False) as client:
        yield client


# ---- what is sent


def test_the_daemon_learns_where_the_asker_stands_and_nothing_secret(daemon: FakeDaemon, places: Paths) -> None:
    environ = {"HOME": os.environ["HOME"], "TMUX": "/t", "TERM_PROGRAM": "vscode", "SECRET_TOKEN": "x", "PATH": "/bin"}
    daemon.answers["status"] = lambda asked, say: {"schema": 1}
    with Client(name="me", cwd="/w", environ=environ, spawn=False) as bridge:
        assert bridge.status() == {"schema": 1}
        assert bridge.status() == {"schema": 1}
    hello = {"cwd": "/w", "environ": {"TMUX": "/t", "TERM_PROGRAM": "vscode"}, "name": "me", "version": __version__}
    assert [asked["params"] for asked in daemon.asked] == [hello, {}, {}]


def test_what_the_core_reads_of_a_terminal_is_sent() -> None:
    assert set(SENT) == READS | announcements.READS


# (the call, the method, some of its parameters, the daemon's answer, what the caller gets)
CALLS = [
    (lambda b: b.open_file("a", 3), "open", {"path": "a", "line": 3, "column": None}, {"port": 1}, {"port": 1}),
    (lambda b: b.call_tool("t", {"x": 1}, ide="c"), "call", {"tool": "t", "arguments": {"x": 1}, "ide": "c"}, {}, {}),
    (lambda b: b.call_tool("t", file="a"), "call", {"tool": "t", "arguments": {}, "file": "a"}, {}, {}),
    (lambda b: b.is_dirty("a"), "dirty", {"path": "a"}, {"dirty": None}, None),
    (lambda b: b.is_dirty("a"), "dirty", {"path": "a"}, {"dirty": True}, True),
    (lambda b: b.cancel("r1"), "review/cancel", {"id": "r1"}, DECISION, DECISION),
    (lambda b: b.delivered("r1"), "review/delivered", {"id": "r1"}, {}, None),
    (lambda b: b.wait("r1", 5), "review/wait", {"id": "r1"}, DECISION, DECISION),
    (
        lambda b: b.propose("\udcff", "cut \ud83d", request_key="k", surface="page", base="", supersedes="r0"),
        "review/propose",
        {
            "files": [{"path": "\udcff", "proposed": "cut \ud83d", "base": ""}],
            "request_key": "k",
            "surface": "page",
            "supersedes": "r0",
        },
        {"id": "r1"},
        "r1",
    ),
    (
        lambda b: b.propose_files(
            iter([{"path": "a", "proposed": "x"}, MappingProxyType({"path": "b", "proposed": "y", "base": ""})]),
            title="t",
            request_key="k",
        ),
        "review/propose",
        {
            "files": [{"path": "a", "proposed": "x"}, {"path": "b", "proposed": "y", "base": ""}],
            "title": "t",
            "request_key": "k",
            "surface": "auto",
            "ide": None,
        },
        {"id": "r1"},
        "r1",
    ),
]


@pytest.mark.parametrize(("call", "method", "params", "answer", "expected"), CALLS)
def test_every_call_is_one_request(
    daemon: FakeDaemon,
    bridge: Client,
    call: Callable[[Client], Any],
    method: str,
    params: dict[str, Any],
    answer: Any,
    expected: Any,
) -> None:
    daemon.answers[method] = lambda asked, say: answer
    assert call(bridge) == expected
    assert daemon.methods() == ["hello", method]
    assert params.items() <= daemon.asked[1]["params"].items()


def test_news_is_passed_on_while_waiting_and_only_about_the_review(daemon: FakeDaemon, bridge: Client) -> None:
    news = [{"id": "r1", "surface": "ide"}, {"id": "r2", "surface": "page"}, {"id": "r1", "surface": None}]

    def answer(asked: dict[str, Any], say: Say) -> Any:
        for params in news:
            say({"method": "review/surface", "params": params})
        say({"method": "something/newer", "params": {"id": "r1"}})
        return DECISION

    daemon.answers["review/wait"] = answer
    told: list[dict[str, Any]] = []
    assert bridge.wait("r1", on_surface=told.append) == DECISION
    assert told == [news[0], news[2]]
    assert bridge.wait("r1") == DECISION


# ---- what goes wrong

ERRORS = [("usage", Usage), ("bad_data", BadData), ("pending", StillPending), ("unavailable", Unavailable)]


@pytest.mark.parametrize(("code", "kind"), ERRORS)
def test_a_refusal_is_the_exception_that_it_was(
    daemon: FakeDaemon, bridge: Client, code: str, kind: type[Exception]
) -> None:
    daemon.answers["status"] = refuses(code, "no")
    with pytest.raises(kind, match="no"):
        bridge.status()
    daemon.answers["status"] = lambda asked, say: {}
    assert bridge.status() == {}
    assert daemon.methods() == ["hello", "status", "status"]


def test_without_a_daemon_there_is_advice(bridge: Client) -> None:
    with pytest.raises(Unavailable, match="not running") as caught:
        bridge.status()
    assert caught.value.hint == "bridge up"


def test_a_hello_that_is_refused_is_said_again(daemon: FakeDaemon, bridge: Client) -> None:
    daemon.answers["hello"] = in_turn(refuses("usage", "who?"), lambda asked, say: {})
    daemon.answers["status"] = lambda asked, say: {}
    with pytest.raises(Usage, match="who"):
        bridge.status()
    assert bridge.status() == {}
    assert daemon.methods() == ["hello", "hello", "status"]


def test_a_daemon_that_goes_away_is_told_and_the_next_request_finds_another(daemon: FakeDaemon, bridge: Client) -> None:
    daemon.answers["open"] = in_turn(breaks, lambda asked, say: {})
    with pytest.raises(Unavailable, match="went away"):
        bridge.open_file("a")
    assert bridge.open_file("a") == {}


@pytest.mark.parametrize("method", ["hello", "review/propose"])
def test_what_may_be_asked_again_is_asked_again_under_the_same_key(
    daemon: FakeDaemon, bridge: Client, method: str
) -> None:
    daemon.answers["review/propose"] = lambda asked, say: {"id": "r1"}
    daemon.answers[method] = in_turn(breaks, daemon.answers[method])
    assert bridge.propose("a", "x") == "r1"
    keys = {asked["params"]["request_key"] for asked in daemon.asked if asked["method"] == "review/propose"}
    assert len(keys) == 1
    assert None not in keys


def test_waiting_goes_on_with_the_next_daemon(daemon: FakeDaemon, bridge: Client) -> None:
    def restarts(asked: dict[str, Any], say: Say) -> Any:
        say({"method": "daemon/stopping", "params": {"restart": True}})
        return breaks()

    daemon.answers["review/wait"] = in_turn(breaks, restarts, lambda asked, say: DECISION)
    assert bridge.wait("r1", PATIENCE_S) == DECISION
    assert daemon.methods() == ["hello", "review/wait"] * 3


def test_waiting_ends_when_every_daemon_dies_at_once(daemon: FakeDaemon, bridge: Client) -> None:
    daemon.answers["review/wait"] = breaks
    with pytest.raises(Unavailable, match="again and again"):
        bridge.wait("r1")


def test_at_its_time_out_the_review_is_pending_although_the_daemon_is_gone(daemon: FakeDaemon, bridge: Client) -> None:
    daemon.answers["review/wait"] = breaks
    with pytest.raises(StillPending):
        bridge.wait("r1", 0)


@pytest.mark.parametrize("when", ["hello", "review/wait"])
def test_waiting_ends_when_the_user_stopped_the_daemon(daemon: FakeDaemon, bridge: Client, when: str) -> None:
    def stops(asked: dict[str, Any], say: Say) -> Any:
        say({"method": "daemon/stopping", "params": {"restart": False}})
        return breaks()

    daemon.answers["review/wait"] = lambda asked, say: DECISION
    daemon.answers[when] = in_turn(stops, daemon.answers[when])
    with pytest.raises(Stopped, match="stopped"):
        bridge.wait("r1")
    assert bridge.wait("r1") == DECISION


def test_a_daemon_that_does_not_answer_is_given_up(
    daemon: FakeDaemon, bridge: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    daemon.answers["status"] = lambda asked, say: released.wait(PATIENCE_S)
    try:
        with pytest.raises(Unavailable, match="does not answer status") as caught:
            bridge.request("status", timeout=0.05)
        assert caught.value.hint == "bridge restart"
    finally:
        released.set()


def test_after_an_interruption_the_late_answer_is_nobody_s(daemon: FakeDaemon, bridge: Client) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    def answer(asked: dict[str, Any], say: Say) -> Any:
        say({"method": "review/surface", "params": {"id": "r1"}})
        return {"late": True}

    daemon.answers["review/wait"] = answer
    daemon.answers["status"] = lambda asked, say: {"right": True}
    with pytest.raises(KeyboardInterrupt):
        bridge.wait("r1", on_surface=interrupted)
    assert bridge.status() == {"right": True}


def test_long_answers_and_answers_in_pieces_are_whole(daemon: FakeDaemon, bridge: Client) -> None:
    text = "x\u00e4\U0001f600" * 300_000
    daemon.answers["status"] = lambda asked, say: {"text": text}
    assert bridge.status() == {"text": text}

    def in_pieces(asked: dict[str, Any], say: Say) -> Any:
        for piece in (b'{"method":"n","par', b'ams":{}}', b"\n"):
            say(piece)
        return {}

    daemon.answers["status"] = in_pieces
    assert bridge.status() == {}


def test_the_end_of_the_daemon_is_waited_for(daemon: FakeDaemon, bridge: Client) -> None:
    bridge.wait_for_end()  # nobody was spoken to yet
    daemon.answers["status"] = lambda asked, say: {}
    bridge.status()
    with pytest.raises(Unavailable, match="does not end"):
        bridge.wait_for_end(0.05)
    assert bridge._wire is not None
    daemon.answers["bye"] = breaks
    bridge._wire._socket.sendall(b'{"id": 1, "method": "bye", "params": {}}\n')
    bridge.wait_for_end(PATIENCE_S)


# ---- listening

LOCKS = {"type": "locks"}


def tells(asked: dict[str, Any], say: Say) -> Any:
    """Answer, after an event."""
    say({"method": "event", "params": LOCKS})
    return {}


def test_events_are_heard_whatever_else_is_asked_and_nothing_comes_at_the_time_out(
    daemon: FakeDaemon, bridge: Client
) -> None:
    daemon.answers["events/subscribe"] = lambda asked, say: {}
    daemon.answers["open"] = tells
    assert bridge.open_file("a") == {}  # nobody listens yet
    assert bridge.next_event(0) == MISSED
    assert bridge.next_event(0.01) is None
    assert bridge.open_file("a") == {}
    assert [bridge.next_event(PATIENCE_S), bridge.next_event(0)] == [LOCKS, None]
    assert daemon.methods() == ["hello", "open", "events/subscribe", "open"]


def test_listening_goes_on_with_the_next_daemon_and_says_that_something_was_missed(
    daemon: FakeDaemon, bridge: Client
) -> None:
    def breaks_after(asked: dict[str, Any], say: Say) -> Any:
        say({"id": daemon.asked[-1]["id"], "result": {}})
        return breaks()

    daemon.answers["events/subscribe"] = in_turn(breaks, breaks_after, tells)
    heard = [bridge.next_event(PATIENCE_S) for _ in range(3)]
    assert heard == [MISSED, MISSED, LOCKS]
    daemon.answers["events/subscribe"] = breaks
    bridge.close()
    with pytest.raises(Unavailable, match="again and again"):
        bridge.next_event(PATIENCE_S)


def test_listening_ends_when_the_user_stops_the_daemon(daemon: FakeDaemon, bridge: Client) -> None:
    def stops(asked: dict[str, Any], say: Say) -> Any:
        say({"id": daemon.asked[-1]["id"], "result": {}})
        say({"method": "daemon/stopping", "params": {"restart": False}})
        return breaks()

    daemon.answers["events/subscribe"] = stops
    assert bridge.next_event(PATIENCE_S) == MISSED
    with pytest.raises(Stopped):
        bridge.next_event(PATIENCE_S)


# ---- the real one


def test_the_first_request_starts_the_daemon_and_a_wait_outlives_it(
    places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("a\n", encoding="utf-8")
    with everything_ends([]), Client(cwd=str(tmp_path)) as bridge, Client(cwd=str(tmp_path)) as other:
        review = bridge.propose("a.txt", "b\n", surface="page")
        first = read_address(places)
        killed: list[int] = []
        decisions: list[dict[str, Any]] = []

        def on_surface(_: dict[str, Any]) -> None:
            if not killed:
                killed.append(kill_daemon())
            else:
                shown.set()

        shown = threading.Event()
        waiting = threading.Thread(target=lambda: decisions.append(bridge.wait(review, on_surface=on_surface)))
        waiting.start()
        assert shown.wait(PATIENCE_S * 2)
        assert other.cancel(review)["outcome"] == "cancelled"
        waiting.join(PATIENCE_S)
        second = read_address(places)
    assert [decision["outcome"] for decision in decisions] == ["cancelled"]
    assert first is not None
    assert second is not None
    assert first["pid"] == killed[0] != second["pid"]
