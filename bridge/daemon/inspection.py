"""Looking at everything that the bridge depends on, for `bridge doctor`: nothing is changed, nobody is contacted.

It runs in the asker's process, so that a daemon that does not start is examined too.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from bridge import __version__
from bridge.core.checks import Directory, Facts, File, Quota
from bridge.core.daemonchecks import NAMESPACES, Answer, DaemonFacts, World
from bridge.core.events import LinkState
from bridge.core.idechecks import Announced, Distrusted, IdeFacts
from bridge.core.reach import Diagnosis
from bridge.daemon.settings import Settings, jetbrains_of, read_settings, surroundings_of
from bridge.errors import BadConfiguration, BridgeError
from bridge.ides.admission import Refused
from bridge.ides.dialing import Dialer
from bridge.ides.locks import LockScanner, candidate_directories
from bridge.ides.survey import Found, look_around
from bridge.paths import Paths, check_private, socket_path

__all__ = ["inspect_bridge", "inspect_daemon", "inspect_ides"]


# ---- the bridge and its machine


def inspect_bridge(environ: Mapping[str, str], places: Paths, daemon: Answer | None) -> Facts:
    """Look at the bridge's directories and files, and at what its machine has left."""
    socket = (daemon.socket if daemon else "") or socket_path(environ, places.state)
    pid = daemon.pid if daemon else 0
    directories = {"state": places.state}
    if os.path.isabs(socket):  # else it is a port
        directories["runtime"] = os.path.dirname(socket)
    writable, free = _room(places.state)
    return Facts(
        version=__version__,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version_info,
        now=time.time(),
        uid=os.getuid(),
        home=places.home,
        home_uid=os.stat(places.home).st_uid if os.path.isdir(places.home) else None,
        directories=tuple(_directory(check, path) for check, path in directories.items()),
        files=tuple(_files(places, socket)),
        journal=places.journal,
        writable=writable,
        free_bytes=free,
        config=places.config,
        has_config=os.path.exists(places.config),
        config_error=_config_error(places),
        running=daemon is not None and daemon.error is None,
        quotas=tuple(_quotas(pid or os.getpid())),
    )


def _directory(check: str, path: str) -> Directory:
    try:
        check_private(path)
    except FileNotFoundError:
        return Directory(check=check, path=path, exists=False)
    except BridgeError as error:
        return Directory(check=check, path=path, trouble=error)
    except OSError as exc:
        trouble = BadConfiguration(f"{path} cannot be looked at: {exc.strerror}", f"ls -ld '{os.path.dirname(path)}'")
        return Directory(check=check, path=path, trouble=trouble)
    return Directory(check=check, path=path)


def _files(places: Paths, socket: str) -> Iterator[File]:
    for path in (*_listed(places.state), *_listed(os.path.dirname(places.log)), socket):
        with suppress(OSError):  # it went, or cannot be reached
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode) or stat.S_ISSOCK(found.st_mode):
                yield File(
                    path=path,
                    uid=found.st_uid,
                    mode=stat.S_IMODE(found.st_mode),
                    size=found.st_size,
                    modified=found.st_mtime,
                )


def _listed(directory: str) -> list[str]:
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    except OSError:
        return []


def _room(state: str) -> tuple[str, int | None]:
    """Find where the state directory is, or would be made, and how many bytes are free there, if we may write."""
    place = state
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK | os.X_OK):
        return place, None
    found = os.statvfs(place)
    return place, found.f_bavail * found.f_frsize


def _config_error(places: Paths) -> BridgeError | None:
    try:
        read_settings(Path(places.config))
    except BridgeError as error:
        return error
    return None


def _quotas(pid: int) -> Iterator[Quota]:
    """Count what Linux limits: open files of the process, and what all of ours watch."""
    if sys.platform != "linux":
        return
    with suppress(psutil.Error):  # it left, or is hidden from us
        process = psutil.Process(pid)
        most, _ = process.rlimit(psutil.RLIMIT_NOFILE)
        if most >= 0:  # else unlimited
            fix = "ulimit -n 4096; bridge restart"
            yield Quota(name="open files", used=process.num_fds(), limit=most, fix=fix)
    for name, used in zip(("instances", "watches"), _inotify(), strict=True):
        with suppress(OSError, ValueError):
            key = f"max_user_{name}"
            limit = int(Path(f"/proc/sys/fs/inotify/{key}").read_text("ascii"))
            fix = f"sudo sysctl fs.inotify.{key}={limit * 4}"
            yield Quota(name=f"inotify {name}", used=used, limit=limit, fix=fix)


def _inotify() -> tuple[int, int]:
    """Count the inotify instances, and the watches in them, of all processes that we may look into."""
    instances = watches = 0
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.readlink(fd) == "anon_inode:inotify" and os.stat(fd.parent).st_uid == os.getuid():
                instances += 1
                watches += (fd.parents[1] / "fdinfo" / fd.name).read_text("ascii").count("\ninotify ")
    return instances, watches


# ---- the daemon


def inspect_daemon(daemon: Answer | None) -> DaemonFacts:
    """Look at the process behind what the daemon answered; None if none runs."""
    found = replace(daemon, world=_world(daemon.pid)) if daemon and daemon.pid else daemon
    return DaemonFacts(version=__version__, answer=found, world=_world("self"))


def _world(pid: int | str) -> World | None:
    """Describe the surroundings of a process; None where this system does not tell, or hides it (proc(5))."""
    proc = f"/proc/{pid}"
    try:
        with open(f"{proc}/status", encoding="utf-8", errors="replace") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        with open(f"{proc}/environ", "rb") as raw:
            variables = dict(entry.partition(b"=")[::2] for entry in raw.read().split(b"\0"))
        directory = os.readlink(f"{proc}/cwd")
        namespaces = {name: os.readlink(f"{proc}/ns/{name}") for name in NAMESPACES}
    except OSError:
        return None
    return World(
        namespaces=namespaces,
        no_new_privs=status.get("NoNewPrivs") == "1",
        seccomp=int(status.get("Seccomp", "0")),
        home=os.fsdecode(variables.get(b"HOME", b"")),
        directory=directory,
    )


# ---- IDEs


def inspect_ides(environ: Mapping[str, str], places: Paths, rows: list[Any], browser: bool) -> IdeFacts:
    """Look for IDEs as the daemon does; `rows` is what it knows of its links to them, empty if none runs."""
    settings = _settings(places)
    surroundings, jetbrains = surroundings_of(settings), jetbrains_of(settings)
    directories = candidate_directories(environ, Path(places.home))
    scanner, dialer = LockScanner(ground=surroundings.ground), Dialer(leads=surroundings.leads)
    look = look_around(directories, surroundings, scanner, dialer, jetbrains=jetbrains)
    terrain, scan, found = asyncio.run(look)
    known = {(row["port"], row.get("side", "here") == "here"): row for row in rows}
    processes = surroundings.alive(
        one.admitted.lock.pid or 0 for one in found if one.silence and one.admitted.lock.running_in_windows
    )
    announced = [_announced(one, known.get((one.admitted.lock.port, one.route.here)), processes) for one in found]
    return IdeFacts(
        environ=environ,
        directory=_directory_now(),
        announced=tuple(announced),
        distrusted=(
            *(_distrusted(one, directory=False) for one in scan.refused),
            *(_distrusted(one, directory=True) for one in scan.problems),
        ),
        directories=tuple(one.path for one in [*directories, *surroundings.directories()]),
        browser=browser,
        jetbrains=jetbrains.ports,
        terrain=terrain,
    )


def _directory_now() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _settings(places: Paths) -> Settings:
    try:
        return read_settings(Path(places.config))
    except BadConfiguration:  # `inspect_bridge` tells
        return Settings()


def _announced(found: Found, row: Any, processes: Mapping[int, bool | None]) -> Announced:
    admitted, port = found.admitted, found.port
    occupied = LinkState.OCCUPIED if port.occupied else LinkState.LISTENING
    known = row is not None and row["state"] == LinkState.UNREACHABLE  # the daemon may know more, from a relay
    return Announced(
        lock=admitted.lock,
        path=admitted.path,
        pid=found.pid,
        listener=found.listener,
        exposed=port.bound_beyond_loopback,
        weak=admitted.weak,
        state=row["state"] if row else occupied,
        detail=row["detail"] if row else "",
        silence=Diagnosis(row["detail"], row["fix"]) if known else found.silence,
        ended=processes.get(admitted.lock.pid or 0) is False,
    )


def _distrusted(found: Refused, *, directory: bool) -> Distrusted:
    try:
        status = os.lstat(found.path)
    except OSError:  # gone meanwhile, or out of reach: then it is no symlink to us, and not ours
        return Distrusted(path=found.path, reason=found.reason, directory=directory, ours=False, fix=found.fix)
    return Distrusted(
        path=found.path,
        reason=found.reason,
        directory=directory,
        symlink=stat.S_ISLNK(status.st_mode),
        ours=status.st_uid == os.getuid(),
        fix=found.fix,
    )
