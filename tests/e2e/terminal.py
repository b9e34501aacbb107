"""A command in a terminal of its own (a pty), as a person would run it."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.e2e.support import PATIENCE_S

__all__ = ["Terminal"]


class Terminal:
    """Runs a command whose stdin, stdout and stderr are a terminal; a context manager."""

    def __init__(self, words: Sequence[str], *, cwd: Path, **environ: str) -> None:
        self.screen = ""
        self._end, inner = pty.openpty()
        self.process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **environ},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def type(self, keys: str) -> None:
        """Type something."""
        os.write(self._end, keys.encode())

    def close(self) -> None:
        """End the command, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        os.close(self._end)

    async def until(self, wanted: str) -> str:
        """Read the screen until `wanted` is on it; give all that was printed."""
        return await asyncio.to_thread(self._read, wanted)

    async def end(self) -> int:
        """Read to the end; give the exit code."""
        await asyncio.to_thread(self._read, None)
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)

    def _read(self, wanted: str | None) -> str:
        while wanted is None or wanted not in self.screen:
            chunk = b""
            with suppress(OSError):  # EIO: the last process on it has ended
                chunk = os.read(self._end, 65536)
            if not chunk:
                assert wanted is None, f"{wanted!r} is not on the screen: {self.screen}"
                break
            self.screen += chunk.decode(errors="replace").replace("\r\n", "\n")
        return self.screen
