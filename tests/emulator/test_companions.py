"""The companions of Gemini CLI and Qwen Code as an agent meets them: the MCP SDK's transport is the agent."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from ide_plugins.emulator.companions import CUT_MARK, MAX_SELECTED, context
from ide_plugins.emulator.window import Selection, Window
from tests.emulator.conftest import MakeIde
from tests.emulator.peer import Peer, peer

BOTH = pytest.mark.parametrize("personality", ["gemini", "qwen"])
REJECTION = {"gemini": "ide/diffRejected", "qwen": "ide/diffClosed"}


def rejected(personality: str, path: str, text: str) -> tuple[str, dict[str, Any]]:
    """What is told of a diff that was not accepted."""
    content = {"content": text} if personality == "qwen" else {}
    return REJECTION[personality], {"filePath": path} | content


async def settled(ann: Peer) -> None:
    """Take the first push, which tells how things stand."""
    assert (await ann.hear())[0] == "ide/contextUpdate"


# ---- how they are found


async def test_geminis_file_says_no_more_than_it_must(make_ide: MakeIde, workspace: Path, lock_dir: Path) -> None:
    async with make_ide(personality="gemini", pid=4711) as ide:
        assert ide.lock_path == lock_dir / f"gemini-ide-server-4711-{ide.port}.json"
        facts = {"port": ide.port, "workspacePath": str(workspace), "authToken": ide.token}
        assert json.loads(ide.lock_path.read_bytes()) == facts
        assert stat.S_IMODE(ide.lock_path.stat().st_mode) == 0o600
        assert stat.S_IMODE(lock_dir.stat().st_mode) == 0o755
    assert not ide.lock_path.exists()


async def test_geminis_file_may_name_the_ide(make_ide: MakeIde) -> None:
    async with make_ide(personality="gemini", ide_info=True) as ide:
        info = {"name": "vscode", "displayName": "VS Code"}
        assert json.loads(ide.lock_path.read_bytes())["ideInfo"] == info


async def test_qwens_file_is_a_lock_file(make_ide: MakeIde, workspace: Path, lock_dir: Path) -> None:
    async with make_ide(personality="qwen", pid=4711) as ide:
        assert ide.lock_path == lock_dir / f"{ide.port}.lock"
        assert json.loads(ide.lock_path.read_bytes()) == {
            "port": ide.port,
            "workspacePath": str(workspace),
            "authToken": ide.token,
            "ppid": 4711,
            "ideName": "VS Code",
        }
        assert stat.S_IMODE(ide.lock_path.stat().st_mode) == 0o600


# ---- diffs


@BOTH
async def test_the_sdks_client_is_served(make_ide: MakeIde, personality: str) -> None:
    async with make_ide(personality=personality) as ide:
        http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {ide.token}"})
        carrier = streamable_http_client(f"http://localhost:{ide.port}/mcp", http_client=http)
        async with http, Client(carrier, mode="legacy") as client:
            tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
            assert {name: schema["required"] for name, schema in tools.items()} == {
                "openDiff": ["filePath", "newContent"],
                "closeDiff": ["filePath"],
            }
            result = await client.call_tool("openDiff", {"filePath": "/w/a.py", "newContent": "new\n"})
            assert (result.content, result.is_error) == ([], False)
        assert [diff.contents for diff in ide.pending] == ["new\n"]  # it outlives the session


@BOTH
@pytest.mark.parametrize(
    ("human", "close_says", "heard"),
    [
        ("accept", "rejected", ("ide/diffAccepted", {"filePath": "/w/a.py", "content": "new\n"})),
        ("edit:more", "rejected", ("ide/diffAccepted", {"filePath": "/w/a.py", "content": "new\nmore"})),
        ("reject", "rejected", None),
        ("close", "rejected", None),
    ],
)
async def test_a_decision_is_told_after_the_answer_and_ends_the_tab(
    make_ide: MakeIde, personality: str, human: str, close_says: str, heard: tuple[str, dict[str, Any]] | None
) -> None:
    async with make_ide(personality=personality, human=human, close_says=close_says) as ide, peer(ide) as ann:
        await settled(ann)
        assert await ann.tool("openDiff", filePath="/w/a.py", newContent="new\n") == []
        assert await ann.hear() == (heard or rejected(personality, "/w/a.py", "new\n"))
        assert ide.diffs == []


@BOTH
async def test_everybody_hears_of_a_decision(make_ide: MakeIde, personality: str) -> None:
    async with make_ide(personality=personality) as ide, peer(ide) as ann, peer(ide) as bob:
        await settled(ann)
        await settled(bob)
        await bob.tool("openDiff", filePath="/w/a.py", newContent="new\n")
        await ide.accept("edited\n")
        accepted = ("ide/diffAccepted", {"filePath": "/w/a.py", "content": "edited\n"})
        assert await ann.hear() == await bob.hear() == accepted


@pytest.mark.parametrize(("personality", "answered"), [("gemini", False), ("qwen", True)])
async def test_geminis_answers_only_who_came_last(make_ide: MakeIde, personality: str, answered: bool) -> None:
    async with make_ide(personality=personality) as ide, peer(ide) as ann:
        await settled(ann)
        async with peer(ide) as bob:
            asking = asyncio.ensure_future(ann.tool("openDiff", filePath="/w/a.py", newContent="new\n"))
            await ide.next_diff()  # it is shown all the same
            assert await bob.tool("closeDiff", filePath="/w/b.py") == ["{}"]
            await ide.notify("mark", {})
            assert (await bob.hear())[0] == "ide/contextUpdate"
            assert (await bob.hear())[0] == "mark"  # by now an answer would have come
            if not answered:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asking, 0.1)
            else:
                assert await asking == []


async def test_what_was_decided_while_nobody_listened_is_never_told(make_ide: MakeIde) -> None:
    async with make_ide(personality="gemini") as ide:
        async with peer(ide) as ann:
            await settled(ann)
            await ann.tool("openDiff", filePath="/w/a.py", newContent="new\n")
        await ide.drop_client()
        await ide.accept()
        async with peer(ide) as bob:
            await settled(bob)
            assert await bob.tool("closeDiff", filePath="/w/a.py") == ["{}"]
            await ide.notify("ide/contextUpdate", {"mark": True})
            assert await bob.hear() == ("ide/contextUpdate", {"mark": True})


@BOTH
@pytest.mark.parametrize("suppress", [{}, {"suppressNotification": False}, {"suppressNotification": True}])
async def test_closing_gives_the_text_and_only_qwen_may_tell(
    make_ide: MakeIde, personality: str, suppress: dict[str, bool]
) -> None:
    async with make_ide(personality=personality) as ide, peer(ide) as ann:
        await settled(ann)
        await ann.tool("openDiff", filePath="/w/a.py", newContent="new\n")
        assert await ann.tool("closeDiff", filePath="/w/a.py", **suppress) == ['{"content":"new\\n"}']
        assert await ann.tool("closeDiff", filePath="/w/a.py", **suppress) == ["{}"]  # it is closed already
        await ide.notify("ide/contextUpdate", {})
        told = personality == "qwen" and not suppress.get("suppressNotification")
        expected = rejected("qwen", "/w/a.py", "new\n") if told else ("ide/contextUpdate", {})
        assert await ann.hear() == expected


async def test_two_diffs_of_a_file_cannot_be_told_apart(make_ide: MakeIde) -> None:
    async with make_ide(personality="gemini") as ide, peer(ide) as ann:
        await settled(ann)
        for text in ("one\n", "two\n", "three\n"):
            await ann.tool("openDiff", filePath="/w/a.py", newContent=text)
        assert await ann.tool("closeDiff", filePath="/w/a.py") == ['{"content":"one\\n"}']  # the oldest
        await ide.accept(diff=ide.pending[1])
        assert await ann.hear() == ("ide/diffAccepted", {"filePath": "/w/a.py", "content": "three\n"})


@BOTH
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("openFile", {"filePath": "/w/a.py"}),
        ("openDiff", {"filePath": "/w/a.py"}),
        ("closeDiff", {"filePath": "/w/a.py", "suppressNotification": "yes"}),
    ],
)
async def test_other_tools_and_arguments_are_refused(
    make_ide: MakeIde, personality: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with make_ide(personality=personality) as ide, peer(ide) as ann:
        answer = await ann.call("tools/call", {"name": tool, "arguments": arguments})
        assert answer["error"]["code"] == -32602


# ---- the context


@BOTH
async def test_selections_are_told_as_the_context(make_ide: MakeIde, workspace: Path, personality: str) -> None:
    async with make_ide(personality=personality) as ide, peer(ide) as ann:
        assert await ann.hear() == ("ide/contextUpdate", {"workspaceState": {"openFiles": [], "isTrusted": True}})
        await ide.select(workspace / "a.py", "two", (1, 0))
        method, params = await ann.hear()
        (file,) = params["workspaceState"]["openFiles"]
        assert file.pop("timestamp") > 1_700_000_000_000
        assert (method, file) == (
            "ide/contextUpdate",
            {
                "path": str(workspace / "a.py"),
                "isActive": True,
                "cursor": {"line": 2, "character": 3},
                "selectedText": "two",
            },
        )


async def test_who_comes_later_is_told_how_things_stand(make_ide: MakeIde, workspace: Path) -> None:
    async with make_ide(personality="gemini") as ide:
        await ide.select(workspace / "a.py")
        async with peer(ide) as ann:
            _, params = await ann.hear()
            assert [file["path"] for file in params["workspaceState"]["openFiles"]] == [str(workspace / "a.py")]


def test_the_context_holds_the_ten_latest_files_of_which_one_is_active() -> None:
    window = Window(workspace=Path("/w"))
    for number in range(12):
        window.select(Selection(Path(f"/w/{number}")), now=number)
    window.select(Selection(Path("/w/5")), now=12.5)
    files = context(window)["workspaceState"]["openFiles"]
    assert [file["path"] for file in files] == [f"/w/{n}" for n in (5, 11, 10, 9, 8, 7, 6, 4, 3, 2)]
    assert [file.get("isActive") for file in files] == [True, *[None] * 9]
    assert files[0]["timestamp"] == 12_500


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (0, None),
        (MAX_SELECTED, "x" * MAX_SELECTED),
        (MAX_SELECTED + 1, "x" * MAX_SELECTED + CUT_MARK),
    ],
)
def test_a_long_selection_is_cut(length: int, told: str | None) -> None:
    window = Window(workspace=Path("/w"))
    window.select(Selection.of_text(Path("/w/a"), "x" * length, (0, 0)), now=0)
    assert context(window)["workspaceState"]["openFiles"][0].get("selectedText") == told
