"""What this machine is: the only module of the package that does I/O.

`Machine` is the seam: everything is read through it, and a test that hands in another root, environment or `run` has
another machine. `Probe` keeps what it read as long as that holds.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from string import ascii_uppercase
from typing import Final

from pathconv.config import WslConf, parse_route, parse_wsl_conf
from pathconv.errors import PathConvError
from pathconv.facts import MARKERS, WSL, WSL_MARKERS, Env, EnvFacts, Facts, Mount, detect
from pathconv.mapper import PathMapper
from pathconv.mounts import parse_mountinfo
from pathconv.parse import parse_windows
from pathconv.values import WSL_HOSTS

__all__ = ["Machine", "Probe", "Ran", "this_machine"]

READ_MOST: Final = 4_000_000  # bytes of one system file; a mount table with ten thousand lines is smaller
PATIENCE_S: Final = 2.0  # of WSL's own small programs
_LINKS: Final = "/run/wsl/virtiofs"
_SOCKETS: Final = "/run/WSL"
_INTEROP: Final = re.compile(r"[0-9]+_interop")
_HANDED_ON: Final = ("HOME", "LANG", "PATH", "WSL_DISTRO_NAME")
_BINFMT: Final = "/proc/sys/fs/binfmt_misc"
_WSLINFO: Final = ("/usr/bin/wslinfo", "/bin/wslinfo")
_WSLPATH: Final = ("/usr/bin/wslpath", "/bin/wslpath")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended: its exit status, and what it said on stdout."""

    code: int
    out: bytes


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine as far as it is looked at. Nothing here raises: what cannot be read is None or empty."""

    root: str = "/"  # put before every system file and program; files of the user are not read here
    platform: str = sys.platform
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def real(self, path: str) -> str:
        """Give the true place of a file of this machine."""
        return path if self.root == "/" else self.root.rstrip("/") + path

    def read(self, path: str, limit: int = READ_MOST) -> bytes | None:
        """Read a file, at most `limit` bytes of it."""
        try:
            with open(self.real(path), "rb") as file:
                return file.read(limit)
        except OSError:
            return None

    def text(self, path: str) -> str:
        """Read a file as text; names that are not UTF-8 as surrogate escapes."""
        return (self.read(path) or b"").decode("utf-8", "surrogateescape")

    def exists(self, path: str) -> bool:
        """Tell whether there is something."""
        return os.path.exists(self.real(path))

    def listdir(self, path: str) -> list[str]:
        """List a directory, sorted."""
        try:
            return sorted(os.listdir(self.real(path)))
        except OSError:
            return []

    def readlink(self, path: str) -> str | None:
        """Read a symbolic link."""
        try:
            return os.readlink(self.real(path))
        except OSError:
            return None

    def interop_socket(self) -> str | None:
        """Find the socket through which Windows programs are started.

        That of the session, if the variable is there and true; it is lost under sudo and in services, where that of
        the first process usually works; else the newest. In some versions everybody may write there, and who answers
        on the socket is Windows to us: only what root or we ourselves have made counts.
        """
        there = {name: made for name in self.listdir(_SOCKETS) if (made := self._made(name)) is not None}
        stated = os.path.basename(self.environ.get("WSL_INTEROP", ""))
        for name in (stated, "1_interop", *sorted(there, key=there.__getitem__, reverse=True)):
            if name in there:
                return f"{_SOCKETS}/{name}"
        return None

    def program_environ(self) -> dict[str, str]:
        """Give the variables that a program is started with: what WSL's own /init needs to start one, and no more.

        WSLENV would hand variables of ours to Windows.
        """
        environ = {name: value for name in _HANDED_ON if (value := self.environ.get(name)) is not None}
        socket = self.interop_socket()  # that of the terminal may be gone with it
        return environ if socket is None else {**environ, "WSL_INTEROP": socket}

    def run(self, argv: Sequence[str], seconds: float) -> Ran | None:
        """Run a short program to its end; None: it could not be started, or took longer than `seconds`.

        `argv` begins with the program's absolute path on this machine. A Windows program is started from its own
        directory: from a Linux one it takes ten seconds on some builds, and cmd.exe complains.
        """
        program = self.real(argv[0])
        try:
            process = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=os.path.dirname(program) if program.endswith(".exe") else self.root,
                env=self.program_environ(),
                start_new_session=True,
            )
        except (OSError, ValueError):  # ValueError: a NUL in an argument
            return None
        with process:
            try:
                out, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
                return None
        return Ran(code=process.returncode, out=out)

    def _made(self, name: str) -> float | None:
        """Tell when an interop socket was made; None: it is none, or somebody else's, or a link to one of his."""
        path = self.real(f"{_SOCKETS}/{name}")
        try:
            name_itself, target = os.lstat(path), os.stat(path)
        except OSError:
            return None
        ours = {name_itself.st_uid, target.st_uid} <= {0, os.getuid()}
        return target.st_mtime if ours and _INTEROP.fullmatch(name) else None


def this_machine() -> Machine:
    """Give the machine that we run on. Whoever needs it asks here when it does; tests replace this function."""
    return Machine()


class Probe:
    """A machine's facts, read anew where they may have changed. Safe to share between threads."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = this_machine() if machine is None else machine
        self._said: dict[str, str] = {}  # by programs of WSL, which cost milliseconds
        self._facts: tuple[object, PathMapper] | None = None

    @cached_property
    def env(self) -> Env:
        """What kind of machine this is; that does not change."""
        files = frozenset(filter(self.machine.exists, MARKERS))
        release = self.machine.text("/proc/sys/kernel/osrelease")
        return detect(EnvFacts(self.machine.platform, release, self.machine.environ, files))

    @cached_property
    def _is_evident(self) -> bool:
        """Whether WSL itself left its mark: variables are somebody's word, and a container has the kernel too."""
        return any(map(self.machine.exists, WSL_MARKERS))

    @property
    def distro(self) -> str | None:
        """The name of this distribution: WSL's variable, which sudo and services lack; else ``wslpath`` knows."""
        if self.env not in WSL:
            return None
        return self.machine.environ.get("WSL_DISTRO_NAME") or self._once("distro", self._ask_distro) or None

    def facts(self) -> Facts:
        """Give the facts of now, by reading the mount table: the same object as long as nothing changed."""
        return self._mapper().facts

    def mapper(self) -> PathMapper | None:
        """Give the mapper of now, the same object as long as nothing changed; None where there is no other side."""
        return self._mapper() if self.env in WSL else None

    def for_distro(self, name: str, wsl_conf: str, drives: Iterable[str] | None = None) -> PathMapper:
        r"""Give the mapper for a distribution, seen from Windows, where its mount table cannot be read.

        Args:
            name: of the distribution.
            wsl_conf: its ``/etc/wsl.conf``, as ``\\wsl.localhost\<name>`` shows it.
            drives: letters of the fixed drives, which are what WSL mounts; without them, of those that are there.
        """
        conf = parse_wsl_conf(wsl_conf)
        letters = ascii_uppercase if drives is None else drives
        there = [c.upper() for c in letters if drives is not None or self.machine.exists(f"{c}:\\")]
        mounts = [Mount(f"{conf.root}{c.lower()}", f"{c}:\\") for c in there if conf.automount]
        return PathMapper(Facts(Env.WSL2, "windows", name, (Mount("/", None), *mounts)))

    def mode(self) -> str | None:
        """Ask WSL how its network is joined to Windows': ``nat``, ``mirrored``, …

        None where WSL has no ``wslinfo``, so that others may infer. "" where nothing may be inferred: it was asked
        and did not say, which is asked again the next time, or WSL has left no mark, and only variables or the
        kernel speak for it.
        """
        if self.env is Env.WSL1:
            return "wsl1"
        if self.env is not Env.WSL2:
            return None
        if not any(map(self.machine.exists, _WSLINFO)):
            return None if self._is_evident else ""
        return self._once("mode", lambda: self._ask(_WSLINFO, "--networking-mode")) or ""

    def gateway(self) -> str | None:
        """Give the default gateway of WSL's own interface, an IPv4 address; that of a VPN would be a stranger."""
        heading, *routes = self.machine.text("/proc/net/route").splitlines(keepends=True) or [""]
        return parse_route(heading + "".join(route for route in routes if route.startswith("eth")))

    def interfaces(self) -> tuple[str, ...]:
        """Name the network interfaces."""
        lines = self.machine.text("/proc/net/dev").splitlines()[2:]  # after two lines of headings
        return tuple(line.partition(":")[0].strip() for line in lines if ":" in line)

    def interop(self) -> bool:
        """Tell whether Windows programs can be started, as far as that can be seen without trying."""
        handlers = (self.machine.text(f"{_BINFMT}/{name}") for name in ("WSLInterop", "WSLInterop-late"))
        return any(text.startswith("enabled") for text in handlers) and self._conf().interop

    def forget(self) -> None:
        """Read everything anew the next time."""
        self._said.clear()
        self._facts = None

    def _mapper(self) -> PathMapper:
        table = self.machine.text("/proc/self/mountinfo")
        links = self._links() if "virtiofs" in table else {}
        read = (table, links, self.distro)
        if self._facts is None or self._facts[0] != read:
            local: Final = "windows" if self.env is Env.WINDOWS else "linux"
            mounts = tuple(parse_mountinfo(table, links))
            self._facts = read, PathMapper(Facts(self.env, local, self.distro, mounts))
        return self._facts[1]

    def _links(self) -> dict[str, str]:
        found = {name: self.machine.readlink(f"{_LINKS}/{name}") for name in self.machine.listdir(_LINKS)}
        return {name: target for name, target in found.items() if target}

    def _conf(self) -> WslConf:
        return parse_wsl_conf(self.machine.text("/etc/wsl.conf"))

    def _once(self, name: str, ask: Callable[[], str | None]) -> str | None:
        """Ask until there is an answer."""
        if name not in self._said and (said := ask()) is not None:
            self._said[name] = said
        return self._said.get(name)

    def _ask_distro(self) -> str:
        try:
            root = parse_windows(self._ask(_WSLPATH, "-w", "/") or "")
        except PathConvError:
            return ""
        return root.share if root.host.lower() in WSL_HOSTS else ""

    def _ask(self, places: Iterable[str], *arguments: str) -> str | None:
        for program in filter(self.machine.exists, places):
            ran = self.machine.run([program, *arguments], PATIENCE_S)
            return ran.out.decode("utf-8", "replace").strip() or None if ran and ran.code == 0 else None
        return None
