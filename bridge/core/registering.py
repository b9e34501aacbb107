"""Registering the bridge with other programs: the text of a configuration file in, the text that it becomes out.

The bridge is found by what an entry starts, not by its name: the absolute path of a program called ``bridge``, with
the words of `bridge mcp` or `bridge hook`. So an entry of the user's own under the same name is never taken for ours,
and one of ours is found again under another name, or after the bridge moved.

Every edit is checked before anybody sees it: read again, the document must be the old one and the entry, no more.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any, Final

from bridge.core import jsonedit, tomledit
from bridge.core.jsonedit import Key
from bridge.core.programs import ANSWER_S, HOOK_S, Hooks, Part, Program, Servers
from bridge.errors import BadData, Conflict

__all__ = ["NAME", "Done", "Outcome", "find", "install", "means_the_same", "uninstall"]

_STRICT: Final = "--strict"

NAME: Final = "bridge"
"""What the server is called unless the user says otherwise."""


class Outcome(StrEnum):
    """What came of it."""

    ADDED = "added"
    UPDATED = "updated"  # it started another bridge
    ALREADY = "already"
    REMOVED = "removed"
    ABSENT = "absent"


Path = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of ours."""

    path: Path  # where it is in the document
    argv: tuple[str, ...]  # what it starts
    group: Path | None = None  # of a hook: its group, if nothing else is in it


@dataclass(frozen=True, slots=True)
class Done:
    """A text, after the edit."""

    text: str
    outcome: Outcome
    old: tuple[str, ...] = ()  # what an entry of ours started before
    made: tuple[tuple[str, ...], ...] = ()  # objects and arrays that were made for it, the outer ones first


def find(program: Program, part: Part, text: str) -> Entry | None:
    """Find our entry. Raises `BadData`, with line and column, if the text is not of the program's format."""
    document = _format(program, part).parse(text)
    return next(_servers(program.mcp, document) if part is Part.MCP else _hooks(program, document), None)


def install(
    program: Program, part: Part, text: str, executable: str, name: str = NAME, *, strict: bool = False
) -> Done:
    """Register `executable`, an absolute path, unless that is done already; an entry that starts another is updated.

    A hook may be `strict`: without the bridge nothing is written. One that is so already stays so.

    Raises:
        Conflict: something else has the name.
        BadData: the text is not of the program's format, or has something else where entries belong.
    """
    format_ = _format(program, part)
    entry = find(program, part, text)
    more = (_STRICT,) if strict and part is Part.HOOK else ()
    if entry is not None and entry.argv[0] == executable and set(more) <= set(entry.argv):
        return Done(text, Outcome.ALREADY, entry.argv)
    document = format_.parse(text)
    if entry is not None:
        return _update(format_, document, text, entry, executable, part, more)
    where, key, value = _new(program, part, executable, name, more)
    listed = _at(document, where)
    if isinstance(listed, dict) and key in listed:
        raise Conflict(
            f"there is an MCP server called {name} already, which is not this bridge",
            "give this one another name: --name NAME",
        )
    made = () if format_ is tomledit else tuple(_missing(document, where))
    after = format_.insert(text, where, key, value)
    return Done(_checked(format_, after, _with(document, where, key, value)), Outcome.ADDED, made=made)


def uninstall(program: Program, part: Part, text: str, made: Sequence[tuple[str, ...]] = ()) -> Done:
    """Take out what is ours, and of the objects and arrays `made` for it those that are empty then.

    Raises `BadData` as `install` does, and for an entry that is written in a way which cannot be taken out alone.
    """
    format_ = _format(program, part)
    old: tuple[str, ...] = ()
    while (entry := find(program, part, text)) is not None:
        old = old or entry.argv
        text = _without(format_, text, entry.group or entry.path)
    for path in reversed(made if old else ()):
        if _at(format_.parse(text), path) in ([], {}):
            text = _without(format_, text, path)
    return Done(text, Outcome.REMOVED if old else Outcome.ABSENT, old)


def means_the_same(program: Program, part: Part, text: str, other: str) -> bool:
    """Tell whether two texts, which can be read, say the same to the program."""
    format_ = _format(program, part)
    return bool(format_.parse(text) == format_.parse(other))


# ---- what is written


def _new(
    program: Program, part: Part, executable: str, name: str, more: tuple[str, ...]
) -> tuple[tuple[str, ...], str | None, Any]:
    """Say where an entry goes, under which key (None: at the end of an array), and what it is."""
    if part is Part.MCP:
        servers = program.mcp
        server = {**servers.before, "command": executable, "args": ["mcp"], **servers.after}
        return servers.path, name, server
    hooks = _hooks_of(program)
    command = shlex.join([executable, "hook", program.name, "--timeout", str(ANSWER_S), *more])
    hook = {**hooks.more, "type": "command", "command": command, "timeout": HOOK_S * hooks.units_a_second}
    return ("hooks", hooks.event), None, {"matcher": hooks.matcher, "hooks": [hook]}


def _hooks_of(program: Program) -> Hooks:
    assert program.hook is not None  # whoever asks for a part asks for one of `Program.parts`
    return program.hook


def _format(program: Program, part: Part) -> ModuleType:
    return tomledit if part is Part.MCP and program.mcp.toml else jsonedit


# ---- what is found


def _servers(servers: Servers, document: Any) -> Iterator[Entry]:
    listed = _at(document, servers.path)
    for name, server in listed.items() if isinstance(listed, dict) else ():
        if isinstance(server, dict):
            argv = _words(server.get("command"), server.get("args"))
            if _is_ours(argv, ("mcp",)) and len(argv) == 2:
                yield Entry((*servers.path, name), argv)


def _hooks(program: Program, document: Any) -> Iterator[Entry]:
    where: Path = ("hooks", _hooks_of(program).event)
    for index, group in _numbered(_at(document, where)):
        for number, command in _numbered(group.get("hooks")):
            argv = _split(command.get("command"))
            if _is_ours(argv, ("hook", program.name)):
                path: Path = (*where, index)
                yield Entry((*path, "hooks", number), argv, path if group["hooks"] == [command] else None)


def _numbered(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the objects in what should be an array."""
    for index, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, dict):
            yield index, one


def _words(command: Any, args: Any) -> tuple[str, ...]:
    words = [command, *(args if isinstance(args, list) else ())]
    return tuple(words) if all(isinstance(word, str) for word in words) else ()


def _split(command: Any) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command)) if isinstance(command, str) else ()
    except ValueError:  # a quote that is not closed
        return ()


def _is_ours(argv: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return (
        bool(argv) and argv[0].startswith("/") and argv[0].endswith("/bridge") and (*argv[1:],)[: len(words)] == words
    )


def _at(document: Any, path: Sequence[Key]) -> Any:
    """Look something up; None if it is not there, or null."""
    for step in path:
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return None
    return document


# ---- edits, checked


def _update(
    format_: ModuleType,
    document: Any,
    text: str,
    entry: Entry,
    executable: str,
    part: Part,
    more: tuple[str, ...],
) -> Done:
    """Let an entry start `executable`, with the words that it has, and `more`."""
    path = (*entry.path, "command")
    words = [*entry.argv[1:], *(word for word in more if word not in entry.argv)]
    command = executable if part is Part.MCP else shlex.join([executable, *words])
    try:
        after = format_.replace(text, path, command)
    except KeyError as exc:
        raise _by_hand(entry.path) from exc
    _at(document, entry.path)["command"] = command
    return Done(_checked(format_, after, document), Outcome.UPDATED, entry.argv)


def _with(document: Any, where: Sequence[str], key: str | None, value: Any) -> Any:
    """Put one entry more into a document; None where none can be, which no text says."""
    listed = document
    for depth, step in enumerate(where, 1):
        kind = list if key is None and depth == len(where) else dict
        listed = listed.setdefault(step, kind())
        if not isinstance(listed, kind):
            return None
    if key is None:
        listed.append(value)
    else:
        listed[key] = value
    return document


def _missing(document: Any, where: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Name the objects and arrays on the way that are not there yet, the outer ones first."""
    for depth in range(1, len(where) + 1):
        if _at(document, where[:depth]) is None:
            yield tuple(where[:depth])


def _without(format_: ModuleType, text: str, path: Path) -> str:
    wanted = format_.parse(text)
    del _at(wanted, path[:-1])[path[-1]]
    try:
        after = format_.remove(text, path)
    except KeyError as exc:
        raise _by_hand(path) from exc
    if format_ is tomledit and not _at(wanted, path[:-1]) and _at(format_.parse(after), path[:-1]) is None:
        del wanted[path[0]]  # a table without a header of its own goes with the last one in it
    return _checked(format_, after, wanted)


def _checked(format_: ModuleType, text: str, wanted: Any) -> str:
    """Give the text if it says what is wanted; else it is one that we do not know how to edit."""
    try:
        is_so = format_.parse(text) == wanted
    except BadData:
        is_so = False
    if not is_so:
        raise BadData("it is written in a way that cannot be edited without changing more", "edit it by hand")
    return text


def _by_hand(path: Path) -> BadData:
    name = ".".join(map(str, path))
    return BadData(f"{name} is written in a way that cannot be edited alone", "edit it by hand")
