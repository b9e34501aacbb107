"""Run a program as WSL's /init runs one of Windows: ``init.py LOG PROGRAM ARGUMENTS…``.

What matters here is as in WSL's source (src/linux/init/binfmt.cpp): the program has pipes of its own and a life of its
own, and one loop carries all three streams, writing with patience, so that a direction that is stuck holds up the
others. Unlike in Windows nobody ends the program when we die: its script must notice by itself.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from contextlib import suppress

AT_ONCE = 65536


def main(log: str, program: str, *arguments: str) -> int:
    with subprocess.Popen(
        [program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        about = {"argv": arguments, "cwd": os.getcwd(), "environ": dict(os.environ), "pid": process.pid}
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(about) + "\n")
        carry(process)
    return process.returncode


def carry(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    outputs = {process.stdout.fileno(): 1, process.stderr.fileno(): 2}
    ways = {0: process.stdin.fileno(), **outputs}
    while ways.keys() & outputs.keys():
        for source in select.select(list(ways), [], [])[0]:
            data = b""
            with suppress(ConnectionResetError):  # whoever started us left without reading
                data = os.read(source, AT_ONCE)
            if data:
                write(ways[source], data)
            else:
                del ways[source]
                if source == 0:
                    process.stdin.close()


def write(target: int, data: bytes) -> None:
    with suppress(OSError):  # /init complains on stderr, and goes on
        while data:
            data = data[os.write(target, data) :]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
