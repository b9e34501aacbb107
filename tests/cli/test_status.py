"""``bridge status --watch``: the same as ``bridge status``, again when something changed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from bridge.cli.status import _REDRAW, _TICK_S
from tests.cli.proposals import pending
from tests.e2e.support import BRIDGE, Ide, Running, bridge, daemon_about, kill_daemon
from tests.e2e.terminal import Terminal

SOME_TICKS_S = 1.5 * _TICK_S


def _interrupt(watch: Running) -> None:
    watch.process.send_signal(signal.SIGINT)
    assert watch.end() == 130
    assert [line for line in watch.err.seen if "Traceback" in line] == []


def test_as_json_each_change_is_a_line(file: Path, running: Callable[..., Running], ide: Callable[..., Ide]) -> None:
    watch = running("status", "--watch", "--json")

    def until(fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return json.loads(watch.out.until(lambda line: fits(json.loads(line))))  # type: ignore[no-any-return]

    assert until(lambda said: True)["reviews"] == []
    review = pending(file, "--surface", "page")
    assert until(lambda said: bool(said["reviews"]))["reviews"][0]["id"] == review
    port = ide().port
    assert [row["port"] for row in until(lambda said: bool(said["ides"]))["ides"]] == [port]
    bridge("review", "cancel", review, cwd=file.parent)
    until(lambda said: not said["reviews"])
    _interrupt(watch)
    lines = [json.loads(line) for line in watch.out.seen]
    assert all(one != other for one, other in pairwise(lines))


def test_in_a_file_it_is_appended_only_when_it_changed(file: Path, running: Callable[..., Running]) -> None:
    watch = running("status", "--watch")
    watch.out.until(lambda line: line.startswith("no IDE is running"))
    with pytest.raises(AssertionError, match="not seen"):  # though its ages grow
        watch.out.until(lambda line: True, SOME_TICKS_S)
    review = pending(file, "--surface", "page")
    watch.out.until(lambda line: line.startswith(f"review {review} waits"))
    blocks = "\n".join(watch.out.seen).split("\n\n")
    assert [block.splitlines()[0].partition(" (")[0] for block in blocks] == [f"bridge {__version__} is running"] * 2
    _interrupt(watch)


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_it_goes_on_with_the_next_daemon(file: Path, running: Callable[..., Running], end: str) -> None:
    watch = running("status", "--watch", "--json")
    before = json.loads(watch.out.until(lambda line: True))["daemon"]["pid"]
    if end == "kill":
        kill_daemon()
    else:
        assert bridge("restart", cwd=file.parent).returncode == 0
    watch.out.until(lambda line: json.loads(line)["daemon"]["pid"] != before)
    review = pending(file, "--surface", "page")
    watch.out.until(lambda line: review in line)
    _interrupt(watch)


def test_it_ends_when_the_user_stops_the_bridge(file: Path, running: Callable[..., Running]) -> None:
    watch = running("status", "--watch")
    watch.out.until(lambda line: line.startswith("no IDE is running"))
    assert bridge("down", cwd=file.parent).returncode == 0
    assert watch.end() == 69
    watch.err.until(lambda line: line == "error: the bridge was stopped")
    assert daemon_about() is None


async def test_on_a_terminal_it_is_drawn_again(file: Path, started: list[Any]) -> None:
    with Terminal([*BRIDGE, "status", "--watch"], cwd=file.parent) as terminal:
        await terminal.until("no IDE is running")
        review = pending(file, "--surface", "page")
        screen = await terminal.until(f"review {review} waits")
        assert screen.count(_REDRAW) >= 2
        assert screen.rpartition(_REDRAW)[2].startswith("bridge ")
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 130
