"""Lock files as plugins write them, in directories of the test's own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from bridge.core.announcements import LockDirectory
from bridge.core.lockfile import Family

TOKEN = "6b2f1c1e-0000-4000-8000-00000000feed"


def places(*directories: Path, family: Family = Family.CLAUDE) -> list[LockDirectory]:
    """Directories to scan."""
    return [LockDirectory(str(directory), family) for directory in directories]


def body(**fields: Any) -> bytes:
    """A lock file's content; a field that is None is left out."""
    usual = {
        "pid": 4242,
        "workspaceFolders": ["/w/app"],
        "ideName": "Visual Studio Code",
        "transport": "ws",
        "authToken": TOKEN,
    }
    return json.dumps({key: value for key, value in (usual | fields).items() if value is not None}).encode()


def ide_directory(parent: Path) -> Path:
    """Make an ``ide`` directory that is as it should be."""
    directory = parent / "ide"
    directory.mkdir(mode=0o700, parents=True)
    return directory


def write_lock(directory: Path, port: int, *, mode: int = 0o600, **fields: Any) -> Path:
    """Write ``<port>.lock`` with the usual fields, but for `fields`."""
    path = directory / f"{port}.lock"
    path.write_bytes(body(**fields))
    path.chmod(mode)
    return path


def companion(family: Family, directory: Path, port: int, *, pid: int = 4242, **fields: Any) -> Path:
    """Announce an IDE as the companion of a family does, in a directory that is as it should be."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    said: dict[str, Any] = {"port": port, "workspacePath": "/w/app", "authToken": TOKEN}
    name = f"gemini-ide-server-{pid}-{port}.json"
    if family is Family.QWEN:
        said, name = {**said, "ppid": pid, "ideName": "Cursor"}, f"{port}.lock"
    path = directory / name
    path.write_bytes(json.dumps({**said, **fields}).encode())
    path.chmod(0o600)
    return path


def later() -> int:
    """A clock by which all files of the test are old enough to be remembered."""
    return time.time_ns() + 60 * 10**9


def right_then() -> int:
    """A clock by which all files of the test are still being written."""
    return 0
