"""``bridge shell-hook``, evaluated by real shells: in an IDE's terminal, in one that went stale, in tmux."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import BRIDGE, PATIENCE_S, Ide, bridge, daemon_about
from tests.e2e.tmux import Tmux, needs_tmux

StartIde = Callable[..., Ide]

pytestmark = [
    pytest.mark.usefixtures("started"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the daemon alone can tell"),
]

HOOK = shlex.join([*BRIDGE, "shell-hook"])
_SH = f'eval "$({HOOK} {{0}})"; echo "${{{{CLAUDE_CODE_SSE_PORT-none}}}} ${{{{ENABLE_IDE_INTEGRATION-none}}}}"'
_FISH = f"""{HOOK} fish | source
for name in CLAUDE_CODE_SSE_PORT ENABLE_IDE_INTEGRATION
    set -q $name; and echo -n $$name; or echo -n none
    echo -n " "
end"""
SHELLS = {
    "bash": ("bash", "--norc", "-eu", "-c", _SH.format("bash")),
    "zsh": ("zsh", "-feu", "-c", _SH.format("zsh")),
    "fish": ("fish", "--no-config", "-c", _FISH),
}
EACH_SHELL = pytest.mark.parametrize(
    "shell",
    [pytest.param(s, marks=pytest.mark.skipif(shutil.which(s) is None, reason=f"needs {s}")) for s in SHELLS],
)


@pytest.fixture(autouse=True)
def no_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLAUDE_CODE_SSE_PORT", "ENABLE_IDE_INTEGRATION", "CLAUDE_CODE_IDE_SKIP_VALID_CHECK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["with a daemon", "without"])
def daemon(request: pytest.FixtureRequest, workspace: Path) -> Iterator[bool]:
    """Whether a daemon runs; none is started by a prompt."""
    runs = request.param == "with a daemon"
    if runs:
        assert bridge("up", cwd=workspace).returncode == 0
    yield runs
    assert (daemon_about() is not None) is runs


def evaluated(shell: str, cwd: Path, **environ: str) -> list[str]:
    """Evaluate the hook, and give the two variables as a program that is started then would have them."""
    done = subprocess.run(
        SHELLS[shell], cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def hook(cwd: Path, **environ: Any) -> str:
    done = bridge("shell-hook", "bash", cwd=cwd, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# ---- a terminal with a port


@EACH_SHELL
def test_the_port_of_the_terminal_s_own_ide_stays_and_attaches_agents(
    shell: str, daemon: bool, workspace: Path, ide: StartIde
) -> None:
    port = str(ide().port)
    assert evaluated(shell, workspace, CLAUDE_CODE_SSE_PORT=port) == [port, "true"]


@EACH_SHELL
def test_a_stale_port_is_dropped(shell: str, daemon: bool, workspace: Path, ide: StartIde) -> None:
    closed = ide()
    closed.kill()
    assert closed.lock.exists()
    assert evaluated(shell, workspace, CLAUDE_CODE_SSE_PORT=str(closed.port)) == ["none", "none"]


def test_what_is_right_already_is_left_alone(daemon: bool, workspace: Path, ide: StartIde) -> None:
    port = str(ide().port)
    assert hook(workspace, CLAUDE_CODE_SSE_PORT=port, ENABLE_IDE_INTEGRATION="t") == ""
    assert hook(workspace) == ""  # a window is there, but nothing says that the terminal belongs to it


@pytest.mark.parametrize(
    "port", ["", "x", "0", "65536", "99999", "1; touch pwned", "$(touch pwned)", "٤٠٠١", "9" * 5000]
)
def test_what_is_no_port_is_dropped_and_never_said(daemon: bool, workspace: Path, port: str) -> None:
    assert hook(workspace, CLAUDE_CODE_SSE_PORT=port) == "unset CLAUDE_CODE_SSE_PORT\n"
    assert list(workspace.iterdir()) == []


def test_a_port_without_a_lock_file_is_nobody_s(daemon: bool, workspace: Path, ide: StartIde) -> None:
    window = ide()
    window.lock.unlink()
    assert hook(workspace, CLAUDE_CODE_SSE_PORT=str(window.port)) == "unset CLAUDE_CODE_SSE_PORT\n"


def test_a_configured_directory_counts(daemon: bool, home: Path, workspace: Path, ide: StartIde) -> None:
    window = ide(lock_dir=home / "configured" / "ide")
    found = hook(workspace, CLAUDE_CODE_SSE_PORT=str(window.port), CLAUDE_CONFIG_DIR=str(home / "configured"))
    assert found == f"export CLAUDE_CODE_SSE_PORT={window.port} ENABLE_IDE_INTEGRATION=true\n"


def test_a_port_that_was_chosen_for_this_agent_is_left_alone(daemon: bool, workspace: Path) -> None:
    assert hook(workspace, CLAUDE_CODE_SSE_PORT="1", CLAUDE_CODE_IDE_SKIP_VALID_CHECK="1") == ""


# ---- what only the daemon knows


@EACH_SHELL
def test_a_terminal_inside_an_ide_needs_no_port(shell: str, workspace: Path, ide: StartIde) -> None:
    bridge("up", cwd=workspace)
    window = ide("--pid", str(os.getpid()))
    assert evaluated(shell, workspace) == [str(window.port), "true"]


def test_the_ide_that_is_pinned_goes_first_and_is_that_or_none(workspace: Path, ide: StartIde) -> None:
    own, cursor = ide(), ide("--name", "Cursor")
    bridge("use", "cursor", "--workspace", cwd=workspace)
    here = {"CLAUDE_CODE_SSE_PORT": str(own.port)}
    assert hook(workspace, **here) == f"export CLAUDE_CODE_SSE_PORT={cursor.port} ENABLE_IDE_INTEGRATION=true\n"
    cursor.kill()
    assert hook(workspace, **here) == "unset CLAUDE_CODE_SSE_PORT\n"


# ---- failures


def test_where_nothing_works_nothing_is_printed(workspace: Path) -> None:
    assert hook(workspace, CLAUDE_CODE_SSE_PORT="1", HOME="") == ""
    script = f"mkdir gone && cd gone && rmdir ../gone && exec {HOOK} bash"
    done = subprocess.run(["sh", "-c", script], cwd=workspace, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_in_wsl_only_the_daemon_knows_what_is_stale(workspace: Path) -> None:
    assert hook(workspace, CLAUDE_CODE_SSE_PORT="1", WSL_DISTRO_NAME="Ubuntu") == ""


def test_a_daemon_that_hangs_keeps_nobody_waiting(workspace: Path, ide: StartIde) -> None:
    bridge("up", cwd=workspace)
    about = daemon_about()
    assert about is not None
    os.kill(about["pid"], signal.SIGSTOP)
    assert hook(workspace, CLAUDE_CODE_SSE_PORT="1") == "unset CLAUDE_CODE_SSE_PORT\n"


def test_a_shell_that_is_not_known_is_the_user_s_mistake(workspace: Path) -> None:
    assert bridge("shell-hook", "tcsh", cwd=workspace).returncode == 2


# ---- tmux


@pytest.fixture
def tmux(workspace: Path, ide: StartIde) -> Iterator[Tmux]:
    """A server that was started in the terminal of a window that has ended since."""
    closed = ide()
    closed.kill()
    with closing(Tmux(workspace, CLAUDE_CODE_SSE_PORT=str(closed.port))) as server:
        yield server


@needs_tmux
def test_in_tmux_the_terminal_is_that_of_the_client(daemon: bool, workspace: Path, ide: StartIde, tmux: Tmux) -> None:
    window = ide()
    script = SHELLS["bash"][-1]
    assert tmux.run(script=script).split() == ["none", "none"]
    tmux.attach(CLAUDE_CODE_SSE_PORT=str(window.port))
    assert tmux.run(script=script).split() == [str(window.port), "true"]
    window.kill()
    assert tmux.run(script=script).split() == ["none", "none"]


@needs_tmux
def test_in_tmux_every_command_is_in_the_terminal_of_the_client(workspace: Path, ide: StartIde, tmux: Tmux) -> None:
    """By its port, and by the processes that the client descends from."""
    older, _ = ide("--name", "Cursor", "--pid", str(os.getpid())), ide()
    tmux.attach()
    said = tmux.run(*BRIDGE, "status")
    assert f"● Cursor  {older.port}" in said
    assert "the terminal runs inside it" in said
    assert tmux.run(script=SHELLS["bash"][-1]).split() == [str(older.port), "true"]
    tmux.detach()
    assert f"○ Cursor  {older.port}" in tmux.run(*BRIDGE, "status")
