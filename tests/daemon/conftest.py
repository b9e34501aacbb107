"""Fixtures of the daemon's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.store.journal import JournalThread


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalThread]:
    journal = JournalThread(str(tmp_path / "journal.sqlite"))
    yield journal
    journal.close()
