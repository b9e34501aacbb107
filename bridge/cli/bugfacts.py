"""What `bridge bugreport` says, part by part. Every part is redacted when it is put in, and the whole once more."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bridge.client import Client
from bridge.connection import SENT
from bridge.errors import BridgeError
from bridge.paths import Paths, paths

if TYPE_CHECKING:
    from bridge.core.redaction import Private, Redactor

__all__ = ["report"]

PATIENCE_S = 5.0  # for the daemon
_LOG_LINES = 300
_MOST_LOCKS = 50  # of a directory
_LOCK_BYTES = 1 << 16
_MOST_REVIEWS = 10_000
_PACKAGE = "ide-bridge"

# Of all that a lock file says; for the rest it is enough to know that it is there.
_LOCK_FACTS = (
    *("pid", "ideName", "transport", "runningInWindows", "workspaceFolders"),
    *("ppid", "port", "ideInfo", "workspacePath"),  # of companions
)
_SECRET_NAMES = ("TOKEN", "SECRET", "PASSW", "KEY", "AUTH", "COOKIE")  # parts of environment variables' names


def report() -> str:
    """Write the whole report."""
    from bridge.core.redaction import Redactor

    places = paths(os.environ)
    settings, status, locks = _settings(places), _status(), list(_locks(places))
    redactor = Redactor(_private(places, settings, status, locks))
    parts: dict[str, Callable[[], Any]] = {
        "versions": _versions,
        "terminal": lambda: {name: os.environ[name] for name in SENT if name in os.environ},
        "settings": lambda: {name: _shape(value) for name, value in settings.items()},
        "status": lambda: status or "no bridge answers",
        "doctor": _doctor,
        "lock files": lambda: [facts for facts, _ in locks],
        "reviews": lambda: _reviews(places, status is not None),
        "log": lambda: _log(places),
    }
    begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    written = (f"\n== {title}\n{_written(part, redactor)}\n" for title, part in parts.items())
    return redactor.text("".join([f"A report on the bridge, made at {begun}\n", *written]))


def _written(part: Callable[[], Any], redactor: Redactor) -> str:
    """Write one part; one that fails is told, and the others are there all the same."""
    try:
        value = redactor.value(part())
    except Exception as exc:
        return f"not to be had: {exc!r}"
    return value if isinstance(value, str) else json.dumps(value, indent=1)


def _private(
    places: Paths,
    settings: dict[str, Any],
    status: dict[str, Any] | None,
    locks: list[tuple[dict[str, Any], list[str]]],
) -> Private:
    import pwd
    import socket

    from bridge.core.redaction import Private

    profile = ((status or {}).get("machine") or {}).get("profile") or ""
    users = [os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")]
    with suppress(KeyError):  # a container's user need not have a name
        users.append(pwd.getpwuid(os.getuid()).pw_name)
    host = socket.gethostname()
    return Private(
        secrets=[
            *(value for name, value in os.environ.items() if any(part in name.upper() for part in _SECRET_NAMES)),
            *(secret for _, secrets in locks for secret in secrets),
        ],
        homes=[places.home, os.path.realpath(places.home), profile],
        users=[*users, os.path.basename(places.home), profile.rpartition("\\")[2]],
        hosts=[host, host.partition(".")[0], str(settings.get("ide_host") or "")],
    )


def _shape(value: Any) -> Any:
    """Give a number as it is, and of anything else only what it is."""
    if isinstance(value, bool | int | float) or value in ("", None):
        return value
    return f"({type(value).__name__})"


# ---- the machine


def _versions() -> dict[str, str]:
    import platform
    import re
    import sqlite3
    from importlib import metadata

    from bridge import __version__

    versions = {
        "bridge": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
    }
    with suppress(metadata.PackageNotFoundError):  # run from a checkout, or one that is not needed here
        for requirement in metadata.requires(_PACKAGE) or ():
            if (name := re.match(r"[\w.-]+", requirement)) and "extra ==" not in requirement:
                versions[name[0]] = metadata.version(name[0])
    return versions


def _settings(places: Paths) -> dict[str, Any]:
    """Read the settings as they are; what is wrong with them `bridge doctor` tells."""
    import tomllib

    try:
        with open(places.config, "rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError):
        return {}


def _doctor() -> list[Any]:
    from bridge.cli.doctor import examine

    return [finding.to_json() for finding in examine()]


# ---- the daemon


def _status() -> dict[str, Any] | None:
    """Ask a running daemon; None if none answers, which `bridge doctor` tells."""
    try:
        with Client(spawn=False, patience=PATIENCE_S) as client:
            status: dict[str, Any] = client.request("status", timeout=PATIENCE_S)
    except BridgeError:
        return None
    for review in status["reviews"]:
        review["title"] = f"({len(review['title'])} characters)"
    return status


def _reviews(places: Paths, is_running: bool) -> dict[str, Any]:
    """Count the reviews by state and outcome; only the daemon can, for the journal is its own."""
    size = os.path.getsize(places.journal) if os.path.exists(places.journal) else None
    if not is_running:
        return {"journal_bytes": size}
    with Client(spawn=False, patience=PATIENCE_S) as client:
        rows = client.request("review/list", {"all": True, "most": _MOST_REVIEWS})["reviews"]
    return {"journal_bytes": size, "counts": Counter(f"{row['state']}: {row['outcome']}" for row in rows)}


def _log(places: Paths) -> str:
    from bridge.cli.logs import last_lines

    return "".join(last_lines(places.log, _LOG_LINES)).rstrip("\n") or "there is none"


# ---- lock files


def _locks(places: Paths) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Give the facts of every lock file, and all in it that is none: what is private, whatever it is called."""
    from bridge.core.announcements import lock_directories

    for directory in dict.fromkeys(one.path for one in lock_directories(os.environ, places.home)):
        if not os.path.isabs(directory):
            continue
        try:
            names = sorted(os.listdir(directory))
        except OSError as exc:
            yield {"path": directory, "error": exc.strerror}, []
            continue
        for name in names[:_MOST_LOCKS]:
            yield _lock(f"{directory}/{name}")


def _lock(path: str) -> tuple[dict[str, Any], list[str]]:
    from bridge.store.files import read_file

    about: dict[str, Any] = {"path": path}
    try:
        found = os.lstat(path)
        about |= {"mode": f"{found.st_mode:o}", "ours": found.st_uid == os.getuid(), "bytes": found.st_size}
        about["age_s"] = int(time.time() - found.st_mtime)
        said = json.loads(read_file(os.fsencode(path), _LOCK_BYTES) or b"")
    except (OSError, ValueError, RecursionError, BridgeError) as exc:
        return {**about, "error": type(exc).__name__}, []
    if not isinstance(said, dict):
        return {**about, "says": _shape(said)}, []
    facts = {name: said[name] if name in _LOCK_FACTS else _shape(said[name]) for name in said}
    rest = [value for name, value in said.items() if name not in _LOCK_FACTS]
    return {**about, "says": facts}, list(_texts(rest))


def _texts(value: Any) -> Iterator[str]:
    """Give every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
