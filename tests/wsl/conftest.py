"""Fixtures of the stories about WSL."""

from __future__ import annotations

import pytest

from tests.wsl.namespaces import missing


@pytest.fixture
def namespaces() -> None:
    """What needs namespaces of its own is skipped where none can be made."""
    if why := missing():
        pytest.skip(why)
