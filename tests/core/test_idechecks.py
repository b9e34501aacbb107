"""What is said of IDEs, of the terminal and of what lies between: a row a fact that is not as it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.events import LinkState
from bridge.core.idechecks import Announced, Distrusted, IdeFacts, examine
from bridge.core.lockfile import Family, LockFile
from bridge.core.reach import Diagnosis, Mode, Terrain
from bridge.core.selection import Listener, Pid
from pathconv import Env, Facts, Mount, PathMapper

IDE_DIR = "/home/ann/.claude/ide"


def ide(
    port: int = 4001,
    *,
    name: str = "Visual Studio Code",
    folders: tuple[str, ...] = ("/w",),
    windows: bool = False,
    **facts: Any,
) -> Announced:
    lock = LockFile(port=port, pid=12, workspace_folders=folders, ide_name=name, running_in_windows=windows)
    usual: dict[str, Any] = {"path": f"{IDE_DIR}/{port}.lock", "pid": Pid.ALIVE, "listener": Listener.OURS}
    return Announced(lock=lock, **{**usual, **facts})


def gone(port: int = 4001, pid: Pid = Pid.DEAD) -> Announced:
    return ide(port, pid=pid, listener=Listener.NONE)


def published(*folders: str, **facts: Any) -> Announced:
    return ide(4009, name="bridge", folders=folders, **facts)


def unannounced(**facts: Any) -> Announced:
    lock = ide(64342, name="JetBrains IDE", folders=()).lock.model_copy(
        update={"family": Family.JETBRAINS, "pid": None}
    )
    return replace(ide(pid=Pid.UNKNOWN, path="", **facts), lock=lock)


def companion(*folders: str) -> Announced:
    shown = ide(4002, folders=folders or ("/w",))
    return replace(shown, lock=shown.lock.model_copy(update={"family": Family.GEMINI}))


def in_windows(listener: Listener, **facts: Any) -> Announced:
    return ide(windows=True, listener=listener, pid=Pid.UNKNOWN, silence=Diagnosis("nobody home", "knock"), **facts)


NAT = Terrain(
    env=Env.WSL2,
    mode=Mode.NAT,
    gateway="172.21.96.1",
    mapper=PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", (Mount("/mnt/c", "C:\\"),))),
    interop=True,
    profile="C:\\Users\\me",
)
WELL = IdeFacts(environ={}, directory="/w/a", announced=(ide(),), distrusted=(), directories=(IDE_DIR,), browser=True)


def said(facts: IdeFacts) -> list[tuple[str, str]]:
    return [(finding.check, finding.found) for finding in examine(facts)]


def test_an_ide_that_listens_and_a_browser_are_fine() -> None:
    assert {finding.level for finding in examine(WELL)} == {"ok"}
    assert said(WELL) == [
        ("ide", "Visual Studio Code on port 4001: listens"),
        ("browser", "can be opened for reviews that no IDE shows"),
    ]


def test_no_ide_is_fine_and_says_where_it_was_looked_for() -> None:
    facts = replace(WELL, announced=(), directories=("/c/ide", IDE_DIR))
    assert said(facts)[0] == ("ide", f"none announces itself in /c/ide or {IDE_DIR}: the page is used")
    assert {finding.level for finding in examine(facts)} == {"ok"}


def test_the_bridge_is_no_ide_to_itself() -> None:
    facts = replace(WELL, announced=(published("/"),))
    assert {finding.level for finding in examine(facts)} == {"ok"}
    assert said(facts)[:2] == [
        ("ide", f"none announces itself in {IDE_DIR}: the page is used"),
        ("published", "agents find the bridge on port 4009"),
    ]


@pytest.mark.parametrize("state", LinkState)
def test_every_state_of_a_link_has_words(state: LinkState) -> None:
    troubles = {LinkState.REFUSED, LinkState.PORT_TAKEN, LinkState.NOT_ANSWERING, LinkState.SLOT_LOST}
    (finding, _) = examine(replace(WELL, announced=(ide(state=state, detail="why"),)))
    assert finding.found.startswith("Visual Studio Code on port 4001: ")
    assert (finding.level, finding.found.endswith(" (why)")) == (("warn", True) if state in troubles else ("ok", False))


FINE: list[tuple[dict[str, Any], str, str]] = [
    (
        {"announced": (ide(state="occupied"),)},
        "ide",
        "Visual Studio Code on port 4001: serves another client, so reviews go to the page; --ide 4001 takes it over",
    ),
    ({"announced": (ide(state="dreaming"),)}, "ide", "Visual Studio Code on port 4001: dreaming"),  # a newer daemon's
    ({"environ": {"CLAUDE_CODE_SSE_PORT": "4001"}}, "ide", "Visual Studio Code on port 4001: listens"),
    ({"environ": {"TMUX": "x"}}, "ide", "Visual Studio Code on port 4001: listens"),  # there is nothing to choose
    ({"environ": {"TMUX": "x"}, "announced": (ide(), published("/x"))}, "published", "agents find the bridge on port"),
    ({"announced": (ide(), published("/nowhere"))}, "published", "agents find"),  # as bridge run has it
    ({"announced": (ide(folders=("/w/ab",)), published("/"))}, "published", "agents find"),  # that is another folder
    ({"announced": (ide(), ide(4002))}, "ide", "Visual Studio Code on port 4002"),  # not for us to mend
    ({"announced": (companion(), published("/"))}, "published", "agents find"),  # no agent of ours reads its file
    ({"announced": (ide(), published("/")), "directory": None}, "published", "agents find"),
    (
        {"announced": (ide(), published("/")), "environ": {"CLAUDE_CODE_SSE_PORT": "4001"}},  # says which
        "published",
        "agents find",
    ),
    ({"environ": {"CLAUDE_CODE_SSE_PORT": "4009"}, "announced": (published("/x"),)}, "published", "agents find"),
    ({"announced": (unannounced(),), "jetbrains": (64342, 64343)}, "ide", "JetBrains IDE on port 64342: listens"),
    ({"environ": {"http_proxy": "http://p", "no_proxy": "x, 127.0.0.1"}}, "browser", "can be opened"),
    ({"environ": {"ALL_PROXY": "http://p", "NO_PROXY": "*"}}, "browser", "can be opened"),
    ({"environ": {"https_proxy": "http://p", "http_proxy": ""}}, "browser", "can be opened"),
]


@pytest.mark.parametrize(("facts", "check", "found"), FINE)
def test_what_is_merely_different_is_fine(facts: dict[str, Any], check: str, found: str) -> None:
    findings = examine(replace(WELL, **facts))
    assert {finding.level for finding in findings} == {"ok"}
    assert [finding for finding in findings if finding.check == check and finding.found.startswith(found)]


NO_PROXY = 'export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}"; export NO_PROXY="$no_proxy"'
LOCK = f"{IDE_DIR}/4001.lock"

# facts, check, part of what was found, fix
TROUBLES: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"announced": (ide(listener=Listener.FOREIGN),)},
        "ide",
        "belongs to another user",
        f"restart the IDE, or: rm {LOCK}",
    ),
    ({"announced": (ide(listener=Listener.UNKNOWN),)}, "ide", "does not tell", "sudo lsof -nP -iTCP:4001"),
    ({"announced": (gone(pid=Pid.ALIVE),)}, "ide", "process 12 runs, but nothing listens", "reload its window"),
    ({"announced": (in_windows(Listener.UNREACHABLE),)}, "ide", "4001: nobody home", "knock"),
    ({"announced": (in_windows(Listener.HIDDEN),)}, "ide", "will carry the connection", "to do without: knock"),
    (
        {"announced": (in_windows(Listener.HIDDEN, ended=True),)},
        "ide",
        "Windows says that its process 12 has ended",
        f"restart the IDE, or: rm {LOCK}",
    ),
    ({"announced": (ide(state="refused"),)}, "ide", "refuses the token", "restart the IDE"),
    (
        {"announced": (unannounced(listener=Listener.FOREIGN),)},
        "ide",
        "JetBrains IDE on port 64342: its port belongs to another user, so it is let alone",
        "in jetbrains_mcp, leave out 64342",
    ),
    (
        {"announced": (unannounced(state="port taken", detail="it answered HTTP 404"),)},
        "ide",
        "JetBrains IDE on port 64342: another program listens there (it answered HTTP 404)",
        "in jetbrains_mcp, leave out 64342",
    ),
    (
        {"announced": (unannounced(state="refused", detail="HTTP 401"),)},
        "ide",
        "JetBrains IDE on port 64342: wants a token, so it is not for us (HTTP 401)",
        "in jetbrains_mcp, leave out 64342",
    ),
    ({"announced": (unannounced(listener=Listener.UNKNOWN),)}, "ide", "does not tell", "sudo lsof -nP -iTCP:64342"),
    (
        {"jetbrains": (64342, 64343)},
        "jetbrains",
        "jetbrains_mcp is on, but nobody listens on 64342, 64343",
        "in the IDE, Settings | Tools | MCP Server: enable it; where its port is another: jetbrains_mcp = [PORT]",
    ),
    ({"announced": (ide(state="slot lost"),)}, "ide", "only place", "to take it back: bridge open --ide 4001 FILE"),
    (
        {"announced": (ide(exposed=True),)},
        "exposed",
        "beyond loopback",
        "in the settings of its plugin: bind 127.0.0.1 only",
    ),
    (
        {"announced": (ide(exposed=True, name="IntelliJ IDEA"),)},
        "exposed",
        "IntelliJ IDEA on port 4001",
        'in the settings of its plugin: turn off "Accept connections from all network interfaces"',
    ),
    *(
        (
            {"announced": (ide(), ide(4002, folders=(folder,)), published("/")), "directory": "/w"},
            "published",
            f"/w belongs to the bridge and to {both}: agents connect to none",
            "bridge publish off, and start agents with bridge run; or choose in the agent, with /ide",
        )
        for folder, both in {
            "/other": "Visual Studio Code on port 4001",
            "/w/": "Visual Studio Code on port 4001, Visual Studio Code on port 4002",
        }.items()
    ),
    (
        {"announced": (published("/", listener=Listener.NONE),)},
        "published",
        "agents find the bridge on port 4009, where it is not seen to listen",
        f"bridge restart, or: rm {IDE_DIR}/4009.lock",
    ),
    ({"announced": (ide(weak=("no token",)),)}, "weak", "no token", "update its plugin"),
    ({"announced": (ide(weak=("mode 0644",)),)}, "weak", "mode 0644", f"chmod 600 {LOCK}"),
    ({"announced": (ide(4002), gone())}, "stale", "1 lock file of", f"rm {LOCK}"),
    (
        {"announced": (gone(pid=Pid.REUSED), gone(4002))},
        "stale",
        "2 lock files of",
        f"rm {LOCK} {IDE_DIR}/4002.lock",
    ),
    (
        {"announced": tuple(map(gone, range(5001, 6001)))},
        "stale",
        "1000 lock files of",
        f"rm {' '.join(f'{IDE_DIR}/{port}.lock' for port in range(5001, 5009))}, then again: bridge doctor",
    ),
    (
        {"distrusted": (Distrusted(path="/i/a b.lock", reason="is not JSON"),)},
        "ignored",
        "/i/a b.lock is not JSON",
        "restart the IDE that wrote it, or: rm '/i/a b.lock'",
    ),
    (
        {"distrusted": (Distrusted(path="/i", reason="is a symlink", directory=True, symlink=True),)},
        "ignored",
        "/i is a symlink",
        "rm /i; mkdir -m 700 /i",
    ),
    (
        {"distrusted": (Distrusted(path="/i", reason="can be written by others", directory=True),)},
        "ignored",
        "/i can be written",
        "chmod 700 /i",
    ),
    (
        {"distrusted": (Distrusted(path="/i", reason="lies elsewhere", directory=True, fix="move it"),)},
        "ignored",
        "/i lies elsewhere",
        "move it",
    ),
    (
        {"distrusted": (Distrusted(path="/i", reason="belongs to uid 0", directory=True, ours=False),)},
        "ignored",
        "/i belongs to uid 0",
        "sudo mv /i /i.old",
    ),
    (
        {"environ": {"CLAUDE_CODE_SSE_PORT": "4002"}},
        "terminal",
        "CLAUDE_CODE_SSE_PORT is 4002, where no IDE listens",
        "unset CLAUDE_CODE_SSE_PORT",
    ),
    (
        {"environ": {"QWEN_CODE_IDE_SERVER_PORT": "4002"}},
        "terminal",
        "QWEN_CODE_IDE_SERVER_PORT is 4002, where no IDE listens",
        "unset QWEN_CODE_IDE_SERVER_PORT",
    ),
    ({"environ": {"CLAUDE_CODE_SSE_PORT": "x"}}, "terminal", "holds no port number", "unset CLAUDE_CODE_SSE_PORT"),
    (
        {"environ": {"STY": "1.x"}, "announced": (ide(), ide(4002))},
        "terminal",
        "screen hides in which IDE's terminal you are",
        "where they decide wrongly, name it: --ide NAME",
    ),
    ({"environ": {"http_proxy": "http://me:secret@p"}}, "proxy", "http_proxy without", NO_PROXY),
    (
        {"environ": {"ALL_PROXY": "p", "HTTP_PROXY": "p", "no_proxy": "corp.example"}},
        "proxy",
        "HTTP_PROXY, ALL_PROXY without",
        NO_PROXY,
    ),
    ({"environ": {"all_proxy": "p", "no_proxy": "corp", "NO_PROXY": "*"}}, "proxy", "all_proxy without", NO_PROXY),
    ({"browser": False}, "browser", "no BROWSER", "open the address that bridge diff prints, or set BROWSER"),
    (
        {"terrain": replace(NAT, profile=None)},
        "wsl",
        "your Windows profile was not found",
        'write windows_profile = "/mnt/c/Users/NAME" in the bridge\'s config.toml',
    ),
    (
        {"terrain": replace(NAT, interop=False)},
        "wsl",
        "Windows programs cannot be started from here",
        "write enabled=true below [interop] in /etc/wsl.conf, then: wsl.exe --shutdown",
    ),
    (
        {"terrain": replace(NAT, mapper=PathMapper(Facts(Env.WSL2, "linux", None, ())))},
        "wsl",
        "WSL_DISTRO_NAME is not set",
        "bridge restart, in a terminal that WSL opened",
    ),
]


@pytest.mark.parametrize(("facts", "check", "found", "fix"), TROUBLES)
def test_trouble_is_a_warning_told_once_with_its_fix(facts: dict[str, Any], check: str, found: str, fix: str) -> None:
    (trouble,) = [finding for finding in examine(replace(WELL, **facts)) if finding.level != "ok"]
    assert (trouble.check, trouble.level, trouble.fix) == (check, "warn", fix)
    assert found in trouble.found


def test_a_port_variable_of_a_dead_ide_is_stale_also_while_its_lock_file_is_there() -> None:
    facts = replace(WELL, announced=(gone(), gone(4002, Pid.ALIVE)), environ={"CLAUDE_CODE_SSE_PORT": "4002"})
    checks = {finding.check for finding in examine(facts) if finding.level == "warn"}
    assert checks == {"ide", "stale", "terminal"}


@pytest.mark.parametrize(
    ("terrain", "found"),
    [
        (NAT, "this is WSL2, networking mode nat, Windows is 172.21.96.1; your Windows profile is C:\\Users\\me"),
        (
            replace(NAT, mode=Mode.MIRRORED, interop=False),
            "this is WSL2, networking mode mirrored; your Windows profile is C:\\Users\\me",
        ),
        (
            replace(NAT, profile=None, profile_wanted=False),
            "this is WSL2, networking mode nat, Windows is 172.21.96.1; "
            "your Windows profile is not looked at, as you have set",
        ),
        (replace(NAT, mode=None), "this is WSL2, networking mode unknown; your Windows profile is C:\\Users\\me"),
    ],
)
def test_how_wsl_is_joined_to_windows(terrain: Terrain, found: str) -> None:
    assert said(replace(WELL, terrain=terrain))[-1] == ("wsl", found)


def test_what_a_relay_found_is_told_instead_of_what_it_might_find() -> None:
    facts = replace(WELL, announced=(in_windows(Listener.HIDDEN, state="unreachable"),))
    (finding, *_) = examine(facts)
    assert (finding.found, finding.fix) == ("Visual Studio Code on port 4001: nobody home", "knock")


def test_an_ide_in_windows_that_is_connected_is_fine_whatever_the_ways() -> None:
    facts = replace(WELL, announced=(in_windows(Listener.HIDDEN, state="live"),))
    assert said(facts)[0] == ("ide", "Visual Studio Code on port 4001: is connected")


@pytest.mark.parametrize(
    ("terrain", "announced", "told"),
    [
        (Terrain(env=Env.CONTAINER), (gone(),), True),
        (Terrain(env=Env.CONTAINER), (ide(),), False),
        (Terrain(env=Env.CONTAINER, container_host=True), (gone(),), False),
    ],
)
def test_in_a_container_ides_outside_are_told_of(
    terrain: Terrain, announced: tuple[Announced, ...], told: bool
) -> None:
    findings = examine(replace(WELL, terrain=terrain, announced=announced))
    assert any(finding.check == "container" for finding in findings) is told


def test_a_proxys_password_is_not_shown() -> None:
    assert "secret" not in str(examine(replace(WELL, environ={"http_proxy": "http://me:secret@p"})))
