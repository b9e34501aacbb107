"""Poses, as raw agents meet them: real fronts, links, journal, and an emulator as the IDE."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.asks import ListTools
from bridge.core.events import LinkState
from bridge.core.lockfile import Transport
from bridge.daemon import poses
from bridge.errors import BadData
from bridge.store.journal import Journal, JournalThread
from ide_plugins.emulator import Emulator
from tests.agents.fronts import until
from tests.agents.rawclient import frame
from tests.daemon.posing import Agent, Posing, posing, texts

PATIENCE_S = 20.0
OVER_BOTH = pytest.mark.parametrize("transport", ["ws", "sse"])


@pytest.fixture
def workspace(home: Path) -> Path:
    path = home / "work"
    path.mkdir()
    (path / "a.txt").write_text("a\nb\n", encoding="utf-8")
    return path


@pytest.fixture
async def here(home: Path, workspace: Path, journal: JournalThread) -> AsyncIterator[Posing]:
    async with posing(home, workspace, journal) as here:
        yield here


MakeIde = Callable[..., Emulator]


@pytest.fixture
def make_ide(home: Path, workspace: Path) -> MakeIde:
    def make(**options: Any) -> Emulator:
        return Emulator(**{"workspace": workspace, "lock_dir": home / ".claude" / "ide", **options})

    return make


# ---- messages of every kind


@OVER_BOTH
@pytest.mark.parametrize("id_", ["", "a", "1", "é", "x" * 5000, 0, 1, -1, 2**53 + 1, 2**63, -(2**64), 2**70])
async def test_an_answer_has_its_request_s_own_id(here: Posing, transport: str, id_: Any) -> None:
    agent = await Agent.of(await here.publish(transport))
    answer = await agent.ask(id_, "ping")
    assert answer == {"jsonrpc": "2.0", "id": id_, "result": {}}
    assert type(answer["id"]) is type(id_)
    assert (await agent.ask(id_, "tools/list"))["result"]["tools"]


NO_MESSAGES = {
    "no JSON": b"{",
    "nothing": b"",
    "no UTF-8": b'{"jsonrpc":"2.0","id":7,"method":"\xff"}',
    "a batch": b'[{"jsonrpc":"2.0","id":7,"method":"ping"}]',
    "a number": b"7",
    "an empty object": b"{}",
    "an id that is a fraction": b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    "an id that is true": b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    "an id that is a list": b'{"jsonrpc":"2.0","id":[7],"method":"ping"}',
    "a method that is a number": b'{"jsonrpc":"2.0","id":7,"method":8}',
    "deep nesting all over": b"[" * 200_000,
    "deep nesting": b'{"jsonrpc":"2.0","id":7,"method":"ping","more":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
}


@OVER_BOTH
@pytest.mark.parametrize("name", NO_MESSAGES)
async def test_what_is_no_message_is_ignored_and_the_agent_stays(here: Posing, transport: str, name: str) -> None:
    agent = await Agent.of(await here.publish(transport))
    assert await agent.say(NO_MESSAGES[name]) in (None, 400)
    await agent.say({"jsonrpc": "2.0", "id": 8, "method": "ping"})
    assert (await agent.hear())["id"] == 8  # and nothing came before


QUIET: dict[str, dict[str, Any]] = {
    "an id that is null": {"id": None, "method": "ping"},
    "a notification that nobody knows": {"method": "notifications/whatever", "params": {"a": 1}},
    "ours, coming back": {"method": "selection_changed", "params": {}},
    "an answer": {"id": 1, "result": {}},
    "a refusal": {"id": "x", "error": {"code": 1, "message": ""}},
    "cancelling nothing": {"method": "notifications/cancelled"},
    "cancelling what is not there": {"method": "notifications/cancelled", "params": {"requestId": 9}},
    "a process that is none": {"method": "ide_connected", "params": {"pid": "1"}},
}


@OVER_BOTH
@pytest.mark.parametrize("name", QUIET)
async def test_what_wants_no_answer_gets_none(here: Posing, transport: str, name: str) -> None:
    agent = await Agent.of(await here.publish(transport))
    assert await agent.say({"jsonrpc": "2.0"} | QUIET[name]) in (None, 202)
    await agent.say({"jsonrpc": "2.0", "id": 8, "method": "ping"})
    assert (await agent.hear())["id"] == 8


async def test_bytes_are_read_like_text(here: Posing) -> None:
    agent = await Agent.of(await here.publish())
    agent.raw.send(frame(2, b'{"jsonrpc":"2.0","id":1,"method":"ping"}'))
    assert (await agent.hear())["id"] == 1


@OVER_BOTH
async def test_the_handshake_answers_with_the_version_that_was_asked_for(here: Posing, transport: str) -> None:
    agent = await Agent.of(await here.publish(transport))
    answer = await agent.ask(1, "initialize", {"protocolVersion": "2077-01-01", "capabilities": {}})
    assert answer["result"]["protocolVersion"] == "2077-01-01"
    assert answer["result"]["serverInfo"]["name"] == "bridge"
    assert (await agent.ask(2, "initialize", [1]))["result"]["protocolVersion"] == "2024-11-05"
    assert (await agent.ask(3, "resources/list"))["error"] == {"code": -32601, "message": "Method not found"}


# (the parameters of tools/call, a word of the error)
WRONG_CALLS: list[tuple[Any, str]] = [
    (None, "no parameters of tools/call"),
    ([], "no parameters of tools/call"),
    ({"name": 1}, "no parameters of tools/call"),
    ({"name": "executeCode", "arguments": {"code": "1"}}, "Tool executeCode not found"),
    ({"name": "\ud83d"}, "not found"),
    ({"name": "openDiff"}, "missing required field"),
    ({"name": "openDiff", "arguments": None}, "Expected `object`"),
    ({"name": "close_tab", "arguments": {"tab_name": 1}}, "Expected `str`"),
    ({"name": "openFile"}, "filePath is required"),
    ({"name": "openFile", "arguments": {"filePath": ""}}, "filePath is required"),
    ({"name": "openFile", "arguments": {"filePath": "a\0b"}}, "filePath is required"),
    ({"name": "openFile", "arguments": {"filePath": "\ud83d"}}, "filePath is required"),
]


@pytest.mark.parametrize(("params", "word"), WRONG_CALLS)
async def test_a_wrong_call_is_answered_in_words(here: Posing, params: Any, word: str) -> None:
    agent = await here.agent()
    await agent.say({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    error = (await agent.heard(id=1))["error"]
    assert error["code"] == -32602
    assert word in error["message"]


async def test_arguments_that_are_nested_too_deeply_are_refused_like_others(here: Posing) -> None:
    agent = await here.agent()
    deep = b"[" * 50_000 + b"]" * 50_000
    for params in (
        b'{"name":"close_tab","arguments":{"tab_name":"a","x":%b}}' % deep,
        b'{"name":"ping","x":%b}' % deep,
    ):
        await agent.say(b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":%b}' % params)
        await agent.say({"jsonrpc": "2.0", "id": 8, "method": "ping"})
        said = await agent.hear()
        assert said["id"] == 8 or said["error"]["code"] == -32602  # or it was no message at all
        if said["id"] != 8:
            assert (await agent.hear())["id"] == 8


# (the file, what is proposed, a word of the refusal)
WRONG_DIFFS = [
    ("", "x", "is a directory"),
    (".", "x", "is a directory"),
    ("a\0b", "x", "no file can have this name"),
    ("\ud83d", "x", "no file can have this name"),
    ("a.txt", "\0", "binary"),
    ("a.txt", "a\nb\n", "nothing would change"),
    ("x" * 5000, "x", "File name too long"),
    ("a.txt/b", "x", "Not a directory"),
]


@pytest.mark.parametrize(("name", "proposed", "word"), WRONG_DIFFS)
async def test_a_change_that_cannot_be_shown_is_refused_in_words(
    here: Posing, workspace: Path, name: str, proposed: str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = await here.agent()
    path = f"{workspace}/{name}"
    names = {"old_file_path": path, "new_file_path": path}
    result = await agent.call(1, "openDiff", **names, new_file_contents=proposed, tab_name="t")
    assert result["isError"]
    assert word in texts(result)[0]
    assert "a bug" not in caplog.text


@pytest.mark.parametrize("name", ["gone.txt", ".", "x" * 5000, "a.txt/b", "fifo"])
async def test_a_file_that_is_not_there_is_not_opened(here: Posing, workspace: Path, name: str) -> None:
    os.mkfifo(workspace / "fifo")
    agent = await here.agent()
    result = await agent.call(1, "openFile", filePath=name)
    assert result["isError"]
    assert "cannot open" in texts(result)[0]


async def test_without_an_ide_the_tools_are_those_that_need_none_and_the_others_say_so(here: Posing) -> None:
    agent = await here.agent()
    tools = (await agent.ask(1, "tools/list"))["result"]["tools"]
    assert {tool["name"] for tool in tools} == {"openDiff", "close_tab", "closeAllDiffTabs"}
    result = await agent.call(2, "getOpenEditors")
    assert result["isError"]
    assert result["_meta"]["bridge/error"]["data"]["code"] == "unavailable"
    assert texts(await agent.call(3, "close_tab", tab_name="none")) == ["TAB_CLOSED"]
    assert texts(await agent.call(4, "closeAllDiffTabs")) == ["CLOSED_0_DIFF_TABS"]


async def test_a_bug_is_answered_too(here: Posing, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = await here.agent()
    monkeypatch.setattr(here.house.engine, "feed", None)
    error = (await agent.ask(1, "tools/list"))["error"]
    assert (error["code"], error["message"]) == (-32603, "a bug in the bridge: see bridge logs")
    monkeypatch.undo()
    assert "result" in await agent.ask(2, "tools/list")


# ---- diffs


@OVER_BOTH
@pytest.mark.parametrize(
    ("human", "answer"),
    [
        ("accept", ["FILE_SAVED", "a\nB\n"]),
        ("edit:c", ["FILE_SAVED", "a\nB\nc\n"]),
        ("reject", ["DIFF_REJECTED", "tab"]),
        ("close", ["DIFF_REJECTED", "tab"]),
    ],
)
async def test_a_diff_in_the_ide(
    here: Posing, make_ide: MakeIde, workspace: Path, transport: str, human: str, answer: list[str]
) -> None:
    async with make_ide(human=human) as ide:
        agent = await here.agent(transport)
        await agent.diff(5, workspace / "a.txt", "a\nB\n")
        result = (await agent.heard(id=5))["result"]
        assert texts(result) == answer
        review = result["_meta"]["bridge/review"]["id"]
        assert texts(await agent.call(6, "close_tab", tab_name="tab")) == ["TAB_CLOSED"]
        await ide.until(lambda: not ide.diffs, PATIENCE_S)
        assert (await here.house.on_disk(review)).state == "delivered"  # noted before the tab's close was answered


async def test_two_diffs_under_one_id_are_both_answered(here: Posing, workspace: Path) -> None:
    agent = await here.agent()
    for name in ("one", "two"):
        await agent.diff(1, workspace / f"{name}.txt", name, tab=name)
    for name in ("one", "two"):
        await agent.begin(2, "close_tab", tab_name=name)
    answers = [await agent.hear() for _ in range(4)]
    assert sorted(texts(said["result"])[-1] for said in answers if said["id"] == 1) == ["one", "two"]
    assert [texts(said["result"]) for said in answers if said["id"] == 2] == [["TAB_CLOSED"]] * 2


async def test_a_cancelled_diff_is_answered_no_more_and_only_under_its_very_id(here: Posing, workspace: Path) -> None:
    agent = await here.agent()
    await agent.diff(1, workspace / "a.txt", "new", tab="t")
    for id_ in ("1", True, 1.5, None):
        await agent.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id_}})
    await agent.ask(2, "ping")
    (review,) = await here.house.journal.run(Journal.latest, 10)
    assert review.is_open
    await agent.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    await agent.say({"jsonrpc": "2.0", "id": 3, "method": "ping"})
    assert (await agent.hear())["id"] == 3
    await here.house.stored(lambda review: not review.is_open, review.id)  # nobody else waits for it


async def test_the_same_change_again_after_a_disconnect_gets_the_undelivered_decision(
    here: Posing, make_ide: MakeIde, workspace: Path
) -> None:
    async with make_ide() as ide:
        agent = await here.agent()
        await agent.diff(1, workspace / "a.txt", "a\nB\n")
        await ide.next_diff()
        agent.raw.break_off()
        await until(lambda: here.publications.rows()[0]["agents"] == 0)
        await ide.accept()
        again = await here.agent()
        await again.diff(9, workspace / "a.txt", "a\nB\n")
        assert texts((await again.heard(id=9))["result"]) == ["FILE_SAVED", "a\nB\n"]
        assert len(await here.house.journal.run(Journal.latest, 10)) == 1


async def test_a_relative_path_counts_from_where_the_agent_was_started(here: Posing, make_ide: MakeIde) -> None:
    async with make_ide(human="accept"):
        agent = await here.agent()
        names = {"old_file_path": "a.txt", "new_file_path": "a.txt"}
        result = await agent.call(1, "openDiff", **names, new_file_contents="new\n", tab_name="t")
        assert texts(result)[0] == "FILE_SAVED"
        assert "isError" not in await agent.call(2, "openFile", filePath="a.txt")


async def test_a_new_file_in_a_new_directory_is_reviewed(here: Posing, make_ide: MakeIde, workspace: Path) -> None:
    async with make_ide(human="accept"):
        agent = await here.agent()
        await agent.diff(1, workspace / "new" / "b.txt", "b\n")
        assert texts((await agent.heard(id=1))["result"]) == ["FILE_SAVED", "b\n"]


# ---- what the IDE answers and says


@OVER_BOTH
async def test_selections_are_passed_on_and_calls_answered(
    here: Posing, make_ide: MakeIde, workspace: Path, transport: str
) -> None:
    async with make_ide() as ide:
        agent = await here.agent(transport)
        await agent.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await ide.until(lambda: ide.connections, PATIENCE_S)
        await here_follows(here)
        await ide.select(workspace / "a.txt", "a")
        said = await agent.heard(method="selection_changed")
        assert said["params"]["filePath"] == str(workspace / "a.txt")
        editors = json.loads(texts(await agent.call("e", "getOpenEditors"))[0])
        assert "tabs" in editors
        tools = (await agent.ask(2, "tools/list"))["result"]["tools"]
        assert {"openFile", "openDiff", "getDiagnostics"} <= {tool["name"] for tool in tools}


@pytest.mark.parametrize(
    "spelled", ["file://{path}", "{path}", "elsewhere/b.txt", "file:///a%00b", "file://host/x", "C:\\x"]
)
async def test_a_file_s_own_window_is_asked_about_it(here: Posing, make_ide: MakeIde, home: Path, spelled: str) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.txt").touch()
    async with make_ide() as near, make_ide(workspace=elsewhere) as far:
        agent = await here.agent()
        uri = spelled.format(path=elsewhere / "b.txt")
        await agent.call(1, "getDiagnostics", uri=uri)
        assert (near.connections, far.connections) == ((0, 1) if str(elsewhere) in uri else (1, 0))


async def here_follows(here: Posing) -> None:
    """Wait until the link lives."""
    await until(lambda: any(link.state is LinkState.LIVE for link in here.house.engine.router.links.links.values()))


async def test_more_calls_than_may_be_under_way_wait_and_another_agent_does_not(
    here: Posing, make_ide: MakeIde, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poses, "MOST_CALLS", 4)
    async with make_ide(faults=["hang-calls"]):
        agent, other = await here.agent(), await here.agent()
        for number in range(10):
            await agent.begin(number, "getOpenEditors")
        await agent.say({"jsonrpc": "2.0", "id": "p", "method": "ping"})
        pose = next(p for p in here.house.engine._askers.values() if isinstance(p, poses.Pose))
        await until(lambda: pose._calls == 4)
        assert (await other.ask(1, "ping"))["result"] == {}
        sessions = here.house.engine.sessions
        agent.raw.break_off()
        for _ in range(4):  # what takes an answer's place when the call's time is over
            pose.refuse(next(iter(pose._pending)), BadData("too late"))
        await until(lambda: here.house.engine.sessions == sessions - 1)
        assert pose._calls <= 4


async def test_what_was_on_its_way_when_the_agent_left_goes_no_further(here: Posing) -> None:
    agent = await Agent.of(await here.publish("sse"))
    pose = next(p for p in here.house.engine._askers.values() if isinstance(p, poses.Pose))
    agent.raw.break_off()
    await until(lambda: pose not in here.house.engine._askers.values())
    await pose.take(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
    await pose._ask(poses._Pending(1, None), ListTools())
    assert not pose._pending


# ---- where an agent stands


async def test_an_agent_that_nobody_started_stands_where_its_process_does(
    here: Posing, make_ide: MakeIde, home: Path, workspace: Path
) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    child = subprocess.Popen([sys.executable, "-c", "input()"], cwd=workspace, stdin=subprocess.PIPE)
    try:
        async with make_ide() as right, make_ide(workspace=elsewhere) as wrong:
            await here.publications.for_everybody(True, Transport.WEBSOCKET, {})
            one = next(iter(here.publications._all.values()))
            agent = await Agent.of(one)
            await agent.ask(0, "initialize", {})
            await agent.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
            assert len((await agent.ask(9, "tools/list"))["result"]["tools"]) == 3  # it stands nowhere yet
            assert (right.connections, wrong.connections) == (0, 0)
            await agent.say({"jsonrpc": "2.0", "method": "ide_connected", "params": {"pid": child.pid}})
            await right.until(lambda: right.connections, PATIENCE_S)
            await here_follows(here)
            await right.select(workspace / "a.txt", "a")
            await agent.heard(method="selection_changed")
            assert wrong.connections == 0
            names = {"old_file_path": "a.txt", "new_file_path": "a.txt"}
            await agent.begin(1, "openDiff", **names, new_file_contents="new\n", tab_name="t")
            assert (await right.next_diff()).new_file_path == str(workspace / "a.txt")
    finally:
        child.communicate(b"\n", timeout=PATIENCE_S)


@pytest.mark.parametrize("pid", [0, -1, 1.0, True, None, "1", 2**31, 2**70, 4194304])
async def test_a_process_that_is_not_there_tells_nothing(here: Posing, pid: Any) -> None:
    await here.publications.for_everybody(True, Transport.WEBSOCKET, {})
    agent = await Agent.of(next(iter(here.publications._all.values())))
    await agent.say({"jsonrpc": "2.0", "method": "ide_connected", "params": {"pid": pid}})
    assert (await agent.ask(1, "ping"))["result"] == {}
    pose = next(p for p in here.house.engine._askers.values() if isinstance(p, poses.Pose))
    assert (pose.cwd, pose.pid) == ("/", None)


async def test_an_agent_whose_place_is_known_stays_there_whatever_it_says(here: Posing, workspace: Path) -> None:
    agent = await here.agent()
    await agent.say({"jsonrpc": "2.0", "method": "ide_connected", "params": {"pid": 1}})
    await agent.ask(1, "ping")
    pose = next(p for p in here.house.engine._askers.values() if isinstance(p, poses.Pose))
    assert (pose.cwd, pose.pid) == (str(workspace), os.getpid())


async def test_a_bridge_is_not_asked_on_behalf_of_a_bridge(here: Posing, make_ide: MakeIde) -> None:
    async with make_ide(name="bridge") as other:
        for name, may in (("bridge", False), ("ann", True)):
            agent = await here.agent()
            await agent.ask(1, "initialize", {"clientInfo": {"name": name}})
            result = await agent.call(2, "getOpenEditors")
            assert result.get("isError", False) is not may
            tools = (await agent.ask(3, "tools/list"))["result"]["tools"]
            assert any(tool["name"] == "getOpenEditors" for tool in tools) is may
            assert bool(other.connections) is may


async def test_many_agents_share_the_one_place_of_an_ide(here: Posing, make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        agents = [await here.agent(transport) for transport in ("ws", "sse", "ws")]
        for number, agent in enumerate(agents):
            assert "isError" not in await agent.call(number, "getOpenEditors")
        assert ide.connections == 1
