"""A repository that holds modules under the names of ours, or of Python's own, runs none of its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import Running, bridge

POISON = "import os, pathlib\npathlib.Path(os.environ['HOME'], 'PWNED').touch()\n"
NAMES = ["bridge/__init__.py", "json.py", "sqlite3.py", "webbrowser.py", "starlette.py", "uvicorn.py", "subprocess.py"]


@pytest.mark.usefixtures("started")
def test_nothing_in_the_working_directory_is_imported(
    workspace: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "bridge").mkdir()
    for name in NAMES:
        (workspace / name).write_text(POISON, encoding="utf-8")
    (workspace / "f.txt").write_text("a\n", encoding="utf-8")
    monkeypatch.setenv("BROWSER", "/bin/true")
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # only for `python -m bridge`, which the console script is not
    for words in (("status",), ("doctor",), ("review", "ls")):
        bridge(*words, cwd=workspace)
    diff = Running("diff", "f.txt", "--proposed", "-", "--timeout", "0.1", cwd=workspace, stdin=b"b\n")
    assert diff.end() == 75
    assert not (home / "PWNED").exists()
