"""Agents that speak MCP, through `bridge mcp`: every tool, against an emulator and against the page."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from bridge.core.toolbox import TOOLS
from tests.e2e.mcpagents import ERAS, agent, eras
from tests.e2e.support import BRIDGE, PATIENCE_S, Ide, Lines, bridge, daemon_about, kill_daemon, until

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartIde = Callable[..., Ide]
PROPOSED = {"path": "f.txt", "content": "a\nB\n"}


async def shown(window: Ide) -> dict[str, Any]:
    return await asyncio.to_thread(window.until, "diff")


@eras
async def test_every_tool_works_in_both_eras(era: str, file: Path, ide: StartIde) -> None:
    """One daemon for all: it takes a second to learn MCP."""
    window = ide()
    window.do("diagnose " + json.dumps({"path": "f.txt", "problems": [{"message": "bad", "severity": "Warning"}]}))
    async with agent(file.parent, era) as ann:
        assert ann.client.protocol_version == ERAS[era]
        listed = await ann.client.list_tools()
        assert [tool.name for tool in listed.tools] == list(TOOLS)
        assert [tool.model_dump(by_alias=True, exclude_none=True) for tool in listed.tools] == [
            tool.listed for tool in TOOLS.values()
        ]

        ides = await ann.call("list_ides")
        assert [(row["port"], row["chosen"]) for row in ides["ides"]] == [(window.port, True)]
        assert await ann.call("get_selection") == {"selection": None}
        opened = await ann.call("open_file", path="f.txt", line=2)
        assert opened == {"path": str(file), "ide": "Visual Studio Code", "positioned": True}
        selection = (await ann.call("get_selection"))["selection"]
        assert (selection["path"], selection["line"]) == (str(file), 2)
        editors = await ann.call("get_open_editors")
        assert editors == {"editors": [{"path": str(file), "active": True, "dirty": False}], "omitted": 0}
        (problem,) = (await ann.call("get_diagnostics", path="f.txt"))["diagnostics"]
        assert (problem["path"], problem["severity"], problem["message"]) == (str(file), "warning", "bad")

        proposing = asyncio.ensure_future(ann.call("propose_changes", files=[PROPOSED], title="Louder"))
        assert (await shown(window))["path"] == str(file)
        assert "shown in Visual Studio Code" in await ann.told("is shown")
        window.do('edit "a\\nBB\\n"')
        report = await proposing
        assert (report["status"], report["write"]) == ("accepted_with_edits", "final_texts")
        assert report["diff"].splitlines()[-2:] == ["-B", "+BB"]
        assert "final_text" not in report["files"][0]
        whole = await ann.call("get_review", review_id=report["review_id"], include_texts=True)
        assert whole["files"][0]["final_text"] == "a\nBB\n"
        assert file.read_text(encoding="utf-8") == "a\nb\n"  # the agent writes, nobody else

        after = await ann.call("cancel_review", review_id=report["review_id"])
        assert after["status"] == "accepted_with_edits"  # what is decided stays so


@pytest.mark.parametrize(
    ("deed", "status", "write"), [("accept", "accepted", "proposal"), ("reject", "rejected", "nothing")]
)
async def test_a_decision_comes_back_once_it_is_made(
    file: Path, ide: StartIde, deed: str, status: str, write: str
) -> None:
    window = ide()
    async with agent(file.parent) as ann:
        pending = await ann.call("propose_changes", files=[PROPOSED], wait_ms=1)
        assert (pending["status"], pending["write"]) == ("pending", "nothing")
        assert "Do not write anything" in pending["next"]
        await shown(window)
        waiting = asyncio.ensure_future(ann.call("get_review", review_id=pending["review_id"], wait_ms=45_000))
        await ann.told("is shown")
        window.do(deed)
        report = await waiting
        assert (report["review_id"], report["status"], report["write"]) == (pending["review_id"], status, write)
        until(lambda: state_of(report["review_id"]) == "delivered", "it was not noted that the agent knows")


def state_of(review_id: str) -> str:
    with Client(spawn=False) as client:
        return str(client.request("review/get", {"id": review_id})["state"])


async def test_who_asks_for_the_same_again_joins_and_a_decision_is_told_once(file: Path, ide: StartIde) -> None:
    window = ide()
    async with agent(file.parent) as ann, agent(file.parent, "legacy") as bob:
        first = await ann.call("propose_changes", files=[PROPOSED], wait_ms=1)
        second = await bob.call("propose_changes", files=[PROPOSED], wait_ms=1)
        named = await ann.call("propose_changes", files=[PROPOSED], wait_ms=1, request_key="mine")
        assert first["review_id"] == second["review_id"] != named["review_id"]
        complaint = await ann.fails("propose_changes", files=[{**PROPOSED, "content": "x"}], request_key="mine")
        assert "names another change" in complaint
        await shown(window)
        window.do("reject")
        assert (await ann.call("get_review", review_id=first["review_id"], wait_ms=45_000))["status"] == "rejected"
        until(lambda: state_of(first["review_id"]) == "delivered", "the decision was not taken")
        again = await ann.call("propose_changes", files=[PROPOSED], wait_ms=1)
        assert again["review_id"] != first["review_id"]  # one that was told no may ask again, and a human decides
        assert again["status"] == "pending"


async def test_what_the_human_wrote_meanwhile_is_not_written_over(file: Path, ide: StartIde) -> None:
    """An old yes is none to that."""
    window = ide()
    async with agent(file.parent) as ann:
        begun = await ann.call("propose_changes", files=[PROPOSED], wait_ms=1)
        await shown(window)
        file.write_bytes(b"by the human\n")
        window.do("accept")
        report = await ann.call("get_review", review_id=begun["review_id"], wait_ms=45_000, include_texts=True)
        assert (report["status"], report["write"]) == ("accepted", "nothing")
        assert f"meanwhile {file} changed on disk. Do not write" in report["next"]


async def test_a_call_that_is_cancelled_leaves_the_review(file: Path, ide: StartIde) -> None:
    window = ide()
    async with agent(file.parent) as ann:
        waiting = asyncio.ensure_future(ann.call("propose_changes", files=[PROPOSED]))
        await shown(window)
        waiting.cancel()
        await asyncio.wait([waiting])
        joined = await ann.call("propose_changes", files=[PROPOSED], wait_ms=1)
        assert joined["status"] == "pending"
        assert (await ann.call("cancel_review", review_id=joined["review_id"]))["status"] == "cancelled"
        await asyncio.to_thread(window.until, "call", tool="close_tab")


@eras
async def test_a_daemon_that_dies_in_the_middle_of_a_call_is_none_of_the_agents_business(
    era: str, file: Path, ide: StartIde
) -> None:
    window = ide()
    async with agent(file.parent, era) as ann:
        waiting = asyncio.ensure_future(ann.call("propose_changes", files=[PROPOSED]))
        await shown(window)
        kill_daemon()
        await shown(window)  # the next daemon shows it again
        window.do("accept")
        assert (await waiting)["status"] == "accepted"
        kill_daemon(signal.SIGTERM)  # nobody waits now
        assert [row["port"] for row in (await ann.call("list_ides"))["ides"]] == [window.port]


async def test_a_stopped_daemon_is_told_of_and_the_next_call_starts_it(file: Path, ide: StartIde) -> None:
    window = ide()
    async with agent(file.parent) as ann:
        waiting = asyncio.ensure_future(ann.call("propose_changes", files=[PROPOSED]))
        await shown(window)
        assert bridge("down", cwd=file.parent).returncode == 0
        with pytest.raises(Exception, match="the bridge was stopped"):
            await waiting
        assert daemon_about() is None or not Path(f"/proc/{daemon_about()['pid']}").exists()  # type: ignore[index]
        assert (await ann.call("list_ides"))["ides"]
        assert bridge("restart", cwd=file.parent).returncode == 0
        assert (await ann.call("list_ides"))["ides"]


async def test_without_an_ide_the_page_is_opened_and_the_agent_gets_no_address(file: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "browser.fifo"
    os.mkfifo(fifo)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {fifo}\n', encoding="utf-8")
    browser.chmod(0o755)
    async with agent(file.parent, BROWSER=f"{browser} %s", DISPLAY=":99") as ann:
        report = await ann.call("propose_changes", files=[PROPOSED], wait_ms=1000)
        address = await asyncio.to_thread(fifo.read_text)
        assert address.startswith("file://")
        door = Path(address.strip().removeprefix("file://"))
        assert "/r/" in door.read_text(encoding="utf-8")
        words = await ann.words("get_review", review_id=report["review_id"])
        assert f"bridge review open {report['review_id']}" in words
        assert "http" not in words
        assert "on the review page" in report["shown"]


# ---- the process


@contextmanager
def start(cwd: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start it; at the end it is killed if it still runs, for else a failure would wait for it."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*BRIDGE, "mcp", *words], cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


LIST = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


def test_it_ends_with_its_input_and_says_nothing_else(file: Path) -> None:
    done = bridge("mcp", cwd=file.parent, stdin=LIST)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["id"] == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_signals_end_it_without_a_word(file: Path, signum: signal.Signals, code: int) -> None:
    with start(file.parent) as process:
        assert process.stdin is not None
        process.stdin.write(LIST)
        process.stdin.flush()
        Lines(process.stdout).until(lambda line: '"id":1' in line)
        process.send_signal(signum)
        assert process.wait(PATIENCE_S) == code
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_an_agent_that_does_not_listen_any_more_ends_it(file: Path) -> None:
    with start(file.parent) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(LIST)
        process.stdin.flush()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_without_a_daemon_the_agent_is_told_why(file: Path) -> None:
    done = bridge("mcp", "--no-spawn", cwd=file.parent, stdin=LIST)
    assert done.returncode == 69
    told = json.loads(done.stdout)
    assert (told["id"], told["error"]["code"]) == (1, -32603)
    assert "the bridge is not running (bridge up)" in told["error"]["message"]
    assert "the bridge is not running" in done.stderr
    done = bridge("mcp", "--no-spawn", cwd=file.parent)  # it asks nothing
    assert (done.returncode, done.stdout) == (69, "")


def test_nothing_is_lost_between_large_messages_both_ways(file: Path) -> None:
    """A forwarder that waits for one side to read would never end: both write first, and more than any pipe holds."""
    text = "x" * 300_000
    asks = [
        {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": text, "arguments": {}}}
        for n in range(20)
    ]
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    asks.insert(0, {"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello})
    with start(file.parent) as process:
        lines = Lines(process.stdout)
        assert process.stdin is not None
        process.stdin.write(b"".join(json.dumps(ask).encode() + b"\n" for ask in asks))
        process.stdin.flush()
        answered = {json.loads(lines.until(bool))["id"] for _ in asks}
        assert answered == {"hello", *range(20)}
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
