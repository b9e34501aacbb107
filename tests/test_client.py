"""The blocking client: against daemons of the test's own making, and the real one where it matters."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.client import SENT, Client, Stopped, read_address, start
from bridge.core.terminal import READS
from bridge.errors import BadConfiguration, BadData, NotTrusted, StillPending, Unavailable, Usage
from bridge.paths import Paths, paths
from tests.e2e.outsiders import dead_pid
from tests.e2e.support import everything_ends, kill_daemon

PATIENCE_S = 20.0
Say = Callable[..., None]
Answer = Callable[[dict[str, Any], Say], Any]


class FakeDaemon:
    """Answers on a real socket by a script; an answer that is an exception breaks the connection off."""

    def __init__(self, places: Paths, path: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: dict[str, Answer] = {"hello": lambda asked, say: {}}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        os.makedirs(places.state, mode=0o700, exist_ok=True)
        Path(places.address).write_text(json.dumps({"socket": str(path), "pid": dead_pid()}), encoding="utf-8")
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            # A client that leaves what it was told unread resets the connection.
            with connection, connection.makefile("rb") as lines, suppress(ConnectionError):
                for line in lines:
                    if line == b"end\n":
                        return
                    if not self._answer(json.loads(line), connection):
                        break

    def _answer(self, asked: dict[str, Any], connection: socket.socket) -> bool:
        self.asked.append(asked)

        def say(message: dict[str, Any] | bytes) -> None:
            connection.sendall(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")

        try:
            say({"id": asked["id"], "result": self.answers[asked["method"]](asked["params"], say)})
        except LookupError as exc:
            say({"id": asked["id"], "error": exc.args[0]})
        except ConnectionError:
            return False
        return True

    def methods(self) -> list[str]:
        return [asked["method"] for asked in self.asked]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._listener.getsockname())
            last.sendall(b"end\n")
        self._thread.join(PATIENCE_S)
        self._listener.close()


@pytest.fixture
def places(home: Path) -> Paths:
    return paths(os.environ)


@pytest.fixture
def daemon(places: Paths) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(places, Path(os.environ["XDG_RUNTIME_DIR"]) / "f.sock")
    yield fake
    fake.close()


@pytest.fixture
def bridge() -> Iterator[Client]:
    with Client(name="me", cwd="/w", environ=os.environ, spawn=False) as client:
        yield client


def breaks(*_: Any) -> Any:
    raise ConnectionError


def refuses(code: str, message: str) -> Answer:
    def answer(asked: dict[str, Any], say: Say) -> Any:
        raise LookupError({"code": 1, "message": message, "data": {"code": code, "hint": "look"}})

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Answer the first time so, the second time so, and the last way from then on."""
    left = list(answers)
    return lambda asked, say: (left.pop(0) if len(left) > 1 else left[0])(asked, say)


DECISION = {"id": "r1", "outcome": "accepted", "files": []}


# ---- what is sent


def test_the_daemon_learns_where_the_asker_stands_and_nothing_secret(daemon: FakeDaemon, places: Paths) -> None:
    environ = {"HOME": os.environ["HOME"], "TMUX": "/t", "TERM_PROGRAM": "vscode", "SECRET_TOKEN": "x", "PATH": "/bin"}
    daemon.answers["status"] = lambda asked, say: {"schema": 1}
    with Client(name="me", cwd="/w", environ=environ, spawn=False) as bridge:
        assert bridge.status() == {"schema": 1}
        assert bridge.status() == {"schema": 1}
    hello = {"cwd": "/w", "environ": {"TMUX": "/t", "TERM_PROGRAM": "vscode"}, "name": "me"}
    assert [asked["params"] for asked in daemon.asked] == [hello, {}, {}]


def test_what_the_core_reads_of_a_terminal_is_sent() -> None:
    assert READS | {"CLAUDE_CONFIG_DIR"} == set(SENT)


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
    daemon.answers["status"] = in_turn(breaks, lambda asked, say: {})
    with pytest.raises(Unavailable, match="went away"):
        bridge.status()
    assert bridge.status() == {}


def test_a_daemon_that_goes_away_before_it_says_hello_is_told_too(daemon: FakeDaemon, bridge: Client) -> None:
    daemon.answers["hello"] = in_turn(breaks, lambda asked, say: {})
    daemon.answers["status"] = lambda asked, say: {}
    with pytest.raises(Unavailable, match="went away"):
        bridge.status()
    assert bridge.status() == {}


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
    assert bridge._socket is not None
    daemon.answers["bye"] = breaks
    bridge._socket.sendall(b'{"id": 1, "method": "bye", "params": {}}\n')
    bridge.wait_for_end(PATIENCE_S)


# ---- finding a daemon

ADDRESSES = ["", "nonsense", "[]", "{}", '{"socket": 7}', '{"socket": "/nowhere"}', "\x80"]


@pytest.mark.parametrize("said", ADDRESSES)
def test_an_announcement_that_leads_nowhere_is_no_daemon(bridge: Client, places: Paths, said: str) -> None:
    os.makedirs(places.state, mode=0o700)
    Path(places.address).write_bytes(said.encode("latin-1"))
    with pytest.raises(Unavailable, match="not running"):
        bridge.status()


def test_somebody_else_s_daemon_is_not_trusted(
    daemon: FakeDaemon, bridge: Client, places: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.getuid()
    uids = iter([uid, uid + 1])  # whose file it is, whose socket
    monkeypatch.setattr(os, "getuid", lambda: next(uids))
    with pytest.raises(NotTrusted, match="socket belongs to user"):
        bridge.status()
    assert daemon.asked == []
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(NotTrusted, match=r"daemon\.json belongs to somebody else"):
        bridge.status()
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr("sys.platform", "darwin")
    daemon.answers["status"] = lambda asked, say: {}
    assert bridge.status() == {}


def test_without_a_home_there_is_no_client() -> None:
    with pytest.raises(BadConfiguration, match="HOME"):
        Client(environ={}, cwd="/")


def test_an_interpreter_that_is_gone_is_told(places: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(BadConfiguration, match="cannot start /nowhere/python"):
        start(places, os.environ)


@pytest.mark.parametrize(("program", "message"), [("/bin/true", "did not start"), ("/bin/false", "did not start")])
def test_a_daemon_that_says_nothing_did_not_start(
    places: Paths, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    monkeypatch.setattr("sys.executable", program)
    with pytest.raises(Unavailable, match=message) as caught:
        start(places, os.environ)
    assert caught.value.hint is not None
    assert places.log in caught.value.hint


def test_what_keeps_the_daemon_from_starting_is_told(places: Paths) -> None:
    Path(places.config).parent.mkdir(parents=True)
    Path(places.config).write_text("takeovr = true", encoding="utf-8")
    with pytest.raises(BadConfiguration, match="takeovr"), Client(environ=os.environ) as bridge:
        bridge.status()


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
