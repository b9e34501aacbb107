"""The emulator as a process: ``python -m ide_plugins.emulator --workspace DIR``.

An IDE on Windows: ``… --windows --drive C=/real/dir --share //wsl.localhost/Ubuntu=/ --workspace 'C:\\proj'``; the
workspace and the files in commands are then Windows' paths.

Events are JSON objects on stdout, one a line, first ``{"event":"ready","port":…,"lock":…}``; the token is in
the lock file alone. If stdin is a pipe or a socket, its lines are commands: `COMMANDS`, and ``quit``. SIGTERM
and SIGINT end it gracefully.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, get_args

from .diffs import CloseSays
from .ide import Emulator
from .listener import MAX_FRAME_BYTES
from .lock import Transport
from .names import HERE, FolderStyle, Names, Windows
from .personality import PERSONALITIES, PersonalityName

COMMANDS: Final[dict[str, Callable[[Emulator, str], Awaitable[None]]]] = {
    "accept": lambda ide, _: ide.accept(),
    "edit": lambda ide, text: ide.accept(str(json.loads(text))),  # a JSON string: the whole text
    "reject": lambda ide, _: ide.reject(),
    "close": lambda ide, _: ide.close_tab_by_user(),
    "drop": lambda ide, _: ide.drop_client(),
    "select": lambda ide, path: ide.select(ide.names.real(ide.workspace, path)),
    "diagnose": lambda ide, facts: _diagnose(ide, **json.loads(facts)),  # {"path": …, "problems": […]}
    "complete-lock": lambda ide, _: ide.complete_lock(),
}


async def _diagnose(ide: Emulator, path: str, problems: list[dict[str, Any]]) -> None:
    await ide.diagnose(ide.names.real(ide.workspace, path), problems)


class ProcessEmulator(Emulator):
    """An emulator that is alone in its process."""

    def die(self) -> None:
        """End at once: nothing is closed, flushed or removed."""
        os._exit(1)


def main() -> None:
    """Run until told to stop."""
    parser = _parser()
    options = parser.parse_args()
    try:
        ide = _emulator(options)
    except ValueError as exc:
        parser.error(str(exc))
    asyncio.run(_run(ide, ends_with_stdin=options.stdin))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ide_plugins.emulator", description="An IDE for tests")
    parser.add_argument("--workspace", required=True, metavar="DIR")
    parser.add_argument("--windows", action="store_true", help="play an IDE on Windows")
    parser.add_argument("--drive", action="append", default=[], type=_drive, metavar="C=DIR", help="a drive of Windows")
    parser.add_argument("--share", action="append", default=[], type=_root, metavar="//HOST/SHARE=DIR")
    parser.add_argument(
        "--folder-style", choices=get_args(FolderStyle), default="windows", help="mnt: /mnt/c/… in the lock file"
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDR", help="where to listen")
    parser.add_argument("--transport", choices=get_args(Transport), help="default: the plugin's")
    parser.add_argument("--lock-dir", type=Path, metavar="DIR", help="default: where agents look")
    parser.add_argument("--personality", choices=get_args(PersonalityName), default="official", help="whose plugin")
    parser.add_argument("--name", default="", help="ideName in the lock file; default: the plugin's")
    parser.add_argument("--port", type=int, default=0, help="default: the system chooses")
    parser.add_argument("--pid", type=int, default=os.getpid(), help="pid in the lock file; default: our own")
    parser.add_argument("--human", default="never", metavar="SCRIPT", help="accept, reject, close, never, edit:TEXT")
    parser.add_argument("--fault", action="append", default=[], metavar="F", help="may be repeated")
    parser.add_argument("--close-says", choices=get_args(CloseSays), default="rejected")
    parser.add_argument("--ide-info", action="store_true", help="Gemini's discovery file says which IDE it is")
    parser.add_argument("--no-token", action="store_true", help="a weak lock file; lets everybody in")
    parser.add_argument("--stdin", action="store_true", help="the end of stdin ends the emulator")
    return parser


def _root(word: str) -> tuple[str, Path]:
    root, equals, directory = word.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"not ROOT=DIR: {word}")
    return root, Path(directory).absolute()


def _drive(word: str) -> tuple[str, Path]:
    letter, directory = _root(word)
    return letter.upper() + ":", directory


def _names(options: argparse.Namespace) -> Names:
    """Read whose files the IDE speaks of; raises `ValueError` for a Windows without drives, or drives without it."""
    roots = dict([*options.drive, *options.share])
    if options.windows != bool(roots):
        raise ValueError("--windows and --drive (or --share) go together")
    return Windows(roots=roots, folder_style=options.folder_style) if roots else HERE


def _emulator(options: argparse.Namespace) -> Emulator:
    weak: dict[str, Any] = {"token": None} if options.no_token else {}
    names = _names(options)
    return ProcessEmulator(
        workspace=names.real(Path.cwd(), options.workspace),
        names=names,
        host=options.host,
        lock_dir=options.lock_dir or PERSONALITIES[options.personality].announcement.usual_directory(os.environ),
        port=options.port,
        transport=options.transport,
        personality=options.personality,
        name=options.name,
        pid=options.pid,
        human=options.human,
        faults=options.fault,
        close_says=options.close_says,
        ide_info=options.ide_info,
        on_event=_report,
        **weak,
    )


async def _run(emulator: Emulator, *, ends_with_stdin: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with emulator as ide, asyncio.TaskGroup() as tasks:
        obeying = tasks.create_task(_obey(ide, stop, ends_with_stdin=ends_with_stdin))
        await stop.wait()
        obeying.cancel()


def _report(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


async def _obey(ide: Emulator, stop: asyncio.Event, *, ends_with_stdin: bool) -> None:
    """Carry out the commands of stdin, unless it is a terminal, a file or nothing."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    lines = asyncio.StreamReader(limit=MAX_FRAME_BYTES)  # a command may hold a file
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    try:
        async for line in lines:
            await _command(ide, stop, line.decode().strip())
        if ends_with_stdin:
            stop.set()
    finally:
        pipe.close()


async def _command(ide: Emulator, stop: asyncio.Event, line: str) -> None:
    word, _, rest = line.partition(" ")
    if word == "quit":
        stop.set()
        return
    try:
        if word not in COMMANDS:
            raise LookupError("unknown command")
        await COMMANDS[word](ide, rest)
    except (LookupError, TypeError, ValueError) as exc:  # TypeError: facts are missing, or not known
        _report({"event": "error", "command": word, "message": str(exc)})


if __name__ == "__main__":
    main()
