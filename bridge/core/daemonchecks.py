"""What `bridge doctor` concludes about the daemon: whether it answers, and where it lives. Facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.core.findings import Finding, refusal
from bridge.errors import BridgeError, ExitCode, Unavailable

__all__ = ["NAMESPACES", "Answer", "DaemonFacts", "World", "examine"]

SLOW_S: Final = 2.0  # a daemon answers in milliseconds, even on a busy machine in a tenth of this
_RESTART: Final = "from an ordinary terminal: bridge restart"

# Two processes in one namespace see the same; for people, what a difference means (namespaces(7)).
NAMESPACES: Final = {"net": "another network", "mnt": "other files", "pid": "other processes", "user": "other users"}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What surrounds a process (Linux)."""

    namespaces: Mapping[str, str]  # for each of `NAMESPACES` its identity, e.g. "net:[4026531833]"
    no_new_privs: bool = False
    seccomp: int = 0  # 0: none; 2: a filter, as sandboxes and containers set it
    home: str = ""
    directory: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the running daemon answered, or why it did not."""

    pid: int  # 0: not visible from here
    error: BridgeError | None = None
    version: str = ""
    socket: str = ""  # its path
    seconds: float = 0.0  # it took to answer
    warnings: tuple[str, ...] = ()
    mcp_http: str | None = None  # the address of MCP over HTTP, if that is on
    world: World | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFacts:
    """Everything that was looked at."""

    version: str  # of this bridge
    answer: Answer | None  # None: no daemon runs
    world: World | None  # ours; None: not told by this system


def examine(facts: DaemonFacts) -> list[Finding]:
    """Check everything."""
    return [*_daemon(facts), *_surroundings(facts)]


def _daemon(facts: DaemonFacts) -> Iterator[Finding]:
    daemon = facts.answer
    if daemon is None:
        yield Finding(check="daemon", found="not running (any command starts it)")
    elif isinstance(daemon.error, Unavailable) and daemon.pid:  # it let us in and says nothing
        yield Finding(
            check="daemon",
            found=f"{daemon.error.message} (pid {daemon.pid}); its reviews are safe in the journal",
            fix=f"kill -9 {daemon.pid}; bridge up",
            code=ExitCode.UNAVAILABLE,
        )
    elif daemon.error is not None:
        yield refusal("daemon", daemon.error)
    else:
        yield from _answered(daemon, facts.version)


def _answered(daemon: Answer, version: str) -> Iterator[Finding]:
    pid = f" (pid {daemon.pid})" if daemon.pid else ""
    found = f"running{pid}, answers in {daemon.seconds * 1000:.0f} ms"
    slow = "if that stays so: bridge restart" if daemon.seconds > SLOW_S else None
    yield Finding(check="daemon", found=found, fix=slow)
    if daemon.version != version:
        found = f"the daemon is version {daemon.version}, this command is {version}"
        yield Finding(check="version", found=found, fix="bridge restart")
    if daemon.mcp_http is not None:
        found = f"agents of this user that have its token may connect at {daemon.mcp_http}"
        yield Finding(check="mcp over http", found=found)
    for warning in daemon.warnings:
        yield Finding(check="warning", found=warning, fix="bridge logs tells more; bridge restart tries again")


def _surroundings(facts: DaemonFacts) -> Iterator[Finding]:
    """Compare where the daemon lives with where we live: it keeps the sandbox of whoever started it."""
    daemon, ours = facts.answer, facts.world
    if daemon is None or daemon.error is not None or ours is None:
        return
    its = daemon.world
    if its is None:
        found = "the daemon's process cannot be looked at from here: it or this terminal is in a sandbox"
        yield Finding(check="sandbox", found=found, fix=_RESTART)
        return
    yield _sandbox(its, ours)
    if its.home != ours.home:
        found = (
            f"the daemon's HOME is {its.home}, this terminal's is {ours.home}: they look for IDEs in different places"
        )
        yield Finding(check="environment", found=found, fix=_RESTART)
    if its.directory != "/":
        found = f"the daemon stands in {its.directory}, which cannot be unmounted meanwhile"
        yield Finding(
            check="environment", found=found, fix="unless you want it so (bridge up --foreground): bridge restart"
        )


def _sandbox(its: World, ours: World) -> Finding:
    apart = [name for name in NAMESPACES if its.namespaces[name] != ours.namespaces[name]]
    signs = [f"it sees {NAMESPACES[name]}" for name in apart]
    if its.no_new_privs and not ours.no_new_privs:
        signs.append("it can gain no privileges")
    if its.seccomp > ours.seccomp:
        signs.append("its system calls are filtered")
    if not signs:
        return Finding(check="sandbox", found="the daemon sees what this terminal sees")
    found = f"the daemon was started from inside a sandbox, or this terminal is in one: {', '.join(signs)}"
    cut_off = "net" in apart  # then no IDE can be reached
    return Finding(check="sandbox", found=found, fix=_RESTART, code=ExitCode.UNAVAILABLE if cut_off else ExitCode.DONE)
