"""Copies of other programs' configuration, as it was before `bridge install`, and what is remembered of it.

The files may hold their programs' secrets, so the directory is this user's alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from bridge.core.installing import Plan, Receipt, read_receipts, renewed, write_receipts
from bridge.paths import Paths, make_private
from bridge.store.files import read_file, write_whole

__all__ = ["Backups"]


class Backups:
    """The directory of copies and receipts of one user."""

    def __init__(self, places: Paths) -> None:
        self._state = places.state
        self._directory = places.installed
        self._path = os.fsencode(f"{self._directory}/receipts.json")

    def of(self, path: str) -> tuple[Receipt | None, bytes | None]:
        """Give the receipt of a file and what its copy holds; nothing if the copy is lost."""
        receipts, _ = self._read()
        receipt = receipts.get(path)
        if receipt is None or receipt.backup is None:
            return receipt, None
        copy = read_file(os.fsencode(f"{self._directory}/{os.path.basename(receipt.backup)}"))
        return (None, None) if copy is None else (receipt, copy)

    def keep(self, path: str, plan: Plan) -> str | None:
        """Copy the file as it is, and write what will be true after the plan; give the path of the copy.

        Raises `WriteFailed` where that cannot be done, `NotTrusted` for a directory that others may enter.
        """
        make_private(self._state)
        make_private(self._directory)
        name = None
        if plan.before is not None:
            name = f"{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}-{os.path.basename(path)}"
            write_whole(os.fsencode(f"{self._directory}/{name}"), plan.before, None)
        receipts, written = self._read()
        self._save({**receipts, path: renewed(receipts.get(path), plan, name)}, written)
        return name and f"{self._directory}/{name}"

    def forget(self, path: str) -> None:
        """Drop the receipt of a file that has nothing of ours any more."""
        receipts, written = self._read()
        receipts.pop(path, None)
        self._save(receipts, written)

    def _read(self) -> tuple[dict[str, Receipt], bytes | None]:
        """Read all receipts, and the bytes that they were read from."""
        data = read_file(self._path)
        return read_receipts((data or b"").decode(errors="replace")), data

    def _save(self, receipts: Mapping[str, Receipt], written: bytes | None) -> None:
        write_whole(self._path, write_receipts(receipts).encode(), written)
