"""IDEs of the other side as the survey sees them: their folders here, their ports by a connection that says nothing.

The gateway is an address of loopback, so that "Windows" can listen; who may be told a token is dialling's business.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.core.reach import HERE, Mode
from bridge.core.selection import Candidate, Listener, Pid
from bridge.ides import survey as module
from bridge.ides.dialing import Dialer
from bridge.ides.surroundings import Surroundings
from bridge.ides.survey import HIDDEN_S, Sighting, Survey
from tests.ides.listeners import listening, port_of, stranger_listening
from tests.ides.lockfiles import ide_directory, places, write_lock
from tests.ides.wslmachine import WslMachine

HOST = "127.0.0.5"


@pytest.fixture
def wsl(tmp_path: Path) -> WslMachine:
    """A WSL machine behind NAT, whose Windows is at `HOST`."""
    machine = WslMachine(tmp_path)
    machine.system.install_wsl_programs("nat")
    machine.system.write("/etc/wsl.conf", "[interop]\nenabled=false\n")
    machine.system.write(
        "/proc/net/route", "Iface\tDestination\tGateway \neth0\t00000000\t0500007F\t0003\t0\t0\t0\t0\n"
    )
    return machine


@pytest.fixture
def locks(wsl: WslMachine) -> Path:
    return wsl.profile() / ".claude" / "ide"


@contextmanager
def windows_listens() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as listener:
        yield port_of(listener)


def dead_port() -> int:
    with windows_listens() as port:
        return port


def survey_of(wsl: WslMachine, dialer: Dialer, **options: Any) -> Survey:
    return Survey(os.environ["HOME"], Surroundings(wsl.probe()), dialer, **options)


async def look(wsl: WslMachine, *directories: Path, **facts: Any) -> Sighting:
    return await survey_of(wsl, Dialer()).look(places(*directories), **facts)


async def look_at_one(wsl: WslMachine, *directories: Path, **facts: Any) -> Candidate:
    (candidate,) = (await look(wsl, *directories, **facts)).candidates
    return candidate


FOLDERS = ["c:\\src\\App", "/mnt/c/src", "//wsl$/Ubuntu/home", "Z:\\gone"]


async def test_an_ide_in_windows_that_takes_connections(wsl: WslMachine, locks: Path) -> None:
    (wsl.mounts / "c/src/App/.git").mkdir(parents=True)
    with windows_listens() as port:
        write_lock(locks, port, runningInWindows=True, pid=os.getpid(), workspaceFolders=FOLDERS, mode=0o777)
        candidate = await look_at_one(wsl, terminal_pid=os.getpid())
    drive = f"{wsl.mounts}/c"
    assert (candidate.listener, candidate.silence, candidate.foreign) == (Listener.OURS, None, None)
    assert candidate.folders == (f"{drive}/src/App", f"{drive}/src", "/home", "Z:\\gone")
    assert candidate.repositories == {f"{drive}/src/App/.git"}
    assert (candidate.pid, candidate.ancestor, candidate.occupied) == (Pid.UNKNOWN, False, False)
    assert candidate.weak == ()  # modes mean nothing there
    assert [way.host for way in candidate.route.ways] == [HOST, "127.0.0.1"]
    assert candidate.route.mapper is not None


async def test_one_that_does_not_is_never_called_dead(wsl: WslMachine, locks: Path) -> None:
    lock = write_lock(locks, dead_port(), runningInWindows=True, pid=2**31 - 1)
    candidate = await look_at_one(wsl)
    assert (candidate.listener, candidate.pid) == (Listener.UNREACHABLE, Pid.UNKNOWN)
    assert candidate.silence is not None
    assert "own loopback only" in candidate.silence.reason
    assert lock.exists()


async def test_with_interop_it_may_be_hidden(wsl: WslMachine, locks: Path) -> None:
    wsl.system.write("/etc/wsl.conf", "")
    write_lock(locks, dead_port(), runningInWindows=True)
    candidate = await look_at_one(wsl)
    assert (candidate.listener, candidate.route.relay) == (Listener.HIDDEN, True)


async def test_the_folders_of_a_hidden_one_are_not_resolved_at_every_look(wsl: WslMachine, locks: Path) -> None:
    """Its lock may be a leftover, its drive is slow, and the next look is a second away."""
    now = 100.0
    drive = wsl.mounts / "c"
    for name in ("old", "new"):
        (drive / name / ".git").mkdir(parents=True)
    (drive / "src").symlink_to("old")
    wsl.system.write("/etc/wsl.conf", "")
    survey = survey_of(wsl, Dialer(), clock=lambda: now)

    async def folders() -> tuple[str, ...]:
        (candidate,) = (await survey.look([])).candidates
        assert candidate.listener is Listener.HIDDEN
        assert candidate.repositories == {f"{folder}/.git" for folder in candidate.folders}
        return candidate.folders

    write_lock(locks, port := dead_port(), runningInWindows=True, workspaceFolders=["C:\\src"])
    assert await folders() == (f"{drive}/old",)
    (drive / "src").unlink()
    (drive / "src").symlink_to("new")
    assert await folders() == (f"{drive}/old",)
    now += HIDDEN_S
    assert await folders() == (f"{drive}/new",)
    write_lock(locks, port, runningInWindows=True, workspaceFolders=["C:\\old"])
    assert await folders() == (f"{drive}/old",)


async def test_what_is_remembered_of_hidden_ones_is_bounded(
    wsl: WslMachine, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HIDDEN_MOST", 2)
    wsl.system.write("/etc/wsl.conf", "")
    survey = survey_of(wsl, Dialer())
    for _ in range(3):
        write_lock(locks, dead_port(), runningInWindows=True)
    assert len((await survey.look([])).candidates) == 3
    assert len(survey._hidden) == 2


async def test_one_that_we_are_connected_to_needs_no_look(wsl: WslMachine, locks: Path) -> None:
    write_lock(locks, dead_port(), runningInWindows=True)
    id_ = (await look_at_one(wsl)).lock.ide_id
    assert (await look_at_one(wsl, linked=[id_])).listener is Listener.OURS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
async def test_another_user_on_the_port_is_told(wsl: WslMachine, locks: Path) -> None:
    with stranger_listening() as port:
        write_lock(locks, port, runningInWindows=True)
        assert (await look_at_one(wsl)).listener is Listener.FOREIGN


async def test_the_same_lock_seen_twice_is_one_ide(wsl: WslMachine, locks: Path, home: Path) -> None:
    (home / ".claude").symlink_to(locks.parent)
    with windows_listens() as port:
        write_lock(locks, port, runningInWindows=True)
        sighting = await look(wsl, home / ".claude" / "ide", locks)
    assert (len(sighting.candidates), sighting.refused) == (1, ())


async def test_a_copy_of_a_lock_is_the_same_ide(wsl: WslMachine, locks: Path, home: Path) -> None:
    with windows_listens() as port:
        write_lock(locks, port, runningInWindows=True)
        write_lock(ide_directory(home / ".claude"), port, runningInWindows=True)
        sighting = await look(wsl, home / ".claude" / "ide")
    assert (len(sighting.candidates), sighting.refused) == (1, ())


async def test_one_port_on_each_side_is_two_ides(wsl: WslMachine, locks: Path, home: Path) -> None:
    with listening() as ours:
        write_lock(locks, port_of(ours), runningInWindows=True, ideName="IntelliJ IDEA")
        write_lock(ide_directory(home / ".claude"), port_of(ours), pid=os.getpid(), ideName="Emacs")
        sighting = await look(wsl, home / ".claude" / "ide")
    routes = {found.lock.ide_name: found.route for found in sighting.candidates}
    assert routes["Emacs"] == HERE
    assert routes["IntelliJ IDEA"].mapper is not None


async def test_an_ide_of_this_distribution_may_write_into_the_profile(wsl: WslMachine, locks: Path) -> None:
    with listening() as ours:
        write_lock(locks, port_of(ours), pid=os.getpid(), workspaceFolders=["/home/me/p"])
        candidate = await look_at_one(wsl)
    assert (candidate.route, candidate.listener, candidate.pid) == (HERE, Listener.OURS, Pid.ALIVE)


async def test_a_stale_lock_of_this_side_is_not_looked_for_in_windows(wsl: WslMachine, home: Path) -> None:
    write_lock(ide_directory(home / ".claude"), dead_port(), pid=2**31 - 1)
    candidate = await look_at_one(wsl, home / ".claude" / "ide")
    assert (candidate.route, candidate.listener, candidate.pid) == (HERE, Listener.NONE, Pid.DEAD)


async def test_another_distributions_workspace_is_none_of_ours(wsl: WslMachine, locks: Path) -> None:
    there = "\\\\wsl.localhost\\Debian\\home\\me"
    with windows_listens() as port:
        write_lock(locks, port, runningInWindows=True, workspaceFolders=[there])
        candidate = await look_at_one(wsl)
        write_lock(locks, port, runningInWindows=True, workspaceFolders=[there, "C:\\src"])
        both = await look_at_one(wsl)
    assert candidate.foreign == f"its workspace {there} is in another WSL distribution than Ubuntu"
    assert both.foreign is None


async def test_what_lies_on_a_drive_beside_the_profile_is_not_believed(wsl: WslMachine, locks: Path) -> None:
    elsewhere = ide_directory(wsl.mounts / "d" / "config")
    write_lock(elsewhere, 4001, runningInWindows=True)
    sighting = await look(wsl, elsewhere)
    assert sighting.candidates == ()
    assert sighting.refused[0].fix == "let CLAUDE_CONFIG_DIR name a directory of Linux, or of your Windows profile"
    assert [(found.path, found.reason) for found in sighting.refused] == [
        (
            str(elsewhere),
            "lies on a Windows drive outside of your profile, where nothing tells who may write",
        )
    ]


async def test_the_networking_mode_is_told_with_the_sighting(wsl: WslMachine) -> None:
    assert (await look(wsl)).terrain.mode is Mode.NAT


async def test_what_answers_here_on_the_port_of_an_ide_of_ours_is_that_ide(wsl: WslMachine, locks: Path) -> None:
    """Behind NAT two IDEs may have one port, one on each side."""
    own = ide_directory(Path(os.environ["HOME"], ".claude"))
    with listening() as ours, socket.create_server((HOST, port_of(ours))):
        write_lock(own, port_of(ours), pid=os.getpid(), authToken="ours")
        write_lock(locks, port_of(ours), runningInWindows=True, authToken="theirs", mode=0o777)
        seen = (await look(wsl, own)).candidates
    ways = {candidate.lock.auth_token: [way.host for way in candidate.route.ways] for candidate in seen}
    assert ways == {"ours": ["127.0.0.1"], "theirs": [HOST]}


async def test_a_lock_that_only_we_can_have_written_keeps_its_place(wsl: WslMachine, locks: Path) -> None:
    own = ide_directory(Path(os.environ["HOME"], ".claude"))
    with listening() as ours:
        port = port_of(ours)
        os.utime(write_lock(own, port, pid=os.getpid(), authToken="ours"), (1, 1))
        theirs = write_lock(locks, port, authToken="theirs", workspaceFolders=["/home/me"])
        sighting = await look(wsl, own)
    assert [candidate.lock.auth_token for candidate in sighting.candidates] == ["ours"]
    assert [(found.path, found.reason) for found in sighting.refused] == [
        (str(theirs), f"names the same port as {own}/{port}.lock, which is better guarded")
    ]


async def test_two_ides_without_a_token_on_one_port_are_told_apart_by_their_side(wsl: WslMachine, locks: Path) -> None:
    """Else the link of one, and its way of naming files, would be taken for the other's."""
    own = ide_directory(Path(os.environ["HOME"], ".claude"))
    with listening() as ours, socket.create_server((HOST, port_of(ours))):
        write_lock(own, port_of(ours), pid=os.getpid(), authToken=None)
        write_lock(locks, port_of(ours), authToken=None, workspaceFolders=["C:\\src"])
        seen = (await look(wsl, own)).candidates
    assert len({candidate.lock.ide_id for candidate in seen}) == len(seen) == 2


async def test_a_lock_that_shows_its_side_is_taken_by_what_it_shows(wsl: WslMachine, locks: Path) -> None:
    with windows_listens() as port:
        write_lock(locks, port, workspaceFolders=["c:\\src"])
        assert (await look_at_one(wsl)).lock.running_in_windows


async def test_an_agent_here_that_an_ide_in_windows_serves_occupies_it(wsl: WslMachine, locks: Path) -> None:
    """Its one place would be taken from it; from Windows' side nothing is seen, from ours the connection is."""
    with socket.create_server((HOST, 0)) as windows, socket.create_connection(windows.getsockname()):
        write_lock(locks, port_of(windows), runningInWindows=True)
        assert (await look_at_one(wsl)).occupied


async def test_looking_occupies_nothing_and_neither_does_our_own_link(wsl: WslMachine, locks: Path) -> None:
    dialer = Dialer()
    survey = survey_of(wsl, dialer)
    with windows_listens() as port:
        write_lock(locks, port, runningInWindows=True)
        (candidate,) = (await survey.look([])).candidates
        endpoint, _ = await dialer.connect(port, candidate.route)
        with endpoint:
            (candidate,) = (await survey.look([])).candidates
            assert (candidate.occupied, list(dialer.ports)) == (False, [port_of(endpoint)])
        assert dialer.ports == frozenset()


async def test_who_is_connected_to_that_port_elsewhere_is_no_client_of_windows(wsl: WslMachine, locks: Path) -> None:
    with windows_listens() as port, socket.create_server(("127.0.0.6", port)) as other:
        write_lock(locks, port, runningInWindows=True)
        with socket.create_connection(other.getsockname()):
            assert not (await look_at_one(wsl)).occupied
