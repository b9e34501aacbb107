"""``bridge diagnostics``: what an IDE knows of a file's problems, as compilers write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.diagnostics import read
from bridge.errors import Unavailable
from tests.e2e.support import Ide, bridge

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartIde = Callable[..., Ide]


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


ANSWERS: list[tuple[Any, list[dict[str, Any]]]] = [
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


@pytest.mark.parametrize(("answer", "problems"), ANSWERS, ids=lambda value: str(value)[:40])
def test_every_shape_of_an_answer_is_read(answer: Any, problems: list[dict[str, Any]]) -> None:
    assert read(answer) == problems


def test_an_answer_that_is_an_error_is_told() -> None:
    with pytest.raises(Unavailable, match="the IDE could not do it: no such file"):
        read(result("no such file", isError=True))


def tell(window: Ide, path: str, *problems: dict[str, Any]) -> None:
    window.do("diagnose " + json.dumps({"path": path, "problems": problems}))


def test_problems_are_printed_one_a_line(file: Path, ide: StartIde) -> None:
    window = ide()
    tell(window, "f.txt", problem("bad\n\x1b[2J", source="lint", code="E1"), problem("odd", "Warning", 0, 0))
    tell(window, str(file.parent.parent / "elsewhere.py"), problem("far", "Hint"))
    here = ["f.txt:3:5: error: bad\\x0a\\x1b[2J [lint E1]", "f.txt:1:1: warning: odd"]
    done = bridge("diagnostics", "f.txt", cwd=file.parent)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, here, "")
    done = bridge("diagnostics", cwd=file.parent)
    assert done.stdout.splitlines() == [*here, f"{file.parent.parent}/elsewhere.py:3:5: hint: far"]
    done = bridge("diagnostics", str(file), "--json", "--ide", "visual", cwd=file.parent)
    first, second = json.loads(done.stdout)["diagnostics"]
    assert (first["path"], first["line"], second["severity"]) == (str(file), 3, "warning")


def test_nothing_to_say_is_no_failure(file: Path, ide: StartIde) -> None:
    ide()
    done = bridge("diagnostics", "f.txt", cwd=file.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "the IDE knows of no problem\n")
    assert json.loads(bridge("diagnostics", "f.txt", "--json", cwd=file.parent).stdout) == {"diagnostics": []}


def test_who_cannot_be_asked_is_a_failure(file: Path) -> None:
    done = bridge("diagnostics", "missing.py", cwd=file.parent)
    assert (done.returncode, done.stderr) == (65, "error: there is no file missing.py\n\nhint: check the path\n")
    assert bridge("diagnostics", "f.txt", cwd=file.parent).returncode == 69
