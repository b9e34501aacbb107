"""What is pinned where: a table of who wins, and what is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.core.selection import Pinned, Place
from bridge.daemon.pins import MOST, Pin, Pins, workspace_of

TERMINAL, WORKSPACE = Pinned.TERMINAL, Pinned.WORKSPACE


@pytest.fixture
def pins() -> Pins:
    pins = Pins()
    pins.pin(TERMINAL, "t", "cursor")
    pins.pin(WORKSPACE, "/w", "code")
    return pins


@pytest.mark.parametrize(
    ("terminal", "workspace", "pin"),
    [
        ("t", "/w", Pin("cursor", TERMINAL)),
        ("t", "/x", Pin("cursor", TERMINAL)),
        ("u", "/w", Pin("code", WORKSPACE)),
        (None, "/w", Pin("code", WORKSPACE)),
        ("/w", "t", None),
        (None, "/w/sub", None),
    ],
)
def test_the_terminal_goes_before_the_workspace(
    pins: Pins, terminal: str | None, workspace: str, pin: Pin | None
) -> None:
    assert pins.named_for(terminal, workspace) == pin


def test_the_last_word_counts_and_none_takes_it_back(pins: Pins) -> None:
    pins.pin(TERMINAL, "t", "4001")
    assert pins.named_for("t", "/w") == Pin("4001", TERMINAL)
    pins.pin(TERMINAL, "t", None)
    assert pins.named_for("t", "/w") == Pin("code", WORKSPACE)
    pins.pin(WORKSPACE, "/w", None)
    pins.pin(WORKSPACE, "/w", None)
    assert pins.named_for("t", "/w") is None


def test_pins_outlive_the_daemon(pins: Pins) -> None:
    pins.pin(WORKSPACE, "/caf\udce9", "é")
    again = Pins(json.loads(json.dumps(pins.kept())))
    assert again.kept() == pins.kept()
    assert again.named_for(None, "/caf\udce9") == Pin("é", WORKSPACE)


@pytest.mark.parametrize("kept", [None, [], {}, {"terminal": None}, {"other": {"t": "x"}}])
def test_what_says_nothing_pins_nothing(kept: Any) -> None:
    assert Pins(kept).kept() == {"terminal": {}, "workspace": {}}


def test_the_oldest_are_forgotten_and_a_pin_that_is_renewed_is_new() -> None:
    pins = Pins()
    for number in range(MOST):
        pins.pin(WORKSPACE, f"/{number}", "code")
    pins.pin(WORKSPACE, "/0", "code")
    pins.pin(WORKSPACE, "/new", "code")
    assert len(pins.kept()["workspace"]) == MOST
    assert [pins.named_for(None, path) is None for path in ("/0", "/1", "/2", "/new")] == [False, True, False, False]


def test_a_terminal_that_is_gone_takes_its_pin_along(pins: Pins) -> None:
    pins.pin(TERMINAL, "gone", "code")
    pins.forget_terminals(lambda name: name == "t")
    assert pins.kept() == {"terminal": {"t": "cursor"}, "workspace": {"/w": "code"}}


def test_every_change_is_noticed(pins: Pins) -> None:
    before = pins.changes
    pins.pin(TERMINAL, "t", None)
    assert pins.changes > before


def test_all_that_is_pinned_is_told_and_what_counts_here(pins: Pins) -> None:
    pins.pin(TERMINAL, "u", "4001")
    rows = [(row["ide"], row["for"], row["workspace"], row["here"], row["used"]) for row in pins.rows("t", "/w")]
    assert rows == [
        ("cursor", "terminal", None, True, True),
        ("4001", "terminal", None, False, False),
        ("code", "workspace", "/w", True, False),
    ]
    assert [row["used"] for row in pins.rows("t", "/x")] == [True, False, False]
    assert [row["used"] for row in pins.rows(None, "/w")] == [False, False, True]
    assert not any(row["used"] or row["here"] for row in pins.rows(None, "/x"))


def test_the_workspace_is_the_project_else_the_directory() -> None:
    assert workspace_of(Place(directory="/w/sub", cwd_project="/w", file="/x/a.py", project="/x")) == "/w"
    assert workspace_of(Place(directory="/w/sub")) == "/w/sub"
