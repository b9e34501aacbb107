"""Which project a file belongs to, from a handful of stats: no subprocess, no configuration of the project read.

Two folders are of the same repository if they share git's common directory: a worktree names it in
``commondir`` below its own git directory, which in turn is named by a file called ``.git``
(gitrepository-layout(5)). Everything read here may be hostile; the worst it can do is to name another
repository.

The search ends at the home directory, which is never a project itself: some people keep their dotfiles in a
repository at ``~``, and everything that they have would be one project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bridge.core.selection import Place
from bridge.errors import Usage
from bridge.ides.files import read_regular

__all__ = ["Project", "place", "project_of"]

LEVELS_MAX: Final = 64  # directories from the file upwards
LINK_BYTES_MAX: Final = 8192  # of a ``.git`` or ``commondir`` file: one path of at most 4096 bytes, and slack
_OTHER_MARKERS: Final = (".jj", ".hg", ".svn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where a file belongs; both parts are None outside of version control."""

    root: str | None = None  # the nearest directory with .git, .jj, .hg or .svn
    repository: str | None = None  # real path of git's common directory, the same in all worktrees


def project_of(path: str, home: str) -> Project:
    """Find the project of a file or directory, which need not exist yet.

    Never raises; what cannot be read is not there.

    Args:
        path: absolute and real.
        home: the user's home directory, absolute and real; neither it nor what is above it is looked at.
    """
    for directory in islice(_upwards(path), LEVELS_MAX):
        if directory == home:
            break
        git = os.path.join(directory, ".git")
        if os.path.lexists(git):
            return Project(root=directory, repository=_repository(git))
        if any(os.path.isdir(os.path.join(directory, marker)) for marker in _OTHER_MARKERS):
            return Project(root=directory)
    return Project()


def place(directory: str | bytes, file: str | bytes | None = None, *, home: str) -> Place:
    """Say where a request comes from and what it is about.

    Args:
        directory: the asker's working directory, absolute.
        file: that the request is about, if any; a relative one counts from `directory`. Need not exist.
        home: as for `project_of`.

    Raises `Usage` if `directory` is relative, or a path cannot be that of any file.
    """
    try:
        cwd = os.path.realpath(_absolute(os.fsdecode(directory)))
        target = None if file is None else os.path.realpath(os.path.join(cwd, os.fsdecode(file)))
    except ValueError as exc:  # NUL, or a surrogate that stands for no byte
        raise Usage("a path holds characters that no file name can hold") from exc
    around, about = project_of(cwd, home), Project() if target is None else project_of(target, home)
    return Place(
        directory=cwd,
        file=target,
        project=about.root,
        repository=about.repository,
        cwd_project=around.root,
        cwd_repository=around.repository,
    )


def _absolute(directory: str) -> str:
    if not os.path.isabs(directory):
        raise Usage(f"not an absolute directory: {directory!r}")
    return directory


def _upwards(path: str) -> Iterator[str]:
    """Give `path` and all directories above it. A file is no directory, but asking it costs one stat."""
    yield path
    while (above := os.path.dirname(path)) != path:
        yield (path := above)


def _repository(git: str) -> str | None:
    """Resolve ``.git``, a directory, a symlink to one, or a file that names one (worktree, submodule)."""
    if not os.path.isdir(git):
        text = _first_line(git)
        if text is None or not text.startswith("gitdir: "):
            return None
        git = os.path.join(os.path.dirname(git), text.removeprefix("gitdir: "))
    common = os.path.join(git, _first_line(os.path.join(git, "commondir")) or "")
    return os.path.realpath(common) if os.path.isdir(common) else None


def _first_line(path: str) -> str | None:
    try:
        _, data = read_regular(path, LINK_BYTES_MAX)
    except (OSError, ValueError):  # absent, unreadable, not a file; NUL in a path that a file named
        return None
    return os.fsdecode(data.partition(b"\n")[0].rstrip(b"\r"))
