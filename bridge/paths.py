"""Every directory and file of the bridge, for client and daemon alike. Standard library only, and little of it.

One user has one daemon, whatever ``TMPDIR`` or ``XDG_RUNTIME_DIR`` a terminal has: everything that must be
found lies in the *state directory*; the socket, which wants a short path on a local file system, lies in a
*runtime directory* that the daemon chooses and records in ``daemon.json`` beside the journal.

===================  =======================================================================
state                ``$XDG_STATE_HOME/bridge``, default ``~/.local/state/bridge``
configuration        ``$XDG_CONFIG_HOME/bridge/config.toml``, default ``~/.config/…``
socket               ``$XDG_RUNTIME_DIR/bridge/<name>.sock``, else ``/run/user/<uid>/bridge``,
                     else ``/tmp/bridge-<uid>``; the name holds a checksum of the state directory;
                      or, with ``socket = "tcp"``, a port of 127.0.0.1 and no file
===================  =======================================================================
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Mapping

from bridge.errors import BadConfiguration, NotTrusted

__all__ = ["Paths", "check_private", "is_ours", "make_private", "paths", "socket_path"]

_SOCKET_BYTES = 100  # Linux takes 107, macOS 103


class Paths:
    """Where the bridge of one user keeps its things; strings, absolute."""

    def __init__(self, state: str, config: str, home: str) -> None:
        self.state = state
        self.config = config
        self.home = home
        self.journal = f"{state}/journal.sqlite"
        self.lock = f"{state}/daemon.lock"
        self.address = f"{state}/daemon.json"  # what the running daemon says of itself
        self.log = f"{state}/log/daemon.log"
        self.mcp_token = f"{state}/mcp.token"  # lets agents in that speak MCP over HTTP
        self.doors = f"{state}/doors"  # 0600 files that lead a browser to a review
        self.installed = f"{state}/installed"  # other programs' files as they were before `bridge install`


def paths(environ: Mapping[str, str]) -> Paths:
    """Compute the directories from ``HOME`` and ``XDG_*``; creates nothing.

    Raises `BadConfiguration` when there is no home directory to speak of.
    """
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        raise BadConfiguration("HOME is not an absolute path", "set HOME to your home directory")
    state = _xdg(environ, "XDG_STATE_HOME", f"{home}/.local/state")
    config = _xdg(environ, "XDG_CONFIG_HOME", f"{home}/.config")
    return Paths(f"{state}/bridge", f"{config}/bridge/config.toml", home)


def _xdg(environ: Mapping[str, str], name: str, default: str) -> str:
    """Read one of the variables; the specification says that a relative value is to be ignored."""
    value = environ.get(name, "")
    return value.rstrip("/") if value.startswith("/") and len(value) > 1 else default


def socket_path(environ: Mapping[str, str], state: str) -> str:
    """Choose where the daemon's socket goes: the first runtime directory that is this user's alone."""
    name = f"{zlib.crc32(os.fsencode(state)):08x}.sock"
    uid = os.getuid()
    for base in (_xdg(environ, "XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"):
        path = f"{base}/bridge/{name}"
        if base and _is_private(base) and len(os.fsencode(path)) <= _SOCKET_BYTES:
            return path
    return f"/tmp/bridge-{uid}/{name}"


def is_ours(found: os.stat_result) -> bool:
    """Tell whether a file belongs to this user; on Windows nobody owns any, and the profile is the user's alone."""
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def _is_private(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and is_ours(found) and not found.st_mode & 0o077


def make_private(path: str) -> None:
    """Create the directory with mode 0700, or check that it is this user's alone.

    Raises `NotTrusted` when it belongs to somebody else, others may enter it, or it is no directory; its
    mode is not mended silently, since whoever loosened it may have left something inside. Raises
    `BadConfiguration` when it cannot be made.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkdir(path, 0o700)
    except OSError as exc:
        if not os.path.lexists(path):
            raise BadConfiguration(f"cannot create {path}: {exc.strerror}", "check HOME and the disk") from exc
    check_private(path)


def check_private(path: str) -> None:
    """Check that an existing directory is this user's alone. Raises `NotTrusted` as `make_private` does."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotTrusted(f"{path} is not a directory", f"look at it, then: rm '{path}'")
    if not is_ours(found):
        raise NotTrusted(f"{path} belongs to user {found.st_uid}", "ask its owner or an administrator to remove it")
    if found.st_mode & 0o077:
        raise NotTrusted(f"{path} can be entered by others (mode {found.st_mode & 0o777:04o})", f"chmod 700 '{path}'")
