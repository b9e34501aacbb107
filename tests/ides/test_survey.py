from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lockfile import Family
from bridge.core.reach import HERE
from bridge.core.selection import Candidate, Listener, Pid, Place, select
from bridge.core.terminal import Terminal
from bridge.ides.dialing import Dialer
from bridge.ides.locks import LockScanner, candidate_directories
from bridge.ides.surroundings import Surroundings
from bridge.ides.survey import Sighting, Survey
from pathconv.probe import Probe
from tests.ides.listeners import connected, listening, port_of, stranger_listening
from tests.ides.lockfiles import companion, ide_directory, later, places, right_then, write_lock

ME = os.getpid()


@pytest.fixture
def home(home: Path) -> Path:
    return Path(os.path.realpath(home))


@pytest.fixture
def directory(home: Path) -> Path:
    return ide_directory(home / ".claude")


def survey_of(home: Path, dialer: Dialer | None = None, scanner: LockScanner | None = None) -> Survey:
    return Survey(str(home), Surroundings(Probe()), dialer or Dialer(), scanner=scanner)


async def look_at_one(home: Path, dialer: Dialer | None = None, **facts: Any) -> Candidate:
    (candidate,) = (await survey_of(home, dialer).look(places(home / ".claude" / "ide"), **facts)).candidates
    return candidate


async def test_an_ide_that_lives(home: Path, directory: Path) -> None:
    project = home / "src" / "app"
    (project / ".git").mkdir(parents=True)
    (home / "linked").symlink_to("src/app")
    with listening() as listener:
        lock = write_lock(directory, port_of(listener), pid=ME, workspaceFolders=[f"{home}/linked/"])
        candidate = await look_at_one(home)
    assert candidate == Candidate(
        lock=candidate.lock,
        folders=(str(project),),
        repositories=frozenset([f"{project}/.git"]),
        modified=lock.stat().st_mtime,
        pid=Pid.ALIVE,
        listener=Listener.OURS,
    )


async def test_a_stale_lock_is_described_without_a_look_at_its_folders(home: Path, directory: Path) -> None:
    (home / "app" / ".git").mkdir(parents=True)
    (home / "linked").symlink_to("app")
    with listening() as listener:
        port = port_of(listener)
    write_lock(directory, port, pid=2**31 - 1, workspaceFolders=[f"{home}/linked"], authToken=None)
    candidate = await look_at_one(home)
    assert (candidate.pid, candidate.listener) == (Pid.DEAD, Listener.NONE)
    assert (candidate.folders, candidate.repositories) == ((f"{home}/linked",), frozenset())
    assert candidate.weak == ("no token",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
async def test_another_user_on_a_dead_ide_s_port_is_told(home: Path, directory: Path) -> None:
    with stranger_listening() as port:
        write_lock(directory, port, pid=2**31 - 1)
        candidate = await look_at_one(home)
    assert (candidate.pid, candidate.listener) == (Pid.DEAD, Listener.FOREIGN)


async def test_a_reused_pid_is_nobody_s_ancestor(home: Path, directory: Path) -> None:
    with listening() as listener:
        lock = write_lock(directory, port_of(listener), pid=ME)
        assert (await look_at_one(home, terminal_pid=ME)).ancestor
        assert not (await look_at_one(home)).ancestor
        os.utime(lock, (1, 1))
        candidate = await look_at_one(home, terminal_pid=ME)
    assert (candidate.pid, candidate.ancestor) == (Pid.REUSED, False)


async def test_where_there_is_no_windows_nobody_is_looked_for_there(home: Path, directory: Path) -> None:
    with listening() as listener:
        port = port_of(listener)
    folders = ["C:\\src\\app", "c:/src"]
    write_lock(directory, port, pid=ME, runningInWindows=True, workspaceFolders=folders)
    candidate = await look_at_one(home, terminal_pid=ME)
    assert (candidate.pid, candidate.listener) == (Pid.UNKNOWN, Listener.NONE)
    assert (candidate.folders, candidate.ancestor) == (tuple(folders), False)


async def test_a_folder_that_does_not_exist_stays_as_it_is(home: Path, directory: Path) -> None:
    with listening() as listener:
        write_lock(directory, port_of(listener), workspaceFolders=[f"{home}/gone/..", "relative"])
        candidate = await look_at_one(home)
    assert candidate.folders == (f"{home}/gone/..", "relative")
    assert candidate.repositories == frozenset()


async def test_only_a_client_that_is_not_ours_occupies(home: Path, directory: Path) -> None:
    dialer = Dialer()
    with listening() as listener:
        write_lock(directory, port_of(listener))
        with (await dialer.connect(port_of(listener), HERE)).endpoint:
            assert (await look_at_one(home)).occupied
            assert not (await look_at_one(home, dialer)).occupied
            with connected(listener):
                assert (await look_at_one(home, dialer)).occupied


async def test_a_repository_at_home_joins_no_folders(home: Path, directory: Path) -> None:
    for git in (home / ".git", home / "app" / ".git"):
        git.mkdir(parents=True)
    folders = [str(home), f"{home}/notes", f"{home}/app"]
    with listening() as listener:
        write_lock(directory, port_of(listener), workspaceFolders=folders)
        candidate = await look_at_one(home)
    assert candidate.repositories == {f"{home}/app/.git"}


async def test_whatever_is_not_believed_is_listed_with_its_reason(home: Path, directory: Path) -> None:
    (directory / "4001.lock").symlink_to("/etc/passwd")
    loose = ide_directory(home / "configured")
    loose.chmod(0o777)
    sighting = await survey_of(home).look(places(loose, directory))
    assert [refused.path for refused in sighting.refused] == [f"{directory}/4001.lock", str(loose)]


async def test_a_lock_file_that_is_being_written_is_waited_for(home: Path, directory: Path) -> None:
    (directory / "4001.lock").touch()
    sighting = await survey_of(home, scanner=LockScanner(right_then)).look(places(directory))
    assert [refused.reason for refused in sighting.refused] == ["half-written, or not JSON"]


async def test_no_ide_is_no_error(home: Path) -> None:
    assert await survey_of(home).look(places(home / "no" / "ide"), terminal_pid=2**31 - 1) == Sighting()


async def test_a_thousand_stale_locks_are_bounded_work(home: Path, directory: Path) -> None:
    """The figures are the benchmark's; this only notices a mistake of an order of magnitude."""
    for port in range(10_000, 11_000):
        write_lock(directory, port, pid=2**31 - 1)
    survey = survey_of(home, scanner=LockScanner(later))
    await survey.look(places(directory))
    before = time.process_time()
    sighting = await survey.look(places(directory))
    assert time.process_time() - before < 0.5
    assert len(sighting.candidates) == 1000


async def test_a_window_with_three_plugins_is_there_three_times_and_the_claude_family_is_preferred(
    home: Path, directory: Path
) -> None:
    with listening() as first, listening() as second, listening() as third:
        write_lock(directory, port_of(first), pid=ME, workspaceFolders=[str(home)])
        said: dict[str, Any] = {"pid": ME, "workspacePath": str(home)}
        companion(Family.GEMINI, home / "gemini" / "ide", port_of(second), **said)
        companion(Family.QWEN, home / ".qwen" / "ide", port_of(third), **said)
        directories = candidate_directories({"TMPDIR": str(home)}, home)
        seen = (await survey_of(home).look(directories, terminal_pid=ME)).candidates
    assert {(one.lock.family, one.folders, one.pid, one.listener, one.ancestor) for one in seen} == {
        (family, (str(home),), Pid.ALIVE, Listener.OURS, True) for family in (Family.CLAUDE, Family.GEMINI, Family.QWEN)
    }
    chosen = select(seen, Place(directory=str(home)), Terminal()).chosen
    assert chosen is not None
    assert chosen.lock.family is Family.CLAUDE
