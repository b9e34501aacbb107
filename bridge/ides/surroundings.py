"""What this machine is and how Windows is reached from it, read again when it changed.

On a machine without another side this costs nothing. In WSL the mount table is read at each look, what Windows'
own programs say once: they take up to seconds to start. Sources: docs/protocol.md "Reaching Windows".
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from bridge.core.reach import DOCKER_HOST, LOOPBACK, WSL, Terrain, Way, network_mode
from bridge.core.windows import NOBODYS_PROFILES, home_from_path, parse_distros, parse_home, tasklist_alive
from bridge.ides.admission import Ground
from bridge.ides.relay import Relay, open_relay
from pathconv import Env, Mount, PathMapper
from pathconv.probe import Probe

__all__ = ["Surroundings"]

ANSWER_S: Final = 5.0  # of a Windows program: some builds take seconds to start one
RECENT_S: Final = 10.0  # for so long a search, or the list of running distributions, is good enough
PROFILES_MOST: Final = 64  # directories below Users that are looked into
_SYSTEM: Final = "C:\\Windows\\System32\\"
_LOCKS: Final = (".claude", "ide")


class Surroundings:
    """The machine around us; one for each process.

    Args:
        probe: reads it.
        override: the host that the user's configuration names for IDEs, if any.
        container_host: the user lets tokens leave a container.
        profile: the user's Windows profile, as the configuration names it; "" for none, None to look for it.
        clock: seconds, never set back.
    """

    def __init__(
        self,
        probe: Probe,
        *,
        override: str | None = None,
        container_host: bool = False,
        profile: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._reading = threading.Lock()
        self._override = override
        self._container_host = container_host
        self._profile = profile
        self._profile_found: str | None = None
        self._named: str | None = None  # the profile that something names
        self._searched_until = -math.inf
        self._profile_of: PathMapper | None = None
        self._drives: tuple[Mount, ...] | None = None  # when the profile was looked for
        self._distros: dict[str, PathMapper] = {}  # by lock directory
        self._distros_until = -math.inf
        self._network: tuple[str | None, tuple[str, ...]] | None = None

    @property
    def env(self) -> Env:
        """What kind of machine this is."""
        return self._probe.env

    async def terrain(self) -> Terrain:
        """Describe the machine as it is now."""
        if self.env is Env.WINDOWS:
            await asyncio.to_thread(self._find_distros)
        if self.env not in WSL:
            return self._elsewhere
        return await asyncio.to_thread(self._read)  # wslinfo is a program, and the profile's file system slow

    @cached_property
    def _elsewhere(self) -> Terrain:
        return Terrain(env=self.env, override=self._override, container_host=self._container_host)

    def _read(self) -> Terrain:
        with self._reading:  # sessions look at the same time, and a Windows program is not to be started twice
            return self._read_alone()

    def _read_alone(self) -> Terrain:
        network = self._probe.gateway(), self._probe.interfaces()
        if network != self._network:
            self._network = network
            self._probe.forget()  # it may be joined to Windows in another way now
        mapper = self._probe.mapper()
        if mapper is not None:
            self._note_profile(mapper)
        gateway, interfaces = network
        return Terrain(
            env=self.env,
            mode=network_mode(self._probe.mode(), interfaces, gateway),
            gateway=gateway,
            mapper=mapper,
            interop=self._probe.interop(),
            override=self._override,
            profile=_windows_style(mapper, self._profile_found),
        )

    def leads(self, way: Way) -> bool:
        """Tell whether a way of an earlier `terrain` is one still; only a gateway may have become somebody else's."""
        if way.host in (LOOPBACK, DOCKER_HOST, self._override):
            return True
        return way.host == self._probe.gateway() and "loopback0" not in self._probe.interfaces()

    # ---- the Windows profile

    def directories(self) -> list[Path]:
        """List where IDEs on the other side write their lock files, as far as `terrain` has found out."""
        profile = [] if self._profile_found is None else [Path(self._profile_found, *_LOCKS)]
        return [*profile, *map(Path, self._distros)]

    def ground(self, directory: str) -> Ground:
        """Tell what a directory lies on; of the profile only what `terrain` has found counts."""
        if directory in self._distros:
            return Ground.GUARDED
        mapper = self._profile_of
        if mapper is None:
            return Ground.OURS
        real = os.path.realpath(directory)
        if self._profile_found is not None and mapper.contains(self._profile_found, real):
            return Ground.GUARDED
        return Ground.WINDOWS if mapper.is_windows_backed(real) else Ground.OURS

    def _note_profile(self, mapper: PathMapper) -> None:
        """Find the user's Windows profile; one that nobody names shows itself when an IDE first writes its lock."""
        drives = tuple(mount for mount in mapper.facts.mounts if mount.windows is not None)
        if drives != self._drives:  # other mounts come and go, and Windows is not asked each time
            self._drives, self._named = drives, self._find_profile(mapper)
            self._searched_until = -math.inf
        now = self._clock()
        if self._named is not None:
            self._profile_found = self._named or None
        elif now >= self._searched_until:
            self._searched_until = now + RECENT_S
            self._profile_found = _profile_with_locks(mapper)
        self._profile_of = mapper

    def _find_profile(self, mapper: PathMapper) -> str | None:
        """Find the profile by what names it: the user, Windows' variables, Windows itself; "" if none is wanted."""
        if self._profile == "":
            return ""
        environ = self._probe.machine.environ
        stated = self._profile or environ.get("USERPROFILE", "")  # the variable is here only if it is shared (WSLENV)
        for found in (_local(mapper, stated), home_from_path(environ.get("PATH", ""))):
            if found is not None and mapper.is_windows_backed(found):
                return found
        return self._ask_for_profile(mapper)

    def _ask_for_profile(self, mapper: PathMapper) -> str | None:
        out = self._run(mapper, "cmd.exe", "/u", "/d", "/c", "echo %USERPROFILE%")
        home = None if out is None else parse_home(out)
        return None if home is None else _local(mapper, home)

    # ---- distributions, seen from Windows

    def mapper_into(self, directory: str) -> PathMapper | None:
        """Give the mapper between Windows and the distribution that a lock directory lies in; None: it is in none."""
        return self._distros.get(directory)

    def _find_distros(self) -> None:
        """Look for lock directories in all homes of the distributions that run.

        Those that do not are let alone: to look into one would start it.
        """
        with self._reading:
            now = self._clock()
            if now >= self._distros_until:
                self._distros_until = now + RECENT_S
                self._distros = self._running_distros()

    def _running_distros(self) -> dict[str, PathMapper]:
        machine = self._probe.machine
        ran = machine.run([_SYSTEM + "wsl.exe", "-l", "--running", "-q"], ANSWER_S)
        found: dict[str, PathMapper] = {}
        for distro in parse_distros(ran.out) if ran is not None and ran.code == 0 else ():
            share = rf"\\wsl.localhost\{distro}"
            mapper = self._probe.for_distro(distro, machine.text(rf"{share}\etc\wsl.conf"))
            for home in machine.listdir(rf"{share}\home")[:PROFILES_MOST]:
                found["\\".join([share, "home", home, *_LOCKS])] = mapper
        return found

    # ---- what Windows says, and does

    async def open_relay(self, port: int) -> Relay:
        """Have a Windows process connect to Windows' own loopback; raises `RelayError` if none can."""
        return await open_relay(port, self._probe)

    def alive(self, pids: Iterable[int]) -> dict[int, bool | None]:
        """Ask Windows which processes it has, to explain and never to judge; None: it did not say."""
        wanted = list(pids)
        mapper = self._probe.mapper()
        out = self._run(mapper, "tasklist.exe", "/NH", "/FO", "CSV") if wanted and mapper else None
        text = (out or b"").decode("utf-8", "replace")
        return {pid: tasklist_alive(pid, text, None if out is None else 0) for pid in wanted}

    def _run(self, mapper: PathMapper, program: str, *arguments: str) -> bytes | None:
        """Run one of Windows' own programs; None: it cannot be run, or failed."""
        path = _local(mapper, _SYSTEM + program)
        if path is None or not self._probe.interop():
            return None
        ran = self._probe.machine.run([path, *arguments], ANSWER_S)
        return ran.out if ran is not None and ran.code == 0 else None


def _local(mapper: PathMapper, path: str) -> str | None:
    outcome = mapper.try_to_local(path)
    return None if outcome.error else outcome.path


def _windows_style(mapper: PathMapper | None, profile: str | None) -> str | None:
    return None if mapper is None or profile is None else mapper.try_to_windows(profile).path


def _profile_with_locks(mapper: PathMapper) -> str | None:
    """Look on Windows' own drive for the profile with a lock directory that we may read; of several none is ours.

    On other drives anybody may make a directory called Users.
    """
    users = _local(mapper, "C:\\Users")
    if users is None or not os.path.isdir(os.path.join(os.path.dirname(users), "Windows", "System32")):
        return None
    try:
        names = sorted(os.listdir(users))[:PROFILES_MOST]
    except OSError:
        return None
    profiles = [os.path.join(users, name) for name in names if name.casefold() not in NOBODYS_PROFILES]
    found = [profile for profile in profiles if os.access(os.path.join(profile, *_LOCKS), os.R_OK)]
    return found[0] if len(found) == 1 else None
