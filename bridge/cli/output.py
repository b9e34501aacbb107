"""What all commands print alike. Standard library only."""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["say", "wants_color"]


def wants_color(stream: TextIO) -> bool:
    """Tell whether to colour: ``NO_COLOR`` and ``TERM=dumb`` forbid it, ``FORCE_COLOR`` wants it, else a terminal."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def say(message: str) -> None:
    """Tell the human something that is no data; control characters from names are shown, not sent."""
    from bridge.core.text import visible

    print(visible(message), file=sys.stderr, flush=True)
