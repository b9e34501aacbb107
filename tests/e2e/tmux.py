"""A real tmux server for tests: panes in it, and clients in terminals of their own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.support import PATIENCE_S
from tests.e2e.terminal import Terminal

__all__ = ["Tmux", "needs_tmux"]

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


class Tmux:
    """A server that was started in a terminal with the variables `environ`; its panes work in `cwd`."""

    def __init__(self, cwd: Path, name: str = "tmux", **environ: str) -> None:
        self.socket = os.path.join(os.environ["XDG_RUNTIME_DIR"], name)
        self._cwd = cwd
        self._name = name
        self._clients: list[Terminal] = []
        self._panes = 0
        self.do("-f", "/dev/null", "new-session", "-d", "-s", "main", "exec cat", environ=environ)
        self.do("set-option", "-g", "default-shell", "/bin/sh")
        for event in ("attached", "detached"):
            self.do("set-hook", "-g", f"client-{event}", f"wait-for -S {event}")

    def do(self, *words: str, environ: dict[str, str] | None = None) -> str:
        """Give a command to the server."""
        done = subprocess.run(
            ["tmux", "-S", self.socket, *words],
            cwd=self._cwd,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout

    def attach(self, **environ: str) -> Terminal:
        """Attach a client from a terminal with these variables."""
        words = ["tmux", "-S", self.socket, "attach-session", "-t", "main"]
        self._clients.append(Terminal(words, cwd=self._cwd, TERM="xterm", **environ))
        self.do("wait-for", "attached")
        return self._clients[-1]

    def detach(self) -> None:
        """Detach every client."""
        self.do("detach-client", "-s", "main")
        self.do("wait-for", "detached")

    def run(self, *words: str, script: str = "") -> str:
        """Run a command, or a script of sh, in a pane of its own; give what it prints."""
        self._panes += 1
        out, done = self._cwd / f"{self._name}-{self._panes}", f"done-{self._panes}"
        whole = f"{{ {script or shlex.join(words)}\n}} >{shlex.quote(str(out))} 2>&1; tmux wait-for -S {done}"
        self.do("new-window", "-d", "-t", "main:", "-c", str(self._cwd), whole)
        self.do("wait-for", done)
        return out.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the server with all that runs in it."""
        self.do("kill-server")
        for client in self._clients:
            client.close()
