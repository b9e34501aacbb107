"""The methods of the control socket: gather the facts, then ask the router, the journal or the page."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from bridge.agents import requests
from bridge.agents.control import LATER, Handler, Session
from bridge.core import text
from bridge.core.events import Ask, AskDirty, Asked, CallTool, Cancel, OpenFile, Propose, Reopen, Scene, Wait
from bridge.core.jsonrpc import RequestId
from bridge.core.reviews import Change, Review, decision, digest
from bridge.core.status import SCHEMA, Daemon, Status, ide_row, machine_row, render, review_row
from bridge.daemon.engine import Engine
from bridge.daemon.lookout import Lookout
from bridge.daemon.pages import Pages
from bridge.daemon.terminals import Terminals
from bridge.errors import BadData, BridgeError, Usage
from bridge.store.files import read_file
from bridge.store.journal import Journal

__all__ = ["Methods"]

_MOST_TO_POSITION: Final = 4 * 2**20  # bytes of a file that is read to find a line in it
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # of review ids: no two look alike


class Methods:
    """Handles every method of the control socket.

    Args:
        about: what `status` says of the daemon itself.
        warnings: what the daemon met with and the user should know.
        stop: ends the daemon; its argument tells whether another one comes.
    """

    def __init__(
        self,
        engine: Engine,
        lookout: Lookout,
        pages: Pages,
        about: Callable[[], Daemon],
        warnings: Callable[[], list[str]],
        stop: Callable[[bool], None],
    ) -> None:
        self._engine = engine
        self._lookout = lookout
        self._pages = pages
        self._about = about
        self._warnings = warnings
        self._stop = stop
        self._terminals = Terminals(engine.journal, lookout)

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
            "review/cancel": (requests.One, self._cancel),
            "review/open": (requests.OpenReview, self._reopen),
            "review/link": (requests.One, self._link),
            "review/list": (requests.List, self._list),
            "review/get": (requests.One, self._get),
            "review/delivered": (requests.One, self._delivered),
            "daemon/stop": (requests.Stop, self._stop_daemon),
            **self._terminals.table(),
        }

    async def _ask(self, session: Session, id_: RequestId, ask: Ask, scene: Scene | None = None) -> Any:
        await self._engine.feed(Asked(time.time(), session.number, id_, ask, scene))
        return LATER

    async def _hello(self, session: Session, id_: RequestId, params: requests.Hello) -> Any:
        if not os.path.isabs(params.cwd):
            raise Usage("cwd is not an absolute path")
        session.greeted = True
        session.cwd, session.environ, session.name = session.resolve(params.cwd), params.environ, params.name
        session.terminal_pid = params.terminal_pid
        self._lookout.remember(params.environ)
        about = self._about()
        return {"version": about["version"], "pid": about["pid"], "capabilities": about["capabilities"]}

    # ---- what an IDE does

    async def _open(self, session: Session, id_: RequestId, params: requests.Open) -> Any:
        path = session.resolve(params.path)
        contents = await asyncio.to_thread(_text_to_search, path, params.line is not None)
        ask = OpenFile(path=path, line=params.line, column=params.column, text=contents)
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
        if len(params.files) != 1:
            raise Usage("a proposal is about exactly one file so far")
        files = [await asyncio.to_thread(_change, session.resolve(file.path), file) for file in params.files]
        workspace = os.fsencode(session.cwd)
        scene = await self._lookout.scene(session, os.fsdecode(files[0].path), params.ide)
        now = time.time()
        review = Review(
            id="".join(secrets.choice(_ALPHABET) for _ in range(8)),
            files=tuple(files),
            workspace=workspace,
            created=now,
            changed=now,
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
        return await self._ask(session, id_, Wait(review_id=params.id, until=until))

    async def _cancel(self, session: Session, id_: RequestId, params: requests.One) -> Any:
        return await self._ask(session, id_, Cancel(review_id=params.id))

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
            "ides": [ide_row(v, *links.state_of(v.candidate)) for v in links.choose(scene, now).verdicts],
            "ignored": [{"path": os.fspath(found.path), "reason": found.reason} for found in sighting.refused],
            "reviews": self._open_reviews(),
            "warnings": self._warnings(),
            "counters": {"answers_dropped": links.dropped, "paths_untranslated": links.untranslated},
        }
        if not params.render:
            return status
        return {"text": render(status, now, color=params.color, columns=params.columns)}

    async def _stop_daemon(self, session: Session, id_: RequestId, params: requests.Stop) -> Any:
        self._stop(params.restart)
        return {"stopping": True}


def _text_to_search(path: str, wanted: bool) -> str | None:
    """Check that the file is there before any IDE is asked (some open nothing and call it success) and read it.

    Raises `BadData` for what is no file. A file that is too large or no text is opened without a place.
    """
    try:
        found = os.stat(path)
    except OSError as exc:
        raise BadData(f"cannot open {path}: {exc.strerror}", "check the path") from exc
    if not stat.S_ISREG(found.st_mode):
        raise BadData(f"cannot open {path}: it is not a regular file", "name a file")
    if not wanted or found.st_size > _MOST_TO_POSITION:
        return None
    try:
        return text.decode(read_file(os.fsencode(path)) or b"")
    except BridgeError:
        return None


def _change(path: str, file: requests.File) -> Change:
    """Build the change of one file: what is there, and what is proposed instead.

    Raises `BadData` for a file or a proposal that is no text, and when nothing would change.
    """
    name = os.fsencode(os.path.realpath(path))
    if os.path.isdir(name):
        raise BadData(f"{path} is a directory", "name a text file")
    if not os.path.isdir(os.path.dirname(name)):
        raise BadData(f"there is no directory for {path}", "make it first")
    if "\0" in file.proposed:
        raise BadData("the proposed text is binary", "the bridge reviews text files only")
    if file.base is None:
        there = read_file(name, requests.MOST_TEXT)
        base = _decode(path, there or b"")
    else:
        there, base = file.base.encode("utf-8", "surrogatepass") or None, file.base
    if there is not None and base == file.proposed:
        raise BadData(f"nothing would change in {path}", "the file has the proposed text already")
    return Change(path=name, base_hash=None if there is None else digest(there), base=base, proposed=file.proposed)


def _decode(path: str, data: bytes) -> str:
    try:
        return text.decode(data)
    except BadData as exc:
        raise BadData(f"{path}: {exc.message}", exc.hint) from exc
