"""Lock files of our own, on a real disk."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from bridge.core.lockfile import LockFile, Transport
from bridge.daemon.ownlocks import hash_of, lock_directory, remove_lock, write_lock
from bridge.errors import Unavailable

TOKEN = "a-token-of-ours"


def write(path: Path, token: str = TOKEN) -> None:
    write_lock(str(path), pid=7, folder="/nothing/is/here", transport=Transport.SSE, token=token)


@pytest.fixture
def directory(home: Path) -> Path:
    return home / ".claude" / "ide"


def test_it_says_what_agents_read_and_only_to_this_user(directory: Path) -> None:
    path = directory / "4711.lock"
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert os.listdir(directory) == ["4711.lock"]  # nothing is left of how it was written
    lock = LockFile.parse(path.name, path.read_bytes())
    assert (lock.port, lock.pid, lock.ide_name, lock.transport) == (4711, 7, "bridge", "sse")
    assert (lock.workspace_folders, lock.auth_token) == (("/nothing/is/here",), TOKEN)


def test_it_takes_the_place_of_a_stale_one_at_once(directory: Path) -> None:
    path = directory / "4711.lock"
    write(path, "old")
    path.chmod(0o644)
    with path.open("rb") as before:
        write(path)
        assert json.loads(before.read())["authToken"] == "old"  # who reads, reads one or the other
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symlink_in_its_place_is_replaced_and_not_followed(directory: Path, home: Path) -> None:
    directory.mkdir(parents=True, mode=0o700)
    victim = home / "victim"
    victim.write_text("mine", encoding="utf-8")
    (directory / "4711.lock").symlink_to(victim)
    write(directory / "4711.lock")
    assert victim.read_text(encoding="utf-8") == "mine"
    assert not (directory / "4711.lock").is_symlink()


def test_where_others_may_write_no_token_is_written(directory: Path, home: Path) -> None:
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    with pytest.raises(Unavailable, match="can be written by others") as caught:
        write(directory / "1.lock")
    assert TOKEN not in str(caught.value)
    directory.chmod(0o700)
    directory.rename(home / "elsewhere")
    directory.symlink_to(home / "elsewhere")
    with pytest.raises(Unavailable, match="is a symlink"):
        write(directory / "1.lock")
    assert not os.listdir(home / "elsewhere")


def test_where_there_can_be_no_directory_that_is_said(home: Path) -> None:
    (home / ".claude").write_text("", encoding="utf-8")
    with pytest.raises(Unavailable, match="cannot write "):
        write(home / ".claude" / "ide" / "1.lock")


def test_only_ours_is_removed(directory: Path) -> None:
    path = directory / "4711.lock"
    write(path, "somebody else's")
    remove_lock(str(path), hash_of(TOKEN))
    assert path.exists()
    for strange in (b"", b"{", b"[]", b'{"authToken": 1}', b"{}", b'{"authToken": null}', b"\xff" * 100, b"[" * 60_000):
        path.write_bytes(strange)
        remove_lock(str(path), hash_of(TOKEN))
        assert path.exists()
    write(path)
    remove_lock(str(path), hash_of(TOKEN))
    assert not path.exists()
    remove_lock(str(path), hash_of(TOKEN))  # gone already


def test_what_is_no_file_is_left_alone(directory: Path) -> None:
    directory.mkdir(parents=True)
    os.mkfifo(directory / "1.lock")
    (directory / "2.lock").mkdir()
    for name in ("1.lock", "2.lock"):
        remove_lock(str(directory / name), hash_of(TOKEN))
        assert (directory / name).exists()


def test_agents_look_first_where_their_variable_says(home: Path) -> None:
    assert lock_directory({}, home) == home / ".claude" / "ide"
    assert lock_directory({"CLAUDE_CONFIG_DIR": "/some/where"}, home) == Path("/some/where/ide")
    assert lock_directory({"CLAUDE_CONFIG_DIR": "relative"}, home) == home / ".claude" / "ide"
    assert lock_directory({"CLAUDE_CONFIG_DIR": ""}, home) == home / ".claude" / "ide"
