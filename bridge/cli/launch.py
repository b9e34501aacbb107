"""Starting an editor's own command: found where no repository can have put it, and not waited for long."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from bridge.errors import Unavailable

__all__ = ["PATIENCE_S", "launch"]

PATIENCE_S = 5.0  # it only hands the file to a window that is there
_MOST_STDERR = 65536
_MOST_SHOWN = 200  # characters of its first line


def launch(
    words: Sequence[str], path: str, environ: Mapping[str, str], patience: float = PATIENCE_S
) -> tuple[list[str], bool]:
    """Run an editor's command; give its words, the program's whole path first, and whether it has ended by now.

    It gets neither our terminal nor our Ctrl-C, and in PATH only what it was looked for in itself: it may start others.
    One that takes longer than `patience` seconds is left to itself, for it may be the editor.

    Args:
        words: the program's name and its arguments.
        path: of the file that is opened.

    Raises `Unavailable` when there is no such program, it cannot be run, or it fails.
    """
    projects = list(_projects(path, environ))
    directories = [each for each in _directories(environ) if not _within(each, projects)]
    found = (shutil.which(words[0], path=directory) for directory in directories)
    program = next((path for path in found if path is not None and not _within(path, projects)), None)
    if program is None:
        raise Unavailable(*_missing(words[0], environ))
    command = [program, *words[1:]]
    with tempfile.TemporaryFile() as stderr:  # a pipe would break under an editor that goes on
        ended = _run(command, {**environ, "PATH": os.pathsep.join(directories)}, stderr, patience)
        if isinstance(ended, OSError):
            raise Unavailable(f"cannot run {program}: {ended.strerror}", "install the editor's command anew")
        if ended:
            raise Unavailable(f"{program} failed with exit code {ended}{_first_line(stderr)}", "bridge status")
    return command, ended is not None


def _directories(environ: Mapping[str, str]) -> list[str]:
    """Name what PATH does, but for what counts from the working directory."""
    return [each for each in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(each)]


def _projects(path: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Name the directories that may be somebody else's: the working directory's and the file's, up to the repository.

    One that holds the home was not brought along by any repository.
    """
    home = os.path.realpath(environ.get("HOME", "/"))
    for start in (os.getcwd(), os.path.dirname(os.path.abspath(path))):
        inner = directory = os.path.realpath(start)
        while directory != os.path.dirname(directory) and not os.path.lexists(os.path.join(directory, ".git")):
            directory = os.path.dirname(directory)
        for project in (inner, directory):
            if os.path.commonpath([home, project]) != project:
                yield project


def _within(path: str, projects: Sequence[str]) -> bool:
    """Tell whether a path lies in one of them, by its name or where its links lead."""
    spellings = {os.path.normpath(path), os.path.realpath(path)}
    return any(os.path.commonpath([one, project]) == project for one in spellings for project in projects)


def _missing(program: str, environ: Mapping[str, str]) -> tuple[str, str]:
    hint = f"have the editor install its command {program} in PATH"
    if (found := shutil.which(program, path=os.pathsep.join(_directories(environ)))) is not None:
        return f"{found} is not run: it lies in the project that is worked in", hint
    return f"no {program} on your PATH, and the editor's plugin opens no files", hint


def _run(
    command: Sequence[str], environ: Mapping[str, str], stderr: IO[bytes], patience: float
) -> int | OSError | None:
    """Give its exit code; what kept it from starting; None: it goes on."""
    ends: list[int | OSError] = []

    def run() -> None:
        try:
            nothing = subprocess.DEVNULL
            # Not here: a word of its PATH or of its own might count from a directory that is hostile.
            code = subprocess.call(
                command, stdin=nothing, stdout=nothing, stderr=stderr, env=environ, cwd="/", start_new_session=True
            )
            ends.append(code)
        except OSError as exc:
            ends.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience)
    return ends[0] if ends else None


def _first_line(stderr: IO[bytes]) -> str:
    stderr.seek(0)
    lines = stderr.read(_MOST_STDERR).decode(errors="replace").split("\n")
    return next((f": {line.strip()[:_MOST_SHOWN]}" for line in lines if line.strip()), "")
