"""The stage: a home of its own, with a daemon and an IDE in it. Everything that is started here ends here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from bridge.client import Client
from bridge.finding import read_address
from bridge.paths import paths

ROOT = Path(__file__).parents[1]
BRIDGE = str(Path(sys.executable).with_name("bridge"))
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Ide:
    """Where an IDE listens, or the bridge in its place."""

    port: int
    lock: Path

    def token(self) -> str:
        value: str = json.loads(self.lock.read_bytes())["authToken"]
        return value


class Stage:
    """A home directory, and what runs in it."""

    def __init__(self, base: Path) -> None:
        self.workspace = base / "work"
        self.workspace.mkdir()
        self.lock_dir = base / ".claude" / "ide"
        self.lock_dir.mkdir(mode=0o700, parents=True)
        here = str(base)
        self.environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": here,
            "CLAUDE_CONFIG_DIR": f"{here}/.claude",
            "XDG_CONFIG_HOME": f"{here}/config",
            "XDG_RUNTIME_DIR": here,
            "XDG_STATE_HOME": f"{here}/state",
            "TMPDIR": here,
        }
        self.address = paths(self.environ).address

    def run(self, *words: str, stdin: str = "") -> str:
        """Run a program in the workspace to its good end, and give what it printed on stdout."""
        done = subprocess.run(
            words,
            cwd=self.workspace,
            env=self.environ,
            input=stdin.encode(),
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout.decode()

    @contextmanager
    def daemon(self) -> Iterator[psutil.Process]:
        self.run(BRIDGE, "up")
        address = read_address(paths(self.environ))
        assert address is not None
        process = psutil.Process(address["pid"])
        try:
            yield process
        finally:
            try:
                self.run(BRIDGE, "down")
                process.wait(PATIENCE_S)
            finally:
                if process.is_running():
                    process.kill()

    @contextmanager
    def ide(self, module: str = "benchmarks.ide") -> Iterator[Ide]:
        """An IDE in a process of its own; it ends with its standard input, thus with us."""
        with self.module(module, str(self.workspace), str(self.lock_dir)) as (_, said):
            port = int(said.readline())
            yield Ide(port, self.lock_dir / f"{port}.lock")

    @contextmanager
    def module(self, *words: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Run a module in a process of its own, until its standard input ends; give that, and what it says."""
        with subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            with process.stdin:
                yield process.stdin, process.stdout

    @contextmanager
    def front(self) -> Iterator[Ide]:
        """The bridge in the place of an IDE, published as ``bridge run`` does it for its child."""
        with Client(name="benchmarks", spawn=False, cwd=str(self.workspace), environ=self.environ) as client:
            published = client.request("publish/run")
            yield Ide(published["port"], Path(published["lock"]))


@contextmanager
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as base:  # short: a socket's path must be
        yield Stage(Path(base))
