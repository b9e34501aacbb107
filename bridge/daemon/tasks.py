"""Where the daemon's tasks live: a bug in one is logged and ends that one, never the others (design.md D3)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

__all__ = ["Tasks"]

logger = logging.getLogger(__name__)


class Tasks(asyncio.TaskGroup):
    """A TaskGroup whose tasks end with None where others would take the whole group with them."""

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Run `coro`; what it raises ends up in the log."""
        task = super().create_task(_guarded(coro), **options)
        task.add_done_callback(lambda _: coro.close())  # one that was cancelled before it began
        return task


async def _guarded(work: Any) -> Any:
    try:
        return await work
    except Exception:
        logger.exception("a bug in %s", getattr(work, "__qualname__", work))
        return None
