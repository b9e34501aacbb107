"""Paths as people and Windows programs type them."""

from __future__ import annotations

import os

from bridge.errors import BadData

__all__ = ["here"]


def here(path: str) -> str:
    r"""Give the path of a file on this machine: in WSL also for ``C:\src\a.py`` and ``\\wsl.localhost\…``.

    A file that really has such a name here is that file. Raises `BadData` for a Windows path that has no name here.
    """
    if not (path[1:3] in (":\\", ":/") and path[:1].isalpha()) and not path.startswith("\\\\"):
        return path
    if os.path.lexists(path):
        return path
    from pathconv import PathConvError
    from pathconv.probe import Probe

    mapper = Probe().mapper()
    if mapper is None:  # not WSL: it is the name of a file that is not there
        return path
    try:
        return mapper.to_linux(path)
    except PathConvError as error:
        raise BadData(f"{path} has no name in WSL: {error}", "bridge path --explain") from error
