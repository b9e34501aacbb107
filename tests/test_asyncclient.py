"""The asyncio client: against daemons of the test's own making, and the real one where it matters."""

from __future__ import annotations

import asyncio
import inspect
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridge as package
from bridge import AsyncClient, Client
from bridge.asyncclient import _Line
from bridge.client import Stopped
from bridge.connection import Daemon, Silent
from bridge.core.desk import MOST_WAITERS
from bridge.errors import StillPending, Unavailable, Usage
from tests.e2e.support import PATIENCE_S, Ide, bridge, everything_ends, kill_daemon
from tests.fakedaemon import FakeDaemon, Say, breaks, in_turn, refuses
from tests.test_asking import METHODS

DECISION = {"id": "r1", "outcome": "accepted", "files": []}


@pytest.fixture
async def client(home: Path) -> AsyncIterator[AsyncClient]:
    """A client of a daemon that runs already."""
    async with AsyncClient(name="me", cwd="/w", spawn=False) as client:
        yield client


@pytest.fixture
def started() -> Iterator[list[Any]]:
    things: list[Any] = []
    with everything_ends(things):
        yield things


@pytest.fixture
async def real(home: Path, started: list[Any]) -> AsyncIterator[AsyncClient]:
    """A client of the real daemon, in a directory with a file."""
    folder = home / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("a\n", encoding="utf-8")
    async with AsyncClient(name="me", cwd=str(folder)) as client:
        yield client


async def until(told: asyncio.Queue[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """Wait to be told something with these facts."""
    async with asyncio.timeout(PATIENCE_S):
        while not facts.items() <= (news := await told.get()).items():
            pass
    return news


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
async def test_what_comes_behind_the_hello_is_read_before_what_follows(cut: int) -> None:
    told = b'{"method":"event","params":{"type":"review","id":"r1"}}\n{"method":"event","params":{"type":"locks"}}\n'
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(told[cut:])
        line = _Line(Daemon({}), told[:cut])
        with line.listening() as ear:
            await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=ours)
            async with asyncio.timeout(PATIENCE_S):
                assert [(await ear.next())["type"] for _ in range(2)] == ["review", "locks"]
        line.end(ConnectionError())
        await line.gone.wait()


# ---- what it is


def test_it_has_the_methods_of_the_blocking_client() -> None:
    assert len(METHODS) >= 7
    for name in METHODS:
        mine, theirs = getattr(AsyncClient, name), getattr(Client, name)
        assert inspect.iscoroutinefunction(mine)
        assert (mine.__doc__, inspect.signature(mine)) == (theirs.__doc__, inspect.signature(theirs))
    assert inspect.signature(AsyncClient.wait) == inspect.signature(Client.wait)


def test_importing_the_package_loads_no_client() -> None:
    script = "import bridge, sys; print([name for name in sys.modules if name.startswith(('bridge.', 'asyncio'))])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"
    assert set(package.__all__) == {"AsyncClient", "Client", "__version__"}
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018


# ---- against a script


async def test_every_call_is_one_request(daemon: FakeDaemon, client: AsyncClient) -> None:
    daemon.answers |= {
        "open": lambda asked, say: {"port": 1},
        "dirty": lambda asked, say: {"dirty": True},
        "review/propose": lambda asked, say: {"id": "r1"},
        "review/delivered": lambda asked, say: {},
    }
    assert await client.open_file("a", 3) == {"port": 1}
    assert await client.is_dirty("a") is True
    assert await client.propose("a", "x", request_key="k") == "r1"
    assert await client.propose_files([{"path": "a", "proposed": "x"}], request_key="k") == "r1"
    await client.delivered("r1")
    assert daemon.methods() == ["hello", "open", "dirty", "review/propose", "review/propose", "review/delivered"]


async def test_a_refusal_is_the_exception_that_it_was(daemon: FakeDaemon, client: AsyncClient) -> None:
    daemon.answers |= {"status": refuses("usage", "no"), "hello": in_turn(refuses("usage", "who?"), lambda a, s: {})}
    with pytest.raises(Usage, match="who"):
        await client.status()
    with pytest.raises(Usage, match="no"):
        await client.status()
    assert daemon.methods() == ["hello", "hello", "status"]


async def test_without_a_daemon_there_is_advice(client: AsyncClient) -> None:
    with pytest.raises(Unavailable, match="not running"):
        await client.status()


async def test_a_daemon_that_goes_away_is_told_and_what_may_be_asked_again_is(
    daemon: FakeDaemon, client: AsyncClient
) -> None:
    daemon.answers["open"] = in_turn(breaks, lambda asked, say: {})
    daemon.answers["review/propose"] = in_turn(breaks, lambda asked, say: {"id": "r1"})
    with pytest.raises(Unavailable, match="went away"):
        await client.open_file("a")
    assert await client.open_file("a") == {}
    assert await client.propose("a", "x") == "r1"


async def test_a_daemon_that_does_not_answer_is_given_up(daemon: FakeDaemon, client: AsyncClient) -> None:
    released = threading.Event()
    daemon.answers["status"] = lambda asked, say: {"late": released.wait(PATIENCE_S)}
    daemon.answers["request/cancel"] = lambda asked, say: {}
    daemon.answers["dirty"] = lambda asked, say: {"dirty": None}
    try:
        with pytest.raises(Silent, match="does not answer status"):
            await client.request("status", timeout=0.05)
    finally:
        released.set()
    assert await client.is_dirty("a") is None  # the late answer is nobody's


async def test_waiting_goes_on_with_the_next_daemon(daemon: FakeDaemon, client: AsyncClient) -> None:
    def restarts(asked: dict[str, Any], say: Say) -> Any:
        say({"method": "daemon/stopping", "params": {"restart": True}})
        return breaks()

    daemon.answers["review/wait"] = in_turn(breaks, restarts, lambda asked, say: DECISION)
    assert await client.wait("r1", PATIENCE_S) == DECISION
    assert daemon.methods() == ["hello", "review/wait"] * 3


async def test_waiting_ends_when_every_daemon_dies_at_once_or_it_is_time(
    daemon: FakeDaemon, client: AsyncClient
) -> None:
    daemon.answers["review/wait"] = breaks
    with pytest.raises(Unavailable, match="again and again"):
        await client.wait("r1")
    with pytest.raises(StillPending):
        await client.wait("r1", 0)


async def test_what_the_asker_does_with_news_is_the_asker_s_fault(daemon: FakeDaemon, client: AsyncClient) -> None:
    def answer(asked: dict[str, Any], say: Say) -> Any:
        say({"method": "review/surface", "params": {"id": "r1", "surface": "page"}})
        return DECISION

    daemon.answers |= {"review/wait": answer, "request/cancel": lambda asked, say: {}}
    with pytest.raises(ZeroDivisionError):
        await client.wait("r1", on_surface=_fail)
    told: list[dict[str, Any]] = []
    assert await client.wait("r1", on_surface=told.append) == DECISION
    assert told == [{"id": "r1", "surface": "page"}]


def _fail(news: dict[str, Any]) -> None:
    raise ZeroDivisionError


async def test_long_answers_and_answers_in_pieces_are_whole(daemon: FakeDaemon, client: AsyncClient) -> None:
    text = "x\u00e4\U0001f600" * 300_000

    def in_pieces(asked: dict[str, Any], say: Say) -> Any:
        for piece in (b'{"method":"n","par', b'ams":{}}', b"\n"):
            say(piece)
        return {"text": text}

    daemon.answers["status"] = in_pieces
    assert await client.status() == {"text": text}


async def test_who_closes_it_ends_what_waits(daemon: FakeDaemon, client: AsyncClient) -> None:
    waits = threading.Event()
    released = threading.Event()

    def answer(asked: dict[str, Any], say: Say) -> Any:
        waits.set()
        released.wait(PATIENCE_S)
        return breaks()

    daemon.answers["status"] = answer
    async with asyncio.TaskGroup() as tasks:
        asking_ = tasks.create_task(_error_of(client))
        await asyncio.to_thread(waits.wait, PATIENCE_S)
        await client.close()
    released.set()
    assert "this client was closed" in asking_.result()


async def _error_of(client: AsyncClient) -> str:
    with pytest.raises(Unavailable) as caught:
        await client.status()
    return caught.value.message


# ---- the real one


async def test_many_requests_share_one_connection_and_start_one_daemon(real: AsyncClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(real.status()) for _ in range(20)]
    assert {answer.result()["daemon"]["pid"] for answer in answers} == {real.daemon_pid}
    review = await real.propose("a.txt", "b\n", surface="page")
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(real.wait(review)) for _ in range(3)]
        assert await real.is_dirty("a.txt") is None
        await real.cancel(review)
    assert {decision.result()["outcome"] for decision in waiting} == {"cancelled"}
    with pytest.raises(StillPending):
        await real.wait(await real.propose("a.txt", "c\n", surface="page"), 0.01)


async def test_a_task_that_is_cancelled_takes_its_request_back(real: AsyncClient) -> None:
    review = await real.propose("a.txt", "b\n", surface="page")
    for _ in range(MOST_WAITERS + 5):  # more than may wait at a time
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        waiting = asyncio.ensure_future(real.wait(review, on_surface=told.put_nowait))
        await until(told, surface="page")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.TaskGroup() as tasks:
        decision = tasks.create_task(real.wait(review))
        await real.cancel(review)
    assert decision.result()["outcome"] == "cancelled"


async def test_who_is_cancelled_while_the_daemon_starts_leaves_nothing_behind(real: AsyncClient) -> None:
    first = asyncio.ensure_future(real.status())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await real.status())["reviews"] == []


async def test_a_wait_outlives_the_daemon(real: AsyncClient) -> None:
    review = await real.propose("a.txt", "b\n", surface="page")
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(real.wait(review, on_surface=told.put_nowait))
        await until(told, surface="page")
        killed = await asyncio.to_thread(kill_daemon)
        await until(told, surface="page")
        await real.cancel(review)
    assert waiting.result()["outcome"] == "cancelled"
    assert killed != real.daemon_pid


async def test_events_tell_what_happens_in_the_daemon(real: AsyncClient, started: list[Any], home: Path) -> None:
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen() -> None:
        async for event in real.events():
            heard.put_nowait(event)

    await real.status()
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen())
        await until(heard, type="missed")
        review = await real.propose("a.txt", "b\n", surface="page")
        proposed = await until(heard, type="review")
        assert proposed == {
            **{"type": "review", "id": review, "state": "proposed", "outcome": None},
            **{"surface": "page", "ide": None},
        }
        await real.cancel(review)
        await until(heard, id=review, state="cancelled", outcome="cancelled")

        started.append(ide := await asyncio.to_thread(Ide, home / "work"))
        await until(heard, type="locks")
        other = await real.propose("a.txt", "c\n")
        name = (await real.status())["ides"][0]["name"]
        both = {"link": "live", "review": "shown"}  # in either order
        async with asyncio.timeout(PATIENCE_S):
            while both:
                event = await heard.get()
                if both.get(event["type"]) == event["state"]:
                    assert (event["ide"], event.get("port", ide.port)) == (name, ide.port)
                    del both[event["type"]]

        await asyncio.to_thread(kill_daemon)
        await until(heard, type="missed")
        (now,) = (await real.status())["reviews"]
        if now["where"] != "ide":  # else the next daemon was quicker than we
            await until(heard, id=other, surface="ide")
        listening.cancel()


async def test_events_end_when_the_user_stops_the_daemon(real: AsyncClient, home: Path) -> None:
    await real.status()
    events = real.events()
    assert await anext(events) == {"type": "missed"}
    assert (await asyncio.to_thread(bridge, "down", cwd=home)).returncode == 0
    with pytest.raises(Stopped):
        await anext(events)


def test_another_event_loop_will_do(home: Path, started: list[Any]) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def story() -> int | None:
        async with asyncio.timeout(PATIENCE_S), AsyncClient(cwd=str(home)) as client:
            assert (await client.status())["reviews"] == []
            return client.daemon_pid

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story())
