"""``bridge open``: what a person types, and where the file opens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli.open import where
from bridge.errors import Usage
from tests.e2e.support import Ide, bridge
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartIde = Callable[..., Ide]
Editor = Callable[..., Path]

# ---- what is typed


@pytest.mark.parametrize(
    ("words", "path", "line", "column"),
    [
        (["f.py"], "f.py", None, None),
        (["f.py:3"], "f.py", 3, None),
        (["f.py:3:7"], "f.py", 3, 7),
        (["f.py:3:"], "f.py", 3, None),
        (["f.py:3:7:"], "f.py", 3, 7),
        (["+3", "f.py"], "f.py", 3, None),
        (["+3:7", "f.py"], "f.py", 3, 7),
        (["+3", "f.py:9"], "f.py:9", 3, None),
        (["a:b:3"], "a:b", 3, None),
        (["a\nb:3"], "a\nb", 3, None),
        ([":3"], ":3", None, None),
        (["f.py:x"], "f.py:x", None, None),
        (["there:3"], "there:3", None, None),
    ],
)
def test_a_place_is_read_as_compilers_and_editors_write_it(
    words: list[str], path: str, line: int | None, column: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there:3").touch()
    assert where(words) == (path, line, column)


@pytest.mark.parametrize("words", [["f.py:0"], ["f.py:1:0"], ["+0", "f.py"], ["f.py:9999999999"], ["a", "b"]])
def test_a_place_that_cannot_be_is_refused(words: list[str]) -> None:
    with pytest.raises(Usage):
        where(words)


# ---- in an IDE


@pytest.mark.parametrize("words", [["f.txt:2"], ["-g", "f.txt:2:1"], ["+2", "f.txt"], ["--ide", "visual", "f.txt:2"]])
def test_a_file_is_opened_at_its_line_and_the_ide_is_named(words: list[str], file: Path, ide: StartIde) -> None:
    window = ide()
    done = bridge("open", *words, cwd=file.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "opened in Visual Studio Code\n")
    window.until("call", tool="openFile")


def test_a_line_that_the_ide_cannot_find_is_told(file: Path, ide: StartIde) -> None:
    file.write_bytes(b"same\nsame\n")
    ide()
    done = bridge("open", "f.txt:2", cwd=file.parent)
    assert (done.returncode, done.stderr) == (0, "opened in Visual Studio Code, which could not go to line 2\n")
    told = bridge("open", "f.txt:2", "--json", cwd=file.parent)
    assert json.loads(told.stdout)["positioned"] is False


def test_a_file_that_is_missing_is_told_before_any_ide_is_asked(workspace: Path, ide: StartIde) -> None:
    window = ide()
    (workspace / "folder").mkdir()
    for name, why in [("missing.txt:3", "there is no file missing.txt"), ("folder", "it is not a regular file")]:
        done = bridge("open", name, cwd=workspace)
        assert (done.returncode, why in done.stderr) == (65, True)
    assert not [event for event in window.events if event["event"] == "connected"]


# ---- in the user's own editor


@pytest.fixture
def editor(tmp_path: Path) -> Editor:
    """Make an editor that tells what it is given, and ends with a code."""

    def make(name: str = "vim", code: int = 0) -> Path:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "editing $*"\nexit {code}\n')
        path.chmod(0o755)
        return path

    return make


def open_in_terminal(*words: str, cwd: Path, **environ: str) -> Terminal:
    return Terminal([sys.executable, "-m", "bridge", "open", *words], cwd=cwd, **environ)


@pytest.mark.parametrize(
    ("name", "variable", "given"),
    [("vim", "VISUAL", "+2 "), ("nano", "EDITOR", "+2 "), ("strange", "EDITOR", "")],
)
async def test_without_an_ide_a_terminal_gets_the_users_editor(
    file: Path, editor: Editor, name: str, variable: str, given: str
) -> None:
    path = editor(name)
    with open_in_terminal("f.txt:2", cwd=file.parent, **{variable: f"{path} --wait"}) as terminal:
        assert await terminal.end() == 0
    assert f"no IDE can be used here; opening it in {path} --wait\n" in terminal.screen
    assert f"editing --wait {given}{file}\n" in terminal.screen


async def test_visual_is_preferred_and_the_editors_exit_code_is_ours(file: Path, editor: Editor) -> None:
    environ = {"VISUAL": str(editor("emacs", 3)), "EDITOR": str(editor("ed"))}
    with open_in_terminal("f.txt", cwd=file.parent, **environ) as terminal:
        assert await terminal.end() == 3
    assert "opening it in " + environ["VISUAL"] in terminal.screen


@pytest.mark.parametrize(
    ("words", "editor_is", "why"),
    [
        ((), "", "no IDE can be used here"),
        (("--ide", "nope"), "vim", "no IDE called nope can be used\n\nhint: bridge status lists the IDEs"),
        ((), "/nowhere/vim", "cannot run /nowhere/vim: No such file or directory"),
        ((), "vim 'unbalanced", "cannot run vim 'unbalanced: No closing quotation"),
    ],
)
async def test_a_terminal_without_an_editor_that_works_is_told_why(
    file: Path, words: tuple[str, ...], editor_is: str, why: str
) -> None:
    with open_in_terminal("f.txt", *words, cwd=file.parent, EDITOR=editor_is) as terminal:
        assert await terminal.end() == 69
    assert f"error: {why}" in terminal.screen


def test_without_a_terminal_no_editor_is_started(file: Path, editor: Editor) -> None:
    done = bridge("open", "f.txt", cwd=file.parent, EDITOR=str(editor()))
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("error: no IDE can be used here\n\nhint: ")
