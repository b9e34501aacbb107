"""Completions, as the shells themselves give them."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.cli import COMMANDS, parser_of
from bridge.cli.completion_scripts import SCRIPTS
from bridge.cli.grammar import Kind, grammar
from tests.cli.proposals import pending
from tests.e2e.support import BRIDGE, PATIENCE_S, Ide, bridge, daemon_about
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.usefixtures("started")

EACH_SHELL = pytest.mark.parametrize(
    "shell",
    [pytest.param(s, marks=pytest.mark.skipif(shutil.which(s) is None, reason=f"needs {s}")) for s in SCRIPTS],
)


@pytest.fixture(autouse=True)
def on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts call `bridge` by its name."""
    program = tmp_path / "bin" / "bridge"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(BRIDGE)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


# ---- asking the shells


def _run(*words: str, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _bash(line: str, cwd: Path) -> set[str]:
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line[-1] in " =" else [])
    if line.endswith("="):
        words.pop()
    script = f"""set -u
eval "$(bridge completions bash)"
complete -p bridge >/dev/null
COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
_bridge
[ ${{#COMPREPLY[@]}} = 0 ] || printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    return set(_run("bash", "--norc", "-c", script, cwd=cwd).splitlines())


def _fish(line: str, cwd: Path) -> set[str]:
    script = f"bridge completions fish | source; complete -C {shlex.quote(line)}"
    found = {row.partition("\t")[0] for row in _run("fish", "--no-config", "-c", script, cwd=cwd).splitlines()}
    return {word.partition("=")[2] or word for word in found}


# Completing needs a terminal; what is offered is written down on its way.
_ZSHRC = r"""
PROMPT='now> ' LISTMAX=10000
autoload -U compinit && compinit -u -D
eval "$(bridge completions zsh)"
function compadd() {
    local -a offered
    if [[ " $* " != *" -"[OAD]" "* ]]; then
        builtin compadd -O offered "$@"
        (( $#offered )) && print -rl -- $offered >>offered
    fi
    builtin compadd "$@"
}
"""


def _zsh(line: str, cwd: Path) -> set[str]:
    async def complete() -> None:
        with Terminal(["zsh", "-d", "-i"], cwd=cwd, TERM="xterm") as terminal:
            await terminal.until("now> ")  # it reads keys, and not lines
            terminal.type(f"{line}\t\x15print -r -- end''ed\r")
            await terminal.until("ended\n")

    (Path(os.environ["HOME"]) / ".zshrc").write_text(_ZSHRC, encoding="utf-8")
    asyncio.run(complete())
    offered = cwd / "offered"
    words = offered.read_text(encoding="utf-8").split("\n") if offered.exists() else []
    offered.unlink(missing_ok=True)
    return {word for word in words if word}


COMPLETE: dict[str, Callable[[str, Path], set[str]]] = {"bash": _bash, "fish": _fish, "zsh": _zsh}


# ---- what is offered


class Case(NamedTuple):
    line: str
    offered: set[str]
    exact: bool = True


VERBS = {"ls", "show", "open", "wait", "result", "apply", "cancel"}
CASES = [
    Case("bridge ", {*COMMANDS}, exact=False),
    Case("bridge doc", {"doctor"}),
    Case("bridge open --j", {"--json"}),
    Case("bridge diff --", {"--apply", "--ide", "--json", "--key", "--no-spawn", "--surface"}, exact=False),
    Case("bridge diff --surface ", {"auto", "ide", "page"}),
    Case("bridge diff f.txt --surface=p", {"page"}),
    Case("bridge review ", VERBS),
    Case("bridge review --timeout 5 sh", {"show"}),
    Case("bridge diff --proposed f", {"f.txt"}),
    Case("bridge open f", {"f.txt"}),
    Case("bridge diff f.txt f", {"f.txt"}),
    Case("bridge use au", {"auto"}),
    Case("bridge shell-hook f", {"fish"}),
    Case("bridge install claude co", {"codex", "copilot"}),
    Case("bridge uninstall --only h", {"hook"}),
    Case("bridge nonsense ", set()),
]


@EACH_SHELL
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line)
def test_the_shell_offers_what_fits(shell: str, case: Case, file: Path) -> None:
    offered = COMPLETE[shell](case.line, file.parent)
    assert offered >= case.offered
    if case.exact:
        assert offered == case.offered
    assert daemon_about() is None


@EACH_SHELL
def test_reviews_and_ides_are_those_that_there_are(shell: str, file: Path, ide: Callable[..., Ide]) -> None:
    window = ide("--name", "Cursor")
    review_id = pending(file, "--surface", "page")
    complete = COMPLETE[shell]
    assert complete("bridge review show ", file.parent) == {review_id}
    assert complete("bridge open --ide ", file.parent) == {"cursor", str(window.port)}
    assert complete("bridge use ", file.parent) == {"auto", "cursor", str(window.port)}
    assert bridge("open", "--ide", "cursor", "f.txt", cwd=file.parent).returncode == 0  # it is a name indeed


# ---- the grammar


def test_every_command_is_there_with_all_its_options() -> None:
    commands = {command.name: command for command in grammar()}
    assert list(commands) == list(COMMANDS)
    for name, command in commands.items():
        flags = {flag for option in command.options for flag in option.flags}
        assert flags == {*parser_of(name)._option_string_actions}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shell_offers_all_options_of_a_command(command: str, workspace: Path) -> None:
    offered = _bash(f"bridge {command} -", workspace)
    assert offered == {*parser_of(command)._option_string_actions}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_shell_s_script_has_every_option_of_every_command(shell: str) -> None:
    commands = tuple(grammar())
    lines = SCRIPTS[shell](commands).splitlines()
    for command in commands:
        mine = " ".join(line for line in lines if re.search(rf"(?<![\w-]){command.name}[)']", line))
        for flag in (flag for option in command.options for flag in option.flags):
            written = flag.replace("--", "-l ") if flag.startswith("--") else flag.replace("-", "-s ")
            assert (written if shell == "fish" else flag) in mine


def test_metavars_say_what_a_value_is() -> None:
    kinds = {(c.name, "/".join(a.flags) or a.metavar): a.kind for c in grammar() for a in c.arguments if a.metavar}
    assert kinds["open", "PATH"] is kinds["diff", "--proposed"] is kinds["diagnostics", "FILE"] is Kind.FILE
    assert kinds["review", "ID"] is kinds["diff", "--supersedes"] is Kind.REVIEW
    assert kinds["use", "NAME|PORT|auto"] is kinds["status", "--ide"] is Kind.IDE
    assert kinds["review", "VERB"] is kinds["diff", "--surface"] is Kind.CHOICE
    assert kinds["diff", "--key"] is Kind.WORD


# ---- values


def test_without_a_daemon_there_is_nothing_to_choose_from(workspace: Path) -> None:
    for what in ("reviews", "ides"):
        done = bridge("completions", what, cwd=workspace)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        done = bridge("completions", what, cwd=workspace, HOME="")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert daemon_about() is None


def test_names_are_shown_and_not_sent_to_the_terminal(workspace: Path, ide: Callable[..., Ide]) -> None:
    window = ide("--name", "a\x1b[2J\tb")
    bridge("up", cwd=workspace)
    said = bridge("completions", "ides", cwd=workspace).stdout
    assert said == f"{window.port}\ta\\x1b[2J\\x09b {workspace}\n"
