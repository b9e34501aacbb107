"""Lock files of our own, in which agents find the bridge as if it were an IDE (docs/protocol.md "Lock file")."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.core.lockfile import Transport
from bridge.core.official import BRIDGE
from bridge.daemon.instance import write_private
from bridge.errors import Unavailable
from bridge.ides.admission import Refused, open_directory
from bridge.ides.files import read_regular
from bridge.ides.locks import candidate_directories

__all__ = ["hash_of", "lock_directory", "remove_lock", "write_lock"]

_MOST_BYTES: Final = 64 * 1024


def lock_directory(environ: Mapping[str, str], home: Path) -> Path:
    """Say where the agents of a terminal with this environment look for lock files first."""
    return Path(candidate_directories(environ, home)[0].path)


def write_lock(path: str, *, pid: int, folder: str, transport: Transport, token: str) -> None:
    """Write a lock file, whole and for this user only.

    Raises `Unavailable` when it cannot be written, or when others may write into its directory: they could put a lock
    file of theirs in its place, and be the agent's IDE.
    """
    directory = os.path.dirname(path)
    said = {
        "pid": pid,
        "workspaceFolders": [folder],
        "ideName": BRIDGE,
        "transport": transport.value,
        "authToken": token,
    }
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        handle = open_directory(directory)
        if isinstance(handle, Refused):
            raise Unavailable(f"no lock file can be written: {directory} {handle.reason}", "bridge doctor")
        os.close(handle)
        write_private(path, json.dumps(said).encode("ascii"))
    except OSError as exc:
        raise Unavailable(f"cannot write {path}: {exc.strerror}", "bridge doctor") from exc


def remove_lock(path: str, token_hash: str) -> None:
    """Remove a lock file if it is still ours: another program may have got the port, and written its own."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        _, data = read_regular(path, _MOST_BYTES)
        token = json.loads(data)["authToken"]
        if isinstance(token, str) and hash_of(token) == token_hash:
            os.unlink(path)


def hash_of(token: str) -> str:
    """Name a token without telling it."""
    return hashlib.sha256(token.encode()).hexdigest()
