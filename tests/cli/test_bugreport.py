"""``bridge bugreport``: what is in it, what never is, and that nobody writes it behind the human's back."""

from __future__ import annotations

import json
import os
import re
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from tests.cli.proposals import pending
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import BRIDGE, Ide, bridge, daemon_about
from tests.e2e.terminal import Terminal
from tests.ides.lockfiles import ide_directory

pytestmark = pytest.mark.usefixtures("started")

StartIde = Callable[..., Ide]


def parts(report: str) -> dict[str, str]:
    """Take a report apart."""
    _, *found = re.split(r"\n== (.+)\n", report)
    return dict(zip(found[::2], found[1::2], strict=True))


def test_it_has_what_explains_a_fault(workspace: Path, home: Path, file: Path, ide: StartIde) -> None:
    window = ide()
    pending(file, "--surface", "page")
    done = bridge("bugreport", cwd=workspace, CLAUDE_CODE_SSE_PORT=str(window.port))
    assert (done.returncode, done.stderr) == (0, "")
    found = parts(done.stdout)
    assert list(found) == ["versions", "terminal", "settings", "status", "doctor", "lock files", "reviews", "log"]
    assert {"bridge", "python", "platform", "sqlite"} <= json.loads(found["versions"]).keys()
    assert json.loads(found["terminal"])["CLAUDE_CODE_SSE_PORT"] == str(window.port)
    assert json.loads(found["status"])["ides"][0]["port"] == window.port
    assert {finding["check"] for finding in json.loads(found["doctor"])} >= {"daemon", "ide"}
    lock, *absent = json.loads(found["lock files"])
    assert [Path(one["path"]).parts[-2:] for one in absent] == [(".qwen", "ide"), ("gemini", "ide")]
    assert (lock["path"], lock["ours"]) == (f"~/.claude/ide/{window.port}.lock", True)
    assert lock["says"]["workspaceFolders"] == ["~/work"]
    assert json.loads(found["reviews"])["counts"] == {"proposed: None": 1}
    assert "is ready at" in found["log"]


def test_without_a_daemon_it_has_the_rest_and_starts_none(workspace: Path, home: Path) -> None:
    (home / ".config/bridge").mkdir(parents=True, exist_ok=True)
    (home / ".config/bridge/config.toml").write_text('takeover = true\nwindows_profile = ""\n', encoding="utf-8")
    found = parts(bridge("bugreport", cwd=workspace).stdout)
    assert json.loads(found["settings"]) == {"takeover": True, "windows_profile": ""}
    assert (found["status"].strip(), found["log"].strip()) == ("no bridge answers", "there is none")
    assert json.loads(found["reviews"]) == {"journal_bytes": None}
    assert daemon_about() is None


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 9000, '"text"', "[1]", '{"pid": []}', "\xff", '{"a": 1' + " " * 70000]
)
def test_no_lock_file_keeps_it_from_being_made(workspace: Path, home: Path, content: str) -> None:
    directory = ide_directory(home / ".claude")
    (directory / "1.lock").write_text(content, encoding="latin-1")
    os.mkfifo(directory / "2.lock")
    (directory / "3.lock").symlink_to("nowhere")
    found = json.loads(parts(bridge("bugreport", cwd=workspace).stdout)["lock files"])
    assert [Path(lock["path"]).name for lock in found] == ["1.lock", "2.lock", "3.lock", "ide", "ide"]


# ---- what is private


def test_nothing_private_is_in_it_wherever_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Any], ide: StartIde
) -> None:
    home = tmp_path / "zaphod"
    workspace = home / "work"
    workspace.mkdir(parents=True)
    secrets = {
        name: f"{name}-{uuid.uuid4().hex[:6]}!" for name in ("lock", "nested", "log", "variable", "file", "title")
    }
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "zaphod")
    monkeypatch.setenv("GITHUB_TOKEN", secrets["variable"])
    monkeypatch.setenv("NVIM", f"/run/{secrets['variable']}/zaphod/{os.uname().nodename}")
    config = home / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('ide_host = "heart-of-gold.example"\nwindows_profile = ""\n', encoding="utf-8")

    window = ide("--name", f"Code of zaphod {secrets['lock']}", folder=workspace)
    token = json.loads(window.lock.read_bytes())["authToken"]
    planted = {"authToken": secrets["lock"], "other": {"deep": [secrets["nested"]]}, "ideName": secrets["lock"]}
    (window.lock.parent / "1.lock").write_text(json.dumps(planted), encoding="utf-8")
    file = workspace / "f.txt"
    file.write_text(secrets["file"], encoding="utf-8")
    first = pending(file, "--surface", "page", "--title", secrets["title"], "--key", secrets["variable"])
    pending(file, "--surface", "page", new=b"another " + secrets["file"].encode())
    decide_on_page(first)
    with Client(spawn=False, cwd=str(workspace)) as client:
        link = client.request("review/link", {"id": bridge("review", "ls", cwd=workspace).stdout.split()[0]})["link"]
    code = link.partition("#code=")[2]
    with (home / ".local/state/bridge/log/daemon.log").open("a", encoding="utf-8") as log:
        log.write(f"x-claude-code-ide-authorization: {token}\nBearer {secrets['log']}\n{link}\n{secrets['lock']}\n")
        log.write(f"{home}/x of Zaphod at {os.uname().nodename}, zaphod@example.org, token={secrets['log']}\n")

    done = bridge("bugreport", cwd=workspace)
    assert (done.returncode, done.stderr) == (0, "")
    report = done.stdout
    assert "not to be had" not in report
    assert len(parts(report)["log"].splitlines()) >= 6
    for hidden in [*secrets.values(), token, code, str(home), os.uname().nodename, "heart-of-gold"]:
        assert hidden not in report, hidden
    assert "zaphod" not in report.casefold()
    assert "~/work/f.txt" in report


# ---- who agrees


def test_without_a_terminal_it_is_shown_and_not_written(workspace: Path) -> None:
    done = bridge("bugreport", "-o", "report", cwd=workspace, stdin=b"y\n")
    assert (done.returncode, "== versions" in done.stdout) == (0, True)
    assert done.stderr == "nothing was written; --yes agrees without being asked\n"
    assert not (workspace / "report").exists()


def test_who_agrees_beforehand_gets_it_unseen_and_alone(workspace: Path) -> None:
    done = bridge("bugreport", "--output", "report", "--yes", cwd=workspace)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote report; nothing was sent\n")
    report = workspace / "report"
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert "== versions" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("answer", "written"), [("y", True), ("YES", True), ("n", False), ("", False), ("maybe", False)]
)
async def test_at_a_terminal_the_human_is_asked_after_seeing_it(workspace: Path, answer: str, written: bool) -> None:
    with Terminal([*BRIDGE, "bugreport", "-o", "report"], cwd=workspace) as terminal:
        screen = await terminal.until("write this to report? [y/N] ")
        assert "== versions" in screen
        assert not (workspace / "report").exists()
        terminal.type(f"{answer}\n")
        assert await terminal.end() == 0
        assert ("nothing was sent" in terminal.screen) is written
    assert (workspace / "report").exists() is written
    if written:
        shown = screen.partition("write this to")[0]
        assert (workspace / "report").read_text(encoding="utf-8") == shown


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_there_is_not_overwritten(workspace: Path, kind: str) -> None:
    report = workspace / "report"
    report.write_text("mine", encoding="utf-8") if kind == "file" else report.symlink_to("elsewhere")
    done = bridge("bugreport", "-o", "report", "--yes", cwd=workspace)
    assert (done.returncode, done.stderr.partition("\n")[0]) == (2, "error: report is already there")
    assert not (workspace / "elsewhere").exists()


def test_a_place_that_cannot_be_written_is_told(workspace: Path) -> None:
    done = bridge("bugreport", "-o", "no/such/place", "--yes", cwd=workspace)
    assert (done.returncode, done.stderr.partition("\n")[0]) == (
        74,
        "error: cannot write no/such/place: No such file or directory",
    )


def test_agreeing_to_nothing_is_a_mistake(workspace: Path) -> None:
    assert bridge("bugreport", "--yes", cwd=workspace).returncode == 2


def test_names_are_shown_and_not_sent_to_the_terminal(workspace: Path, ide: StartIde) -> None:
    ide("--name", "a\x1b[2J\u202eb")
    shown = bridge("bugreport", cwd=workspace).stdout
    assert not set("\x1b\u202e") & set(shown)
