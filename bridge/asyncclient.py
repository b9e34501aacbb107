"""The asyncio client of the bridge: the methods of `bridge.client.Client`, many at a time on one connection.

::

    from bridge import AsyncClient

    async with AsyncClient(name="my agent") as bridge:
        review = await bridge.propose("src/app.py", new_text)
        decision = await bridge.wait(review)

A task that is cancelled takes its request back. Standard library only.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import update_wrapper
from itertools import count
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from bridge import asking
from bridge.connection import CALL_S, Caller, Daemon, Lost, Silent, Wire, encode, heard, result_of
from bridge.errors import Unavailable
from bridge.news import MISSED, Backlog

if TYPE_CHECKING:
    from bridge.asking import Ask
    from bridge.connection import Notified
    from bridge.news import Event

__all__ = ["AsyncClient"]

P = ParamSpec("P")
T = TypeVar("T")


def _asks(
    describe: Callable[Concatenate[object, P], Ask[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Make a method of what `bridge.asking` describes."""

    async def ask(client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        method, params, read = describe(client, *args, **kwargs)
        return read(await client.request(method, params))

    return update_wrapper(ask, describe)


class AsyncClient:
    """A connection to the user's daemon; an asynchronous context manager, for one event loop.

    Its arguments are those of `bridge.client.Client`. Every method raises `BridgeError` with a hint of what to do;
    `Unavailable` when there is no daemon.
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
        self._line: _Line | None = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave; undecided reviews stay, and whoever still waits is told `Unavailable`."""
        if self._line is not None:
            self._line.end(Unavailable("this client was closed while it waited for an answer"))
            await self._line.gone.wait()
            self._line = None

    @property
    def daemon_pid(self) -> int | None:
        """The daemon's PID as `bridge.client.Client.daemon_pid` says."""
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

    async def wait(
        self,
        review_id: str,
        timeout: float | None = None,  # noqa: ASYNC109  the daemon keeps it, and answers then
        *,
        on_surface: Callable[[dict[str, Any]], None] | None = None,
        bound: bool = False,
        grace: float = asking.GRACE_S,
    ) -> dict[str, Any]:
        """Wait until the review has ended, and return how; everything is as `bridge.client.Client.wait` says."""
        notified = asking.about_surface(review_id, on_surface)
        endurance = asking.Endurance(review_id, timeout, bound, grace)
        while True:
            params, patience = endurance.begin()
            try:
                result: dict[str, Any] = await self._exchange("review/wait", params, patience, notified)
            except Lost as exc:
                endurance.lost(exc)
            else:
                return result

    async def events(self) -> AsyncIterator[Event]:
        """Tell what happens in the daemon from now on; `bridge.news` lists the events.

        The first is ``missed``: from here on nothing is, and `status` tells how things stand. When the daemon dies
        this goes on with the next one, from another ``missed``. Events about one thing replace each other while they
        are not taken. Raises `Stopped` when the user stopped the daemon.
        """
        deaths = asking.Deaths()
        while True:
            deaths.begin()
            try:
                line = await self._connected()
                with line.listening() as ear:
                    await self._exchange("events/subscribe", {}, CALL_S)
                    yield dict(MISSED)
                    while True:
                        yield await ear.next()
            except (Lost, OSError) as exc:
                deaths.lost(exc)

    # ---- requests

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        timeout: float = CALL_S,  # noqa: ASYNC109  as the blocking client has it
    ) -> Any:
        """Ask the daemon and return its answer; what may be asked again is, once, if the daemon dies.

        Raises `Unavailable` when it goes away meanwhile.
        """
        again = method in asking.REPEATABLE
        while True:
            try:
                return await self._exchange(method, params or {}, timeout)
            except Lost as exc:
                if not again:
                    raise Unavailable(f"the bridge went away: {exc}", "try again; bridge logs tells why") from None
                again = False

    async def _exchange(
        self, method: str, params: Mapping[str, Any], patience: float | None, notified: Notified | None = None
    ) -> Any:
        try:
            line = await self._connected()
            async with asyncio.timeout(patience):
                return await line.ask(method, params, notified)
        except TimeoutError:
            raise Silent(f"the bridge does not answer {method}", "bridge restart") from None
        except OSError as exc:
            raise Lost(str(exc)) from exc

    async def _connected(self) -> _Line:
        async with self._connecting:
            if self._line is None or self._line.fault is not None:
                self._line = await self._connect()
            return self._line

    async def _connect(self) -> _Line:
        """Get a connection as the blocking client does, in a thread, since a daemon may have to start first."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(None, self._caller.connect)
        try:
            wire = await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_close_unused)
            raise
        connection, rest = wire.detach()
        line = _Line(wire.daemon, rest)
        taken = socket.socket(fileno=connection)
        take = loop.create_connection if taken.family == socket.AF_INET else loop.create_unix_connection
        await take(lambda: line, sock=taken)
        return line


def _close_unused(work: asyncio.Future[Wire]) -> None:
    """Nobody wants the connection any more."""
    if not work.cancelled() and work.exception() is None:
        work.result().close()


class _Call:
    """An unanswered request."""

    def __init__(self, notified: Notified | None) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.notified = notified

    def fail(self, why: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(why)


class _Ear:
    """Who listens to events."""

    def __init__(self, line: _Line) -> None:
        self.backlog = Backlog()
        self.wake = asyncio.Event()
        self._line = line

    async def next(self) -> Event:
        while (event := self.backlog.take()) is None:
            if self._line.fault is not None:
                raise self._line.fault
            self.wake.clear()
            await self.wake.wait()
        return event


class _Line(asyncio.Protocol):
    """One connection: answers go to their requests, what comes out of turn to those whom it concerns."""

    def __init__(self, daemon: Daemon, rest: bytes) -> None:
        self.daemon = daemon
        self.fault: Exception | None = None  # why it ended, if it has
        self.gone = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(rest)  # what came behind the answer to ``hello``, perhaps not whole
        self._ids = count(1)
        self._calls: dict[int, _Call] = {}
        self._ears: set[_Ear] = set()

    async def ask(self, method: str, params: Mapping[str, Any], notified: Notified | None) -> Any:
        """Ask and wait; who is cancelled meanwhile takes the request back."""
        self.daemon.require(method)
        id_, call = next(self._ids), _Call(notified)
        self._send(id_, method, params)
        self._calls[id_] = call
        try:
            return await call.answer
        finally:
            if self._calls.pop(id_, None) is not None and self.fault is None and self.daemon.can("request"):
                self._send(next(self._ids), "request/cancel", {"id": id_})

    @contextmanager
    def listening(self) -> Iterator[_Ear]:
        ear = _Ear(self)
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)

    def _send(self, id_: int, method: str, params: Mapping[str, Any]) -> None:
        if self.fault is not None or self._transport is None:
            raise self.fault or ConnectionResetError("there is no connection")
        self._transport.write(encode(id_, method, params))

    def end(self, why: Exception) -> None:
        """Fail whoever waits, and close."""
        if self.fault is None:
            self.fault = why
            calls, self._calls = self._calls, {}
            for call in calls.values():
                call.fail(why)
            for ear in self._ears:
                ear.wake.set()
        if self._transport is not None:
            self._transport.abort()  # a peer that reads no more would keep it open for ever

    # ---- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none, and does the same
        self._take_lines()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if b"\n" in data:
            self._take_lines()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(exc if isinstance(exc, OSError) else ConnectionResetError("it closed the connection"))
        self.gone.set()

    def _take_lines(self) -> None:
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            try:
                heard(message, self._notified)
            except (OSError, Unavailable) as exc:
                self.end(exc)
        elif (call := self._calls.pop(message.get("id", 0), None)) is not None and not call.answer.done():
            try:
                call.answer.set_result(result_of(message))
            except Exception as exc:  # the refusal
                call.answer.set_exception(exc)

    def _notified(self, method: str, params: dict[str, Any]) -> None:
        if method == "event":
            for ear in self._ears:
                ear.backlog.add(params)
                ear.wake.set()
            return
        for call in list(self._calls.values()):
            try:
                if call.notified is not None:
                    call.notified(method, params)
            except Exception as exc:  # the listener's own, so it goes to who waits
                call.fail(exc)
