"""What this machine is and how the other side is reached from it, read again when it changed.

On a machine without another side this costs nothing. In WSL the mount table and the routes are read at each look, what
programs say once: they take up to seconds to start. Sources: docs/protocol.md "Reaching Windows".
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Final

from bridge.core.announcements import LockDirectory
from bridge.core.reach import DOCKER_HOST, LOOPBACK, Terrain, Way, network_mode
from bridge.ides import interop
from bridge.ides.admission import Ground
from bridge.ides.profile import Profile
from bridge.ides.relay import Relay, open_relay
from pathconv import WSL, Env, PathMapper
from pathconv.probe import Probe

__all__ = ["Surroundings"]

RUNNING_S: Final = 10.0  # for so long the list of running distributions is good enough


class Surroundings:
    """The machine around us; one for each process.

    Args:
        probe: reads it.
        override: the host that the user's configuration names for IDEs, if any.
        container_host: the user lets tokens leave a container.
        profile: see `Profile`.
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
        self._override = override
        self._container_host = container_host
        self._clock = clock
        self._reading = threading.Lock()  # sessions look at the same time; no Windows program is to be started twice
        self._profile = Profile(probe, profile, clock)
        self._network: tuple[str | None, tuple[str, ...]] | None = None
        self._distros: dict[str, PathMapper] = {}  # by lock directory; on Windows only
        self._distros_until = -math.inf

    @property
    def env(self) -> Env:
        """What kind of machine this is."""
        return self._probe.env

    async def terrain(self) -> Terrain:
        """Describe the machine as it is now."""
        if self.env in WSL:
            return await asyncio.to_thread(self._read)  # wslinfo is a program, and the profile's file system slow
        if self.env is Env.WINDOWS:
            await asyncio.to_thread(self._find_distros)
        return self._elsewhere

    @cached_property
    def _elsewhere(self) -> Terrain:
        return Terrain(env=self.env, override=self._override, container_host=self._container_host)

    def _read(self) -> Terrain:
        with self._reading:
            gateway, interfaces = network = self._probe.gateway(), self._probe.interfaces()
            if network != self._network:
                self._network = network
                self._probe.forget()  # it may be joined to Windows in another way now
            mapper = self._probe.mapper()
            assert mapper is not None  # for we are in WSL
            self._profile.look(mapper)
            return Terrain(
                env=self.env,
                mode=network_mode(self._probe.mode(), interfaces, gateway),
                gateway=gateway,
                mapper=mapper,
                interop=self._probe.interop(),
                override=self._override,
                profile=self._profile.in_windows(),
                profile_wanted=self._profile.is_wanted,
            )

    def _find_distros(self) -> None:
        with self._reading:
            now = self._clock()
            if now >= self._distros_until:
                self._distros_until = now + RUNNING_S
                self._distros = interop.lock_directories(self._probe)

    # ---- what follows, as far as `terrain` has found out

    def leads(self, way: Way) -> bool:
        """Tell whether a way of an earlier `terrain` is one still; only a gateway may have become somebody else's."""
        if way.host in (LOOPBACK, DOCKER_HOST, self._override):
            return True
        return way.host == self._probe.gateway() and "loopback0" not in self._probe.interfaces()

    def directories(self) -> list[LockDirectory]:
        """List where IDEs of the Claude family on the other side write their lock files."""
        locks = self._profile.locks
        return [*([] if locks is None else [LockDirectory(os.fspath(locks))]), *map(LockDirectory, self._distros)]

    def ground(self, directory: str) -> Ground:
        """Tell what a directory lies on."""
        return Ground.GUARDED if directory in self._distros else self._profile.ground(directory)

    def mapper_into(self, directory: str) -> PathMapper | None:
        """Give the mapper between Windows and the distribution that a lock directory lies in; None: it is in none."""
        return self._distros.get(directory)

    # ---- what Windows says, and does

    def alive(self, pids: Iterable[int]) -> dict[int, bool | None]:
        """Ask Windows which processes it has; see `interop.alive`."""
        return interop.alive(self._probe, pids)

    async def open_relay(self, port: int) -> Relay:
        """Have a Windows process connect to Windows' own loopback; raises `RelayError` if none can."""
        return await open_relay(port, self._probe)
