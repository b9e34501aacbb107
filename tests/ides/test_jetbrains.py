"""Ports where an IDE may be that announces itself nowhere."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bridge.core.lockfile import Family, Transport
from bridge.core.ranking import Candidate
from bridge.core.selection import Listener, Pid
from bridge.ides.dialing import Dialer
from bridge.ides.jetbrains import PORTS, JetBrains
from bridge.ides.ports import PortFacts, snapshot
from bridge.ides.surroundings import Surroundings
from bridge.ides.survey import Survey
from pathconv.probe import Probe
from tests.ides.listeners import connected, listening, port_of, stranger_listening
from tests.ides.lockfiles import ide_directory, places, write_lock


async def seen(home: Path, *ports: int, directory: Path | None = None) -> list[Candidate]:
    """What one look finds."""
    survey = Survey(str(home), Surroundings(Probe()), Dialer(), jetbrains=JetBrains(ports))
    return list((await survey.look(places(directory) if directory else [])).candidates)


async def test_whoever_listens_is_announced_without_a_token_or_a_folder(home: Path) -> None:
    with listening() as listener:
        (candidate,) = await seen(home, port := port_of(listener))
    lock = candidate.lock
    assert (lock.port, lock.pid, lock.auth_token, lock.workspace_folders) == (port, None, None, ())
    assert (lock.ide_name, lock.family, lock.transport) == ("JetBrains IDE", Family.JETBRAINS, Transport.SSE)
    assert (candidate.listener, candidate.pid, candidate.occupied, candidate.route.here) == (
        Listener.OURS,
        Pid.UNKNOWN,
        False,
        True,
    )


async def test_who_is_connected_is_seen(home: Path) -> None:
    with listening() as listener, connected(listener):
        (candidate,) = await seen(home, port_of(listener))
    assert candidate.occupied


async def test_where_nobody_listens_there_is_nothing(home: Path) -> None:
    with listening() as listener:
        port = port_of(listener)
    assert await seen(home, port) == []
    assert await seen(home) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
async def test_a_stranger_is_told_and_never_spoken_to(home: Path) -> None:
    with stranger_listening() as port:
        (candidate,) = await seen(home, port)
    assert candidate.listener is Listener.FOREIGN


async def test_a_lock_file_says_more(home: Path) -> None:
    directory = ide_directory(home / ".claude")
    with listening() as listener:
        write_lock(directory, port_of(listener), pid=os.getpid())
        (candidate,) = await seen(home, port_of(listener), directory=directory)
    assert candidate.lock.family is Family.CLAUDE


# ---- since when


def since(jetbrains: JetBrains, port: int) -> float:
    """When whoever listens on the port was first seen."""
    (announced,) = jetbrains.announced(snapshot([port]), ())
    return announced.modified


def test_the_same_listener_is_as_old_as_it_was() -> None:
    now = [1000.0]
    with listening() as listener:
        jetbrains = JetBrains([port_of(listener)], lambda: now[0])
        assert since(jetbrains, port_of(listener)) == 1000.0
        now[0] = 2000.0
        assert since(jetbrains, port_of(listener)) == 1000.0


def test_another_program_on_the_port_is_new_even_if_nobody_looked_between() -> None:
    now = [1000.0]
    with listening() as listener:
        port = port_of(listener)
        jetbrains = JetBrains([port], lambda: now[0])
        assert since(jetbrains, port) == 1000.0
    now[0] = 2000.0
    with socket.create_server(("127.0.0.1", port)):
        assert since(jetbrains, port) == 2000.0


def test_where_the_system_names_no_sockets_one_that_was_away_is_new() -> None:
    now = [1000.0]
    jetbrains = JetBrains([7000], lambda: now[0])
    there = {7000: PortFacts(listener=Listener.OURS, inodes=frozenset({0}))}
    times = []
    for facts in (there, there, {7000: PortFacts()}, there):
        times += [announced.modified for announced in jetbrains.announced(facts, ())]
        now[0] += 1
    assert times == [1000.0, 1000.0, 1003.0]


def test_a_port_that_a_lock_file_named_for_a_while_is_as_old_as_its_listener() -> None:
    now = [1000.0]
    with listening() as listener:
        port = port_of(listener)
        jetbrains = JetBrains([port], lambda: now[0])
        assert list(jetbrains.announced(snapshot([port]), {port})) == []
        now[0] = 2000.0
        assert since(jetbrains, port) == 1000.0


def test_the_usual_ports_are_those_of_its_products() -> None:
    assert {64342, 64343, 64362, 64422, 64442, 64462, 64482, 64542} <= set(PORTS)
    assert len(PORTS) == len(set(PORTS))
