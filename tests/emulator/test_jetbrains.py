"""JetBrains' MCP server as an agent meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.core import jetbrains
from ide_plugins.emulator import Emulator
from tests.emulator.agent import SseAgent, sse_agent, texts
from tests.emulator.conftest import MakeIde
from tests.emulator.peer import peer


async def call(ann: SseAgent, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Call a tool; say whether it failed, and what it said."""
    answer = await ann.call("tools/call", {"name": tool, "arguments": arguments})
    (text,) = texts(answer)
    return bool(answer["result"].get("isError")), text


def idea(make_ide: MakeIde, *faults: str) -> Emulator:
    return make_ide(personality="jetbrains", faults=faults)


async def test_it_announces_itself_nowhere_and_says_who_it_is(make_ide: MakeIde, lock_dir: Path) -> None:
    async with idea(make_ide) as ide, sse_agent(ide) as ann:
        assert not lock_dir.exists()
        assert ide.token is None
        answer = await ann.call("initialize", {"protocolVersion": "2025-06-18"})
        assert answer["result"]["serverInfo"]["name"] == "IntelliJ IDEA MCP Server"
        listed = {tool["name"]: tool for tool in (await ann.call("tools/list"))["result"]["tools"]}
        assert all("projectPath" in tool["inputSchema"]["properties"] for tool in listed.values())
        assert {own.name for own in jetbrains.TOOLS.values()} < listed.keys()


async def test_a_file_is_opened_by_its_path_or_from_the_project(make_ide: MakeIde, workspace: Path) -> None:
    file = workspace / "a.py"
    async with idea(make_ide) as ide, sse_agent(ide) as ann:
        assert await call(ann, "open_file_in_editor", filePath=str(file)) == (False, "[success]")
        assert await call(ann, "open_file_in_editor", filePath="a.py", projectPath=str(workspace / "deep"))
        assert list(ide.window.documents) == [file]
        _, text = await call(ann, "get_all_open_file_paths")
        assert json.loads(text) == {"activeFilePath": "a.py", "openFiles": ["a.py"]}


async def test_at_first_nothing_is_open(make_ide: MakeIde) -> None:
    async with idea(make_ide) as ide, sse_agent(ide) as ann:
        _, text = await call(ann, "get_all_open_file_paths")
        assert json.loads(text) == {"activeFilePath": None, "openFiles": []}


REFUSED: list[tuple[dict[str, str], str]] = [
    ({"filePath": "/elsewhere/a.py"}, "outside of the project directory"),
    ({"filePath": "b/../../a.py"}, "outside of the project directory"),
    ({"filePath": "missing.py"}, "File missing.py doesn't exist or can't be opened"),
    ({"filePath": "a.py", "projectPath": "/elsewhere"}, "doesn't correspond to any open project"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
async def test_what_is_no_file_of_the_project_is_refused(
    make_ide: MakeIde, arguments: dict[str, str], said: str
) -> None:
    async with idea(make_ide) as ide, sse_agent(ide) as ann:
        failed, text = await call(ann, "open_file_in_editor", **arguments)
        assert (failed, said in text) == (True, True)
        assert not ide.window.documents


async def test_the_open_project_is_told(make_ide: MakeIde, workspace: Path) -> None:
    async with idea(make_ide) as ide, sse_agent(ide) as ann:
        _, text = await call(ann, "get_all_open_file_paths", projectPath="/elsewhere")
        assert f'Currently open projects: {{"projects": [{{"path": "{workspace}"}}]}}' in text


async def test_problems_count_from_one_and_may_be_errors_only(make_ide: MakeIde, workspace: Path) -> None:
    place = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 3}}
    problems = [{"message": m, "severity": s, "range": place} for m, s in (("bad", "Error"), ("odd", "Warning"))]
    async with idea(make_ide) as ide, sse_agent(ide) as ann:
        await ide.diagnose(workspace / "a.py", problems)
        _, text = await call(ann, "get_file_problems", filePath="a.py")
        told = {"severity": "ERROR", "description": "bad", "lineContent": "two = 2", "line": 2, "column": 1}
        assert json.loads(text) == {"filePath": "a.py", "errors": [told]}
        _, text = await call(ann, "get_file_problems", filePath="a.py", errorsOnly=False)
        assert [one["severity"] for one in json.loads(text)["errors"]] == ["ERROR", "WARNING"]
        assert await call(ann, "get_file_problems", filePath="b.py") == (True, "File not found: b.py")


FAULTS = [("no-project", "No project opened"), ("tool-error", "MCP tool call has been failed: ")]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
async def test_it_may_have_no_project_or_fail_inside(make_ide: MakeIde, fault: str, said: str) -> None:
    async with idea(make_ide, fault) as ide, sse_agent(ide) as ann:
        failed, text = await call(ann, "open_file_in_editor", filePath="a.py")
        assert (failed, text.startswith(said)) == (True, True)


async def test_several_clients_are_served(make_ide: MakeIde) -> None:
    async with idea(make_ide) as ide, sse_agent(ide) as ann, sse_agent(ide) as bob:
        assert await call(bob, "get_all_open_file_paths") == await call(ann, "get_all_open_file_paths")


async def test_whoever_has_it_run_something_is_seen(make_ide: MakeIde) -> None:
    async with idea(make_ide) as ide, sse_agent(ide) as ann:
        assert await call(ann, "execute_terminal_command", command="true") == (False, "[success]")
        assert ide.calls == [("execute_terminal_command", {"command": "true"})]


async def test_over_streamable_http_it_has_a_path_of_its_own(make_ide: MakeIde) -> None:
    async with make_ide(personality="jetbrains", transport="http") as ide, peer(ide, path="/stream") as ann:
        assert await ann.tool("open_file_in_editor", filePath="a.py") == ["[success]"]
