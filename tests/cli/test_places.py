"""Paths as they are typed: in WSL those of Windows name files too, as they do for an agent that came from there."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from bridge.cli.places import here
from bridge.errors import BadData
from pathconv import probe
from tests.ides.wslmachine import WslMachine


@pytest.fixture
def wsl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WslMachine:
    machine = WslMachine(tmp_path)
    monkeypatch.setattr(probe, "this_machine", lambda: machine.probe().machine)
    monkeypatch.chdir(tmp_path)
    return machine


def test_a_windows_path_is_the_file_in_wsl(wsl: WslMachine) -> None:
    assert here("c:\\src\\a.py") == f"{wsl.mounts}/c/src/a.py"
    assert here("D:/a b.py") == f"{wsl.mounts}/d/a b.py"
    for share in ("\\\\wsl.localhost\\Ubuntu\\home\\me\\a.py", "//wsl.localhost/Ubuntu/home/me/a.py"):
        assert here(share) == "/home/me/a.py"  # the second is what `bridge path -m` prints


def test_every_other_path_stays_as_it_is(wsl: WslMachine) -> None:
    for path in ("a.py", "/mnt/c/a.py", "C:", "c:a.py", "\\a.py", "//host/a.py", "a:b", "-", "http://x/", ""):
        assert here(path) == path


def test_a_file_that_really_has_such_a_name_counts_where_windows_has_none(wsl: WslMachine, tmp_path: Path) -> None:
    for name in ("C:\\a.py", "Z:\\a.py"):
        (tmp_path / name).touch()
        assert here(name) == name
    (wsl.mounts / "c/a.py").touch()
    assert here("C:\\a.py") == f"{wsl.mounts}/c/a.py"


@pytest.mark.parametrize(
    ("path", "why"),
    [("Z:\\a.py", "not mounted"), ("\\\\wsl.localhost\\Debian\\a.py", "Debian"), ("C:\\a?.py", "C:\\a?.py")],
)
def test_a_windows_path_without_a_name_here_is_refused_with_the_reason(wsl: WslMachine, path: str, why: str) -> None:
    with pytest.raises(BadData, match="has no name in WSL") as caught:
        here(path)
    assert why in caught.value.message
    assert caught.value.hint == f"bridge path --explain {shlex.quote(path)}"


def test_on_another_machine_such_a_path_is_a_name_like_any() -> None:
    assert here("C:\\a.py") == "C:\\a.py"
    assert not os.path.exists(here("C:\\a.py"))
