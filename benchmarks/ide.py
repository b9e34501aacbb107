"""The IDE of the benchmarks: ``python -m benchmarks.ide WORKSPACE LOCK_DIR``, until the end of standard input.

It announces itself as Neovim, whose plugin serves several clients: so an agent and the bridge can be connected
side by side and be measured in turn. What it answers is as large as is wanted and costs it next to nothing to
make, one long string, since a slow IDE would hide what the bridge costs. Its human accepts every diff at once.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ide_plugins.emulator import Emulator

SIZES = {"200 B": 200, "4 KB": 4000, "100 KB": 100_000, "256 KB": 256_000, "4 MB": 4_000_000}  # of an answer, about


def uri(size: int) -> str:
    """Name the file whose diagnostics are so large."""
    return f"file:///{size}"


async def main(workspace: Path, lock_dir: Path) -> None:
    async with Emulator(
        workspace=workspace, lock_dir=lock_dir, name="Neovim", several_clients=True, human="accept"
    ) as ide:
        for size in SIZES.values():
            ide.window.diagnostics[uri(size)] = [{"message": "x" * (size - 100)}]
        print(ide.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
