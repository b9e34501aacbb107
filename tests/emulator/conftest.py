from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from ide_plugins.emulator import Emulator


class MakeIde(Protocol):
    """An emulator on the test's own directories."""

    def __call__(self, **options: Any) -> Emulator: ...


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "a.py").write_text("one = 1\ntwo = 2\n", encoding="utf-8")
    return folder


@pytest.fixture
def lock_dir(tmp_path: Path) -> Path:
    return tmp_path / "config" / "ide"


@pytest.fixture
def make_ide(workspace: Path, lock_dir: Path) -> MakeIde:
    def make(**options: Any) -> Emulator:
        return Emulator(**{"workspace": workspace, "lock_dir": lock_dir, **options})

    return make
