"""Answers of IDEs' tools, as their plugins give them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.core.readings import read_diagnostics, read_editors, read_selection
from bridge.errors import Unavailable


def problem(
    message: str = "m", severity: Any = "Error", line: int = 2, character: int = 4, **more: Any
) -> dict[str, Any]:
    at = {"line": line, "character": character}
    return {"message": message, "severity": severity, "range": {"start": at, "end": at}, **more}


def result(*values: Any, **more: Any) -> dict[str, Any]:
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return {"content": [{"type": "text", "text": text} for text in texts], **more}


def fact(path: str = "/w/a b.py", **more: Any) -> dict[str, Any]:
    usual = {"path": path, "line": 3, "column": 5, "severity": "error", "message": "m", "source": None, "code": None}
    return {**usual, **more}


DIAGNOSTICS: list[tuple[Any, list[dict[str, Any]]]] = [
    (result([{"uri": "file:///w/a%20b.py", "diagnostics": [problem()]}]), [fact()]),
    (result([{"uri": "file:///e%3A/x", "diagnostics": [problem()]}]), [fact("E:\\x")]),
    (result([{"uri": "untitled:U-1", "diagnostics": [problem()]}]), [fact("untitled:U-1")]),
    (
        result([{"uri": "vscode-remote://wsl%2Bdebian/x", "diagnostics": [problem()]}]),
        [fact("vscode-remote://wsl%2Bdebian/x")],
    ),
    (
        result([{"uri": "file:///a", "diagnostics": [problem(source="ts", code={"value": 7, "target": "https://x"})]}]),
        [fact("/a", source="ts", code=7)],
    ),
    (
        result([{"uri": "file:///a", "diagnostics": [{"range": [], "severity": 4}, {"severity": "Information"}, "x"]}]),
        [
            fact("/a", line=None, column=None, severity="hint", message=""),
            fact("/a", line=None, column=None, severity="info", message=""),
        ],
    ),
    (  # Neovim: one text for each, which counts from 1
        result(
            {"filePath": "/a", "line": 3, "character": 5, "severity": 2, "message": "m", "source": "lua"},
            {"filePath": "/b", "severity": "odd", "message": "m"},
        ),
        [fact("/a", severity="warning", source="lua"), fact("/b", line=None, column=None)],
    ),
    (result("no JSON", "[" * 100_000, 5, {"uri": "file:///a"}, [5, {"uri": 5}, {"uri": "file:///a"}]), []),
    ({"content": [5, {"text": 5}]}, []),
    ({"content": 5}, []),
    (5, []),
]


@pytest.mark.parametrize(("answer", "problems"), DIAGNOSTICS, ids=lambda value: str(value)[:40])
def test_every_shape_of_diagnostics_is_read(answer: Any, problems: list[dict[str, Any]]) -> None:
    assert read_diagnostics(answer) == problems


BOUNDS = {"start": {"line": 2, "character": 0}, "end": {"line": 3, "character": 7}}
SELECTIONS: list[tuple[Any, dict[str, Any] | None]] = [
    (
        result({"success": True, "text": "x", "filePath": "/a", "selection": BOUNDS}),
        {"path": "/a", "line": 3, "column": 1, "end_line": 4, "end_column": 8, "text": "x"},
    ),
    (
        result({"filePath": "/a", "text": 5, "selection": {"start": {"line": True}, "end": 5}}),
        {"path": "/a", "line": None, "column": None, "end_line": None, "end_column": None, "text": ""},
    ),
    (result({"success": False, "message": "No active editor found"}), None),
    (result([5]), None),
    ({}, None),
]


@pytest.mark.parametrize(("answer", "selection"), SELECTIONS)
def test_every_shape_of_a_selection_is_read(answer: Any, selection: dict[str, Any] | None) -> None:
    assert read_selection(answer) == selection


def editor(path: str, active: bool | None = None, dirty: bool | None = None) -> dict[str, Any]:
    return {"path": path, "active": active, "dirty": dirty}


EDITORS: list[tuple[Any, list[dict[str, Any]]]] = [
    (
        result({"tabs": [{"uri": "file:///a", "fileName": "/a", "label": "a", "isActive": True, "isDirty": False}]}),
        [editor("/a", True, False)],
    ),
    (result({"editors": [{"uri": "file:///b%20c", "name": "b c", "path": "/b c"}]}), [editor("/b c")]),
    (result({"tabs": [{"uri": "file:///b%20c", "isDirty": 1}, {"uri": "git:x"}]}), [editor("/b c"), editor("git:x")]),
    (result({"tabs": [{}, {"uri": ""}, {"fileName": ""}, 5]}, {"tabs": 5}, {"editors": None}, [5], 5), []),
    ({}, []),
]


@pytest.mark.parametrize(("answer", "editors"), EDITORS)
def test_every_shape_of_open_editors_is_read(answer: Any, editors: list[dict[str, Any]]) -> None:
    assert read_editors(answer) == editors


@pytest.mark.parametrize("read", [read_diagnostics, read_editors, read_selection])
def test_an_answer_that_is_an_error_is_told(read: Any) -> None:
    with pytest.raises(Unavailable, match="the IDE could not do it: no such file"):
        read(result("no such file", isError=True))
