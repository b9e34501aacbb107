"""The scripts by themselves, between two pipes, as they are in Windows."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress

from bridge.ides.relay_scripts import PROGRAMS, powershell_text
from tests.ides.relaying import MUCH, each_program, each_script, ide
from tests.wsl.interop import STAND_INS


@each_script
async def test_neither_direction_waits_for_the_other(name: str) -> None:
    """An IDE that sends without reading, and we read while it does not: the script alone, without WSL's one loop."""
    read_on = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport of both directions
        writer.write(b"d" * MUCH)
        await read_on.wait()
        writer.close()

    async with ide(deaf) as port:
        process = await asyncio.create_subprocess_exec(
            *STAND_INS[name],
            *PROGRAMS[name](port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ide-bridge-relay connected\n"
        process.stdin.write(b"u" * MUCH)  # more than all buffers on the way take
        assert await process.stdout.readexactly(MUCH) == b"d" * MUCH
        assert process.stdin.transport.get_write_buffer_size() > 0
        read_on.set()
        assert await process.wait() == 0


@each_script
async def test_we_may_read_nothing_while_we_send(name: str) -> None:
    got: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"d" * MUCH)
        got.set_result(len(await reader.readexactly(MUCH)))
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with ide(talk) as port:
        command = [*STAND_INS[name], *PROGRAMS[name](port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            await asyncio.to_thread(process.stdin.write, b"u" * MUCH)
            await asyncio.to_thread(process.stdin.flush)
            assert await got == MUCH
            assert process.stdout is not None
            assert process.stdout.readline() == b"ide-bridge-relay connected\n"
            assert len(await asyncio.to_thread(process.stdout.read)) == MUCH


@each_program
def test_what_windows_must_quote_is_kept_out_of_the_arguments(name: str) -> None:
    arguments = PROGRAMS[name](65535)
    assert not any('"' in argument or "\\\\" in argument for argument in arguments)
    assert sum(map(len, arguments)) < 8000  # Windows takes 32767, cmd.exe a quarter of that


def test_what_powershell_gets_is_the_script_with_its_numbers_in_place() -> None:
    """No more can be said of it here; its syntax, too, awaits a real PowerShell."""
    first, *lines = powershell_text(4711).splitlines()
    assert first == "$port = 4711"
    assert not any(line.lstrip().startswith("#") or "GREETING" in line or "PARTING" in line for line in lines)
    assert "  $line = [Text.Encoding]::ASCII.GetBytes('ide-bridge-relay ' + $word + [char]10)" in lines
    assert "    [void]$down.Wait(5 * 1000)" in lines
