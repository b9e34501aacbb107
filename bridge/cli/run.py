"""``bridge run [--] COMMAND …``: start an agent that finds the bridge as its IDE, so that many share one window."""

from __future__ import annotations

import os
import select
import signal
import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from contextlib import suppress

from bridge.client import Client
from bridge.errors import BridgeError, Usage

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

__all__ = ["add", "environment", "run"]

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as shells and env(1) have it
_KILLED = 128  # and the signal's number
_MOST_SIGNALS = 4096  # at a time
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_LOOPBACK = "127.0.0.1,localhost"
_HOST = "CLAUDE_CODE_IDE_HOST_OVERRIDE"
# The terminal sends these to the agent too, which knows what to do: we go when it goes.
_THE_CHILDS = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
_PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, which no other program expects


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--sse", action="store_true", help="be an IDE that speaks SSE, not WebSocket")
    parser.add_argument("command", nargs=REMAINDER, metavar="[--] COMMAND …", help="the agent, and its arguments")


def run(args: Namespace) -> int:
    """Publish, start the command, and wait for its end; its exit code is ours."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise Usage("there is no command to run", "bridge run -- COMMAND …")
    with Client(name="bridge run", spawn=not args.no_spawn) as client:
        return _Run(client, "sse" if args.sse else "ws").run(command)


def environment(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """Say to an agent where its IDE is (docs/protocol.md "Environment variables").

    The agent's own configuration directory stays what it is, or it would lose its login.
    """
    told = {
        **environ,
        "CLAUDE_CODE_SSE_PORT": str(port),
        "CLAUDE_CODE_IDE_SKIP_VALID_CHECK": "1",  # the folder in our lock file is no real one
        "ENABLE_IDE_INTEGRATION": "true",
    }
    told.setdefault("CLAUDE_CODE_AUTO_CONNECT_IDE", "true")
    if _HOST in environ:  # the token is for nobody there
        told[_HOST] = "127.0.0.1"
    if any(environ.get(name) for name in _PROXIES):  # some agents would ask the proxy for 127.0.0.1
        for name, other in (("no_proxy", "NO_PROXY"), ("NO_PROXY", "no_proxy")):
            direct = environ.get(name) or environ.get(other)
            told[name] = direct if direct == "*" else ",".join(filter(None, (direct, _LOOPBACK)))
    return told


class _Run:
    """One child, and the port that is published for it."""

    def __init__(self, client: Client, transport: str) -> None:
        self._client = client
        self._transport = transport
        self._port = 0
        self._pid = 0

    def run(self, command: list[str]) -> int:
        self._publish()
        woken = _wake_at_child_end()
        # Held back until there is somebody to pass them on to.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        ignored = [number for number in _THE_CHILDS if signal.signal(number, signal.SIG_IGN) == signal.SIG_IGN]
        defaults = {*_THE_CHILDS, *_PYTHONS}.difference(ignored)  # what we ignore it does not
        try:
            environ = environment(os.environ, self._port)
            self._pid = os.posix_spawnp(command[0], command, environ, setsigdef=defaults, setsigmask=mask)
        except OSError as exc:
            from bridge.core.text import visible  # lazily: only errors pay for it

            print(f"error: cannot run {visible(command[0])}: {exc.strerror}", file=sys.stderr)
            return _NOT_FOUND if isinstance(exc, FileNotFoundError) else _NOT_EXECUTABLE
        for number in _PASSED_ON:
            signal.signal(number, self._pass_on)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            self._name_child()
        except BridgeError:
            self._publish_again()
        return self._wait(woken)

    def _publish(self) -> None:
        asked = {"transport": self._transport, "port": self._port}
        self._port = self._client.request("publish/run", asked)["port"]

    def _name_child(self) -> None:
        self._client.request("publish/child", {"port": self._port, "pid": self._pid})

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self._pid, number)

    def _wait(self, woken: int) -> int:
        """Wait for the child's end; publish again whenever the daemon dies before."""
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else _KILLED - code
            daemon = self._client.fileno()
            ready, _, _ = select.select([woken] if daemon is None else [woken, daemon], [], [])
            if woken in ready:
                os.read(woken, _MOST_SIGNALS)
            if daemon in ready and self._client.is_lost():
                self._publish_again()

    def _publish_again(self) -> None:
        """Be the same IDE again: the agent knows the port. What fails is not told, for the screen is the agent's."""
        before = self._port
        try:
            self._publish()
            if self._port == before:
                self._name_child()
            else:  # somebody has taken the port: nobody would find us on another
                self._client.close()
        except BridgeError:
            self._client.close()


def _wake_at_child_end() -> int:
    """Give a file descriptor that can be read from once a signal came, such as the end of a child."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
