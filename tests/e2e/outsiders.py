"""Who else takes part in the stories: the human's browser, agents of another kind, programs that are no IDE."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bridge.client import Client
from bridge.core.lockfile import LockFile
from bridge.core.official import AUTHORIZATION
from tests.e2e.support import PATIENCE_S, Ide, bridge

# ---- what `bridge status` says


def status(cwd: Path, **environ: Any) -> dict[str, Any]:
    """Ask the command line, as a program would."""
    done = bridge("status", "--json", cwd=cwd, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def row(said: dict[str, Any], port: int) -> dict[str, Any]:
    """Find one IDE in a status."""
    found: dict[str, Any] = next(ide for ide in said["ides"] if ide["port"] == port)
    return found


def chosen(said: dict[str, Any]) -> int | None:
    """Give the port of the IDE that would be used."""
    return next((ide["port"] for ide in said["ides"] if ide["chosen"]), None)


def until_status(client: Client, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask the daemon again and again until its status is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while not fits(said := client.status()):
        assert time.monotonic() < deadline, f"never so; at last: {said['ides']}"
    return said


def ignored(said: dict[str, Any]) -> dict[str, str]:
    """Give the reason for each file that was not believed, by name."""
    return {Path(found["path"]).name: found["reason"] for found in said["ignored"]}


# ---- the human


def look_at_page(review_id: str) -> dict[str, Any]:
    """Open the review's page as the browser does; give the review as the page shows it."""
    return asyncio.run(_visit(_link(review_id), None))


def decide_on_page(
    review_id: str, *, accept: bool = True, text: str | None = None, texts: list[str | None] | None = None
) -> dict[str, Any]:
    """Decide on the review's page, accepting `text` if it was edited; give the review as the page shows it then.

    `texts` is for several files: None stands for one that is rejected.
    """
    files = texts if text is None else [text]
    return asyncio.run(_visit(_link(review_id), {"accept": accept, "files": files}))


def _link(review_id: str) -> str:
    with Client(spawn=False) as client:
        link: str = client.request("review/link", {"id": review_id})["link"]
    return link


def visit(link: str, decision: dict[str, Any] | None) -> dict[str, Any]:
    """Open the page that a link leads to, decide there if that is wanted, and give the review as it is shown then."""
    return asyncio.run(_visit(link, decision))


async def _visit(link: str, decision: dict[str, Any] | None) -> dict[str, Any]:
    address, _, code = link.partition("#code=")
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # the others keep nothing for a host without a name
        headers={"Origin": address.partition("/r/")[0]},
        raise_for_status=True,
        timeout=aiohttp.ClientTimeout(PATIENCE_S),
    ) as browser:
        async with browser.post(address + "session", json={"code": code}) as answer:
            browser.headers["X-Bridge-Secret"] = (await answer.json())["secret"]
        async with browser.get(address + "review") as answer:
            shown: dict[str, Any] = await answer.json()
        if decision is not None:
            body = {"version": shown["version"], **decision}
            async with browser.post(address + "decision", json=body) as answer:
                shown = await answer.json()
        return shown


# ---- another agent


@contextmanager
def another_agent(ide: Ide) -> Iterator[ClientConnection]:
    """Hold the one place that an IDE has, as the user's own agent does."""
    with connect(
        f"ws://127.0.0.1:{ide.port}/",
        additional_headers={AUTHORIZATION: token_of(ide)},
        subprotocols=[Subprotocol("mcp")],
        compression=None,
        proxy=None,
    ) as connection:
        ide.until("connected")
        yield connection


def is_connected(agent: ClientConnection) -> bool:
    """Ask the IDE for something over an agent's connection, and tell whether it answers."""
    agent.send(json.dumps({"jsonrpc": "2.0", "id": "still there?", "method": "ping"}))
    return bool(json.loads(agent.recv(timeout=PATIENCE_S))["id"] == "still there?")


def token_of(ide: Ide) -> str:
    """Read the IDE's token where agents read it."""
    token = LockFile.parse(ide.lock.name, ide.lock.read_bytes()).auth_token
    assert token is not None
    return token


def untouched(ide: Ide) -> bool:
    """Tell whether nobody has connected to the IDE so far."""
    ide.do("are you there")  # it does not know this command, and says so after everything that came before
    ide.until("error")
    return not any(event["event"] == "connected" for event in ide.events)


# ---- programs that are no IDE

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Program:
    """Our user's own program on a port that a lock file names; it records what it hears.

    Args:
        answer: gives what it says to each piece that it hears.
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.heard = b""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                caller, _ = self._listener.accept()
                with caller, suppress(OSError):
                    self._serve(caller)

    def _serve(self, caller: socket.socket) -> None:
        caller.settimeout(PATIENCE_S)
        while piece := caller.recv(65536):
            self.heard += piece
            caller.sendall(self._answer(piece))

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._listener.close()


@contextmanager
def program(answer: Callable[[bytes], bytes]) -> Iterator[Program]:
    """Run a `Program`."""
    one = Program(answer)
    try:
        yield one
    finally:
        one.close()


STRANGER = 65534

_EAVESDROP = """
import os, select, socket, sys
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print(listener.getsockname()[1], flush=True)
heard, open_ = b"", [sys.stdin, listener]
while True:
    for one in select.select(open_, [], [])[0]:
        if one is sys.stdin:
            sys.exit(print(heard.hex(), flush=True))
        elif one is listener:
            open_.append(listener.accept()[0])
            heard += b"(a call)"
        elif piece := one.recv(65536):
            heard += piece
        else:
            open_.remove(one)
"""


class Stranger:
    """Another user's program on an IDE's port; needs root to become that user.

    Args:
        within: words that bring a command to where it listens; by default it is this machine.
    """

    def __init__(self, port: int = 0, within: Sequence[str] = ()) -> None:
        command = [*within, sys.executable, "-I", "-S", "-c", _EAVESDROP, str(STRANGER), str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def heard(self) -> bytes:
        """End it and give everything that it was told."""
        told, _ = self.process.communicate(timeout=PATIENCE_S)
        return bytes.fromhex(told.decode())

    def close(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=PATIENCE_S)


# ---- what is left of the dead


def dead_pid() -> int:
    """Give the PID of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait(PATIENCE_S)
    return process.pid


def age(path: Path, seconds: float) -> None:
    """Make a file older."""
    then = time.time() - seconds
    os.utime(path, (then, then))
