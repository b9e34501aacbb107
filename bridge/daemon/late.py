"""Importing what takes a second when it is first wanted: in a thread, and one import at a time.

Two threads that import parts of one package at the same time may wait for each other, which Python ends by failing one.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from typing import Any, Final

__all__ = ["imported"]

_ONE_AT_A_TIME: Final = threading.Lock()


async def imported(name: str) -> Any:
    """Give a module, while the daemon goes on."""
    return await asyncio.to_thread(_import, name)


def _import(name: str) -> Any:
    with _ONE_AT_A_TIME:
        return importlib.import_module(name)
