"""A connection to the daemon: greetings, and daemons of other versions."""

from __future__ import annotations

from typing import Any

import pytest

from bridge import __version__
from bridge.agents.requests import CAPABILITIES
from bridge.client import Client
from bridge.connection import Daemon
from bridge.daemon.hooks import Hooks
from bridge.daemon.mcp import McpFront
from bridge.daemon.methods import Methods
from bridge.daemon.terminals import Terminals
from bridge.errors import Outdated, Unavailable
from tests.fakedaemon import Answer, FakeDaemon, Say, breaks, in_turn

OLD, NEW = "0.0.9", "99.0"


def is_(version: str, *capabilities: str) -> Answer:
    return lambda asked, say: {"version": version, "pid": 1, "capabilities": capabilities}


def makes_room(asked: dict[str, Any], replacing: bool) -> dict[str, Any]:
    assert asked == {"version": __version__}
    return {"replacing": replacing, "reason": None, "sessions": 2}


def test_every_method_needs_a_capability_that_this_version_has() -> None:
    mine = Daemon({"version": __version__, "capabilities": CAPABILITIES})
    methods = Methods.__new__(Methods)
    methods._terminals = Terminals.__new__(Terminals)
    methods._hooks = Hooks.__new__(Hooks)
    for method in (*methods.table(), *McpFront.__new__(McpFront).table()):
        mine.require(method)
    for method in ("review/wait", "review/link", "daemon/replace", "something/newer"):
        with pytest.raises(Outdated):
            Daemon({"version": OLD, "capabilities": []}).require(method)
    Daemon({"version": OLD, "capabilities": []}).require("daemon/stop")
    Daemon({}).require("something/newer")  # it does not say


OTHERS = [(OLD, r"is older \(0.0.9\)", "bridge restart"), (NEW, "is newer", "upgrade this one")]


@pytest.mark.parametrize(("version", "message", "hint"), OTHERS)
def test_what_a_daemon_cannot_do_is_not_asked(daemon: FakeDaemon, version: str, message: str, hint: str) -> None:
    daemon.answers |= {"hello": is_(version, "dirty"), "dirty": lambda asked, say: {"dirty": None}}
    with Client(cwd="/", spawn=False) as client:
        assert client.is_dirty("a") is None
        with pytest.raises(Outdated, match=message) as caught:
            client.status()
        assert caught.value.hint == hint
    assert daemon.methods() == ["hello", "dirty"]


@pytest.mark.parametrize(
    ("version", "capabilities", "spawn"),
    [(OLD, [], True), (OLD, ["replace"], False), (NEW, ["replace"], True), (__version__, ["replace"], True)],
)
def test_only_an_older_daemon_that_can_is_asked_to_make_room_and_only_by_who_may_start_another(
    daemon: FakeDaemon, version: str, capabilities: list[str], spawn: bool
) -> None:
    daemon.answers |= {"hello": is_(version, "status", *capabilities), "status": lambda asked, say: {}}
    with Client(cwd="/", spawn=spawn) as client:
        client.status()
    assert daemon.methods() == ["hello", "status"]


@pytest.mark.parametrize("says_so", [True, False])
def test_an_older_daemon_that_makes_room_or_dies_is_left_for_the_next(daemon: FakeDaemon, says_so: bool) -> None:
    def ends(asked: dict[str, Any], say: Say) -> Any:
        if says_so:
            say({"id": daemon.asked[-1]["id"], "result": makes_room(asked, True)})
            say({"method": "daemon/stopping", "params": {"restart": True}})
        return breaks()

    daemon.answers |= {
        "hello": in_turn(is_(OLD, "status", "replace"), is_(__version__, "status")),
        "daemon/replace": ends,
        "status": lambda asked, say: {},
    }
    with Client(cwd="/") as client:
        assert client.status() == {}
    assert daemon.methods() == ["hello", "daemon/replace", "hello", "status"]


def test_an_older_daemon_that_stays_is_used_and_its_sessions_are_counted(daemon: FakeDaemon) -> None:
    daemon.answers |= {
        "hello": is_(OLD, "status", "replace"),
        "daemon/replace": lambda asked, say: makes_room(asked, False),
        "status": lambda asked, say: {},
    }
    with Client(cwd="/") as client:
        assert client.status() == {}
        with pytest.raises(Outdated) as caught:
            client.is_dirty("a")
        assert caught.value.hint == "bridge restart, when its 2 other sessions are done"
    assert daemon.methods() == ["hello", "daemon/replace", "status"]


def test_a_daemon_that_leaves_at_the_greeting_is_another_s_turn_but_not_for_ever(daemon: FakeDaemon) -> None:
    daemon.answers |= {"hello": in_turn(breaks, breaks, is_(__version__, "open")), "open": lambda asked, say: {}}
    with Client(cwd="/", spawn=False) as client:
        assert client.open_file("a") == {}
    daemon.answers["hello"] = breaks
    with Client(cwd="/", spawn=False) as client, pytest.raises(Unavailable, match="went away"):
        client.open_file("a")
