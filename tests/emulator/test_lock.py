from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ide_plugins.emulator import LockFile, default_lock_dir
from ide_plugins.emulator.lock import GeminiFile, QwenFile


def lock(directory: Path, kind: type[LockFile] = LockFile, **changes: Any) -> LockFile:
    fields: dict[str, Any] = {
        "directory": directory,
        "port": 31439,
        "pid": 30510,
        "ide_name": "code-server",
        "workspace_folders": ("/path/ws",),
        "auth_token": "secret",
    }
    return kind(**{**fields, **changes})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/home/me/.claude/ide"),
        ({"CLAUDE_CONFIG_DIR": ""}, "/home/me/.claude/ide"),
        ({"CLAUDE_CONFIG_DIR": "/elsewhere"}, "/elsewhere/ide"),
    ],
)
def test_agents_look_below_the_config_directory(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert default_lock_dir(environ) == LockFile.usual_directory(environ) == Path(expected)


@pytest.mark.parametrize(
    ("environ", "gemini"),
    [({}, "/tmp/gemini/ide"), ({"TMPDIR": "/elsewhere"}, "/elsewhere/gemini/ide")],
)
def test_the_companions_have_directories_of_their_own(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], gemini: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert GeminiFile.usual_directory(environ) == Path(gemini)
    assert QwenFile.usual_directory(environ) == Path("/home/me/.qwen/ide")


@pytest.mark.parametrize(("in_windows", "folders"), [(False, "/a:/b"), (True, "/a;/b")])
def test_the_companions_folders_are_one_string(tmp_path: Path, in_windows: bool, folders: str) -> None:
    file = lock(tmp_path, QwenFile, workspace_folders=("/a", "/b"), in_windows=in_windows)
    assert json.loads(file.text)["workspacePath"] == folders


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            '{"pid":30510,"workspaceFolders":["/path/ws"],"ideName":"code-server","transport":"ws",'
            '"authToken":"secret"}',
        ),
        (
            {"auth_token": None, "workspace_folders": ("/é", "/b\udcff")},
            '{"pid":30510,"workspaceFolders":["/\\u00e9","/b\\udcff"],"ideName":"code-server","transport":"ws"}',
        ),
    ],
    ids=["as observed", "weak, and paths that are not ASCII or not UTF-8"],
)
def test_the_file_is_one_line(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    file = lock(tmp_path, **changes)
    file.write()
    assert (tmp_path / "31439.lock").read_text(encoding="ascii") == text


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "ide"
    lock(directory).write()
    assert (mode(directory), mode(directory / "31439.lock")) == (0o700, 0o600)


def test_a_directory_that_is_too_open_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    lock(tmp_path).write()
    assert mode(tmp_path) == 0o700


def test_a_reader_has_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    lock(tmp_path, ide_name="old").write()
    with open(lock(tmp_path).path, encoding="ascii") as reader:
        lock(tmp_path, ide_name="new").write()
        assert json.load(reader)["ideName"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["31439.lock"]
    assert json.loads(lock(tmp_path).path.read_bytes())["ideName"] == "new"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    lock(tmp_path).path.mkdir()
    with pytest.raises(OSError, match=r"31439\.lock"):
        lock(tmp_path).write()
    assert [path.name for path in tmp_path.iterdir()] == ["31439.lock"]


def test_a_loose_file_is_open_to_all_and_written_in_place(tmp_path: Path) -> None:
    file = lock(tmp_path / "ide")
    file.write_loosely()
    before = file.path.stat().st_ino
    file.write_loosely()
    assert mode(file.path) == 0o644
    assert file.path.stat().st_ino == before
    assert file.path.read_text(encoding="ascii") == file.text


def test_half_a_file_is_completed_in_place(tmp_path: Path) -> None:
    file = lock(tmp_path)
    file.write_half()
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(file.path.read_bytes())
    before = file.path.stat().st_ino
    file.complete()
    assert (file.path.read_text(encoding="ascii"), file.path.stat().st_ino) == (file.text, before)
    assert mode(file.path) == 0o600


@pytest.mark.parametrize("write", [LockFile.write, LockFile.write_loosely, LockFile.write_half])
def test_removing_twice_is_no_error(tmp_path: Path, write: Callable[[LockFile], None]) -> None:
    file = lock(tmp_path)
    write(file)
    file.remove()
    file.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_token_is_not_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(lock(tmp_path))
