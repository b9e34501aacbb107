"""A WSL machine in one process: its system files are the test's, its Windows drives directories of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pathconv.probe import Machine, Probe
from tests.wsl.system import DISTRO, System

GATEWAY = "172.21.96.1"
_ROUTE = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
    "eth0\t00000000\t016015AC\t0003\t0\t0\t0\t00000000\n"
)
_DEV = "Inter-|   Receive\n face |bytes\n{}"


class WslMachine:
    """Drives C and D are mounted at `mounts`/c and /d; nothing of Windows is installed unless a test does it."""

    def __init__(self, directory: Path) -> None:
        self.mounts = directory / "mnt"
        drives = {letter: self.mounts / letter.lower() for letter in "CD"}
        for drive in drives.values():
            drive.mkdir(parents=True)
        (drives["C"] / "Windows/System32").mkdir(parents=True)
        root = directory / "system"
        self.system = System(root, drives, {letter: str(place) for letter, place in drives.items()})
        (root / "proc/net").unlink()
        self.system.write("/proc/net/route", _ROUTE)
        self.join("eth0")

    def join(self, *interfaces: str) -> None:
        """Have these network interfaces."""
        self.system.write("/proc/net/dev", _DEV.format("".join(f"{name}: 0\n" for name in ("lo", *interfaces))))

    def probe(self, environ: Mapping[str, str] | None = None) -> Probe:
        """Look at it, from a terminal with these variables."""
        variables = {
            "HOME": os.environ["HOME"],
            "PATH": "/usr/bin:/bin",
            "WSL_DISTRO_NAME": DISTRO,
            "WSL_INTEROP": "/run/WSL/1_interop",
        }
        return Probe(Machine(root=str(self.system.root), platform="linux", environ={**variables, **(environ or {})}))

    def profile(self, name: str = "me", drive: str = "c") -> Path:
        """Make a Windows profile with a lock directory, open to all as everything on a drive is; give the profile."""
        profile = self.mounts / drive / "Users" / name
        locks = profile / ".claude" / "ide"
        locks.mkdir(parents=True)
        locks.chmod(0o777)
        return profile
