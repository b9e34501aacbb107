from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.core.lockfile import Family
from bridge.ides.admission import AdmittedLock, Refused, Verdict, admit, open_directory
from tests.ides.lockfiles import TOKEN, body, companion, ide_directory, write_lock

STRANGER = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return ide_directory(tmp_path)


@pytest.fixture
def handle(directory: Path) -> Iterator[int]:
    opened = open_directory(str(directory))
    assert isinstance(opened, int)
    yield opened
    os.close(opened)


def judge(directory: Path, handle: int) -> Verdict:
    status = os.stat("4001.lock", dir_fd=handle, follow_symlinks=False)
    return admit(str(directory), handle, "4001.lock", status)[1]


def _symlink(lock: Path) -> None:
    lock.rename(lock.with_name("elsewhere"))
    lock.symlink_to("elsewhere")


def _fifo(lock: Path) -> None:
    lock.unlink()
    os.mkfifo(lock, 0o600)


def _hard_link(lock: Path) -> None:
    os.link(lock, lock.with_name("second name"))


def _give_away(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)


def _blow_up(lock: Path) -> None:
    lock.write_bytes(body().ljust(64 * 1024 + 1))


def _truncate(lock: Path) -> None:
    os.truncate(lock, 40)


def _empty(lock: Path) -> None:
    os.truncate(lock, 0)


def _scribble(lock: Path) -> None:
    lock.write_bytes(b"[]")


# (what is done to a good lock file, the reason for refusing it, worth another look)
REFUSED = [
    pytest.param(_symlink, "is a symlink", False, id="a symlink, even to a good file"),
    pytest.param(_fifo, "is not a regular file", False, id="a FIFO"),
    pytest.param(_hard_link, "has 2 names (hard links)", False, id="a hard link"),
    pytest.param(_give_away, "belongs to uid 65534, not to you", False, id="a stranger's", marks=as_root),
    pytest.param(_blow_up, "is larger than 64 KiB", False, id="a huge file"),
    pytest.param(_truncate, "half-written, or not JSON", True, id="half-written"),
    pytest.param(_empty, "half-written, or not JSON", True, id="not written yet"),
    pytest.param(_scribble, "not a JSON object", False, id="another format"),
]


@pytest.mark.parametrize(("spoil", "reason", "incomplete"), REFUSED)
def test_a_file_that_others_may_have_made_is_refused(
    directory: Path, handle: int, spoil: Callable[[Path], None], reason: str, incomplete: bool
) -> None:
    lock = write_lock(directory, 4001)
    spoil(lock)
    assert judge(directory, handle) == Refused(path=str(lock), reason=reason, incomplete=incomplete)


@pytest.mark.parametrize(
    ("mode", "token", "weak"),
    [
        (0o600, TOKEN, ()),
        (0o400, TOKEN, ()),
        (0o644, TOKEN, ("mode 0644",)),
        (0o666, TOKEN, ("mode 0666",)),
        (0o600, None, ("no token",)),
        (0o644, "", ("no token", "mode 0644")),
    ],
)
def test_a_careless_plugin_is_admitted_and_flagged(
    directory: Path, handle: int, mode: int, token: str | None, weak: tuple[str, ...]
) -> None:
    lock = write_lock(directory, 4001, mode=mode, authToken=token)
    os.utime(lock, (0, 1234.5))
    found = judge(directory, handle)
    assert isinstance(found, AdmittedLock)
    assert (found.lock.port, found.path, found.modified, found.weak) == (4001, str(lock), 1234.5, weak)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("swap", "reason"),
    [
        pytest.param(_hard_link, "has 2 names (hard links)", id="another name was added"),
        pytest.param(_blow_up, "is larger than 64 KiB", id="it grew"),
    ],
)
def test_what_counts_is_the_file_that_is_read_not_the_one_that_was_listed(
    directory: Path, handle: int, swap: Callable[[Path], None], reason: str
) -> None:
    lock = write_lock(directory, 4001)
    listed = os.lstat(lock)
    swap(lock)
    status, verdict = admit(str(directory), handle, lock.name, listed)
    assert verdict == Refused(path=str(lock), reason=reason)
    assert (status.st_nlink, status.st_size) == (os.lstat(lock).st_nlink, os.lstat(lock).st_size)


def test_a_link_that_takes_the_place_of_a_listed_file_is_not_followed(directory: Path, handle: int) -> None:
    lock = write_lock(directory, 4001)
    listed = os.lstat(lock)
    _symlink(lock)
    with pytest.raises(OSError, match="symbolic links"):
        admit(str(directory), handle, lock.name, listed)


def test_a_file_that_is_replaced_while_it_is_read_is_worth_another_look(
    directory: Path, handle: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is played: the name goes between the opening and the look at the handle."""
    lock = write_lock(directory, 4001)
    listed, fstat = os.lstat(lock), os.fstat

    def unlink_first(descriptor: int) -> os.stat_result:
        lock.unlink(missing_ok=True)
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", unlink_first)
    _, verdict = admit(str(directory), handle, lock.name, listed)
    assert verdict == Refused(path=str(lock), reason="was replaced while it was read", incomplete=True)


def _as_link(directory: Path) -> None:
    directory.rename(directory.with_name("real"))
    directory.symlink_to("real")


def _as_file(directory: Path) -> None:
    directory.rmdir()
    directory.write_bytes(b"")


def _shared_with_group(directory: Path) -> None:
    directory.chmod(0o770)


def _shared_with_all(directory: Path) -> None:
    directory.chmod(0o1777)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_as_link, "^is a symlink.* make it a directory", id="a symlink"),
        pytest.param(_as_file, "cannot be opened .Not a directory.", id="a file"),
        pytest.param(_give_away, "belongs to uid 65534", id="a stranger's", marks=as_root),
        pytest.param(_shared_with_group, "by others .mode 0770.: run chmod go-w", id="the group may write"),
        pytest.param(_shared_with_all, "by others .mode 1777.: run chmod go-w", id="everybody may write"),
    ],
)
def test_a_directory_that_others_decide_about_is_refused_with_a_way_to_mend_it(
    directory: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(directory)
    refused = open_directory(str(directory))
    assert isinstance(refused, Refused)
    assert refused.path == str(directory)
    assert re.search(reason, refused.reason)


def test_the_directory_above_may_be_a_symlink(tmp_path: Path) -> None:
    """Managers of dotfiles make ``~/.claude`` one."""
    ide_directory(tmp_path / "dotfiles")
    (tmp_path / ".claude").symlink_to("dotfiles")
    handle = open_directory(str(tmp_path / ".claude" / "ide"))
    assert isinstance(handle, int)
    os.close(handle)


def test_a_missing_directory_is_not_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_directory(str(tmp_path / "ide"))


# ---- a directory in one that is everybody's


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """As Gemini's companion makes it in ``/tmp``."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    deep = shared / "gemini" / "ide"
    deep.mkdir(mode=0o700, parents=True)
    deep.parent.chmod(0o755)
    return deep


def test_a_directory_of_ours_in_one_of_ours_in_everybody_s_is_opened(deep: Path) -> None:
    handle = open_directory(str(deep), depth=2)
    assert isinstance(handle, int)
    assert os.path.samestat(os.fstat(handle), os.stat(deep))
    os.close(handle)


@pytest.mark.parametrize("which", [0, 1], ids=["above", "itself"])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_as_link, "^is a symlink", id="a symlink"),
        pytest.param(_give_away, "belongs to uid 65534", id="a stranger's", marks=as_root),
        pytest.param(_shared_with_group, "by others .mode 0770.", id="the group may write"),
        pytest.param(_shared_with_all, "by others .mode 1777.", id="everybody may write"),
    ],
)
def test_of_a_directory_and_the_one_above_neither_may_be_others(
    deep: Path, which: int, spoil: Callable[[Path], None], reason: str
) -> None:
    spoilt = (deep.parent, deep)[which]
    spoil(spoilt)
    refused = open_directory(str(deep), depth=2)
    assert isinstance(refused, Refused)
    assert refused.path == str(spoilt)
    assert re.search(reason, refused.reason)
    stolen = spoil is _give_away and which == 0  # nobody can mend that but by another place
    assert ("TMPDIR" in (refused.fix or "")) is stolen


@pytest.mark.parametrize("which", [0, 1], ids=["above", "itself"])
def test_a_directory_that_is_missing_is_no_refusal_wherever(deep: Path, which: int) -> None:
    gone = (deep.parent, deep)[which]
    gone.rename(gone.with_name("away"))
    with pytest.raises(FileNotFoundError):
        open_directory(str(deep), depth=2)


@as_root
def test_a_stranger_s_lock_file_of_a_companion_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "gemini" / "ide"
    lock = companion(Family.GEMINI, directory, 4001)
    _give_away(lock)
    opened = open_directory(str(directory), depth=2)
    assert isinstance(opened, int)
    _, verdict = admit(str(directory), opened, lock.name, os.lstat(lock), family=Family.GEMINI)
    os.close(opened)
    assert verdict == Refused(path=str(lock), reason="belongs to uid 65534, not to you")
