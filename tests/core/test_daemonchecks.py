"""What is said of the daemon: how it answers, and whether it lives where the asking terminal does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.daemonchecks import NAMESPACES, SLOW_S, Answer, DaemonFacts, World, examine
from bridge.errors import NotTrusted, Unavailable, Usage

OURS = World(namespaces={name: f"{name}:[1]" for name in NAMESPACES}, home="/home/ann", directory="/home/ann/src")
ITS = replace(OURS, directory="/")
WELL = Answer(pid=7, version="0.1", socket="/run/b.sock", seconds=0.003, world=ITS)
RESTART = "from an ordinary terminal: bridge restart"


def facts(answer: Answer | None, ours: World | None = OURS) -> DaemonFacts:
    return DaemonFacts(version="0.1", answer=answer, world=ours)


@pytest.mark.parametrize(
    ("answer", "ours", "found"),
    [
        (WELL, OURS, ["running (pid 7), answers in 3 ms", "the daemon sees what this terminal sees"]),
        (None, OURS, ["not running (any command starts it)"]),
        (replace(WELL, pid=0, world=None), None, ["running, answers in 3 ms"]),  # a system without /proc
    ],
)
def test_it_is_well_or_not_needed(answer: Answer | None, ours: World | None, found: list[str]) -> None:
    findings = examine(facts(answer, ours))
    assert [(finding.level, finding.found) for finding in findings] == [("ok", words) for words in found]


def test_a_door_that_is_open_is_told_of() -> None:
    findings = examine(facts(replace(WELL, mcp_http="http://127.0.0.1:7347/mcp")))
    told = next(finding for finding in findings if finding.check == "mcp over http")
    words = "agents of this user that have its token may connect at http://127.0.0.1:7347/mcp"
    assert (told.level, told.found) == ("ok", words)


def elsewhere(*names: str) -> dict[str, str]:
    return {name: f"{name}:[{2 if name in names else 1}]" for name in NAMESPACES}


# its answer, check, exit code (0: a warning), part of what was found, fix
TROUBLES: list[tuple[Answer, str, int, str, str]] = [
    (
        Answer(pid=7, error=Unavailable("the bridge does not answer status", "bridge restart")),
        "daemon",
        69,
        "the bridge does not answer status (pid 7); its reviews are safe",
        "kill -9 7; bridge up",
    ),
    (
        Answer(pid=0, error=Unavailable("the bridge does not answer status", "bridge restart")),
        "daemon",
        69,
        "does not answer",
        "bridge restart",
    ),
    (Answer(pid=0, error=NotTrusted("daemon.json is not yours", "rm it")), "daemon", 77, "not yours", "rm it"),
    (Answer(pid=7, error=Usage("unknown method", "upgrade")), "daemon", 69, "unknown method", "upgrade"),
    (replace(WELL, seconds=SLOW_S + 1), "daemon", 0, "answers in 3000 ms", "if that stays so: bridge restart"),
    (replace(WELL, version="0.0.9"), "version", 0, "is version 0.0.9, this command is 0.1", "bridge restart"),
    (
        replace(WELL, warnings=("the journal was broken",)),
        "warning",
        0,
        "the journal was broken",
        "bridge logs tells more; bridge restart tries again",
    ),
    (replace(WELL, pid=0, world=None), "sandbox", 0, "cannot be looked at", RESTART),
    (
        replace(WELL, world=replace(ITS, namespaces=elsewhere("net"))),
        "sandbox",
        69,
        ": it sees another network",
        RESTART,
    ),
    (
        replace(WELL, world=replace(ITS, namespaces=elsewhere("mnt", "pid", "user"))),
        "sandbox",
        0,
        ": it sees other files, it sees other processes, it sees other users",
        RESTART,
    ),
    (replace(WELL, world=replace(ITS, no_new_privs=True)), "sandbox", 0, ": it can gain no privileges", RESTART),
    (replace(WELL, world=replace(ITS, seccomp=2)), "sandbox", 0, ": its system calls are filtered", RESTART),
    (replace(WELL, world=replace(ITS, home="/root")), "environment", 0, "HOME is /root", RESTART),
    (
        replace(WELL, world=replace(ITS, directory="/mnt/stick")),
        "environment",
        0,
        "stands in /mnt/stick",
        "unless you want it so (bridge up --foreground): bridge restart",
    ),
]


@pytest.mark.parametrize(("answer", "check", "code", "found", "fix"), TROUBLES)
def test_trouble_is_told_once_with_its_fix(answer: Answer, check: str, code: int, found: str, fix: str) -> None:
    (trouble,) = [finding for finding in examine(facts(answer)) if finding.level != "ok"]
    assert (trouble.check, trouble.code, trouble.fix) == (check, code, fix)
    assert found in trouble.found


FREE: dict[str, Any] = {}
CONFINED: dict[str, Any] = {"no_new_privs": True, "seccomp": 2}


@pytest.mark.parametrize(("its", "ours"), [(CONFINED, CONFINED), (FREE, CONFINED)])
def test_a_daemon_that_may_do_as_much_as_the_terminal_is_well(its: dict[str, Any], ours: dict[str, Any]) -> None:
    findings = examine(facts(replace(WELL, world=replace(ITS, **its)), replace(OURS, **ours)))
    assert {finding.level for finding in findings} == {"ok"}
