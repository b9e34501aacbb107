"""Finding the user's daemon, or starting it. Standard library only, and little of it."""

from __future__ import annotations

import _socket  # what `socket` wraps: that would be a tenth of a quick command's time
import json
import os
import struct
import sys
from collections.abc import Mapping

from bridge.errors import BadConfiguration, NotTrusted, Unavailable, error_from_json
from bridge.paths import Paths, is_ours

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dial", "read_address", "start"]

_PROOF_S = 5.0  # for a busy machine; a daemon needs a millisecond
START_S = 20.0  # for a daemon to start on a busy machine

# What a daemon needs that is started from here; everything else stays with whoever started it.
_INHERITED = (
    *("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "PYTHONPATH", "TZ", "USER"),
    *("USERPROFILE", "WSL_DISTRO_NAME", "WSL_INTEROP"),  # what WSL's terminals know and nothing else does
)
_INHERITED_PREFIXES = ("XDG_", "COVERAGE_")  # the second for measuring tests


def read_address(places: Paths) -> dict[str, Any] | None:
    """Read what the running daemon says of itself: ``socket``, ``pid``, ``version``, ``started``.

    ``socket`` is a path; with a ``token`` it is ``127.0.0.1:<port>``, and the token is for nobody's eyes.
    """
    try:
        with open(places.address, "rb") as file:
            if not is_ours(os.fstat(file.fileno())):
                raise NotTrusted(f"{places.address} belongs to somebody else", "remove it, then bridge up")
            address = json.load(file)
    except (OSError, ValueError):
        return None
    if not isinstance(address, dict) or not isinstance(address.get("socket"), str):
        return None
    return address if isinstance(address.get("token", ""), str) else None


def dial(places: Paths, patience: float) -> tuple[_socket.socket, int] | None:
    """Connect to the daemon that announced itself; None when none answers.

    Args:
        patience: seconds that it has to take the connection; the socket keeps this time-out.

    Returns the connection and the daemon's PID as the kernel knows it; 0 where it does not say. (A daemon on TCP has
    the one that it wrote down, since it proved to have done that.) Raises `NotTrusted` when it is somebody else's.
    """
    address = read_address(places)
    if address is None:
        return None
    token = address.get("token")
    connection = _socket.socket(_socket.AF_UNIX if token is None else _socket.AF_INET)
    try:
        connection.settimeout(patience)
        if token is None:
            connection.connect(address["socket"])
            return connection, _check_peer(connection)
        if _proves(connection, address["socket"], token, patience):
            return connection, int(address.get("pid", 0))
    except (OSError, ValueError, OverflowError):  # the latter two for what is no address
        pass
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _proves(connection: _socket.socket, address: str, token: str, patience: float) -> bool:
    """Connect to a TCP port, and tell whether the one that listens is the daemon that wrote down this token.

    Any user may listen there once the daemon is dead, or say nothing for ever; then the instance lock knows better.
    """
    from bridge.proof import prove  # only who needs it pays for it

    port = int(address.rpartition(":")[2])
    connection.settimeout(min(patience, _PROOF_S))
    connection.connect(("127.0.0.1", port))
    proven = prove(connection, token, port)
    connection.settimeout(patience)
    return proven


def _check_peer(connection: _socket.socket) -> int:
    """Refuse a daemon that is somebody else's; where the kernel does not say, the directory's mode must do.

    Returns its PID, or 0.
    """
    if sys.platform != "linux":
        return 0
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
    if uid != os.getuid():
        raise NotTrusted(
            f"the daemon's socket belongs to user {uid}", f"rm '{connection.getpeername()}', then bridge up"
        )
    return int(pid)


def start(places: Paths, environ: Mapping[str, str]) -> dict[str, Any]:
    """Start a daemon in a session of its own, in ``/``, and wait until clients may connect.

    It runs in UTF-8 mode: names come from terminals with any locale, and the first one's must not bind the rest.
    Returns what it said: ``already`` is true when another one ran. Raises what kept it from starting.
    """
    kept = {
        name: value for name, value in environ.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    if "PYTHONPATH" in kept:  # like -P below: the directory that we stand in may be a hostile repository
        kept["PYTHONPATH"] = os.pathsep.join(p for p in kept["PYTHONPATH"].split(os.pathsep) if p.startswith("/"))
    import select  # only who starts a daemon pays for it

    reader, writer = os.pipe()
    with open(reader, "rb") as said:
        try:
            os.set_inheritable(writer, True)
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-X", "utf8", "-m", "bridge.daemon", str(writer)],
                kept,
                file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)],
            )
        except OSError as exc:
            raise BadConfiguration(f"cannot start {sys.executable}: {exc.strerror}", "install the bridge anew") from exc
        finally:
            os.close(writer)
        os.waitpid(pid, 0)  # it leaves the daemon behind at once
        ready, _, _ = select.select([said], [], [], START_S)
        line = said.readline() if ready else b""
    if not line:
        raise Unavailable("the bridge did not start", f"look into {places.log}, or try bridge up --foreground")
    message: dict[str, Any] = json.loads(line)
    if not message.get("ok"):
        raise error_from_json(message["error"])
    return message
