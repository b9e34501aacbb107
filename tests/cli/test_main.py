"""What all commands have in common: help, exit codes, errors, and streams of every kind."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from bridge.cli import COMMANDS, main
from bridge.errors import ExitCode
from tests.cli.proposals import NEW, error_of, pending
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import PATIENCE_S, Ide, Running, bridge

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

# ---- help


def test_help_lists_every_command_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr()
    assert {name for name in COMMANDS if re.search(rf"^  {name} +\w", said.out, re.MULTILINE)} == set(COMMANDS)
    assert [int(code) for code in re.findall(r"^ +(\d+)  \w", said.out, re.MULTILINE)] == list(ExitCode)
    assert said.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (0, "")
    assert said.out.startswith(f"usage: bridge {command}")
    assert COMMANDS[command][1] in said.out


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        ([], 2, "", "usage: bridge COMMAND"),
        (["help"], 0, "usage: bridge COMMAND", ""),
        (["-h"], 0, "usage: bridge COMMAND", ""),
        (["--version"], 0, f"bridge {__version__}\n", ""),
        (["frobnicate"], 2, "", "error: there is no command frobnicate\n\nhint: bridge --help\n"),
        (["status", "--frob"], 2, "", "error: unrecognized arguments: --frob\n\nhint: bridge status --help\n"),
        (["\x1b[31m"], 2, "", r"error: there is no command \x1b[31m"),
    ],
)
def test_the_first_word_names_a_command(
    words: list[str], code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    said = capsys.readouterr()
    assert (said.out[: len(out)], said.err[: len(err)]) == (out, err)
    assert bool(said.out) == bool(out)


# ---- exit codes: each of the published table, as a program meets it


def _decided(file: Path, accept: bool) -> int:
    review_id = pending(file)
    decide_on_page(review_id, accept=accept)
    return bridge("review", "wait", review_id, cwd=file.parent).returncode


def _cancelled(file: Path) -> int:
    review_id = pending(file)
    assert bridge("review", "cancel", review_id, cwd=file.parent).returncode == 0
    return bridge("review", "wait", review_id, cwd=file.parent).returncode


def _unwritable(file: Path) -> int:
    review_id = pending(file.with_name("new.txt"))
    away = file.parent.with_name("away")
    file.parent.rename(away)
    decide_on_page(review_id)
    return bridge("review", "apply", review_id, cwd=away).returncode


def _loose(file: Path) -> int:
    state = Path(os.environ["HOME"]) / ".local/state/bridge"
    state.mkdir(parents=True)
    state.chmod(0o755)
    done = bridge("up", cwd=file.parent)
    assert f"hint: chmod 700 '{state}'" in done.stderr
    return done.returncode


def _misconfigured(file: Path) -> int:
    config = Path(os.environ["HOME"]) / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("takover = true\n")
    done = bridge("status", cwd=file.parent)
    assert "takover" in done.stderr
    assert f"hint: edit {config}" in done.stderr
    return done.returncode


def _interrupted(file: Path) -> int:
    diff = Running("diff", file.name, "--proposed", "-", cwd=file.parent, stdin=NEW)
    diff.err.until(lambda line: "the review page" in line)
    diff.process.send_signal(signal.SIGINT)
    return diff.end()


def _faulty(file: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.cli.status.run", lambda args: 1 // 0)
        return main(["status"])


WAYS: dict[ExitCode, Callable[[Path], int]] = {
    ExitCode.DONE: lambda file: _decided(file, accept=True),
    ExitCode.REJECTED: lambda file: _decided(file, accept=False),
    ExitCode.USAGE: lambda file: bridge("diff", file.name, cwd=file.parent).returncode,
    ExitCode.UNDECIDED: _cancelled,
    ExitCode.BAD_DATA: lambda file: bridge("diff", file.name, file.name, cwd=file.parent).returncode,
    ExitCode.UNAVAILABLE: lambda file: bridge("status", "--no-spawn", cwd=file.parent).returncode,
    ExitCode.BUG: _faulty,
    ExitCode.WRITE_FAILED: _unwritable,
    ExitCode.PENDING: lambda file: (
        bridge("review", "wait", pending(file), "--timeout", "0", cwd=file.parent).returncode
    ),
    ExitCode.NOT_TRUSTED: _loose,
    ExitCode.CONFIGURATION: _misconfigured,
    ExitCode.INTERRUPTED: _interrupted,
}


@pytest.mark.parametrize("code", ExitCode)
def test_every_published_exit_code_is_met(code: ExitCode, file: Path) -> None:
    assert WAYS[code](file) == code


# ---- errors


def test_an_error_is_told_to_people_on_stderr_and_to_programs_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--no-spawn", "--json"]) == 69
    said = capsys.readouterr()
    assert error_of(said.out) == ("unavailable", 69)
    assert said.err == "error: the bridge is not running\n\nhint: bridge up\n"


def test_a_bug_is_told_with_its_traceback_and_without_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise ValueError("a name \x1b[31m\x07")

    monkeypatch.setattr("bridge.cli.status.run", fail)
    assert main(["status", "--json"]) == 70
    said = capsys.readouterr()
    assert error_of(said.out) == ("bug", 70)
    assert r"ValueError: a name \x1b[31m\x07" in said.err
    assert "please report it" in said.err
    assert not set("\x1b\x07") & set(said.out + said.err)


def test_a_working_directory_that_is_gone_is_no_bug(workspace: Path) -> None:
    script = f"mkdir gone && cd gone && rmdir ../gone && exec {shlex.quote(sys.executable)} -m bridge status"
    done = subprocess.run(["sh", "-c", script], cwd=workspace, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr.partition("\n")[0]) == (2, "error: the working directory is gone")


# ---- streams


def run(*words: str, cwd: Path, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command with streams of the caller's choice."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words], cwd=cwd, stderr=subprocess.PIPE, timeout=PATIENCE_S, **how
    )


@pytest.fixture
def broken_pipe() -> Any:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_a_reader_that_has_had_enough_is_no_failure(workspace: Path, broken_pipe: int) -> None:
    done = run("--help", cwd=workspace, stdout=broken_pipe)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_decision_that_nobody_reads_still_gives_the_exit_code(file: Path, broken_pipe: int) -> None:
    review_id = pending(file)
    decide_on_page(review_id, accept=False)
    done = run("review", "wait", review_id, cwd=file.parent, stdout=broken_pipe)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_output_that_cannot_be_written_is_told(file: Path) -> None:
    review_id = pending(file)
    decide_on_page(review_id)
    with open("/dev/full", "wb") as full:
        for words in [("--help",), ("review", "result", review_id), ("review", "wait", review_id)]:
            done = run(*words, cwd=file.parent, stdout=full)
            assert (done.returncode, done.stderr.partition(b"\n")[0]) == (
                74,
                b"error: cannot write the output: No space left on device",
            )


def test_closed_streams_are_no_failure(workspace: Path) -> None:
    script = f"exec {shlex.quote(sys.executable)} -m bridge status >&- 2>&-"
    assert subprocess.run(["sh", "-c", script], cwd=workspace, timeout=PATIENCE_S * 2).returncode == 0


def test_a_locale_that_knows_ascii_alone_loses_no_name(workspace: Path, ide: Callable[..., Ide]) -> None:
    ascii_only: dict[str, Any] = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    file = workspace / "grün.txt"
    file.write_bytes(b"a\nb\n")
    words = ("diff", "grün.txt", "--proposed", "-", "--surface", "page", "--timeout", "0")
    asked = bridge(*words, cwd=workspace, stdin=NEW, **ascii_only)  # it also starts the daemon
    review_id = asked.stderr.split()[1]
    ide()
    outputs = [
        bridge("status", cwd=workspace, **ascii_only),
        bridge("review", "ls", cwd=workspace, **ascii_only),
        bridge("review", "show", review_id, cwd=workspace, **ascii_only),
    ]
    assert [done.returncode for done in outputs] == [0, 0, 0]
    assert all((done.stdout + done.stderr).isascii() for done in outputs)
    assert all(r"gr\xfcn.txt" in done.stdout for done in outputs)
    decide_on_page(review_id)
    applied = bridge("review", "apply", review_id, cwd=workspace, **ascii_only)
    assert (applied.returncode, file.read_bytes()) == (0, NEW)
