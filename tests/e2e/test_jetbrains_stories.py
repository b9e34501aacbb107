"""JetBrains' built-in MCP server as an IDE: it announces itself nowhere, and the user turned it on."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from bridge.errors import Unavailable, Usage
from tests.e2e.outsiders import NOT_FOUND, Program, chosen, decide_on_page, row, status, until_status, untouched
from tests.e2e.support import Ide, Running, bridge
from tests.ides.listeners import stranger_listening

StartIde = Callable[..., Ide]
StartCommand = Callable[..., Running]

IDEA = ("--personality", "jetbrains")
MUST_NOT = {"create_new_file", "execute_terminal_command", "replace_text_in_file"}


@pytest.fixture
def turn_on(home: Path) -> Callable[..., None]:
    """Have the server looked for on these ports; before the daemon starts."""

    def turn_on(*ports: int) -> None:
        config = home / ".config" / "bridge" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        with config.open("a", encoding="utf-8") as file:
            file.write(f"jetbrains_mcp = {list(ports)}\n")

    return turn_on


@pytest.fixture
def idea(ide: StartIde, turn_on: Callable[..., None]) -> Ide:
    """The IDE, with the workspace as its project."""
    window = ide(*IDEA)
    turn_on(window.port)
    return window


def opened(cwd: Path, *words: str) -> dict[str, Any]:
    """Open a file, and give what is told of that."""
    done = bridge("open", *words, "--json", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def called(window: Ide) -> set[str]:
    """Name the tools that were called so far."""
    window.do("are you there")
    window.until("error")
    return {event["tool"] for event in window.events if event["event"] == "call"}


# ---- found


def test_it_is_found_opened_and_named(workspace: Path, file: Path, idea: Ide) -> None:
    said = row(status(workspace), idea.port)
    assert (said["name"], said["state"], said["chosen"]) == ("JetBrains IDE", "listening", True)
    assert said["reason"] == "it announces no folder, and is asked whether what is asked about is its own"
    assert "it shows no diffs" in said["lacks"]
    assert untouched(idea)  # a look contacts nobody

    told = {"ide": "JetBrains IntelliJ IDEA", "port": idea.port, "positioned": False, "launched": None}
    assert opened(workspace, "f.txt:2") == told
    idea.until("call", tool="open_file_in_editor", path=str(file))
    said = row(status(workspace), idea.port)
    assert (said["name"], said["state"]) == ("JetBrains IntelliJ IDEA", "live")
    assert opened(workspace, "f.txt", "--ide", "idea")["positioned"]
    assert not called(idea) & MUST_NOT


def test_it_is_nothing_unless_it_is_turned_on(workspace: Path, file: Path, ide: StartIde) -> None:
    window = ide(*IDEA)
    assert status(workspace)["ides"] == []
    assert bridge("open", "f.txt", cwd=workspace).returncode == 69
    assert untouched(window)


def test_doctor_names_it(workspace: Path, idea: Ide) -> None:
    done = bridge("doctor", cwd=workspace)
    assert f"JetBrains IDE on port {idea.port}: listens" in done.stdout
    assert untouched(idea)


def test_it_says_what_is_open_and_wrong(workspace: Path, file: Path, idea: Ide, client: Client) -> None:
    client.request("open", {"path": "f.txt"})
    place = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 1}}
    problems = [{"message": "no such name", "severity": "Warning", "range": place}]
    idea.do(f"diagnose {json.dumps({'path': str(file), 'problems': problems})}")
    told = client.request("call", {"tool": "getDiagnostics", "arguments": {}, "file": "f.txt"})
    (found,) = json.loads(told["content"][0]["text"])
    assert found["uri"] == file.as_uri()
    assert found["diagnostics"] == [problems[0] | {"range": {"start": place["start"], "end": place["start"]}}]
    told = client.request("call", {"tool": "getOpenEditors", "arguments": {}})
    (tab,) = json.loads(told["content"][0]["text"])["tabs"]
    assert (tab["fileName"], tab["isActive"]) == (str(file), True)
    with pytest.raises(Unavailable, match="one file at a time"):
        client.request("call", {"tool": "getDiagnostics", "arguments": {}})
    with pytest.raises(Unavailable, match="it has no getCurrentSelection"):
        client.request("call", {"tool": "getCurrentSelection", "arguments": {}})
    with pytest.raises(Usage):
        client.request("call", {"tool": "execute_terminal_command", "arguments": {"command": "true"}})
    assert client.request("dirty", {"path": "f.txt"}) == {"dirty": None}
    assert not called(idea) & MUST_NOT


# ---- which one


def test_an_ide_with_the_folder_comes_first(workspace: Path, file: Path, idea: Ide, ide: StartIde) -> None:
    code = ide()
    assert opened(workspace, "f.txt")["port"] == code.port
    assert "it is asked only where no other IDE" in row(status(workspace), idea.port)["reason"]
    assert untouched(idea)
    assert opened(workspace, "f.txt", "--ide", "jetbrains")["port"] == idea.port


def test_it_can_be_pinned_and_reviews_still_go_to_the_page(
    workspace: Path, file: Path, idea: Ide, ide: StartIde, running: StartCommand
) -> None:
    code = ide()
    assert bridge("use", "jetbrains", "--workspace", cwd=workspace).returncode == 0
    assert opened(workspace, "f.txt")["port"] == idea.port
    diff = running("diff", "f.txt", "--proposed", "-", stdin=b"new\n")
    review = diff.review_id()
    assert "it shows no diffs; it is pinned" in diff.err.until(lambda line: "the review page" in line)
    decide_on_page(review)
    assert diff.end() == 0
    assert untouched(code)


def test_in_its_own_terminal_it_is_the_terminal_s(workspace: Path, file: Path, home: Path, idea: Ide) -> None:
    said = row(status(home, TERMINAL_EMULATOR="JetBrains-JediTerm"), idea.port)
    assert (said["chosen"], said["reason"]) == (True, "the terminal is of its kind")


def test_a_file_of_no_open_project_is_not_shown(
    workspace: Path, home: Path, idea: Ide, ide: StartIde, turn_on: Callable[..., None]
) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "g.txt").write_bytes(b"g\n")
    done = bridge("open", str(elsewhere / "g.txt"), "--ide", "jetbrains", cwd=workspace)
    assert done.returncode == 69
    assert f"in none of its open projects ({workspace})" in done.stderr
    idea.until("call", tool="open_file_in_editor")
    done = bridge("open", str(elsewhere / "g.txt"), cwd=elsewhere)
    assert (done.returncode, f"open projects ({workspace})" in done.stderr) == (69, True)


def test_of_two_the_one_with_the_project_gets_the_file(
    workspace: Path, file: Path, home: Path, ide: StartIde, turn_on: Callable[..., None]
) -> None:
    other = home / "other"
    other.mkdir()
    windows = [ide(*IDEA, folder=other), ide(*IDEA)]
    turn_on(*(window.port for window in windows))
    assert opened(workspace, "f.txt")["port"] == windows[1].port
    (other / "g.txt").write_bytes(b"g\n")
    assert opened(other, "g.txt")["port"] == windows[0].port


def test_a_tool_that_fails_is_told(workspace: Path, file: Path, ide: StartIde, turn_on: Callable[..., None]) -> None:
    window = ide(*IDEA, "--fault", "tool-error")
    turn_on(window.port)
    done = bridge("open", "f.txt", cwd=workspace)
    assert done.returncode == 69
    assert "JetBrains IntelliJ IDEA could not do it: MCP tool call has been failed" in done.stderr


def test_one_that_does_not_answer_is_told(
    workspace: Path, file: Path, ide: StartIde, turn_on: Callable[..., None]
) -> None:
    window = ide(*IDEA, "--fault", "hang-initialize")
    turn_on(window.port)
    done = bridge("open", "f.txt", cwd=workspace)
    assert (done.returncode, "no answer within" in done.stderr) == (69, True)
    assert row(status(workspace), window.port)["state"] == "not answering"


def test_one_without_a_project_is_no_place(
    workspace: Path, file: Path, ide: StartIde, turn_on: Callable[..., None]
) -> None:
    window = ide(*IDEA, "--fault", "no-project")
    turn_on(window.port)
    done = bridge("open", "f.txt", cwd=workspace)
    assert (done.returncode, "none of its open projects" in done.stderr) == (69, True)


# ---- reviews


def test_a_review_goes_to_the_page_and_says_why(workspace: Path, file: Path, idea: Ide, running: StartCommand) -> None:
    diff = running("diff", "f.txt", "--proposed", "-", stdin=b"new\n")
    review = diff.review_id()
    assert "it shows no diffs" in diff.err.until(lambda line: "the review page" in line)
    decide_on_page(review)
    assert (diff.end(), diff.out.until(bool)) == (0, "accepted")
    assert untouched(idea)


def test_a_review_that_insists_on_it_is_refused(workspace: Path, file: Path, idea: Ide) -> None:
    words = ("diff", "f.txt", "--proposed", "-", "--surface", "ide", "--ide", "jetbrains")
    done = bridge(*words, cwd=workspace, stdin=b"new\n")
    assert (done.returncode, done.stdout) == (69, "")
    assert "it shows no diffs" in done.stderr
    assert untouched(idea)


# ---- who else may listen there


def test_another_program_is_refused_and_left_alone_until_it_changes(
    workspace: Path, file: Path, ide: StartIde, turn_on: Callable[..., None], client: Client
) -> None:
    program = Program(lambda _: NOT_FOUND)
    turn_on(program.port)
    try:
        done = bridge("open", "f.txt", cwd=workspace)
        assert (done.returncode, "it answered HTTP 404" in done.stderr) == (69, True)
        heard = program.heard
        assert heard.startswith(b"GET /sse HTTP/1.1")
        assert b"Authorization" not in heard
        assert (said := row(status(workspace), program.port))["state"] == "port taken", said
        until_status(client, lambda said: "port taken" in row(said, program.port)["reason"])
        assert bridge("open", "f.txt", cwd=workspace).returncode == 69
        assert program.heard == heard
    finally:
        program.close()
    window = ide(*IDEA, "--port", str(program.port))
    until_status(client, lambda said: chosen(said) == window.port)
    assert opened(workspace, "f.txt")["port"] == window.port


def test_an_mcp_server_without_the_tool_is_no_such_ide(
    workspace: Path, file: Path, ide: StartIde, turn_on: Callable[..., None]
) -> None:
    window = ide("--transport", "sse", "--no-token")
    window.lock.unlink()
    turn_on(window.port)
    done = bridge("open", "f.txt", cwd=workspace)
    assert (done.returncode, "who listens there has no open_file_in_editor" in done.stderr) == (69, True)
    assert row(status(workspace), window.port)["state"] == "port taken"
    assert not called(window)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
def test_a_stranger_s_port_gets_nothing(workspace: Path, file: Path, turn_on: Callable[..., None]) -> None:
    with stranger_listening() as port:
        turn_on(port)
        said = row(status(workspace), port)
        assert (said["state"], said["reason"]) == ("port taken", f"port {port} belongs to another user")
        done = bridge("open", "f.txt", "--ide", str(port), cwd=workspace)
        assert (done.returncode, "belongs to another user" in done.stderr) == (69, True)
        assert "belongs to another user" in bridge("doctor", cwd=workspace).stdout


def test_a_port_that_a_lock_file_names_is_that_ide_s(
    workspace: Path, file: Path, ide: StartIde, turn_on: Callable[..., None]
) -> None:
    code = ide()
    turn_on(code.port)
    (said,) = status(workspace)["ides"]
    assert said["name"] == "Visual Studio Code"


# ---- coming and going


def test_it_quits_and_comes_back(workspace: Path, file: Path, idea: Ide, ide: StartIde, client: Client) -> None:
    assert opened(workspace, "f.txt")["port"] == idea.port
    idea.process.send_signal(signal.SIGTERM)
    until_status(client, lambda said: said["ides"] == [])
    assert bridge("open", "f.txt", cwd=workspace).returncode == 69
    again = ide(*IDEA, "--port", str(idea.port))
    until_status(client, lambda said: chosen(said) == again.port)
    assert opened(workspace, "f.txt")["port"] == again.port
    again.kill()
    assert bridge("open", "f.txt", cwd=workspace).returncode == 69


def test_a_port_where_nobody_listens_is_not_mentioned(workspace: Path, turn_on: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    turn_on(port)
    assert status(workspace)["ides"] == []
    assert "jetbrains" in bridge("doctor", cwd=workspace).stdout
