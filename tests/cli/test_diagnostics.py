"""``bridge diagnostics``: what an IDE knows of a file's problems, as compilers write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Ide, bridge

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartIde = Callable[..., Ide]


def problem(
    message: str = "m", severity: Any = "Error", line: int = 2, character: int = 4, **more: Any
) -> dict[str, Any]:
    at = {"line": line, "character": character}
    return {"message": message, "severity": severity, "range": {"start": at, "end": at}, **more}


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
