"""The blocking client of the bridge: what the command line uses, and agent authors in Python.

::

    from bridge.client import Client

    with Client(name="my agent") as bridge:
        review = bridge.propose("src/app.py", new_text, title="Fix the off-by-one")
        decision = bridge.wait(review)  # hours, if need be
        if decision["files"][0]["final"] is not None:
            ...  # write it, then:
            bridge.delivered(review)

Standard library only, and little of it. It finds the daemon, or starts it. A review outlives the daemon: `wait`
and `propose` go on with the next one when it dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import update_wrapper

from bridge import asking
from bridge.connection import CALL_S, Caller, Lost, Silent, Stopped, Wire, heard
from bridge.errors import Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from bridge.asking import Ask
    from bridge.connection import Notified
    from bridge.news import Backlog, Event

    P = ParamSpec("P")
    T = TypeVar("T")

__all__ = ["Client", "Silent", "Stopped"]


def _asks(describe: Callable[Concatenate[object, P], Ask[T]]) -> Callable[Concatenate[Client, P], T]:
    """Make a method of what `bridge.asking` describes."""

    def ask(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        method, params, read = describe(client, *args, **kwargs)
        return read(client.request(method, params))

    return update_wrapper(ask, describe)


class Client:
    """A connection to the user's daemon; a context manager.

    Args:
        name: what the human sees as the asker.
        spawn: start a daemon if none runs, or in place of an older one that is idle.
        cwd: the directory that relative paths count from, and that IDEs are matched with; default: ours.
        environ: default: ours.
        patience: seconds that a daemon has to answer a new connection; default 30.

    Every method raises `BridgeError` with a hint of what to do; `Unavailable` when there is no daemon.
    """

    def __init__(
        self,
        *,
        name: str = "",
        spawn: bool = True,
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
        patience: float = CALL_S,
    ) -> None:
        self._caller = Caller(name, spawn, cwd, environ, patience)
        self._wire: Wire | None = None
        self._backlog: Backlog | None = None  # once somebody listens
        self._listening: Wire | None = None  # where we subscribed
        self._deaths = asking.Deaths()  # while listening

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; undecided reviews stay."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    @property
    def daemon_pid(self) -> int | None:
        """The daemon's PID as the kernel knows it; None before we are connected, 0 where that cannot be seen."""
        return self._caller.daemon_pid

    # ---- for agents

    open_file = _asks(asking.open_file)
    call_tool = _asks(asking.call_tool)
    is_dirty = _asks(asking.is_dirty)
    propose = _asks(asking.propose)
    propose_files = _asks(asking.propose_files)
    cancel = _asks(asking.cancel)
    delivered = _asks(asking.delivered)
    status = _asks(asking.status)

    def wait(
        self,
        review_id: str,
        timeout: float | None = None,
        *,
        on_surface: Callable[[dict[str, Any]], None] | None = None,
        bound: bool = False,
        grace: float = asking.GRACE_S,
    ) -> dict[str, Any]:
        """Wait until the review has ended, and return how.

        Args:
            timeout: seconds; None waits for as long as the human takes.
            on_surface: is told where the review is shown, now and whenever that changes: ``surface`` (``ide``,
                ``queued``, ``page`` or None), ``ide`` (name), ``reason``.
            bound: whether the review ends with our connection to a daemon that lives on: nobody else wants to know.
            grace: seconds that the daemon has, beyond the time-out, to say that it is over.

        Returns ``outcome``, ``trigger``, ``comments`` and ``files``, each with ``path``, ``edited`` and
        ``final``, the text to write (None unless accepted).
        Raises `StillPending` at the time-out: the review stays. `Stopped` when the user stopped the bridge.
        """
        notified = asking.about_surface(review_id, on_surface)
        endurance = asking.Endurance(review_id, timeout, bound, grace)
        while True:
            params, patience = endurance.begin()
            try:
                result: dict[str, Any] = self._exchange("review/wait", params, patience, notified)
            except Lost as exc:
                endurance.lost(exc)
            else:
                return result

    def next_event(self, timeout: float) -> Event | None:
        """Wait for the next thing that happens in the daemon, so many seconds; `bridge.news` lists the events.

        The first is ``missed``: from here on nothing is, and `status` tells how things stand. When the daemon dies
        this goes on with the next one, from another ``missed``. Other methods may be called in between. Returns None
        at the time-out; raises `Stopped` when the user stopped the daemon.
        """
        from bridge.news import MISSED, Backlog  # only who listens pays for it

        if self._backlog is None:
            self._backlog = Backlog()
        deadline = time.monotonic() + timeout
        while True:
            try:
                if self._wire is None or self._wire is not self._listening:
                    self._deaths.begin()
                    self._exchange("events/subscribe", {}, CALL_S)
                    self._listening = self._wire
                    self._backlog.add(dict(MISSED))
                event = self._backlog.take()
                if event is not None or time.monotonic() >= deadline:
                    return event
                self._hear(deadline)
            except Lost as exc:
                self._deaths.lost(exc)

    def _hear(self, deadline: float) -> None:
        """Take one message that comes out of turn, if one comes in time."""
        assert self._wire is not None
        try:
            heard(self._wire.read(deadline), self._notified())
        except TimeoutError:
            return
        except OSError as exc:
            self.close()
            raise Lost(str(exc)) from exc
        except Stopped:
            self.close()
            raise

    def _notified(self, further: Notified | None = None) -> Notified:
        """Keep events, whatever else the connection is used for; the rest goes further."""

        def notified(method: str, params: dict[str, Any]) -> None:
            if method != "event":
                if further is not None:
                    further(method, params)
            elif self._backlog is not None:
                self._backlog.add(params)

        return notified

    # ---- requests

    def request(self, method: str, params: Mapping[str, Any] | None = None, timeout: float = CALL_S) -> Any:
        """Ask the daemon and return its answer; what may be asked again is, once, if the daemon dies.

        Raises `Unavailable` when it goes away meanwhile.
        """
        again = method in asking.REPEATABLE
        while True:
            try:
                return self._exchange(method, params or {}, timeout)
            except Lost as exc:
                if not again:
                    raise Unavailable(f"the bridge went away: {exc}", "try again; bridge logs tells why") from None
                again = False

    def _exchange(
        self, method: str, params: Mapping[str, Any], timeout: float | None, notified: Notified | None = None
    ) -> Any:
        try:
            if self._wire is None:
                self._wire = self._caller.connect()
            return self._wire.ask(method, params, timeout, self._notified(notified))
        except TimeoutError:
            self.close()
            raise Silent(f"the bridge does not answer {method}", "bridge restart") from None
        except OSError as exc:
            self.close()
            raise Lost(str(exc)) from exc
        except (KeyboardInterrupt, Stopped):  # what may still come answers nobody's next request
            self.close()
            raise

    def fileno(self) -> int | None:
        """The connection's file descriptor, to wait for what comes out of turn; None: there is none."""
        return None if self._wire is None else self._wire.fileno()

    def is_lost(self) -> bool:
        """Take what came out of turn, and tell whether the daemon went away without being told to.

        One that the user stopped is not lost, but then the connection is closed all the same.
        """
        try:
            self._hear(time.monotonic())
        except Lost:
            return True
        except Stopped:
            pass
        return False

    def wait_for_end(self, timeout: float = CALL_S) -> None:
        """Wait until the daemon has closed this connection. Raises `Unavailable` when it does not."""
        if self._wire is not None:
            try:
                self._wire.wait_for_end(timeout)
            except TimeoutError:
                raise Unavailable("the bridge does not end", "bridge logs") from None
            self.close()
