"""Announcing an IDE: the lock file ``<port>.lock`` that agents look for.

The port stands in the name only. The token is the key to the IDE, so the file is readable by its owner
alone and appears whole: it is written under another name and renamed. Source: docs/protocol.md, "Lock file".
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

__all__ = ["GeminiFile", "LockFile", "QwenFile", "Transport", "default_lock_dir"]

Transport = Literal["ws", "sse", "http"]

PRIVATE_DIR: Final = 0o700
PRIVATE_FILE: Final = 0o600
LOOSE_DIR: Final = 0o755
LOOSE_FILE: Final = 0o644


def default_lock_dir(environ: Mapping[str, str]) -> Path:
    """Name the directory of lock files: below ``CLAUDE_CONFIG_DIR`` if that is set and not empty."""
    config_dir = environ.get("CLAUDE_CONFIG_DIR")
    return (Path(config_dir) if config_dir else _home(environ) / ".claude") / "ide"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if "HOME" in environ else Path.home()


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """One IDE's announcement. The methods raise `OSError`, as the file system gives it."""

    directory: Path
    port: int
    pid: int
    ide_name: str
    workspace_folders: tuple[str, ...]  # absolute
    auth_token: str | None = field(repr=False)  # None: the key is left out, as weak plugins do
    in_windows: bool = False  # the key is there on Windows only, as in the official 1.0.44
    transport: Transport = "ws"
    ide_info: bool = False  # of `GeminiFile` alone

    loose_mode: ClassVar[int] = LOOSE_FILE

    @classmethod
    def usual_directory(cls, environ: Mapping[str, str]) -> Path:
        """Name the directory where the plugin's agents look."""
        return default_lock_dir(environ)

    @property
    def path(self) -> Path:
        """Where the file stands."""
        return self.directory / f"{self.port}.lock"

    @property
    def text(self) -> str:
        """The file's content: one line of ASCII JSON, no newline."""
        return json.dumps(self.fields(), separators=(",", ":"))

    def fields(self) -> dict[str, Any]:
        """Give what the file says."""
        fields: dict[str, Any] = {
            "pid": self.pid,
            "workspaceFolders": self.workspace_folders,
            "ideName": self.ide_name,
            "transport": self.transport,
        }
        if self.in_windows:
            fields["runningInWindows"] = True
        if self.auth_token is not None:
            fields["authToken"] = self.auth_token
        return fields

    def write(self) -> None:
        """Write the file whole or not at all, mode 0600, in a directory of mode 0700."""
        self._make_private_directory()
        # Neither the name nor the mode of mkstemp's file admits a reader before the rename.
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.directory)
        try:
            with open(handle, "w", encoding="ascii") as file:
                file.write(self.text)
            os.replace(temporary, self.path)
        except OSError:
            os.unlink(temporary)
            raise

    def write_loosely(self) -> None:
        """Write in place, then set the mode: the official extension 1.0.44 (observed) leaves it open to everybody."""
        self.directory.mkdir(mode=LOOSE_DIR, parents=True, exist_ok=True)
        self.path.write_text(self.text, encoding="ascii")
        self.path.chmod(self.loose_mode)

    def write_half(self) -> None:
        """Leave the file as a reader meets it in the middle of a write in place; see `complete`."""
        self._make_private_directory()
        self.path.touch(mode=PRIVATE_FILE)
        self.path.write_text(self.text[: len(self.text) // 2], encoding="ascii")

    def complete(self) -> None:
        """End what `write_half` began: the same file, now whole."""
        self.path.write_text(self.text, encoding="ascii")

    def remove(self) -> None:
        """Take the announcement back; a file that is gone already is no error."""
        self.path.unlink(missing_ok=True)

    def _make_private_directory(self) -> None:
        self.directory.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
        self.directory.chmod(PRIVATE_DIR)  # an older program may have made it looser


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionFile(LockFile):
    """What the companions' files have in common: the port is in the text too, the folders are one string."""

    loose_mode: ClassVar[int] = PRIVATE_FILE

    def fields(self) -> dict[str, Any]:
        """Give what the file says."""
        separator = ";" if self.in_windows else ":"
        return {
            "port": self.port,
            "workspacePath": separator.join(self.workspace_folders),
            "authToken": self.auth_token,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiFile(CompanionFile):
    """The discovery file of the Gemini CLI companion."""

    @classmethod
    def usual_directory(cls, environ: Mapping[str, str]) -> Path:
        """Name the directory, which is below that of temporary files."""
        return Path(environ.get("TMPDIR") or "/tmp") / "gemini" / "ide"

    @property
    def path(self) -> Path:
        """Where the file stands."""
        return self.directory / f"gemini-ide-server-{self.pid}-{self.port}.json"

    def fields(self) -> dict[str, Any]:
        """Give what the file says; ``ideInfo`` is in the specification, and not in the companion's files."""
        info = {"ideInfo": {"name": "vscode", "displayName": self.ide_name}} if self.ide_info else {}
        return CompanionFile.fields(self) | info


@dataclass(frozen=True, slots=True, kw_only=True)
class QwenFile(CompanionFile):
    """The lock file of the Qwen Code companion."""

    @classmethod
    def usual_directory(cls, environ: Mapping[str, str]) -> Path:
        """Name the directory, which is below the home."""
        return _home(environ) / ".qwen" / "ide"

    def fields(self) -> dict[str, Any]:
        """Give what the file says."""
        return CompanionFile.fields(self) | {"ppid": self.pid, "ideName": self.ide_name}
