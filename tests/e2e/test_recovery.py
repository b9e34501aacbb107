"""What an agent notices of it when its IDE, itself or the bridge ends: as little as can be."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from tests.e2e.agents import TOOLS_CHANGED, Agent, Message, Run, agent, read_lock, soon, words
from tests.e2e.outsiders import decide_on_page, until_status
from tests.e2e.support import Ide, bridge, kill_daemon

StartIde = Callable[..., Ide]
StartRun = Callable[..., Run]

OWN_TOOLS = ["openDiff", "close_tab", "closeAllDiffTabs"]
UNAVAILABLE = ("refused", "unavailable")


@pytest.fixture
def file(workspace: Path) -> Path:
    path = workspace / "f.txt"
    path.write_text("old\n")
    return path


async def until(window: Ide, event: str, **facts: Any) -> dict[str, Any]:
    """Wait for an event of an IDE, while the agents go on."""
    return await asyncio.to_thread(window.until, event, **facts)


async def is_answered(ann: Agent) -> bool:
    """Tell whether the IDE answers this agent."""
    return words(await ann.call("getWorkspaceFolders"))[0].startswith("{")


def folders(answer: Message) -> list[str]:
    return [folder["path"] for folder in json.loads(words(answer)[0])["folders"]]


def outcome(answer: Message) -> str:
    said: str = answer["result"]["_meta"]["bridge/review"]["outcome"]
    return said


def reviews(client: Client) -> list[dict[str, Any]]:
    """List all reviews that the journal has."""
    found: list[dict[str, Any]] = client.request("review/list", {"all": True})["reviews"]
    return found


def on_page(client: Client) -> str:
    """Wait until the one undecided review is on the page; give its id."""
    said = until_status(client, lambda said: [r["where"] for r in said["reviews"]] == ["page"])
    review: str = said["reviews"][0]["id"]
    return review


# ---- the IDE ends


def kill(window: Ide) -> None:
    window.kill()


def quit_(window: Ide) -> None:
    window.do("quit")
    window.process.wait(20)


FRONTS = pytest.mark.parametrize("words_", [[], ["--sse"]], ids=["WebSocket", "SSE"])
RESTARTS = [
    # how it ends, whether it comes back on the same port, how it speaks, how the agent does: every pair is there
    (kill, True, "ws", []),
    (kill, False, "sse", []),
    (kill, False, "ws", ["--sse"]),
    (quit_, True, "sse", []),
    (quit_, False, "ws", []),
    (quit_, True, "sse", ["--sse"]),
]


@pytest.mark.parametrize(("end", "same_port", "transport", "words_"), RESTARTS)
async def test_an_agent_goes_on_with_the_ide_that_comes_after(
    end: Callable[[Ide], None],
    same_port: bool,
    transport: str,
    words_: list[str],
    file: Path,
    ide: StartIde,
    run: StartRun,
) -> None:
    """With a new token in any case; a review is offered again, and the call that waits for it gets its answer."""
    window = ide("--transport", transport)
    async with agent(run(*words_).address) as ann:
        assert await is_answered(ann)
        proposed = await ann.propose(file, "new\n")
        await until(window, "diff", path=str(file))
        end(window)
        again = ide("--transport", transport, "--port", str(window.port if same_port else 0))
        await until(again, "diff", path=str(file))
        assert await is_answered(ann)
        again.do("accept")
        assert words(await soon(proposed)) == ("FILE_SAVED", "new\n")
        assert await ann.close_tab() == ("TAB_CLOSED",)
        assert (ann.lost, ann.strays) == (False, [])


async def test_a_dropped_connection_is_opened_again(file: Path, ide: StartIde, run: StartRun) -> None:
    """An extension host that reloads keeps its tabs: the answer to the old diff still counts."""
    window = ide()
    async with agent(run().address) as ann:
        proposed = await ann.propose(file, "new\n")
        await until(window, "diff")
        window.do("drop")
        window.do('edit "mine\\n"')
        assert words(await soon(proposed)) == ("FILE_SAVED", "mine\n")
        assert await is_answered(ann)
        assert ann.strays == []


@FRONTS
async def test_a_call_in_flight_is_made_again_on_the_ide_that_is_there(
    words_: list[str], ide: StartIde, run: StartRun, workspace: Path
) -> None:
    sound = ide()
    mute = ide("--fault", "hang-calls")  # the newer one, so it is asked first
    async with agent(run(*words_).address) as ann:
        await ann.until_offered("getWorkspaceFolders")
        asked = await ann.start("getWorkspaceFolders")
        await until(mute, "call", tool="getWorkspaceFolders")
        mute.kill()
        assert folders(await soon(asked)) == [str(workspace)]
        await until(sound, "call", tool="getWorkspaceFolders")


async def test_a_call_in_flight_is_refused_when_there_is_no_ide_left(ide: StartIde, run: StartRun) -> None:
    window = ide("--fault", "hang-calls")
    async with agent(run().address) as ann:
        await ann.until_offered("getDiagnostics")
        asked = await ann.start("getDiagnostics")
        await until(window, "call", tool="getDiagnostics")
        window.kill()
        answer = await soon(asked)
        assert words(answer) == UNAVAILABLE
        assert "Visual Studio Code went away" in answer["result"]["content"][0]["text"]


async def test_a_call_that_is_not_answered_has_a_deadline_and_holds_up_nobody(ide: StartIde, run: StartRun) -> None:
    window = ide("--fault", "hang-calls")
    door = run().address
    async with agent(door) as ann, agent(door) as bob:
        await ann.until_offered("getDiagnostics")
        asked = await ann.start("getDiagnostics")
        await until(window, "call", tool="getDiagnostics")
        assert await bob.begin_turn() == ("CLOSED_0_DIFF_TABS",)
        assert (await ann.answer("ping"))["result"] == {}
        assert not asked.done()
        answer = await soon(asked)
        assert words(answer) == UNAVAILABLE
        assert "did not answer getDiagnostics in time" in answer["result"]["content"][0]["text"]


async def test_with_no_ide_left_tools_answer_what_needs_none_and_say_so(
    file: Path, ide: StartIde, run: StartRun, client: Client
) -> None:
    window = ide()
    async with agent(run().address) as ann:
        assert "openFile" in await ann.tools()
        quit_(window)
        assert await ann.tools() == OWN_TOOLS
        for tool, arguments in [("openFile", {"filePath": str(file)}), ("getCurrentSelection", {})]:
            answer = await ann.call(tool, **arguments)
            assert words(answer) == UNAVAILABLE
            assert "no IDE" in answer["result"]["content"][0]["text"]
        proposed = await ann.propose(file, "new\n")
        review = await asyncio.to_thread(on_page, client)
        await asyncio.to_thread(decide_on_page, review, text="by hand\n")
        assert words(await soon(proposed)) == ("FILE_SAVED", "by hand\n")
        assert await ann.close_tab() == ("TAB_CLOSED",)
        assert await ann.begin_turn() == ("CLOSED_0_DIFF_TABS",)


async def test_the_tools_change_with_the_ide(ide: StartIde, run: StartRun) -> None:
    async with agent(run().address) as ann:
        assert await ann.tools() == OWN_TOOLS
        window = ide()
        await ann.told(TOOLS_CHANGED)
        assert len(await ann.tools()) == 11
        quit_(window)
        ide("--personality", "el")
        while set(await ann.tools()) != {*OWN_TOOLS, "openFile", "getDiagnostics"}:
            await ann.told(TOOLS_CHANGED)


async def test_an_agent_hears_what_the_next_ide_says(file: Path, ide: StartIde, run: StartRun) -> None:
    window = ide()
    async with agent(run().address) as ann:
        await ann.until_offered("openFile")
        window.do(f"select {file}")
        await ann.told("selection_changed")
        window.kill()
        again = ide()
        await until(again, "connected")  # nobody asked for anything: it is followed
        assert await is_answered(ann)
        again.do(f"select {file}")
        assert (await ann.told("selection_changed"))["filePath"] == str(file)


# ---- the agent ends


@FRONTS
async def test_an_agent_that_comes_back_joins_its_review(
    words_: list[str], file: Path, ide: StartIde, run: StartRun, client: Client
) -> None:
    window, door = ide(), run(*words_).address
    async with agent(door) as ann:
        await ann.propose(file, "new\n")
        await until(window, "diff")
    async with agent(door) as ann:
        proposed = await ann.propose(file, "new\n", "another tab")
        await ann.tools()  # it has joined by now
        window.do("accept")
        assert words(await soon(proposed)) == ("FILE_SAVED", "new\n")
    assert [event["event"] for event in window.events].count("diff") == 1
    assert [review["outcome"] for review in reviews(client)] == ["accepted"]


async def test_a_decision_that_was_not_taken_is_taken_once(
    file: Path, ide: StartIde, run: StartRun, client: Client
) -> None:
    window, door = ide(), run().address
    async with agent(door) as ann:
        await ann.propose(file, "new\n")
        await until(window, "diff")
    window.do('edit "mine\\n"')
    await until(window, "call", tool="close_tab")  # the decision is on disk
    async with agent(door) as ann:
        assert words(await soon(await ann.propose(file, "new\n"))) == ("FILE_SAVED", "mine\n")
        assert [event["event"] for event in window.events].count("diff") == 1
        await ann.close_tab()  # it has written the file, which holds what it did
        proposed = await ann.propose(file, "new\n")
        await until(window, "diff")  # the human is asked anew
        window.do("reject")
        assert words(await soon(proposed)) == ("DIFF_REJECTED", "tab")
    assert sorted(review["outcome"] for review in reviews(client)) == ["accepted_with_edits", "rejected"]


async def test_closing_the_tab_of_an_undecided_review_cancels_it(
    file: Path, ide: StartIde, run: StartRun, client: Client
) -> None:
    window = ide()
    async with agent(run().address) as ann:
        proposed = await ann.propose(file, "new\n")
        shown = await until(window, "diff")
        assert await ann.close_tab() == ("TAB_CLOSED",)
        answer = await soon(proposed)
        assert (words(answer), outcome(answer)) == (("DIFF_REJECTED", "tab"), "cancelled")
        await until(window, "decided", tab_name=shown["tab_name"])
    assert [(review["outcome"], review["state"]) for review in reviews(client)] == [("cancelled", "cancelled")]


async def test_an_agent_that_is_killed_leaves_its_review(
    file: Path, ide: StartIde, run: StartRun, client: Client, started: list[Any]
) -> None:
    """Its review stays where it is; `bridge run` goes, and its lock file with it."""
    window, terminal = ide(), run()
    lock = Path(os.environ["HOME"], ".claude", "ide", f"{terminal.address.port}.lock")
    async with agent(terminal.address) as ann:
        await ann.propose(file, "new\n")
        await until(window, "diff")
        terminal.close()
        await ann.ended()
    assert not lock.exists()
    assert [review["state"] for review in reviews(client)] == ["shown"]
    async with agent(run().address) as ann:
        proposed = await ann.propose(file, "new\n")
        await ann.tools()
        window.do("accept")
        assert words(await soon(proposed)) == ("FILE_SAVED", "new\n")


# ---- the bridge ends


@FRONTS
async def test_a_bridge_that_is_killed_is_the_same_ide_again(
    words_: list[str], file: Path, ide: StartIde, run: StartRun
) -> None:
    """At the same port; the agent comes back as it would to any IDE, and joins its review."""
    window, terminal = ide(), run(*words_)
    before = terminal.address
    async with agent(before) as ann:
        await ann.propose(file, "new\n")
        await until(window, "diff")
        kill_daemon()
        await ann.ended()
    after = await asyncio.to_thread(terminal.found_again, before)
    async with agent(after) as ann:
        proposed = await ann.propose(file, "new\n")
        await until(window, "diff")  # an IDE that still showed the old one is shown it anew
        window.do("accept")
        assert words(await soon(proposed)) == ("FILE_SAVED", "new\n")


async def test_a_published_bridge_that_is_killed_is_published_again(
    workspace: Path, file: Path, ide: StartIde, client: Client
) -> None:
    """By the next daemon, whoever starts it; at the same port."""
    ide()
    (door,) = client.request("publish/set", {"on": True, "transport": "sse"})["published"]
    before = read_lock(Path(door["lock"]))
    kill_daemon()
    assert bridge("up", cwd=workspace).returncode == 0
    await asyncio.to_thread(until_status, client, lambda said: bool(said["published"]))
    after = read_lock(Path(door["lock"]))
    assert (after.port, after.transport, after.token == before.token) == (before.port, "sse", False)
    async with agent(after) as ann:
        assert words(await ann.call("openFile", filePath=str(file)))[0].startswith("Opened")
