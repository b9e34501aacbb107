"""Asking Windows' own programs, where they can be started from here: bounded in time, and never to judge by.

Sources: docs/protocol.md "Reaching Windows".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge.core.windows import decode_output, parse_distros, parse_home, tasklist_alive
from pathconv import PathMapper
from pathconv.probe import Probe

__all__ = ["alive", "ask_for_profile", "lock_directories"]

ANSWER_S: Final = 5.0  # some builds take seconds to start a program
HOMES_MOST: Final = 64  # of one distribution
_SYSTEM: Final = "C:\\Windows\\System32\\"


def alive(probe: Probe, pids: Iterable[int]) -> dict[int, bool | None]:
    """Tell which processes Windows has, to explain an IDE's silence; None: it did not say."""
    wanted = list(pids)
    out = _run(probe, "tasklist.exe", "/NH", "/FO", "CSV") if wanted else None
    text = decode_output(out or b"")
    return {pid: tasklist_alive(pid, text, None if out is None else 0) for pid in wanted}


def ask_for_profile(probe: Probe) -> str | None:
    """Ask for the user's profile, in Windows' style; None: Windows did not say."""
    out = _run(probe, "cmd.exe", "/u", "/d", "/c", "echo %USERPROFILE%")
    return None if out is None else parse_home(out)


def _run(probe: Probe, program: str, *arguments: str) -> bytes | None:
    """Run one of Windows' own programs from WSL; None: it cannot be run, or failed."""
    mapper = probe.mapper()
    place = mapper.try_to_linux(_SYSTEM + program) if mapper is not None else None
    if place is None or place.error is not None or not probe.interop():
        return None
    ran = probe.machine.run([place.path, *arguments], ANSWER_S)
    return ran.out if ran is not None and ran.code == 0 else None


def lock_directories(probe: Probe) -> dict[str, PathMapper]:
    """From Windows, list the lock directories in all homes of the distributions that run, each with its mapper.

    Those that do not run are let alone: to look into one would start it.
    """
    ran = probe.machine.run([_SYSTEM + "wsl.exe", "-l", "--running", "-q"], ANSWER_S)
    found: dict[str, PathMapper] = {}
    for distro in parse_distros(ran.out) if ran is not None and ran.code == 0 else ():
        share = rf"\\wsl.localhost\{distro}"
        mapper = probe.for_distro(distro, probe.machine.text(rf"{share}\etc\wsl.conf"))
        for home in probe.machine.listdir(rf"{share}\home")[:HOMES_MOST]:
            found[rf"{share}\home\{home}\.claude\ide"] = mapper
    return found
