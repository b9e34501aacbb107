"""The daemon's life: claim the place, open the journal, serve, leave when told or when nobody needs it."""

from __future__ import annotations

import asyncio
import gc
import logging
import logging.handlers
import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from bridge import __version__
from bridge.agents.control import ControlServer, Session
from bridge.agents.requests import CAPABILITIES
from bridge.core.events import Restored
from bridge.core.reviews import EXPIRES_AFTER_S, State
from bridge.core.router import Router
from bridge.core.status import Daemon
from bridge.core.text import visible
from bridge.daemon.engine import Engine
from bridge.daemon.hooks import Hooks
from bridge.daemon.instance import AlreadyRunning, Instance, claim
from bridge.daemon.lookout import Lookout
from bridge.daemon.mcp import McpFront
from bridge.daemon.mcphttp import McpHttp
from bridge.daemon.methods import Methods
from bridge.daemon.pages import Pages
from bridge.daemon.pins import SETTING, Pins
from bridge.daemon.poses import Poses
from bridge.daemon.publications import Publications
from bridge.daemon.settings import Settings, jetbrains_of, read_settings, surroundings_of
from bridge.daemon.tasks import Tasks
from bridge.errors import BridgeError, ExitCode
from bridge.ides.dialing import Dialer
from bridge.ides.sockets import Sockets
from bridge.ides.watch import silent, watch
from bridge.paths import make_private, paths
from bridge.store.journal import Journal, JournalThread

__all__ = ["run"]

logger = logging.getLogger(__name__)

LOG_BYTES: Final = 2**20
LOG_FILES: Final = 3
DRAIN_S: Final = 2.0  # from the signal to the end
PURGE_EVERY_S: Final = 24 * 3600.0
CHECKS: Final = 10  # of the idle time: how exactly the daemon keeps it


def run(environ: Mapping[str, str], tell: Callable[[dict[str, Any]], None]) -> ExitCode:
    """Be the daemon until it is told to stop, or idle.

    Args:
        environ: only ``HOME`` and ``XDG_*`` matter, to find the directories.
        tell: is told once, when clients may connect (``{"ok": true, "already": false}``; ``already`` when another
            daemon runs) or why they may not (``{"ok": false, "error": …}``, a JSON-RPC error object).

    Returns `ExitCode.DONE` also when another daemon runs already: then there is nothing to do.
    """
    try:
        places = paths(environ)
        settings = read_settings(Path(places.config))
        with claim(places, environ, tcp=settings.socket == "tcp") as instance:
            make_private(os.path.dirname(places.log))
            _log_to(places.log)
            journal = JournalThread(places.journal)
            try:
                with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                    life = _Life(instance, settings, journal)
                    runner.run(life.live(lambda: tell({"ok": True, "already": False})))
            finally:
                journal.close()
    except AlreadyRunning:
        tell({"ok": True, "already": True})
    except BridgeError as error:
        tell({"ok": False, "error": error.to_json()})
        return error.exit_code
    except Exception:
        logger.exception("a bug ends the bridge")  # stderr leads nowhere
        raise
    return ExitCode.DONE


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Choose the event loop: uvloop, where it is installed, for a hop between agent and IDE is mostly sockets."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class _Visible(logging.Formatter):
    """One line for a message, whatever names it quotes; a bug's traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record), multiline=record.exc_info is not None)


def _log_to(path: str) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(_Visible("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("websockets", "watchfiles", "uvicorn", "filelock", "aiohttp", "sse_starlette", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Leave(Exception):
    """Ends the TaskGroup and everything in it."""


class _Life:
    """One daemon, from its start to its end."""

    def __init__(self, instance: Instance, settings: Settings, journal: JournalThread) -> None:
        self._instance = instance
        self._settings = settings
        self._journal = journal
        self._started = time.time()
        self._stopping = asyncio.Event()
        self._restart = False
        self._warnings = [journal.warning] if journal.warning else []
        self._busy_until = time.monotonic()

    async def live(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`; then drain within `DRAIN_S`."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self.stop, False)
        try:
            async with Tasks() as tasks:
                control = await self._open(tasks)
                self._instance.announce({"pid": os.getpid(), "version": __version__, "started": self._started})
                gc.collect()
                gc.freeze()  # what start-up made stays: the collector need not look at it again
                logger.info("bridge %s is ready at %s", __version__, self._instance.address)
                ready()
                await self._stopping.wait()
                await self._drain(control)
                raise _Leave
        except* _Leave:
            pass

    async def _drain(self, control: ControlServer) -> None:
        logger.info("stopping")
        self.hooks.stop()
        await control.stop(self._restart)
        self.engine.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(self.publications.stop(), self.pages.stop(), self.mcp_http.stop())
        await asyncio.sleep(0)  # let the sessions' last words out

    async def _open(self, tasks: asyncio.TaskGroup) -> ControlServer:
        """Build everything, take back what an earlier life left, begin to serve."""
        places = self._instance.paths
        # The high bits are this life's own: an answer to a request of an earlier life matches nothing.
        ids = count((secrets.randbits(31) << 20) + 1)
        router = Router(ids, pid=os.getpid(), version=__version__)
        surroundings = surroundings_of(self._settings)
        dialer = Dialer(leads=surroundings.leads)
        pins = Pins(await self._journal.run(Journal.setting, SETTING))
        machine = surroundings, dialer
        takeover, jetbrains = self._settings.takeover, jetbrains_of(self._settings)
        lookout = Lookout(Path(places.home), takeover, *machine, pins=pins, jetbrains=jetbrains)
        sockets = partial(Sockets, dialer=dialer, open_relay=surroundings.open_relay)
        self.engine = Engine(tasks, router, self._journal, lookout.scene_of, self._saved, self._ended, sockets)
        lookout.links = self.engine.sockets
        self.pages = Pages(tasks, self.engine, self._journal, places.doors)
        self.engine.joined(self.pages)
        self.publications = Publications(tasks, Poses(self.engine, lookout), self._journal, places.home, places.state)
        lookout.own = self.publications
        self.hooks = Hooks(self.engine, lookout, self.publications, always=self._settings.hook_always)
        methods = Methods(
            *(self.engine, lookout, self.pages, self.publications, self.hooks),
            *(self._about, self._warnings, self.stop, self._needed),
        )
        front = McpFront(tasks, self.engine, lookout, self.pages)
        self.mcp_http = McpHttp(tasks, self.engine, front, self._settings.mcp_http, places.mcp_token, self._warn)
        control = ControlServer(tasks, methods.table() | front.table(), self, self._instance.token)
        await self._journal.run(Journal.purge, time.time() - EXPIRES_AFTER_S)
        await self.pages.resume()
        self.engine.feed(Restored(time.time(), await self._journal.run(Journal.undecided)))
        await self.publications.resume()
        self.mcp_http.start()
        await control.start(self._instance.listener)
        tasks.create_task(surroundings.terrain(), name="finding the other side")  # whose lock files are watched too
        self._watch(tasks, lookout)
        tasks.create_task(self._keep_house(), name="keeping house")
        return control

    def stop(self, restart: bool) -> None:
        """Begin to leave; may be called again."""
        self._restart = restart
        self._stopping.set()

    def _about(self) -> Daemon:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self._started,
            "socket": self._instance.address,
            "log": self._instance.paths.log,
            "capabilities": list(CAPABILITIES),
            "page": self.pages.running,
            "mcp_http": self.mcp_http.address,
        }

    def _saved(self, review_id: str) -> None:
        self.pages.saved(review_id)

    async def _ended(self, review_id: str) -> None:
        await self.pages.ended(review_id)

    # ---- sessions

    def joined(self, session: Session) -> None:
        """A session began."""
        self.engine.joined(session)

    async def left(self, session: Session) -> None:
        """A session ended: from now on the daemon may be idle."""
        self._note_use()
        self.engine.left(session)
        self.hooks.left(session)
        await self.publications.left(session)

    def _note_use(self) -> None:
        self._busy_until = time.monotonic()

    # ---- in the background

    def _watch(self, tasks: asyncio.TaskGroup, lookout: Lookout) -> None:
        def changed() -> None:
            self.engine.look_again()
            self.engine.events.publish({"type": "locks"})

        def those(polled: bool) -> list[Path]:
            known = lookout.directories
            mute = silent(known)
            return [directory for directory in known if (directory in mute) is polled]

        # Apart, for those on Windows' drives tell nothing by themselves.
        for polled in (False, True):
            watching = watch(partial(those, polled), changed, polling=polled, warn=self._warn)
            tasks.create_task(watching, name="watching lock directories")

    def _warn(self, text: str) -> None:
        logger.warning("%s", visible(text))
        self._warnings.append(text)

    async def _keep_house(self) -> None:
        """Purge old decisions, stop an unused page, leave when idle."""
        idle_s = self._settings.idle_minutes * 60
        purged = time.monotonic()
        while True:
            await asyncio.sleep(min(idle_s / CHECKS, PURGE_EVERY_S))
            now = time.monotonic()
            if now - purged > PURGE_EVERY_S:
                purged = now
                with suppress(sqlite3.Error):  # a full disk is told where it matters
                    await self._journal.run(Journal.purge, time.time() - EXPIRES_AFTER_S)
            await self.pages.tidy(idle_s / CHECKS)
            if self._in_use() or self.publications.ports or self.mcp_http.address:
                self._note_use()
            elif now - max(self._busy_until, self.pages.last_used) >= idle_s:
                logger.info("nobody needs the bridge: leaving")
                self.stop(False)

    def _in_use(self, known: int = 1) -> bool:
        """Tell whether a session is attached, or an IDE shows a diff (design.md D6); one asker is the page."""
        shown = any(seat.where == "ide" for seat in self.engine.router.desk.seats.values())
        return self.engine.sessions > known or shown

    def _needed(self) -> str | None:
        """Say what the daemon is needed for besides one asker; None when another may take its place.

        A page that nobody looked into comes back by itself with the next daemon, and so do reviews.
        """
        if self._in_use(known=2) or self.publications.needed:
            return "other sessions are attached, agents have it as their IDE, or an IDE shows a diff"
        seen = any(seat.review.state is State.SHOWN for seat in self.engine.router.desk.seats.values())
        lately = time.monotonic() - self.pages.last_used < self._settings.idle_minutes * 60
        return "a human looks at a review" if seen and lately else None
