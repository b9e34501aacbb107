"""Fixtures of the agents' side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_ON_BOTH = ("test_idesocket.py", "test_idestream.py")  # uvloop is the daemon's, where it is installed


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the fronts' tests on both event loops."""
    del config
    return _LOOPS if item.path.name in _ON_BOTH else {"asyncio": asyncio.new_event_loop}
