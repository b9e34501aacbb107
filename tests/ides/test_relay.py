"""Relays: the real scripts in Python and Node behind stand-ins for Windows programs, and programs that misbehave."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bridge.core.links import RELAY_S
from bridge.ides import relay, relay_scripts
from bridge.ides.relay import Relay, RelayError, Trouble, open_relay
from ide_plugins.emulator import Emulator
from pathconv.probe import Machine, Probe
from tests.emulator.agent import TOKEN_HEADER, Agent, texts
from tests.ides.listeners import listening, port_of
from tests.ides.relaying import MUCH, PATIENCE_S, Handler, each_program, each_script, echo, ended, ide, receive, send
from tests.wsl.interop import STAND_INS, install, install_shell, started
from tests.wsl.system import System

TOKEN = "6b2f1c1e-0000-4000-8000-00000000feed"
EVERY_BYTE = bytes(range(256))  # line ends and Ctrl+Z among them, which Windows' text mode would change
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")


class Windows:
    """A drive with stand-ins for programs, as a WSL distribution sees it."""

    def __init__(self, directory: Path) -> None:
        self.drive = directory / "mnt" / "c"
        self.tools = self.drive / "Tools"
        self.log = directory / "started"
        self.system = System(directory / "root", {"C": self.drive}, {"C": str(self.drive)})
        self.environ = {
            "PATH": f"/usr/bin:{self.tools}",
            "HOME": os.environ["HOME"],
            "WSL_DISTRO_NAME": "Ubuntu",
            "WSLENV": "TOKEN/w",
            "TOKEN": TOKEN,
        }

    def install(self, name: str, *command: str) -> Path:
        return install(self.tools / name, *command, log=self.log)

    def install_shell(self, name: str, script: str) -> Path:
        return install_shell(self.tools / name, script)

    @property
    def probe(self) -> Probe:
        return Probe(Machine(root=str(self.system.root), platform="linux", environ=self.environ))

    async def open(self, port: int, greeting_s: float = PATIENCE_S) -> Relay:
        return await open_relay(port, self.probe, greeting_s=greeting_s)

    async def fails(self, port: int = 1, greeting_s: float = PATIENCE_S) -> RelayError:
        with pytest.raises(RelayError) as caught:
            await self.open(port, greeting_s)
        return caught.value

    def pids(self) -> list[int]:
        """The processes in Windows, ended or not."""
        return [about["pid"] for about in started(self.log)]


@pytest.fixture(autouse=True)
async def windows(tmp_path: Path) -> AsyncIterator[Windows]:
    """Everything that a test starts and opens is gone after it."""
    there = Windows(tmp_path)
    before = set(os.listdir("/proc/self/fd"))
    yield there
    assert psutil.Process().children() == []
    assert set(os.listdir("/proc/self/fd")) == before
    await ended(*there.pids())


@asynccontextmanager
async def relayed(windows: Windows, handler: Handler) -> AsyncIterator[Relay]:
    async with ide(handler) as port:
        opened = await windows.open(port)
        try:
            yield opened
        finally:
            await opened.close()


# ---- what it carries


@each_program
async def test_every_byte_comes_back_as_it_was(windows: Windows, name: str) -> None:
    windows.install(name)
    async with relayed(windows, echo) as opened:
        await send(opened.endpoint, EVERY_BYTE)
        assert await receive(opened.endpoint, len(EVERY_BYTE)) == EVERY_BYTE


@each_program
async def test_much_goes_both_ways_at_once(windows: Windows, name: str) -> None:
    up, down = random.Random(1).randbytes(MUCH), random.Random(2).randbytes(MUCH)
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(down)
        seen.set_result(await reader.readexactly(MUCH))
        await writer.drain()
        writer.close()

    windows.install(name)
    async with relayed(windows, talk) as opened:
        _, got = await asyncio.gather(send(opened.endpoint, up), receive(opened.endpoint))
        assert got == down
        assert await seen == up


@each_program
async def test_the_end_of_our_side_reaches_the_ide_and_its_last_words_reach_us(windows: Windows, name: str) -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read()
        writer.write(said * 3)
        writer.close()

    windows.install(name)
    async with relayed(windows, answer_at_the_end) as opened:
        await send(opened.endpoint, b"a" * 100_000)
        opened.endpoint.shutdown(socket.SHUT_WR)
        assert await receive(opened.endpoint) == b"a" * 300_000


@each_program
async def test_the_end_of_the_ide_is_an_end_here_after_its_last_words(windows: Windows, name: str) -> None:
    async def say_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"w" * MUCH)
        writer.close()

    windows.install(name)
    async with relayed(windows, say_and_leave) as opened:
        assert await receive(opened.endpoint) == b"w" * MUCH


@each_program
async def test_a_whole_session_with_an_ide(windows: Windows, tmp_path: Path, name: str) -> None:
    """Five megabytes are proposed, accepted, and come back, over one connection that the relay carries."""
    proposal = "".join(f"line {number} é\n" for number in range(400_000))
    windows.install(name)
    (tmp_path / "ws").mkdir()
    async with Emulator(workspace=tmp_path / "ws", lock_dir=tmp_path / "ide", human="accept") as emulator:
        opened = await windows.open(emulator.port)
        try:
            async with connect(
                f"ws://127.0.0.1:{emulator.port}/",
                sock=opened.endpoint,
                subprotocols=[Subprotocol("mcp")],
                additional_headers={TOKEN_HEADER: emulator.token or ""},
                proxy=None,
                compression=None,
                max_size=64 << 20,
            ) as websocket:
                agent = Agent(websocket)
                assert "result" in await agent.call("initialize", {"protocolVersion": "2025-06-18"})
                await agent.propose(proposal)
                assert texts(await agent.hear()) == ["FILE_SAVED", proposal]
                await agent.pong()
        finally:
            await opened.close()
    assert emulator.token is not None
    assert emulator.token not in windows.log.read_text("utf-8")


# ---- how it is started


@each_program
async def test_a_program_learns_the_port_and_nothing_else(windows: Windows, name: str) -> None:
    program = windows.install(name)
    async with relayed(windows, echo):
        [about] = started(windows.log)
    assert about["cwd"] == str(program.parent)
    shell = {"PWD", "OLDPWD", "SHLVL", "_"}  # the stand-in's own
    assert about["environ"].keys() - shell <= {"HOME", "PATH", "WSL_DISTRO_NAME", "WSL_INTEROP", "LC_CTYPE"}
    assert about["environ"]["WSL_INTEROP"].endswith("/run/WSL/1_interop")


async def test_the_first_program_that_works_is_taken(windows: Windows) -> None:
    windows.install_shell("python.exe", "echo 'Python was not found' >&2; exit 9")
    windows.install("node.exe")
    async with relayed(windows, echo):
        assert started(windows.log)[0]["argv"][0] == "-e"


async def test_without_a_socket_of_wsl_it_is_tried_all_the_same(windows: Windows) -> None:
    windows.install("python.exe")
    windows.system.remove("/run/WSL/1_interop")
    async with relayed(windows, echo):
        [about] = started(windows.log)
    assert "WSL_INTEROP" not in about["environ"]


# ---- what goes wrong


@each_program
async def test_nothing_listens(windows: Windows, name: str) -> None:
    windows.install(name)
    with listening() as listener:
        port = port_of(listener)
    error = await windows.fails(port)
    assert error.trouble is Trouble.REFUSED
    assert str(error) == f"nothing listens on Windows' 127.0.0.1:{port}"
    assert error.hint is not None
    assert len(started(windows.log)) == 1


@needs_root
@each_program
async def test_what_else_the_system_says_is_told(windows: Windows, name: str) -> None:
    """In a network namespace of its own, whose loopback is down."""
    windows.install(name, "unshare", "--net", *STAND_INS[name])
    error = await windows.fails()
    assert error.trouble is Trouble.FAILED
    assert str(error).startswith(f"{name} cannot connect: ")
    assert "unreach" in str(error).lower()


async def test_no_program(windows: Windows) -> None:
    error = await windows.fails()
    assert error.trouble is Trouble.NO_PROGRAM
    assert str(error) == "none of python.exe, node.exe, powershell.exe was found on a drive of Windows"


async def test_interop_that_is_off_is_known_before_anything_is_started(windows: Windows) -> None:
    windows.install("python.exe")
    windows.system.write("/etc/wsl.conf", "[interop]\nenabled = false\n")
    error = await windows.fails()
    assert error.trouble is Trouble.INTEROP_OFF
    assert "/etc/wsl.conf" in (error.hint or "")
    assert started(windows.log) == []


async def test_interop_that_turns_out_to_be_off(windows: Windows) -> None:
    """The system does not know how to run a program of Windows."""
    program = windows.install("python.exe")
    program.write_bytes(b"MZ\x90\x00")
    assert (await windows.fails()).trouble is Trouble.INTEROP_OFF


MISBEHAVIOUR = {
    "dies at once": ("exit 3", "python.exe ended with status 3"),
    "says why": (
        "echo 'no\033[31m such\n  thing' >&2; exit 1",
        r"python.exe ended with status 1: no\x1b[31m such thing",
    ),
    "talks much": ("yes | head -c 1000000 >&2; exit 1", "python.exe ended with status 1: y y y"),
    "talks of something else": ("echo Python 2.7", "python.exe said something else than the relay's greeting"),
    "talks without end": ("exec yes | tr -d '\\n'", "python.exe said something else than the relay's greeting"),
    "almost says it": ("echo ide-bridge-relayed connected", "python.exe said something else"),
    "invents an answer": ("echo ide-bridge-relay perhaps", "python.exe cannot connect: perhaps"),
    "cannot": ("echo ide-bridge-relay error no route", "python.exe cannot connect: no route"),
}


@pytest.mark.parametrize(("script", "words"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
async def test_a_program_that_misbehaves(windows: Windows, script: str, words: str) -> None:
    windows.install_shell("python.exe", script)
    error = await windows.fails()
    assert error.trouble is Trouble.FAILED
    assert str(error).startswith(words)
    assert len(str(error)) < 300


async def test_every_program_that_failed_is_named(windows: Windows) -> None:
    windows.install_shell("python.exe", "exit 3")
    windows.install_shell("node.exe", "exit 4")
    assert str(await windows.fails()) == "python.exe ended with status 3; node.exe ended with status 4"


async def test_a_program_that_vanished(windows: Windows) -> None:
    windows.install_shell("python.exe", "exit 3").write_text("#!/no/such/shell\n", "utf-8")
    error = await windows.fails()
    assert str(error) == f"python.exe cannot be started: {os.strerror(errno.ENOENT)}"


async def test_without_a_socket_for_it_no_program_is_started(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would hear how the dialling ended."""
    windows.install_shell("python.exe", "exit 3")

    def none_left() -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socketpair", none_left)
    error = await windows.fails()
    assert str(error) == f"python.exe cannot be started: {os.strerror(errno.EMFILE)}"
    assert windows.pids() == []


async def test_a_program_that_closes_its_output_and_stays(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "LAST_WORDS_S", 0.1)
    windows.install_shell("python.exe", "echo hm >&2; exec sleep 60 <&- >&-")
    assert str(await windows.fails()) == "python.exe closed its output: hm"


async def test_a_program_that_says_nothing(windows: Windows) -> None:
    windows.install_shell("python.exe", "exec cat > /dev/null")
    error = await windows.fails(greeting_s=0.3)
    assert error.trouble is Trouble.TIMED_OUT
    assert str(error) == "no Windows program answered within 0.3 s"


# ---- how it ends


async def test_it_ends_though_it_does_not_want_to(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "ENDING_S", 1.0)
    windows.install_shell("python.exe", "trap '' TERM; echo ide-bridge-relay connected; while :; do read line; done")
    opened = await windows.open(1)
    await opened.close()
    assert not psutil.pid_exists(opened.pid)
    await opened.close()


async def test_cancelled_before_the_greeting(windows: Windows, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    windows.install_shell("python.exe", f"echo started > {fifo}; exec cat > /dev/null")
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(windows.open(1))
        assert await asyncio.to_thread(fifo.read_text) == "started\n"
        opening.cancel()
    assert opening.cancelled()


async def test_cancelled_while_closing(windows: Windows) -> None:
    windows.install_shell("python.exe", "trap '' TERM; echo ide-bridge-relay connected; while :; do read line; done")
    opened = await windows.open(1)
    async with asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(opened.close())
        await asyncio.sleep(0)
        closing.cancel()
    assert closing.cancelled()
    await opened.close()
    assert not psutil.pid_exists(opened.pid)


@each_program
async def test_a_closed_endpoint_is_the_end_of_the_process(windows: Windows, name: str) -> None:
    windows.install(name)
    async with relayed(windows, echo) as opened:
        opened.endpoint.close()
        await ended(*windows.pids(), opened.pid)


@each_script
async def test_the_process_in_windows_notices_that_ours_was_killed(
    windows: Windows, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the IDE does not hang up: there is an end to the waiting for its last words."""
    monkeypatch.setattr(relay_scripts, "PARTING_S", 0.1)
    gone = asyncio.Event()

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    windows.install(name)
    async with relayed(windows, stay) as opened:
        os.kill(opened.pid, signal.SIGKILL)
        await ended(*windows.pids())
        assert await receive(opened.endpoint) == b""
        gone.set()


def test_the_core_waits_for_a_relay_as_long_as_it_may_take() -> None:
    assert relay.GREETING_S + 2 * relay.ENDING_S <= RELAY_S
