"""An agent that comes back while its change is being decided, in whichever moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.asks import Decide
from bridge.daemon.poses import Poses
from bridge.ides.processes import Standing
from tests.daemon.test_engine import House, OpenHouse, open_house, result, workspace

__all__ = ["open_house", "workspace"]  # fixtures


class Wire:
    """The way to an agent that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def send(self, frame: bytes, sent: Callable[[], None] | None = None) -> None:
        self.heard.put_nowait(json.loads(frame))
        if sent is not None:
            sent()

    def tell(self, method: str, params: bytes) -> None:
        raise AssertionError(f"it follows no IDE: {method}")


def open_diff(file: Path) -> bytes:
    names = {"old_file_path": str(file), "new_file_path": str(file)}
    params = {"name": "openDiff", "arguments": {**names, "new_file_contents": "new\n", "tab_name": "tab"}}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


async def test_a_change_that_is_decided_while_it_is_asked_for_again_is_not_decided_twice(
    open_house: OpenHouse, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second agent's look around takes so long that the review has left the desk when it is over."""
    frame, standing = open_diff(workspace / "a.txt"), Standing(str(workspace), {}, None)
    async with open_house() as house, asyncio.timeout(20):
        poses = Poses(house.engine, house.lookout)
        before = poses.begin(Wire(), standing)
        await before.take(frame)
        (review,) = house.engine.router.desk.seats
        await before.left()
        looks, go_on = slow_looks(house, monkeypatch)
        wire = Wire()
        taking = asyncio.ensure_future(poses.begin(wire, standing).take(frame))
        await looks.wait()
        await result(await house.ask(house.agent(), Decide(review_id=review, finals=("mine\n",), comments=())))
        go_on.set()
        await taking
        assert not house.engine.router.desk.seats
        texts = [item["text"] for item in (await wire.heard.get())["result"]["content"]]
        assert texts == ["FILE_SAVED", "mine\n"]


def slow_looks(house: House, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Let whoever looks around wait; give what tells that somebody does, and what lets him go on."""
    looks, go_on = asyncio.Event(), asyncio.Event()
    scene = house.lookout.scene

    async def slow(*about: Any) -> Any:
        looks.set()
        await go_on.wait()
        return await scene(*about)

    monkeypatch.setattr(house.lookout, "scene", slow)
    return looks, go_on
