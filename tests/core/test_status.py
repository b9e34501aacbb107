from dataclasses import replace
from typing import Any

import pytest

from bridge.core.events import LinkState
from bridge.core.lockfile import Family
from bridge.core.ranking import Pid
from bridge.core.reach import Diagnosis, Mode, Route, Terrain
from bridge.core.reviews import Outcome, Trigger, decide
from bridge.core.selection import Verdict
from bridge.core.status import SCHEMA, Ide, ReviewRow, Status, ide_row, machine_row, render, review_row
from pathconv import Env, Facts, PathMapper
from tests.core.candidates import ide
from tests.playbook import review

NOW = 10_000.0


def row(*, chosen: bool = True, state: LinkState = LinkState.LIVE, detail: str = "", **facts: Any) -> Ide:
    name = facts.pop("name", "Visual Studio Code")
    folders, lacks = facts.pop("folders", ("/w",)), facts.pop("lacks", ())
    candidate = ide(4001, *folders, name=name, token="never-shown", **{"modified": NOW - 5.0, **facts})
    verdict = Verdict(candidate=candidate, chosen=chosen, usable=chosen, reason="its folder /w holds the file")
    return ide_row(verdict, state, detail, lacks)


def status(*ides: Ide, reviews: tuple[ReviewRow, ...] = (), **more: Any) -> Status:
    whole: Any = {
        "schema": SCHEMA,
        "daemon": {
            "version": "1.0",
            "pid": 12,
            "started": NOW - 7200,
            "socket": "/run/s",
            "log": "/log",
            "capabilities": [],
            "page": False,
            "mcp_http": None,
        },
        "machine": machine_row(Terrain()),
        "directory": "/w",
        "pinned": None,
        "ides": list(ides),
        "reviews": list(reviews),
        "published": [],
        "stayed_out": [],
        "counters": {},
        "ignored": [],
        "warnings": [],
        **more,
    }
    told: Status = whole
    return told


def lines(*args: Any, **more: Any) -> list[str]:
    """The status as text, but for its first line."""
    first, *rest = render(status(*args, **more), NOW).splitlines()
    assert first == "bridge 1.0 is running (pid 12, 2 h ago)"
    return rest


def test_one_glance_tells_which_ide_is_chosen_and_why() -> None:
    assert lines(row(), row(chosen=False, state=LinkState.LISTENING, name="Neovim", folders=())) == [
        "● Visual Studio Code  4001  live  /w",
        "    chosen: its folder /w holds the file; last focus unknown, its lock file is from 5 s ago",
        "○ Neovim  4001  listening  (no folder)",
        "    not chosen: its folder /w holds the file; last focus unknown, its lock file is from 5 s ago",
    ]


def test_of_one_that_announces_itself_nowhere_only_its_port_was_seen() -> None:
    unannounced = row(name="JetBrains IDE", family=Family.JETBRAINS, folders=(), lacks=("it shows no diffs",))
    assert unannounced["focus_known_from"] == "port"
    assert lines(unannounced) == [
        "● JetBrains IDE  4001  live  (no folder)",
        "    chosen: its folder /w holds the file; last focus unknown, first seen 5 s ago",
        "    it shows no diffs",
    ]


def test_without_an_ide_it_says_where_changes_are_shown() -> None:
    assert lines() == ["no IDE is running here: changes are shown on the review page in the browser"]


def test_a_door_that_is_open_is_told_of() -> None:
    on = status()
    on["daemon"]["mcp_http"] = "http://127.0.0.1:7347/mcp"
    told = "MCP over HTTP is on: http://127.0.0.1:7347/mcp (bridge mcp --http tells where the token is)\n"
    assert told in render(on, NOW)


def test_what_is_wrong_with_an_ide_is_remarked() -> None:
    ill = row(state=LinkState.REFUSED, detail="close code 1008", weak=("no token",), pid=Pid.DEAD, last_focus=NOW)
    assert lines(ill)[1:] == [
        "    chosen: its folder /w holds the file; last focus (its selection) now",
        "    refused: close code 1008",
        "    weak lock file: no token",
        "    its PID 12 is dead",
    ]


def test_what_an_ide_cannot_do_is_told() -> None:
    words = ["it shows no diffs", "it has no diagnostics"]
    verdict = Verdict(candidate=ide(4001, "/w"), chosen=True, usable=True, reason="it is there")
    assert lines(ide_row(verdict, LinkState.LIVE, "", words))[-1] == "    it shows no diffs; it has no diagnostics"


@pytest.mark.parametrize(("kind", "undo"), [("terminal", ""), ("workspace", " --workspace")])
def test_a_pin_that_leaves_no_ide_is_told_with_the_way_out(kind: str, undo: str) -> None:
    pin = {"ide": "py\x1bcharm", "for": kind}
    line = rf"py\x1bcharm is pinned for this {kind} and cannot be used: bridge use auto{undo}"
    assert line in lines(pinned=pin)
    assert line in lines(row(chosen=False), pinned=pin)
    assert line not in lines(row(chosen=False), row(), pinned=pin)


@pytest.mark.parametrize("state", [LinkState.OCCUPIED, LinkState.SLOT_LOST])
def test_an_ide_whose_place_is_taken_says_how_agents_share_it(state: LinkState) -> None:
    taken = row(chosen=False, state=state)
    assert taken["fix"] == "bridge run -- COMMAND"
    said = "to let agents share the one place of an IDE, start them with: bridge run -- COMMAND"
    assert lines(taken, row(chosen=False, state=state)).count(said) == 1


PUBLISHED = [
    ({"everywhere": True, "pid": None, "agents": 0}, "every agent: port 5001 (ws), 0 agents"),
    ({"everywhere": False, "pid": 77, "agents": 1}, "process 77: port 5001 (ws), 1 agent"),
    ({"everywhere": False, "pid": None, "agents": 2}, "a child to come: port 5001 (ws), 2 agents"),
]


@pytest.mark.parametrize(("facts", "said"), PUBLISHED)
def test_where_the_bridge_is_an_ide_itself_is_told(facts: dict[str, Any], said: str) -> None:
    one = {"port": 5001, "transport": "ws", "lock": "/l/5001.lock", **facts}
    assert f"an IDE for {said} connected" in lines(row(), published=[one])


def test_a_hook_that_stayed_out_lately_is_told() -> None:
    one = {"agent": "Claude Code", "reason": "the user is not asked in mode plan", "at": 940.0}
    told = [line for line in lines(row(), stayed_out=[one]) if "stayed out" in line]
    assert len(told) == 1
    assert told[0].startswith("the hook of Claude Code stayed out ")
    assert told[0].endswith("ago: the user is not asked in mode plan")


REVIEWS: list[tuple[str | None, str | None, str]] = [
    ("ide", "Neovim", "shown in Neovim"),
    ("queued", "Neovim", "queued in Neovim"),
    ("page", None, "on the page: bridge review open r1"),
    (None, None, "shown nowhere: bridge review open r1"),
]


@pytest.mark.parametrize(("where", "name", "said"), REVIEWS)
def test_a_review_says_where_to_find_it(where: str | None, name: str | None, said: str) -> None:
    pending = review_row(review(at=NOW - 90), where, name)
    assert lines(reviews=(pending,))[1:] == ["review r1 waits: a.py", f"    proposed 1 min ago; {said}"]


def test_a_warning_is_told_to_its_end() -> None:
    assert "warning: " + "x" * 200 in render(status(row(), warnings=["x" * 200]), NOW, columns=40)


def test_a_long_path_hides_neither_where_a_review_is_nor_what_to_type() -> None:
    pending = review_row(review(path=b"/elsewhere/" + b"long/" * 30 + b"a.py"), "page")
    path, place = render(status(row(), reviews=(pending,)), NOW, columns=80).splitlines()[-2:]
    assert path.startswith("review r1 waits: /elsewhere/long/")
    assert place == "    proposed 2 h ago; on the page: bridge review open r1"


def test_what_strangers_wrote_is_made_visible() -> None:
    text = render(
        status(
            row(name="evil\x1b[2J", folders=("/w\n", "/x"), detail="no\r"),
            reviews=(review_row(review(path=b"/w/\xff\x07", title="\x1b"), "ide", "evil\x9b"),),
            ignored=[{"path": "/a\x00", "reason": "b\u202e"}],
            warnings=["c\x7f"],
        ),
        NOW,
    )
    assert all(char.isprintable() for char in text.replace("\n", ""))
    for shown in (r"evil\x1b[2J", r"/w\x0a, /x", r"no\x0d", r"waits: \xff\x07", r"/a\x00: b\u202e", r"warning: c\x7f"):
        assert shown in text


def test_no_token_is_in_it() -> None:
    assert "never-shown" not in str(status(row())) + render(status(row()), NOW, color=True)


def test_long_lines_are_cut_to_the_terminal_and_colours_end() -> None:
    text = render(status(row(), ignored=[{"path": "/a", "reason": "x" * 200}]), NOW, columns=40)
    assert max(map(len, text.splitlines())) == 40
    assert "ignored: /a: " + "x" * 26 + "…" in text
    long = [{"path": "/a", "reason": "y" * 200}]
    worlds = row(), row(chosen=False, state=LinkState.GONE)
    colored = render(status(*worlds, ignored=long), NOW, color=True, columns=40)
    assert colored.count("\x1b[0m") * 2 == colored.count("\x1b")
    assert "\x1b[32m●\x1b[0m Visual Studio Code  4001  \x1b[36mlive\x1b[0m  /w\n" in colored
    assert "\x1b[2m○\x1b[0m Visual Studio Code  4001  \x1b[33mgone\x1b[0m  /w\n" in colored
    assert "y" * 31 not in colored


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "now"),
        (0.9, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (2e5, "2 d ago"),
    ],
)
def test_ages_are_in_their_largest_unit(seconds: float, said: str) -> None:
    pending = review_row(review(at=NOW - seconds))
    assert f"    proposed {said}; " in lines(reviews=(pending,))[2]


def test_an_ide_is_described_for_programs() -> None:
    assert row(chosen=False, detail="why", pid=Pid.REUSED, weak=("loose mode",), last_focus=7.0) == {
        "port": 4001,
        "name": "Visual Studio Code",
        "workspace": ["/w"],
        "state": "live",
        "detail": "why",
        "chosen": False,
        "reason": "its folder /w holds the file",
        "last_focus": 7.0,
        "focus_known_from": "selection",
        "pid": 12,
        "pid_state": "reused",
        "weak": ["loose mode"],
        "lacks": [],
        "side": "here",
        "fix": None,
    }


def test_a_review_is_described_for_programs() -> None:
    decided = decide(
        replace(review(title="T", agent="A"), created=1.0), 2.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE
    )
    assert review_row(decided, "page") == {
        "id": "r1",
        "title": "T",
        "paths": ["/w/a.py"],
        "agent": "A",
        "state": "decided",
        "outcome": Outcome.REJECTED,
        "trigger": "rejected_on_page",
        "created": 1.0,
        "where": "page",
        "ide": None,
    }


# ---- beyond the Windows boundary

MAPPER = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", ()))
NAT = Terrain(env=Env.WSL2, mode=Mode.NAT, gateway="172.21.96.1", profile="C:\\Users\\me")


@pytest.mark.parametrize(
    ("terrain", "said"),
    [
        (NAT, ["in WSL2, networking mode nat, Windows is at 172.21.96.1"]),
        (replace(NAT, mode=Mode.MIRRORED), ["in WSL2, networking mode mirrored"]),  # its gateway is a router
        (replace(NAT, mode=None), ["in WSL2, networking mode unknown"]),
        (Terrain(env=Env.CONTAINER), []),
    ],
)
def test_it_says_how_wsl_is_joined_to_windows(terrain: Terrain, said: list[str]) -> None:
    assert lines(row(), machine=machine_row(terrain))[:-2] == said


def test_the_machine_is_described_for_programs() -> None:
    known = {"env": "wsl2", "network": "nat", "gateway": "172.21.96.1", "profile": "C:\\Users\\me"}
    assert machine_row(NAT) == known
    assert machine_row(replace(NAT, mode=Mode.MIRRORED)) == {**known, "network": "mirrored", "gateway": None}


def test_what_mends_silence_is_told_once_and_whole() -> None:
    silent = row(state=LinkState.UNREACHABLE, silence=Diagnosis("the firewall", "type " + "x" * 200))
    text = render(status(silent, silent), NOW, columns=40)
    assert text.count("to reach what is unreachable: type " + "x" * 200) == 1


def test_a_hidden_ide_needs_no_mending() -> None:
    hidden = row(state=LinkState.HIDDEN, detail="a relay looks", silence=Diagnosis("the firewall", "type this"))
    text = render(status(hidden), NOW)
    assert "hidden: a relay looks" in text
    assert "type this" not in text


def test_a_reason_is_not_told_twice() -> None:
    silent = row(state=LinkState.UNREACHABLE, detail="its folder /w holds")
    assert render(status(silent), NOW).count("its folder /w holds") == 1


def test_the_side_of_an_ide_is_told_to_programs() -> None:
    routes = [Route(), Route(here=False, mapper=MAPPER), Route(here=False)]
    assert [row(route=route)["side"] for route in routes] == ["here", "windows", "elsewhere"]
