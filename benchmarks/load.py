"""Many agents in one process: ``python -m benchmarks.load LOCK_FILE AGENTS``, until the end of standard input.

They connect to the IDE of the lock file, or to the bridge in its place, make one call each, and a line is printed.
Then each line of standard input asks for one `Window` of calls, and a line of JSON says what came of it (`Done`).
Every answer is held against its request, and an error, a lost connection or a missing answer ends the process.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.lean import ASKED_FOR, Connection, frame, request_head
from benchmarks.stage import Ide

PATIENCE_S = 30.0  # for the answers that are still to come
CALL = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"getDiagnostics","arguments":{"uri":"%b"}}}'
INITIALIZE = (
    b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    b'"clientInfo":{"name":"benchmark","version":"0"}}}'
)
INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


class Window(msgspec.Struct):
    """What is wanted: for how long, and at which rate in total; by default each agent calls again when it may."""

    seconds: float
    rate: float | None = None


class Done(msgspec.Struct):
    """What came of it."""

    calls: int
    seconds: float  # until the last answer
    p99_s: float  # from a call to its answer


class Answer(msgspec.Struct):
    id: int | None = None  # None: a notification
    result: msgspec.Raw = msgspec.Raw()


ANSWER = msgspec.json.Decoder(Answer)


class Load:
    """All agents together."""

    def __init__(self) -> None:
        self.agents: list[Agent] = []
        self.until = 0.0  # before that an answer leads to the next call
        self.pending = 0
        self.took: list[float] = []
        self._settled: asyncio.Future[None] | None = None

    async def connect(self, port: int, token: str, agents: int) -> None:
        head = request_head(port, token)
        for _ in range(agents):
            _, agent = await asyncio.get_running_loop().create_connection(lambda: Agent(self, head), "127.0.0.1", port)
            self.agents.append(agent)
            self.pending += 1  # the handshake
            await self._settle()
            agent.call()
            await self._settle()

    async def measure(self, window: Window) -> Done:
        self.took.clear()
        begun = time.perf_counter()
        if window.rate is None:
            self.until = begun + window.seconds
            for agent in self.agents:
                agent.call()
        else:
            await self._pace(begun, window.rate, int(window.rate * window.seconds))
        await self._settle(window.seconds)
        took = sorted(self.took)
        return Done(len(took), time.perf_counter() - begun, took[len(took) * 99 // 100])

    async def _pace(self, begun: float, rate: float, calls: int) -> None:
        """Call at a steady pace, whether or not earlier calls are answered, each agent in its turn."""
        for number in range(calls):
            pause_s = begun + number / rate - time.perf_counter()
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            self.agents[number % len(self.agents)].call()

    async def _settle(self, seconds: float = 0.0) -> None:
        """Wait until everything is answered."""
        if self.pending:
            self._settled = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._settled, seconds + PATIENCE_S)

    def answered(self) -> None:
        self.pending -= 1
        if not self.pending and self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def lost(self, why: Exception | None) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_exception(why or ConnectionError("an agent's connection was closed"))


class Agent(Connection):
    """An agent's end of a connection."""

    masked = True

    def __init__(self, load: Load, head: bytes) -> None:
        super().__init__()
        self._load = load
        self._head = head
        self._last = 0  # the id of its latest request
        self._begun: dict[int, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(exc)

    def upgrade(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(head.partition(b"\r\n")[0].decode())
        self._begun[0] = time.perf_counter()
        self.transport.write(frame(INITIALIZE, masked=True))

    def call(self) -> None:
        self._load.pending += 1
        self.transport.write(self._next())

    def _next(self) -> bytes:
        self._last += 1
        self._begun[self._last] = time.perf_counter()
        return frame(CALL % (self._last, ASKED_FOR.encode()), masked=True)

    def heard(self, message: bytes) -> bytes:
        answer = ANSWER.decode(message)
        if answer.id is None:
            return b""
        now = time.perf_counter()
        took = now - self._begun.pop(answer.id)
        if not answer.result:
            raise RuntimeError(message[:200])
        if answer.id == 0:
            self._load.answered()
            return frame(INITIALIZED, masked=True)
        self._load.took.append(took)
        if now < self._load.until:
            return self._next()
        self._load.answered()
        return b""


async def main(port: int, token: str, agents: int) -> None:
    load = Load()
    await load.connect(port, token, agents)
    print(flush=True)
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        done = await load.measure(msgspec.json.decode(line, type=Window))
        print(msgspec.json.encode(done).decode(), flush=True)


if __name__ == "__main__":
    import uvloop

    lock = Path(sys.argv[1])
    ide = Ide(int(lock.stem), lock)
    uvloop.run(main(ide.port, ide.token(), int(sys.argv[2])))
