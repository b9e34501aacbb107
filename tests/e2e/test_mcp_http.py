"""Agents that speak MCP over HTTP, which the user turned on."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.mcpagents import ERAS, eras, http_agent, whereabouts
from tests.e2e.support import Ide, bridge, until

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartIde = Callable[..., Ide]


async def test_the_main_job_over_http_in_both_eras(file: Path, ide: StartIde, mcp_port: int) -> None:
    window = ide()
    address, token = await asyncio.to_thread(whereabouts, file.parent)
    assert address == f"http://127.0.0.1:{mcp_port}/mcp"
    workspace = str(file.parent)
    for era, version in ERAS.items():
        proposed = {"path": "f.txt", "content": f"a\n{era}\n"}
        async with http_agent(address, token, era) as ann:
            assert ann.client.protocol_version == version
            assert "counts from nowhere" in await ann.fails("open_file", path="f.txt")
            opened = await ann.call("open_file", path=str(file))  # without a workspace: the file tells whose IDE
            assert opened["ide"] == "Visual Studio Code"
            for where, chosen in (({}, False), ({"workspace": workspace}, True)):
                assert [row["chosen"] for row in (await ann.call("list_ides", **where))["ides"]] == [chosen]
            assert (await ann.call("get_open_editors", workspace=workspace))["editors"][0]["path"] == str(file)
            proposing = asyncio.ensure_future(ann.call("propose_changes", files=[proposed], workspace=workspace))
            await asyncio.to_thread(window.until, "diff")
            await ann.told("is shown in Visual Studio Code")
            window.do("accept")
            report = await proposing
            assert (report["status"], report["write"]) == ("accepted", "proposal")
            await asyncio.to_thread(is_delivered, report["review_id"], file.parent)
    await asyncio.to_thread(nobody_tells_the_token, file.parent, token)


def is_delivered(review_id: str, cwd: Path) -> None:
    def noted() -> bool:
        return bool(json.loads(bridge("review", "show", review_id, "--json", cwd=cwd).stdout)["state"] == "delivered")

    until(noted, "it was not noted that the agent knows")


def nobody_tells_the_token(cwd: Path, token: str) -> None:
    """Whatever the bridge prints or logs, it is not there; but that it is served is told."""
    status, doctor = bridge("status", cwd=cwd).stdout, bridge("doctor", cwd=cwd).stdout
    assert "MCP over HTTP is on" in status
    assert "ok    mcp over http:" in doctor
    log = Path(os.environ["HOME"]) / ".local/state/bridge/log/daemon.log"
    for told in (status, doctor, log.read_text(encoding="utf-8"), bridge("bugreport", cwd=cwd).stdout):
        assert token not in told


@eras
async def test_a_call_whose_stream_is_closed_waits_no_more(era: str, file: Path, ide: StartIde, mcp_port: int) -> None:
    window = ide()
    address, token = await asyncio.to_thread(whereabouts, file.parent)
    proposed = {"path": str(file), "content": "a\nB\n"}
    async with http_agent(address, token, era) as ann:
        waiting = asyncio.ensure_future(ann.call("propose_changes", files=[proposed]))
        await asyncio.to_thread(window.until, "diff")
        waiting.cancel()
        await asyncio.wait([waiting])
        assert (await ann.call("list_ides"))["ides"]  # whoever leaves does so alone
        (review,) = json.loads(bridge("review", "ls", "--json", cwd=file.parent).stdout)
        assert (await ann.call("cancel_review", review_id=review["id"]))["status"] == "cancelled"


def test_it_is_off_by_default_and_said_how_to_turn_it_on(file: Path) -> None:
    done = bridge("mcp", "--http", cwd=file.parent)
    assert (done.returncode, "mcp_http = " in done.stderr) == (69, True)
    assert bridge("mcp", "--json", cwd=file.parent).returncode == 2


def test_a_port_that_is_taken_and_a_token_of_others_are_told_of(file: Path, home: Path, mcp_port: int) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", mcp_port))
        squatter.listen()
        assert f"MCP over HTTP is not served at port {mcp_port}" in bridge("status", cwd=file.parent).stdout
        assert "bridge status says why" in bridge("mcp", "--http", cwd=file.parent).stderr
    token = home / ".local/state/bridge/mcp.token"
    before = token.read_text(encoding="ascii")
    token.chmod(0o644)
    bridge("restart", cwd=file.parent)
    assert "is not this user's alone" in bridge("status", cwd=file.parent).stdout
    token.unlink()
    bridge("restart", cwd=file.parent)
    assert whereabouts(file.parent)[1] != before.strip()
