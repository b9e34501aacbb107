"""What `bridge status` says: one shape for programs, one glance for people. Never a token.

The shape is versioned by ``schema``; keys are only ever added within a schema.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, TypedDict

from bridge.core.events import LinkState
from bridge.core.lockfile import LockFile
from bridge.core.ranking import UNANNOUNCED
from bridge.core.reach import Mode, Terrain
from bridge.core.reviews import Review
from bridge.core.selection import UNPIN, Candidate, Pid, Pinned, Verdict
from bridge.core.summary import some_names
from bridge.core.text import visible
from pathconv import WSL

__all__ = [
    "SCHEMA",
    "Daemon",
    "Ide",
    "Ignored",
    "Machine",
    "Published",
    "ReviewRow",
    "Status",
    "StayedOut",
    "ide_row",
    "machine_row",
    "render",
    "review_row",
]

SCHEMA: Final = 1


class Daemon(TypedDict):
    """The process that answers."""

    version: str
    pid: int
    started: float  # epoch seconds
    socket: str
    log: str
    capabilities: list[str]
    page: bool  # whether the page is being served
    mcp_http: str | None  # the address of MCP over HTTP, if that is on


class Machine(TypedDict):
    """Where the daemon runs, as far as reaching IDEs goes."""

    env: str  # "linux", "macos", "windows", "wsl1", "wsl2" or "container"
    network: str | None  # WSL's networking mode
    gateway: str | None  # where Windows is, if that is by its gateway
    profile: str | None  # the Windows profile, in Windows' style


Pin = TypedDict("Pin", {"ide": str, "for": str})  # an IDE as the user named it; "terminal" or "workspace"


class Ide(TypedDict):
    """One IDE that announces itself."""

    port: int
    name: str
    workspace: list[str]
    state: str  # a `LinkState`
    detail: str  # why the state is what it is, if there is more to say
    chosen: bool  # for the asking directory and terminal
    reason: str  # why it is, or is not
    last_focus: float | None  # epoch seconds
    focus_known_from: str  # "selection"; "lock file", when that was written; "port", when somebody was first seen there
    pid: int | None  # as it announces itself
    pid_state: str
    weak: list[str]
    lacks: list[str]  # what it cannot do for agents, in words, as far as is known
    side: str  # "here", "windows" seen from WSL, or "elsewhere": outside of this container, or on a named host
    fix: str | None  # what to type, or to do, if it cannot be reached


class Ignored(TypedDict):
    """A file or directory that was not believed."""

    path: str
    reason: str


class ReviewRow(TypedDict):
    """One review, without its texts."""

    id: str
    title: str
    paths: list[str]
    agent: str
    state: str
    outcome: str | None
    trigger: str | None
    created: float
    where: str | None  # "ide", "queued", "page", or null
    ide: str | None  # which IDE shows it, or will


class Published(TypedDict):
    """One port at which agents find the bridge as if it were an IDE."""

    port: int
    transport: str
    lock: str  # path of the lock file
    everywhere: bool  # for every agent, by ``bridge publish on``
    pid: int | None  # of the child that it is for
    agents: int  # that are connected


class StayedOut(TypedDict):
    """A hook that lately did not review because of its agent's permission mode."""

    agent: str
    reason: str
    at: float  # epoch seconds


class Status(TypedDict):
    """Everything."""

    schema: int
    daemon: Daemon
    machine: Machine
    directory: str
    pinned: Pin | None  # what decides here, unless ``--ide`` does
    ides: list[Ide]
    ignored: list[Ignored]
    reviews: list[ReviewRow]
    published: list[Published]
    stayed_out: list[StayedOut]
    warnings: list[str]
    counters: dict[str, int]


def machine_row(terrain: Terrain) -> Machine:
    """Describe the machine."""
    nat = terrain.mode is Mode.NAT
    return {
        "env": terrain.env,
        "network": terrain.mode,
        "gateway": terrain.gateway if nat else None,
        "profile": terrain.profile,
    }


def ide_row(verdict: Verdict, state: LinkState, detail: str, lacks: Iterable[str] = ()) -> Ide:
    """Describe one candidate as selection saw it."""
    seen = verdict.candidate
    lock: LockFile = seen.lock
    unannounced = lock.family in UNANNOUNCED
    return {
        "port": lock.port,
        "name": lock.ide_name,
        "workspace": list(lock.workspace_folders),
        "state": state,
        "detail": detail,
        "chosen": verdict.chosen,
        "reason": verdict.reason,
        "last_focus": seen.modified if seen.last_focus is None else seen.last_focus,
        "focus_known_from": "selection" if seen.last_focus is not None else "port" if unannounced else "lock file",
        "pid": lock.pid,
        "pid_state": seen.pid,
        "weak": list(seen.weak),
        "lacks": list(lacks),
        "side": "windows" if seen.route.mapper else "here" if seen.route.here else "elsewhere",
        "fix": _fix(seen, state),
    }


SHARE: Final = "bridge run -- COMMAND"


def _fix(seen: Candidate, state: LinkState) -> str | None:
    """Say what to type about an IDE that cannot be used."""
    if state in _TAKEN:
        return SHARE
    return seen.silence.fix if seen.silence and state is LinkState.UNREACHABLE else None


def review_row(review: Review, where: str | None = None, ide: str | None = None) -> ReviewRow:
    """Describe one review."""
    return {
        "id": review.id,
        "title": review.title,
        "paths": [os.fsdecode(change.path) for change in review.files],
        "agent": review.agent,
        "state": review.state,
        "outcome": review.outcome,
        "trigger": review.trigger,
        "created": review.created,
        "where": where,
        "ide": ide,
    }


_TAKEN: Final = frozenset({LinkState.OCCUPIED, LinkState.SLOT_LOST})
_COLORS: Final = {"chosen": "32", "ok": "36", "bad": "33", "dim": "2"}
_WELL: Final = frozenset({LinkState.LISTENING, LinkState.LIVE, LinkState.CONNECTING, LinkState.HIDDEN})


def render(status: Status, now: float, *, color: bool = False, columns: int = 100) -> str:
    """Write the status for people, one line for each thing; names are made visible, lines but warnings are cut."""
    daemon = status["daemon"]
    lines = [f"bridge {daemon['version']} is running (pid {daemon['pid']}, {_ago(daemon['started'], now)})"]
    lines += _machine_lines(status["machine"])
    lines += _ide_lines(status["ides"], now, color)
    lines += _published_lines(status["published"])
    if daemon["mcp_http"] is not None:
        lines.append(f"MCP over HTTP is on: {daemon['mcp_http']} (bridge mcp --http tells where the token is)")
    lines += _pin_lines(status)
    lines += _stayed_out_lines(status["stayed_out"], now)
    fixes = dict.fromkeys((ide["fix"], ide["state"] in _TAKEN) for ide in status["ides"] if ide["fix"])
    if not status["ides"]:
        lines.append("no IDE is running here: changes are shown on the review page in the browser")
    lines += _review_lines(status["reviews"], status["directory"], now)
    lines += [f"ignored: {visible(found['path'])}: {visible(found['reason'])}" for found in status["ignored"]]
    lines = [_cut(line, columns, color) for line in lines]
    # Whole: what is to be typed must not be cut.
    lines += [f"{_MENDS[taken]}: {visible(fix)}" for fix, taken in fixes]
    lines += [f"warning: {visible(warning)}" for warning in status["warnings"]]
    return "".join(f"{line}\n" for line in lines)


_MENDS: Final = {
    False: "to reach what is unreachable",
    True: "to let agents share the one place of an IDE, start them with",
}


def _published_lines(published: Iterable[Published]) -> Iterable[str]:
    for one in published:
        whom = "every agent" if one["everywhere"] else f"process {one['pid']}" if one["pid"] else "a child to come"
        agents = "1 agent" if one["agents"] == 1 else f"{one['agents']} agents"
        yield f"an IDE for {whom}: port {one['port']} ({one['transport']}), {agents} connected"


def _stayed_out_lines(stayed_out: Iterable[StayedOut], now: float) -> Iterable[str]:
    for one in stayed_out:
        yield f"the hook of {one['agent']} stayed out {_ago(one['at'], now)}: {one['reason']}"


def _machine_lines(machine: Machine) -> Iterable[str]:
    """Say how WSL is joined to Windows, for there it decides what can be reached."""
    if machine["env"] in WSL:
        at = f", Windows is at {machine['gateway']}" if machine["gateway"] else ""
        yield f"in {machine['env'].upper()}, networking mode {machine['network'] or 'unknown'}{at}"


# A lock file is written when its IDE starts, not when it is focused: then no more is known.
_SINCE: Final = {
    "selection": "last focus (its selection)",
    "lock file": "last focus unknown, its lock file is from",
    "port": "last focus unknown, first seen",
}


def _ide_lines(ides: Iterable[Ide], now: float, color: bool) -> Iterable[str]:
    for ide in ides:
        mark = _paint("●" if ide["chosen"] else "○", "chosen" if ide["chosen"] else "dim", color)
        state = _paint(ide["state"], "ok" if ide["state"] in _WELL else "bad", color)
        folders = ", ".join(map(visible, ide["workspace"])) or "(no folder)"
        yield f"{mark} {visible(ide['name'])}  {ide['port']}  {state}  {folders}"
        chosen = "chosen" if ide["chosen"] else "not chosen"
        focus = f"{_SINCE[ide['focus_known_from']]} {_ago(ide['last_focus'] or now, now)}"
        yield f"    {chosen}: {visible(ide['reason'])}; {focus}"
        yield from (f"    {said}" for said in _remarks(ide))


def _pin_lines(status: Status) -> Iterable[str]:
    """Say why there is none, where it was the user who wanted another one than there are."""
    pin = status["pinned"]
    if pin is not None and not any(ide["chosen"] for ide in status["ides"]):
        kind = Pinned(pin["for"])
        yield f"{visible(pin['ide'])} is pinned for this {kind} and cannot be used: {UNPIN[kind]}"


def _remarks(ide: Ide) -> Iterable[str]:
    if ide["detail"] and ide["detail"] not in ide["reason"]:
        yield f"{ide['state']}: {visible(ide['detail'])}"
    if ide["lacks"]:
        yield "; ".join(ide["lacks"])
    if ide["weak"]:
        yield f"weak lock file: {', '.join(ide['weak'])}"
    if ide["pid_state"] in (Pid.DEAD, Pid.REUSED):
        yield f"its PID {ide['pid']} is {ide['pid_state']}"


_PLACES: Final[dict[str | None, str]] = {
    "ide": "shown in {ide}",
    "queued": "queued in {ide}",
    "page": "on the page: bridge review open {id}",
    None: "shown nowhere: bridge review open {id}",
}


def _review_lines(reviews: Iterable[ReviewRow], directory: str, now: float) -> Iterable[str]:
    """Say what waits, and on a line of its own, which no long path cuts off, where to find it."""
    here = directory.rstrip("/") + "/"
    for review in reviews:
        paths = some_names([visible(path.removeprefix(here)) for path in review["paths"]])
        yield f"review {review['id']} waits: {paths}"
        place = _PLACES[review["where"]].format(ide=visible(review["ide"] or ""), id=review["id"])
        yield f"    proposed {_ago(review['created'], now)}; {place}"


def _paint(text: str, kind: str, color: bool) -> str:
    return f"\x1b[{_COLORS[kind]}m{text}\x1b[0m" if color else text


def _cut(line: str, columns: int, color: bool) -> str:
    """Cut to the terminal's width; a coloured line is longer than it looks, and its colours must end."""
    if color and "\x1b" in line:
        return line
    return line if len(line) <= columns else line[: max(columns - 1, 1)] + "…"


_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def _ago(then: float, now: float) -> str:
    """Say how long ago something was, in its largest unit."""
    seconds = max(int(now - then), 0)
    return next((f"{seconds // size} {unit} ago" for size, unit in _UNITS if seconds >= size), "now")
