"""A command in a terminal of its own (a pty), as a person would run it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import subprocess
import termios
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.e2e.support import PATIENCE_S

__all__ = ["ControllingTerminal", "Terminal"]


class Terminal:
    """Runs a command whose stdin, stdout and stderr are a terminal; a context manager."""

    controls = False

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
            preexec_fn=_control if self.controls else None,
        )
        os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def type(self, keys: str) -> None:
        """Type something."""
        os.write(self._end, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, as one closes a window."""
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def close(self) -> None:
        """End the command, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self.hang_up()

    async def until(self, wanted: str) -> str:
        """Read the screen until `wanted` is on it; give all that was printed."""
        return await asyncio.to_thread(self._read, wanted)

    async def end(self) -> int:
        """Read to the end; give the exit code."""
        await asyncio.to_thread(self._read, None)
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)

    async def more(self) -> str:
        """Read what comes next; give all that was printed."""
        assert await asyncio.to_thread(self._chunk), f"the end: {self.screen!r}"
        return self.screen

    def _read(self, wanted: str | None) -> str:
        while wanted is None or wanted not in self.screen:
            if not self._chunk():
                assert wanted is None, f"{wanted!r} is not on the screen: {self.screen}"
                break
        return self.screen

    def _chunk(self) -> bool:
        """Read what comes next; tell whether anything did before the end."""
        ready, _, _ = select.select([self._end], [], [], PATIENCE_S)
        assert ready, f"nothing comes any more; on the screen: {self.screen!r}"
        chunk = b""
        with suppress(OSError):  # EIO: the last process on it has ended
            chunk = os.read(self._end, 65536)
        self.screen += chunk.decode(errors="replace").replace("\r\n", "\n")
        return bool(chunk)


class ControllingTerminal(Terminal):
    """A terminal that is the command's controlling one: keys are signals, and its end is one too."""

    controls = True


def _control() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
