"""A relay into Windows: a Windows process whose stdin and stdout are a connection to Windows' own loopback.

Behind NAT a Windows IDE that listens on 127.0.0.1 only cannot be reached from WSL. But WSL can start a Windows
program (interop), and that one can reach it. So where no way led to the IDE, one that is installed anyway is
started with a script of a few lines (`bridge.ides.relay_scripts`), and ends with the link.

The process gets one end of a socket pair as its stdin and stdout, and `Relay.endpoint` is the other: nothing here
copies bytes, the kernel's buffers are the only ones, and a closed endpoint is the end of the process's stdin. Before
anything is sent the process says whether it is connected, so no token goes to one that is not. Its arguments hold the
port and nothing secret.

Sources: docs/protocol.md "Reaching Windows". Tested with stand-ins for Windows programs; it awaits a real Windows.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from enum import StrEnum
from typing import Final

from bridge.core.reach import ENDED
from bridge.core.text import visible
from bridge.ides.relay_programs import Program, find_programs
from bridge.ides.relay_scripts import GREETING, PROGRAMS
from pathconv.probe import Probe

__all__ = ["GREETING_S", "Relay", "RelayError", "Trouble", "open_relay"]

GREETING_S: Final = 10.0  # some builds of WSL take seconds to start a Windows program
ENDING_S: Final = 1.0  # from SIGTERM to SIGKILL, and from there to not waiting any more
LAST_WORDS_S: Final = 1.0  # for the stderr of a process whose stdout has ended
GREETING_MOST: Final = 300  # bytes: a message of Windows, in the user's language, escaped
STDERR_MOST: Final = 2048  # bytes, the first ones: they say why, the rest is a stack
REASON_MOST: Final = 200  # characters


class Trouble(StrEnum):
    """Why there is no relay."""

    INTEROP_OFF = "interop off"
    NO_PROGRAM = "no program"
    REFUSED = "refused"  # the relay works, and nothing listens on the port
    TIMED_OUT = "timed out"
    FAILED = "failed"  # the program cannot be started, or does something else


_HINTS: Final = {
    Trouble.INTEROP_OFF: "set enabled=true under [interop] in /etc/wsl.conf, then run wsl.exe --shutdown in Windows",
    Trouble.NO_PROGRAM: "mount drive C: (automount in /etc/wsl.conf), where Windows has its powershell.exe",
    Trouble.REFUSED: ENDED,
}


class RelayError(OSError):
    """No relay; says why in words for people, and in `hint`, if any, what to do."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.hint = _HINTS.get(trouble)


# ---- one process


class _Process(asyncio.SubprocessProtocol):
    """What is heard of a process: the beginning of its stderr, and its end."""

    def __init__(self) -> None:
        self.stderr = b""
        self.ended = asyncio.Event()
        self.fell_silent = asyncio.Event()  # it has ended, and its stderr too

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep the first words, and let the rest pass, so that nobody waits for us."""
        self.stderr = (self.stderr + data)[:STDERR_MOST]

    def process_exited(self) -> None:
        """Note the end."""
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more is coming."""
        self.fell_silent.set()


class Relay:
    """A running relay. Whoever opened it must `close` it; until then the process lives as long as the connection."""

    def __init__(self, endpoint: socket.socket, transport: asyncio.SubprocessTransport, process: _Process) -> None:
        self.endpoint = endpoint
        """Connected to the IDE, non-blocking, no TCP socket; for `websockets` to take over, which closes it."""
        self._transport = transport
        self._process = process

    @property
    def pid(self) -> int:
        """The process on this side."""
        return self._transport.get_pid()

    async def close(self) -> None:
        """End the process and wait until it is gone, 2 s at most. Twice does no harm; cancelled, it kills at once."""
        self.endpoint.close()
        try:
            self._signal(signal.SIGTERM)
            await _within(ENDING_S, self._process.ended)
        finally:
            self._signal(signal.SIGKILL)
            self._transport.close()
        await _within(ENDING_S, self._process.ended)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the process and all that it has started: it leads a session of its own."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def greeted(self, name: str, port: int) -> None:
        """Wait until the process is connected; raises `RelayError` if it says, or shows, that it will not be."""
        line = await self._line()
        if line is None:
            await _within(LAST_WORDS_S, self._process.fell_silent)
            raise RelayError(Trouble.FAILED, f"{name} {self._how_it_ended()}{self._why()}")
        first, _, rest = line.partition(" ")
        if first != GREETING:
            raise RelayError(Trouble.FAILED, f"{name} said something else than the relay's greeting{self._why()}")
        if rest == "refused":
            raise RelayError(Trouble.REFUSED, f"nothing listens on Windows' 127.0.0.1:{port}")
        if rest != "connected":
            raise RelayError(Trouble.FAILED, f"{name} cannot connect: {_short(rest.removeprefix('error '))}")

    async def _line(self) -> str | None:
        """Read a line, byte by byte: what follows is the IDE's. None: the output ended first."""
        loop = asyncio.get_running_loop()
        line = b""
        while not line.endswith(b"\n") and len(line) < GREETING_MOST:
            byte = await loop.sock_recv(self.endpoint, 1)
            if not byte:
                return None
            line += byte
        return line.decode("ascii", "replace").rstrip("\r\n")

    def _how_it_ended(self) -> str:
        status = self._transport.get_returncode()
        return "closed its output" if status is None else f"ended with status {status}"

    def _why(self) -> str:
        words = _short(self._process.stderr.decode("utf-8", "replace"))
        return f": {words}" if words else ""


def _short(text: str) -> str:
    return visible(" ".join(text.split()))[:REASON_MOST]


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


# ---- opening


async def open_relay(port: int, probe: Probe, *, greeting_s: float = GREETING_S) -> Relay:
    """Start a Windows process that is connected to Windows' 127.0.0.1:`port`.

    A program that cannot be started, or behaves strangely, gives way to the next one.

    Args:
        probe: says which programs there are, and how to start them.
        greeting_s: seconds for all of it. Windows alone takes two to refuse a connection.

    Raises `RelayError`. Then, and when it is cancelled, no process is left.
    """
    try:
        async with asyncio.timeout(greeting_s):
            return await _open(port, probe)
    except TimeoutError:
        raise RelayError(Trouble.TIMED_OUT, f"no Windows program answered within {greeting_s:g} s") from None


async def _open(port: int, probe: Probe) -> Relay:
    programs, environ = await asyncio.to_thread(_look, probe)  # a disk that hangs shall hold up nobody else
    if not programs:
        raise RelayError(Trouble.NO_PROGRAM, f"none of {', '.join(PROGRAMS)} was found on a drive of Windows")
    failures = []
    for program in programs:
        try:
            return await _start(program, port, environ)
        except RelayError as exc:
            if exc.trouble is not Trouble.FAILED:
                raise
            failures.append(str(exc))
    raise RelayError(Trouble.FAILED, "; ".join(failures))


def _look(probe: Probe) -> tuple[list[Program], dict[str, str]]:
    """Look for programs, and for what they are to be started with."""
    if not probe.interop():
        raise _interop_off()
    environ = probe.machine.program_environ()
    return find_programs(environ.get("PATH", ""), probe.mapper()), environ


def _interop_off() -> RelayError:
    return RelayError(Trouble.INTEROP_OFF, "Windows programs cannot be started from here: interop is off")


async def _start(program: Program, port: int, environ: dict[str, str]) -> Relay:
    """Start `program` and wait until it is connected."""
    try:
        relay = await _spawn(program, port, environ)
    except OSError as exc:
        if exc.errno == errno.ENOEXEC:  # nobody on this side knows what to do with a program of Windows
            raise _interop_off() from None
        raise RelayError(Trouble.FAILED, f"{program.name} cannot be started: {exc.strerror}") from None
    try:
        await relay.greeted(program.name, port)
    except BaseException:
        await relay.close()
        raise
    return relay


async def _spawn(program: Program, port: int, environ: dict[str, str]) -> Relay:
    """Start `program`, joined to a socket of ours. Raises `OSError`; then nothing is left open."""
    endpoint, theirs = socket.socketpair()
    with ExitStack() as undo, theirs:
        undo.callback(endpoint.close)
        endpoint.setblocking(False)
        transport, process = await asyncio.get_running_loop().subprocess_exec(
            _Process,
            program.path,
            *program.arguments(port),
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
            # Windows cannot stand in a directory of ours, and loads libraries from this one in any case.
            cwd=os.path.dirname(program.path),
            env=environ,
            start_new_session=True,  # Ctrl+C in a terminal is not meant for it
        )
        undo.pop_all()
    return Relay(endpoint, transport, process)
