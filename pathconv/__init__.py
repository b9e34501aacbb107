"""Paths between worlds: pure, typed, without dependencies, importable without `bridge`.

So far: the ``file`` URIs of POSIX paths, in VS Code's spelling. Windows and WSL follow.
"""

from pathconv.uri import PathError, to_uri

__all__ = ["PathError", "to_uri"]
