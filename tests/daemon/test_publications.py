"""Publications in a house of the test's own: real ports, lock files, processes and journal."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lockfile import Transport
from bridge.daemon import publications
from bridge.daemon.publications import Publications
from bridge.errors import Unavailable, Usage
from bridge.listening import listen
from bridge.store.journal import Journal, JournalThread
from ide_plugins.emulator import Emulator
from tests.agents.fronts import until
from tests.agents.rawclient import Raw
from tests.daemon.posing import Agent, Posing, Starter, posing

PATIENCE_S = 20.0
WS, SSE = Transport.WEBSOCKET, Transport.SSE


@pytest.fixture
def workspace(home: Path) -> Path:
    path = home / "work"
    path.mkdir()
    return path


@pytest.fixture
async def here(home: Path, workspace: Path, journal: JournalThread) -> AsyncIterator[Posing]:
    async with posing(home, workspace, journal) as here:
        yield here


@pytest.fixture
def session(workspace: Path) -> Any:
    return Starter(workspace)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends when it is told to, as the child of ``bridge run``."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def locks(home: Path) -> list[str]:
    directory = home / ".claude" / "ide"
    return sorted(os.listdir(directory)) if directory.exists() else []


def is_free(port: int) -> bool:
    try:
        listen(port).close()
    except OSError:
        return False
    return True


async def test_the_lock_file_of_a_child_matches_no_other_agent(here: Posing, session: Any, home: Path) -> None:
    one = await here.publications.for_child(session, WS, 0)
    two = await here.publications.for_child(session, SSE, 0)
    assert locks(home) == sorted(f"{one.port}.lock" for one in (one, two))
    said = [json.loads(Path(one.lock).read_text(encoding="utf-8")) for one in (one, two)]
    folders = [folder for lock in said for folder in lock["workspaceFolders"]]
    assert len(set(folders)) == 2
    assert not any(os.path.exists(folder) or os.path.exists(os.path.dirname(folder)) for folder in folders)
    assert [lock["transport"] for lock in said] == ["ws", "sse"]
    assert len({lock["authToken"] for lock in said}) == 2
    assert all(len(lock["authToken"]) >= 43 for lock in said)  # 256 bits
    assert said[0]["authToken"] not in repr(one)
    assert not any(lock["authToken"] in json.dumps(here.publications.rows()) for lock in said)


async def test_it_lasts_as_long_as_the_child_whoever_started_it(
    here: Posing, session: Any, home: Path, child: subprocess.Popen[bytes]
) -> None:
    one = await here.publications.for_child(session, WS, 0)
    here.publications.watch(session, one.port, child.pid)
    agent = await Agent.of(one)
    await here.publications.left(session)
    assert (await agent.ask(1, "ping"))["result"] == {}
    assert locks(home) == [f"{one.port}.lock"]
    said = json.loads(Path(one.lock).read_text(encoding="utf-8"))
    assert (said["pid"], said["authToken"]) == (child.pid, one.token)  # who started it may be dead
    (row,) = here.publications.rows()
    assert (row["pid"], row["agents"], row["everywhere"]) == (child.pid, 1, False)
    child.communicate(b"\n", timeout=PATIENCE_S)
    await agent.raw.closed()
    await until(lambda: is_free(one.port))
    assert locks(home) == []
    assert here.publications.rows() == []


async def test_without_a_child_it_goes_with_the_session(here: Posing, session: Any, home: Path) -> None:
    one = await here.publications.for_child(session, WS, 0)
    await here.publications.left(Starter(home))  # type: ignore[arg-type]  # another one
    assert locks(home) == [f"{one.port}.lock"]
    await here.publications.left(session)
    assert locks(home) == []
    assert is_free(one.port)


async def test_a_child_that_has_ended_already_ends_it(here: Posing, session: Any, home: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(PATIENCE_S)
    for pid in (gone.pid, 2**70):
        one = await here.publications.for_child(session, WS, 0)
        here.publications.watch(session, one.port, pid)
        await until(lambda: not here.publications.ports)
        assert locks(home) == []


async def test_a_child_is_named_by_who_started_it_only(here: Posing, session: Any, workspace: Path) -> None:
    one = await here.publications.for_child(session, WS, 0)
    stranger: Any = Starter(workspace)
    for who, port in ((stranger, one.port), (session, 1)):
        with pytest.raises(Usage, match="is not published for this session"):
            here.publications.watch(who, port, os.getpid())
    await here.publications.for_everybody(True, WS, {})
    (everybody,) = (one for one in here.publications._all.values() if one.everywhere)
    with pytest.raises(Usage):
        here.publications.watch(session, everybody.port, os.getpid())


async def test_the_port_of_the_last_time_is_taken_again_if_it_is_free(here: Posing, session: Any) -> None:
    one = await here.publications.for_child(session, WS, 0)
    agent = await Agent.of(one)
    await here.publications.left(session)
    await agent.raw.closed()  # its connection stays in TIME_WAIT
    again = await here.publications.for_child(session, SSE, one.port)
    assert again.port == one.port
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        elsewhere = await here.publications.for_child(session, WS, other.getsockname()[1])
        assert elsewhere.port != other.getsockname()[1]


async def test_the_lock_file_goes_where_the_terminal_s_agents_look(here: Posing, workspace: Path, home: Path) -> None:
    starter: Any = Starter(workspace, {"CLAUDE_CONFIG_DIR": str(home / "private")})
    one = await here.publications.for_child(starter, WS, 0)
    assert one.lock == str(home / "private" / "ide" / f"{one.port}.lock")
    assert locks(home) == []
    await here.publications.stop()
    assert os.listdir(home / "private" / "ide") == []


async def test_what_cannot_be_written_is_not_published(here: Posing, session: Any, home: Path) -> None:
    (home / ".claude").write_text("", encoding="utf-8")
    with pytest.raises(Unavailable, match="cannot write"):
        await here.publications.for_child(session, WS, 0)
    with pytest.raises(Unavailable, match="cannot write"):
        await here.publications.for_everybody(True, SSE, {})
    assert here.publications.rows() == []
    assert await here.house.journal.run(Journal.setting, "published for everybody") is None
    assert await here.house.journal.run(Journal.setting, "published") == []


class Full(JournalThread):
    """A journal that cannot be written once the disk is full."""

    full = False
    only = ""  # one setting, or all

    async def run(self, do: Any, *arguments: Any) -> Any:  # type: ignore[override]
        if self.full and do is Journal.set_setting and self.only in ("", arguments[0]):
            raise sqlite3.OperationalError("database or disk is full")
        return await super().run(do, *arguments)


async def test_a_full_disk_is_told_and_leaves_nothing_behind(
    home: Path, workspace: Path, tmp_path: Path, session: Any, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Full(str(tmp_path / "full.sqlite"))
    try:
        async with posing(home, workspace, journal) as here:
            one = await here.publications.for_child(session, WS, 0)
            journal.full = True
            for publish in (
                here.publications.for_child(session, SSE, 0),
                here.publications.for_everybody(True, WS, {}),
                here.publications.for_everybody(False, WS, {}),
            ):
                with pytest.raises(Unavailable, match="journal cannot be written"):
                    await publish
            assert locks(home) == [f"{one.port}.lock"]
            assert here.publications.ports == {one.port}
            journal.only = "published for everybody"
            with pytest.raises(Unavailable, match="journal cannot be written"):
                await here.publications.for_everybody(True, WS, {})
            assert here.publications.ports == {one.port}  # what would be forgotten is not promised
            await here.publications.left(session)  # what must go goes all the same
            assert locks(home) == []
            assert is_free(one.port)
    finally:
        journal.close()
    assert "a bug" not in caplog.text


async def test_no_more_than_a_bounded_number(here: Posing, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publications, "MOST", 2)
    for _ in range(2):
        await here.publications.for_child(session, WS, 0)
    with pytest.raises(Unavailable, match="2 agents have a bridge of their own"):
        await here.publications.for_child(session, WS, 0)
    await here.publications.left(session)
    await here.publications.for_child(session, WS, 0)


async def test_where_no_port_is_left_that_is_said(here: Posing, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(port: int) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(publications, "listen", none)
    with pytest.raises(Unavailable, match="no port can be listened on: Too many open files"):
        await here.publications.for_child(session, WS, 0)


# ---- for everybody


async def test_for_everybody_on_and_off(here: Posing, home: Path) -> None:
    await here.publications.for_everybody(True, WS, {})
    (row,) = here.publications.rows()
    said = json.loads(Path(row["lock"]).read_text(encoding="utf-8"))
    assert (row["everywhere"], row["pid"]) == (True, None)
    assert (said["workspaceFolders"], said["pid"]) == (["/"], os.getpid())
    await here.publications.for_everybody(False, WS, {})
    assert (here.publications.rows(), locks(home)) == ([], [])
    await here.publications.for_everybody(False, WS, {})
    assert is_free(row["port"])


async def test_on_again_changes_nothing_but_what_is_asked_for(here: Posing, home: Path, session: Any) -> None:
    await here.publications.for_child(session, WS, 0)
    await here.publications.for_everybody(True, WS, {})
    (one,) = (one for one in here.publications._all.values() if one.everywhere)
    agent = await Agent.of(one)
    await here.publications.for_everybody(True, WS, {})
    assert (await agent.ask(1, "ping"))["result"] == {}
    await here.publications.for_everybody(True, SSE, {})
    await agent.raw.closed()
    (two,) = (one for one in here.publications._all.values() if one.everywhere)
    assert two.front.transport == "sse"
    await here.publications.for_everybody(True, SSE, {"CLAUDE_CONFIG_DIR": str(home / "private")})
    assert len(os.listdir(home / "private" / "ide")) == 1
    assert len(here.publications.ports) == 2


async def test_many_at_once_leave_one(here: Posing, home: Path) -> None:
    wanted = [here.publications.for_everybody(on, kind, {}) for on in (True, False, True) for kind in (WS, SSE)]
    await asyncio.gather(*wanted)
    (row,) = here.publications.rows()
    assert row["transport"] == "sse"
    assert locks(home) == [os.path.basename(row["lock"])]


async def test_the_next_life_is_published_at_the_same_port(home: Path, workspace: Path, journal: JournalThread) -> None:
    private = {"CLAUDE_CONFIG_DIR": str(home / "private")}
    async with posing(home, workspace, journal) as here:
        await here.publications.for_everybody(True, SSE, private)
        (before,) = here.publications.rows()
    assert os.listdir(home / "private" / "ide") == []
    async with posing(home, workspace, journal) as here:
        assert here.publications.rows() == [before]
        await here.publications.for_everybody(False, SSE, {})
    async with posing(home, workspace, journal) as here:
        assert here.publications.rows() == []


async def test_a_life_that_cannot_publish_lives_all_the_same(
    home: Path, workspace: Path, journal: JournalThread, caplog: pytest.LogCaptureFixture
) -> None:
    async with posing(home, workspace, journal) as here:
        await here.publications.for_everybody(True, WS, {})
    (home / ".claude" / "ide").chmod(0o777)
    async with posing(home, workspace, journal) as here:
        assert here.publications.rows() == []
        assert "can be written by others" in caplog.text
        (home / ".claude" / "ide").chmod(0o700)
    async with posing(home, workspace, journal) as here:
        assert len(here.publications.rows()) == 1  # the wish stays


# ---- what a killed daemon left


async def test_the_next_life_removes_what_a_killed_one_left_and_nothing_else(
    home: Path, workspace: Path, journal: JournalThread, session: Any
) -> None:
    async with posing(home, workspace, journal) as here:
        one = await here.publications.for_child(session, WS, 0)
        two = await here.publications.for_child(session, WS, 0)
        files = {path: Path(path).read_bytes() for path in (one.lock, two.lock)}
        left = await journal.run(Journal.setting, "published")
    assert not any(one.token in json.dumps(left) for one in (one, two))
    Path(one.lock).write_bytes(files[one.lock])
    taken = json.loads(files[two.lock]) | {"authToken": "of an IDE that got the port"}
    Path(two.lock).write_text(json.dumps(taken), encoding="utf-8")
    await journal.run(Journal.set_setting, "published", left)
    async with posing(home, workspace, journal):
        assert locks(home) == [os.path.basename(two.lock)]


ODD = [
    {"transport": "carrier pigeon", "port": 0, "environ": {}},
    {"transport": "ws"},
    "not even an object",
]


@pytest.mark.parametrize("wish", ODD, ids=str)
async def test_what_another_version_remembered_does_not_keep_the_daemon_from_starting(
    home: Path, workspace: Path, journal: JournalThread, wish: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.run(Journal.set_setting, "published for everybody", wish)
    await journal.run(Journal.set_setting, "published", [{"path": "/nowhere"}, 7])
    async with posing(home, workspace, journal) as here:
        assert here.publications.rows() == []
    assert "bridge publish on" in caplog.text


async def test_a_port_that_somebody_took_is_given_up_for_good(
    home: Path, workspace: Path, journal: JournalThread
) -> None:
    async with posing(home, workspace, journal) as here:
        await here.publications.for_everybody(True, WS, {})
        (before,) = here.publications.ports
    with closing(listen(before)):
        async with posing(home, workspace, journal) as here:
            (after,) = here.publications.ports
    assert after != before
    async with posing(home, workspace, journal) as here:
        assert here.publications.ports == {after}


# ---- whom it matters to


async def test_another_daemon_may_take_over_what_is_for_everybody_until_an_agent_is_there(here: Posing) -> None:
    await here.publications.for_everybody(True, WS, {})
    assert not here.publications.needed
    (port,) = here.publications.ports
    agent = await Agent.of(here.publications._all[port])
    await until(lambda: here.publications.needed)
    await agent.raw.close()
    await until(lambda: not here.publications.needed)


async def test_what_is_for_a_child_is_needed(here: Posing) -> None:
    await here.publish()
    assert here.publications.needed


@pytest.mark.parametrize("before", [{}, {"CLAUDE_CODE_SSE_PORT": "4001"}], ids=str)
async def test_inside_of_an_agent_the_terminal_is_the_one_that_it_was_started_in(
    here: Posing, workspace: Path, before: dict[str, str]
) -> None:
    starter: Any = Starter(workspace, before)
    one = await here.publications.for_child(starter, WS, 0)
    inside = {"TERM_PROGRAM": "vscode", "CLAUDE_CODE_SSE_PORT": str(one.port)}
    assert here.publications.seen_through(inside) == {"TERM_PROGRAM": "vscode", **before}
    for other in ({}, {"CLAUDE_CODE_SSE_PORT": "4001"}, {"CLAUDE_CODE_SSE_PORT": "x"}):
        assert here.publications.seen_through(other) == other


# ---- the end


async def test_stopping_takes_all_locks_at_once_however_long_agents_take(
    here: Posing, session: Any, home: Path
) -> None:
    for transport in (WS, SSE) * 3:
        agent = await Agent.of(await here.publications.for_child(session, transport, 0))
        agent.raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
    stopping = asyncio.ensure_future(here.publications.stop())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert locks(home) == []
    async with asyncio.timeout(PATIENCE_S):
        await stopping


async def test_nothing_is_published_once_it_stops(here: Posing, session: Any, home: Path) -> None:
    publishing = asyncio.ensure_future(here.publications.for_child(session, WS, 0))
    await asyncio.sleep(0)
    await here.publications.stop()
    with pytest.raises(Unavailable, match="is stopping"):
        await publishing
    assert locks(home) == []
    assert here.publications.rows() == []


@pytest.mark.parametrize("steps", range(6))
async def test_a_session_that_is_cancelled_while_it_publishes_leaves_nothing(
    here: Posing, session: Any, home: Path, steps: int
) -> None:
    publishing = asyncio.ensure_future(here.publications.for_child(session, WS, 0))
    for _ in range(steps):
        await asyncio.sleep(0)
    publishing.cancel()
    try:
        await publishing
    except asyncio.CancelledError:
        assert locks(home) == []
        assert here.publications.rows() == []
    else:
        assert len(locks(home)) == 1


# ---- the daemon itself


async def test_the_daemon_takes_itself_for_no_ide(here: Posing, session: Any, workspace: Path, home: Path) -> None:
    one = await here.publications.for_child(session, WS, 0)
    await here.publications.for_everybody(True, WS, {})
    assert (await here.house.lookout.sight(session)).candidates == ()
    assert (await here.house.lookout.sight()).candidates == ()
    async with Emulator(workspace=workspace, lock_dir=home / ".claude" / "ide") as ide:
        (seen,) = (await here.house.lookout.sight(session)).candidates
        assert seen.lock.port == ide.port
    agent = await Agent.of(one)
    assert (await agent.call(1, "getOpenEditors"))["isError"]  # and so does an agent's call


async def test_another_user_is_not_let_in(here: Posing, session: Any) -> None:
    if os.geteuid():
        pytest.skip("only root can connect as somebody else")
    one = await here.publications.for_child(session, WS, 0)
    script = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); wire = socket.socket();"
        "wire.connect(('127.0.0.1', int(sys.argv[1]))); wire.settimeout(20);\n"
        "try: wire.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n'); print(wire.recv(10))\n"
        "except ConnectionError: print(b'')"
    )
    command = [sys.executable, "-I", "-S", "-c", script, str(one.port)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=PATIENCE_S, cwd="/")
    assert done.stdout == b"b''\n"
    assert (await Raw.agent(one.port, one.token)) is not None


def test_publications_know_no_more_than_they_are_told(home: Path) -> None:
    silent: Any = None
    assert Publications(silent, silent, silent, str(home), "/state").ports == frozenset()
