"""Hooks: what an agent is about to write becomes a review, and what became of the review is put into its words.

All is asked by ``bridge hook``, which says again each time what the agent said to it: so it may go on with another
daemon, and nothing is kept here but what concerns this daemon's sessions. The rules are `bridge.core.hooks`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from bridge.agents import requests
from bridge.agents.control import LATER, Handler, Session
from bridge.core import hooks
from bridge.core.again import rejoined
from bridge.core.asks import Cancel, Propose
from bridge.core.edits import CannotTell
from bridge.core.events import Asked
from bridge.core.hookagents import AGENTS, Agent
from bridge.core.hooks import Call, Say
from bridge.core.jsonrpc import RequestId
from bridge.core.ranking import Listener
from bridge.core.reviews import Change, Review
from bridge.core.status import StayedOut
from bridge.core.text import visible
from bridge.daemon.engine import Engine
from bridge.daemon.lookout import Lookout
from bridge.daemon.proposals import MOST_FILES, changes_of, file_meant, new_review, text_there
from bridge.daemon.publications import Publications
from bridge.errors import BadData, Usage
from bridge.ides.ports import snapshot
from bridge.store.journal import Journal

__all__ = ["Hooks"]

_NOT_SEEN: Final = "\0"  # no text that anybody saw
_LIVING: Final = (Listener.OURS, Listener.HIDDEN)
PROMISED_S: Final = 10.0  # in which an agent that may write has written
LATELY_S: Final = 3600.0  # for which `status` remembers that a hook stayed out


class Hooks:
    """Answers ``hook/…``, and ends reviews that nobody waits for any more.

    Args:
        always: the user wants reviews also where the agent is not to ask.
    """

    def __init__(self, engine: Engine, lookout: Lookout, publications: Publications, *, always: bool = False) -> None:
        self._engine = engine
        self._lookout = lookout
        self._publications = publications
        self._always = always
        self._bound: dict[Session, set[str]] = {}
        self._stayed_out: dict[str, StayedOut] = {}
        self._promised: dict[bytes, tuple[str, float]] = {}  # the review by which a file may be written, until when
        self._answering = asyncio.Lock()
        self._stopped = False

    def table(self) -> dict[str, tuple[type[Any], Handler]]:
        """Give every method with the shape of its parameters."""
        return {
            "hook/begin": (requests.HookBegin, self._begin),
            "hook/answer": (requests.HookAnswer, self._answer),
        }

    def rows(self, now: float) -> list[StayedOut]:
        """Say which agents' hooks stayed out lately, where that may surprise the user."""
        return [row for row in self._stayed_out.values() if now - row["at"] < LATELY_S]

    # ---- sessions

    def bind(self, session: Session, review_id: str) -> None:
        """Let a review end when the session does: then nobody waits for it any more."""
        self._bound.setdefault(session, set()).add(review_id)

    def left(self, session: Session) -> None:
        """Learn that a session ended. One whose daemon is stopping will ask the next daemon.

        What another one waits for stays: a hook that is registered twice is run twice for each call.
        """
        bound = self._bound.pop(session, set()).difference(*self._bound.values())
        waiting = () if self._stopped else bound.intersection(self._engine.router.desk.seats)
        for review_id in waiting:
            self._engine.report(Asked(time.time(), session.number, 0, Cancel(review_id=review_id)))

    def stop(self) -> None:
        """Leave all reviews as they are from now on."""
        self._stopped = True

    # ---- what the hook asks

    async def _begin(self, session: Session, id_: RequestId, params: requests.HookBegin) -> Any:
        """Begin a review and answer with its id, or with what to say at once."""
        agent = _agent(params.agent)
        try:
            call = await asyncio.to_thread(hooks.read, agent, params.said, always=self._always)
            if not params.with_ide:
                await self._leave_to_ide(session, agent, params.environ)
            return await self._propose(session, id_, call)
        except hooks.Unasked as why:
            self._stayed_out[agent.name] = {"agent": agent.name, "reason": str(why), "at": time.time()}
            return _said(hooks.stay_out(str(why)))
        except CannotTell as why:
            return _said(hooks.stay_out(str(why)))
        except (BadData, Usage) as error:  # binary, or nothing would change: for the agent's own tool to say
            return _said(hooks.stay_out(error.message))

    async def _propose(self, session: Session, id_: RequestId, call: Call) -> Any:
        workspace = os.fsencode(session.cwd)
        found = await self._engine.journal.run(Journal.by_key, workspace, call.key)
        known = rejoined(found, False, time.time())
        if known is not None:  # asked again, by way of another daemon: the files may be others by now
            self.bind(session, known.id)
            return {"id": known.id}
        changes = await asyncio.to_thread(_changes, session.cwd, call)
        scene = await self._lookout.scene(session, os.fsdecode(changes[0].path))
        review = new_review(
            changes,
            workspace,
            title=call.title,
            agent=call.agent.name,
            request_key=call.key,
            ide=scene.named,
        )
        self.bind(session, review.id)  # at once: the agent may kill the hook before that waits
        self._engine.feed(Asked(time.time(), session.number, id_, Propose(review=review), scene))
        return LATER

    async def _answer(self, session: Session, id_: RequestId, params: requests.HookAnswer) -> Any:
        """Say what became of a review."""
        agent = _agent(params.agent)
        review = await self._engine.journal.run(Journal.get, params.id)
        async with self._answering:  # of two for one file the second must see that the first may write
            now = time.monotonic()
            self._promised = {path: one for path, one in self._promised.items() if now < one[1]}
            taken = {path for path, (review_id, _) in self._promised.items() if review_id != review.id}
            say = await asyncio.to_thread(_answer_to, session.cwd, agent, params.said, review, taken)
            if say.writes:
                self._promised |= {change.path: (review.id, now + PROMISED_S) for change in review.files}
        return _said(say)

    async def _leave_to_ide(self, session: Session, agent: Agent, environ: Mapping[str, str]) -> None:
        """Raise `CannotTell` where the agent shows its changes in an IDE itself, or in the bridge as its IDE."""
        said = environ.get(agent.ide_port or "", "")
        port = int(said) if said.isascii() and said.isdecimal() and len(said) <= 5 else 0
        if not port:
            return
        if port in self._publications.ports:
            raise CannotTell(f"{agent.name} has the bridge as its IDE, and shows the change there itself (--with-ide)")
        if await self._is_ide(session, agent, port):
            raise CannotTell(f"{agent.name} shows the change in its IDE itself (--with-ide reviews it here too)")

    async def _is_ide(self, session: Session, agent: Agent, port: int) -> bool:
        """Tell whether an IDE lives at the port: a variable outlives it, in tmux for example."""
        sighting = await self._lookout.sight(session)
        if any(seen.lock.port == port and seen.listener in _LIVING for seen in sighting.candidates):
            return True
        if agent.ide_announced:
            return False
        facts = await asyncio.to_thread(snapshot, [port])
        return facts[port].listener is Listener.OURS


def _agent(name: str) -> Agent:
    agent = AGENTS.get(name)
    if agent is None:
        raise Usage(f"there are no hooks for {name}", f"there are some for {', '.join(AGENTS)}")
    return agent


def _said(say: Say) -> dict[str, Any]:
    return {"stdout": say.stdout, "stderr": visible(say.stderr), "code": say.code, "taken": say.taken}


def _paths(cwd: str, call: Call) -> dict[str, str]:
    """Find the files that the call names, absolute. Raises `CannotTell`."""
    paths = {name: file_meant(call.cwd or cwd, name, False) for name in call.names}
    found = {name: path for name, path in paths.items() if path is not None}
    if len(found) < len(paths):
        raise CannotTell("it names a file that there cannot be")
    for name, path in found.items():
        if not _means_only(name, os.path.join(call.cwd or cwd, name), path):
            raise CannotTell(f"{name} may mean another file to the agent")
    return found


def _means_only(name: str, whole: str, path: str) -> bool:
    """Tell whether all who read this name find `path`: some expand ``~``, some take blanks away.

    And ``link/..`` is nothing to some, while to the system it is the directory above the link's target.
    """
    if name.startswith("~") or name != name.strip():
        return False
    return os.path.realpath(whole) == os.path.realpath(path)


def _changes(cwd: str, call: Call) -> tuple[Change, ...]:
    """Read the files, and say what the call would make of them. Raises `BadData`, `Usage` and `CannotTell`."""
    paths = _paths(cwd, call)
    if len(paths) > MOST_FILES:
        raise CannotTell(f"it changes {len(paths)} files, more than a human can review at once")
    there = {name: text_there(path) for name, path in paths.items()}
    made = call.would_be(there).texts
    files = [requests.File(path, made[name], there[name] or None) for name, path in paths.items()]
    return changes_of(files, new_directories=True)


def _answer_to(cwd: str, agent: Agent, said: str, review: Review, promised: Collection[bytes]) -> Say:
    """Read the files once more, and say what became of the review.

    `promised`: files that are about to be written after another review, so that they are as good as changed.
    """
    call = hooks.read(agent, said, always=True)
    paths = _paths(cwd, call)
    changes = {change.path: change for change in review.files}
    real = {name: os.fsencode(os.path.realpath(path)) for name, path in paths.items()}
    reviewed = {name: changes[path] for name, path in real.items() if path in changes}
    there = {name: _NOT_SEEN if real[name] in promised else _text_now(path) for name, path in paths.items()}
    return hooks.answer(call, review, there, reviewed)


def _text_now(path: str) -> str | None:
    try:
        return text_there(path)
    except BadData:
        return _NOT_SEEN
