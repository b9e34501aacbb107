"""``bridge use``: which IDE is used in a terminal, in a workspace, and after all that may happen meanwhile."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from tests.cli.proposals import NEW
from tests.e2e.outsiders import chosen, row, until_status
from tests.e2e.support import BRIDGE, PATIENCE_S, Ide, bridge, kill_daemon

StartIde = Callable[..., Ide]

pytestmark = [
    pytest.mark.usefixtures("started", "file"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a terminal cannot be told"),
]


class Terminal:
    """A shell that leads a session of its own, as that of a terminal does."""

    def __init__(self, cwd: Path) -> None:
        self._shell = subprocess.Popen(
            ["sh"],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command of the bridge; give its code and all that it printed."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        command = shlex.join([*BRIDGE, *words])
        self._shell.stdin.write(f"{command} 2>&1 </dev/null; printf '\\nended %s\\n' $?\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        while not (line := self._shell.stdout.readline()).startswith("ended "):
            assert line, lines
            lines.append(line)
        return int(line.split()[1]), "".join(lines).removesuffix("\n")

    def chosen(self) -> int | None:
        """Give the port of the IDE that would be used here."""
        code, said = self.run("status", "--json")
        assert code == 0
        return chosen(json.loads(said))

    def close(self) -> None:
        """End the shell, and thus the terminal."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.wait(PATIENCE_S)
        self._shell.stdout.close()


@pytest.fixture
def terminal(workspace: Path, started: list[Any]) -> Callable[..., Terminal]:
    """Open terminals, in the workspace by default."""

    def start(cwd: Path | None = None) -> Terminal:
        started.append(Terminal(cwd or workspace))
        return started[-1]  # type: ignore[no-any-return]

    return start


@pytest.fixture
def two(ide: StartIde) -> tuple[Ide, Ide]:
    """Two IDEs on the workspace, the older one first: the newer is used if nothing is pinned."""
    return ide("--name", "Cursor"), ide()


def test_a_pin_is_its_terminals_alone(terminal: Callable[..., Terminal], two: tuple[Ide, Ide]) -> None:
    cursor, code = two
    here, there = terminal(), terminal()
    assert here.run("use", "cursor") == (0, "cursor is the IDE for this terminal from now on\n")
    assert (here.chosen(), there.chosen()) == (cursor.port, code.port)
    said = json.loads(here.run("status", "--json")[1])
    assert said["pinned"] == {"ide": "cursor", "for": "terminal"}
    assert row(said, cursor.port)["reason"] == "pinned by you for this terminal: bridge use auto"
    assert "pinned by you for this terminal" not in there.run("status")[1]
    assert here.run("use") == (0, "● cursor  this terminal\n")
    assert there.run("use") == (0, "○ cursor  another terminal\n")
    opened = json.loads(here.run("open", "f.txt", "--json")[1])
    assert opened["port"] == cursor.port
    assert here.run("use", "auto") == (0, "the bridge chooses the IDE for this terminal from now on\n")
    assert here.chosen() == code.port
    assert here.run("use") == (0, "no IDE is pinned: the bridge chooses\n")


def test_what_is_named_now_goes_before_the_terminal_and_that_before_the_workspace(
    workspace: Path, terminal: Callable[..., Terminal], two: tuple[Ide, Ide], ide: StartIde
) -> None:
    cursor, code = two
    neovim = ide("--name", "Neovim")
    here, there = terminal(), terminal()
    assert here.run("use", str(code.port), "--workspace")[0] == 0
    assert (here.chosen(), there.chosen()) == (code.port, code.port)
    assert here.run("use", "cursor")[0] == 0
    assert (here.chosen(), there.chosen()) == (cursor.port, code.port)
    assert json.loads(here.run("open", "f.txt", "--ide", "neovim", "--json")[1])["port"] == neovim.port
    shown = f"● cursor  this terminal\n○ {code.port}  the workspace {workspace}\n"
    assert here.run("use") == (0, shown)


def test_a_workspace_is_the_whole_project_and_nothing_else(
    home: Path, workspace: Path, terminal: Callable[..., Terminal], two: tuple[Ide, Ide]
) -> None:
    (workspace / ".git").mkdir()
    (workspace / "sub").mkdir()
    inside = terminal(workspace / "sub")
    said = f"cursor is the IDE for the workspace {workspace} from now on\n"
    assert inside.run("use", "cursor", "--workspace") == (0, said)
    assert [terminal(place).chosen() for place in (workspace, workspace / "sub")] == [two[0].port] * 2
    assert terminal(home).chosen() is None
    assert inside.run("use", "auto", "--workspace")[0] == 0
    assert inside.chosen() == two[1].port


def test_a_pin_outlives_the_daemon_but_not_its_terminal(
    workspace: Path, terminal: Callable[..., Terminal], two: tuple[Ide, Ide]
) -> None:
    here, other = terminal(), terminal()
    here.run("use", "cursor")
    other.run("use", "code")
    kill_daemon()
    assert here.chosen() == two[0].port
    assert here.run("use") == (0, "● cursor  this terminal\n○ code  another terminal\n")
    other.close()
    assert here.run("use") == (0, "● cursor  this terminal\n")


def test_an_ide_that_is_not_there_is_pinned_with_a_warning_and_replaced_by_none(
    workspace: Path, terminal: Callable[..., Terminal], two: tuple[Ide, Ide], ide: StartIde
) -> None:
    here = terminal()
    code, said = here.run("use", "pycharm")
    assert (code, said.splitlines()[1]) == (
        0,
        "warning: no IDE called pycharm is running; until it does, changes are shown on the page",
    )
    assert "pycharm is pinned for this terminal and cannot be used: bridge use auto" in here.run("status")[1]
    code, said = here.run("open", "f.txt")
    assert (code, said) == (
        69,
        "error: no IDE called pycharm, which is pinned for this terminal, can be used\n\nhint: bridge use auto\n",
    )
    code, said = here.run("diff", "f.txt", "--proposed", "/dev/null", "--timeout", "0")
    assert code == 75
    assert "no IDE called pycharm is running; it is pinned for this terminal: bridge use auto" in said
    late = ide("--name", "PyCharm")
    assert here.chosen() == late.port


def test_a_review_goes_where_it_was_pinned_although_its_asker_is_gone(
    workspace: Path, terminal: Callable[..., Terminal], two: tuple[Ide, Ide]
) -> None:
    """The terminal is closed, the daemon killed: what the user wanted was written down with the review."""
    here = terminal()
    here.run("use", "cursor")
    (workspace / "new").write_bytes(NEW)
    assert here.run("diff", "f.txt", "--proposed", "new", "--timeout", "0")[0] == 75
    two[0].until("diff")
    here.close()
    kill_daemon()
    with Client(cwd=str(workspace)) as client:
        shown = until_status(client, lambda said: said["reviews"][0]["where"] == "ide")["reviews"][0]
    assert shown["ide"] == "Cursor"


def test_json_tells_everything(workspace: Path) -> None:
    done = bridge("use", "cursor", "--workspace", "--json", cwd=workspace)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "workspace": str(workspace),
        "running": False,
        "pins": [{"ide": "cursor", "for": "workspace", "workspace": str(workspace), "here": True, "used": True}],
    }


@pytest.mark.parametrize("name", ["", "  ", "x" * 257])
def test_what_is_no_name_is_refused(workspace: Path, name: str) -> None:
    assert bridge("use", name, cwd=workspace).returncode == 2
    assert "no IDE is pinned" in bridge("use", cwd=workspace).stderr


def test_names_are_shown_and_not_sent_to_the_terminal(workspace: Path) -> None:
    bridge("use", "a\x1b[2Jb", "--workspace", cwd=workspace)
    for words in (["use"], ["status"]):
        assert r"a\x1b[2Jb" in bridge(*words, cwd=workspace).stdout
