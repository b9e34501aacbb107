from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.emulator.agent import agent, texts
from tests.emulator.conftest import MakeIde

OPEN_DIFF = {"old_file_path": "/w/a.py", "new_file_path": "/w/a.py", "tab_name": "tab", "new_file_contents": "x"}


async def test_the_lock_file_leads_to_the_ide(make_ide: MakeIde, lock_dir: Path, workspace: Path) -> None:
    async with make_ide(name="code-server", pid=30510) as ide:
        (path,) = lock_dir.iterdir()
        assert path == ide.lock_path == lock_dir / f"{ide.port}.lock"
        lock = json.loads(path.read_bytes())
        async with agent(ide.port, lock.pop("authToken")) as ann:
            assert await ann.call("ping") == {"result": {}}
    assert lock == {
        "pid": 30510,
        "workspaceFolders": [str(workspace)],
        "ideName": "code-server",
        "transport": "ws",
    }
    assert list(lock_dir.iterdir()) == []


async def test_the_pid_is_our_own_by_default(make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        assert json.loads(ide.lock_path.read_bytes())["pid"] == os.getpid()


@pytest.mark.parametrize("remove_lock", [True, False])
async def test_stopping_says_goodbye_once(make_ide: MakeIde, remove_lock: bool) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        await ann.call("ping")
        await ide.stop(remove_lock=remove_lock)
        assert (await ann.closed())[0] == 1001
        assert ide.lock_path.exists() != remove_lock
        await ide.stop()
        assert ide.lock_path.exists() != remove_lock


async def test_dying_leaves_the_lock_and_says_nothing(make_ide: MakeIde) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        await ann.call("ping")
        ide.die()
        assert (await ann.closed())[0] == 1006
    assert ide.lock_path.exists()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        async with agent(ide):
            pass


async def test_an_ide_that_cannot_announce_itself_does_not_listen(make_ide: MakeIde, lock_dir: Path) -> None:
    lock_dir.parent.touch()
    ide = make_ide()
    with pytest.raises(OSError, match="Not a directory"):
        await ide.__aenter__()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", ide.port)


@pytest.mark.parametrize("option", [{"human": "yes"}, {"faults": ["hang"]}, {"faults": ["slow:fast"]}])
def test_unknown_words_are_refused_at_once(make_ide: MakeIde, option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"yes|hang|fast"):
        make_ide(**option)


@pytest.mark.parametrize("version", ["2025-06-18", "2024-11-05"])
async def test_initialize_echoes_the_clients_version(make_ide: MakeIde, version: str) -> None:
    async with make_ide(name="code-server") as ide, agent(ide) as ann:
        assert await ann.call("initialize", {"protocolVersion": version}) == {
            "result": {
                "protocolVersion": version,
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "Claude Code code-server MCP", "version": "1.0.44"},
            }
        }


@pytest.mark.parametrize("method", ["prompts/list", "resources/list", "unknown"])
async def test_unknown_methods_are_refused(make_ide: MakeIde, method: str) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        assert await ann.call(method) == {"error": {"code": -32601, "message": "Method not found"}}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"name": "nothing"}, "MCP error -32602: Tool nothing not found"),
        ({"name": ["openFile"]}, "MCP error -32602: Tool ['openFile'] not found"),
        ({}, "MCP error -32602: Tool None not found"),
        (
            {"name": "close_tab", "arguments": {}},
            "MCP error -32602: Invalid arguments for tool close_tab: tab_name is required",
        ),
    ],
)
async def test_bad_calls_are_refused(make_ide: MakeIde, params: dict[str, Any], message: str) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        assert await ann.call("tools/call", params) == {"error": {"code": -32602, "message": message}}


@pytest.mark.parametrize(
    "frame",
    [
        "not JSON",
        b"\x00\xff",
        '{"jsonrpc":"2.0","method":"notifications/initialized"}',
        '{"jsonrpc":"2.0","method":"ide_connected","params":{"pid":1}}',
        '{"jsonrpc":"2.0","id":"x","result":{}}',
    ],
)
async def test_what_is_no_request_is_ignored(make_ide: MakeIde, frame: str | bytes) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        await ann.socket.send(frame)
        assert await ann.call("ping") == {"result": {}}


async def test_the_tools_are_listed_and_called(make_ide: MakeIde, workspace: Path) -> None:
    async with make_ide(needs_text=False, lines=True) as ide, agent(ide) as ann:
        listed = (await ann.call("tools/list"))["result"]["tools"]
        assert len(listed) == 12
        (open_file,) = (tool for tool in listed if tool["name"] == "openFile")
        assert open_file["inputSchema"]["required"] == ["filePath"]
        path = str(workspace / "a.py")
        assert await ann.tool("openFile", filePath=path) == [f"Opened file: {path}"]
        ide.dirty.add(workspace / "a.py")
        assert '"isDirty": true' in (await ann.tool("checkDocumentDirty", filePath=path))[0]
        assert ide.calls == [("openFile", {"filePath": path}), ("checkDocumentDirty", {"filePath": path})]


async def test_an_open_diff_can_be_looked_at(make_ide: MakeIde) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        id_ = await ann.propose("new é\n")
        diff = await ide.next_diff()
        assert ide.diffs == ide.pending == [diff]
        assert (diff.request_id, diff.tab_name, diff.contents) == (id_, "tab", "new é\n")
        assert (diff.old_file_path, diff.new_file_path) == ("/w/a.py", "/w/a.py")


@pytest.mark.parametrize(
    ("act", "answer", "stays"),
    [
        ("accept", ["FILE_SAVED", "new\n"], True),
        ("reject", ["DIFF_REJECTED", "tab"], True),
        ("close_tab_by_user", ["DIFF_REJECTED", "tab"], False),
    ],
)
async def test_the_call_blocks_until_the_human_decides(
    make_ide: MakeIde, act: str, answer: list[str], stays: bool
) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        id_ = await ann.propose()
        await ide.next_diff()
        await ann.call("ping")  # others are answered meanwhile
        await getattr(ide, act)()
        decided = await ann.hear()
        assert (decided["id"], texts(decided)) == (id_, answer)
        assert len(ide.diffs) == stays
        assert await ann.tool("close_tab", tab_name="tab") == ["TAB_CLOSED"]
        assert ide.diffs == []


@pytest.mark.parametrize(
    ("options", "text", "answer"),
    [
        ({}, None, "\ufeffa\r\nb"),
        ({}, "mine", "mine"),
        ({"editor_normalises": True}, None, "a\nb\n"),
        ({"editor_normalises": True}, "mine", "mine"),  # as the human typed it
    ],
)
async def test_an_accepted_text_is_what_the_editor_holds(
    make_ide: MakeIde, options: dict[str, bool], text: str | None, answer: str
) -> None:
    async with make_ide(**options) as ide, agent(ide) as ann:
        await ann.propose("\ufeffa\r\nb")
        await ide.next_diff()
        await ide.accept(text)
        assert texts(await ann.hear()) == ["FILE_SAVED", answer]


async def test_a_closed_tab_may_be_no_rejection(make_ide: MakeIde) -> None:
    async with make_ide(close_says="tab_closed") as ide, agent(ide) as ann:
        await ann.propose()
        await ide.next_diff()
        await ide.close_tab_by_user()
        assert texts(await ann.hear()) == ["TAB_CLOSED"]


@pytest.mark.parametrize(
    ("tool", "arguments", "answer"),
    [("close_tab", {"tab_name": "tab"}, "TAB_CLOSED"), ("closeAllDiffTabs", {}, "CLOSED_0_DIFF_TABS")],
)
async def test_a_diff_that_the_client_closes_is_rejected(
    make_ide: MakeIde, tool: str, arguments: dict[str, str], answer: str
) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        diff = await ann.propose()
        close = await ann.ask("tools/call", {"name": tool, "arguments": arguments})
        first, second = await ann.hear(), await ann.hear()
        assert (first["id"], texts(first)) == (diff, ["DIFF_REJECTED", "tab"])
        assert (second["id"], texts(second)) == (close, [answer])


async def test_a_new_diff_replaces_the_open_one(make_ide: MakeIde) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        first = await ann.propose(tab="1")
        await ann.propose(tab="2")
        replaced = await ann.hear()
        assert (replaced["id"], texts(replaced)) == (first, ["DIFF_REJECTED", "1"])
        assert [diff.tab_name for diff in ide.diffs] == ["2"]


async def test_where_several_fit_each_client_gets_its_own_answer(make_ide: MakeIde) -> None:
    async with make_ide(several_clients=True) as ide, agent(ide) as ann, agent(ide) as bob:
        await ann.propose("ann's", tab="ann")
        await ide.until(lambda: ide.diffs)
        await bob.propose("bob's", tab="bob")
        await ide.until(lambda: len(ide.diffs) == 2)
        await ide.accept(diff=ide.diffs[1])
        await ide.reject()
        assert texts(await bob.hear()) == ["FILE_SAVED", "bob's"]
        assert texts(await ann.hear()) == ["DIFF_REJECTED", "ann"]


@pytest.mark.parametrize("decided_between", [True, False], ids=["while nobody is there", "afterwards"])
async def test_the_old_answer_reaches_the_new_socket(make_ide: MakeIde, decided_between: bool) -> None:
    async with make_ide() as ide:
        async with agent(ide) as ann:
            await ann.propose(id_="old")
            await ide.next_diff()
            await ide.drop_client()
            assert (await ann.closed())[0] == 1006
        assert len(ide.pending) == 1
        if decided_between:
            await ide.accept()
        async with agent(ide) as bob:
            if not decided_between:
                await bob.call("ping")
                await ide.accept()
            late = await bob.hear()
            assert (late["id"], texts(late)) == ("old", ["FILE_SAVED", "new\n"])
            assert await bob.call("ping") == {"result": {}}  # and it comes once


@pytest.mark.parametrize("meanwhile", [True, False], ids=["is there already", "comes later"])
async def test_an_answer_that_meets_a_closed_socket_is_for_the_next(make_ide: MakeIde, meanwhile: bool) -> None:
    async with make_ide(faults=["slow:0.3"]) as ide, asyncio.TaskGroup() as tasks, AsyncExitStack() as agents:
        ann = await agents.enter_async_context(agent(ide))
        await ann.propose(id_="old")
        await ide.next_diff()
        accepting = tasks.create_task(ide.accept())
        await ide.until(lambda: not ide.pending)
        await ide.drop_client()
        if not meanwhile:
            await accepting
        bob = await agents.enter_async_context(agent(ide))
        assert (await bob.hear())["id"] == "old"


async def test_a_displaced_clients_answer_goes_to_the_newcomer(make_ide: MakeIde) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        await ann.propose(id_="old")
        await ide.next_diff()
        async with agent(ide) as bob:
            await ann.closed()
            await ide.reject()
            assert (await bob.hear())["id"] == "old"


async def test_a_selection_is_pushed_and_remembered(make_ide: MakeIde, workspace: Path) -> None:
    async with make_ide() as ide, agent(ide) as ann:
        await ann.call("ping")
        await ide.select(workspace / "a.py", "one\n", (0, 0))
        pushed = await ann.hear()
        assert (pushed["method"], "id" in pushed) == ("selection_changed", False)
        assert pushed["params"]["selection"]["end"] == {"line": 1, "character": 0}
        assert json.loads((await ann.tool("getLatestSelection"))[0]) == pushed["params"]


async def test_a_scripted_human_reacts_at_once(make_ide: MakeIde) -> None:
    async with make_ide(human="close,edit:# mine\n", close_says="tab_closed") as ide, agent(ide) as ann:
        await ann.propose()
        assert texts(await ann.hear()) == ["TAB_CLOSED"]
        await ann.propose()
        assert texts(await ann.hear()) == ["FILE_SAVED", "new\n# mine\n"]


@pytest.mark.parametrize("act", ["accept", "reject", "close_tab_by_user"])
async def test_there_must_be_a_diff_to_decide(make_ide: MakeIde, act: str) -> None:
    async with make_ide() as ide:
        with pytest.raises(LookupError, match="no diff waits"):
            await getattr(ide, act)()


async def test_waiting_ends(make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        with pytest.raises(TimeoutError):
            await ide.until(lambda: ide.diffs, timeout=0)


async def test_what_happens_is_told_without_the_token(make_ide: MakeIde) -> None:
    events: list[dict[str, Any]] = []
    async with make_ide(on_event=events.append, human="accept") as ide:
        async with agent(ide, headers={}) as stranger:
            await stranger.closed()
        async with agent(ide) as ann:
            await ann.propose("é\n")
            await ann.hear()
        await ide.until(lambda: events[-1]["event"] == "disconnected")
    assert events == [
        {"event": "ready", "port": ide.port, "lock": str(ide.lock_path)},
        {"event": "unauthorised"},
        {"event": "connected"},
        {"event": "call", "tool": "openDiff"},
        {"event": "diff", "tab_name": "tab", "path": "/w/a.py", "length": 2, "new_file": True},
        {"event": "decided", "tab_name": "tab", "answer": "FILE_SAVED"},
        {"event": "disconnected"},
    ]
    assert ide.token is not None
    assert ide.token not in str(events)


async def test_a_client_may_leave_before_its_answer(make_ide: MakeIde) -> None:
    async with make_ide() as ide:
        async with agent(ide) as ann:
            await ann.ask("tools/call", {"name": "openDiff", "arguments": OPEN_DIFF})
            ann.socket.transport.abort()
        await ide.next_diff()
        with pytest.raises(ConnectionClosed):
            await ann.hear()
