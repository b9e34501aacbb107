"""What answers the MCP tools' calls, with everything real around it but the process and the protocol."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.agents.mcp import Exchange
from bridge.core.events import SessionId
from bridge.core.reviewreports import ReviewReport
from bridge.core.reviews import State
from bridge.core.toolanswers import Answer
from bridge.core.toolbox import TOOLS
from bridge.daemon import mcpasker, mcphttp, toolcalls
from bridge.daemon.mcp import McpFront
from bridge.daemon.mcphttp import McpHttp, read_token
from bridge.daemon.toolcalls import McpStand
from bridge.errors import BadData, Conflict, NotTrusted, Unavailable, Usage
from bridge.listening import listen
from bridge.store.journal import JournalThread
from tests.daemon.test_engine import PATIENCE_S, House

PROPOSED = {"files": [{"path": "a.txt", "content": "a\nB\n"}]}


@pytest.fixture
def workspace(home: Path) -> Path:
    path = home / "work"
    path.mkdir()
    (path / "a.txt").write_text("a\nb\n", encoding="utf-8")
    return path


class Caller:
    """An agent, and what it hears."""

    def __init__(self, agent: Any, name: str = "ann") -> None:
        self.agent = agent
        self.progress: asyncio.Queue[tuple[float, float, str]] = asyncio.Queue()
        self.sent: list[Callable[[], None]] = []
        self._name = name

    async def _told(self, progress: float, total: float, words: str) -> None:
        self.progress.put_nowait((progress, total, words))

    async def ask(self, tool: str, **arguments: Any) -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            answer: Answer = await self.agent.call(tool, arguments, Exchange(self._name, self._told, self.sent.append))
        return answer

    async def report(self, tool: str, **arguments: Any) -> ReviewReport:
        data = (await self.ask(tool, **arguments)).data
        assert isinstance(data, ReviewReport)
        return data

    def begin(self, tool: str, **arguments: Any) -> asyncio.Future[Answer]:
        return asyncio.ensure_future(self.ask(tool, **arguments))

    async def heard(self) -> tuple[float, float, str]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.progress.get()


class McpHouse(House):
    """A house with agents that speak MCP."""

    def __init__(self, tasks: asyncio.TaskGroup, home: Path, workspace: Path, journal: JournalThread) -> None:
        super().__init__(tasks, home, workspace, journal)
        self.tasks = tasks
        self.front = McpFront(tasks, self.engine, self.lookout, self.pages)
        self.pages_led_to: list[str] = []

    def caller(self, stand: McpStand | None = None) -> Caller:
        number = SessionId(next(self.agents))
        agent = self.front.agent(number, stand or McpStand(str(self.workspace)), self.pages_led_to.append)
        self.engine.joined(agent)
        return Caller(agent)

    async def decide(self, review_id: str, *finals: str) -> None:
        """Decide as the human does on the page."""
        async with asyncio.timeout(PATIENCE_S):
            await self.pages.decide(review_id, 0, finals or None, ())

    async def delivered(self, review_id: str) -> None:
        """Wait until it is noted that the agent knows the decision."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.on_disk(review_id)).state is not State.DELIVERED:
                pass


@pytest.fixture
async def house(home: Path, workspace: Path, journal: JournalThread) -> AsyncIterator[McpHouse]:
    async with asyncio.TaskGroup() as tasks:
        house = McpHouse(tasks, home, workspace, journal)
        yield house
        await house.pages.stop()
        house.engine.stop()


def waiters(house: House, review_id: str) -> int:
    return len(house.engine.router.desk.seats[review_id].waiters)


async def test_a_proposal_is_told_where_it_is_at_once_and_then_now_and_again(
    house: McpHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcpasker, "PROGRESS_S", 0.01)
    ann = house.caller()
    proposing = ann.begin("propose_changes", **PROPOSED)
    first, total, words = await ann.heard()
    assert (total, "on the review page" in words) == (45.0, True)
    second, _, again = await ann.heard()
    assert (second > first, again) == (True, words)  # progress must grow, says the protocol
    (review_id,) = house.engine.router.desk.seats
    await house.decide(review_id, "a\nB\n")
    answer = await proposing
    assert "accepted" in answer.text
    assert (await house.on_disk(review_id)).agent == "ann"


async def test_what_is_decided_is_delivered_when_the_answer_has_left(house: McpHouse) -> None:
    ann = house.caller()
    review_id = (await ann.report("propose_changes", **PROPOSED, wait_ms=1)).review_id
    assert ann.sent == []  # nothing is decided
    await house.decide(review_id, "a\nB\n")
    assert (await ann.report("get_review", review_id=review_id)).status == "accepted"
    assert (await house.on_disk(review_id)).state is State.DECIDED
    (then,) = ann.sent
    then()
    await house.delivered(review_id)


async def test_a_decision_that_was_not_taken_is_told_to_who_asks_again(house: McpHouse) -> None:
    ann = house.caller()
    review_id = (await ann.report("propose_changes", **PROPOSED, wait_ms=1)).review_id
    await house.decide(review_id)
    again = await ann.report("propose_changes", **PROPOSED)
    assert (again.review_id, again.status, again.write) == (review_id, "rejected", "nothing")
    for then in ann.sent:
        then()
    await house.delivered(review_id)
    anew = await ann.report("propose_changes", **PROPOSED, wait_ms=1)
    assert (anew.review_id != review_id, anew.status) == (True, "pending")
    # An agent that named its proposal asks for that one.
    named = await ann.report("propose_changes", **PROPOSED, request_key="k", wait_ms=1)
    await house.decide(named.review_id)
    told = await ann.report("propose_changes", **PROPOSED, request_key="k")
    assert (told.review_id, told.status) == (named.review_id, "rejected")
    with pytest.raises(Conflict, match="names another change"):
        await ann.ask("propose_changes", files=[{"path": "a.txt", "content": "x"}], request_key="k")


async def test_a_call_that_is_taken_back_waits_no_more_and_the_review_stays(house: McpHouse) -> None:
    ann = house.caller()
    proposing = ann.begin("propose_changes", **PROPOSED)
    await ann.heard()
    (review_id,) = house.engine.router.desk.seats
    assert waiters(house, review_id) == 2  # the call, and the agent as long as it is here
    proposing.cancel()
    await asyncio.wait([proposing])
    assert waiters(house, review_id) == 1
    house.engine.left(ann.agent)
    assert waiters(house, review_id) == 0
    assert house.engine.router.desk.seats[review_id].review.is_open


async def test_a_page_is_led_to_once_by_whoever_proposed(house: McpHouse) -> None:
    ann, bob = house.caller(), house.caller()
    review_id = (await ann.report("propose_changes", **PROPOSED, wait_ms=1)).review_id
    await ann.report("get_review", review_id=review_id, wait_ms=1)
    await bob.report("get_review", review_id=review_id, wait_ms=1)
    assert house.pages_led_to == [review_id]
    assert (await ann.report("cancel_review", review_id=review_id)).status == "cancelled"
    for name in ("_where", "_stays", "_led", "_moves", "_waiting", "_watchers"):
        assert not getattr(ann.agent, name), name  # nothing is kept of what is over
        assert not getattr(bob.agent, name), name


async def test_several_files_are_one_review_and_new_directories_are_the_agents_to_make(house: McpHouse) -> None:
    ann = house.caller()
    files = [*PROPOSED["files"], {"path": "new/b.txt", "content": "b\n"}]
    report = await ann.report("propose_changes", files=files, wait_ms=1)
    assert [(os.path.basename(file.path), file.is_new) for file in report.files] == [("a.txt", False), ("b.txt", True)]
    same = await ann.report("propose_changes", files=files, wait_ms=1)
    assert same.review_id == report.review_id
    newer = await ann.report("propose_changes", **PROPOSED, wait_ms=1, supersedes=report.review_id)
    assert (await ann.report("get_review", review_id=report.review_id)).status == "superseded"
    assert newer.status == "pending"


# (tool, arguments, what is raised, what it says)
REFUSED: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("open_file", {"path": "missing"}, BadData, "No such file"),
    ("open_file", {"path": "a\0"}, Usage, "NUL"),
    ("open_file", {"path": "\ud800"}, Usage, "half a character"),
    ("open_file", {"path": "a.txt", "workspace": "work"}, Usage, "not an absolute path"),
    ("open_file", {"path": "a.txt"}, Unavailable, "no IDE can be used here"),
    ("get_selection", {"workspace": "/nowhere/at/all"}, Unavailable, "no IDE can be used here"),
    ("list_ides", {"workspace": "/w\0"}, Usage, "NUL"),
    ("propose_changes", {"files": [{"path": "/", "content": "x"}]}, BadData, "is a directory"),
    ("get_selection", {}, Unavailable, "no IDE can be used here"),
    ("get_diagnostics", {"path": "missing"}, BadData, "No such file"),
    ("propose_changes", {"files": [{"path": "a.txt", "content": "a\nb\n"}]}, BadData, "nothing would change"),
    ("propose_changes", {"files": [{"path": "a.txt", "content": "\0"}]}, BadData, "binary"),
    ("propose_changes", {"files": [{"path": "a.txt", "content": "x"}] * 2}, Usage, "twice"),
    ("propose_changes", {"files": [{"path": "", "content": "x"}]}, Usage, "wrong arguments"),
    ("get_review", {"review_id": "nobody"}, Unavailable, "there is no review nobody"),
    ("get_review", {"review_id": "nobody", "wait_ms": 1000}, Unavailable, "there is no review nobody"),
    ("cancel_review", {"review_id": "nobody"}, Unavailable, "there is no review nobody"),
]


@pytest.mark.parametrize(("tool", "arguments", "kind", "words"), REFUSED)
async def test_what_cannot_be_done_is_said(
    house: McpHouse, tool: str, arguments: dict[str, Any], kind: type[Exception], words: str
) -> None:
    ann = house.caller()
    with pytest.raises(kind, match=words):
        await ann.ask(tool, **arguments)
    assert not ann.agent._waiting


async def test_relative_paths_count_from_the_workspace(house: McpHouse, workspace: Path) -> None:
    elsewhere = house.caller(McpStand("/", nowhere=True))
    with pytest.raises(Usage, match="counts from nowhere"):
        await elsewhere.ask("propose_changes", **PROPOSED)
    report = await elsewhere.report("propose_changes", **PROPOSED, workspace=f"{workspace}/", wait_ms=1)
    assert report.files[0].path == str(workspace / "a.txt")
    assert (await elsewhere.ask("list_ides")).text == "No IDE is running. Reviews are shown in the browser."


@pytest.mark.parametrize("tool", ["get_selection", "get_open_editors", "get_diagnostics"])
async def test_no_window_is_guessed_for_who_stands_in_no_directory(house: McpHouse, workspace: Path, tool: str) -> None:
    """It would be the newest one, of whatever project."""
    elsewhere = house.caller(McpStand("/", nowhere=True))
    with pytest.raises(Usage, match="which window is meant is not known"):
        await elsewhere.ask(tool)
    for named in ({"workspace": str(workspace)}, {"ide": "code"}):
        with pytest.raises(Unavailable, match="no IDE"):
            await elsewhere.ask(tool, **named)


async def test_an_agent_that_calls_without_end_is_refused_and_others_are_not(
    house: McpHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolcalls, "MOST_CALLS", 2)
    ann, bob = house.caller(), house.caller()
    begun = [ann.begin("propose_changes", **PROPOSED, request_key=str(n)) for n in range(2)]
    for _ in begun:
        await ann.heard()
    with pytest.raises(Unavailable, match="2 calls are not answered yet"):
        await ann.ask("list_ides")
    await bob.ask("list_ides")
    for one in begun:
        one.cancel()
    await asyncio.wait(begun)
    await ann.ask("list_ides")


async def test_every_tool_is_answered_and_none_decides(house: McpHouse) -> None:
    assert list(house.caller().agent._tools) == list(TOOLS)


# ---- over HTTP


@asynccontextmanager
async def over_http(house: McpHouse, home: Path) -> AsyncIterator[tuple[McpHttp, list[str]]]:
    with listen(0) as free:
        port = free.getsockname()[1]
    warnings: list[str] = []
    served = McpHttp(house.tasks, house.engine, house.front, port, str(home / "mcp.token"), warnings.append)
    served.start()
    try:
        yield served, warnings
    finally:
        await served.stop()


async def test_a_call_over_http_is_a_session_and_too_many_are_refused(
    house: McpHouse, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcphttp, "MOST_CALLS", 1)
    async with over_http(house, home) as (served, warnings):
        assert served.address is not None
        assert warnings == []
        before = house.engine.sessions
        ann = Caller(served)
        proposing = ann.begin("propose_changes", **PROPOSED, workspace=str(house.workspace))
        await ann.heard()
        assert house.engine.sessions == before + 1
        with pytest.raises(Unavailable, match="1 calls are not answered yet"):
            await ann.ask("list_ides")
        proposing.cancel()
        await asyncio.wait([proposing])
        assert house.engine.sessions == before
        await ann.ask("list_ides")
    assert served.address is None


def test_the_token_is_kept_and_is_this_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "mcp.token"
    token = read_token(str(path))
    assert len(token) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_token(str(path)) == token
    path.chmod(0o640)
    with pytest.raises(NotTrusted, match="not this user's alone"):
        read_token(str(path))
    path.chmod(0o600)
    path.write_text("short\n", encoding="ascii")
    with pytest.raises(NotTrusted, match="holds no token"):
        read_token(str(path))
