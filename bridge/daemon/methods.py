"""The methods of the control socket: gather the facts, then ask the router, the journal or the page."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from bridge.agents import requests
from bridge.agents.control import LATER, Handler, Session
from bridge.core.asks import Ask, AskDirty, CallTool, Cancel, OpenFile, Propose, Reopen, Wait
from bridge.core.events import Asked, Scene, Withdrawn
from bridge.core.jsonrpc import RequestId
from bridge.core.lockfile import Transport
from bridge.core.reviews import Trigger, decision
from bridge.core.status import SCHEMA, Daemon, Status, ide_row, machine_row, render, review_row
from bridge.core.text import visible
from bridge.daemon.engine import Engine
from bridge.daemon.hooks import Hooks
from bridge.daemon.lookout import Lookout
from bridge.daemon.pages import Pages
from bridge.daemon.proposals import changes_of, new_review, text_to_search
from bridge.daemon.publications import Publications
from bridge.daemon.terminals import Terminals
from bridge.errors import Usage
from bridge.store.journal import Journal
from bridge.versions import newer, restart

__all__ = ["Methods"]

logger = logging.getLogger(__name__)


class Methods:
    """Handles every method of the control socket.

    Args:
        about: what `status` says of the daemon itself.
        warnings: what the daemon met with and the user should know; it grows.
        stop: ends the daemon; its argument tells whether another one comes.
        needed: says what the daemon is needed for besides the asker; None when it is idle.
    """

    def __init__(
        self,
        engine: Engine,
        lookout: Lookout,
        pages: Pages,
        publications: Publications,
        hooks: Hooks,
        about: Callable[[], Daemon],
        warnings: Sequence[str],
        stop: Callable[[bool], None],
        needed: Callable[[], str | None],
    ) -> None:
        self._engine = engine
        self._lookout = lookout
        self._pages = pages
        self._publications = publications
        self._hooks = hooks
        self._about = about
        self._warnings = warnings
        self._stop = stop
        self._terminals = Terminals(engine.journal, lookout)
        self._needed = needed

    def table(self) -> dict[str, tuple[type[Any], Handler]]:
        """Give every method with the shape of its parameters."""
        return {
            "hello": (requests.Hello, self._hello),
            "status": (requests.Status, self._status),
            "open": (requests.Open, self._open),
            "call": (requests.Call, self._call),
            "dirty": (requests.Dirty, self._dirty),
            "review/propose": (requests.Propose, self._propose),
            "review/wait": (requests.Wait, self._wait),
            "review/cancel": (requests.Cancel, self._cancel),
            "review/open": (requests.OpenReview, self._reopen),
            "review/link": (requests.One, self._link),
            "review/list": (requests.List, self._list),
            "review/get": (requests.One, self._get),
            "review/delivered": (requests.One, self._delivered),
            "publish/run": (requests.PublishRun, self._publish_run),
            "publish/child": (requests.PublishChild, self._publish_child),
            "publish/set": (requests.PublishSet, self._publish_set),
            "publish/list": (requests.Nothing, self._publish_list),
            "request/cancel": (requests.TakeBack, self._take_back),
            "events/subscribe": (requests.Nothing, self._subscribe),
            "daemon/replace": (requests.Replace, self._replace),
            "daemon/stop": (requests.Stop, self._stop_daemon),
            **self._terminals.table(),
            **self._hooks.table(),
        }

    async def _ask(self, session: Session, id_: RequestId, ask: Ask, scene: Scene | None = None) -> Any:
        self._engine.feed(Asked(time.time(), session.number, id_, ask, scene))
        return LATER

    async def _hello(self, session: Session, id_: RequestId, params: requests.Hello) -> Any:
        if not os.path.isabs(params.cwd):
            raise Usage("cwd is not an absolute path")
        session.greeted = True
        session.cwd, session.name = session.resolve(params.cwd), params.name
        session.environ = dict(self._publications.seen_through(params.environ))
        session.terminal_pid = params.terminal_pid
        session.version = params.version
        self._lookout.remember(params.environ)
        about = self._about()
        return {"version": about["version"], "pid": about["pid"], "capabilities": about["capabilities"]}

    # ---- what an IDE does

    async def _open(self, session: Session, id_: RequestId, params: requests.Open) -> Any:
        path = session.resolve(params.path)
        contents = await asyncio.to_thread(text_to_search, path, params.line is not None)
        ask = OpenFile(path=path, line=params.line, column=params.column, text=contents, may_launch=params.may_launch)
        return await self._ask(session, id_, ask, await self._lookout.scene(session, path, params.ide))

    async def _call(self, session: Session, id_: RequestId, params: requests.Call) -> Any:
        file = None if params.file is None else session.resolve(params.file)
        path = file if params.path is None else session.resolve(params.path)
        ask = CallTool(tool=params.tool, arguments=bytes(params.arguments), file=file)
        return await self._ask(session, id_, ask, await self._lookout.recent_scene(session, path, params.ide))

    async def _dirty(self, session: Session, id_: RequestId, params: requests.Dirty) -> Any:
        path = session.resolve(params.path)
        scene = replace(await self._lookout.scene(session, path), named=None, pinned=None)
        return await self._ask(session, id_, AskDirty(path=path), scene)  # whoever has changes, not whom the user wants

    # ---- reviews

    async def _propose(self, session: Session, id_: RequestId, params: requests.Propose) -> Any:
        files = [msgspec.structs.replace(file, path=session.resolve(file.path)) for file in params.files]
        changes = await asyncio.to_thread(changes_of, files)
        workspace = os.fsencode(session.cwd)
        # The first file stands for all: several are on the page, so no IDE is chosen for them.
        scene = await self._lookout.scene(session, os.fsdecode(changes[0].path), params.ide)
        review = new_review(
            changes,
            workspace,
            title=params.title,
            agent=session.name,
            request_key=params.request_key,
            surface=params.surface,
            ide=scene.named,  # a pin too: the review may outlive the terminal
        )
        known = None
        if params.request_key is not None:
            known = await self._engine.journal.run(Journal.by_key, workspace, params.request_key)
        return await self._ask(session, id_, Propose(review=review, known=known, supersedes=params.supersedes), scene)

    async def _wait(self, session: Session, id_: RequestId, params: requests.Wait) -> Any:
        until = None if params.timeout is None else time.time() + params.timeout
        if params.bound:
            self._hooks.bind(session, params.id)
        return await self._ask(session, id_, Wait(review_id=params.id, until=until))

    async def _cancel(self, session: Session, id_: RequestId, params: requests.Cancel) -> Any:
        why = Trigger.MOVED_TO_TERMINAL if params.moved else Trigger.CANCELLED
        return await self._ask(session, id_, Cancel(review_id=params.id, trigger=why))

    async def _reopen(self, session: Session, id_: RequestId, params: requests.OpenReview) -> Any:
        review = await self._pages.find(params.id)
        if review is None:
            review = await self._engine.journal.run(Journal.get, params.id)  # for its error
        path = os.fsdecode(review.files[0].path)
        scene = await self._lookout.scene(session, path, params.ide)
        return await self._ask(session, id_, Reopen(review_id=params.id, surface=params.surface), scene)

    async def _link(self, session: Session, id_: RequestId, params: requests.One) -> Any:
        invitation = await self._pages.invite(params.id)
        door = await asyncio.to_thread(self._pages.door, invitation)
        return {"address": invitation.address, "link": invitation.link, "door": door}

    async def _list(self, session: Session, id_: RequestId, params: requests.List) -> Any:
        if not params.all:
            return {"reviews": self._open_reviews()}
        latest = await self._engine.journal.run(Journal.latest, params.most)
        shown = {row["id"]: row for row in self._open_reviews()}
        return {"reviews": [shown.get(review.id, review_row(review)) for review in latest]}

    def _open_reviews(self) -> list[Any]:
        return [
            review_row(seat.review, seat.where, seat.link.name if seat.link else None)
            for seat in self._engine.router.desk.seats.values()
            if seat.review.is_open
        ]

    async def _get(self, session: Session, id_: RequestId, params: requests.One) -> Any:
        review = await self._engine.journal.run(Journal.get, params.id)
        files = [{"base": change.base, "proposed": change.proposed} for change in review.files]
        whole = decision(review)
        for shown, texts in zip(whole["files"], files, strict=True):
            shown.update(texts)
        return {**whole, "agent": review.agent, "created": review.created}

    async def _delivered(self, session: Session, id_: RequestId, params: requests.One) -> Any:
        review = await self._engine.journal.run(Journal.deliver, params.id, time.time())
        return {"id": review.id, "state": review.state}

    # ---- posing as an IDE

    async def _publish_run(self, session: Session, id_: RequestId, params: requests.PublishRun) -> Any:
        if not session.greeted:
            raise Usage("say hello first: an agent stands where its parent does")
        one = await self._publications.for_child(session, Transport(params.transport), params.port)
        return {"port": one.port, "lock": one.lock}

    async def _publish_child(self, session: Session, id_: RequestId, params: requests.PublishChild) -> Any:
        self._publications.watch(session, params.port, params.pid)
        return {}

    async def _publish_set(self, session: Session, id_: RequestId, params: requests.PublishSet) -> Any:
        await self._publications.for_everybody(params.on, Transport(params.transport), session.environ)
        return {"published": self._publications.rows()}

    async def _publish_list(self, session: Session, id_: RequestId, params: requests.Nothing) -> Any:
        return {"published": self._publications.rows()}

    # ---- the daemon itself

    async def _status(self, session: Session, id_: RequestId, params: requests.Status) -> Any:
        sighting = await self._lookout.sight(session)
        scene = self._lookout.compose(sighting, session, None, params.ide)
        now = time.time()
        links = self._engine.router.links
        status: Status = {
            "schema": SCHEMA,
            "daemon": self._about(),
            "machine": machine_row(sighting.terrain),
            "directory": session.cwd,
            "pinned": {"ide": scene.named or "", "for": scene.pinned} if scene.pinned else None,
            "ides": [
                ide_row(v, *links.state_of(v.candidate), links.lacking(v.candidate))
                for v in links.choose(scene, now).verdicts
            ],
            "ignored": [{"path": os.fspath(found.path), "reason": found.reason} for found in sighting.refused],
            "reviews": self._open_reviews(),
            "published": self._publications.rows(),
            "stayed_out": self._hooks.rows(now),
            "warnings": [*self._warnings, *self._skew(session.version)],
            "counters": {"answers_dropped": links.dropped, "paths_untranslated": links.untranslated},
        }
        if not params.render:
            return status
        return {**status, "text": render(status, now, color=params.color, columns=params.columns)}

    async def _take_back(self, session: Session, id_: RequestId, params: requests.TakeBack) -> Any:
        self._engine.feed(Withdrawn(time.time(), session.number, params.id))
        return {}

    async def _subscribe(self, session: Session, id_: RequestId, params: requests.Nothing) -> Any:
        self._engine.events.subscribe(session)
        return {}

    @property
    def _others(self) -> int:
        """How many sessions there are besides the asker's and the page's own."""
        return self._engine.sessions - 2

    def _skew(self, version: str) -> Iterator[str]:
        """Say that client and daemon are of different versions, and what to do about it."""
        mine = self._about()["version"]
        if newer(version, mine):
            yield f"this command is version {version}, the running bridge is older ({mine}): {restart(self._others)}"
        elif version and newer(mine, version):
            yield f"this command is version {version}, the running bridge is newer ({mine}): upgrade the command"

    async def _replace(self, session: Session, id_: RequestId, params: requests.Replace) -> Any:
        reason = self._needed() if newer(params.version, self._about()["version"]) else "it is not older"
        if reason is None:
            logger.info("a bridge of version %s takes over", visible(params.version))
            self._stop(True)
        return {"replacing": reason is None, "reason": reason, "sessions": self._others}

    async def _stop_daemon(self, session: Session, id_: RequestId, params: requests.Stop) -> Any:
        self._stop(params.restart)
        return {"stopping": True}
