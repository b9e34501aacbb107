"""What tmux hides: which terminal shows us. Standard library only, and little of it; asking takes a few milliseconds.

A pane's variables are those of the terminal in which tmux was started, perhaps long ago, and its ancestors end with
tmux. What counts is the terminal of the client that is attached now: the environment of that process is how it was
when the IDE, or whoever it was, opened the terminal. Of several clients the one that was used last counts. While none
is attached the pane is in no IDE's terminal.

Linux only, where another process's environment can be read; elsewhere a pane's own variables are all there is. They
are hints, and verified by whoever uses them.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Mapping

__all__ = ["look_through"]

_PATIENCE_S = 1.0  # for tmux, which answers in milliseconds or hangs
_LEVELS = 3  # of tmux in tmux
_GENERATIONS = 64
# Set by the user and by tmux; all other variables that we read are a terminal's.
_STAYS = ("CLAUDE_CONFIG_DIR", "TEMP", "TMP", "TMPDIR", "TMUX")


def look_through(environ: Mapping[str, str]) -> tuple[Mapping[str, str], int | None]:
    """Give the variables as they are in the terminal that shows us, and a PID in it where that is not an ancestor.

    Outside of tmux, and where it cannot be told, these are `environ` itself and None. So they are in a terminal that
    an editor opened within a pane: what it has set there is right.
    """
    pid, seen, depth = os.getpid(), environ, 0
    while depth < _LEVELS and "TMUX" in seen:
        try:
            tty, clients = _ask(seen)
            if _terminal_of(pid) != os.stat(tty).st_rdev:
                break
            pid = max(clients)[1] if clients else 0
            seen = _environ_of(pid) if clients else {}
        except (OSError, ValueError, IndexError):  # no tmux, no answer, a client that left, somebody else's client
            break
        depth += 1
    if depth == 0:
        return environ, None
    kept = {name: environ[name] for name in _STAYS if name in environ}
    return {**{name: value for name, value in seen.items() if name not in _STAYS}, **kept}, pid or None


def _ask(environ: Mapping[str, str]) -> tuple[str, list[tuple[int, int]]]:
    """Ask tmux for the pane's terminal, and for the time of last use and the PID of every client of its session."""
    if sys.platform != "linux":
        raise OSError("nobody's environment can be read here")
    socket, _, _ = environ["TMUX"].rsplit(",", 2)  # the socket, tmux's PID, the session's number
    pane = environ.get("TMUX_PANE", "")
    if not pane.startswith("%"):
        raise ValueError(pane)
    where = ["display-message", "-p", "-t", pane, "#{pane_tty}"]
    who = ["list-clients", "-t", pane, "-F", "#{client_activity} #{client_pid}"]
    tty, *clients = _output(["tmux", "-S", socket, *where, ";", *who], environ).splitlines()
    times = (client.split() for client in clients)
    return tty, [(int(used), int(pid)) for used, pid in times]


def _output(words: list[str], environ: Mapping[str, str]) -> str:
    """Run a program and give what it prints; one that takes too long is ended. `subprocess` takes long to import."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as said:
        try:
            nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 2)]
            pid = os.posix_spawnp(words[0], words, environ, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), *nothing])
        finally:
            os.close(writer)
        try:
            return _read(said.fileno())
        finally:
            os.kill(pid, signal.SIGKILL)  # it has said everything, or hangs
            os.waitpid(pid, 0)


def _read(fd: int) -> str:
    deadline = time.monotonic() + _PATIENCE_S
    data = b""
    while select.select([fd], [], [], max(deadline - time.monotonic(), 0.0))[0]:
        chunk = os.read(fd, 65536)
        if not chunk:
            return data.decode("ascii")
        data += chunk
    raise TimeoutError("tmux does not answer")


def _terminal_of(pid: int) -> int:
    """Give the number of the terminal that a process has; without one (agents start commands so), its parent's."""
    for _ in range(_GENERATIONS):
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # proc(5): from the third on; the name may hold anything
        if terminal := int(fields[4]):
            return terminal
        pid = int(fields[1])
    return 0


def _environ_of(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/environ", "rb") as file:
        entries = os.fsdecode(file.read()).split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
