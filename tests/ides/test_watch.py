from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from bridge.core.lockfile import Family
from bridge.ides import watch as module
from bridge.ides.watch import silent, watch
from tests.ides.lockfiles import companion, ide_directory, write_lock

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP_MS", 100)


class Watching:
    """A watcher that runs, and what it said."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.warnings: list[str] = []

    async def tells(self) -> None:
        """Wait until a change is told."""
        await asyncio.wait_for(self.told.wait(), PATIENCE_S)
        self.told.clear()


@asynccontextmanager
async def watching(*directories: Path, polling: bool = False) -> AsyncIterator[Watching]:
    seen = Watching()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch(lambda: directories, seen.told.set, polling=polling, warn=seen.warnings.append))
        await seen.tells()  # that it begins
        yield seen
        task.cancel()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return ide_directory(tmp_path / ".claude")


async def test_a_lock_file_that_comes_changes_or_goes_is_told(directory: Path) -> None:
    async with watching(directory) as seen:
        lock = write_lock(directory, 4001)
        await seen.tells()
        write_lock(directory, 4001, pid=7)
        await seen.tells()
        write_lock(directory.parent, 4002).rename(lock)
        await seen.tells()
        lock.unlink()
        await seen.tells()


async def test_a_change_is_told_within_about_a_second(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    loop = asyncio.get_running_loop()
    took = []
    async with watching(directory) as seen:
        for port in (4001, 4002, 4003):
            before = loop.time()
            write_lock(directory, port)
            await seen.tells()
            took.append(loop.time() - before)
    assert min(took) < 2  # a busy machine may hold one of them up


async def test_a_directory_that_is_replaced_between_two_looks_is_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor often has the same inode, so nothing but the event tells them apart."""
    monkeypatch.setattr(module, "STEP_MS", 500)
    async with watching(directory) as seen:
        shutil.rmtree(directory.parent)
        ide_directory(directory.parent)
        await seen.tells()
        write_lock(directory, 4001)
        await seen.tells()


async def test_a_directory_that_comes_goes_and_comes_back_is_told(tmp_path: Path) -> None:
    directory = tmp_path / ".claude" / "ide"
    async with watching(directory) as seen:
        for _ in range(2):
            ide_directory(directory.parent)
            await seen.tells()
            write_lock(directory, 4001)
            await seen.tells()
            shutil.rmtree(directory.parent)
            await seen.tells()


async def test_a_file_in_the_place_of_the_directory_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "ide").touch()
    async with watching(tmp_path / "ide") as seen:
        (tmp_path / "ide").unlink()
        write_lock(ide_directory(tmp_path), 4001)
        await seen.tells()


async def test_a_directory_that_is_moved_away_and_replaced_is_told(directory: Path) -> None:
    async with watching(directory) as seen:
        directory.rename(directory.with_name("away"))
        ide_directory(directory.parent)
        await seen.tells()
        write_lock(directory, 4001)
        await seen.tells()


async def test_a_change_that_no_event_tells_is_noticed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A symlink above the directory is pointed elsewhere: nothing happens in what is watched."""
    monkeypatch.setattr(module, "RECHECK_MS", 500)
    ide_directory(tmp_path / "one")
    second = ide_directory(tmp_path / "two")
    (tmp_path / ".claude").symlink_to("one")
    async with watching(tmp_path / ".claude" / "ide") as seen:
        (tmp_path / "fresh").symlink_to("two")
        (tmp_path / "fresh").rename(tmp_path / ".claude")
        await seen.tells()
        write_lock(second, 4001)
        await seen.tells()


async def test_several_directories_are_watched_and_nothing_beside_them(tmp_path: Path) -> None:
    first, missing = ide_directory(tmp_path / "one"), tmp_path / "two" / "ide"
    async with watching(first, missing) as seen:
        (tmp_path / "notes.txt").touch()  # in the directory where `missing` is waited for
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(seen.told.wait(), 3 * module.STEP_MS / 1000)
        write_lock(first, 4001)
        await seen.tells()
        ide_directory(missing.parent)
        await seen.tells()


async def test_where_the_kernel_tells_nothing_we_look(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_MS", 100)
    others = _inotify_handles()
    async with watching(directory, polling=True) as seen:
        await _no_inotify_handles_but(others)
        write_lock(directory, 4001)
        await seen.tells()


def _inotify_handles() -> set[str]:
    """Find this process's own, those of threads of earlier tests that are just ending among them."""
    if sys.platform != "linux":
        return set()
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # closed by now
            if "inotify" in os.readlink(f"/proc/self/fd/{name}"):
                found.add(name)
    return found


async def _no_inotify_handles_but(others: set[str]) -> None:
    """Wait until they are gone: the notifier's own thread closes what it had."""
    async with asyncio.timeout(PATIENCE_S):
        while not _inotify_handles() <= others:
            await asyncio.sleep(0.01)


async def test_cancelling_ends_at_once_and_leaves_nothing_behind(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP_MS", 2000)
    loop = asyncio.get_running_loop()
    others = _inotify_handles()
    async with watching(directory):
        before = loop.time()
    assert loop.time() - before < 1
    await _no_inotify_handles_but(others)


# The limit is used up for another user, not for us; modules are imported while they can still be read.
_AT_THE_LIMIT = """
import asyncio, ctypes, os
import anyio._backends._asyncio
from pathlib import Path
from bridge.ides.watch import silent, watch

async def main():
    warned = asyncio.Event()
    warn = lambda words: (print(words), warned.set())
    watcher = asyncio.ensure_future(watch(lambda: [Path("/no/such/ide")], lambda: None, warn=warn))
    await asyncio.wait_for(warned.wait(), 10)
    await asyncio.sleep(0)
    print("still running:", not watcher.done())
    watcher.cancel()

os.setuid(65534)
libc = ctypes.CDLL(None)
while libc.inotify_init() >= 0:
    pass
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user whose limit may be used up")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_when_the_limit_of_watches_is_reached_we_look_instead_and_say_so() -> None:
    command = [sys.executable, "-c", _AT_THE_LIMIT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=Path(module.__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
    warning, running = done.stdout.splitlines()
    assert warning.startswith("cannot watch /: ")
    assert warning.endswith("(os error 24); looking every 2 s instead")
    assert running == "still running: True"


async def test_when_not_even_looking_works_the_watcher_says_so_and_gives_up(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing real makes polling fail for sure, so what watches is replaced."""
    monkeypatch.setattr(module, "awatch", _broken)
    warnings: list[str] = []
    await asyncio.wait_for(watch(lambda: [directory], lambda: None, warn=warnings.append), PATIENCE_S)
    assert warnings == [
        f"cannot watch {directory}: broken; looking every 2 s instead",
        f"cannot watch {directory}: broken; changes are noticed at the next request",
    ]


async def _broken(*_: str, **__: object) -> AsyncIterator[set[tuple[object, str]]]:
    raise RuntimeError("broken")
    yield set()


async def test_a_directory_that_vanishes_before_it_is_watched_is_looked_for_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is played: at the first look the directory seems to exist."""
    gone = directory / "gone"
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    answers = iter([{str(gone): (0, 0)}])
    arm = module._arm
    monkeypatch.setattr(module, "_arm", lambda wanted: next(answers, None) or arm(wanted))
    async with watching(directory) as seen:
        await seen.tells()
        write_lock(directory, 4001)
        await seen.tells()


async def test_where_there_is_nothing_to_watch_yet_one_waits_for_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the Windows profile, which is found later."""
    monkeypatch.setattr(module, "RECHECK_MS", 50)
    wanted: list[Path] = []
    told = asyncio.Event()
    task = asyncio.ensure_future(watch(lambda: wanted, told.set))
    await asyncio.sleep(0)
    assert not told.is_set()
    wanted.append(directory)
    await asyncio.wait_for(told.wait(), PATIENCE_S)
    task.cancel()


def test_what_lies_on_a_silent_file_system_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine of ours has a 9p mount. What does not exist yet is as silent as the directory above it."""
    drive, other = tmp_path / "c", tmp_path / "d"
    drive.mkdir()
    (tmp_path / "link").symlink_to(drive)
    assert module._mounts()[Path("/")]
    monkeypatch.setattr(module, "_mounts", lambda: {Path("/"): "ext4", drive: "9p"})
    mute = {drive, drive / "a" / "b", tmp_path / "link"}
    assert silent([*mute, other / "e", tmp_path]) == mute


async def test_what_happens_in_everybody_s_directory_wakes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock directory that is made in it is noticed when the watcher looks anew."""
    monkeypatch.setattr(module, "RECHECK_MS", 100)
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    directory = shared / "gemini" / "ide"
    usual = ide_directory(tmp_path / ".claude")
    assert [*module._arm([usual, directory])] == [str(usual)]
    async with watching(usual, directory) as seen:
        companion(Family.GEMINI, directory, 4001)
        await seen.tells()
        companion(Family.GEMINI, directory, 4002)
        await seen.tells()
