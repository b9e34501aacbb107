"""Where each family's IDEs announce themselves, and how their files are read.

Beside the lock files of the Claude family there are those of the Gemini CLI companion and of the Qwen Code companion,
which speak MCP's streamable HTTP. A window may run all three at once and then announces itself three times.
Facts: docs/protocol.md "The companions of Gemini CLI and Qwen Code".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from bridge.core.lockfile import (
    MAX_FOLDERS,
    TOKEN,
    Family,
    LockFile,
    Member,
    Transport,
    parsed,
    port_in_name,
    port_of,
    present,
)
from bridge.core.strictjson import Refusal

__all__ = ["FORMATS", "READS", "Format", "LockDirectory", "lock_directories"]

# ---- where


class LockDirectory(NamedTuple):
    """A directory in which IDEs of one family announce themselves."""

    path: str
    family: Family = Family.CLAUDE


_CONFIGURED: Final = "CLAUDE_CONFIG_DIR"
_TEMPORARY: Final = ("TMPDIR", "TMP", "TEMP")  # the first that is set, as Node's ``os.tmpdir()`` has it
USUAL_TEMPORARY = "/tmp"
READS: Final = frozenset({_CONFIGURED, *_TEMPORARY})
"""Every variable that `lock_directories` looks at."""


def lock_directories(environ: Mapping[str, str] | None, home: str) -> list[LockDirectory]:
    """List where plugins may announce IDEs to a user, the one that is configured first.

    Both of the Claude family: some plugins ignore ``CLAUDE_CONFIG_DIR`` (docs/protocol.md "Lock file"). What a variable
    names may be relative; that means another place in each terminal, and is for the caller to leave out.

    Args:
        environ: the asking client's environment, not the daemon's; None: nobody asks, and only what is in the home
            is known.
        home: the user's home directory.
    """
    found = [LockDirectory(f"{home}/.claude/ide"), LockDirectory(f"{home}/.qwen/ide", Family.QWEN)]
    if environ is None:
        return found
    temporary = next((environ[name] for name in _TEMPORARY if environ.get(name)), USUAL_TEMPORARY)
    found.append(LockDirectory(f"{temporary.rstrip('/')}/gemini/ide", Family.GEMINI))
    configured = environ.get(_CONFIGURED)
    return [LockDirectory(f"{configured.rstrip('/')}/ide"), *found] if configured else found


# ---- what


class Format(NamedTuple):
    """How a family's files are called and read."""

    is_name: Callable[[str], bool]
    parse: Callable[[str, bytes], LockFile]
    """Takes name and content; raises as `LockFile.parse` does."""

    depth: int = 1
    """How many directories, from the last one upwards, only the user may write into."""


_GEMINI_NAME: Final = re.compile(r"gemini-ide-server-([1-9][0-9]{0,9})(?:-([1-9][0-9]{0,4}))?\.json")  # legacy: no port

_WORKSPACE: Final = Member("workspace_folders", f"not at most {MAX_FOLDERS} paths in one string")
_PORT: Final = Member("port", "not a port")
_GEMINI: Final = {"port": _PORT, "workspacePath": _WORKSPACE, "authToken": TOKEN}
_QWEN: Final = {
    "port": _PORT,
    "workspacePath": _WORKSPACE,
    "authToken": TOKEN,
    "ppid": Member("pid", "not a process number"),
    "ideName": Member("ide_name", "not a string"),
}


def _parse_gemini(name: str, data: bytes) -> LockFile:
    return parsed(name, data, _gemini, _GEMINI)


def _parse_qwen(name: str, data: bytes) -> LockFile:
    return parsed(name, data, _qwen, _QWEN)


def _gemini(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """The process is the IDE's own; the reference extension, which is one of VS Code, does not say its name."""
    numbers = _numbers(name)
    if numbers is None:
        raise Refusal("the name is not gemini-ide-server-<PID>-<PORT>.json")
    pid, port = numbers
    info = value.get("ideInfo")
    told = info.get("displayName") or info.get("name") if isinstance(info, dict) else None
    return {
        **_companion(value, _GEMINI, port),
        "family": Family.GEMINI,
        "pid": pid,
        "ide_name": _named(told if isinstance(told, str) else None, "Gemini"),
    }


def _qwen(name: str, value: dict[str, Any]) -> dict[str, Any]:
    fields = _companion(value, _QWEN, port_in_name(name))
    told = fields.get("ide_name")
    if told is None or isinstance(told, str):
        fields["ide_name"] = _named(told, "Qwen")
    return {**fields, "family": Family.QWEN}


def _companion(value: dict[str, Any], members: Mapping[str, Member], named_port: int | None) -> dict[str, Any]:
    """Give the fields that both have; the port stands in the file, and in its name too if that is not a legacy one."""
    fields = {**present(value, members), "transport": Transport.HTTP}
    if "port" not in fields and "stdio" in value:
        raise Refusal("wants a program started and spoken to over stdio, which the bridge does not do")
    if named_port is not None and "port" in fields and fields["port"] != named_port:
        raise Refusal("port: another one than in its name")
    fields["workspace_folders"] = _folders(fields.get("workspace_folders", ""))
    return fields


def _folders(joined: Any) -> tuple[str, ...]:
    """Take folders apart that were joined as the IDE's system joins paths; none: it has no folder open."""
    if not isinstance(joined, str):
        raise Refusal(f"workspacePath: {_WORKSPACE.problem}")
    separator = ";" if _WINDOWS.match(joined) else ":"
    return tuple(folder for folder in joined.split(separator) if folder)


_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def _named(told: str | None, whose: str) -> str:
    """Name the IDE so that it is told apart from the same window as another plugin announces it."""
    return f"{told or 'Visual Studio Code'} ({whose} companion)"


def _numbers(name: str) -> tuple[int, int | None] | None:
    """Give PID and port in the name of a file of Gemini's companion; None: it is no such name."""
    match = _GEMINI_NAME.fullmatch(name)
    if match is None or int(match[1]) >= 2**31 or int(match[2] or 1) > 65535:
        return None
    return int(match[1]), int(match[2]) if match[2] else None


FORMATS: Final[Mapping[Family, Format]] = {
    Family.CLAUDE: Format(lambda name: port_of(name) is not None, LockFile.parse),
    # Where the temporary directory is everybody's, anybody may have made the one in it.
    Family.GEMINI: Format(lambda name: _numbers(name) is not None, _parse_gemini, depth=2),
    Family.QWEN: Format(lambda name: port_of(name) is not None, _parse_qwen),
}
"""Of every family that announces itself in files."""
