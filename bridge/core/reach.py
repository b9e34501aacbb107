"""How an IDE is reached from here: its side of the Windows boundary, the hosts to dial, and what silence means.

What this machine is and how its network is made are facts (`Terrain`); what follows from them for one IDE is a
`Route`. A token goes only where a `Way` leads, and no way comes from a lock file or a request: it is loopback, the
gateway of a WSL network behind NAT, or what the user's configuration names (design.md D7).
Facts and sources: docs/protocol.md "Reaching Windows".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Final, NamedTuple

from bridge.core.lockfile import LockFile
from pathconv import WSL, Env, PathMapper

__all__ = [
    "DOCKER_HOST",
    "ENDED",
    "HERE",
    "LOOPBACK",
    "NO_DISTRO",
    "Diagnosis",
    "Mode",
    "Route",
    "Silence",
    "Terrain",
    "Way",
    "host_candidates",
    "network_mode",
    "passing",
    "runs_in_windows",
]

LOOPBACK: Final = "127.0.0.1"  # never "localhost": that may be ::1, which WSL does not forward
DOCKER_HOST: Final = "host.docker.internal"
NO_DISTRO: Final = "bridge restart, in a terminal that WSL opened"  # what mends that the distribution has no name
ENDED: Final = "restart the IDE, or reload its window"  # what mends that nothing listens on its port


class Mode(StrEnum):
    """How WSL's network is joined to that of Windows; the words of ``wslinfo --networking-mode``."""

    NAT = "nat"
    MIRRORED = "mirrored"
    BRIDGED = "bridged"
    NONE = "none"
    CONSOMME = "consomme"
    VIRTIOPROXY = "virtioproxy"  # its name until 2026-06
    WSL1 = "wsl1"


_SHARED: Final = frozenset({Mode.MIRRORED, Mode.CONSOMME, Mode.VIRTIOPROXY, Mode.WSL1})  # 127.0.0.1 is Windows' too
_NATS: Final = IPv4Network("172.16.0.0/12")  # what WSL picks its NAT network from


def network_mode(stated: str | None, interfaces: Collection[str] = (), gateway: str | None = None) -> Mode | None:
    """Tell the networking mode; None: not known, so nothing beyond loopback may be dialled.

    Args:
        stated: what ``wslinfo`` says; None if it is not there. WSL falls back from NAT by itself, so it is asked.
        interfaces: ``loopback0`` exists only where loopback is shared: then the gateway is the LAN's router,
            whatever anybody states, and must not be told a token.
        gateway: of the default route. Without ``wslinfo``, one in 172.16/12 means NAT.
    """
    if "loopback0" in interfaces:
        return Mode(stated) if stated in _SHARED else Mode.MIRRORED
    if stated is not None:
        return Mode(stated) if stated in list(Mode) else None
    return Mode.NAT if gateway is not None and _is_within(gateway, _NATS) else None


def _is_within(host: str, network: IPv4Network) -> bool:
    try:
        return IPv4Address(host) in network
    except AddressValueError:
        return False


def host_candidates(
    env: Env, mode: Mode | None, gateway: str | None, *, ide_on_windows: bool, override: str | None = None
) -> tuple[str, ...]:
    """List the hosts at which an IDE may listen, all to be tried at once.

    Args:
        mode: as `network_mode` decided; None: not known.
        override: the host that the user's configuration names; then no other is tried.

    In a container ``host.docker.internal`` is among them; dial it only with the user's consent.
    """
    if override:
        return (override,)
    if env is Env.CONTAINER:
        return (LOOPBACK, DOCKER_HOST)
    if ide_on_windows and env is Env.WSL2 and mode is Mode.NAT and gateway is not None:
        return (gateway, LOOPBACK)
    return (LOOPBACK,)


@dataclass(frozen=True, slots=True)
class Way:
    """One address at which an IDE may listen."""

    host: str
    vouched: bool = False
    """What answers there and is no socket of this machine is trusted; else only our own user's listener is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How one IDE is reached, and in which style it speaks of paths."""

    here: bool = True  # on this machine, whose tables of processes and sockets tell of it
    ways: tuple[Way, ...] = (Way(LOOPBACK),)  # dialled at the same time
    relay: bool = False  # a Windows process may carry the connection where no way leads
    mapper: PathMapper | None = None  # between our paths and the IDE's; None: they are the same


HERE: Final = Route()
"""An IDE like us: on our loopback, with our own paths."""

_WINDOWS_STYLE: Final = re.compile(r"/?[A-Za-z]:([\\/]|$)|\\\\|//")


def runs_in_windows(lock: LockFile, in_windows_profile: bool) -> bool:
    """Tell whether the IDE behind a lock file is a Windows program.

    Its own word counts if it is yes. Else a folder in Windows' style shows it, and so does a lock without folders in
    the Windows profile; but an IDE in WSL may write there too, if ``~/.claude`` is a link to it.
    """
    if lock.running_in_windows or any(map(_WINDOWS_STYLE.match, lock.workspace_folders)):
        return True
    return in_windows_profile and not lock.workspace_folders


class Silence(StrEnum):
    """What became of the attempt to connect to one way."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no route, or no such name
    UNTRUSTED = "untrusted"  # somebody answers who is to be told no token
    MOVED = "moved"  # the network has changed since the host was found
    NO_FILES = "no files"  # we may open no more
    UNTOLD = "untold"  # somebody answers, and the system does not tell who


class Diagnosis(NamedTuple):
    """Why an IDE cannot be reached, for people."""

    reason: str
    fix: str | None = None  # what to do or to type


_PASSING: Final = {
    Silence.NO_FILES: Diagnosis("the bridge has too many files open", "bridge doctor names the limit; then try again"),
    Silence.UNTOLD: Diagnosis(
        "the system does not tell who answers", "try again; if that does not help: bridge doctor"
    ),
    Silence.MOVED: Diagnosis("the network has just changed", "try again"),
}


def passing(silences: Mapping[str, Silence]) -> Diagnosis | None:
    """Say what kept us from looking, by host; None: nothing did, so the silence is that of the IDE."""
    return next((diagnosis for silence, diagnosis in _PASSING.items() if silence in silences.values()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """What this machine is, as far as reaching IDEs goes."""

    env: Env = Env.LINUX
    mode: Mode | None = None
    gateway: str | None = None
    mapper: PathMapper | None = None  # to the other side; None: there is none
    interop: bool = False  # Windows programs can be started from here
    override: str | None = None  # the host that the user's configuration names
    container_host: bool = False  # the user lets tokens leave the container
    profile: str | None = None  # the user's Windows profile, in Windows' style
    profile_wanted: bool = True  # the user's settings let it be looked at

    def route(self, in_windows: bool) -> Route:
        """Say how to reach an IDE that runs in Windows, or on our own side."""
        outside = self.env is Env.CONTAINER and self.container_host
        if self.override is None and not outside and not (in_windows and self.env in WSL):
            return HERE
        ways = tuple(self._way(host, in_windows) for host in self._hosts(in_windows))
        relay = in_windows and self.interop and self.mode is Mode.NAT and self.override is None
        return Route(here=False, ways=ways, relay=relay, mapper=self.mapper if in_windows else None)

    def _hosts(self, in_windows: bool) -> tuple[str, ...]:
        return host_candidates(self.env, self.mode, self.gateway, ide_on_windows=in_windows, override=self.override)

    def _way(self, host: str, in_windows: bool) -> Way:
        """Behind NAT and in containers loopback is this machine's alone, so only our own listener counts there."""
        if host == LOOPBACK and not self.override:
            return Way(host, vouched=in_windows and self.mode in _SHARED)
        return Way(host, vouched=True)

    # ---- when nothing answers

    def diagnose(self, port: int, silences: Mapping[str, Silence]) -> Diagnosis:
        """Say why no way led to an IDE, and how to mend that.

        Args:
            silences: what became of each host that was tried.
        """
        if (diagnosis := passing(silences)) is not None:
            return diagnosis
        if self.override is not None:
            why = silences.get(self.override, Silence.UNREACHABLE)
            return Diagnosis(
                f"{self.override}, the ide_host of your configuration, does not answer on port {port} ({why})",
                "check ide_host in the bridge's config.toml",
            )
        if self.env is Env.CONTAINER:
            return Diagnosis(f"neither this container nor {DOCKER_HOST} answers on port {port}", "restart the IDE")
        if self.mode in _SHARED:
            return Diagnosis(f"nothing answers on Windows' port {port}", ENDED)
        if self.mode is Mode.NAT and self.gateway is not None:
            return self._diagnose_nat(port, silences.get(self.gateway, Silence.UNREACHABLE))
        known = f"WSL's networking mode is {self.mode}" if self.mode else "WSL's networking mode is not known"
        return Diagnosis(f"{known}, so there is no way to Windows", self._mirror())

    def _diagnose_nat(self, port: int, silence: Silence) -> Diagnosis:
        match silence:
            case Silence.TIMEOUT:
                reason = f"Windows ({self.gateway}) does not answer on port {port}: its firewall keeps WSL out"
                return Diagnosis(reason, f"in PowerShell as administrator: {self._firewall_rule()}")
            case Silence.REFUSED:
                reason = f"it listens on Windows' own loopback only, not on {self.gateway}, or it has ended"
                return Diagnosis(
                    reason,
                    'in JetBrains IDEs turn on "Accept connections from all network interfaces"; for all others '
                    + self._mirror(),
                )
            case _:
                return Diagnosis(f"there is no route to Windows at {self.gateway}", "wsl.exe --shutdown")

    def _firewall_rule(self) -> str:
        """Write the rule that the agent's documentation recommends, for the network that WSL has now."""
        network = f"{'.'.join((self.gateway or '').split('.')[:2])}.0.0/16"
        return (
            "New-NetFirewallRule -DisplayName 'IDEs for WSL' -Direction Inbound -Action Allow -Protocol TCP "
            f"-RemoteAddress {network} -LocalAddress {network}"
        )

    def _mirror(self) -> str:
        home = self.profile or "%USERPROFILE%"
        return (
            f"write networkingMode=mirrored below [wsl2] in {home}\\.wslconfig (Windows 11), then run: "
            "wsl.exe --shutdown"
        )
