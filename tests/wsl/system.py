"""The system files of a WSL distribution, as far as anybody reads them, and stand-ins for the programs of Windows.

Everything is written below one directory, which `pathconv.probe.Machine` puts before each path that it reads.
Shapes are those of wsl.md 1.2 and 3.2; what tells of the network is the kernel's own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.wsl.network import Network

__all__ = ["DISTRO", "PROFILE", "System"]

DISTRO = "Ubuntu"
PROFILE = r"C:\Users\me"
WINDOWS_PID = 4711  # that of every IDE, in the numbering of Windows

_ROOT_MOUNT = "77 60 8:32 / / rw,relatime shared:1 - ext4 /dev/sdc rw,discard,errors=remount-ro,data=ordered"
_DRIVE_MOUNT = (
    r"{number} 77 0:{number} / {point} rw,noatime shared:{number} - 9p {drive}:\134 rw,dirsync,"
    r"aname=drvfs;path={drive}:\;uid=1000;gid=1000;symlinkroot=/mnt/,mmap,access=client,msize=65536,trans=fd,rfd=5,wfd=5"
)

_WSLINFO = "[ \"$1\" = --networking-mode ] && [ -n '{mode}' ] && echo '{mode}'"
_WSLPATH = "printf '%s\\n' '\\\\wsl.localhost\\{distro}\\'"
# cmd.exe /u /d /c echo %USERPROFILE%: UTF-16LE because of /u, after a banner if it stands where Windows cannot.
_CMD = """
for word; do [ "$word" = /u ] && unicode=UTF-16LE; done
printf '%s\\r\\n' '{profile}' | iconv -f UTF-8 -t "${{unicode:-UTF-8}}"
"""
# All tasks, or with /FI "PID eq N" that one. Exit status 0 without a match too, and a sentence in the user's language.
_TASKLIST = """
for word; do case $word in "PID eq "*) wanted=${{word#PID eq }}; esac; done
grep -x "${{wanted:-.*}}" '{tasks}' | sed 's/.*/"Code.exe","&","Console","1","345,678 K"\\r/' | grep . ||
    printf 'INFORMATION: Es werden keine Aufgaben ausgef\\374hrt.\\r\\n'
"""
_PYTHON = "exec nsenter --target {windows} --net -- '{python}' \"$@\""


class System:
    """A distribution's files; what a test changes it writes again.

    Args:
        root: where they go, an empty directory.
        drives: the directory that holds each drive of Windows, by its letter.
        points: where the drive is mounted, by its letter; those that are not there are not.
    """

    def __init__(self, root: Path, drives: Mapping[str, Path], points: Mapping[str, str]) -> None:
        self.root = root
        self._drives = drives
        self.write("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
        self.write("/proc/version", "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@here) (gcc)\n")
        self.write(
            "/proc/sys/fs/binfmt_misc/WSLInterop", "enabled\ninterpreter /init\nflags: PF\noffset 0\nmagic 4d5a\n"
        )
        self.write("/run/WSL/1_interop", "")
        self.write("/etc/wsl.conf", "")
        (root / "proc/net").symlink_to("/proc/net")  # of whoever looks: the network is a real one
        self.mount(points)
        self.boot()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file, whole."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def remove(self, path: str) -> None:
        """Take a file away."""
        (self.root / path.lstrip("/")).unlink()

    def boot(self) -> None:
        """Begin another life of the machine."""
        self.write("/proc/sys/kernel/random/boot_id", f"{uuid.uuid4()}\n")

    def mount(self, points: Mapping[str, str]) -> None:
        """Say in the mount table which drives are mounted, and where."""
        numbered = enumerate(points.items(), start=100)
        lines = [_DRIVE_MOUNT.format(number=number, drive=drive, point=point) for number, (drive, point) in numbered]
        self.write("/proc/self/mountinfo", "\n".join([_ROOT_MOUNT, *lines, ""]))
        for drive, point in points.items():
            place = self.root / point.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_symlink():
                place.symlink_to(self._drives[drive])

    def disable_interop(self) -> None:
        """Let no program of Windows be started, as the user may say for each distribution."""
        self.write("/etc/wsl.conf", "[interop]\nenabled=false\n")

    # ---- programs

    def install_wsl_programs(self, mode: str | None) -> None:
        """Install ``wslpath`` and ``wslinfo``, which says `mode`; None: it is not there, as in an old WSL."""
        self._program(self.root / "usr/bin/wslpath", _WSLPATH.format(distro=DISTRO))
        self._program(self.root / "usr/bin/wslinfo", _WSLINFO.format(mode=mode))
        if mode is None:
            self.remove("/usr/bin/wslinfo")

    def install_windows_programs(self) -> None:
        """Install ``cmd.exe``, which knows the profile, and ``tasklist.exe``, which knows one IDE."""
        system32 = self._drives["C"] / "Windows/System32"
        tasks = system32 / "tasks.txt"
        self._program(system32 / "cmd.exe", _CMD.format(profile=PROFILE))
        self._program(system32 / "tasklist.exe", _TASKLIST.format(tasks=tasks))
        tasks.write_text(f"{WINDOWS_PID}\n", "ascii")

    def install_python(self, python: str, network: Network) -> None:
        """Install Python for Windows: it runs in Windows' network, and its pipes lead to whoever started it."""
        self._program(
            self._drives["C"] / "Python312/python.exe", _PYTHON.format(windows=network.windows.pid, python=python)
        )

    def _program(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script.strip()}\n", "utf-8")
        path.chmod(0o755)
