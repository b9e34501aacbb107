"""Links and IDEs, for whoever tests what goes between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core import jsonrpc
from bridge.core.lockfile import Transport
from ide_plugins.emulator import Emulator
from tests.ides.linking import IdeProcess, Links, MakeIde, linked


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    async with linked() as links:
        yield links


@pytest.fixture
def transport() -> Transport:
    return Transport.WEBSOCKET


@pytest.fixture
def make_ide(tmp_path: Path, transport: Transport) -> MakeIde:
    def make(**options: Any) -> Emulator:
        workspace = tmp_path / "ws"
        workspace.mkdir(exist_ok=True)
        return Emulator(workspace=workspace, lock_dir=tmp_path / "ide", transport=transport.value, **options)

    return make


@pytest.fixture
def process(tmp_path: Path, transport: Transport) -> Iterator[IdeProcess]:
    """An emulator in a process of its own, which may be stopped and killed."""
    command = [sys.executable, "-m", "ide_plugins.emulator", "--workspace", str(tmp_path), "--no-token"]
    command += ["--transport", transport.value]
    with subprocess.Popen(
        [*command, "--lock-dir", str(tmp_path / "ide"), "--port", "0"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        ready = jsonrpc.load(process.stdout.readline())
        yield process, ready["port"]
        process.kill()
        process.stdout.read()
