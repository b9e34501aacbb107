"""``bridge selection``: what the human has selected, for a person or a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import selection
from bridge.errors import Unavailable
from tests.e2e.support import Ide, bridge

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartIde = Callable[..., Ide]


def result(value: Any, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": json.dumps(value)}], **more}


class FakeClient:
    """Gives these answers in turn, or fails."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def call_tool(self, tool: str, *, ide: str | None) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return answer


NO, YES = result({"success": False}), result({"filePath": "/a"})
ABSENT, GONE = Unavailable("no such tool"), Unavailable("gone")


@pytest.mark.parametrize(
    ("answers", "path"),
    [((YES,), "/a"), ((NO, YES), "/a"), ((ABSENT, YES), "/a"), ((NO, ABSENT), None), ((NO, NO), None)],
)
def test_the_latest_selection_stands_in_for_the_current_one(answers: tuple[Any, ...], path: str | None) -> None:
    found = selection._ask(FakeClient(*answers), None)  # type: ignore[arg-type]
    assert (found and found["path"]) == path


def test_when_neither_can_be_asked_for_the_first_trouble_is_told() -> None:
    with pytest.raises(Unavailable, match="no such tool"):
        selection._ask(FakeClient(ABSENT, GONE), None)  # type: ignore[arg-type]


def test_a_selection_is_printed_for_people_and_for_programs(file: Path, ide: StartIde) -> None:
    file.write_bytes(b"one\ntwo \x1b[2J\n")
    window = ide()
    assert bridge("open", "f.txt:2", cwd=file.parent).returncode == 0
    window.until("call", tool="openFile")
    done = bridge("selection", cwd=file.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "f.txt:2:1\ntwo \\x1b[2J\n", "")
    told = json.loads(bridge("selection", "--json", "--ide", str(window.port), cwd=file.parent).stdout)
    assert told["selection"]["path"] == str(file)
    assert (told["selection"]["line"], told["selection"]["text"]) == (2, "two \x1b[2J")


def test_nothing_selected_is_no_failure(file: Path, ide: StartIde) -> None:
    ide()
    done = bridge("selection", cwd=file.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "the IDE has no editor open\n")
    assert json.loads(bridge("selection", "--json", cwd=file.parent).stdout) == {"selection": None}


def test_without_an_ide_there_is_nobody_to_ask(file: Path) -> None:
    done = bridge("selection", cwd=file.parent)
    assert (done.returncode, "no IDE" in done.stderr) == (69, True)
