"""``bridge hook``: every golden file through the real command, a daemon and an IDE, and what no golden file can say."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import hook, parser_of
from bridge.cli.hook import PATIENCE_S
from bridge.core.hookagents import AGENTS
from tests.e2e import support
from tests.e2e.outsiders import visit
from tests.e2e.support import BRIDGE, Home, Ide, Running, bridge, kill_daemon, until
from tests.fakedaemon import FakeDaemon, breaks, in_turn, refuses
from tests.hookcases import Case, cases, shorten


class Stage:
    """A home with a daemon, and an IDE whose folder is `base`; every case has a workspace of its own in it."""

    def __init__(self, home: Home, ide: Ide, base: Path) -> None:
        self.home = home
        self.ide = ide
        self.base = base
        self._count = 0

    def workspace(self) -> Path:
        self._count += 1
        work = self.base / f"w{self._count}"
        work.mkdir()
        return work

    def hook(self, *words: str, work: Path, said: str, **environ: str) -> Running:
        """Run a hook in the environment of an agent with a browser, which opens nothing."""
        all_of_it = {**self.home.environ, "BROWSER": "true", **environ}
        return Running("hook", *words, cwd=work, stdin=said.encode(), **all_of_it)

    def write(self, **more: str) -> tuple[Path, str]:
        """Give a workspace with a file, and what Claude Code says when it is about to write that."""
        work = self.workspace()
        (work / "f.txt").write_bytes(b"a\n")
        return work, claude_says(work / "f.txt", **more)

    def reviews(self, work: Path) -> list[dict[str, Any]]:
        """Give the reviews of files in a workspace, newest first."""
        with self.home.client(work) as client:
            rows = client.request("review/list", {"all": True})["reviews"]
        return [row for row in rows if row["paths"][0].startswith(f"{work}/")]


def claude_says(file: Path, **more: str) -> str:
    """What Claude Code says when it is about to write ``b`` into a file."""
    said = {
        "session_id": "s",
        "cwd": str(file.parent),
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": {"file_path": str(file), "content": "b\n"},
        "tool_use_id": "t",
    }
    return json.dumps(said | more)


def decision(hook: Running) -> str:
    """Wait for the hook's answer, as Claude Code reads it."""
    said = json.loads(hook.out.until(bool))["hookSpecificOutput"]["permissionDecision"]
    assert hook.end() == 0
    return str(said)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    base = tmp_path_factory.mktemp("hooks")
    work = base / "work"
    work.mkdir()
    with ExitStack() as stack:
        home = Home(base / "home")
        stack.callback(home.close)
        ide = Ide(work, lock_dir=home.lock_dir, **home.environ)
        stack.callback(ide.close)
        yield Stage(home, ide, work)


def decide(stage: Stage, case: Case, hook: Running, work: Path) -> None:
    """Do what the human does, once the diff is shown."""
    if case.human is None:
        return
    if case.page:
        hook.err.until(lambda line: line.startswith("opened the review page"))
        assert hook.err.until(lambda line: True).startswith("  http://127.0.0.1:")
    else:
        assert stage.ide.until("diff")["path"].startswith(f"{work}/")
    for name, text in case.meanwhile.items():
        (work / name).write_bytes(text.encode())
    match case.human:
        case "never":
            pass
        case {"edit": text}:
            stage.ide.do(f"edit {json.dumps(text)}")
        case dict(decision):
            [review] = stage.reviews(work)
            with stage.home.client(work) as client:
                visit(client.request("review/link", {"id": review["id"]})["link"], decision)
        case command:
            stage.ide.do(command)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_golden(stage: Stage, case: Case) -> None:
    work = stage.workspace()
    case.write(work)
    hook = stage.hook(case.agent, *case.options, work=work, said=case.in_words(work))
    decide(stage, case, hook, work)
    code, out, err = hook.end(), hook.out.rest(), hook.err.rest()
    states = [review["state"] for review in stage.reviews(work)]
    assert code == 0
    assert [json.loads(shorten(line, work)) for line in out] == ([] if case.stdout is None else [case.stdout])
    assert [shorten(line, work) for line in err] == ([case.stderr] if case.stderr else [])
    assert states == ([case.state] if case.state else [])
    assert (work / "f.txt").exists() == ("f.txt" in case.files or "f.txt" in case.meanwhile)  # the agent writes


# ---- where it stays out, and where not


def test_the_agents_own_ide_shows_the_change_itself(stage: Stage) -> None:
    work, said = stage.write()
    port = str(stage.ide.port)
    hook = stage.hook("claude", work=work, said=said, CLAUDE_CODE_SSE_PORT=port)
    assert (hook.end(), hook.out.rest()) == (0, [])
    assert "Claude Code shows the change in its IDE itself (--with-ide" in hook.err.rest()[0]
    both = stage.hook("claude", "--with-ide", work=work, said=said, CLAUDE_CODE_SSE_PORT=port)
    stage.ide.until("diff")
    stage.ide.do("accept")
    assert decision(both) == "allow"


def test_so_does_an_agent_that_has_the_bridge_as_its_ide(stage: Stage) -> None:
    work, said = stage.write()
    with stage.home.client(work) as client:
        port = str(client.request("publish/run")["port"])
        hook = stage.hook("claude", work=work, said=said, CLAUDE_CODE_SSE_PORT=port)
        assert (hook.end(), hook.out.rest()) == (0, [])
    assert "has the bridge as its IDE" in hook.err.rest()[0]


@pytest.mark.parametrize("port", ["1", "0", "99999", "x", ""])
def test_a_port_where_no_ide_lives_says_nothing(stage: Stage, port: str) -> None:
    """In tmux the variable outlives the IDE."""
    work, said = stage.write()
    hook = stage.hook("claude", work=work, said=said, CLAUDE_CODE_SSE_PORT=port)
    stage.ide.until("diff")
    stage.ide.do("reject")
    assert decision(hook) == "deny"


def test_gemini_says_where_its_companion_is_in_a_variable_of_its_own(stage: Stage) -> None:
    work = stage.workspace()
    (work / "f.txt").write_bytes(b"a\n")
    said = claude_says(work / "f.txt", hook_event_name="BeforeTool", tool_name="write_file")
    hook = stage.hook("gemini", work=work, said=said, GEMINI_CLI_IDE_SERVER_PORT=str(stage.ide.port))
    assert (hook.end(), hook.out.rest()) == (0, [])
    assert "Gemini CLI shows the change in its IDE itself" in hook.err.rest()[0]


def test_status_tells_of_a_hook_that_stayed_out_because_of_the_mode(stage: Stage) -> None:
    work, said = stage.write(permission_mode="acceptEdits")
    assert stage.hook("claude", work=work, said=said).end() == 0
    shown = bridge("status", cwd=work, stdin=b"", **stage.home.environ).stdout
    assert "the hook of Claude Code stayed out" in shown
    rows = json.loads(bridge("status", "--json", cwd=work, stdin=b"", **stage.home.environ).stdout)["stayed_out"]
    assert "acceptEdits" in {row["agent"]: row["reason"] for row in rows}["Claude Code"]


def test_the_user_may_want_reviews_in_every_mode(home: Path, file: Path, ide: Callable[..., Ide]) -> None:
    config = home / ".config" / "bridge" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("hook_always = true\n", encoding="utf-8")
    ide("--human", "accept")
    said = claude_says(file, permission_mode="bypassPermissions")
    done = bridge("hook", "claude", cwd=file.parent, stdin=said.encode())
    assert '"allow"' in done.stdout


# ---- whatever happens meanwhile


def test_who_kills_the_hook_waits_for_no_decision(stage: Stage) -> None:
    """The agent was interrupted: the review ends, for a decision would do nothing any more."""
    work, said = stage.write()
    hook = stage.hook("claude", work=work, said=said)
    stage.ide.until("diff")
    hook.process.kill()
    assert hook.end() == -signal.SIGKILL
    stage.ide.until("call", tool="close_tab")
    until(lambda: stage.reviews(work)[0]["state"] == "cancelled", "the review stays open")


def test_a_page_that_nobody_can_open_is_no_place_to_ask(stage: Stage) -> None:
    """Without a browser the agent asks at once: it would not show the page's address to anybody."""
    case = next(case for case in cases() if str(case) == "codex/apply_patch/many_files")
    work = stage.workspace()
    case.write(work)
    hook = stage.hook("codex", work=work, said=case.in_words(work), BROWSER="")
    said = json.loads(hook.out.until(bool))["hookSpecificOutput"]
    assert (hook.end(), said["permissionDecision"]) == (0, "deny")
    assert "no IDE shows the change, and there is no browser to open" in said["permissionDecisionReason"]
    assert stage.reviews(work)[0]["trigger"] == "moved_to_terminal"


def test_who_types_it_is_told_what_it_is(home: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen([*BRIDGE, "hook", "claude"], cwd=home, stdin=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert b"this answers an agent's hook" in process.stderr.readline()
        os.write(ours, b"\x04")
        assert process.wait(support.PATIENCE_S) == 0
        os.close(ours)


def test_the_human_decides_in_another_life_of_the_daemon(
    file: Path, ide: Callable[..., Ide], running: Callable[..., Running]
) -> None:
    window = ide()
    hook = running("hook", "claude", stdin=claude_says(file).encode())
    window.until("diff")
    kill_daemon()
    window.until("diff")
    assert bridge("restart", cwd=file.parent).returncode == 0
    window.until("diff")
    window.do("accept")
    assert decision(hook) == "allow"


# ---- without a daemon, or with one that fails


def through(daemon: FakeDaemon, *words: str, said: bytes = b"{}") -> tuple[int, str, str]:
    """Run the hook against a daemon of the test's making."""
    done = bridge("hook", *words, cwd=Path(os.environ["HOME"]), stdin=said)
    return done.returncode, done.stdout, done.stderr


BEGUN = {"id": "abc"}
TOLD = {"stdout": "told\n", "stderr": "", "code": 0, "taken": True}


def test_a_decision_of_the_last_moment_counts(daemon: FakeDaemon) -> None:
    """The time is over, and the human was quicker than the review's end: the daemon tells how it ended."""
    daemon.answers |= {
        "hook/begin": lambda asked, say: BEGUN,
        "review/wait": refuses("pending", "still undecided"),
        "review/cancel": lambda asked, say: {"outcome": "accepted"},
        "hook/answer": lambda asked, say: TOLD,
        "review/delivered": lambda asked, say: {},
    }
    assert through(daemon, "claude", "--timeout", "0", said=b"what it says") == (0, "told\n", "")
    assert daemon.methods()[1:] == ["hook/begin", "review/wait", "review/cancel", "hook/answer", "review/delivered"]
    begin, wait, cancel, answer = (asked["params"] for asked in daemon.asked[1:5])
    assert begin == {"agent": "claude", "said": "what it says", "environ": {}, "with_ide": False}
    assert (wait["id"], wait["timeout"], wait["bound"]) == ("abc", 0.0, True)
    assert (cancel, answer) == ({"id": "abc", "moved": True}, {"agent": "claude", "said": "what it says", "id": "abc"})


def test_that_the_decision_cannot_be_acknowledged_changes_nothing(daemon: FakeDaemon) -> None:
    daemon.answers |= {
        "hook/begin": lambda asked, say: BEGUN,
        "review/wait": lambda asked, say: {},
        "hook/answer": lambda asked, say: TOLD,
        "review/delivered": refuses("unavailable", "purged"),
    }
    assert through(daemon, "claude") == (0, "told\n", "")


@pytest.mark.parametrize(("agent", "word"), [("claude", "ask"), ("codex", "deny"), ("gemini", "ask")])
def test_once_there_is_a_review_the_agent_is_never_left_without_a_word(
    daemon: FakeDaemon, agent: str, word: str
) -> None:
    """Not when the daemon dies for good, is stopped, or answers nonsense."""
    daemon.answers |= {"hook/begin": lambda asked, say: BEGUN, "review/wait": breaks}
    gone = through(daemon, agent)
    daemon.answers |= {"review/wait": lambda asked, say: say({"method": "daemon/stopping", "params": {}})}
    stopped = through(daemon, agent, "--strict")
    daemon.answers |= {"review/wait": lambda asked, say: {}, "hook/answer": lambda asked, say: {"stdout": 7}}
    nonsense = through(daemon, agent)
    for code, out, _ in (gone, stopped, nonsense):
        assert (code, json.loads(out) is not None, f'"{word}"' in out) == (0, True, True)
    assert "dies again and again" in gone[1]
    assert "was stopped" in stopped[1]
    assert "a bug in the bridge" in nonsense[1]


def test_a_daemon_that_hangs_keeps_no_answer_back(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent kills the hook ten seconds after its time-out, and then goes on without any answer."""
    assert hook._GRACE_S < hook._LAST_WORDS_S < 10
    ended = threading.Event()
    hangs = lambda asked, say: ended.wait(20)  # noqa: E731
    for late in ({"review/wait": hangs}, {"review/wait": refuses("pending", "undecided"), "review/cancel": hangs}):
        ended.clear()
        daemon.answers |= {"hook/begin": lambda asked, say: BEGUN, **late}
        monkeypatch.setattr(hook, "_GRACE_S", 0.1)
        monkeypatch.setattr(hook, "_LAST_WORDS_S", 0.5)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}"), encoding="utf-8"))
        begun = time.monotonic()
        assert hook.run(parser_of("hook").parse_args(["claude", "--timeout", "0"])) == 0
        assert time.monotonic() - begun < 10
        ended.set()
        assert "does not answer" in capsys.readouterr().out


def test_before_there_is_one_it_stays_out_or_forbids(daemon: FakeDaemon) -> None:
    """By default nothing is worse than without the bridge; whoever wants it strict gets a no that says why."""
    daemon.answers["hook/begin"] = breaks
    code, out, err = through(daemon, "claude")
    assert (code, out, err.startswith("bridge: stays out: the bridge went away")) == (0, "", True)
    code, out, err = through(daemon, "claude", "--strict")
    assert (code, out) == (2, "")
    assert err.startswith("bridge: nothing may be written without a review, and the bridge went away")
    assert err.count("\n") == 1


def test_a_daemon_that_dies_at_once_is_asked_again(daemon: FakeDaemon) -> None:
    daemon.answers |= {
        "hook/begin": in_turn(breaks, lambda asked, say: BEGUN),
        "review/wait": lambda asked, say: {},
        "hook/answer": in_turn(breaks, lambda asked, say: TOLD | {"taken": False}),
    }
    assert through(daemon, "claude") == (0, "told\n", "")


def test_an_older_daemon_knows_no_hooks(daemon: FakeDaemon) -> None:
    daemon.answers["hello"] = lambda asked, say: {"version": "0.0.1", "capabilities": ["review"]}
    code, out, err = through(daemon, "claude")
    assert (code, out, "is older" in err) == (0, "", True)


def test_without_a_daemon(home: Path) -> None:
    done = bridge("hook", "claude", "--no-spawn", cwd=home, stdin=b"{}")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "bridge: stays out: the bridge is not running (bridge up)\n"
    strict = bridge("hook", "claude", "--no-spawn", "--strict", cwd=home, stdin=b"{}")
    assert (strict.returncode, strict.stdout) == (2, "")


def test_a_bug_before_there_is_a_review_is_told_as_one(daemon: FakeDaemon) -> None:
    daemon.answers["hook/begin"] = lambda asked, say: {"stdout": 7}
    code, out, _ = through(daemon, "claude")
    assert (code, out) == (70, "")
    code, out, err = through(daemon, "claude", "--strict")
    assert (code, out) == (2, "")
    assert err.startswith("bridge: nothing may be written without a review, and a bug in the bridge: ")


@pytest.mark.parametrize("words", [["claude", "--timeout", "soon"], ["cobol"], [], ["claude", "--stricter"]])
def test_a_mistyped_hook_forbids_nothing(home: Path, words: list[str]) -> None:
    """Agents take exit code 2 for a no, which nobody said."""
    done = bridge("hook", *words, cwd=home)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("error: ")


def test_both_sides_know_the_same_agents() -> None:
    assert {name: agent.patience_s for name, agent in AGENTS.items()} == PATIENCE_S
