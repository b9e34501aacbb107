"""A machine in a directory: system files, links and programs, handed to `pathconv.probe` as its root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pathconv.probe import Machine

__all__ = ["WSL2", "link", "program", "tree", "write"]

RELEASE = "/proc/sys/kernel/osrelease"
TABLE = "/proc/self/mountinfo"
DRIVE_C = "91 25 0:91 / /mnt/c rw - 9p C:\\134 rw,aname=drvfs;path=C:\\;uid=1000,trans=fd"

NOTHING: Mapping[str, str] = {}
WSL2: Mapping[str, str] = {
    RELEASE: "5.15.153.1-microsoft-standard-WSL2\n",
    TABLE: f"25 1 8:32 / / rw - ext4 /dev/sdc rw\n{DRIVE_C}\n",
}


def tree(root: Path, files: Mapping[str, str] = WSL2, environ: Mapping[str, str] = NOTHING) -> Machine:
    """Write the files below `root` and give the Linux machine that has them; its programs have the test's home."""
    for path, text in files.items():
        write(root, path, text)
    return Machine(
        root=str(root), platform="linux", environ={**environ, "HOME": os.environ["HOME"], "PATH": os.environ["PATH"]}
    )


def write(root: Path, path: str, text: str) -> Path:
    """Write one file of the machine."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    return file


def program(root: Path, path: str, script: str) -> None:
    """Install a program that the shell runs."""
    write(root, path, f"#!/bin/sh\n{script}\n").chmod(0o755)


def link(root: Path, path: str, target: str) -> None:
    """Make a symbolic link of the machine; where it leads need not exist."""
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
