"""Where the daemon's tasks live: a bug in one is logged and ends that one, never the others (design.md D3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

__all__ = ["Tasks"]

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Tasks(asyncio.TaskGroup):
    """A TaskGroup whose tasks end with None where others would take the whole group with them."""

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """Run `coro`; what it raises ends up in the log."""
        return super().create_task(_guarded(coro, name), name=name, context=context)


async def _guarded(work: Coroutine[Any, Any, T], name: str | None) -> T:
    try:
        return await work
    except Exception:
        logger.exception("a bug in the task %s", name or work)
        return None  # type: ignore[return-value]
