"""Real parts for stories: the `bridge` command, its daemon, and emulator processes, in the test's own home."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bridge.client import Client

PATIENCE_S = 20.0  # a busy machine is not a failure
ROOT = Path(__file__).parents[2]
BRIDGE = (sys.executable, "-m", "bridge")
EMULATOR = (sys.executable, "-m", "ide_plugins.emulator")


def bridge(
    *words: str | bytes, cwd: Path, stdin: bytes = b"", program: Sequence[str] = BRIDGE, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `program` are the words that start the bridge."""
    done = subprocess.run(
        [*program, *words],
        cwd=cwd,
        env={**os.environ, **environ},
        input=stdin,
        capture_output=True,
        timeout=PATIENCE_S * 2,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


def until(fits: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is so that sends no event; fail with `otherwise` in words if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not fits():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


class Lines:
    """The lines that a process prints, as they come; nothing else may read that stream (no `communicate`)."""

    def __init__(self, stream: Any) -> None:
        self.seen: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: Any) -> None:
        with suppress(ValueError), stream:  # a `with Popen(…)` closes it too, perhaps between two lines
            for line in stream:
                self._queue.put(line.decode(errors="replace").rstrip("\n"))
        self._queue.put(None)

    def until(self, wanted: Callable[[str], bool], patience: float = PATIENCE_S) -> str:
        """Wait for a line; fail with what was seen instead."""
        deadline = time.monotonic() + patience
        while True:
            try:
                line = self._queue.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                raise AssertionError(f"not seen in {patience} s; seen: {self.seen}") from None
            if line is None:
                raise AssertionError(f"the output ended; seen: {self.seen}")
            self.seen.append(line)
            if wanted(line):
                return line

    def rest(self) -> list[str]:
        """Wait for the output's end, and give the lines that nobody waited for."""
        lines = []
        while (line := self._queue.get(timeout=PATIENCE_S)) is not None:
            lines.append(line)
        self._queue.put(None)  # for who looks again
        return lines


class Running:
    """A `bridge` command that goes on while the test does."""

    def __init__(
        self, *words: str, cwd: Path, stdin: bytes = b"", program: Sequence[str] = BRIDGE, **environ: str
    ) -> None:
        self.process = subprocess.Popen(
            [*program, *words],
            cwd=cwd,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(stdin)
        self.process.stdin.close()
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)

    def review_id(self) -> str:
        """Wait until it says which review waits."""
        return self.err.until(lambda line: line.startswith("review ")).split()[1]

    def end(self) -> int:
        """Wait for its end and give the exit code."""
        return self.process.wait(PATIENCE_S)


class Ide:
    """An emulator process."""

    def __init__(
        self,
        workspace: Path | str,
        *words: str,
        lock_dir: Path | None = None,
        program: Sequence[str] = EMULATOR,
        **environ: str,
    ) -> None:
        where = ["--lock-dir", str(lock_dir)] if lock_dir else []
        self.process = subprocess.Popen(
            [*program, "--workspace", str(workspace), *where, *words],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.out = Lines(self.process.stdout)
        self.events: list[dict[str, Any]] = []
        ready = self.until("ready")
        self.port: int = ready["port"]
        self.lock = Path(ready["lock"])

    def until(self, event: str, **facts: Any) -> dict[str, Any]:
        """Wait for an event of the emulator with these facts."""

        def fits(line: str) -> bool:
            said = json.loads(line)
            self.events.append(said)
            return said["event"] == event and all(said.get(name) == value for name, value in facts.items())

        self.out.until(fits)
        return self.events[-1]

    def do(self, command: str) -> None:
        """Give the emulator a command: accept, edit, reject, close, drop, quit, …"""
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


def daemon_about() -> dict[str, Any] | None:
    """Read what the running daemon says of itself."""
    try:
        about: dict[str, Any] = json.loads((Path(os.environ["HOME"]) / ".local/state/bridge/daemon.json").read_text())
    except FileNotFoundError:
        return None
    return about


def kill_daemon(signum: int = signal.SIGKILL) -> int:
    """Kill the daemon of this test's home and wait until it is gone; give its pid."""
    about = daemon_about()
    assert about is not None
    pid: int = about["pid"]
    os.kill(pid, signum)
    wait_gone(pid)
    return pid


def wait_gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    with suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            import select

            ready, _, _ = select.select([fd], [], [], PATIENCE_S)
            assert ready, f"process {pid} does not end"
        finally:
            os.close(fd)


@contextmanager
def everything_ends(started: Sequence[Any]) -> Iterator[None]:
    """End what the test started, and the daemon of its home."""
    try:
        yield
    finally:
        for one in reversed(started):  # who waits for a daemon would start the next one
            if hasattr(one, "close"):
                one.close()
            elif one.process.poll() is None:
                one.process.kill()
                one.process.wait(PATIENCE_S)
        about = daemon_about()
        if about is not None:
            with suppress(ProcessLookupError):
                os.kill(about["pid"], signal.SIGKILL)
                wait_gone(about["pid"])


class Home:
    """A home directory with a daemon of its own, for tests that need several, or one that outlives a test."""

    def __init__(self, path: Path, **environ: str) -> None:
        self.path = path
        path.mkdir()
        self._runtime = tempfile.TemporaryDirectory(prefix="br-", dir="/tmp")  # a socket's path must be short
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.environ = {**inherited, "HOME": str(path), "XDG_RUNTIME_DIR": self._runtime.name, **environ}

    @property
    def lock_dir(self) -> Path:
        """Where IDEs that this home's agents find write their lock files."""
        return self.path / ".claude" / "ide"

    def client(self, cwd: Path | None = None, **environ: str) -> Client:
        """Speak to its daemon, which starts if it does not run."""
        return Client(cwd=str(cwd or self.path), environ={**self.environ, **environ})

    def close(self) -> None:
        """End the daemon."""
        with suppress(FileNotFoundError, ProcessLookupError):
            about = json.loads((self.path / ".local/state/bridge/daemon.json").read_text())
            os.kill(about["pid"], signal.SIGTERM)
            wait_gone(about["pid"])
        self._runtime.cleanup()
