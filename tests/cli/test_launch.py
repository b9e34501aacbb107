"""``bridge open`` by an editor's own command: what is started, what is not, and what is said."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.cli.launch import launch
from bridge.errors import Unavailable
from tests.e2e.support import BRIDGE, Ide, bridge, until, wait_gone
from tests.e2e.terminal import Terminal

StartIde = Callable[..., Ide]

NAME = "Visual Studio Code (Gemini companion)"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory for PATH, which is no project's."""
    path = tmp_path / "programs"
    path.mkdir()
    return path


def make(directory: Path, body: str = "", name: str = "code") -> Path:
    """Make a program that notes its words, where it runs and what it reads, one a line; then does `body`."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    noted = directory / "noted"
    path.write_text(
        f'#!/bin/sh\n{{ printf "%s\\n" "$@"; pwd; printf "%s\\n" "$PATH"; while read -r line; do echo "$line"; done; }}'
        f' > "{noted}.new" && command -p mv "{noted}.new" "{noted}"\n{body}\n'
    )
    path.chmod(0o755)
    return path


def noted(directory: Path) -> list[str] | None:
    path = directory / "noted"
    return path.read_text().splitlines() if path.exists() else None


@pytest.fixture
def window(ide: StartIde) -> Ide:
    return ide("--personality", "gemini")


# ---- as it is typed


@pytest.mark.usefixtures("window")
def test_the_editors_own_command_opens_the_file(file: Path, programs: Path) -> None:
    program = make(programs)
    done = bridge("open", "f.txt:2:1", cwd=file.parent, stdin=b"ours\n", PATH=f".::{programs}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"opened in {NAME} by code\n")
    assert noted(programs) == ["-r", "-g", f"{file}:2:1", "/", str(programs)]  # nothing of our stdin
    told = json.loads(bridge("open", "f.txt", "--json", cwd=file.parent, PATH=str(programs)).stdout)
    assert told["launched"] == [str(program), "-r", str(file)]
    assert (told["ide"], told["positioned"], "launch" in told) == (NAME, True, False)


@pytest.mark.usefixtures("window")
def test_a_line_that_the_command_cannot_be_told_is_told(workspace: Path, programs: Path) -> None:
    make(programs)
    (workspace / "a:7").touch()
    done = bridge("open", "+3", "a:7", cwd=workspace, PATH=str(programs))
    assert (done.returncode, done.stderr) == (0, f"opened in {NAME} by code, which could not go to line 3\n")
    assert (noted(programs) or [])[:2] == ["-r", f"{workspace}/a:7"]


@pytest.mark.usefixtures("window")
def test_a_command_that_is_missing_or_fails_is_told(file: Path, programs: Path) -> None:
    missing = bridge("open", "f.txt", cwd=file.parent, PATH=str(programs))
    assert (missing.returncode, missing.stdout) == (69, "")
    assert missing.stderr == (
        "error: no code on your PATH, and the editor's plugin opens no files\n\n"
        "hint: have the editor install its command code in PATH\n"
    )
    program = make(programs, r"printf '\n no \033[31mwindow\nmore\n' >&2; exit 3")
    failed = bridge("open", "f.txt", cwd=file.parent, PATH=str(programs))
    assert (failed.returncode, failed.stdout) == (69, "")
    assert failed.stderr.startswith(f"error: {program} failed with exit code 3: no ")
    assert "window" in failed.stderr.splitlines()[0]
    assert "\033" not in failed.stderr
    assert "more" not in failed.stderr


@pytest.mark.usefixtures("window")
async def test_in_a_terminal_the_users_own_editor_takes_the_place_of_one_that_is_missing(
    file: Path, programs: Path
) -> None:
    editor = programs / "vim"
    editor.write_text('#!/bin/sh\necho "editing $*"\n')
    editor.chmod(0o755)
    words = [*BRIDGE, "open", "f.txt:2"]
    with Terminal(words, cwd=file.parent, EDITOR=str(editor), PATH=str(programs)) as terminal:
        assert await terminal.end() == 0
    assert f"no code on your PATH, and the editor's plugin opens no files; opening it in {editor}\n" in terminal.screen
    assert f"editing +2 {file}\n" in terminal.screen


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    "where", [".", "", "../elsewhere", "{workspace}", "{workspace}/.venv/bin", "{workspace}/../work"]
)
def test_nothing_that_a_repository_brought_along_is_started(file: Path, where: str) -> None:
    """Neither by what counts from there, nor because an activated environment of the repository leads PATH."""
    hostile = [file.parent, file.parent / ".venv/bin", file.parent.parent / "elsewhere"]
    (file.parent / ".venv").mkdir()
    for directory in hostile:
        make(directory)
    done = bridge("open", "f.txt", cwd=file.parent, PATH=where.format(workspace=file.parent))
    assert (done.returncode, [noted(directory) for directory in hostile]) == (69, [None] * 3)


@pytest.mark.usefixtures("started")
def test_an_ide_that_opens_files_itself_is_asked_and_nothing_launched(
    file: Path, ide: StartIde, programs: Path
) -> None:
    make(programs)
    ide()
    ide("--personality", "gemini")
    done = bridge("open", "f.txt", "--json", cwd=file.parent, PATH=str(programs))
    told = json.loads(done.stdout)
    assert (told["ide"], told["launched"], noted(programs)) == ("Visual Studio Code", None, None)


# ---- what is started


@pytest.fixture
def hanging(programs: Path) -> Iterator[Path]:
    """A program that goes on until it is told to end, and notes its PID."""
    pid = programs / "pid"
    yield make(
        programs, f'echo $$ > "{pid}.new"; command -p mv "{pid}.new" "{pid}"; while :; do command -p sleep 9; done'
    )
    os.killpg(int(pid.read_text()), signal.SIGKILL)
    wait_gone(int(pid.read_text()))


def test_a_command_that_goes_on_is_left_to_itself(file: Path, hanging: Path, home: Path) -> None:
    environ = {"HOME": str(home), "PATH": str(hanging.parent)}
    command, ended = launch(["code", "-r", str(file)], str(file), environ, patience=0.1)
    assert (command, ended) == ([str(hanging), "-r", str(file)], False)
    until((hanging.parent / "pid").exists, "it does not go on")  # not killed, for it may be the editor


def test_a_program_that_cannot_be_run_is_told(file: Path, programs: Path, home: Path) -> None:
    (programs / "code").write_text("no program")
    (programs / "code").chmod(0o755)
    with pytest.raises(Unavailable, match=r"cannot run .*/code: Exec format error"):
        launch(["code"], str(file), {"HOME": str(home), "PATH": str(programs)})


@pytest.mark.parametrize("inside", ["{repository}/bin", "{repository}/sub", "{links}"])
def test_what_lies_in_the_files_repository_is_not_started(tmp_path: Path, home: Path, inside: str) -> None:
    repository, links, sound = tmp_path / "repository", tmp_path / "links", tmp_path / "sound"
    (repository / "sub").mkdir(parents=True)
    (repository / ".git").touch()  # a worktree's
    links.mkdir()
    (links / "code").symlink_to(make(repository / "bin"))
    make(repository / "sub")
    file = repository / "sub" / "f.txt"
    first = inside.format(repository=repository, links=links)
    with pytest.raises(Unavailable, match="is not run: it lies in the project that is worked in"):
        launch(["code"], str(file), {"HOME": str(home), "PATH": first})
    make(sound)
    launch(["code", "-r"], str(file), {"HOME": str(home), "PATH": f"{first}:{sound}"})
    assert noted(sound) is not None
    assert (noted(repository / "bin"), noted(repository / "sub")) == (None, None)


def test_the_users_own_programs_are_started_from_the_home_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".git").mkdir()  # of those who keep their settings so
    monkeypatch.chdir(home)
    own = make(home / "bin")
    environ = {"HOME": str(home), "PATH": str(own.parent)}
    assert launch(["code"], ".bashrc", environ) == ([str(own)], True)
