"""``bridge path`` in a distribution made of files: what it prints, what it refuses, and why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import main
from pathconv import probe
from pathconv.probe import Machine
from tests.pathconv.tree import RELEASE, WSL2, tree, write

UBUNTU = {"WSL_DISTRO_NAME": "Ubuntu"}


@pytest.fixture
def wsl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = tree(tmp_path / "system", WSL2, UBUNTU)
    monkeypatch.setattr(probe, "this_machine", lambda: machine)
    return machine


def path(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str], list[str]]:
    """Run the command; give the exit code and the lines of stdout and stderr."""
    code = main(["path", *words])
    said = capsys.readouterr()
    return code, said.out.splitlines(), said.err.splitlines()


@pytest.mark.usefixtures("wsl")
@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["C:\\Users"], "/mnt/c/Users"),
        (["-u", "c:/Users"], "/mnt/c/Users"),
        (["//wsl$/ubuntu/etc"], "/etc"),
        (["-w", "/mnt/c/Users"], "C:\\Users"),
        (["-m", "/etc"], "//wsl.localhost/Ubuntu/etc"),
        (["-aw", "/etc"], "\\\\wsl.localhost\\Ubuntu\\etc"),
        (["-wa", "/mnt/c"], "C:\\"),
        (["--uri", "/mnt/c/a b"], "file:///c%3A/a%20b"),
        (["--uri", "C:\\a b"], "file:///c%3A/a%20b"),
        (["--uri", "/etc"], "file://wsl.localhost/Ubuntu/etc"),
        (["--uri", "//wsl.localhost/Ubuntu/etc"], "file://wsl.localhost/Ubuntu/etc"),
        (["-u", "//wsl.localhost/Ubuntu/etc"], "/etc"),
        (["-w", "/a:b"], "\\\\wsl.localhost\\Ubuntu\\a\uf03ab"),
    ],
)
def test_it_answers_like_wslpath(capsys: pytest.CaptureFixture[str], words: list[str], printed: str) -> None:
    assert path(capsys, *words) == (0, [printed], [])


@pytest.mark.usefixtures("wsl")
def test_relative_paths_count_from_the_working_directory(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    share = "\\\\wsl.localhost\\Ubuntu" + str(tmp_path).replace("/", "\\")
    assert path(capsys, "-w", "a/b", ".", "c:x") == (0, [f"{share}\\a\\b", share, f"{share}\\c\uf03ax"], [])
    assert path(capsys, "a\\..\\b") == (0, [f"{tmp_path}/b"], [])


@pytest.mark.usefixtures("wsl")
def test_one_path_without_a_name_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert path(capsys, "E:\\x", "C:\\x", "") == (
        65,
        ["/mnt/c/x"],
        ["error: E: is not mounted here: E:\\x", "error: the path is empty"],
    )


@pytest.mark.usefixtures("wsl")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["/mnt/c"], "a Linux path, whose Windows name -w gives: /mnt/c"),
        (["-w", "C:\\x"], "already a Windows path, whose Linux name -u gives: C:\\x"),
        (["C:x"], "not an absolute path of that kind: C:x"),
        (["--uri", "E:\\x"], "E: is not mounted here: E:\\x"),
        (["-w", ""], "the path is empty"),
    ],
)
def test_it_does_not_guess(capsys: pytest.CaptureFixture[str], words: list[str], reason: str) -> None:
    assert path(capsys, *words) == (65, [], [f"error: {reason}"])


@pytest.mark.usefixtures("wsl")
def test_it_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert path(capsys, "--explain", "-w", "/mnt/c/nul") == (
        0,
        [
            "C:\\nul",
            "    /mnt/c shows C:\\",
            "    an ordinary Windows program cannot open it: a name in it is that of a device",
        ],
        [],
    )
    assert path(capsys, "--explain", "E:\\x") == (
        65,
        [],
        ["error: E: is not mounted here: E:\\x", "    mounted here: C:\\ at /mnt/c"],
    )


@pytest.mark.usefixtures("wsl")
def test_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = path(capsys, "--json", "C:\\x", "E:\\x")
    answers: list[dict[str, Any]] = json.loads("\n".join(out))
    assert (code, err) == (65, [])
    assert answers == [
        {"path": "C:\\x", "result": "/mnt/c/x", "error": None, "reason": None, "why": ["/mnt/c shows C:\\"]},
        {
            "path": "E:\\x",
            "result": None,
            "error": "unmapped",
            "reason": "E: is not mounted here",
            "why": ["mounted here: C:\\ at /mnt/c"],
        },
    ]


@pytest.mark.usefixtures("wsl")
def test_a_terminal_is_not_told_to_do_anything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "\\\\wsl$\\Ubuntu\\a\uf01b[2J"
    assert path(capsys, hostile) == (0, ["/a\x1b[2J"], [])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert path(capsys, hostile) == (0, ["/a\\x1b[2J"], [])


@pytest.mark.usefixtures("wsl")
def test_directions_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = path(capsys, "-u", "-w", "x")
    assert (code, out) == (2, [])
    assert "not allowed with" in err[0]
    assert path(capsys)[0] == 2


@pytest.mark.usefixtures("wsl")
def test_a_working_directory_that_is_gone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert path(capsys, "-w", "/etc")[0] == 0
    assert path(capsys, "-w", "x")[0] == 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({RELEASE: "6.1.0"}, "error: this is linux, not WSL: a file has one name here"),
        (
            {"/.dockerenv": ""},
            "error: this is a container: neither the drives of Windows nor WSL's mounts are known here",
        ),
    ],
)
def test_where_there_is_no_other_side(
    wsl: Machine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    said: str,
) -> None:
    for name, text in files.items():
        write(Path(wsl.root), name, text)
    monkeypatch.setattr(probe, "this_machine", lambda: Machine(root=wsl.root, platform="linux", environ={}))
    assert path(capsys, "C:\\x") == (69, [], [said])
