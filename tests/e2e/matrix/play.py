"""The stories, as they are played with one agent and one IDE."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.matrix.fronts import Doors, Front, front
from tests.e2e.matrix.rules import STORIES
from tests.e2e.matrix.windows import NEW, OLD, Window, World, window
from tests.e2e.support import PATIENCE_S

__all__ = ["play"]


async def play(front_name: str, ide_name: str, doors: Doors) -> Mapping[str, str]:
    """Play every story with this pair; give what was heard in each, or what went wrong.

    After one that never ended the rest is not played: they would not end either, each in its own time.
    """
    heard: dict[str, str] = dict.fromkeys(STORIES, "not played")
    async with window(ide_name, doors.world) as ide, front(front_name, doors) as ann:
        for story in STORIES:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    heard[story] = await _tell(story, ann, ide, doors.world.file())
            except Exception as exc:  # whatever it is, the other stories are worth playing
                heard[story] = "".join(traceback.format_exception(exc))
                await asyncio.to_thread(_tidy_up, doors.world)
                if isinstance(exc, TimeoutError):
                    break
    return heard


def _tidy_up(world: World) -> None:
    """Cancel what a story that went wrong has left, so that the next one meets nothing of it."""
    with world.client() as client:
        for review in client.request("review/list", {})["reviews"]:
            client.cancel(review["id"])


async def _tell(story: str, ann: Front, ide: Window, file: Path) -> str:
    if story == "open":
        said = await ann.open(file)
        shown = await ide.shows(file)
        return said if shown == (said == "opened") else f"{said}, but it is {'' if shown else 'not '}shown"
    said = await _review(story, ann, ide, file)
    assert file.read_text(encoding="utf-8") == OLD, "only the agent writes the file"
    return said


async def _review(story: str, ann: Front, ide: Window, file: Path) -> str:
    undecided = story == "close" and not ide.decides_by_closing
    await ann.propose(file, NEW, decided=not undecided)
    hearing = asyncio.ensure_future(ann.hear())
    seeing = asyncio.ensure_future(ide.see(file))
    try:
        await asyncio.wait({hearing, seeing}, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():  # else it was refused
            await seeing
            await ide.decide(story)
            if undecided:
                await ann.take_back()
        return await hearing
    finally:
        seeing.cancel()
        hearing.cancel()
