"""``bridge doctor`` as it is typed: what it says of real trouble, and whether the fix that it names mends it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from tests.e2e.support import PATIENCE_S, ROOT, Ide, Lines, bridge, daemon_about, kill_daemon, wait_gone
from tests.ides.lockfiles import write_lock

StartIde = Callable[..., Ide]
Finding = dict[str, Any]


@pytest.fixture
def state(home: Path) -> Path:
    """Where the bridge keeps its things; there once it has run."""
    return home / ".local/state/bridge"


@pytest.fixture
def up(workspace: Path, started: list[Any]) -> None:
    """A daemon that runs."""
    assert bridge("up", cwd=workspace).returncode == 0


def examine(cwd: Path, **environ: Any) -> tuple[int, list[Finding]]:
    """Give the exit code and the findings."""
    done = bridge("doctor", "--json", cwd=cwd, **environ)
    assert done.stderr == ""
    findings: list[Finding] = json.loads(done.stdout)
    assert all(set(finding) == {"check", "level", "found", "fix"} for finding in findings)
    return done.returncode, findings


def of(check: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding["check"] == check]


def trouble(check: str, cwd: Path, **environ: Any) -> tuple[int, Finding]:
    """Give the exit code and the one complaint of this check."""
    code, findings = examine(cwd, **environ)
    (found,) = [finding for finding in of(check, findings) if finding["level"] != "ok"]
    return code, found


def type_in(command: str, cwd: Path) -> None:
    """Type a fix into a shell."""
    subprocess.run(["sh", "-c", command], cwd=cwd, check=True, timeout=PATIENCE_S)


# ---- nothing is wrong


def test_a_fresh_home_is_fine_and_no_daemon_is_started_to_say_so(workspace: Path, state: Path) -> None:
    code, findings = examine(workspace)
    assert code == 0
    assert of("daemon", findings)[0]["found"] == "not running (any command starts it)"
    assert of("journal", findings)[0]["found"] == "none yet"
    assert not state.exists()


def test_a_running_bridge_and_an_ide_are_fine_and_the_ide_is_not_contacted(
    workspace: Path, up: None, ide: StartIde
) -> None:
    window = ide()
    code, findings = examine(workspace, BROWSER="firefox")
    assert code == 0
    about = daemon_about()
    assert about is not None
    assert of("daemon", findings)[0]["found"].startswith(f"running (pid {about['pid']}), answers in ")
    assert of("sandbox", findings) == [
        {"check": "sandbox", "level": "ok", "found": "the daemon sees what this terminal sees", "fix": None}
    ]
    assert [f["found"] for f in of("ide", findings)] == [f"Visual Studio Code on port {window.port}: listens"]
    assert {"configuration", "state", "runtime", "disk", "journal", "browser", "versions"} <= {
        finding["check"] for finding in findings if finding["level"] == "ok"
    }
    window.do("speak up")
    window.until("error")
    assert [event["event"] for event in window.events] == ["ready", "error"]


def test_an_ide_is_found_without_a_daemon(workspace: Path, ide: StartIde) -> None:
    window = ide()
    _, findings = examine(workspace, CLAUDE_CODE_SSE_PORT=str(window.port))
    assert [f["found"] for f in of("ide", findings)] == [f"Visual Studio Code on port {window.port}: listens"]
    assert of("terminal", findings) == []
    assert daemon_about() is None


@pytest.mark.skipif(sys.platform != "linux", reason="counts what Linux limits")
def test_what_is_used_of_the_systems_limits_is_counted(workspace: Path, up: None) -> None:
    _, findings = examine(workspace)
    said = [finding["found"].split(" ", 3) for finding in of("limits", findings)]
    assert [words[3] for words in said] == ["open files in use", "inotify instances in use", "inotify watches in use"]
    assert all(int(used) > 0 for used, *_ in said)  # the daemon watches lock directories


def test_people_get_lines_and_a_sum_and_no_control_character_from_a_name(workspace: Path, ide: StartIde) -> None:
    ide("--name", "Evil\x1b[2J\u202eIDE\n")
    done = bridge("doctor", cwd=workspace)
    assert "\x1b" not in done.stdout
    assert r"ide: Evil\x1b[2J\u202eIDE\x0a on port" in done.stdout
    lines = done.stdout.splitlines()
    assert lines[lines.index(next(line for line in lines if line.startswith("warn  browser: "))) + 1].startswith(
        "      fix: "
    )
    fine = sum(line.startswith("ok    ") for line in lines)
    assert lines[-1] == f"0 failed, 1 to look at, {fine} fine"


def test_levels_are_coloured_where_colour_is_wanted(workspace: Path) -> None:
    done = bridge("doctor", cwd=workspace, FORCE_COLOR="1")
    assert "\x1b[32mok  \x1b[0m  disk: " in done.stdout
    assert "\x1b[33mwarn\x1b[0m  browser: " in done.stdout


def test_the_bridge_is_no_ide_and_is_told_of_beside_one(workspace: Path, up: None, ide: StartIde) -> None:
    assert bridge("publish", "on", cwd=workspace).returncode == 0
    code, findings = examine(workspace)
    (none,), (published,) = of("ide", findings), of("published", findings)
    assert none["found"].startswith("none announces itself")
    assert (code, published["level"]) == (0, "ok")
    assert published["found"].startswith("agents find the bridge on port ")
    port = ide().port
    code, contested = trouble("published", workspace)
    assert (code, f"on port {port}: agents connect to none" in contested["found"]) == (0, True)
    assert len(of("ide", examine(workspace)[1])) == 1
    assert bridge("publish", "off", cwd=workspace).returncode == 0
    assert of("published", examine(workspace)[1]) == []


# ---- the daemon


def test_a_killed_daemon_is_no_failure(workspace: Path, up: None) -> None:
    kill_daemon()
    code, findings = examine(workspace)
    assert (code, of("daemon", findings)[0]["level"]) == (0, "ok")


def test_a_daemon_that_hangs_is_mended_by_the_command_that_is_named(workspace: Path, up: None) -> None:
    about = daemon_about()
    assert about is not None
    os.kill(about["pid"], signal.SIGSTOP)
    code, found = trouble("daemon", workspace)
    assert code == 69
    assert "does not answer" in found["found"]
    kill, start = found["fix"].split("; ")
    assert (kill, start) == (f"kill -9 {about['pid']}", "bridge up")
    type_in(kill, workspace)
    wait_gone(about["pid"])
    assert bridge(*start.split()[1:], cwd=workspace).returncode == 0
    assert of("daemon", examine(workspace)[1])[0]["level"] == "ok"


# A daemon of another version and home, in the foreground of a terminal somewhere.
STRANGE = """
import bridge
bridge.__version__ = "0.0.1"
from bridge.cli import main
main(["up", "--foreground"])
"""


@pytest.fixture
def strange(home: Path, tmp_path: Path, workspace: Path) -> Iterator[None]:
    elsewhere = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(home / ".local/state"), "PYTHONPATH": str(ROOT)}
    environ = {**os.environ, **elsewhere}
    process = subprocess.Popen([sys.executable, "-c", STRANGE], cwd=workspace, env=environ, stderr=subprocess.PIPE)
    try:
        Lines(process.stderr).until(lambda line: line.startswith("the bridge is running"))
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.usefixtures("strange")
def test_a_daemon_of_another_version_home_or_directory_is_told_of(workspace: Path, tmp_path: Path, home: Path) -> None:
    code, findings = examine(workspace)
    assert code == 0
    (version,) = of("version", findings)
    assert version["found"] == f"the daemon is version 0.0.1, this command is {__version__}"
    assert version["fix"] == "bridge restart"
    if sys.platform == "linux":
        said = [finding["found"] for finding in of("environment", findings)]
        assert said[0].startswith(f"the daemon's HOME is {tmp_path}, this terminal's is {home}")
        assert said[1].startswith(f"the daemon stands in {workspace}")


# Sandboxes forbid themselves to gain privileges (PR_SET_NO_NEW_PRIVS, prctl(2)), and so does what they start.
CONFINED = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-m", "bridge", "up"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_a_daemon_that_was_started_in_a_sandbox_is_told_of_until_it_is_restarted(
    workspace: Path, started: list[Any]
) -> None:
    subprocess.run([sys.executable, "-c", CONFINED], cwd=ROOT, check=True, timeout=PATIENCE_S * 2)
    code, found = trouble("sandbox", workspace)
    assert code == 0
    assert found["found"].endswith(": it can gain no privileges")
    assert found["fix"] == "from an ordinary terminal: bridge restart"
    assert bridge("restart", cwd=workspace).returncode == 0
    assert [finding["level"] for finding in of("sandbox", examine(workspace)[1])] == ["ok"]


# ---- files and directories


def test_a_state_directory_that_others_may_enter_is_a_failure_of_trust(workspace: Path, up: None, state: Path) -> None:
    state.chmod(0o755)
    code, found = trouble("state", workspace)
    assert (code, found["level"]) == (77, "fail")
    type_in(found["fix"], workspace)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert examine(workspace)[0] == 0


def test_a_runtime_directory_that_others_may_enter_is_a_failure_of_trust(workspace: Path, up: None) -> None:
    about = daemon_about()
    assert about is not None
    runtime = Path(about["socket"]).parent
    runtime.chmod(0o750)
    code, found = trouble("runtime", workspace)
    assert code == 77
    type_in(found["fix"], workspace)
    assert examine(workspace)[0] == 0


@pytest.mark.parametrize("file", ["journal.sqlite", "socket"])
def test_files_that_others_may_read_are_mended(workspace: Path, up: None, state: Path, file: str) -> None:
    about = daemon_about()
    assert about is not None
    path = Path(about["socket"]) if file == "socket" else state / file
    path.chmod(0o666)
    code, found = trouble("files", workspace)
    assert (code, found["fix"]) == (0, f"chmod 600 {path}")
    type_in(found["fix"], workspace)
    assert of("files", examine(workspace)[1]) == []


def test_a_file_where_the_state_directory_should_be_made(workspace: Path, home: Path) -> None:
    (home / ".local").write_text("")
    code, found = trouble("state", workspace)
    assert code == 78
    assert "Not a directory" in found["found"]


def test_a_journal_that_was_deleted_under_the_daemon_is_a_failure(workspace: Path, up: None, state: Path) -> None:
    (state / "journal.sqlite").unlink()
    code, found = trouble("journal", workspace)
    assert (code, found["fix"]) == (69, "bridge restart")
    assert bridge("restart", cwd=workspace).returncode == 0
    assert examine(workspace)[0] == 0


def test_a_broken_journal_is_told_of_until_it_is_removed(workspace: Path, state: Path, started: list[Any]) -> None:
    state.mkdir(mode=0o700, parents=True)
    (state / "journal.sqlite").write_bytes(b"no database, but long enough to be taken for one" * 100)
    (state / "journal.sqlite").chmod(0o600)
    assert bridge("up", cwd=workspace).returncode == 0
    _, findings = examine(workspace)
    (warning,) = of("warning", findings)
    assert "journal was broken" in warning["found"]
    _, found = trouble("journal", workspace)
    prose, command = found["fix"].split(": ", 1)
    assert prose == "if you do not miss any"
    type_in(command, workspace)
    assert [finding["level"] for finding in of("journal", examine(workspace)[1])] == ["ok"]


def test_a_journal_from_the_future_tells_that_the_clock_was_set_back(workspace: Path, up: None, state: Path) -> None:
    journal = state / "journal.sqlite"
    ahead = journal.stat().st_mtime + 7200
    os.utime(journal, (ahead, ahead))
    code, found = trouble("clock", workspace)
    assert code == 0
    type_in(found["fix"].partition("if it is right now: ")[2], workspace)
    assert of("clock", examine(workspace)[1]) == []


@pytest.mark.parametrize("text", ["takeover = maybe", "takover = true", "idle_minutes = -1"])
def test_a_configuration_that_cannot_be_used_is_a_failure(workspace: Path, home: Path, text: str) -> None:
    config = home / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text)
    code, found = trouble("configuration", workspace)
    assert (code, found["fix"]) == (78, f"edit {config}")


@pytest.mark.parametrize("value", ["", "home"])
def test_without_a_home_there_is_nothing_to_look_at(workspace: Path, value: str) -> None:
    code, (found,) = examine(workspace, HOME=value)
    assert (code, found["check"], found["level"]) == (78, "home", "fail")


def test_a_home_that_does_not_exist_is_a_failure(workspace: Path, tmp_path: Path) -> None:
    code, found = trouble("home", workspace, HOME=str(tmp_path / "nowhere"))
    assert (code, found["fix"]) == (78, "set HOME to your home directory")


def test_the_working_directory_may_be_gone(workspace: Path, up: None) -> None:
    gone = workspace / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD"; exec "$0" -m bridge doctor'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# ---- IDEs and the terminal


def test_a_dead_ides_lock_file_and_port_variable_are_told_of_and_mended(workspace: Path, ide: StartIde) -> None:
    window = ide()
    window.kill()
    _, findings = examine(workspace, CLAUDE_CODE_SSE_PORT=str(window.port))
    assert [f["found"] for f in of("terminal", findings)] == [
        f"CLAUDE_CODE_SSE_PORT is {window.port}, where no IDE listens: this terminal outlived its IDE"
    ]
    (stale,) = of("stale", findings)
    type_in(stale["fix"], workspace)
    assert not window.lock.exists()
    assert of("stale", examine(workspace)[1]) == []


def test_weak_lock_files_are_flagged_and_a_loose_mode_is_mended(workspace: Path, ide: StartIde) -> None:
    window = ide("--no-token")
    window.lock.chmod(0o644)
    code, findings = examine(workspace)
    assert code == 0
    no_token, mode = of("weak", findings)
    assert no_token["fix"] == "update its plugin"
    type_in(mode["fix"], workspace)
    assert of("weak", examine(workspace)[1]) == [no_token]


def test_a_window_whose_plugin_has_stopped_is_not_taken_for_stale(workspace: Path, home: Path) -> None:
    directory = home / ".claude/ide"
    directory.mkdir(mode=0o700, parents=True)
    write_lock(directory, 9, pid=os.getpid())  # nobody serves "discard" any more
    _, found = trouble("ide", workspace)
    assert found["found"].endswith(f"process {os.getpid()} runs, but nothing listens there")
    assert found["fix"] == "reload its window"


def test_what_is_not_believed_is_told_with_its_reason_and_mended(workspace: Path, home: Path) -> None:
    parent = home / ".claude"
    parent.mkdir(mode=0o700)
    (parent / "real").mkdir(mode=0o700)
    (parent / "ide").symlink_to("real")
    _, found = trouble("ignored", workspace)
    assert "is a symlink" in found["found"]
    type_in(found["fix"], workspace)
    (parent / "ide").chmod(0o777)
    _, found = trouble("ignored", workspace)
    assert "can be written by others" in found["found"]
    type_in(found["fix"], workspace)
    (parent / "ide/4001.lock").write_text("not JSON")
    _, found = trouble("ignored", workspace)
    type_in(found["fix"].partition("or: ")[2], workspace)
    assert of("ignored", examine(workspace)[1]) == []


def test_a_refused_token_is_known_from_the_daemons_link(workspace: Path, up: None, ide: StartIde, file: Path) -> None:
    window = ide()
    lock = json.loads(window.lock.read_text())
    window.lock.write_text(json.dumps({**lock, "authToken": "0" * 36}))
    assert bridge("open", str(file), cwd=workspace).returncode == 69
    _, found = trouble("ide", workspace)
    assert "refuses the token" in found["found"]
    assert lock["authToken"] not in str(found)


def test_a_proxy_for_everything_is_told_of_until_the_named_line_is_typed(workspace: Path) -> None:
    _, found = trouble("proxy", workspace, http_proxy="http://me:secret@proxy:3128", no_proxy="corp.example")
    assert "secret" not in str(found)
    typed = subprocess.run(
        ["sh", "-c", f"{found['fix']}; echo $no_proxy; echo $NO_PROXY"],
        env={**os.environ, "no_proxy": "corp.example"},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    lower, upper = typed.stdout.split()
    assert lower == upper == "127.0.0.1,localhost,::1,corp.example"
    _, findings = examine(workspace, http_proxy="http://proxy:3128", no_proxy=lower)
    assert of("proxy", findings) == []


def test_help_lists_the_exit_codes(workspace: Path) -> None:
    done = bridge("doctor", "--help", cwd=workspace)
    assert all(f"   {code}  " in done.stdout for code in (69, 77, 78))
