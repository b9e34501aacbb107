"""Lock files that lie, are half-written, stale or gone: each is used rightly or ignored with a reason."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.outsiders import STRANGER, chosen, dead_pid, ignored, row, status
from tests.e2e.support import Ide, Running, bridge
from tests.ides.lockfiles import ide_directory, write_lock

StartIde = Callable[..., Ide]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def locks(home: Path) -> Path:
    """The lock directory, before any IDE has made it."""
    return home / ".claude" / "ide"


@pytest.fixture(autouse=True)
def file(workspace: Path) -> Path:
    path = workspace / "f.txt"
    path.write_bytes(b"old\n")
    return path


def used(workspace: Path) -> int | None:
    """Open a file, and give the port of the IDE that it was opened in, if there is one."""
    done = bridge("open", "f.txt", "--json", cwd=workspace)
    port: int | None = json.loads(done.stdout)["port"] if done.returncode == 0 else None
    assert done.returncode in (0, 69)
    return port


# ---- the directory


def test_the_lock_directory_may_come_go_and_come_again(workspace: Path, locks: Path, ide: StartIde) -> None:
    assert (locks.exists(), used(workspace)) == (False, None)
    first = ide()
    assert used(workspace) == first.port
    shutil.rmtree(locks.parent)
    assert (used(workspace), status(workspace)["ides"]) == (None, [])
    second = ide()
    assert used(workspace) == second.port


def test_a_window_whose_companions_announce_it_is_there_for_each(
    workspace: Path, home: Path, ide: StartIde, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that can do the most is used; of several that can as much, the newest."""
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    gemini = ide("--personality", "gemini")
    assert chosen(status(workspace)) == gemini.port
    qwen = ide("--personality", "qwen")
    said = status(workspace)
    assert (chosen(said), row(said, gemini.port)["chosen"]) == (qwen.port, False)
    best = ide()
    said = status(workspace)
    assert (chosen(said), used(workspace), ignored(said)) == (best.port, best.port, {})
    assert "can do more" in row(said, gemini.port)["reason"]


@as_root
def test_a_gemini_directory_of_somebody_else_is_not_looked_into(
    workspace: Path, home: Path, ide: StartIde, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    window = ide("--personality", "gemini")
    theirs = home / "tmp" / "gemini"
    os.chown(theirs, STRANGER, STRANGER)
    said = status(workspace)
    assert (chosen(said), [*ignored(said)]) == (None, ["gemini"])
    assert f"belongs to uid {STRANGER}" in ignored(said)["gemini"]
    assert "let TMPDIR name a directory of your own" in bridge("doctor", cwd=workspace).stdout
    os.chown(theirs, os.getuid(), os.getgid())
    assert chosen(status(workspace)) == window.port


@pytest.mark.parametrize("deleted", [False, True], ids=["missing", "deleted"])
def test_a_review_that_waits_is_offered_to_an_ide_in_a_new_directory(
    deleted: bool, workspace: Path, locks: Path, ide: StartIde, running: Callable[..., Running]
) -> None:
    if deleted:
        ide_directory(locks.parent)
    diff = running("diff", "f.txt", "--proposed", "-", stdin=b"new\n")
    diff.err.until(lambda line: "the review page" in line)
    if deleted:
        shutil.rmtree(locks.parent)
    window = ide()
    window.until("diff")
    window.do("accept")
    assert (diff.out.until(bool), diff.end()) == ("accepted", 0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda locks: locks.chmod(0o777), "can be written by others"),
        (lambda locks: (locks.rename(locks.parent / "moved"), locks.symlink_to("moved")), "is a symlink"),
        pytest.param(lambda locks: os.chown(locks, STRANGER, -1), "belongs to uid", marks=as_root),
    ],
    ids=["open to all", "symlink", "foreign"],
)
def test_a_directory_that_others_may_write_is_not_believed(
    spoil: Callable[[Path], object], reason: str, workspace: Path, locks: Path, ide: StartIde
) -> None:
    ide()
    spoil(locks)
    assert used(workspace) is None
    said = status(workspace)
    assert said["ides"] == []
    assert reason in ignored(said)["ide"]
    assert reason in bridge("status", cwd=workspace).stdout


def test_a_thousand_stale_locks_hide_nobody(workspace: Path, locks: Path, ide: StartIde) -> None:
    gone = dead_pid()
    window = ide()
    for port in range(1, 1001):
        write_lock(locks, port, pid=gone, workspaceFolders=[str(workspace)], authToken=f"stale-{port}")
    said = status(workspace)
    assert (len(said["ides"]), chosen(said)) == (1001, window.port)
    assert {one["state"] for one in said["ides"] if one["port"] != window.port} == {"gone"}
    assert used(workspace) == window.port
    assert len(list(locks.iterdir())) == 1001  # other programs' files are theirs


# ---- single files


def test_a_half_written_lock_counts_once_it_is_whole(workspace: Path, ide: StartIde) -> None:
    window = ide("--fault", "half-lock")
    assert used(workspace) is None
    assert "half-written" in ignored(status(workspace))[window.lock.name]
    window.do("complete-lock")
    window.do("is it done")
    window.until("error")
    assert used(workspace) == window.port
    assert ignored(status(workspace)) == {}


WEAK = [
    (("--no-token",), ["no token"]),
    (("--fault", "loose-lock"), ["mode 0644"]),
    (("--no-token", "--fault", "loose-lock"), ["no token", "mode 0644"]),
]


@pytest.mark.parametrize(("words", "weak"), WEAK, ids=["no token", "loose", "both"])
def test_a_weak_lock_is_used_and_flagged(
    words: tuple[str, ...], weak: list[str], workspace: Path, ide: StartIde
) -> None:
    window = ide(*words)
    assert used(workspace) == window.port
    assert row(status(workspace), window.port)["weak"] == weak
    assert f"weak lock file: {', '.join(weak)}" in bridge("status", cwd=workspace).stdout


def hide_behind_a_symlink(lock: Path) -> None:
    lock.symlink_to(lock.rename(lock.with_suffix(".elsewhere")))


def give_a_second_name(lock: Path) -> None:
    lock.with_suffix(".again").hardlink_to(lock)


def give_away(lock: Path) -> None:
    os.chown(lock, STRANGER, -1)


def fill_with_nonsense(lock: Path) -> None:
    lock.write_bytes(b"{}")


def bloat(lock: Path) -> None:
    lock.write_bytes(lock.read_bytes().ljust(70_000))


SPOILT = [
    (hide_behind_a_symlink, "is a symlink"),
    (give_a_second_name, "has 2 names (hard links)"),
    pytest.param(give_away, f"belongs to uid {STRANGER}, not to you", marks=as_root),
    (fill_with_nonsense, "pid: missing"),
    (bloat, "is larger than 64 KiB"),
]


@pytest.mark.parametrize(("spoil", "reason"), SPOILT)
def test_a_lock_that_somebody_else_may_have_written_is_ignored_with_its_reason(
    spoil: Callable[[Path], None], reason: str, workspace: Path, ide: StartIde
) -> None:
    window = ide()
    spoil(window.lock)
    assert used(workspace) is None
    said = status(workspace)
    assert (said["ides"], ignored(said)) == ([], {window.lock.name: reason})
    assert reason in bridge("status", cwd=workspace).stdout
    assert os.path.lexists(window.lock)  # it is not ours to remove
