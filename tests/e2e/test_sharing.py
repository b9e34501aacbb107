"""Many agents, one window: nobody takes another's place, answer, tab or time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bridge.client import Client
from ide_plugins.emulator import Emulator
from tests.e2e.agents import Message, Run, agent, read_lock, soon, words
from tests.e2e.outsiders import another_agent, chosen, decide_on_page, is_connected, row, status, until_status
from tests.e2e.support import PATIENCE_S, Home, Ide, bridge
from tests.e2e.test_recovery import UNAVAILABLE, folders, is_answered, on_page, outcome, reviews, until
from tests.ides.lockfiles import write_lock

StartIde = Callable[..., Ide]
StartRun = Callable[..., Run]


@pytest.fixture
def file(workspace: Path) -> Path:
    path = workspace / "f.txt"
    path.write_text("old\n")
    return path


@asynccontextmanager
async def window(workspace: Path, home: Path, **options: Any) -> AsyncIterator[Emulator]:
    """An IDE in the test's own process."""
    async with Emulator(workspace=workspace, lock_dir=home / ".claude" / "ide", **options) as ide:
        yield ide


def says(text: str) -> Callable[[Message], bool]:
    return lambda selected: selected["text"] == text


# ---- answers


async def test_equal_ids_of_different_agents_are_not_mixed_up(workspace: Path, home: Path, run: StartRun) -> None:
    """Strings and integers, small and large: each agent hears what it asked about, under the id it chose."""
    ids: list[int | str] = [7, "7", 0, "", 2**53, "é", -1]
    door = run().address
    async with window(workspace, home) as ide, agent(door) as ann, agent(door) as bob:
        for number, name in enumerate("ab"):
            path = workspace / name
            place = {"start": {"line": number, "character": 0}, "end": {"line": number, "character": 1}}
            await ide.diagnose(path, [{"message": name, "severity": "Error", "range": place}])
        asked = [
            (name, await who.start("getDiagnostics", id_, uri=(workspace / name).as_uri()))
            for id_ in ids
            for name, who in (("a", ann), ("b", bob))
        ]
        for name, answer in asked:
            (said,) = words(await soon(answer))
            assert [one["diagnostics"][0]["message"] for one in json.loads(said)] == [name]
        assert ann.strays == bob.strays == []
        assert (ide.connections, len(ide.calls)) == (1, len(asked))


async def test_a_turn_closes_the_caller_s_own_tabs_only(
    workspace: Path, home: Path, file: Path, run: StartRun, client: Client
) -> None:
    door, other = run().address, run("--sse").address
    async with window(workspace, home, personality="nvim") as ide, agent(door) as ann, agent(other) as bob:
        anns = await ann.propose(file, "ann's\n")
        await ide.until(lambda: len(ide.pending) == 1)
        bobs = await bob.propose(file, "bob's\n")
        await ide.until(lambda: len(ide.pending) == 2)
        assert await bob.begin_turn() == ("CLOSED_1_DIFF_TABS",)
        assert outcome(await soon(bobs)) == "cancelled"
        assert await bob.close_tab() == ("TAB_CLOSED",)  # ann's has the same name
        assert not anns.done()
        await ide.until(lambda: [diff.contents for diff in ide.pending] == ["ann's\n"])
        await ide.accept()
        assert words(await soon(anns)) == ("FILE_SAVED", "ann's\n")


async def test_a_call_that_is_taken_back_is_not_answered(
    workspace: Path, home: Path, file: Path, run: StartRun, client: Client
) -> None:
    """And a review that nobody waits for any more is cancelled, its tab closed."""
    door = run().address
    async with window(workspace, home) as ide, agent(door) as ann, agent(door) as bob:
        proposed = await ann.propose(file, "new\n", id_="mine")
        await ide.next_diff()
        await bob.say("notifications/cancelled", {"requestId": "mine"})  # not Bob's to cancel
        assert (await bob.answer("ping"))["result"] == {}
        assert len(ide.pending) == 1
        await ann.say("notifications/cancelled", {"requestId": "mine"})
        await ide.until(lambda: not ide.diffs)
        assert await ann.begin_turn() == ("CLOSED_0_DIFF_TABS",)
        assert not proposed.done()
        assert ann.strays == []
    assert [review["outcome"] for review in reviews(client)] == ["cancelled"]


async def test_progress_reaches_who_asked_for_it(workspace: Path, home: Path, run: StartRun) -> None:
    """Two agents with the same token: each hears of its own call, under its own token."""
    door = run().address
    async with slow_ide(workspace, home), agent(door) as ann, agent(door) as bob:
        for who in (ann, bob):
            await who.until_offered("getDiagnostics")
        calls = [
            await who.ask(
                "tools/call",
                {"name": "getDiagnostics", "arguments": {"uri": name}, "_meta": {"progressToken": "mine"}},
            )
            for name, who in (("ann", ann), ("bob", bob))
        ]
        for name, who, call in zip(("ann", "bob"), (ann, bob), calls, strict=True):
            assert words(await soon(call)) == (name,)
            told = [said["params"] for said in who.heard if said["method"] == "notifications/progress"]
            assert told == [{"progressToken": "mine", "progress": n, "message": name} for n in (1, 2)]


@asynccontextmanager
async def slow_ide(workspace: Path, home: Path) -> AsyncIterator[None]:
    """An IDE that says twice how far it is before it answers."""
    listed = {"tools": [{"name": "getDiagnostics", "inputSchema": {"type": "object", "properties": {"uri": {}}}}]}

    async def converse(client: ServerConnection) -> None:
        async for frame in client:
            message = json.loads(frame)
            if "id" not in message:
                continue
            answer = {"initialize": {"protocolVersion": "2025-06-18"}, "tools/list": listed}.get(message["method"])
            if message["method"] == "tools/call":
                params = message["params"]
                name = params["arguments"]["uri"]
                for progress in (1, 2):
                    about = {**params["_meta"], "progress": progress, "message": name}
                    await client.send(json.dumps({"method": "notifications/progress", "params": about}))
                answer = {"content": [{"type": "text", "text": name}]}
            await client.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}))

    async with serve(converse, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        directory = home / ".claude" / "ide"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_lock(directory, port, pid=os.getpid(), workspaceFolders=[str(workspace)])
        yield


# ---- an agent that wants everything, and one that takes nothing


async def test_an_agent_that_asks_much_at_once_leaves_room_for_others(
    workspace: Path, home: Path, run: StartRun
) -> None:
    door, many = run().address, 300
    async with window(workspace, home, faults=["slow:0.002"]), agent(door) as ann, agent(door) as bob:
        await ann.until_offered("getOpenEditors")
        asked = [await ann.start("getOpenEditors") for _ in range(many)]
        await soon(asked[0])
        assert await is_answered(bob)
        assert sum(one.done() for one in asked) < many // 2
        for one in asked:
            assert words(await soon(one))[0].startswith("{")


_STOPS = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.e2e.agents import agent, read_lock
async def main():
    async with agent(read_lock(Path(sys.argv[1]))) as ann:
        await ann.until_offered("openFile")
        print("ready", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        said = await ann.told("selection_changed", lambda params: params["text"].startswith("last"))
        print(len([1 for said in ann.heard if said["method"] == "selection_changed"]), flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("words_", [[], ["--sse"]], ids=["WebSocket", "SSE"])
async def test_an_agent_that_is_stopped_stalls_nobody(
    words_: list[str], workspace: Path, home: Path, file: Path, run: StartRun
) -> None:
    """What it misses is not kept for it, but for the last selection."""
    terminal = run(*words_)
    large, number = "x" * 2**20, 30
    async with window(workspace, home) as ide, agent(terminal.address) as ann:
        await ann.until_offered("openFile")
        with stopping_agent(terminal) as stopped:
            assert await asyncio.to_thread(stopped.stdout.readline) == b"ready\n"  # type: ignore[union-attr]
            await asyncio.to_thread(os.waitid, os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
            for _ in range(number):
                await ide.select(file, large)
                assert await is_answered(ann)
            await ide.select(file, "last")
            await ann.told("selection_changed", says("last"))
            stopped.send_signal(signal.SIGCONT)
            heard = int(await asyncio.to_thread(stopped.stdout.readline))  # type: ignore[union-attr]
            assert 1 <= heard < number


@contextmanager
def stopping_agent(terminal: Run) -> Iterator[subprocess.Popen[bytes]]:
    """An agent in a process of its own, which stops itself when it has met its IDE."""
    lock = Path(os.environ["HOME"], ".claude", "ide", f"{terminal.address.port}.lock")
    command = [sys.executable, "-c", _STOPS, str(lock)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


# ---- the user's own agent


async def test_a_slot_that_is_lost_is_left_to_the_user_s_own_agent(
    workspace: Path, file: Path, ide: StartIde, run: StartRun, client: Client
) -> None:
    window = ide()
    async with agent(run().address) as ann:
        await ann.until_offered("openFile")
        with another_agent(window) as own:
            said = await asyncio.to_thread(
                until_status, client, lambda said: row(said, window.port)["state"] == "slot lost"
            )
            assert (row(said, window.port)["chosen"], chosen(said)) == (False, None)
            text = bridge("status", cwd=workspace).stdout
            assert "slot lost" in text
            assert "bridge run -- COMMAND" in text
            assert words(await ann.call("openFile", filePath=str(file))) == UNAVAILABLE
            proposed = await ann.propose(file, "new\n")
            await asyncio.to_thread(decide_on_page, await asyncio.to_thread(on_page, client))
            assert words(await soon(proposed)) == ("FILE_SAVED", "new\n")
            assert is_connected(own)
            assert row(status(workspace), window.port)["state"] in ("slot lost", "occupied")
        await ann.until_offered("openFile")  # it left: its place is free, and taken after a while
        assert await is_answered(ann)


async def test_a_review_that_is_shown_goes_to_the_page_with_the_slot(
    file: Path, ide: StartIde, run: StartRun, client: Client
) -> None:
    """The IDE tells its new client what the human decides of the old diff: that is lost to us, and no decision."""
    window = ide()
    async with agent(run().address) as ann:
        proposed = await ann.propose(file, "new\n")
        await until(window, "diff")
        with another_agent(window) as own:
            review = await asyncio.to_thread(on_page, client)
            window.do("reject")
            assert "DIFF_REJECTED" in await asyncio.to_thread(own.recv, PATIENCE_S)
            assert not proposed.done()
            await asyncio.to_thread(decide_on_page, review)
            assert words(await soon(proposed)) == ("FILE_SAVED", "new\n")
            assert is_connected(own)


async def test_a_slot_is_taken_back_when_the_user_names_the_ide(
    workspace: Path, file: Path, ide: StartIde, run: StartRun, client: Client
) -> None:
    window = ide()
    async with agent(run().address) as ann:
        await ann.until_offered("openFile")
        with another_agent(window) as own:
            await asyncio.to_thread(until_status, client, lambda said: row(said, window.port)["state"] == "slot lost")
            done = await asyncio.to_thread(bridge, "open", "f.txt", "--ide", str(window.port), cwd=workspace)
            while done.returncode:  # not at once: what was seen a moment ago is no proof
                done = await asyncio.to_thread(bridge, "open", "f.txt", "--ide", str(window.port), cwd=workspace)
            assert row(status(workspace), window.port)["state"] == "live"
            with pytest.raises(ConnectionClosed):
                is_connected(own)
        assert await is_answered(ann)


async def test_a_slot_is_taken_where_the_user_allows_it(
    workspace: Path, home: Path, file: Path, ide: StartIde, run: StartRun
) -> None:
    config = home / ".config" / "bridge" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("takeover = true\n")
    window = ide()
    with another_agent(window) as own:
        async with agent(run().address) as ann:
            await ann.until_offered("openFile")
            assert await is_answered(ann)
            with pytest.raises(ConnectionClosed):
                is_connected(own)


async def test_where_there_is_room_nobody_loses_a_place(file: Path, ide: StartIde, run: StartRun) -> None:
    window = ide("--personality", "nvim")
    with another_agent(window) as own:
        async with agent(run().address) as ann:
            assert await is_answered(ann)
            assert is_connected(own)


# ---- which window


async def test_the_file_s_workspace_goes_before_the_terminal_s(
    home: Path, workspace: Path, file: Path, ide: StartIde, run: StartRun
) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    there = elsewhere / "g.txt"
    there.write_text("x\n")
    mine, other = ide(), ide(folder=elsewhere)
    async with agent(run().address) as ann:
        await ann.until_offered("openFile")
        for path, window in ((file, mine), (there, other)):
            assert words(await ann.call("openFile", filePath=str(path)))[0].startswith("Opened")
            await until(window, "call", tool="openFile", path=str(path))


async def test_the_user_pins_a_window_and_the_agents_follow(
    workspace: Path, file: Path, ide: StartIde, run: StartRun
) -> None:
    first, second = ide(), ide()
    async with agent(run().address) as ann:
        await ann.until_offered("openFile")
        for window in (first, second, first):
            done = await asyncio.to_thread(bridge, "use", str(window.port), "--workspace", cwd=workspace)
            assert done.returncode == 0
            await ann.call("openFile", filePath=str(file))
            await until(window, "call", tool="openFile")
            proposed = await ann.propose(file, f"for {window.port}\n")
            await until(window, "diff")
            window.do("reject")
            assert words(await soon(proposed))[0] == "DIFF_REJECTED"


# ---- two bridges


async def test_two_bridges_that_find_each_other_do_not_ask_in_a_circle(
    tmp_path: Path, workspace: Path, file: Path, started: list[Any]
) -> None:
    """Each is published for everybody where the other looks. A review ends up with a human, once for each bridge."""
    doors = [tmp_path / "a published", tmp_path / "b published"]
    homes = [Home(tmp_path / "a"), Home(tmp_path / "b")]
    started += homes
    clients = []
    for home, mine, others in zip(homes, doors, reversed(doors), strict=True):
        clients.append(home.client(workspace, CLAUDE_CONFIG_DIR=str(mine)))
        clients[-1].request("publish/set", {"on": True})
        with home.client(workspace, CLAUDE_CONFIG_DIR=str(others)) as passing:
            assert [ide["name"] for ide in passing.status()["ides"]] == ([] if home is homes[0] else ["bridge"])
    started.append(terminal := Run(cwd=workspace, environ=homes[1].environ))
    async with agent(terminal.address) as ann:
        proposed = await ann.propose(file, "new\n")
        await asyncio.to_thread(on_page, clients[0])
        async with window(tmp_path / "elsewhere", homes[0].path):  # something changes, and both look again
            await asyncio.to_thread(until_status, clients[0], lambda said: len(said["ides"]) == 2)
        async with window(workspace, homes[0].path) as ide:
            await ide.next_diff()
            await ide.accept()
            assert words(await soon(proposed)) == ("FILE_SAVED", "new\n")
            await ann.close_tab()
    for client in clients:
        assert [review["outcome"] for review in reviews(client)] == ["accepted"]
        client.close()


async def test_an_agent_behind_two_bridges_goes_on_with_the_next_ide(
    tmp_path: Path, workspace: Path, file: Path, started: list[Any]
) -> None:
    first, second = Home(tmp_path / "a"), Home(tmp_path / "b", CLAUDE_CONFIG_DIR=str(tmp_path / "published"))
    started += [first, second]
    with first.client(workspace, CLAUDE_CONFIG_DIR=str(tmp_path / "published")) as client:
        client.request("publish/set", {"on": True})
    started.append(terminal := Run(cwd=workspace, environ=second.environ))
    async with agent(terminal.address) as ann:
        assert "openFile" not in await ann.tools()
        for life in range(2):
            async with window(workspace, first.path) as ide:
                await ide.until(lambda: ide.connections, PATIENCE_S)  # nobody asked for anything: it is followed
                await ann.until_offered("openFile")
                assert await is_answered(ann)
                await ide.select(file, f"life {life}", (0, 0))
                await ann.told("selection_changed", says(f"life {life}"))
                proposed = await ann.propose(file, f"{life}\n")
                await ide.next_diff()
            async with window(workspace, first.path) as ide:
                await ide.next_diff()
                assert await is_answered(ann)
                await ide.accept()
                assert words(await soon(proposed)) == ("FILE_SAVED", f"{life}\n")
                await ann.close_tab()


async def test_an_agent_that_finds_the_published_bridge_stands_where_its_process_does(
    home: Path, workspace: Path, file: Path, started: list[Any], client: Client
) -> None:
    """Nobody said whose it is: it says which process it is itself."""
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    processes = [subprocess.Popen(["sleep", "60"], cwd=folder) for folder in (workspace, elsewhere)]
    started += [Ending(process) for process in processes]
    (door,) = client.request("publish/set", {"on": True})["published"]
    address = read_lock(Path(door["lock"]))
    async with (
        window(workspace, home),
        window(elsewhere, home),
        agent(address, pid=processes[0].pid) as ann,
        agent(address, pid=processes[1].pid) as bob,
        agent(address, pid=2**22 + 1) as nobody,
    ):
        for who, folder in ((ann, workspace), (bob, elsewhere)):
            await who.until_offered("openFile")
            assert folders(await who.call("getWorkspaceFolders")) == [str(folder)]
        assert words(await nobody.call("getWorkspaceFolders")) == UNAVAILABLE
        assert words(await nobody.call("openFile", filePath=str(file)))[0].startswith("Opened")
    client.request("publish/set", {"on": False})
    assert not Path(door["lock"]).exists()


class Ending:
    """A process that is ended with the test."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
