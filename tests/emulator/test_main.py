from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.agent import PATIENCE_S, TOKEN_HEADER, Agent, agent, sse_agent, texts
from tests.emulator.peer import peer

ROOT = Path(__file__).parents[2]
START_S = 20.0  # a busy machine


class Process:
    """The emulator as a process, seen from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed: list[str] = []

    async def event(self, name: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for the next event of this name; those before it are passed over."""
        assert self.process.stdout is not None
        async with asyncio.timeout(patience_s):
            while line := await self.process.stdout.readline():
                self.printed.append(line.decode())
                event: dict[str, Any] = json.loads(line)
                if event["event"] == name:
                    return event
        raise AssertionError(f"ended without {name}")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def end(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@asynccontextmanager
async def process(home: Path, *options: str, stdin: int = asyncio.subprocess.PIPE) -> AsyncIterator[Process]:
    """Start it on a home of its own; kill it if the test leaves it running."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ide_plugins.emulator", *options),
        cwd=ROOT,
        env={"HOME": str(home), "TMPDIR": str(home), "PATH": "/usr/bin:/bin"},
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(started)
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@asynccontextmanager
async def running(
    home: Path, workspace: Path, *options: str, stdin: int = asyncio.subprocess.PIPE
) -> AsyncIterator[tuple[Process, Path]]:
    """A process that is ready, and its lock file."""
    async with process(home, "--workspace", str(workspace), *options, stdin=stdin) as emulator:
        ready = await emulator.event("ready", START_S)
        lock = Path(ready["lock"])
        assert lock.name == f"{ready['port']}.lock"
        yield emulator, lock


@asynccontextmanager
async def connected(emulator: Process, lock: Path) -> AsyncIterator[Agent]:
    """An agent that found the process by its lock file."""
    headers = {TOKEN_HEADER: json.loads(lock.read_bytes()).get("authToken", "")}
    async with agent(int(lock.stem), headers=headers) as ann:
        await emulator.event("connected")
        yield ann


async def test_a_whole_review_is_told_in_events(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace) as (emulator, lock):
        token = json.loads(lock.read_bytes())["authToken"]
        async with connected(emulator, lock) as ann:
            await ann.propose("new\n")
            assert await emulator.event("call") == {"event": "call", "tool": "openDiff"}
            diff = {"event": "diff", "tab_name": "tab", "path": "/w/a.py", "length": 4, "new_file": True}
            assert await emulator.event("diff") == diff
            emulator.say("accept")
            assert texts(await ann.hear()) == ["FILE_SAVED", "new\n"]
            assert (await emulator.event("decided"))["answer"] == "FILE_SAVED"
        await emulator.event("disconnected")
        assert token not in "".join(emulator.printed)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (r'edit "mine \u00e9\n"', ["FILE_SAVED", "mine é\n"]),
        ("reject", ["DIFF_REJECTED", "tab"]),
        ("close", ["TAB_CLOSED"]),
    ],
)
async def test_the_human_is_commanded_on_stdin(
    tmp_path: Path, workspace: Path, command: str, answer: list[str]
) -> None:
    said = ("--close-says", "tab_closed")
    async with running(tmp_path, workspace, *said) as (emulator, lock), connected(emulator, lock) as ann:
        await ann.propose()
        await emulator.event("diff")
        emulator.say(command)
        assert texts(await ann.hear()) == answer


async def test_it_may_serve_events_over_http(tmp_path: Path, workspace: Path) -> None:
    words = ("--transport", "sse", "--fault", "die-on-diff")
    async with running(tmp_path, workspace, *words) as (emulator, lock):
        facts = json.loads(lock.read_bytes())
        assert facts["transport"] == "sse"
        async with sse_agent(int(lock.stem), facts["authToken"]) as ann:
            assert await ann.call("ping") == {"result": {}}
            await ann.propose()
            assert not await ann.ended()
        assert await emulator.end() == 1


@pytest.mark.parametrize(("options", "name"), [((), "Neovim"), (("--name", "Vim"), "Vim")])
async def test_it_may_play_another_plugin(tmp_path: Path, workspace: Path, options: tuple[str, ...], name: str) -> None:
    async with running(tmp_path, workspace, "--personality", "nvim", *options) as (emulator, lock):
        assert json.loads(lock.read_bytes())["ideName"] == name
        async with connected(emulator, lock) as ann:
            assert (await ann.call("ping"))["error"]["code"] == -32601


async def test_a_companion_says_where_its_agents_look(tmp_path: Path, workspace: Path) -> None:
    words = ("--personality", "gemini", "--pid", "4711", "--ide-info", "--human", "edit:mine")
    async with process(tmp_path, "--workspace", str(workspace), *words) as emulator:
        ready = await emulator.event("ready", START_S)
        file = tmp_path / "gemini" / "ide" / f"gemini-ide-server-4711-{ready['port']}.json"
        assert ready["lock"] == str(file)
        facts = json.loads(file.read_bytes())
        assert facts["ideInfo"]["displayName"] == "VS Code"
        async with peer(facts["port"], facts["authToken"]) as ann:
            assert await ann.tool("openDiff", filePath="/w/a.py", newContent="new\n") == []
            assert (await emulator.event("decided"))["answer"] == "FILE_SAVED"


async def test_no_web_framework_is_loaded_for_a_websocket() -> None:
    unwanted = "{'starlette', 'uvicorn', 'sse_starlette'}"
    program = f"import sys, ide_plugins.emulator.__main__; sys.exit(bool({unwanted} & {{*sys.modules}}))"
    started = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
    async with asyncio.timeout(START_S):
        assert await started.wait() == 0


async def test_the_window_is_commanded_on_stdin(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace, "--fault", "half-lock", "--no-token") as (emulator, lock):
        assert not lock.read_bytes().endswith(b"}")
        emulator.say("complete-lock")
        emulator.say("accept")
        error = await emulator.event("error")
        assert error == {"event": "error", "command": "accept", "message": "no diff waits for a decision"}
        emulator.say("fly")
        assert (await emulator.event("error"))["message"] == "unknown command"
        assert "authToken" not in json.loads(lock.read_bytes())
        async with connected(emulator, lock) as ann:
            emulator.say("select a.py")
            assert (await ann.hear())["params"]["filePath"] == str(workspace / "a.py")
            emulator.say("drop")
            assert (await ann.closed())[0] == 1006
        emulator.say("quit")
        assert await emulator.end() == 0
        assert not lock.exists()


async def test_options_reach_the_lock_file(tmp_path: Path, workspace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    named = ("--name", "Cursor", "--pid", "77", "--port", str(port), "--lock-dir", str(tmp_path / "locks"))
    async with running(tmp_path, workspace, *named) as (_, lock):
        assert lock == tmp_path / "locks" / f"{port}.lock"
        written = json.loads(lock.read_bytes())
        assert (written["ideName"], written["pid"]) == ("Cursor", 77)
        assert written["workspaceFolders"] == [str(workspace)]


async def test_an_ide_on_windows_is_commanded_in_its_own_terms(tmp_path: Path, workspace: Path) -> None:
    told = ("--windows", "--drive", f"d={tmp_path}", "--folder-style", "mnt")
    async with process(tmp_path, "--workspace", "D:\\ws", *told) as emulator:
        lock = Path((await emulator.event("ready", START_S))["lock"])
        assert json.loads(lock.read_bytes())["workspaceFolders"] == ["/mnt/d/ws"]
        async with connected(emulator, lock) as ann:
            emulator.say("select A.PY")
            assert (await ann.hear())["params"]["filePath"] == "d:\\ws\\a.py"
            emulator.say('diagnose {"path": "D:\\\\ws\\\\a.py", "problems": [{"message": "m"}]}')
            assert (await ann.hear())["params"] == {"uris": ["file:///d%3A/ws/a.py"]}
            emulator.say("diagnose {}")
            assert (await emulator.event("error"))["command"] == "diagnose"
            await ann.tool("openFile", filePath="D:\\ws\\a.py", startText="", endText="")
            assert await emulator.event("call") == {"event": "call", "tool": "openFile", "path": "D:\\ws\\a.py"}


async def test_it_listens_where_it_is_told_to(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace, "--host", "127.0.0.2") as (_, lock):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(lock.stem))
        _, writer = await asyncio.open_connection("127.0.0.2", int(lock.stem))
        writer.close()
        await writer.wait_closed()


async def test_the_lock_file_is_where_agents_look(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace) as (_, lock):
        assert lock.parent == tmp_path / ".claude" / "ide"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_gracefully(tmp_path: Path, workspace: Path, number: signal.Signals) -> None:
    async with running(tmp_path, workspace, stdin=asyncio.subprocess.DEVNULL) as (emulator, lock):
        async with connected(emulator, lock) as ann:
            emulator.process.send_signal(number)
            assert (await ann.closed())[0] == 1001
        assert await emulator.end() == 0
        assert not lock.exists()


async def test_a_kill_leaves_the_lock_file(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace) as (emulator, lock):
        emulator.process.kill()
        assert await emulator.end() == -signal.SIGKILL
        assert lock.exists()


async def test_the_end_of_stdin_ends_it_if_asked(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace, "--stdin") as (emulator, lock):
        emulator.hang_up()
        assert await emulator.end() == 0
        assert not lock.exists()


async def test_the_end_of_stdin_is_no_end_otherwise(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace, "--human", "accept") as (emulator, lock):
        emulator.say("fly")  # answered, so the end of stdin is near too
        emulator.hang_up()
        await emulator.event("error")
        async with connected(emulator, lock) as ann:
            await ann.propose()
            assert texts(await ann.hear()) == ["FILE_SAVED", "new\n"]


async def test_a_diff_may_kill_the_process(tmp_path: Path, workspace: Path) -> None:
    async with running(tmp_path, workspace, "--fault", "die-on-diff") as (emulator, lock):
        async with connected(emulator, lock) as ann:
            await ann.propose()
            await emulator.event("diff")
            assert (await ann.closed())[0] == 1006
        assert await emulator.end() == 1
        assert lock.exists()


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (("--fault", "hang"), "'hang' is not a valid Fault"),
        (("--human", "yes"), "not a word of the human's"),
        (("--windows",), "--windows and --drive (or --share) go together"),
        (("--drive", "C=/"), "--windows and --drive (or --share) go together"),
        (("--windows", "--drive", "C"), "not ROOT=DIR: C"),
        (("--windows", "--drive", "CD=/"), "neither a drive (C:) nor a share"),
    ],
)
async def test_an_unknown_word_is_a_usage_error(
    tmp_path: Path, workspace: Path, option: tuple[str, str], complaint: str
) -> None:
    async with process(tmp_path, "--workspace", str(workspace), *option) as emulator:
        async with asyncio.timeout(START_S):
            _, stderr = await emulator.process.communicate()
        assert emulator.process.returncode == 2
        assert complaint in stderr.decode()
