"""Copies of other programs' configuration, as it was before `bridge install`, and what is remembered of it.

The files may hold their programs' secrets, so the directory is this user's alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress

from bridge.core.installing import Plan, Receipt, read_receipts, renewed, write_receipts
from bridge.errors import WriteFailed
from bridge.paths import Paths, make_private

__all__ = ["Backups"]


class Backups:
    """The directory of copies and receipts of one user."""

    def __init__(self, places: Paths) -> None:
        self._state = places.state
        self._directory = places.installed
        self._path = f"{self._directory}/receipts.json"

    def of(self, path: str) -> tuple[Receipt | None, bytes | None]:
        """Give the receipt of a file and what its copy holds; nothing if the copy is lost."""
        receipt = self._read().get(path)
        if receipt is None or receipt.backup is None:
            return receipt, None
        try:
            with open(f"{self._directory}/{os.path.basename(receipt.backup)}", "rb") as file:
                return receipt, file.read()
        except OSError:
            return None, None

    def keep(self, path: str, plan: Plan) -> str | None:
        """Copy the file as it is, and write what will be true after the plan; give the path of the copy."""
        make_private(self._state)
        make_private(self._directory)
        name = None
        if plan.before is not None:
            name = f"{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}-{os.path.basename(path)}"
            self._write(f"{self._directory}/{name}", plan.before, os.O_EXCL)
        receipts = self._read()
        self._save({**receipts, path: renewed(receipts.get(path), plan, name)})
        return name and f"{self._directory}/{name}"

    def forget(self, path: str) -> None:
        """Drop the receipt of a file that has nothing of ours any more."""
        receipts = self._read()
        receipts.pop(path, None)
        self._save(receipts)

    def _read(self) -> dict[str, Receipt]:
        with suppress(OSError, UnicodeDecodeError), open(self._path, encoding="utf-8") as file:
            return read_receipts(file.read())
        return {}

    def _save(self, receipts: Mapping[str, Receipt]) -> None:
        temporary = f"{self._path}.{os.getpid()}"
        self._write(temporary, write_receipts(receipts).encode(), 0)
        os.replace(temporary, self._path)

    def _write(self, path: str, data: bytes, flags: int) -> None:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
            with open(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
        except OSError as exc:
            hint = "nothing else was changed: mend the cause, then try again"
            raise WriteFailed(f"cannot keep a copy at {path}: {exc.strerror}", hint) from exc
