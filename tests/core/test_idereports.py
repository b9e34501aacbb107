"""What agents are told of the IDE: files, selections, problems."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core import idereports
from bridge.core.idereports import (
    MOST_PROBLEMS,
    MOST_SELECTED,
    of_diagnostics,
    of_editors,
    of_ides,
    of_opened,
    of_selection,
)
from tests.core.promises import HOSTILE, TOLD, checked


def test_opened() -> None:
    there = of_opened("/w/a", {"ide": "Vim", "port": 1, "positioned": True})
    assert checked("open_file", there) == {"path": "/w/a", "ide": "Vim", "positioned": True}
    missed = of_opened("/w/a", {"ide": "Vim", "port": 1, "positioned": False})
    assert missed.text == "/w/a is open in Vim. It did not go to the line."


def selection(text: str) -> dict[str, Any]:
    return {"path": "/w/a", "line": 3, "column": 1, "end_line": 4, "end_column": 2, "text": text}


def test_selections() -> None:
    assert checked("get_selection", of_selection(None)) == {"selection": None}
    assert of_selection(selection("")).text == "Nothing is selected; the cursor is at /w/a:3:1."
    some = of_selection(selection("x\ud83d"))
    assert some.text == "Selected at /w/a:3:1:\nx\ufffd"
    assert checked("get_selection", some)["selection"]["text_cut"] is False
    long = of_selection(selection("x" * (MOST_SELECTED + 1)))
    data = checked("get_selection", long)["selection"]
    assert (len(data["text"]), data["text_cut"]) == (MOST_SELECTED, True)
    assert long.text.endswith("(and more: the text is cut)")


def test_editors(monkeypatch: pytest.MonkeyPatch) -> None:
    some: list[dict[str, Any]] = [
        {"path": "/w/a", "active": True, "dirty": True},
        {"path": "/w/b", "active": None, "dirty": None},
    ]
    answer = of_editors(some)
    assert answer.text == "/w/a (active) (unsaved changes)\n/w/b"
    assert checked("get_open_editors", answer)["omitted"] == 0
    assert of_editors([]).text == "No editor is open in the IDE."
    monkeypatch.setattr(idereports, "MOST_EDITORS", 1)
    assert of_editors(some).text == "/w/a (active) (unsaved changes)\n(and 1 more)"


def problem(severity: str, **more: Any) -> dict[str, Any]:
    usual = {"path": "/w/a", "line": 3, "column": 5, "message": "m", "source": None, "code": None}
    return {**usual, "severity": severity, **more}


def test_problems() -> None:
    answer = of_diagnostics([problem("error", source="ts", code=7), problem("hint", line=None, column=None)])
    assert answer.text == "/w/a:3:5: error: m [ts 7]\n/w/a: hint: m"
    assert checked("get_diagnostics", answer)["diagnostics"][0]["code"] == "7"
    assert of_diagnostics([]).text == "The IDE knows of no problem."


def test_of_too_many_problems_the_worst_are_given() -> None:
    found = [problem("hint")] * MOST_PROBLEMS + [problem("error")]
    data = checked("get_diagnostics", of_diagnostics(found))
    assert (data["omitted"], data["diagnostics"][0]["severity"]) == (1, "error")


def test_ides() -> None:
    row: Any = {"name": "Vim", "port": 7, "workspace": ["/w"], "state": "live", "chosen": True, "reason": "it is here"}
    other: Any = {**row, "chosen": False}
    answer = of_ides("/w", [row, other])
    assert answer.text == "* Vim (port 7, live): it is here\n  Vim (port 7, live): it is here"
    assert checked("list_ides", answer)["ides"][0]["workspace_folders"] == ["/w"]
    assert of_ides("/w", []).text == "No IDE is running. Reviews are shown in the browser."


def test_a_name_adds_no_line_to_what_is_said() -> None:
    problem = {"path": HOSTILE, "line": 1, "column": 1, "severity": "error", "source": HOSTILE, "code": None}
    row: Any = {"name": HOSTILE, "port": 7, "workspace": [], "state": "live", "chosen": True, "reason": HOSTILE}
    assert of_opened(HOSTILE, {"ide": HOSTILE, "positioned": True}).text == f"{TOLD} is open in {TOLD}."
    assert of_selection(selection("") | {"path": HOSTILE}).text.endswith(f"is at {TOLD}:3:1.")
    assert of_editors([{"path": HOSTILE, "active": True, "dirty": None}]).text == f"{TOLD} (active)"
    assert of_ides("/w", [row]).text == f"* {TOLD} (port 7, live): {TOLD}"
    told = of_diagnostics([problem | {"message": "a\n/w/b:1:1: error: b\x1b"}]).text
    assert told == f"{TOLD}:1:1: error: a\n    /w/b:1:1: error: b\\x1b [{TOLD}]"
