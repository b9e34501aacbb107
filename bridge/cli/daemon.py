"""``bridge up``, ``down`` and ``restart``."""

from __future__ import annotations

import os
import signal
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from typing import Any

from bridge.cli.output import say
from bridge.client import Client, Silent
from bridge.errors import ExitCode, Unavailable, error_from_json
from bridge.finding import read_address, start
from bridge.paths import Paths, paths

_PATIENCE_S = 10.0  # it drains for two seconds at most; a busy machine takes longer
_PAUSE_S = 0.01


def add(parser: ArgumentParser) -> None:
    """Add the arguments of the one command that was asked for."""
    if parser.prog.endswith("up"):
        parser.add_argument("--foreground", action="store_true", help="be the daemon, until Ctrl-C")


def run(args: Namespace) -> int:
    """Do what the command says."""
    places = paths(os.environ)
    return {"up": _up, "down": _down, "restart": _restart}[args.command](args, places)


def _up(args: Namespace, places: Paths) -> int:
    if args.foreground:
        from bridge.daemon.main import run as be_the_daemon

        return be_the_daemon(os.environ, _tell)
    _say_started(start(places, os.environ), places)
    return ExitCode.DONE


def _tell(said: dict[str, Any]) -> None:
    if "error" in said:
        raise error_from_json(said["error"])
    say("the bridge is already running" if said["already"] else "the bridge is running; Ctrl-C stops it")


def _say_started(said: dict[str, object], places: Paths) -> None:
    address = read_address(places) or {}
    print(f"the bridge {'is already running' if said.get('already') else 'is running'} (pid {address.get('pid')})")


def _down(args: Namespace, places: Paths, restart: bool = False) -> int:
    about = read_address(places)
    with Client(spawn=False, patience=_PATIENCE_S) as client:
        try:
            client.request("daemon/stop", {"restart": restart}, _PATIENCE_S)
            client.wait_for_end()
        except Silent:
            return _kill(client.daemon_pid)
        except Unavailable:
            print("the bridge is not running")
            return ExitCode.DONE
    _wait_until_gone(places, about)
    print("the bridge is stopped")
    return ExitCode.DONE


def _kill(pid: int | None) -> int:
    """End a daemon that hangs: what it knew is in its journal. The kernel said whose PID that is."""
    if not pid:
        raise Unavailable("the bridge does not answer", "end its process, then bridge up")
    deadline = time.monotonic() + _PATIENCE_S
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(_PAUSE_S)
        raise Unavailable(f"the bridge (pid {pid}) does not end", "bridge doctor")
    print(f"the bridge did not answer and was killed (pid {pid}); its reviews are safe")
    return ExitCode.DONE


def _wait_until_gone(places: Paths, about: dict[str, Any] | None) -> None:
    """Wait until the daemon has put everything away; what it says of itself goes last, or is the next one's."""
    deadline = time.monotonic() + _PATIENCE_S
    while about is not None and read_address(places) == about:
        if time.monotonic() > deadline:
            raise Unavailable("the bridge does not end", "bridge logs")
        time.sleep(_PAUSE_S)


def _restart(args: Namespace, places: Paths) -> int:
    _down(args, places, restart=True)
    _say_started(start(places, os.environ), places)
    return ExitCode.DONE
