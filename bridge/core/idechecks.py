"""What `bridge doctor` concludes about the way to the human: IDEs, the terminal, the browser. Facts in, findings out.

No IDE is contacted for it (design.md D2): what is known is what selection knows, and what the daemon's links,
opened for other reasons, have met with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Final

from bridge.core.events import LinkState
from bridge.core.findings import Finding
from bridge.core.lockfile import Family, LockFile
from bridge.core.official import BRIDGE
from bridge.core.ranking import UNANNOUNCED
from bridge.core.reach import NO_DISTRO, Diagnosis, Mode, Terrain
from bridge.core.selection import Listener, Pid
from bridge.core.terminal import PORTS, Group, family_of_name, read_port, read_terminal, related
from pathconv import WSL, Env

__all__ = ["Announced", "Distrusted", "IdeFacts", "examine"]

_SHOWN: Final = 8  # stale lock files that one command removes
_LOOPBACK: Final = frozenset({"*", "127.0.0.1", "127.0.0.0/8"})
_PROXIES: Final = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An IDE's lock file that comes from this user, and what holds its port."""

    lock: LockFile
    path: str
    pid: Pid
    listener: Listener
    exposed: bool = False  # other machines may reach the port
    weak: tuple[str, ...] = ()
    state: str = LinkState.LISTENING
    detail: str = ""  # why the state is what it is
    silence: Diagnosis | None = None  # why nobody answers on the other side
    ended: bool = False  # Windows says that its process is gone

    @property
    def bridge(self) -> bool:
        """Whether it is no IDE: agents find the bridge by it."""
        return self.lock.ide_name == BRIDGE

    @property
    def silent(self) -> bool:
        """Whether nothing listens on its port; of what cannot be reached nobody knows."""
        return self.listener is Listener.NONE

    @property
    def stale(self) -> bool:
        """Whether its IDE is gone altogether, as far as this side can tell."""
        return self.silent and self.pid is not Pid.ALIVE

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.lock.ide_name} on port {self.lock.port}"

    def holds(self, directory: str) -> bool:
        """Whether an agent in that directory takes the lock file for its own: it compares what is written there.

        Agents that find the bridge are of the Claude family, and read no other files.
        """
        return self.lock.family is Family.CLAUDE and any(
            f"{directory}/".startswith(f"{folder.rstrip('/')}/") for folder in self.lock.workspace_folders
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Distrusted:
    """A lock file or lock directory that is not believed, and why."""

    path: str
    reason: str  # in words that follow the path
    directory: bool = False
    symlink: bool = False
    ours: bool = True  # it belongs to this user
    fix: str | None = None  # what to do, where that does not follow from the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeFacts:
    """Everything that was looked at."""

    environ: Mapping[str, str]
    directory: str | None  # where it is asked; None: the directory was removed
    announced: tuple[Announced, ...]
    distrusted: tuple[Distrusted, ...]
    directories: tuple[str, ...]  # where lock files are looked for
    browser: bool  # there is a screen, or a BROWSER
    jetbrains: tuple[int, ...] = ()  # where JetBrains' MCP server is looked for
    terrain: Terrain = field(default_factory=Terrain)


def examine(facts: IdeFacts) -> list[Finding]:
    """Check everything."""
    return [finding for check in _CHECKS for finding in check(facts)]


# ---- IDEs


def _ides(facts: IdeFacts) -> Iterator[Finding]:
    present = [ide for ide in facts.announced if not ide.stale and not ide.bridge]
    if not present:
        yield Finding(check="ide", found=f"none announces itself in {' or '.join(facts.directories)}: the page is used")
    for ide in present:
        yield _reach(ide)
        yield from _safety(ide)


def _unannounced(facts: IdeFacts) -> Iterator[Finding]:
    """Say where an IDE was looked for that announces itself nowhere, if nobody listens there."""
    if facts.jetbrains and not any(ide.lock.port in facts.jetbrains for ide in facts.announced):
        ports = ", ".join(map(str, facts.jetbrains))
        found = f"jetbrains_mcp is on, but nobody listens on {ports}"
        fix = "in the IDE, Settings | Tools | MCP Server: enable it; where its port is another: jetbrains_mcp = [PORT]"
        yield Finding(check="jetbrains", found=found, fix=fix)


def _published(facts: IdeFacts) -> Iterator[Finding]:
    """Say where agents find the bridge, and whether an IDE keeps those of this directory from it."""
    present = [one for one in facts.announced if not one.stale]
    for one in present:
        if one.bridge:
            ours = one.listener is Listener.OURS
            found = f"agents find the bridge on port {one.lock.port}"
            yield Finding(
                check="published",
                found=found if ours else f"{found}, where it is not seen to listen",
                fix=None if ours else f"bridge restart, or: rm {quote(one.path)}",
            )
    yield from _contested(facts, present)


def _contested(facts: IdeFacts, present: Sequence[Announced]) -> Iterator[Finding]:
    """Warn where agents without a port find the bridge and an IDE: of two they take neither (docs/protocol.md U2)."""
    if facts.directory is None or read_terminal(facts.environ).port in {one.lock.port for one in present}:
        return
    here = [one for one in present if one.holds(facts.directory)]
    ides = [one.name for one in here if not one.bridge]
    if ides and len(ides) < len(here):
        found = (
            f"{facts.directory} belongs to the bridge and to {', '.join(ides)}: agents connect to none by themselves"
        )
        fix = "bridge publish off, and start agents with bridge run; or choose in the agent, with /ide"
        yield Finding(check="published", found=found, fix=fix)


# What the port's owner means for an IDE that is not stale.
_LISTENERS: Final = {
    Listener.FOREIGN: ("its port belongs to another user, so it gets no token", "restart the IDE, or: rm {path}"),
    Listener.UNKNOWN: ("this system does not tell who listens there", "sudo lsof -nP -iTCP:{port}"),
    Listener.NONE: ("process {pid} runs, but nothing listens there", "reload its window"),
}

# What the state of our link to it means, and how to mend that.
_STATES: Final[Mapping[str, tuple[str, str | None]]] = {
    LinkState.LISTENING: ("listens", None),
    LinkState.OCCUPIED: ("serves another client, so reviews go to the page; --ide {port} takes it over", None),
    LinkState.CONNECTING: ("is being connected", None),
    LinkState.LIVE: ("is connected", None),
    LinkState.REFUSED: ("refuses the token of its own lock file", "restart the IDE"),
    LinkState.PORT_TAKEN: ("its port belongs to another program", "restart the IDE, or: rm {path}"),
    LinkState.NOT_ANSWERING: ("listens, but does not answer", "reload its window"),
    LinkState.SLOT_LOST: ("another client took its only place", "to take it back: bridge open --ide {port} FILE"),
    LinkState.GONE: ("listens again, after it ended the connection", None),
    LinkState.HIDDEN: ("may be on Windows' own loopback; a Windows program will look when there is work", None),
    LinkState.UNREACHABLE: ("answers now", None),
}


# The same of what announces itself nowhere: there is no file to remove, and no token.
_NO_FILE: Final[Mapping[str, tuple[str, str | None]]] = {
    Listener.FOREIGN: ("its port belongs to another user, so it is let alone", "in jetbrains_mcp, leave out {port}"),
    LinkState.PORT_TAKEN: ("another program listens there", "in jetbrains_mcp, leave out {port}"),
    # JetBrains' own agents have another server, some ports above, with a token that nobody else gets.
    LinkState.REFUSED: ("wants a token, so it is not for us", "in jetbrains_mcp, leave out {port}"),
}


def _reach(ide: Announced) -> Finding:
    """Say whether the IDE can be used."""
    says: str
    fix: str | None
    no_file = _NO_FILE if ide.lock.family in UNANNOUNCED else {}
    if ide.silence is not None and ide.state != LinkState.LIVE:
        return _silence(ide, ide.silence)
    if ide.listener in _LISTENERS:
        says, fix = no_file.get(ide.listener, _LISTENERS[ide.listener])
    else:
        says, fix = no_file.get(ide.state, _STATES.get(ide.state, (ide.state, None)))
    detail = f" ({ide.detail})" if ide.detail and fix else ""
    known: dict[str, object] = {"path": quote(ide.path), "port": ide.lock.port, "pid": ide.lock.pid}
    return Finding(
        check="ide", found=f"{ide.name}: {says.format_map(known)}{detail}", fix=fix and fix.format_map(known)
    )


def _silence(ide: Announced, silence: Diagnosis) -> Finding:
    """Say why an IDE on the other side does not answer; with a relay it may be reached all the same."""
    if ide.ended:
        found = f"{ide.name}: Windows says that its process {ide.lock.pid} has ended, and nobody answers"
        return Finding(check="ide", found=found, fix=f"restart the IDE, or: rm {quote(ide.path)}")
    if ide.listener is Listener.HIDDEN and ide.state != LinkState.UNREACHABLE:
        found = f"{ide.name}: {silence.reason}; a Windows program will carry the connection if it must"
        return Finding(check="ide", found=found, fix=f"to do without: {silence.fix}" if silence.fix else None)
    return Finding(check="ide", found=f"{ide.name}: {silence.reason}", fix=silence.fix)


def _safety(ide: Announced) -> Iterator[Finding]:
    """Say who else could get at the IDE."""
    if ide.exposed:
        jetbrains = related(family_of_name(ide.lock.ide_name), Group.JETBRAINS)
        setting = 'turn off "Accept connections from all network interfaces"' if jetbrains else "bind 127.0.0.1 only"
        found = f"{ide.name}: it listens beyond loopback, so other machines may reach it"
        yield Finding(check="exposed", found=found, fix=f"in the settings of its plugin: {setting}")
    for weakness in ide.weak:
        mended = f"chmod 600 {quote(ide.path)}" if weakness.startswith("mode") else "update its plugin"
        yield Finding(check="weak", found=f"{ide.name}: a weak lock file, {weakness}", fix=mended)


def _stale(facts: IdeFacts) -> Iterator[Finding]:
    stale = [ide for ide in facts.announced if ide.stale]
    if stale:
        shown = [quote(ide.path) for ide in stale[:_SHOWN]]
        more = ", then again: bridge doctor" if len(stale) > _SHOWN else ""
        found = f"{len(stale)} lock file{'s' * (len(stale) > 1)} of IDEs that are gone; harmless here"
        yield Finding(check="stale", found=found, fix=f"rm {' '.join(shown)}{more}")


def _distrusted(facts: IdeFacts) -> Iterator[Finding]:
    for one in facts.distrusted:
        yield Finding(check="ignored", found=f"{one.path} {one.reason}", fix=_amends(one))


def _amends(one: Distrusted) -> str:
    path = quote(one.path)
    if one.fix is not None:
        return one.fix
    if not one.directory:
        return f"restart the IDE that wrote it, or: rm {path}"
    if one.symlink:
        return f"rm {path}; mkdir -m 700 {path}"
    return f"chmod 700 {path}" if one.ours else f"sudo mv {path} {path}.old"


# ---- the terminal and what surrounds it


def _port(facts: IdeFacts) -> Iterator[Finding]:
    """Find port variables that outlived their IDE; agents that trust them look no further."""
    for variable in PORTS:
        port = read_port(facts.environ, variable)
        if facts.environ.get(variable) and port is None:
            yield Finding(check="terminal", found=f"{variable} holds no port number", fix=f"unset {variable}")
        elif port is not None and not any(ide.lock.port == port and not ide.silent for ide in facts.announced):
            found = f"{variable} is {port}, where no IDE listens: this terminal outlived its IDE"
            yield Finding(check="terminal", found=found, fix=f"unset {variable}")


def _multiplexer(facts: IdeFacts) -> Iterator[Finding]:
    multiplexer = read_terminal(facts.environ).multiplexer
    usable = [ide for ide in facts.announced if ide.listener is Listener.OURS and not ide.bridge]
    if multiplexer and len(usable) > 1:
        found = (
            f"{multiplexer} hides in which IDE's terminal you are; folders and focus decide among {len(usable)} IDEs"
        )
        yield Finding(check="terminal", found=found, fix="where they decide wrongly, name it: --ide NAME")


def _proxy(facts: IdeFacts) -> Iterator[Finding]:
    """Warn of a proxy that agents would tunnel loopback connections through, tokens included; we never do.

    Source: docs/protocol.md "Environment variables". The values may hold passwords and are not shown.
    """
    names = [name for name in _PROXIES if facts.environ.get(name)]
    spared = facts.environ.get("no_proxy") or facts.environ.get("NO_PROXY") or ""
    if names and _LOOPBACK.isdisjoint(part.strip() for part in spared.split(",")):
        found = f"{', '.join(names)} without 127.0.0.1 in no_proxy: agents may talk to IDEs through the proxy"
        fix = 'export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}"; export NO_PROXY="$no_proxy"'
        yield Finding(check="proxy", found=found, fix=fix)


def _browser(facts: IdeFacts) -> Iterator[Finding]:
    if facts.browser:
        yield Finding(check="browser", found="can be opened for reviews that no IDE shows")
    else:
        found = "none can be opened from here: there is no screen and no BROWSER"
        yield Finding(check="browser", found=found, fix="open the address that bridge diff prints, or set BROWSER")


def _wsl(facts: IdeFacts) -> Iterator[Finding]:
    """Say how WSL is joined to Windows, and what is missing for its IDEs to be reached."""
    terrain = facts.terrain
    if terrain.env not in WSL:
        return
    mode = terrain.mode or "unknown"
    at = f", Windows is {terrain.gateway}" if terrain.mode is Mode.NAT and terrain.gateway else ""
    profile, fix = _profile(terrain)
    yield Finding(check="wsl", found=f"this is {terrain.env.upper()}, networking mode {mode}{at}; {profile}", fix=fix)
    if terrain.mapper is not None and terrain.mapper.facts.distro is None:
        found = "WSL_DISTRO_NAME is not set, so files outside of Windows' drives have no name there"
        yield Finding(check="wsl", found=found, fix=NO_DISTRO)
    if terrain.mode is Mode.NAT and not terrain.interop:
        found = "Windows programs cannot be started from here, so IDEs on Windows' own loopback are out of reach"
        yield Finding(
            check="wsl",
            found=found,
            fix="write enabled=true below [interop] in /etc/wsl.conf, then: wsl.exe --shutdown",
        )


def _profile(terrain: Terrain) -> tuple[str, str | None]:
    """Say where IDEs in Windows are looked for, and what to do where they are not."""
    if terrain.profile:
        return f"your Windows profile is {terrain.profile}", None
    if not terrain.profile_wanted:
        return "your Windows profile is not looked at, as you have set", None
    return (
        "your Windows profile was not found",
        'write windows_profile = "/mnt/c/Users/NAME" in the bridge\'s config.toml',
    )


def _container(facts: IdeFacts) -> Iterator[Finding]:
    if (
        facts.terrain.env is Env.CONTAINER
        and not facts.terrain.container_host
        and any(i.silent for i in facts.announced)
    ):
        yield Finding(
            check="container",
            found="this is a container; IDEs outside of it are found with container_host = true in config.toml",
        )


_CHECKS: Final[Sequence[Callable[[IdeFacts], Iterator[Finding]]]] = (
    _ides,
    _unannounced,
    _published,
    _stale,
    _distrusted,
    _port,
    _multiplexer,
    _proxy,
    _browser,
    _wsl,
    _container,
)
