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
    if path[1:2] != ":" and not path.startswith(("\\\\", "//")):  # nearly all of them; the rest takes time to import
        return path
    from pathconv import PathConvError, is_windows
    from pathconv.probe import Probe

    mapper = Probe().mapper() if is_windows(path, "linux") else None
    if mapper is None:  # not WSL: it is a name like any other
        return path
    try:
        there = mapper.to_linux(path)
    except PathConvError as error:
        if os.path.lexists(path):
            return path
        raise BadData(f"{path} has no name in WSL: {error}", f"bridge path --explain {shlex.quote(path)}") from error
    return path if os.path.lexists(path) and not os.path.lexists(there) else there
