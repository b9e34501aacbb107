"""The human's browser: led to the page by a private file, and never in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli import browser
from bridge.cli.browser import has_browser, open_browser
from tests.cli.proposals import NEW
from tests.e2e.support import PATIENCE_S, until

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended


@pytest.fixture(autouse=True)
def no_other_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide whatever browsers this machine has."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


class Slow:
    """A browser that does not end before it is let go, and holds whatever it inherited."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "fifo"
        self._told = folder / "told"
        os.mkfifo(self._fifo)
        self.path = script(folder / "slow", f"read line < {self._fifo}; echo > {self._told}")

    def let_go(self) -> None:
        self._fifo.write_text("go\n")  # waits until it reads


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    one = Slow(tmp_path)
    yield one
    one.let_go()


@pytest.mark.parametrize(
    ("environ", "there"),
    [
        ({}, sys.platform == "darwin"),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"BROWSER": "firefox"}, True),
    ],
)
def test_there_is_a_browser_where_there_is_a_screen_or_a_wish(
    environ: dict[str, str], there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert has_browser() is there


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac always has a screen")
def test_without_a_screen_nothing_is_opened() -> None:
    assert open_browser("/tmp/door.html") is False


def test_the_browser_gets_the_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv("BROWSER", script(tmp_path / "browser", f'echo "$# $*" > {told}'))
    monkeypatch.setattr(browser, "PATIENCE_S", PATIENCE_S)
    assert open_browser("/a dir/door.html") is True
    assert told.read_text() == "1 file:///a dir/door.html\n"


def test_a_browser_that_fails_is_told_from_one_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setenv("BROWSER", script(tmp_path / "browser", "exit 1"))
    assert open_browser("/door.html") is False


def test_a_browser_that_takes_long_is_left_to_itself(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "PATIENCE_S", 0.05)
    monkeypatch.setenv("BROWSER", slow.path)
    assert open_browser("/door.html") is True


def test_who_reads_our_output_does_not_wait_for_the_browser(file: Path, slow: Slow) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "diff", file.name, "--proposed", "-", "--timeout", "0"],
        cwd=file.parent,
        env={**os.environ, "BROWSER": slow.path},
        input=NEW,
        capture_output=True,  # to the end of both pipes, whoever holds them
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stdout) == (75, b"")
    assert b"opened the review page" in done.stderr


def test_the_code_is_in_a_private_file_and_in_no_argument(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv("BROWSER", script(tmp_path / "browser", f'echo "$*" > {told}; exit 0'))
    subprocess.run(
        [sys.executable, "-m", "bridge", "diff", file.name, "--proposed", "-", "--timeout", "0"],
        cwd=file.parent,
        input=NEW,
        stderr=subprocess.PIPE,
        timeout=PATIENCE_S,
    )
    until(lambda: told.exists() and told.read_text().endswith("\n"), "the browser was not started")
    address = told.read_text().strip()
    assert address.startswith("file://")
    door = Path(address.removeprefix("file://"))
    assert (stat.S_IMODE(door.stat().st_mode), stat.S_IMODE(door.parent.stat().st_mode)) == (0o600, 0o700)
    code = door.read_text(encoding="utf-8").partition("#code=")[2].partition('"')[0]
    assert len(code) > 20
    assert code not in address
