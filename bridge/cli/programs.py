"""Looking at other programs' configuration: which are here, and whether the bridge is registered with them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from shlex import quote

from bridge.core.installchecks import Registration
from bridge.core.programs import PROGRAMS, Part, Program, locate
from bridge.core.registering import find
from bridge.core.text import decode
from bridge.errors import BadConfiguration, BadData, BridgeError, NotTrusted
from bridge.paths import is_ours
from bridge.store.files import read_file

__all__ = ["executable", "is_present", "look", "look_around", "place", "read"]

_MOST_BYTES = 64 * 2**20


def executable() -> str:
    """Give the absolute path of this very command, for others to start it whatever their PATH.

    Raises `BadConfiguration` where there is none, or one that no text file can name. ``python -m bridge`` is none: it
    would look for the bridge in whichever directory it is started from.
    """
    typed = os.path.abspath(sys.argv[0])
    for path in (typed, os.path.join(os.path.dirname(sys.executable), "bridge")):
        if os.path.basename(path) == "bridge" and _runs(path):
            if not path.isprintable():
                raise BadConfiguration(
                    f"{path} has a name that configuration files cannot hold", "install it elsewhere"
                )
            return path
    raise BadConfiguration("this bridge is not installed as a command that others could start", "pipx install .")


def place(program: Program, part: Part, environ: Mapping[str, str]) -> str:
    """Give the path of the file. Raises `BadConfiguration` as `bridge.core.programs.locate` does."""
    return locate(program.place(part), environ, environ["HOME"].rstrip("/"), sys.platform)


def read(path: str) -> bytes | None:
    """Read a configuration file; None if there is none.

    Raises `NotTrusted` for somebody else's, and `BadData` for what is no file, or larger than any of its kind.
    """
    data = read_file(os.fsencode(path), _MOST_BYTES)
    try:
        is_strange = data is not None and not is_ours(os.stat(path))
    except FileNotFoundError:  # it has just gone; who writes it again will notice
        return None
    if is_strange:
        raise NotTrusted(f"{path} belongs to somebody else", f"see whose it is: ls -l {quote(path)}")
    return data


def is_present(program: Program, environ: Mapping[str, str]) -> bool:
    """Tell whether the program is here: its command is on the PATH, or it has been configured."""
    if any(shutil.which(command, path=environ.get("PATH")) for command in program.commands):
        return True
    home = os.path.realpath(environ["HOME"])
    for part in program.parts:
        try:
            path = place(program, part, environ)
        except BadConfiguration:  # its variable is set: it is here
            return True
        directory = os.path.dirname(path)
        if os.path.exists(path) or (os.path.isdir(directory) and os.path.realpath(directory) != home):
            return True
    return False


def look_around(environ: Mapping[str, str]) -> Iterator[Registration]:
    """Look at every program that is here."""
    for program in PROGRAMS.values():
        if is_present(program, environ):
            for part in program.parts:
                yield look(program, part, environ)


def look(program: Program, part: Part, environ: Mapping[str, str]) -> Registration:
    """Look at one file; what is wrong with it is part of the answer."""
    path = ""
    try:
        path = place(program, part, environ)
        entry = find(program, part, decode(read(path) or b""))
    except BadData as error:
        trouble: BridgeError = BadData(
            error.message if path in error.message else f"{path}: {error.message}", error.hint
        )
    except BridgeError as error:
        trouble = error
    else:
        if entry is None:
            return Registration(program=program.name, part=part, path=path)
        starts = entry.argv[0]
        is_this = os.path.realpath(starts) == _this()
        return Registration(
            program=program.name, part=part, path=path, starts=starts, runs=_runs(starts), is_this=is_this
        )
    return Registration(program=program.name, part=part, path=path, trouble=trouble)


def _this() -> str | None:
    try:
        return os.path.realpath(executable())
    except BadConfiguration:
        return None


def _runs(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
