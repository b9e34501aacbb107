"""Lock files as plugins write them, in directories of the test's own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

TOKEN = "6b2f1c1e-0000-4000-8000-00000000feed"


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


def later() -> int:
    """A clock by which all files of the test are old enough to be remembered."""
    return time.time_ns() + 60 * 10**9


def right_then() -> int:
    """A clock by which all files of the test are still being written."""
    return 0
