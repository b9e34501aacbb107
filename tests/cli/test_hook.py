"""``bridge hook``: every golden file through the real command, a daemon and an IDE, and what no golden file can say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outsiders import visit
from tests.e2e.support import Home, Ide, Running
from tests.hookcases import Case, cases, shorten


class Stage:
    """A home with a daemon, and an IDE whose folder is `base`; every case has a workspace of its own in it."""

    def __init__(self, home: Home, ide: Ide, base: Path) -> None:
        self.home = home
        self.ide = ide
        self.base = base
        self._count = 0

    def workspace(self) -> Path:
        self._count += 1
        work = self.base / f"w{self._count}"
        work.mkdir()
        return work

    def hook(self, *words: str, work: Path, said: str, **environ: str) -> Running:
        """Run a hook in the environment of an agent with a browser, which opens nothing."""
        browser = {"BROWSER": "true"}
        return Running("hook", *words, cwd=work, stdin=said.encode(), **self.home.environ, **browser, **environ)

    def reviews(self, work: Path) -> list[dict[str, Any]]:
        """Give the reviews of files in a workspace, newest first."""
        with self.home.client(work) as client:
            rows = client.request("review/list", {"all": True})["reviews"]
        return [row for row in rows if row["paths"][0].startswith(f"{work}/")]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    base = tmp_path_factory.mktemp("hooks")
    work = base / "work"
    work.mkdir()
    with ExitStack() as stack:
        home = Home(base / "home")
        stack.callback(home.close)
        ide = Ide(work, lock_dir=home.lock_dir, **home.environ)
        stack.callback(ide.close)
        yield Stage(home, ide, work)


def decide(stage: Stage, case: Case, hook: Running, work: Path) -> None:
    """Do what the human does, once the diff is shown."""
    if case.human is None:
        return
    if case.page:
        hook.err.until(lambda line: line.startswith("opened the review page"))
        assert hook.err.until(lambda line: True).startswith("  http://127.0.0.1:")
    else:
        assert stage.ide.until("diff")["path"].startswith(f"{work}/")
    for name, text in case.meanwhile.items():
        (work / name).write_bytes(text.encode())
    match case.human:
        case "never":
            pass
        case {"edit": text}:
            stage.ide.do(f"edit {json.dumps(text)}")
        case dict(decision):
            [review] = stage.reviews(work)
            with stage.home.client(work) as client:
                visit(client.request("review/link", {"id": review["id"]})["link"], decision)
        case command:
            stage.ide.do(command)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_golden(stage: Stage, case: Case) -> None:
    work = stage.workspace()
    case.write(work)
    hook = stage.hook(case.agent, *case.options, work=work, said=case.in_words(work))
    decide(stage, case, hook, work)
    code, out, err = hook.end(), hook.out.rest(), hook.err.rest()
    states = [review["state"] for review in stage.reviews(work)]
    assert code == 0
    assert [json.loads(shorten(line, work)) for line in out] == ([] if case.stdout is None else [case.stdout])
    assert [shorten(line, work) for line in err] == ([case.stderr] if case.stderr else [])
    assert states == ([case.state] if case.state else [])
    assert (work / "f.txt").exists() == ("f.txt" in case.files or "f.txt" in case.meanwhile)  # the agent writes
