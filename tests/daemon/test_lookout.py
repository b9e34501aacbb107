"""What the lookout tells the router: real lock files, listeners and sessions."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.agents.control import Session
from bridge.core.events import Scene, SessionId
from bridge.core.official import BRIDGE
from bridge.core.reach import HERE
from bridge.core.reviews import Change, Review
from bridge.core.selection import Pinned, Place, select
from bridge.core.terminal import Terminal
from bridge.daemon import lookout as lookout_module
from bridge.daemon.lookout import DIRECTORIES_MOST, RECENT_S, Lookout, as_seen_by
from bridge.daemon.pins import Pins
from bridge.ides.dialing import Dialer
from bridge.ides.surroundings import Surroundings
from bridge.ides.survey import Sighting, Survey
from pathconv.probe import Probe
from tests.ides.listeners import connected, listening, port_of
from tests.ides.lockfiles import ide_directory, write_lock


@pytest.fixture
def home(home: Path) -> Path:
    return Path(os.path.realpath(home))


def look_from(home: Path, takeover: bool = False, **options: Any) -> Lookout:
    return Lookout(home, takeover, Surroundings(Probe()), Dialer(), **options)


@pytest.fixture
def lookout(home: Path) -> Lookout:
    return look_from(home)


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    """This process's own session; its other end says nothing."""
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    with theirs:
        yield Session(SessionId(1), writer, os.getpid())
        writer.close()
        await writer.wait_closed()


Announce = Callable[[Path], int]


@pytest.fixture
def announce() -> Iterator[Announce]:
    """Write the lock file of an IDE that lives into a configuration directory; give its port."""
    with ExitStack() as stack:

        def one(parent: Path) -> int:
            port = port_of(stack.enter_context(listening()))
            write_lock(ide_directory(parent), port)
            return port

        yield one


def ports(scene: Scene) -> set[int]:
    return {candidate.lock.port for candidate in scene.candidates}


def review(workspace: Path, file: bytes, ide: str | None = None) -> Review:
    change = Change(path=os.path.join(os.fsencode(workspace), file), base_hash=None, base="", proposed="x")
    return Review(id="one", files=(change,), workspace=os.fsencode(workspace), created=1.0, changed=1.0, ide=ide)


async def test_everybody_sees_the_ides_of_every_directory_that_anybody_named(
    home: Path, lookout: Lookout, session: Session, announce: Announce
) -> None:
    usual, own, others = announce(home / ".claude"), announce(home / "own"), announce(home / "others")
    assert ports(await lookout.scene(session)) == {usual}
    lookout.remember({"CLAUDE_CONFIG_DIR": f"{home}/others"})
    assert ports(await lookout.scene(session)) == {usual, others}
    session.environ = {"CLAUDE_CONFIG_DIR": f"{home}/own"}
    assert ports(await lookout.scene(session)) == {usual, own, others}


async def test_a_review_finds_the_ides_that_its_asker_would_have_found(
    home: Path, lookout: Lookout, announce: Announce
) -> None:
    configured = announce(home / "configured")
    lookout.remember({"CLAUDE_CONFIG_DIR": f"{home}/configured"})
    assert ports(await lookout.scene_of(review(home, b"a.py"))) == {configured}


def chosen(scene: Scene) -> int | None:
    selection = select(scene.candidates, scene.place, scene.terminal)
    return selection.chosen.lock.port if selection.chosen else None


async def test_a_bridge_that_asks_may_use_any_ide_but_no_bridge(
    home: Path, lookout: Lookout, session: Session, announce: Announce
) -> None:
    """Its daemon stands in ``/``; so does its review, also when an IDE comes much later."""
    session.cwd = "/"
    with listening() as listener:
        write_lock(ide_directory(home / "others"), port_of(listener), ideName=BRIDGE, workspaceFolders=["/"])
        lookout.remember({"CLAUDE_CONFIG_DIR": f"{home}/others"})
        alone = await lookout.scene(session)
        assert (chosen(alone), chosen(as_seen_by(BRIDGE, alone))) == (port_of(listener), None)
        port = announce(home / ".claude")
        both = await lookout.scene(session)
        assert (chosen(as_seen_by("an agent", both)), chosen(as_seen_by(BRIDGE, both))) == (port_of(listener), port)
        left = review(Path("/"), b"etc/a.py")
        assert chosen(await lookout.scene_of(left)) == port_of(listener)
        assert chosen(await lookout.scene_of(replace(left, agent=BRIDGE))) == port


async def test_an_ide_that_announces_itself_in_two_directories_is_seen_once(
    home: Path, lookout: Lookout, session: Session, announce: Announce
) -> None:
    port = announce(home / ".claude")
    (home / "linked").symlink_to(".claude")
    write_lock(ide_directory(home / "configured"), port)
    for name in ("linked", "configured"):
        lookout.remember({"CLAUDE_CONFIG_DIR": f"{home}/{name}"})
    sighting = await lookout.sight(session)
    assert [(c.lock.port, sighting.refused) for c in sighting.candidates] == [(port, ())]


def test_the_directories_that_were_named_last_are_watched(home: Path, lookout: Lookout) -> None:
    usual, qwen, gemini = home / ".claude" / "ide", home / ".qwen" / "ide", home / "gemini" / "ide"
    assert [*lookout.directories] == [usual, qwen]
    for name in "ab":
        lookout.remember({"CLAUDE_CONFIG_DIR": f"{home}/{name}", "TMPDIR": str(home)})
    assert [*lookout.directories] == [home / "b" / "ide", usual, qwen, gemini, home / "a" / "ide"]
    for number in range(DIRECTORIES_MOST):
        lookout.remember({"CLAUDE_CONFIG_DIR": f"{home}/{number}", "TMPDIR": str(home)})
    assert len(lookout.directories) == DIRECTORIES_MOST
    assert usual in lookout.directories
    assert not {home / "a" / "ide", home / "b" / "ide"} & {*lookout.directories}


async def test_a_session_s_terminal_decides_what_is_its_own(home: Path, lookout: Lookout, session: Session) -> None:
    with listening() as listener:
        port = port_of(listener)
        write_lock(ide_directory(home / ".claude"), port, pid=os.getpid())
        session.environ = {"CLAUDE_CODE_SSE_PORT": str(port)}
        asked, left = await lookout.scene(session), await lookout.scene_of(review(home, b"a.py"))
    assert ([c.ancestor for c in asked.candidates], asked.terminal.port) == ([True], port)
    assert ([c.ancestor for c in left.candidates], left.terminal) == ([False], Terminal())


@dataclass(frozen=True, eq=False)
class Agent:
    """Where an agent stands."""

    cwd: str
    environ: Mapping[str, str] = field(default_factory=dict)
    pid: int | None = None
    terminal_pid: int | None = None


async def test_agents_that_ask_at_the_same_time_share_one_look_and_the_same_question_one_scene(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = Survey.look

    async def counted(survey: Survey, *args: Any, **options: Any) -> Sighting:
        nonlocal looks
        looks += 1
        return await look(survey, *args, **options)

    monkeypatch.setattr(Survey, "look", counted)
    now = 0.0
    lookout = look_from(home, clock=lambda: now)
    here, twin, parent = Agent(str(home)), Agent(str(home)), Agent(str(home.parent))
    in_terminal = Agent(str(home), pid=os.getpid())
    agents = (here, twin, parent, in_terminal)
    with listening() as listener:
        write_lock(ide_directory(home / ".claude"), port_of(listener), pid=os.getpid())
        scenes = await asyncio.gather(*map(lookout.recent_scene, agents))
        assert looks == 1
        assert scenes[0] is scenes[1]
        assert [scene.place.directory for scene in scenes] == [agent.cwd for agent in agents]
        assert [[c.ancestor for c in scene.candidates] for scene in scenes] == [[False], [False], [False], [True]]
        now += RECENT_S / 2
        assert ports(await lookout.recent_scene(here, str(home / "a"))) == {port_of(listener)}
        assert looks == 1
        now += RECENT_S / 2  # a second after the look, however late a scene was made of it
        await lookout.recent_scene(here, str(home / "a"))
        assert looks == 2


async def test_what_is_shared_is_not_kept_without_bound(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout_module, "SHARED_MOST", 2)
    lookout = look_from(home, clock=lambda: 0.0)
    agent = Agent(str(home))
    for name in "abcde":
        await lookout.recent_scene(agent, str(home / name))
    for number in range(DIRECTORIES_MOST + 2):
        await lookout.recent_scene(Agent(str(home), {"CLAUDE_CONFIG_DIR": f"/nowhere/{number}"}))
    assert len(lookout._looks) == DIRECTORIES_MOST
    assert len(lookout._shared) <= 2


async def test_what_was_seen_a_moment_ago_is_seen_again_until_something_changes(
    home: Path, session: Session, announce: Announce
) -> None:
    now = 100.0
    lookout = look_from(home, clock=lambda: now)
    announce(home / ".claude")
    first = await lookout.recent_scene(session)
    assert await lookout.recent_scene(session) is first
    assert (await lookout.recent_scene(session, named="code")).named == "code"
    again = await lookout.recent_scene(session)
    now += RECENT_S
    assert await lookout.recent_scene(session) is not again


async def test_an_ide_that_comes_or_goes_is_noticed_however_recent_the_last_look_was(
    home: Path, session: Session, announce: Announce
) -> None:
    lookout = look_from(home, clock=lambda: 100.0)
    assert ports(await lookout.recent_scene(session)) == set()
    port = announce(home / ".claude")
    assert ports(await lookout.recent_scene(session)) == {port}
    lock = home / ".claude" / "ide" / f"{port}.lock"
    lock.unlink()
    os.utime(lock.parent, ns=(0, 1))  # the clock of the file system may stand still between two changes
    assert ports(await lookout.recent_scene(session)) == set()


async def test_a_session_that_moves_sees_the_world_from_where_it_is(home: Path, session: Session) -> None:
    lookout = look_from(home, clock=lambda: 100.0)
    session.cwd = str(home)
    await lookout.recent_scene(session)
    session.cwd = str(home.parent)
    assert (await lookout.recent_scene(session)).place.directory == str(home.parent)


async def test_our_own_links_do_not_occupy_an_ide(home: Path) -> None:
    dialer = Dialer()
    lookout = Lookout(home, False, Surroundings(Probe()), dialer)
    with listening() as listener:
        write_lock(ide_directory(home / ".claude"), port_of(listener))
        with (await dialer.connect(port_of(listener), HERE)).endpoint:
            assert [c.occupied for c in (await lookout.sight()).candidates] == [False]
        with connected(listener):
            assert [c.occupied for c in (await lookout.sight()).candidates] == [True]


@pytest.mark.parametrize("takeover", [True, False])
async def test_what_the_user_wants_is_passed_on(home: Path, session: Session, takeover: bool) -> None:
    lookout = look_from(home, takeover)
    asked = await lookout.scene(session, named="code")
    left = await lookout.scene_of(review(home, b"a.py", ide="cursor"))
    assert [(scene.named, scene.takeover) for scene in (asked, left)] == [("code", takeover), ("cursor", takeover)]


async def test_what_is_pinned_counts_where_nobody_names_an_ide(home: Path, session: Session) -> None:
    app = home / "app"
    (app / ".git").mkdir(parents=True)
    pins = Pins()
    lookout = look_from(home, pins=pins, clock=lambda: 100.0)
    session.cwd = str(app)
    before = await lookout.recent_scene(session)
    terminal, workspace = lookout.whereabouts(session)
    assert workspace == str(app)
    pins.pin(Pinned.WORKSPACE, workspace, "code")
    found = [
        *(await lookout.recent_scene(session), await lookout.scene(session, named="cursor")),
        *(await lookout.scene(session, named=" "), await lookout.scene_of(review(app / "sub", b"a.py"))),
        *(await lookout.scene_of(review(app, b"a.py", ide="vim")), await lookout.scene_of(review(home, b"app/a.py"))),
    ]
    workspaces = ("code", Pinned.WORKSPACE)
    assert (before.named, before.pinned) == (None, None)
    assert [(scene.named, scene.pinned) for scene in found] == [
        *(workspaces, ("cursor", None)),
        *(workspaces, workspaces),
        *(("vim", None), (None, None)),
    ]
    if terminal is not None:
        pins.pin(Pinned.TERMINAL, terminal, "emacs")
        scene = await lookout.recent_scene(session)
        assert (scene.named, scene.pinned) == ("emacs", Pinned.TERMINAL)


async def test_the_place_is_that_of_session_and_file(home: Path, lookout: Lookout, session: Session) -> None:
    app = home / "app"
    (app / ".git").mkdir(parents=True)
    session.cwd = str(app)
    expected = Place(
        directory=str(app),
        file=f"{app}/caf\udce9",
        project=str(app),
        repository=f"{app}/.git",
        cwd_project=str(app),
        cwd_repository=f"{app}/.git",
    )
    assert (await lookout.scene(session, f"{app}/caf\udce9")).place == expected
    assert (await lookout.scene_of(review(app, b"caf\xe9"))).place == expected


async def test_a_repository_at_home_is_no_project_by_whatever_name_home_is_known(home: Path, session: Session) -> None:
    (home / ".git").mkdir()
    linked = home.parent / "linked"
    linked.symlink_to(home)
    session.cwd = str(home)
    place = (await look_from(linked).scene(session, f"{linked}/notes/a.txt")).place
    assert place == Place(directory=str(home), file=f"{home}/notes/a.txt")
