from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lockfile import Family
from bridge.ides import locks
from bridge.ides.locks import LockScanner, Scan, candidate_directories
from tests.ides.lockfiles import body, companion, ide_directory, later, places, right_then, write_lock


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return ide_directory(tmp_path)


def ports(scan: Scan) -> list[int]:
    return sorted(found.lock.port for found in scan.admitted)


def reasons(scan: Scan) -> dict[str, str]:
    return {Path(refused.path).name: refused.reason for refused in scan.refused}


# (CLAUDE_CONFIG_DIR, the directories of the Claude family that are scanned), below one home
HOME = "{home}/.claude/ide"
DIRECTORIES = [
    (None, [HOME]),
    ("", [HOME]),
    ("{home}/.config/claude", ["{home}/.config/claude/ide", HOME]),
    ("{home}/.claude", [HOME]),
    ("{home}/.claude/", [HOME]),
    ("{home}/x/../.claude", ["{home}/x/../.claude/ide"]),
    ("{home}/linked", ["{home}/linked/ide"]),  # to .claude
    (".claude", [HOME]),  # relative to which terminal?
    ("/nul\0", [HOME]),
    ("/half a pair \ud83d", [HOME]),
]


@pytest.mark.parametrize(("configured", "expected"), DIRECTORIES)
def test_both_directories_are_candidates_once_each(tmp_path: Path, configured: str | None, expected: list[str]) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "linked").symlink_to(".claude")
    environ = {} if configured is None else {"CLAUDE_CONFIG_DIR": configured.format(home=tmp_path)}
    found = [Path(one.path) for one in candidate_directories(environ, tmp_path) if one.family is Family.CLAUDE]
    assert found == [Path(e.format(home=tmp_path)) for e in expected]


def test_a_directory_that_serves_two_families_is_read_for_both(tmp_path: Path) -> None:
    found = candidate_directories({"CLAUDE_CONFIG_DIR": f"{tmp_path}/.qwen", "TMPDIR": "/t"}, tmp_path)
    assert [(one.path, one.family) for one in found] == [
        (f"{tmp_path}/.qwen/ide", Family.CLAUDE),
        (f"{tmp_path}/.claude/ide", Family.CLAUDE),
        (f"{tmp_path}/.qwen/ide", Family.QWEN),
        ("/t/gemini/ide", Family.GEMINI),
    ]


def test_a_linked_ide_directory_does_not_hide_the_real_one(tmp_path: Path) -> None:
    real = ide_directory(tmp_path / ".claude")
    write_lock(real, 4001)
    (tmp_path / "configured").mkdir()
    (tmp_path / "configured" / "ide").symlink_to(real)
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path / "configured")}
    scan = LockScanner().scan(candidate_directories(environ, tmp_path))
    assert ports(scan) == [4001]
    assert [problem.path for problem in scan.problems] == [str(tmp_path / "configured" / "ide")]


def test_a_missing_directory_is_an_empty_one(tmp_path: Path) -> None:
    assert LockScanner().scan(places(tmp_path / "no" / "ide")) == Scan()


@pytest.mark.parametrize(
    "name",
    [
        *("0.lock", "65536.lock", "99999.lock", "123456.lock", "04001.lock", "-1.lock"),
        *("4001.lock~", "4001.lock.tmp", "x4001.lock", "4001.LOCK", ".lock", "notes.txt"),
        "\N{ARABIC-INDIC DIGIT ONE}.lock",
    ],
)
def test_other_names_are_not_looked_at(directory: Path, name: str) -> None:
    (directory / name).write_bytes(body())
    assert LockScanner().scan(places(directory)) == Scan()


def test_the_good_are_admitted_whatever_lies_beside_them(directory: Path) -> None:
    write_lock(directory, 4001)
    write_lock(directory, 65535)
    write_lock(directory, 1)
    os.mkfifo(directory / "4002.lock")
    (directory / "4003.lock").mkdir()
    (directory / "4004.lock").symlink_to("4001.lock")
    (directory / "4005.lock").write_bytes(b"\xff\xfe{}")
    scan = LockScanner().scan(places(directory))
    assert ports(scan) == [1, 4001, 65535]
    assert reasons(scan) == {
        "4002.lock": "is not a regular file",
        "4003.lock": "is not a regular file",
        "4004.lock": "is a symlink",
        "4005.lock": "not UTF-8",
    }
    assert sorted(os.listdir(directory)) == ["1.lock", *(f"400{n}.lock" for n in range(1, 6)), "65535.lock"]


def test_a_distrusted_directory_is_a_problem_and_hides_no_other(tmp_path: Path) -> None:
    loose, good = ide_directory(tmp_path / "a"), ide_directory(tmp_path / "b")
    write_lock(loose, 4001)
    write_lock(good, 4002)
    loose.chmod(0o777)
    scan = LockScanner().scan(places(loose, good))
    assert ports(scan) == [4002]
    assert [problem.path for problem in scan.problems] == [str(loose)]


def test_only_what_changed_is_read_again(directory: Path) -> None:
    for port in range(4000, 4010):
        write_lock(directory, port)
    (directory / "4003.lock").write_bytes(b"nonsense")
    scanner = LockScanner(later)
    first = scanner.scan(places(directory))
    second = scanner.scan(places(directory))
    assert (first.files_read, second.files_read) == (10, 0)
    assert (second.admitted, second.refused) == (first.admitted, first.refused)
    write_lock(directory, 4003)
    (directory / "4004.lock").unlink()
    third = scanner.scan(places(directory))
    assert (ports(third), third.refused, third.files_read) == ([*range(4000, 4004), *range(4005, 4010)], (), 1)


def _rewrite_in_place(lock: Path) -> None:
    before = lock.stat()
    lock.write_bytes(lock.read_bytes().replace(b"4242", b"2424"))
    os.utime(lock, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(lock: Path) -> None:
    before = lock.stat()
    fresh = write_lock(lock.parent, 9, pid=2424)
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.rename(lock)


@pytest.mark.parametrize("change", [_rewrite_in_place, _replace])
def test_a_change_that_keeps_time_and_size_is_seen(directory: Path, change: Callable[[Path], None]) -> None:
    lock = write_lock(directory, 4001)
    scanner = LockScanner(later)
    (before,) = scanner.scan(places(directory)).admitted
    change(lock)
    (after,) = scanner.scan(places(directory)).admitted
    assert (before.lock.pid, after.lock.pid) == (4242, 2424)
    assert after.modified == before.modified


def test_a_looser_mode_is_seen(directory: Path) -> None:
    lock = write_lock(directory, 4001)
    scanner = LockScanner(later)
    assert scanner.scan(places(directory)).admitted[0].weak == ()
    lock.chmod(0o644)
    assert scanner.scan(places(directory)).admitted[0].weak == ("mode 0644",)


def test_a_file_that_changed_a_moment_ago_is_not_remembered(directory: Path) -> None:
    """Within one tick of the file system's clock it may change again and look the same."""
    write_lock(directory, 4001)
    scanner = LockScanner(right_then)
    assert [scanner.scan(places(directory)).files_read for _ in range(2)] == [1, 1]


def _fails(code: int) -> Callable[..., object]:
    def fail(*_: object) -> object:
        raise OSError(code, os.strerror(code))

    return fail


# (what the system says when a file is opened, what the scan then says): races and limits, so the call is replaced
FAILURES = [
    (errno.EMFILE, {"4001.lock": "cannot be read (Too many open files)"}),
    (errno.EACCES, {"4001.lock": "cannot be read (Permission denied)"}),
    (errno.ENOENT, {}),  # its IDE closed while we looked
]


@pytest.mark.parametrize(("code", "expected"), FAILURES)
def test_a_file_that_cannot_be_read_is_tried_again_at_the_next_scan(
    directory: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: dict[str, str]
) -> None:
    write_lock(directory, 4001)
    scanner = LockScanner(later)
    with monkeypatch.context() as patch:
        patch.setattr(locks, "admit", _fails(code))
        failed = scanner.scan(places(directory))
    assert (ports(failed), reasons(failed)) == ([], expected)
    assert ports(scanner.scan(places(directory))) == [4001]


def test_a_directory_that_cannot_be_listed_is_a_problem(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", _fails(errno.EIO))
    (problem,) = LockScanner().scan(places(directory)).problems
    assert (problem.path, problem.reason) == (str(directory), "cannot be listed (Input/output error)")


def test_a_directory_may_go_and_come_back(directory: Path) -> None:
    write_lock(directory, 4001)
    scanner = LockScanner(later)
    assert ports(scanner.scan(places(directory))) == [4001]
    directory.rename(directory.with_name("away"))
    assert scanner.scan(places(directory)) == Scan()
    write_lock(ide_directory(directory.parent), 4002)
    assert ports(scanner.scan(places(directory))) == [4002]


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        pytest.param({}, 0, id="the same IDE, seen twice"),
        pytest.param({"pid": 7}, 1, id="another life of the port"),
        pytest.param({"authToken": "other"}, 1, id="another token"),
    ],
)
@pytest.mark.parametrize("newer_first", [True, False])
def test_a_port_is_admitted_once_and_the_newest_wins(
    tmp_path: Path, other: dict[str, Any], refused: int, newer_first: bool
) -> None:
    old, new = ide_directory(tmp_path / "old"), ide_directory(tmp_path / "new")
    os.utime(write_lock(old, 4001, **other), (100, 100))
    os.utime(write_lock(new, 4001), (200, 200))
    scan = LockScanner().scan(places(new, old) if newer_first else places(old, new))
    assert [found.modified for found in scan.admitted] == [200]
    assert [(r.path, r.reason) for r in scan.refused] == [
        (f"{old}/4001.lock", f"names the same port as {new}/4001.lock, which is newer")
    ] * refused


def test_a_directory_without_end_is_looked_at_in_part(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "ENTRIES_MAX", 3)
    for port in (4001, 4002, 4003):
        write_lock(directory, port)
    assert LockScanner().scan(places(directory)).problems == ()
    write_lock(directory, 4004)
    scan = LockScanner().scan(places(directory))
    assert len(scan.admitted) == 3
    assert [problem.reason for problem in scan.problems] == [
        "holds more than 3 files, the rest is not looked at: remove stale ones"
    ]


def test_only_so_many_directories_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "DIRECTORIES_KEPT", 2)
    a, b, c = (ide_directory(tmp_path / name) for name in "abc")
    for directory in (a, b, c):
        write_lock(directory, 4001)
    scanner = LockScanner(later)
    read = [scanner.scan(places(directory)).files_read for directory in (a, b, a, c, a, b)]
    assert read == [1, 1, 0, 1, 0, 1]


# ---- companions


def test_each_family_s_files_are_found_where_they_are_and_nowhere_else(tmp_path: Path) -> None:
    claude, gemini, qwen = tmp_path / ".claude" / "ide", tmp_path / "tmp" / "gemini" / "ide", tmp_path / ".qwen" / "ide"
    write_lock(ide_directory(claude.parent), 4001)
    legacy = companion(Family.GEMINI, gemini, 4002)
    legacy.rename(gemini / "gemini-ide-server-4242.json")
    companion(Family.GEMINI, gemini, 4002)  # the same window, which says so twice
    companion(Family.QWEN, qwen, 4003)
    for directory, family in ((claude, Family.GEMINI), (gemini, Family.QWEN), (qwen, Family.GEMINI)):
        companion(family, directory, 4009, authToken=7)
    (gemini / "4009.lock").rename(gemini / "notes.lock")
    scan = LockScanner().scan(candidate_directories({"TMPDIR": f"{tmp_path}/tmp"}, tmp_path))
    assert {(found.lock.port, found.lock.family, found.lock.ide_name) for found in scan.admitted} == {
        (4001, Family.CLAUDE, "Visual Studio Code"),
        (4002, Family.GEMINI, "Visual Studio Code (Gemini companion)"),
        (4003, Family.QWEN, "Cursor (Qwen companion)"),
    }
    assert ports(scan) == [4001, 4002, 4003]
    assert (scan.refused, scan.problems) == ((), ())


@pytest.mark.parametrize("family", [Family.GEMINI, Family.QWEN])
def test_a_companion_s_file_is_judged_as_strictly(tmp_path: Path, family: Family) -> None:
    directory = tmp_path / "gemini" / "ide"
    companion(family, directory, 4001).chmod(0o644)
    companion(family, directory, 4002, authToken="two words")
    link = companion(family, directory, 4003)
    link.rename(directory / "elsewhere")
    link.symlink_to("elsewhere")
    companion(family, directory, 4004).write_bytes(b"{")
    scan = LockScanner().scan(places(directory, family=family))
    assert [(found.lock.port, found.weak) for found in scan.admitted] == [(4001, ("mode 0644",))]
    assert sorted(refused.reason for refused in scan.refused) == [
        "authToken: not printable ASCII without spaces",
        "half-written, or not JSON",
        "is a symlink",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_gemini_directory_of_another_user_is_a_problem_and_hides_no_other(tmp_path: Path) -> None:
    write_lock(ide_directory(tmp_path / ".claude"), 4001)
    directory = tmp_path / "gemini" / "ide"
    companion(Family.GEMINI, directory, 4002)
    os.chown(directory.parent, 65534, 65534)
    scan = LockScanner().scan(candidate_directories({"TMPDIR": str(tmp_path)}, tmp_path))
    assert ports(scan) == [4001]
    assert [(problem.path, problem.reason) for problem in scan.problems] == [
        (str(directory.parent), "belongs to uid 65534, not to you: somebody else decides what is in it")
    ]


async def test_a_half_written_file_is_waited_for(directory: Path) -> None:
    lock = directory / "4001.lock"
    lock.write_bytes(body()[:30])
    settling = asyncio.ensure_future(LockScanner(right_then).settle(places(directory)))
    await asyncio.sleep(0)  # the first look is over before the pause begins
    assert not settling.done()
    lock.write_bytes(body())
    scan = await asyncio.wait_for(settling, 5)
    assert (ports(scan), scan.refused, scan.unsettled) == ([4001], (), False)


async def test_a_file_that_stays_half_written_is_given_up(directory: Path) -> None:
    (directory / "4001.lock").write_bytes(b"")
    scan = await asyncio.wait_for(LockScanner(right_then).settle(places(directory)), 5)
    assert reasons(scan) == {"4001.lock": "half-written, or not JSON"}
    assert scan.unsettled


async def test_what_was_left_half_written_long_ago_delays_nobody(directory: Path) -> None:
    lock = directory / "4001.lock"
    lock.write_bytes(b"")
    scanner = LockScanner(later)
    settling = asyncio.ensure_future(scanner.settle(places(directory)))
    await asyncio.sleep(0)
    assert settling.done()
    assert reasons(await settling) == {"4001.lock": "half-written, or not JSON"}
    lock.write_bytes(body())
    assert ports(scanner.scan(places(directory))) == [4001]


async def test_a_thousand_stale_locks_are_read_once(directory: Path) -> None:
    for port in range(10_000, 11_000):
        write_lock(directory, port)
    scanner = LockScanner(later)
    assert len((await scanner.settle(places(directory))).admitted) == 1000
    assert scanner.scan(places(directory)).files_read == 0
