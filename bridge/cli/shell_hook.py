"""``bridge shell-hook``: what a shell is to `eval`, so that agents attach to the terminal's IDE by themselves.

A running daemon is asked. None is started for a prompt: without one the port that the terminal names is looked at
here, so that a stale one is dropped all the same; what only the process tree tells waits for a daemon.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from bridge.client import Client
from bridge.errors import ExitCode, Unavailable

PATIENCE_S = 1.0  # for a daemon that hangs: a prompt waits
_PORT = "CLAUDE_CODE_SSE_PORT"
_SWITCH = "ENABLE_IDE_INTEGRATION"
_CHOSEN = "CLAUDE_CODE_IDE_SKIP_VALID_CHECK"  # set beside a port that somebody chose for this very agent

# What sets and what drops the port. It is a number: nothing needs to be quoted.
_SHELLS = {
    "bash": (f"export {_PORT}={{}} {_SWITCH}=true", f"unset {_PORT}"),
    "zsh": (f"export {_PORT}={{}} {_SWITCH}=true", f"unset {_PORT}"),
    "fish": (f"set -gx {_PORT} {{}}; set -gx {_SWITCH} true", f"set -e {_PORT}"),
}

_EPILOG = f"""put one of these at the end of your shell's start-up file:
  ~/.bashrc                   eval "$(bridge shell-hook bash)"
  ~/.zshrc                    eval "$(bridge shell-hook zsh)"
  ~/.config/fish/config.fish  bridge shell-hook fish | source

In a terminal inside an IDE it sets {_PORT} to the port of that IDE (of the one that
`bridge use` pinned, if there is one), if it lives, and drops a port that went stale. In tmux
the terminal is that of the client that is attached. It prints nothing if nothing is to change,
and if anything fails; where {_CHOSEN} is set it leaves things alone.
It does not start the bridge: without it only a port that is set already is looked at.
To follow an IDE that restarts and tmux clients that come and go, ask before every prompt:
  bash  PROMPT_COMMAND='eval "$(bridge shell-hook bash)"'
  zsh   precmd() {{ eval "$(bridge shell-hook zsh)" }}
  fish  function __bridge --on-event fish_prompt; bridge shell-hook fish | source; end
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("shell", choices=tuple(_SHELLS))


def run(args: Namespace) -> int:
    """Print what is to be changed; nothing on any failure, which is no prompt's business."""
    if os.environ.get(_CHOSEN):
        return ExitCode.DONE
    try:
        port = _port()
    except Exception:
        return ExitCode.DONE
    sets, drops = _SHELLS[args.shell]
    if port is None:
        if _PORT in os.environ:
            print(drops)
    elif os.environ.get(_PORT) != str(port) or _SWITCH not in os.environ:
        print(sets.format(port))
    return ExitCode.DONE


def _port() -> int | None:
    """Find out which port it should be; raises anything where it cannot be told."""
    with Client(spawn=False, patience=PATIENCE_S) as client:
        try:
            port: int | None = client.request("terminal", timeout=PATIENCE_S)["port"]
        except Unavailable:
            from bridge.tmux import look_through

            environ, _ = look_through(os.environ)
            return _verified(environ)
    return port


def _verified(environ: Mapping[str, str]) -> int | None:
    """Look whether the port that a terminal names has a lock file and a listener of ours."""
    if sys.platform != "linux" or "WSL_DISTRO_NAME" in environ:
        raise Unavailable("who listens, in Windows perhaps, only the daemon can tell")
    text = environ.get(_PORT, "")
    port = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    directories = (environ.get("CLAUDE_CONFIG_DIR", ""), f"{os.environ['HOME']}/.claude")
    is_locked = any(_is_ours(f"{path}/ide/{port}.lock") for path in directories if path.startswith("/"))
    return port if port and is_locked and _listens(port) else None


def _is_ours(path: str) -> bool:
    try:
        return os.lstat(path).st_uid == os.getuid()
    except (OSError, ValueError):
        return False


def _listens(port: int) -> bool:
    """Tell whether a socket of ours listens on the port, on whichever address."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, "rb") as file:
            next(file)
            for row in map(bytes.split, file):  # proc_net_tcp(5): local address, state (0A is LISTEN), user
                if row[1].endswith(b":%04X" % port) and row[3] == b"0A" and int(row[7]) == os.getuid():
                    return True
    return False
