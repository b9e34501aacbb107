"""Whose terminal shows a pane of tmux: with a real tmux, in real terminals."""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from bridge import tmux
from bridge.tmux import look_through
from tests.e2e.support import until
from tests.e2e.tmux import Tmux, needs_tmux

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the environment of other processes")

_LOOK = """
import json, os
from bridge.tmux import look_through
environ, pid = look_through(os.environ)
names = ("CLAUDE_CODE_SSE_PORT", "NVIM", "CLAUDE_CONFIG_DIR")
print(json.dumps([*map(environ.get, names), "TMUX" in environ, pid]))
"""
LOOK = (sys.executable, "-c", _LOOK)
IN_A_TERMINAL = (sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])")
DETACHED = (sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:], start_new_session=True)")


class Seen(NamedTuple):
    port: str | None
    nvim: str | None
    config: str | None
    in_tmux: bool
    pid: int | None


def look(server: Tmux, *before: str) -> Seen:
    """Look from a new pane, through the commands `before`."""
    return Seen(*json.loads(server.run(*before, *LOOK)))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(tmp_path: Path, stack: ExitStack) -> Tmux:
    """A server that was started in an IDE's terminal."""
    return stack.enter_context(
        closing(Tmux(tmp_path, CLAUDE_CODE_SSE_PORT="1", NVIM="/old", CLAUDE_CONFIG_DIR="/of the pane"))
    )


@needs_tmux
def test_what_counts_is_the_terminal_of_the_client(server: Tmux) -> None:
    client = server.attach(CLAUDE_CODE_SSE_PORT="2", CLAUDE_CONFIG_DIR="/of the client")
    assert look(server) == Seen("2", None, "/of the pane", True, client.process.pid)


@needs_tmux
def test_a_pane_that_nobody_looks_at_is_in_nobody_s_terminal(server: Tmux) -> None:
    assert look(server) == Seen(None, None, "/of the pane", True, None)
    server.attach(CLAUDE_CODE_SSE_PORT="2")
    server.detach()
    assert look(server).port is None


@needs_tmux
def test_of_several_clients_the_one_that_was_used_last_counts(server: Tmux) -> None:
    first, second = server.attach(CLAUDE_CODE_SSE_PORT="2"), server.attach(CLAUDE_CODE_SSE_PORT="3")
    assert look(server).port == "3"
    now = int(time.time())
    until(lambda: int(time.time()) > now, "time stands still")  # tmux counts in seconds
    first.type("x")
    used = "#{client_pid} #{client_activity}"

    def first_was_last() -> bool:
        times = dict(line.split() for line in server.do("list-clients", "-F", used).splitlines())
        return int(times[str(first.process.pid)]) > int(times[str(second.process.pid)])

    until(first_was_last, "tmux does not notice a key")
    assert look(server).port == "2"


@needs_tmux
def test_a_terminal_that_was_opened_within_a_pane_knows_better(server: Tmux) -> None:
    """That of an editor in the pane: what it has set is newer than tmux."""
    server.attach(CLAUDE_CODE_SSE_PORT="2")
    assert look(server, "env", "NVIM=/new", *IN_A_TERMINAL) == Seen("1", "/new", "/of the pane", True, None)


@needs_tmux
def test_a_command_without_a_terminal_has_that_of_who_started_it(server: Tmux) -> None:
    """Agents run their commands so."""
    server.attach(CLAUDE_CODE_SSE_PORT="2")
    assert look(server, *DETACHED).port == "2"


@needs_tmux
def test_tmux_in_tmux_is_looked_through_to_the_end(tmp_path: Path, server: Tmux, stack: ExitStack) -> None:
    inner = stack.enter_context(closing(Tmux(tmp_path, "inner", CLAUDE_CODE_SSE_PORT="4")))
    outermost = server.attach(CLAUDE_CODE_SSE_PORT="2")
    server.do("new-window", "-d", "-t", "main:", f"tmux -S '{inner.socket}' attach-session")
    inner.do("wait-for", "attached")
    seen = look(inner)
    assert (seen.port, seen.pid) == ("2", outermost.process.pid)
    server.detach()
    assert look(inner).port is None


# ---- where nothing can be told

NOWHERE: list[dict[str, str]] = [
    {},
    {"TMUX": ""},
    {"TMUX": "/socket"},
    {"TMUX": "/socket,1,0"},
    {"TMUX": "/socket,1,0", "TMUX_PANE": "-x"},
    {"TMUX": "/socket,1,0", "TMUX_PANE": "%0"},
    {"TMUX": "/so\0cket,1,0", "TMUX_PANE": "%0"},
]


@pytest.mark.parametrize("environ", NOWHERE)
def test_without_an_answer_the_variables_are_what_they_are(environ: dict[str, str]) -> None:
    environ |= {"CLAUDE_CODE_SSE_PORT": "1"}
    assert look_through(environ) == (environ, None)


# (what stands in for tmux)
ANSWERS = {
    "none is installed": None,
    "it fails": "exit 1",
    "it says nothing": "exit 0",
    "no such terminal": "echo /no/such/tty",
    "no terminal of ours": "echo /dev/null",
    "no ASCII": "printf '\\377\\n'",
    "it hangs": "exec sleep 100",
}


@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS)
def test_a_tmux_that_is_of_no_use_changes_nothing(
    script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tmux, "_PATIENCE_S", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    if script is not None:
        fake = tmp_path / "tmux"
        fake.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    environ: dict[str, Any] = {"TMUX": "/socket,1,0", "TMUX_PANE": "%0", "CLAUDE_CODE_SSE_PORT": "1"}
    begun, before = time.monotonic(), {*psutil.Process().children()}
    assert look_through(environ) == (environ, None)
    assert time.monotonic() - begun < 10
    assert {*psutil.Process().children()} <= before
