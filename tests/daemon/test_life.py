"""The daemon as a process: how it starts, how it leaves, and what it takes from whoever started it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from bridge.client import Client, Stopped
from bridge.errors import BadConfiguration, ExitCode, NotTrusted
from bridge.finding import start
from bridge.paths import Paths
from tests.e2e.support import Ide, Running, bridge, daemon_about, everything_ends, kill_daemon, wait_gone

PATIENCE_S = 20.0
DRAIN_S = 2.0
IDLE_S = 1.8  # enough to be looked at before it leaves
IDLE = f"idle_minutes = {IDLE_S / 60}"


@pytest.fixture
def workspace(home: Path) -> Path:
    path = home / "work"
    path.mkdir()
    (path / "a.txt").write_text("a\n", encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def started() -> Iterator[list[Any]]:
    things: list[Any] = []
    with everything_ends(things):
        yield things


def settings(places: Paths, text: str) -> None:
    Path(places.config).parent.mkdir(parents=True, exist_ok=True)
    Path(places.config).write_text(text, encoding="utf-8")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def about() -> dict[str, Any]:
    found = daemon_about()
    assert found is not None
    return found


# ---- starting


def test_a_start_tells_when_clients_may_connect(places: Paths) -> None:
    assert start(places, os.environ) == {"ok": True, "already": False}
    with Client(spawn=False) as client:
        daemon = client.status()["daemon"]
    assert daemon["pid"] == about()["pid"]
    assert "bridge.daemon" in psutil.Process(daemon["pid"]).cmdline()


def test_a_second_start_does_nothing_and_says_so(places: Paths, workspace: Path) -> None:
    start(places, os.environ)
    first = about()
    assert start(places, os.environ)["already"] is True
    said = bridge("up", cwd=workspace)
    assert (said.returncode, said.stdout) == (0, f"the bridge is already running (pid {first['pid']})\n")
    assert about() == first


def test_two_started_at_once_from_different_terminals_are_one(places: Paths, tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []

    def begin(number: int) -> None:
        runtime = tmp_path / f"run{number}"
        runtime.mkdir(mode=0o700)
        answers.append(start(places, {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "TMPDIR": f"/nowhere/{number}"}))

    terminals = [threading.Thread(target=begin, args=(number,)) for number in range(3)]
    for terminal in terminals:
        terminal.start()
    for terminal in terminals:
        terminal.join(PATIENCE_S * 2)
    assert sorted(answer["already"] for answer in answers) == [False, True, True]
    with Client(spawn=False, environ={"HOME": os.environ["HOME"]}) as client:
        assert client.status()["daemon"]["pid"] == about()["pid"]


def test_a_stale_socket_is_replaced(places: Paths) -> None:
    start(places, os.environ)
    stale = about()
    kill_daemon()
    assert Path(stale["socket"]).is_socket()
    assert start(places, os.environ)["already"] is False
    assert about()["socket"] == stale["socket"]
    with Client(spawn=False) as client:
        assert client.status()["daemon"]["pid"] != stale["pid"]


def test_a_live_socket_is_not_replaced_although_the_lock_is_gone(places: Paths) -> None:
    start(places, os.environ)
    os.unlink(places.lock)
    assert start(places, os.environ)["already"] is True
    with Client(spawn=False) as client:
        assert client.status()["daemon"]["pid"] == about()["pid"]


def _loose_state(places: Paths) -> str:
    os.makedirs(places.state)
    return places.state


def _loose_runtime(places: Paths) -> str:
    path = f"{os.environ['XDG_RUNTIME_DIR']}/bridge"
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


@pytest.mark.parametrize("loosen", [_loose_state, _loose_runtime])
def test_a_directory_with_a_loose_mode_is_refused_with_the_command_that_mends_it(
    places: Paths, loosen: Callable[[Paths], str]
) -> None:
    path = loosen(places)
    with pytest.raises(NotTrusted, match="can be entered by others") as caught:
        start(places, os.environ)
    assert caught.value.hint == f"chmod 700 '{path}'"
    subprocess.run(caught.value.hint, shell=True, check=True)
    assert start(places, os.environ)["ok"] is True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give things away")
def test_a_directory_of_another_user_is_refused(places: Paths, workspace: Path) -> None:
    os.makedirs(places.state, mode=0o700)
    os.chown(places.state, 65534, 65534)
    done = bridge("up", cwd=workspace)
    assert done.returncode == ExitCode.NOT_TRUSTED
    assert "belongs to user 65534" in done.stderr


def test_a_wrong_setting_is_told_to_whoever_starts(places: Paths) -> None:
    settings(places, "idle_minutes = 0")
    with pytest.raises(BadConfiguration, match="idle_minutes"):
        start(places, os.environ)


def test_a_bug_at_the_start_is_in_the_log(places: Paths, workspace: Path) -> None:
    os.makedirs(places.state, mode=0o700)
    os.mkdir(places.journal)
    done = bridge("up", cwd=workspace)
    assert done.returncode != ExitCode.DONE
    assert places.log in done.stderr
    assert "IsADirectoryError" in Path(places.log).read_text(encoding="utf-8")


def test_in_the_foreground_it_says_what_it_does_and_ends_with_ctrl_c(
    places: Paths, workspace: Path, started: list[Any]
) -> None:
    started.append(Running("up", "--foreground", cwd=workspace))
    started[0].err.until(lambda line: "is running" in line)
    assert about()["pid"] == started[0].process.pid
    second = bridge("up", "--foreground", cwd=workspace)
    assert (second.returncode, "already running" in second.stderr) == (0, True)
    started[0].process.send_signal(signal.SIGINT)
    assert started[0].end() == 0


# ---- what it takes from whoever started it


def test_it_keeps_no_file_no_directory_no_terminal_and_no_secret_of_the_starter(places: Paths, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    script = """
import os, sys
from bridge.finding import start
from bridge.paths import paths
os.dup2(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), 77, inheritable=True)
os.set_inheritable(77, True)
start(paths(os.environ), os.environ)
print("started")
"""
    environ = {**os.environ, "PYTHONPATH": os.getcwd(), "SECRET_TOKEN": "x", "http_proxy": "http://nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "held")],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # whose end would not come if the daemon had it open
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout == b"started\n"
    daemon = psutil.Process(about()["pid"])
    with daemon.oneshot():
        assert daemon.cwd() == "/"
        assert daemon.terminal() is None
        assert os.getsid(daemon.pid) != os.getsid(0)
        assert daemon.ppid() != os.getpid()
        assert not {"SECRET_TOKEN", "http_proxy", "TMPDIR"} & daemon.environ().keys()
    held = Counter(os.readlink(path) for path in Path(f"/proc/{daemon.pid}/fd").iterdir() if path.is_symlink())
    assert not any(path.startswith(str(folder)) for path in held)
    assert not any(path.startswith("/dev/pts") for path in held)
    assert sorted(ends for path, ends in held.items() if path.startswith("pipe:")) == pipes_of_a_loop()
    assert [os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3


def pipes_of_a_loop() -> list[int]:
    """Say how many ends of each pipe a process has that has made nothing but the daemon's event loop."""
    script = """
import asyncio, os
from collections import Counter
from bridge.daemon.main import _loop_factory
with asyncio.Runner(loop_factory=_loop_factory()) as runner:
    runner.get_loop()
    files = [f"/proc/self/fd/{fd}" for fd in range(3, 64)]
    held = Counter(os.readlink(path) for path in files if os.path.lexists(path))
print(*sorted(ends for path, ends in held.items() if path.startswith("pipe:")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=PATIENCE_S)
    return [int(ends) for ends in done.stdout.split()]


def test_it_leaves_no_zombie_and_no_child(places: Paths) -> None:
    before = {child.pid for child in psutil.Process().children()}
    start(places, os.environ)
    assert {child.pid for child in psutil.Process().children()} == before
    assert psutil.Process(about()["pid"]).children() == []


# ---- leaving


class Leaving:
    """Waits for the daemon's end."""

    def __init__(self) -> None:
        self.pid = about()["pid"]
        self.fd = os.pidfd_open(self.pid)

    def ends_within(self, seconds: float) -> bool:
        try:
            return bool(select.select([self.fd], [], [], seconds)[0])
        finally:
            os.close(self.fd)


def _idle(places: Paths, workspace: Path, started: list[Any]) -> None:
    start(places, os.environ)


def _open_session(places: Paths, workspace: Path, started: list[Any]) -> None:
    _idle(places, workspace, started)
    mute = socket.socket(socket.AF_UNIX)
    mute.connect(about()["socket"])
    mute.sendall(b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"cwd":"/"}}\n')
    mute.recv(1)
    started.append(_Process(mute))


class _Process:
    """A connection that `everything_ends` can end."""

    def __init__(self, connection: socket.socket | HTTPConnection) -> None:
        self.process = self
        self._connection = connection

    def poll(self) -> int:
        self._connection.close()
        return 0


def _waiting_page(places: Paths, workspace: Path, started: list[Any]) -> None:
    """A browser waits for news of a review: a request that the server holds."""
    with Client(cwd=str(workspace)) as client:
        review = client.propose("a.txt", "b\n", surface="page")
        link = urlsplit(client.request("review/link", {"id": review})["link"])
        browser = HTTPConnection(link.netloc, timeout=PATIENCE_S)
        started.append(_Process(browser))
        headers = {"Origin": f"http://{link.netloc}", "Sec-Fetch-Site": "same-origin"}
        code = json.dumps({"code": link.fragment.removeprefix("code=")})
        browser.request("POST", f"{link.path}session", code, {**headers, "Content-Type": "application/json"})
        with browser.getresponse() as answer:
            headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
            headers["X-Bridge-Secret"] = json.load(answer)["secret"]
        browser.request("GET", f"{link.path}review", headers=headers)
        with browser.getresponse() as answer:
            assert answer.status == 200
            version = json.load(answer)["version"]
        browser.request("GET", f"{link.path}review?after={version + 1}", headers=headers)
        client.status()  # a round trip: the page's request has been taken meanwhile


def _live_link(places: Paths, workspace: Path, started: list[Any]) -> None:
    started.append(Ide(workspace))
    with Client(cwd=str(workspace)) as client:
        client.propose("a.txt", "b\n")
    started[0].until("diff")


def _speaks_mcp(places: Paths, workspace: Path, started: list[Any]) -> None:
    """An agent waits for a human over MCP, and MCP is served over HTTP too."""
    settings(places, f"mcp_http = {free_port()}")
    _idle(places, workspace, started)
    agent = socket.socket(socket.AF_UNIX)
    started.append(agent)
    agent.settimeout(PATIENCE_S)
    agent.connect(about()["socket"])
    proposed = {"name": "propose_changes", "arguments": {"files": [{"path": "a.txt", "content": "b"}]}}
    asks = [("hello", {"cwd": str(workspace)}), ("mcp/serve", {}), ("initialize", HELLO), ("tools/call", proposed)]
    with agent.makefile("rb") as lines:
        for id_, (method, params) in enumerate(asks, 1):
            agent.sendall(
                json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n"
            )
            assert id_ == len(asks) or json.loads(lines.readline())["id"] == id_
        assert json.loads(lines.readline())["method"] == "review/page"  # it waits


HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "ann", "version": "1"}}
STATES = [_idle, _open_session, _waiting_page, _live_link, _speaks_mcp]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_it_within_two_seconds(
    places: Paths,
    workspace: Path,
    started: list[Any],
    state: Callable[[Paths, Path, list[Any]], None],
    signum: signal.Signals,
) -> None:
    state(places, workspace, started)
    leaving = Leaving()
    os.kill(leaving.pid, signum)
    assert leaving.ends_within(DRAIN_S)
    assert daemon_about() is None
    assert "Traceback" not in Path(places.log).read_text(encoding="utf-8")


def test_those_who_wait_are_told_that_it_was_stopped(places: Paths, workspace: Path) -> None:
    with Client(cwd=str(workspace)) as client:
        review = client.propose("a.txt", "b\n", surface="page")
        with pytest.raises(Stopped):
            client.wait(review, on_surface=lambda _: os.kill(about()["pid"], signal.SIGTERM))


def test_it_leaves_when_nobody_needs_it(places: Paths) -> None:
    settings(places, IDLE)
    start(places, os.environ)
    assert Leaving().ends_within(PATIENCE_S)
    assert "nobody needs the bridge" in Path(places.log).read_text(encoding="utf-8")
    assert daemon_about() is None


def test_it_stays_while_it_serves_mcp_over_http(places: Paths) -> None:
    settings(places, f"{IDLE}\nmcp_http = {free_port()}")
    start(places, os.environ)
    assert not Leaving().ends_within(1.5 * IDLE_S)


def test_it_stays_while_a_session_is_attached_or_an_ide_shows_a_diff(
    places: Paths, workspace: Path, started: list[Any]
) -> None:
    settings(places, IDLE)
    with Client(cwd=str(workspace)) as client:
        client.status()
        leaving = Leaving()
        assert not leaving.ends_within(1.5 * IDLE_S)
        started.append(Ide(workspace))
        review = client.propose("a.txt", "b\n")
        started[0].until("diff")
    assert not Leaving().ends_within(1.5 * IDLE_S)
    assert about()["pid"] == leaving.pid
    with Client(cwd=str(workspace)) as client:
        client.cancel(review)
    wait_gone(leaving.pid)


# ---- coming back


def test_a_new_life_takes_undecided_reviews_back(places: Paths, workspace: Path) -> None:
    with Client(cwd=str(workspace)) as client:
        review = client.propose("a.txt", "b\n", surface="page", title="keep me")
        decided = client.propose("a.txt", "c\n", surface="page")
        client.cancel(decided)
    kill_daemon()
    with Client(cwd=str(workspace)) as client:
        rows = client.request("review/list")["reviews"]
        assert [(row["id"], row["title"]) for row in rows] == [(review, "keep me")]
        assert client.wait(decided)["outcome"] == "cancelled"
        assert client.cancel(review)["outcome"] == "cancelled"


def test_a_new_life_shows_them_in_the_ide_again(places: Paths, workspace: Path, started: list[Any]) -> None:
    started.append(Ide(workspace))
    with Client(cwd=str(workspace)) as client:
        review = client.propose("a.txt", "b\n")
        first = started[0].until("diff")
    kill_daemon()
    with Client(cwd=str(workspace)) as client:
        waiting = threading.Thread(target=client.wait, args=(review,))
        waiting.start()
        assert started[0].until("diff")["path"] == first["path"]
        started[0].do("accept")
        waiting.join(PATIENCE_S)
        assert client.request("review/get", {"id": review})["outcome"] == "accepted"


def test_a_broken_journal_does_not_keep_it_from_starting_and_is_told(places: Paths, workspace: Path) -> None:
    os.makedirs(places.state, mode=0o700)
    Path(places.journal).write_bytes(b"this is no database\n" * 500)
    with Client(cwd=str(workspace)) as client:
        (warning,) = client.status()["warnings"]
    assert "journal.sqlite.broken-1" in warning


def test_a_newer_journal_is_refused_untouched_with_advice(places: Paths, workspace: Path) -> None:
    import sqlite3

    os.makedirs(places.state, mode=0o700)
    with sqlite3.connect(places.journal) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = Path(places.journal).read_bytes()
    done = bridge("status", "--json", cwd=workspace)
    assert done.returncode == ExitCode.CONFIGURATION
    assert json.loads(done.stdout)["error"]["data"]["hint"] == "upgrade the bridge"
    assert Path(places.journal).read_bytes() == before
    assert [found.name for found in Path(places.state).glob("journal*")] == ["journal.sqlite"]


def test_restart_makes_a_new_one(places: Paths, workspace: Path) -> None:
    start(places, os.environ)
    first = about()["pid"]
    done = bridge("restart", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert about()["pid"] != first
    assert bridge("down", cwd=workspace).stdout == "the bridge is stopped\n"
    assert bridge("down", cwd=workspace).stdout == "the bridge is not running\n"


def test_its_log_is_the_user_s_alone_and_holds_no_control_character(places: Paths, workspace: Path) -> None:
    start(places, os.environ)
    with Client(cwd=str(workspace)) as client:
        client.cancel(client.propose("a.txt", "b\n", title="\x1b[31m"))
    log = Path(places.log)
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert all(character == "\n" or character.isprintable() for character in log.read_text(encoding="utf-8"))


def test_before_the_first_start_there_is_no_log(workspace: Path) -> None:
    done = bridge("logs", cwd=workspace)
    assert done.returncode == ExitCode.UNAVAILABLE
    assert "there is no log yet" in done.stderr
