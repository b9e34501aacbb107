"""The three kinds of absolute path, as frozen values. `str()` gives the canonical text."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WSL_HOSTS", "PosixPath", "WinPath", "WslPath"]

WSL_HOSTS = frozenset({"wsl$", "wsl.localhost"})  # lower case; `\\wsl\` lived only in builds 20175-21353


@dataclass(frozen=True, slots=True)
class WinPath:
    r"""A Windows path without ``.``, ``..`` and doubled separators.

    >>> str(WinPath("C:", "\\Users")), str(WinPath(r"\\nas\media", ""))
    ('C:\\Users', '\\\\nas\\media')
    """

    root: str  # "C:", or "\\host\share"; "\\host" alone names no file, but is what a browser of shares shows
    tail: str  # begins with a backslash, and keeps a closing one; "" only for the root of a share

    def __str__(self) -> str:
        return self.root + self.tail

    @property
    def host(self) -> str:
        """The UNC host, or "" for a drive."""
        return self.root[2:].partition("\\")[0]

    @property
    def share(self) -> str:
        """The UNC share, or "" for a drive or a bare host."""
        return self.root[2:].partition("\\")[2]


@dataclass(frozen=True, slots=True)
class PosixPath:
    """An absolute POSIX path without ``.``, ``..`` and doubled slashes; a closing slash is kept."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class WslPath:
    """A path inside a named distribution, as ``vscode-remote://wsl+Ubuntu/…`` says it."""

    distro: str  # compares without regard to case; VS Code writes it in lower case
    path: str  # as in `PosixPath`

    def __str__(self) -> str:
        return self.path
