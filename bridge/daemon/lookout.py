"""The lookout: describes the world to the router, anew or as it was up to a second ago."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from bridge.core.events import Scene
from bridge.core.official import BRIDGE
from bridge.core.reviews import Review
from bridge.core.selection import Place
from bridge.core.terminal import Terminal, read_terminal
from bridge.daemon.pins import Pins, workspace_of
from bridge.ides.dialing import Dialer
from bridge.ides.jetbrains import NOWHERE, JetBrains
from bridge.ides.locks import LockDirectory, candidate_directories
from bridge.ides.processes import terminal_of
from bridge.ides.projects import place
from bridge.ides.surroundings import Surroundings
from bridge.ides.survey import Sighting, Survey, from_terminal

__all__ = ["Lookout", "Stand", "as_seen_by"]

DIRECTORIES_MOST: Final = 16  # a client that names another one each time must not slow down everybody
SHARED_MOST: Final = 256  # scenes: each file makes one
RECENT_S: Final = 1.0  # an agent may call tools a hundred times a second, and a look costs more than the call


class Stand(Protocol):
    """Where an asker stands."""

    @property
    def cwd(self) -> str:
        """Its working directory, absolute."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What matters of its environment."""

    @property
    def pid(self) -> int | None:
        """Its process, where that is known."""

    @property
    def terminal_pid(self) -> int | None:
        """A process in the terminal that shows it, where that is another one."""


class _Links(Protocol):
    @property
    def linked(self) -> frozenset[str]:
        """The IDEs that we are connected to."""


class _Own(Protocol):
    @property
    def ports(self) -> frozenset[int]:
        """Where the bridge itself is published as an IDE."""


class _Look(NamedTuple):
    """A look around that was made, or is under way, for all who look into these directories."""

    stamps: Mapping[str, int]  # of the lock directories, whose times change when a file comes or goes
    until: float
    sighting: asyncio.Future[Sighting]

    def holds(self, now: float) -> bool:
        """Tell whether another look would hardly see more."""
        return now < self.until and self.stamps == {directory: _stamp(directory) for directory in self.stamps}


class _Memory(NamedTuple):
    """What a session saw last; those that ask the same of one look share it."""

    question: tuple[object, ...]
    look: _Look
    scene: Scene


class Lookout:
    """Looks around for sessions and reviews.

    Lock directories that any client named (``CLAUDE_CONFIG_DIR``, ``TMPDIR``) are remembered: a review that outlives
    its asker still finds the IDEs that the asker would have found, and so does a terminal that lacks the variable.

    Args:
        home: the user's home directory.
        takeover: the user allows an occupied IDE to be taken over.
        surroundings: the machine.
        dialer: the one that links are made with.
        pins: the IDEs that the user wants where nobody names one.
        jetbrains: the ports where an IDE may be that writes no lock file.
        clock: seconds, never set back.
    """

    def __init__(
        self,
        home: Path,
        takeover: bool,
        surroundings: Surroundings,
        dialer: Dialer,
        *,
        pins: Pins | None = None,
        jetbrains: JetBrains = NOWHERE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pins = pins or Pins()
        self._home = home
        self._real_home = os.path.realpath(home)
        self._takeover = takeover
        self._surroundings = surroundings
        self._clock = clock
        self._memories: WeakKeyDictionary[Stand, _Memory] = WeakKeyDictionary()
        self._shared: dict[tuple[object, ...], _Memory] = {}
        self._looks: dict[tuple[LockDirectory, ...], _Look] = {}
        self._survey = Survey(self._real_home, surroundings, dialer, jetbrains=jetbrains)
        self._known = tuple(candidate_directories(None, home))
        self.links: _Links | None = None  # set when there are links
        self.own: _Own | None = None  # set when the daemon may be published as an IDE itself

    @property
    def directories(self) -> tuple[Path, ...]:
        """Every lock directory that is worth watching, the one that was named last first, those in Windows last."""
        return tuple(Path(known.path) for known in (*self._known, *self._surroundings.directories()))

    def remember(self, environ: Mapping[str, str]) -> None:
        """Look into a client's lock directories too, for everybody; the one not named for longest is forgotten."""
        self._known = tuple(islice(self._with(environ), DIRECTORIES_MOST))

    def _with(self, environ: Mapping[str, str]) -> Iterable[LockDirectory]:
        """Give the directories of a client's own, then all the others that are known."""
        return dict.fromkeys([*candidate_directories(environ, self._home), *self._known])

    async def sight(self, session: Stand | None = None) -> Sighting:
        """Look for IDEs, as this session's terminal sees them; without one, wherever any may be."""
        directories = self._known if session is None else self._with(session.environ)
        sighting = await self._sight(directories)
        return sighting if session is None else from_terminal(sighting, _terminal_pid(session))

    async def _sight(self, directories: Iterable[LockDirectory]) -> Sighting:
        linked = self.links.linked if self.links is not None else ()
        return self._without_us(await self._survey.look(directories, linked=linked))

    def _without_us(self, sighting: Sighting) -> Sighting:
        """Leave out the lock files in which agents find the bridge: it is no IDE to itself."""
        ours = self.own.ports if self.own is not None else frozenset()
        if not ours:
            return sighting
        others = (seen for seen in sighting.candidates if not (seen.route.here and seen.lock.port in ours))
        return replace(sighting, candidates=tuple(others))

    async def scene(self, session: Stand, file: str | None = None, named: str | None = None) -> Scene:
        """Describe the world for a session's request, about `file` (absolute) if it is about one."""
        return self.compose(await self.sight(session), session, file, named)

    async def recent_scene(self, session: Stand, file: str | None = None, named: str | None = None) -> Scene:
        """Describe the world as `scene` does, or as it was up to a second ago while no lock file came or went.

        For what may be asked many times a second, by many. That an IDE went away its link tells at once.
        """
        now = self._clock()
        question = (session.cwd, session.pid, session.terminal_pid, file, named, self.pins.changes, session.environ)
        memory = self._memories.get(session)
        if memory is None or memory.question != question or not memory.look.holds(now):
            look = self._recent_look(session, now)
            sighting = await asyncio.shield(look.sighting)
            key = (*question[:-1], frozenset(session.environ.items()))
            memory = self._shared.get(key)
            if memory is None or memory.look is not look:
                if len(self._shared) >= SHARED_MOST:
                    self._shared.clear()
                seen = from_terminal(sighting, _terminal_pid(session))
                memory = self._shared[key] = _Memory(question, look, self.compose(seen, session, file, named))
            self._memories[session] = memory
        return memory.scene

    def _recent_look(self, session: Stand, now: float) -> _Look:
        """Give a look around that is recent enough: many agents look at the same time, and see the same."""
        directories = (*self._with(session.environ), *self._surroundings.directories())
        look = self._looks.pop(directories, None)
        if look is None or not look.holds(now):
            # First the stamps: what changes meanwhile is for the next look.
            stamps = {directory.path: _stamp(directory.path) for directory in directories}
            look = _Look(stamps, now + RECENT_S, asyncio.ensure_future(self._sight(directories)))
        self._looks[directories] = look
        if len(self._looks) > DIRECTORIES_MOST:
            del self._looks[next(iter(self._looks))]
        return look

    def compose(self, sighting: Sighting, session: Stand, file: str | None, named: str | None) -> Scene:
        """Join what was seen with where the session stands."""
        where = self._place(sighting, session.cwd, file)
        return self._scene(sighting, where, read_terminal(session.environ), named, _terminal(session))

    def whereabouts(self, session: Stand) -> tuple[str | None, str]:
        """Say in which terminal a session is, if that can be told, and in which workspace: what pins are for."""
        return _terminal(session), workspace_of(place(session.cwd, home=self._real_home))

    async def scene_of(self, review: Review) -> Scene:
        """Describe the world for a review whose asker may be gone: its terminal is not known any more."""
        sighting = await self.sight()
        where = self._place(sighting, review.workspace, review.files[0].path)
        return as_seen_by(review.agent, self._scene(sighting, where, Terminal(), review.ide))

    def _place(self, sighting: Sighting, directory: str | bytes, file: str | bytes | None) -> Place:
        return replace(place(directory, file, home=self._real_home), mapper=sighting.terrain.mapper)

    def _scene(
        self, sighting: Sighting, where: Place, terminal: Terminal, named: str | None, pinned_in: str | None = None
    ) -> Scene:
        """Join it all; without a name, what is pinned in the terminal `pinned_in` or the workspace counts as named."""
        pin = None if (named or "").strip() else self.pins.named_for(pinned_in, workspace_of(where))
        return Scene(
            candidates=sighting.candidates,
            place=where,
            terminal=terminal,
            named=pin.name if pin else named,
            pinned=pin.kind if pin else None,
            takeover=self._takeover,
        )


def as_seen_by(name: str, scene: Scene) -> Scene:
    """Give what an asker of this name may choose from; only that of another bridge says anything.

    A bridge is not sent to a bridge: two that take each other for an IDE would ask in a circle. And its daemon stands
    in ``/``, but asks for agents that stand anywhere: what is about no file goes to any IDE, the last focused first.
    """
    if name != BRIDGE:
        return scene
    others = tuple(
        replace(candidate, foreign="a bridge is not asked on behalf of a bridge")
        if candidate.lock.ide_name == BRIDGE
        else candidate
        for candidate in scene.candidates
    )
    return replace(scene, candidates=others, place=replace(scene.place, cwd_project=scene.place.directory))


def _terminal(session: Stand) -> str | None:
    return None if session.pid is None else terminal_of(session.pid)


def _terminal_pid(session: Stand) -> int | None:
    return session.terminal_pid or session.pid


def _stamp(directory: str) -> int:
    try:
        return os.stat(directory).st_mtime_ns
    except (OSError, ValueError):  # ValueError: no file can have that name
        return 0
