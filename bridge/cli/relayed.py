"""How what an IDE's tools say is shown to a person; `bridge.core.readings` reads it."""

from __future__ import annotations

import os

__all__ = ["shown"]


def shown(path: str, at: tuple[int, int] | None) -> str:
    """Write a place as compilers do, ``path:line:column``, the path from here if it lies below."""
    from bridge.core.text import visible

    here = os.path.join(os.getcwd(), "")
    return visible(":".join((path.removeprefix(here), *map(str, at or ()))))
