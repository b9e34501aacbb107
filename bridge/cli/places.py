"""Paths as people and Windows programs type them."""

from __future__ import annotations

import os
import shlex

from bridge.errors import BadData

__all__ = ["here"]


def here(path: str) -> str:
    r"""Give the path of a file on this machine: in WSL also for ``C:\src\a.py`` and ``\\wsl.localhost\…``.

    A file of that very name counts only where Windows has none: a repository could bring one along. Raises `BadData`
    for a Windows path that has no name here.
    """
    if not (path[1:3] in (":\\", ":/") and path[:1].isalpha()) and not path.startswith("\\\\"):
        return path
    from pathconv import PathConvError
    from pathconv.probe import Probe

    mapper = Probe().mapper()
    if mapper is None:  # not WSL: it is a name like any other
        return path
    try:
        there = mapper.to_linux(path)
    except PathConvError as error:
        if os.path.lexists(path):
            return path
        raise BadData(f"{path} has no name in WSL: {error}", f"bridge path --explain {shlex.quote(path)}") from error
    return path if os.path.lexists(path) and not os.path.lexists(there) else there
