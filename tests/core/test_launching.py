"""Which editor's own command opens a file, and how it is told the place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core.launching import EDITORS, Editor, editor_of
from bridge.core.lockfile import Family as Announced
from bridge.core.reach import Route
from bridge.core.terminal import Family, Group, Terminal
from bridge.errors import BadData
from tests.core.candidates import ide
from tests.playbook import scene

CODE, ZED = EDITORS[Family.VSCODE], EDITORS[Family.ZED]


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("Visual Studio Code", "code"),
        ("VS Code", "code"),
        ("Visual Studio Code (Gemini companion)", "code"),
        ("Visual Studio Code - Insiders (Qwen companion)", "code-insiders"),
        ("VSCodium", "codium"),
        ("Cursor", "cursor"),
        ("Windsurf", "windsurf"),
        ("Positron", "positron"),
        ("Kiro", "kiro"),
        ("Zed", "zed"),
        ("Antigravity", None),  # its command is an agent by now
        ("code-server", None),
        ("Neovim", None),
        ("IntelliJ IDEA", None),
        ("Something", None),
    ],
)
def test_the_editor_is_known_by_the_name_that_the_ide_announces(name: str, program: str | None) -> None:
    editor = editor_of(ide(4004, "/w", name=name), scene())
    assert (editor and editor.program) == program


NAMELESS = ide(4004, "/w", name="Visual Studio Code (Gemini companion)", family=Announced.GEMINI)
MINE = frozenset({4004})


@pytest.mark.parametrize(
    ("terminal", "program"),
    [
        (Terminal(companions=MINE, family=Family.CURSOR, group=Group.VSCODE), "cursor"),
        (Terminal(companions=MINE, family=Family.ANTIGRAVITY, group=Group.VSCODE), None),
        (Terminal(companions=MINE, group=Group.VSCODE), "code"),  # of unknown make
        (Terminal(companions=frozenset({4005}), family=Family.CURSOR, group=Group.VSCODE), "code"),  # another window's
        (Terminal(companions=MINE, family=Family.NEOVIM, group=Group.NEOVIM), "code"),  # an editor within its terminal
    ],
)
def test_of_a_fork_that_does_not_tell_its_name_its_own_terminal_knows(terminal: Terminal, program: str | None) -> None:
    editor = editor_of(NAMELESS, replace(scene(), terminal=terminal))
    assert (editor and editor.program) == program


def test_a_terminal_within_the_ide_is_its_own() -> None:
    terminal = Terminal(family=Family.KIRO, group=Group.VSCODE)
    assert editor_of(replace(NAMELESS, ancestor=True), replace(scene(), terminal=terminal)) == EDITORS[Family.KIRO]


def test_an_ide_on_the_other_side_of_a_boundary_is_not_launched() -> None:
    assert editor_of(replace(NAMELESS, route=Route(here=False)), scene()) is None


@pytest.mark.parametrize(
    ("path", "line", "column", "words", "positioned"),
    [
        ("/w/a.py", None, None, ["code", "-r", "/w/a.py"], True),
        ("/w/a.py", 3, None, ["code", "-r", "-g", "/w/a.py:3:1"], True),
        ("/w/a.py", 3, 7, ["code", "-r", "-g", "/w/a.py:3:7"], True),
        ("/w/$(x); -g", 3, 7, ["code", "-r", "-g", "/w/$(x); -g:3:7"], True),
        ("/w/a.py:3", None, None, ["code", "-r", "/w/a.py:3"], True),
        ("/w/a.py:3", 9, None, ["code", "-r", "/w/a.py:3"], False),
        ("/w/12:30 log", 9, None, ["code", "-r", "/w/12:30 log"], False),
    ],
)
def test_a_place_is_told_where_it_cannot_be_misread(
    path: str, line: int | None, column: int | None, words: list[str], positioned: bool
) -> None:
    assert CODE.command(path, line, column) == (words, positioned)


def test_zed_is_told_a_place_without_an_option() -> None:
    assert ZED.command("/w/a.py") == (["zed", "/w/a.py"], True)
    assert ZED.command("/w/a.py", 3, 7) == (["zed", "/w/a.py:3:7"], True)


@pytest.mark.parametrize(
    ("editor", "path", "why"),
    [
        (ZED, "/w/a.py:3", "zed takes what is behind a colon for a line"),
        (CODE, "/w/a ", "code drops the space at the end of a file's name"),
        (CODE, "/w/\udcff", "not UTF-8"),
    ],
)
def test_a_name_that_would_be_taken_for_another_is_refused(editor: Editor, path: str, why: str) -> None:
    with pytest.raises(BadData, match=why):
        editor.command(path)
