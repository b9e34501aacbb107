"""A bug in one of the daemon's tasks ends that task, and is told in the log."""

from __future__ import annotations

import asyncio

import pytest

from bridge.daemon.tasks import Tasks


async def test_a_bug_ends_its_own_task_only(caplog: pytest.LogCaptureFixture) -> None:
    async def bug() -> None:
        raise ZeroDivisionError

    async def work() -> str:
        return "done"

    async with asyncio.timeout(5), Tasks() as tasks:
        broken = tasks.create_task(bug(), name="a task")
        await broken
        assert await tasks.create_task(work()) == "done"
    assert "ZeroDivisionError" in caplog.text


async def test_what_the_body_raises_ends_them_all() -> None:
    begun: list[asyncio.Task[None]] = []

    async def life() -> None:
        async with Tasks() as tasks:
            begun.append(tasks.create_task(asyncio.Event().wait()))
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await asyncio.wait_for(life(), 5)
    assert begun[0].cancelled()
