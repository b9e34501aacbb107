"""A WSL distribution beside its Windows host, as a user has them: two drives, a profile, an IDE here or there.

``Boundary`` joins the parts: the network (`tests.wsl.network`), the mounts, the system files (`tests.wsl.system`),
the bridge on one side and emulators on the other. The drives of Windows are directories of the test; WSL sees them
where they are mounted, the emulator below the drive letters that it is told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from tests.e2e.outsiders import Stranger, token_of
from tests.e2e.support import EMULATOR, PATIENCE_S, ROOT, Ide, Lines, Running, bridge, everything_ends
from tests.wsl.network import ROUTER, Mode, Network, network
from tests.wsl.system import DISTRO, PROFILE, WINDOWS_PID, System

__all__ = ["Boundary", "boundary"]

EVERYWHERE = "0.0.0.0"  # where an IDE listens that accepts connections from all interfaces
LOOPBACK = "127.0.0.1"
NOTHING: Mapping[str, str] = {}


class Boundary:
    """Both sides; made by `boundary`.

    Args:
        drives: the directory that holds each drive of Windows, by its letter.
        points: where WSL has mounted them, by letter; a drive that is missing here is not mounted.
    """

    def __init__(self, joined: Network, system: System, drives: Mapping[str, Path], points: Mapping[str, str]) -> None:
        self.network = joined
        self.system = system
        self._variables = {"WSL_DISTRO_NAME": DISTRO, "WSL_INTEROP": "/run/WSL/1_interop"}
        self._daemon: Running
        self._drives = drives
        self._points = points
        self.append_windows_path = True  # as wsl.conf has it; False: PATH leads nowhere in Windows
        self.tokens: list[str] = []  # of every IDE that was started
        self._started: list[Any] = []

    # ---- files

    def real(self, windows: str) -> Path:
        """Give the test's own file behind a path of Windows."""
        path = PureWindowsPath(windows)
        return self._drives[path.drive[0]].joinpath(*path.parts[1:])

    def seen(self, windows: str) -> str:
        """Give a path of Windows as WSL sees it."""
        path = PureWindowsPath(windows)
        return str(Path(self._points[path.drive[0]], *path.parts[1:]))

    @property
    def locks(self) -> Path:
        """The lock directory in the Windows profile."""
        return self.real(PROFILE) / ".claude" / "ide"

    def write(self, windows: str, text: str) -> Path:
        """Write a file on a drive of Windows; give the test's own path of it."""
        file = self.real(windows)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        return file

    # ---- the bridge, in WSL

    def start_daemon(self, environ: Mapping[str, str] = NOTHING) -> None:
        """Start the daemon, and wait until it serves. No command could: one started by itself knows no fake."""
        self._daemon = self.running("up", "--foreground", environ=environ)
        self._daemon.err.until(lambda line: "the bridge is running" in line)

    def bridge(
        self, *words: str, cwd: str | None = None, stdin: bytes = b"", environ: Mapping[str, str] = NOTHING
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the user's to its end, in the home directory unless told otherwise."""
        assert self._daemon.process.poll() is None, self._daemon.err.seen
        return bridge(*words, cwd=ROOT, stdin=stdin, program=self._program(cwd), **self._environ(), **environ)

    def running(
        self, *words: str, cwd: str | None = None, stdin: bytes = b"", environ: Mapping[str, str] = NOTHING
    ) -> Running:
        """Start a command that goes on."""
        command = Running(*words, cwd=ROOT, stdin=stdin, program=self._program(cwd), **self._environ(), **environ)
        self._started.append(command)
        return command

    def status(self) -> dict[str, Any]:
        """Ask the command line, as a program would."""
        done = self.bridge("status", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def leaks(self) -> list[str]:
        """Say where a token of an IDE is seen that has no business there: on the local network, in the daemon's log."""
        log = Path(os.environ["HOME"], ".local/state/bridge/log/daemon.log").read_text("utf-8")
        found = [f"{token} is in the log" for token in self.tokens if token in log]
        return found + [f"the router saw {token}" for token in self.tokens if self.network.lan_saw(token)]

    def findings(self) -> list[dict[str, Any]]:
        """Ask the doctor."""
        said: list[dict[str, Any]] = json.loads(self.bridge("doctor", "--json").stdout)
        return said

    def _program(self, cwd: str | None) -> list[str]:
        inside = self.network.wsl.enter(os.environ["HOME"] if cwd is None else cwd)
        return [*inside, sys.executable, "-m", "tests.wsl", str(self.system.root)]

    def _environ(self) -> dict[str, str]:
        path = [os.environ["PATH"]]
        if self.append_windows_path:
            path += [self.seen(rf"C:\{tail}") for tail in (r"Windows\System32", "Python312", _APPS)]
        return {"PATH": ":".join(path), "PYTHONPATH": str(ROOT), **self._variables}

    def forget_distro(self) -> None:
        """Take from the distribution what tells its name, as a service's environment and a broken WSL do."""
        del self._variables["WSL_DISTRO_NAME"]
        self.system.remove("/usr/bin/wslpath")

    # ---- IDEs

    def windows_ide(self, folder: str, host: str = EVERYWHERE, options: tuple[str, ...] = ()) -> Ide:
        """Start an IDE in Windows; its lock file goes to the Windows profile.

        Args:
            folder: that is open in it, in Windows' style.
            host: where it listens: `EVERYWHERE`, or on `LOOPBACK` as most do.
            options: more for the emulator.
        """
        drives = [f"--drive={letter}={place}" for letter, place in self._drives.items()]
        words = ["--windows", *drives, f"--share=//wsl.localhost/{DISTRO}=/", f"--host={host}"]
        ide = Ide(
            folder,
            *words,
            *options,
            f"--pid={WINDOWS_PID}",
            lock_dir=self.locks,
            program=[*self.network.windows.enter(ROOT), *EMULATOR],
        )
        self._started.append(ide)
        self.tokens.append(token_of(ide))
        self._open_to_all(ide.lock)
        if self.network.mode == "mirrored":
            self.network.mirror(ide.port)
        return ide

    def linux_ide(self, folder: Path, *options: str) -> Ide:
        """Start an IDE in the distribution itself."""
        ide = Ide(folder, *options, program=[*self.network.wsl.enter(ROOT), *EMULATOR])
        self._started.append(ide)
        self.tokens.append(token_of(ide))
        return ide

    @contextmanager
    def caller(self, host: str, ide: Ide) -> Iterator[None]:
        """Have another agent in WSL that is connected to an IDE."""
        command = [*self.network.wsl.enter(), sys.executable, "-c", _AGENT, f"ws://{host}:{ide.port}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            assert program.stdin is not None
            try:
                program.stdin.write(token_of(ide).encode() + b"\n")
                program.stdin.flush()
                Lines(program.stdout).until(lambda line: line == "connected")
                yield
            finally:
                program.stdin.close()  # that ends it; its output is for `Lines` to read to the end and to close
                program.wait(timeout=PATIENCE_S)

    def stranger(self, port: int) -> Stranger:
        """Let another user of the distribution listen on a port of its loopback."""
        if self.network.mode == "mirrored":
            self.network.unmirror(port)
        stranger = Stranger(port, within=self.network.wsl.enter())
        self._started.append(stranger)
        return stranger

    def _open_to_all(self, lock: Path) -> None:
        """Give everything the mode that it has on a Windows drive without metadata, as WSL shows it."""
        for path in (lock, *lock.parents[:2]):
            path.chmod(0o777)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """End what was started at the end."""
        with everything_ends(self._started):
            yield


_AGENT = """
import sys
from websockets.sync.client import connect

token = sys.stdin.readline().strip()
with connect(sys.argv[1], proxy=None, additional_headers={"X-Claude-Code-Ide-Authorization": token}):
    print("connected", flush=True)
    sys.stdin.read()
"""
_APPS = rf"{PROFILE[3:]}\AppData\Local\Microsoft\WindowsApps"


@contextmanager
def boundary(
    directory: Path,
    mode: Mode = "nat",
    *,
    automount: str = "/mnt/",
    letters: str = "CD",
    mounted: str | None = None,
    router: str = ROUTER,
) -> Iterator[Boundary]:
    """Make a WSL machine and its Windows host; take all of it away at the end.

    Args:
        directory: an empty one.
        automount: the root below which drives are mounted.
        letters: the drives of Windows.
        mounted: those of them that WSL sees; by default all.
        router: the address of the local network's router.
    """
    drives = {letter: directory / "windows" / letter.lower() for letter in letters}
    points = {letter: f"{automount}{letter.lower()}" for letter in (letters if mounted is None else mounted)}
    for drive in drives.values():
        drive.mkdir(parents=True)
    system = System(directory / "system", drives, points)
    binds = {point: drives[letter] for letter, point in points.items()}
    with network(mode, directory / "network", binds, router) as joined:
        system.install_wsl_programs(mode)
        system.install_windows_programs()
        made = Boundary(joined, system, drives, points)
        made.locks.mkdir(parents=True)
        (made.real(PROFILE) / "AppData/Local/Microsoft/WindowsApps").mkdir(parents=True)
        with made.ending():
            yield made
