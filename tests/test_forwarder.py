"""The forwarder between an agent and the daemon, against a daemon that dies, lies and stops by a script."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import forwarder
from bridge.connection import Caller
from bridge.errors import BridgeError, Unavailable
from bridge.forwarder import Forwarder, Lines
from tests.e2e.support import PATIENCE_S
from tests.e2e.support import Lines as Heard
from tests.fakedaemon import FakeDaemon, breaks, in_turn

CALL, PING = "tools/call", "ping"


class Agent:
    """An agent that started the forwarder, here in a thread."""

    def __init__(self) -> None:
        source, self._say = os.pipe()
        hear, sink = os.pipe()
        self.led: list[str] = []
        self.error: BridgeError | None = None
        self._forwarder = Forwarder(Caller("x", False, "/", None, 5.0), source, sink, self.led.append)
        self._fds = [source, sink]
        self.heard = Heard(os.fdopen(hear, "rb"))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._forwarder.run()
        except BridgeError as error:
            self.error = error
        finally:
            for fd in self._fds:
                os.close(fd)

    def say(self, **message: Any) -> None:
        os.write(self._say, json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def hear(self) -> Any:
        return json.loads(self.heard.until(bool))

    def ask(self, id_: Any, method: str = PING, **params: Any) -> Any:
        self.say(id=id_, method=method, params=params)
        return self.hear()

    def hello(self) -> None:
        assert self.ask(0, "initialize", protocolVersion="2025-11-25")["result"] == "hello"
        self.say(method="notifications/initialized", params={})

    def end(self) -> None:
        if self._say >= 0:
            os.close(self._say)
            self._say = -1
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def agent(daemon: FakeDaemon) -> Iterator[Agent]:
    daemon.answers |= {
        "mcp/serve": lambda asked, say: {},
        "initialize": lambda asked, say: "hello",
        PING: lambda asked, say: asked,
    }
    one = Agent()
    yield one
    one.end()


def since(daemon: FakeDaemon, first: str) -> list[str]:
    """Give what the daemon was asked, from the last greeting on."""
    methods = daemon.methods()
    return methods[len(methods) - methods[::-1].index(first) - 1 :]


def test_lines_cross_both_ways_and_its_end_is_the_agents(daemon: FakeDaemon, agent: Agent) -> None:
    agent.hello()
    assert agent.ask("é", text="x" * 100_000) == {"id": "é", "result": {"text": "x" * 100_000}}
    agent.end()
    assert agent.error is None
    assert daemon.methods() == ["hello", "mcp/serve", "initialize", "notifications/initialized", "ping"]


def test_the_next_daemon_is_told_what_the_last_one_knew(daemon: FakeDaemon, agent: Agent) -> None:
    daemon.answers[CALL] = in_turn(breaks, lambda asked, say: "done")
    agent.hello()
    assert agent.ask(1, CALL) == {"id": 1, "result": "done"}
    assert since(daemon, "hello") == ["hello", "mcp/serve", "initialize", "notifications/initialized", CALL]
    assert [asked["id"] for asked in daemon.asked if asked["method"] == "initialize"] == [0, forwarder._AGAIN]
    assert agent.ask(2) == {"id": 2, "result": {}}  # and nothing of the second hello


def test_without_a_hello_the_next_daemon_is_just_asked(daemon: FakeDaemon, agent: Agent) -> None:
    """The newer era of the protocol has none."""
    daemon.answers[CALL] = in_turn(breaks, lambda asked, say: "done")
    assert agent.ask(1, CALL)["result"] == "done"
    assert since(daemon, "hello") == ["hello", "mcp/serve", CALL]


def test_a_hello_that_was_not_answered_is_asked_again(daemon: FakeDaemon, agent: Agent) -> None:
    daemon.answers["initialize"] = in_turn(breaks, lambda asked, say: "hello")
    assert agent.ask(0, "initialize") == {"id": 0, "result": "hello"}


def test_only_what_is_owed_is_asked_again(daemon: FakeDaemon, agent: Agent) -> None:
    daemon.answers[CALL] = in_turn(breaks, lambda asked, say: "done")
    assert agent.ask(1)["id"] == 1  # answered
    agent.say(id=2, method="quiet", params={})  # refused, which is an answer too
    assert "error" in agent.hear()
    assert agent.ask(4, CALL)["result"] == "done"
    assert since(daemon, "hello") == ["hello", "mcp/serve", CALL]


def test_a_cancelled_call_is_not_asked_again(daemon: FakeDaemon, agent: Agent) -> None:
    there, go = threading.Event(), threading.Event()

    def dies(asked: Any, say: Any) -> Any:
        there.set()
        assert go.wait(PATIENCE_S)
        raise ConnectionError

    daemon.answers[CALL] = dies
    agent.say(id=1, method=CALL, params={})
    assert there.wait(PATIENCE_S)
    agent.say(method="notifications/cancelled", params={"requestId": 1})
    agent.say(id=2, method=PING, params={})
    go.set()
    assert agent.hear() == {"id": 2, "result": {}}
    assert CALL not in since(daemon, "hello")


def test_half_a_line_of_a_dying_daemon_is_none(daemon: FakeDaemon, agent: Agent) -> None:
    def half(asked: Any, say: Any) -> Any:
        say(b'{"id":1,"resu')
        raise ConnectionError

    daemon.answers[CALL] = in_turn(half, lambda asked, say: "whole")
    assert agent.ask(1, CALL) == {"id": 1, "result": "whole"}


def test_a_daemon_that_dies_of_a_call_does_not_take_the_agent_along(daemon: FakeDaemon, agent: Agent) -> None:
    daemon.answers[CALL] = breaks
    refused = agent.ask(1, CALL)
    assert (refused["id"], "dies again and again" in refused["error"]["message"]) == (1, True)
    assert agent.ask(2) == {"id": 2, "result": {}}


def test_a_daemon_that_cannot_be_had_again_is_told_of(daemon: FakeDaemon, agent: Agent) -> None:
    assert agent.ask(0)["id"] == 0
    daemon.answers |= {"hello": breaks, CALL: breaks}
    refused = agent.ask(1, CALL)
    assert "dies again and again" in refused["error"]["message"]
    daemon.answers["hello"] = lambda asked, say: {}
    assert agent.ask(2) == {"id": 2, "result": {}}


def test_who_stops_the_bridge_is_not_defied(daemon: FakeDaemon, agent: Agent) -> None:
    def stops(asked: Any, say: Any) -> Any:
        say({"jsonrpc": "2.0", "method": "daemon/stopping", "params": {"restart": False}})
        raise ConnectionError

    daemon.answers[CALL] = stops
    refused = agent.ask(1, CALL)
    assert "the bridge was stopped" in refused["error"]["message"]
    assert daemon.methods().count("hello") == 1
    assert agent.ask(2) == {"id": 2, "result": {}}  # which finds it, or starts it
    assert daemon.methods().count("hello") == 2


def test_a_page_is_opened_once_and_the_agent_hears_nothing_of_it(daemon: FakeDaemon, agent: Agent) -> None:
    def shows(asked: Any, say: Any) -> Any:
        say({"jsonrpc": "2.0", "method": "review/page", "params": {"id": "r1", "door": "/doors/1"}})
        return "shown"

    daemon.answers[CALL] = shows
    for id_ in (1, 2):
        assert agent.ask(id_, CALL)["result"] == "shown"
    assert agent.led == ["/doors/1"]


def test_a_message_that_has_no_end_is_refused(
    daemon: FakeDaemon, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder, "MOST_LINE", 1000)
    refused = agent.ask(1, text="x" * 100_000)
    assert (refused["id"], refused["error"]["code"]) == (None, -32600)
    assert agent.ask(2) == {"id": 2, "result": {}}


def test_what_is_no_message_is_the_daemons_to_refuse(daemon: FakeDaemon, agent: Agent) -> None:
    daemon.answers["x"] = lambda asked, say: "taken"
    agent.say(id=[1], method="x", params={})
    assert agent.hear() == {"id": [1], "result": "taken"}


def test_a_daemon_that_dies_before_it_speaks_mcp_costs_the_agent_nothing(daemon: FakeDaemon) -> None:
    """It takes a second to learn; an agent whose server ends meanwhile has none for the rest of its session."""
    daemon.answers |= {"mcp/serve": in_turn(breaks, lambda asked, say: {}), PING: lambda asked, say: "there"}
    agent = Agent()
    assert agent.ask(1) == {"id": 1, "result": "there"}
    agent.end()
    assert agent.error is None
    assert daemon.methods() == ["hello", "mcp/serve", "hello", "mcp/serve", PING]


def test_one_that_always_does_is_told_of(daemon: FakeDaemon) -> None:
    daemon.answers["mcp/serve"] = breaks
    agent = Agent()
    assert "dies again and again" in agent.ask(1)["error"]["message"]
    agent.end()
    assert isinstance(agent.error, Unavailable)


def test_who_finds_no_daemon_tells_the_agent_why(home: Any) -> None:
    agent = Agent()
    refused = agent.ask(1, CALL)
    assert "the bridge is not running" in refused["error"]["message"]
    agent.end()
    assert isinstance(agent.error, Unavailable)


# ---- lines


@given(st.lists(st.binary(max_size=5)))
def test_lines_are_the_same_however_they_come(chunks: list[bytes]) -> None:
    lines, whole = Lines(), b"".join(chunks)
    cut = [line for chunk in chunks for line in lines.add(chunk)]
    assert cut == [line + b"\n" for line in whole.split(b"\n")[:-1] if line.strip()]


def test_a_line_that_is_skipped_ends_where_it_ends() -> None:
    lines = Lines()
    assert lines.add(b"one\nlong") == [b"one\n"]
    lines.skip()
    assert lines.add(b"er") == []
    assert lines.add(b" still\ntwo\n") == [b"two\n"]
