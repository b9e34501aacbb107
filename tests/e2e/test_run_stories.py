"""``bridge run`` and ``bridge publish`` with everything real: processes, terminals, locks, an IDE."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.agents.rawclient import Raw, all_leave
from tests.e2e.outsiders import status
from tests.e2e.support import BRIDGE, PATIENCE_S, Ide, bridge, daemon_about, kill_daemon, until, wait_gone
from tests.e2e.terminal import ControllingTerminal, Terminal

T = TypeVar("T")
StartIde = Callable[..., Ide]

# Says which process it is and what it was given, then does as it is told.
CHILD = 'env -0 > "$REPORT.new"; echo "$$" > "$REPORT.pid"; mv "$REPORT.new" "$REPORT"; read -r word; eval "$word"'


def listed(directory: Path) -> list[str]:
    """List the lock files in a directory."""
    return sorted(name for name in os.listdir(directory) if name.endswith(".lock")) if directory.exists() else []


class Run:
    """A ``bridge run`` and its child, which waits for a word."""

    def __init__(
        self, cwd: Path, report: Path, *words: str, child: Sequence[str] = ("sh", "-c", CHILD), **environ: str
    ) -> None:
        self.process = subprocess.Popen(
            [*BRIDGE, "run", *words, "--", *child],
            cwd=cwd,
            env={**os.environ, "REPORT": str(report), **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        until(lambda: report.exists() or self.process.poll() is not None, "the child did not start")
        assert report.exists(), self.process.communicate()
        said = report.read_bytes().split(b"\0")
        self.environ = dict(os.fsdecode(row).split("=", 1) for row in said if row)
        self.child = int(report.with_name(report.name + ".pid").read_text())
        self.port = int(self.environ["CLAUDE_CODE_SSE_PORT"])
        home = self.environ.get("CLAUDE_CONFIG_DIR") or self.environ["HOME"] + "/.claude"
        self.lock = Path(home, "ide", f"{self.port}.lock")

    def says(self) -> dict[str, Any]:
        """Read the lock file."""
        said: dict[str, Any] = json.loads(self.lock.read_text(encoding="utf-8"))
        return said

    def tell(self, word: str) -> None:
        """Tell the child what to do."""
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def end(self, word: str = "exit 0") -> int:
        """Let the child end, and give the exit code of ``bridge run``."""
        with suppress(BrokenPipeError):
            self.tell(word)
        return self.process.wait(PATIENCE_S)

    def gone(self) -> None:
        """Wait until the lock file is gone."""
        until(lambda: not self.lock.exists(), "the lock file is there still")

    def close(self) -> None:
        """End both."""
        for pid in (self.process.pid, self.child):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE_S)
        wait_gone(self.child)


StartRun = Callable[..., Run]


@pytest.fixture
def run(workspace: Path, tmp_path: Path, started: list[Any]) -> StartRun:
    def start(*words: str, cwd: Path | None = None, **more: Any) -> Run:
        started.append(Run(cwd or workspace, tmp_path / f"report{len(started)}", *words, **more))
        return started[-1]  # type: ignore[no-any-return]

    return start


@pytest.fixture
def locks(home: Path) -> Path:
    return home / ".claude" / "ide"


def matching(directory: Path, cwd: Path) -> list[Path]:
    """Find an IDE as today's agent does that nobody told a port (docs/protocol.md "Publishing").

    Every lock file with a workspace folder that is the working directory or holds it; only one and one alone will do.
    """
    found = []
    for name in listed(directory):
        folders = json.loads((directory / name).read_text(encoding="utf-8"))["workspaceFolders"]
        if any(cwd == Path(folder) or Path(folder) in cwd.parents for folder in folders):
            found.append(directory / name)
    return found


def attached(run: Run, do: Callable[[Raw], Awaitable[T]]) -> T:
    """Attach as the child would, with what it was told, and do something."""

    async def attach() -> T:
        raw = await Raw.agent(run.port, run.says()["authToken"])
        try:
            await raw.ask(1, "initialize", {"protocolVersion": "2024-11-05"})
            return await do(raw)
        finally:
            await all_leave()

    return asyncio.run(attach())


async def _ping(raw: Raw) -> Any:
    return (await raw.ask(2, "ping"))["result"]


def answers(run: Run) -> bool:
    """Tell whether the bridge answers where the child would look for it."""
    return bool(attached(run, _ping) == {})


# ---- many agents, one window


def test_two_share_the_window_and_the_third_still_finds_exactly_one(
    ide: StartIde, run: StartRun, locks: Path, workspace: Path
) -> None:
    window = ide("--human", "accept")
    one, two = run(), run("--sse")
    assert len(listed(locks)) == 3
    assert matching(locks, workspace) == [window.lock]
    assert matching(locks, workspace / "src") == [window.lock]
    three = run()

    async def work() -> list[Any]:
        agents = [await Raw.agent(each.port, each.says()["authToken"]) for each in (one, three)]
        try:
            call = {"name": "getOpenEditors", "arguments": {}}
            said = [await agent.ask(1, "tools/call", call) for agent in agents for _ in range(3)]
            diff = {"new_file_contents": "new\n"}
            diff |= dict.fromkeys(("old_file_path", "new_file_path", "tab_name"), str(workspace / "f.txt"))
            said += [await agents[0].ask(2, "tools/call", {"name": "openDiff", "arguments": diff})]
        finally:
            await all_leave()
        return said

    *calls, decided = asyncio.run(work())
    assert all("tabs" in said["result"]["content"][0]["text"] for said in calls)
    assert [item["text"] for item in decided["result"]["content"]] == ["FILE_SAVED", "new\n"]
    said = status(workspace)
    assert [ide["port"] for ide in said["ides"]] == [window.port]  # the bridge is none to itself
    assert {row["port"] for row in said["published"]} == {one.port, two.port, three.port}
    for each in (one, two, three):
        assert each.end() == 0
        each.gone()
    assert matching(locks, workspace) == [window.lock]


def test_a_command_inside_finds_the_window_and_not_the_bridge(ide: StartIde, run: StartRun, workspace: Path) -> None:
    window = ide()
    inside = run()
    said = status(workspace, **{name: inside.environ[name] for name in inside.environ if name.startswith("CLAUDE")})
    assert [(row["port"], row["chosen"]) for row in said["ides"]] == [(window.port, True)]


def test_one_inside_another_has_a_port_of_its_own(run: StartRun, tmp_path: Path) -> None:
    outer = run()
    inner = run(**{name: value for name, value in outer.environ.items() if name.startswith("CLAUDE")})
    assert inner.port != outer.port
    assert answers(inner)
    assert answers(outer)


# ---- what the child is given


def test_the_child_is_told_where_its_ide_is_and_nothing_else_changes(run: StartRun) -> None:
    child = run()
    told = child.environ
    added = {
        name: told[name] for name in told if name not in os.environ and name not in ("PWD", "OLDPWD", "_", "SHLVL")
    }
    assert added == {
        "REPORT": told["REPORT"],
        "CLAUDE_CODE_SSE_PORT": str(child.port),
        "CLAUDE_CODE_IDE_SKIP_VALID_CHECK": "1",
        "CLAUDE_CODE_AUTO_CONNECT_IDE": "true",
        "ENABLE_IDE_INTEGRATION": "true",
    }
    assert child.says()["pid"] == child.process.pid  # an ancestor of the agent
    assert child.says()["transport"] == "ws"


def test_a_configuration_directory_of_its_own_stays_and_the_lock_goes_there(
    run: StartRun, home: Path, locks: Path
) -> None:
    private = str(home / "private")
    child = run(CLAUDE_CONFIG_DIR=private)
    assert child.environ["CLAUDE_CONFIG_DIR"] == private
    assert listed(Path(private, "ide")) == [child.lock.name]
    assert listed(locks) == []
    assert answers(child)
    child.end()
    child.gone()


def test_what_goes_in_and_out_is_the_child_s_own(workspace: Path, started: list[Any]) -> None:
    data = bytes(range(256)) * 1000
    done = subprocess.run(
        [*BRIDGE, "run", "--", "cat"], cwd=workspace, input=data, capture_output=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")


def test_its_words_are_passed_on_as_they_are(workspace: Path, started: list[Any]) -> None:
    words = ["--", "--sse", "", "a b", "'\"$x", "\udcff", "--help"]
    show = "import os, sys; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    command = [os.fsencode(word) for word in ("run", sys.executable, "-I", "-c", show, *words)]
    done = subprocess.run([*BRIDGE, *command], cwd=workspace, capture_output=True, timeout=PATIENCE_S)
    assert done.stdout == b"|".join(map(os.fsencode, words))


@pytest.mark.parametrize("ignoring", [False, True])
def test_signals_are_what_they_were(workspace: Path, started: list[Any], ignoring: bool) -> None:
    """As after ``nohup`` or ``&`` in a script, where some are ignored."""

    def ignore() -> None:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if ignoring else signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)

    usual: Any = {"cwd": workspace, "capture_output": True, "timeout": PATIENCE_S, "preexec_fn": ignore}

    def signals(*words: str) -> list[int]:
        done = subprocess.run([*words, "grep", "^Sig[BI]", "/proc/self/status"], **usual)
        # But for two that are the C library's own: its way to start a program ignores them.
        return [int(line.split()[1], 16) & ~(1 << 31 | 1 << 32) for line in done.stdout.splitlines()]

    assert signals(*BRIDGE, "run", "--") == signals()
    assert len(signals()) == 2


# ---- every way of ending


@pytest.mark.parametrize("code", [0, 1, 42, 126, 255])
def test_the_exit_code_is_the_child_s(run: StartRun, code: int) -> None:
    child = run()
    assert answers(child)
    assert child.end(f"exit {code}") == code
    child.gone()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGINT])
def test_a_child_that_is_killed(run: StartRun, number: signal.Signals) -> None:
    child = run()
    os.kill(child.child, number)
    assert child.process.wait(PATIENCE_S) == 128 + number
    child.gone()


def test_the_lock_outlives_bridge_run_as_long_as_the_child_lives(run: StartRun) -> None:
    child = run()
    child.process.kill()
    child.process.wait(PATIENCE_S)
    assert answers(child)
    until(lambda: child.says()["pid"] == child.child, "the lock file names a dead process")
    assert answers(child)
    child.tell("exit 0")
    wait_gone(child.child)
    child.gone()


def test_a_killed_daemon_comes_back_at_the_same_port(run: StartRun, workspace: Path) -> None:
    child = run()
    for _ in range(2):
        before = child.says()["authToken"]
        killed = kill_daemon()
        until(lambda: child.lock.exists() and child.says()["authToken"] != before, "it was not published again")  # noqa: B023
        assert answers(child)
        (row,) = status(workspace)["published"]
        assert (row["port"], row["pid"], row["everywhere"]) == (child.port, child.child, False)
        assert daemon_about() is not None
        assert daemon_about()["pid"] != killed  # type: ignore[index]
    assert child.end("exit 5") == 5
    child.gone()


def test_what_everybody_left_who_was_killed_is_removed_by_the_next_daemon(
    run: StartRun, workspace: Path, locks: Path
) -> None:
    child = run()
    child.process.kill()
    child.process.wait(PATIENCE_S)
    kill_daemon()
    os.kill(child.child, signal.SIGKILL)
    wait_gone(child.child)
    assert listed(locks) == [child.lock.name]
    assert status(workspace)["published"] == []
    assert listed(locks) == []


def test_a_stopped_daemon_takes_the_lock_with_it_and_the_child_goes_on(run: StartRun, workspace: Path) -> None:
    child = run()
    assert bridge("down", cwd=workspace).returncode == 0
    assert not child.lock.exists()
    assert child.end("exit 6") == 6
    assert daemon_about() is None or not child.lock.exists()


def test_a_daemon_that_is_restarted_serves_the_child_again(run: StartRun, workspace: Path) -> None:
    child = run("--sse")
    before = child.says()["authToken"]
    assert bridge("restart", cwd=workspace).returncode == 0
    until(lambda: child.lock.exists() and child.says()["authToken"] != before, "it was not published again")
    assert child.says()["transport"] == "sse"
    assert child.end("exit 7") == 7
    child.gone()


def test_where_the_port_is_taken_meanwhile_nothing_is_published(
    run: StartRun, locks: Path, workspace: Path, home: Path
) -> None:
    """Nobody would look for us on another port."""
    log = home / ".local/state/bridge/log/daemon.log"
    child = run()
    child.process.send_signal(signal.SIGSTOP)
    kill_daemon()
    log.unlink()
    with socket.create_server(("127.0.0.1", child.port)):
        child.process.send_signal(signal.SIGCONT)
        until(lambda: log.exists() and "no longer published" in log.read_text(), "it was not taken back")
        assert listed(locks) == []
        assert status(workspace)["published"] == []
    assert child.end("exit 8") == 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_bridge_run_are_the_child_s_to_obey(run: StartRun, number: signal.Signals) -> None:
    child = run(child=("sh", "-c", f'trap "exit 9" {number.name[3:]}; {CHILD}'))
    child.process.send_signal(number)
    assert child.process.wait(PATIENCE_S) == 9
    child.gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_signals_that_the_terminal_sends_to_both_are_not_sent_twice(run: StartRun, number: signal.Signals) -> None:
    child = run()
    child.process.send_signal(number)
    assert answers(child)
    assert child.end("exit 3") == 3


def test_a_child_that_leaves_another_behind_takes_its_lock_along(run: StartRun, tmp_path: Path) -> None:
    child = run()
    assert child.end(f"sleep 60 >/dev/null 2>&1 </dev/null & echo $! > {tmp_path}/left; exit 0") == 0
    child.gone()
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


def test_an_agent_that_is_attached_when_its_child_ends_is_told_goodbye(run: StartRun) -> None:
    child = run()

    async def end(raw: Raw) -> tuple[int, bytes]:
        child.end()
        return await raw.closed()

    assert attached(child, end) == (1001, b"the bridge stops")


# ---- what cannot be run


@pytest.mark.parametrize(
    ("word", "code", "why"),
    [("no-such-command", 127, "No such file"), ("./text", 126, "Permission denied"), (".", 126, "Permission denied")],
)
def test_a_command_that_cannot_be_run(
    workspace: Path, locks: Path, started: list[Any], word: str, code: int, why: str
) -> None:
    (workspace / "text").write_text("no program", encoding="utf-8")
    done = bridge("run", "--", word, cwd=workspace)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"error: cannot run {word}: {why}")
    until(lambda: listed(locks) == [], "the lock file is there still")


def test_a_name_that_would_do_something_to_the_terminal_is_made_visible(workspace: Path, started: list[Any]) -> None:
    assert "\x1b" not in bridge("run", "--", "\x1b[31mred", cwd=workspace).stderr


def test_without_a_command_there_is_nothing_to_run(workspace: Path, started: list[Any]) -> None:
    for words in ((), ("--",), ("--sse", "--")):
        done = bridge("run", *words, cwd=workspace)
        assert (done.returncode, "there is no command" in done.stderr) == (2, True)
    assert daemon_about() is None


def test_without_a_daemon_the_command_is_not_run(workspace: Path, started: list[Any]) -> None:
    done = bridge("run", "--no-spawn", "--", "touch", "made", cwd=workspace)
    assert (done.returncode, "bridge up" in done.stderr) == (69, True)
    assert not (workspace / "made").exists()


def test_where_no_lock_file_can_be_written_the_command_is_not_run(
    workspace: Path, home: Path, started: list[Any]
) -> None:
    (home / ".claude").write_text("", encoding="utf-8")
    done = bridge("run", "--", "touch", "made", cwd=workspace)
    assert (done.returncode, "cannot write" in done.stderr) == (69, True)
    assert not (workspace / "made").exists()
    assert status(workspace)["published"] == []


# ---- in a terminal


def terminal(*words: str, cwd: Path) -> Terminal:
    """Run something in a terminal of its own, which is as dumb as can be."""
    return ControllingTerminal(words, cwd=cwd, PS1="$ ", TERM="dumb", HISTFILE="/dev/null")


# Without line editing: its changes of the terminal's mode now and then lose what is typed meanwhile.
SHELL = ("bash", "--norc", "--noprofile", "--noediting", "-i")


async def test_ctrl_c_is_the_child_s_to_obey(workspace: Path, locks: Path, started: list[Any]) -> None:
    script = 'trap "echo caught" INT; echo ready; while ! read -r a; do :; done; exit 4'
    with terminal(*BRIDGE, "run", "--", "bash", "-c", script, cwd=workspace) as screen:
        await screen.until("ready")
        (name,) = listed(locks)
        screen.type("\x03")
        await screen.until("caught")
        assert listed(locks) == [name]
        screen.type("\n")
        assert await screen.end() == 4
    until(lambda: listed(locks) == [], "the lock file is there still")


async def test_ctrl_c_ends_both_where_the_child_does_not_mind(workspace: Path, locks: Path, started: list[Any]) -> None:
    with terminal(*BRIDGE, "run", "--", "sh", "-c", "echo ready; exec sleep 60", cwd=workspace) as screen:
        await screen.until("ready")
        screen.type("\x03")
        assert await screen.end() == 128 + signal.SIGINT
        assert "Traceback" not in screen.screen
    until(lambda: listed(locks) == [], "the lock file is there still")


async def test_a_closed_terminal_ends_both(workspace: Path, locks: Path, started: list[Any]) -> None:
    with terminal(*BRIDGE, "run", "--", "sh", "-c", "echo $$ ready; exec sleep 60", cwd=workspace) as screen:
        pid = int((await screen.until("ready")).split()[0])
        screen.hang_up()
        wait_gone(pid)
        assert screen.process.wait(PATIENCE_S) == 128 + signal.SIGHUP
    until(lambda: listed(locks) == [], "the lock file is there still")


async def test_ctrl_z_and_fg_in_a_shell(workspace: Path, locks: Path, started: list[Any]) -> None:
    with terminal(*SHELL, cwd=workspace) as screen:
        await screen.until("$ ")
        screen.type(f"{' '.join(BRIDGE)} run -- sh -c 'echo re''ady; read a; echo got $a; exit 3'\n")
        await screen.until("\nready\n")
        screen.type("\x1a")
        said = await screen.until("Stopped")
        while not said.endswith("$ "):
            said = await screen.more()
        assert len(listed(locks)) == 1
        screen.type("fg\n")
        screen.type("it\n")
        await screen.until("got it\n")
        screen.type("echo code $?\n")
        await screen.until("code 3")
        screen.type("exit\n")
        assert await screen.end() == 0
    until(lambda: listed(locks) == [], "the lock file is there still")


async def test_a_shell_inside_has_job_control_of_its_own(workspace: Path, locks: Path, started: list[Any]) -> None:
    with terminal(*BRIDGE, "run", "--", *SHELL, cwd=workspace) as screen:
        await screen.until("$ ")
        screen.type("sh -c 'echo be''gun; exec sleep 60'\n")
        await screen.until("\nbegun\n")
        screen.type("\x1a")
        said = await screen.until("Stopped")
        while not said.endswith("$ "):
            said = await screen.more()
        assert "no job control" not in said
        screen.type("kill %1; exit 2\n")
        screen.type("exit 2\n")
        assert await screen.end() == 2
    until(lambda: listed(locks) == [], "the lock file is there still")


# ---- the daemon stays as long as it is needed


def test_the_daemon_does_not_leave_while_somebody_is_served(run: StartRun, home: Path) -> None:
    config = home / ".config" / "bridge" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("idle_minutes = 0.005\n", encoding="utf-8")
    child = run()
    child.process.kill()  # no session is attached any more
    child.process.wait(PATIENCE_S)
    about = daemon_about()
    assert about is not None
    pid = os.pidfd_open(about["pid"])
    try:
        assert select.select([pid], [], [], 1.5) == ([], [], [])  # five times as long as it would wait
        assert answers(child)
        child.tell("exit 0")
        assert select.select([pid], [], [], PATIENCE_S)[0]
    finally:
        os.close(pid)


# ---- for everybody


def published(workspace: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(bridge("publish", "--json", cwd=workspace).stdout)["published"]
    return rows


def test_publish_lasts_until_it_is_taken_back(workspace: Path, locks: Path, started: list[Any]) -> None:
    done = bridge("publish", "on", cwd=workspace)
    assert done.returncode == 0
    assert "for every agent" in done.stdout
    (row,) = published(workspace)
    assert listed(locks) == [f"{row['port']}.lock"]
    assert matching(locks, workspace) == [Path(row["lock"])]
    assert status(workspace)["ides"] == []
    assert bridge("restart", cwd=workspace).returncode == 0
    assert published(workspace) == [row]
    kill_daemon()
    assert listed(locks) == [f"{row['port']}.lock"]
    assert published(workspace) == [row]
    assert bridge("down", cwd=workspace).returncode == 0
    assert listed(locks) == []
    assert bridge("up", cwd=workspace).returncode == 0
    assert published(workspace) == [row]
    done = bridge("publish", "off", cwd=workspace)
    assert (done.returncode, done.stdout) == (0, "nothing is published\n")
    assert listed(locks) == []
    assert bridge("restart", cwd=workspace).returncode == 0
    assert published(workspace) == []


def test_a_daemon_that_is_published_for_everybody_does_not_leave(
    home: Path, workspace: Path, started: list[Any]
) -> None:
    config = home / ".config" / "bridge" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("idle_minutes = 0.005\n", encoding="utf-8")
    assert bridge("publish", "on", cwd=workspace).returncode == 0
    about = daemon_about()
    assert about is not None
    pid = os.pidfd_open(about["pid"])
    try:
        assert select.select([pid], [], [], 1.0) == ([], [], [])
        assert bridge("publish", "off", cwd=workspace).returncode == 0
        assert select.select([pid], [], [], PATIENCE_S)[0]
    finally:
        os.close(pid)


def test_no_token_is_in_the_log_or_in_what_is_said(run: StartRun, workspace: Path, home: Path) -> None:
    child = run()
    token = child.says()["authToken"]
    assert answers(child)
    said = [bridge(*words, cwd=workspace) for words in (("status",), ("status", "--json"), ("publish",), ("doctor",))]
    log = (home / ".local/state/bridge/log/daemon.log").read_text(encoding="utf-8")
    assert not any(token in text for done in said for text in (done.stdout, done.stderr))
    assert token not in log
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert token.encode() not in path.read_bytes()
    assert token not in "".join(child.environ.values())
