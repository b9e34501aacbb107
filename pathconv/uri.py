"""``file`` URIs as VS Code writes them: everything but ``A-Za-z0-9-._~/`` is percent-encoded."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["PathError", "to_uri"]


class PathError(ValueError):
    """A path that has no name of the wanted kind; `code` says why (``relative``, ``not-utf8``, ``nul``)."""

    def __init__(self, code: str, path: str) -> None:
        super().__init__(f"{code}: {path!r}")
        self.code = code
        self.path = path


def to_uri(path: str) -> str:
    """Give the ``file`` URI of an absolute POSIX path.

    >>> to_uri("/home/me/a b#1.py")
    'file:///home/me/a%20b%231.py'

    Raises `PathError`: ``relative`` for a path without a leading slash, ``nul`` for one with a NUL, and
    ``not-utf8`` for a name with bytes that are not UTF-8 (surrogate escapes), which no URI can carry to an
    editor that reads UTF-8.
    """
    if not path.startswith("/"):
        raise PathError("relative", path)
    if "\0" in path:
        raise PathError("nul", path)
    try:
        return "file://" + quote(path.encode(), safe="/-._~")
    except UnicodeEncodeError:
        raise PathError("not-utf8", path) from None
