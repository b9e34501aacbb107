"""What every test has: a home of its own, and a guard over the real one (design.md D12)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.core import announcements
from bridge.core.launching import EDITORS, INSIDERS
from bridge.paths import Paths, paths
from pathconv import WSL, probe
from tests.fakedaemon import FakeDaemon, fake_daemon

_THIS_MACHINE = probe.this_machine
_REAL_HOME = os.path.realpath(os.path.expanduser("~"))
_FORBIDDEN = tuple(os.path.join(_REAL_HOME, name) for name in (".claude", ".qwen"))
_WATCHED = frozenset({"open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename", "sqlite3.connect"})


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    """Fail whatever would touch the real ``~/.claude`` or ``~/.qwen``, or start a program with the real home."""
    if event in _WATCHED and arguments and isinstance(arguments[0], str | bytes):
        path = os.fsdecode(arguments[0])
        if path.startswith(_FORBIDDEN):
            raise PermissionError(f"a test touches the real home: {event} {path}")
    elif event == "subprocess.Popen":
        environ = arguments[3] if isinstance(arguments[3], dict) else os.environ
        if os.path.realpath(environ.get("HOME", _REAL_HOME)) == _REAL_HOME:
            raise PermissionError("a test starts a program with the real HOME")


sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh home directory, in the environment of the test and of everything it starts.

    The runtime directory has a path of its own, since a socket's must be short.
    """
    fresh = tmp_path_factory.mktemp("home")
    runtime = Path(tempfile.mkdtemp(prefix="br-", dir="/tmp"))
    for name in list(os.environ):
        if name.startswith(("XDG_", "CLAUDE", "GEMINI_", "QWEN_", "TERM_", "VSCODE")) or name in _TERMINAL:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(fresh))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(announcements, "USUAL_TEMPORARY", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("PYTHONWARNINGS", "default")  # errors are pytest's to make; programs only tell
    if probe.Probe(_THIS_MACHINE()).env in WSL:  # programs that tests start must not look into the real profile
        config = fresh / ".config" / "bridge" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text('windows_profile = ""\n', encoding="utf-8")
    plain = probe.Machine(root=str(tmp_path_factory.mktemp("machine")), platform="linux", environ={})
    monkeypatch.setattr(probe, "this_machine", lambda: plain)
    yield fresh
    _end_daemon(fresh)
    shutil.rmtree(runtime, ignore_errors=True)


def _end_daemon(home: Path) -> None:
    """End the daemon that a failed test may have left in its home."""
    with suppress(OSError, ValueError, KeyError, TypeError):  # none was left, or the test wrote nonsense there
        about = json.loads((home / ".local/state/bridge/daemon.json").read_text(encoding="utf-8"))
        os.kill(about["pid"], signal.SIGKILL)


@pytest.fixture(autouse=True, scope="session")
def no_editors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test start an editor of this machine: its command fails in every test that brings no other."""
    programs = {editor.program for editor in (*EDITORS.values(), INSIDERS)}
    stubs = tmp_path_factory.mktemp("editors")
    for program in filter(shutil.which, programs):  # where there is none, that stays so
        (stubs / program).write_text(f"#!/bin/sh\necho a test starts the real {program} >&2\nexit 1\n")
        (stubs / program).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(stubs), prepend=os.pathsep)
        yield


_TERMINAL = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "VISUAL", "EDITOR", "TMUX", "STY", "NVIM", "INSIDE_EMACS")


_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where every test must run: a skipped one has shown nothing."""
    if _skipped and os.environ.get("BRIDGE_TESTS_MUST_RUN"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why the run failed."""
    if _skipped and os.environ.get("BRIDGE_TESTS_MUST_RUN"):
        terminalreporter.write_line(f"skipped, but must run here: {', '.join(_skipped)}", red=True)


@pytest.fixture
def places(home: Path) -> Paths:
    """Where the bridge keeps its files in the test's home."""
    return paths(os.environ)


@pytest.fixture
def daemon(home: Path) -> Iterator[FakeDaemon]:
    """A daemon of the test's own making."""
    with fake_daemon() as fake:
        yield fake
