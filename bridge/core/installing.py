"""`bridge install` and `bridge uninstall`: what is to become of one configuration file, in text and in words.

A receipt remembers what the file itself cannot tell: how it was before the bridge came, and which objects and arrays
were made for the bridge. While the file is as the bridge left it, taking the last of ours out gives back the very file
that was; after that, only what is ours is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from bridge.core.hunks import unified
from bridge.core.programs import Part, Program
from bridge.core.registering import NAME, Done, Outcome, find, install, means_the_same, uninstall
from bridge.core.text import decode
from bridge.errors import BadData

__all__ = ["WHAT", "Plan", "Receipt", "leave", "plan", "read_receipts", "renewed", "shown", "write_receipts"]

WHAT: Final = {Part.MCP: "MCP server", Part.HOOK: "hook"}

_WIDE: Final = 200  # characters: a longer line is a whole file, of which only what changes is shown
_ASIDE: Final = 40  # characters shown on either side of that


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is remembered of a file."""

    after: str  # its digest, as the bridge left it
    backup: str | None  # the name of a copy of it, as it was before the bridge came; None: it was not there
    made: tuple[tuple[str, ...], ...] = ()  # paths of what was made for the bridge, the outer ones first


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of a file; nothing, where `after` is `before`."""

    before: bytes | None  # None: there is no file
    after: bytes | None
    words: tuple[str, ...]  # a sentence for each part
    made: tuple[tuple[str, ...], ...] = ()
    gone: bool = False  # nothing of ours is left in it afterwards
    notes: tuple[str, ...] = ()  # what the human has to do then

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done."""
        return self.before == self.after


def plan(
    program: Program,
    parts: Sequence[Part],
    before: bytes | None,
    *,
    path: str,
    executable: str,
    name: str = NAME,
    strict: bool = False,
) -> Plan:
    """Plan to register parts, which share the file at `path`; every error names it.

    `name` is the MCP server's; `strict` is the hook.

    Raises `BadData` and `Conflict` as `bridge.core.registering.install` does, and for a file that is no UTF-8 text.
    """
    text = _text(before, path)
    words: list[str] = []
    notes: list[str] = []
    made: list[tuple[str, ...]] = []
    for part in parts:
        try:
            done = install(program, part, text, executable, name, strict=strict)
        except BadData as error:
            raise _of_file(error, path) from error
        text = done.text
        made += done.made
        if part is Part.HOOK and program.hook and program.hook.note and done.outcome is not Outcome.ALREADY:
            notes.append(program.hook.note)
        words.append(_sentence(program, part, done, path, executable))
    after = before if text == _text(before, path) else text.encode()
    return Plan(before, after, tuple(words), tuple(made), notes=tuple(notes))


def leave(
    program: Program,
    parts: Sequence[Part],
    before: bytes | None,
    *,
    path: str,
    receipt: Receipt | None = None,
    original: bytes | None = None,
) -> Plan:
    """Plan to take parts out of the file at `path`; `original` are the bytes of the receipt's copy.

    `parts` are those to take out. Raises `BadData` as `plan` does.
    """
    text, words = _text(before, path), []
    made = receipt.made if receipt else ()
    for part in parts:
        try:
            done = uninstall(program, part, text, made)
        except BadData as error:
            raise _of_file(error, path) from error
        text = done.text
        words.append(_sentence(program, part, done, path, ""))
    if text == _text(before, path):
        return Plan(before, before, tuple(words))
    same_file = [part for part in program.parts if program.place(part) == program.place(parts[0])]
    gone = all(find(program, part, text) is None for part in same_file)
    after: bytes | None = text.encode()
    if gone and receipt is not None:
        after = _as_it_was(program, parts[0], before, text, receipt, original)
    return Plan(before, after, tuple(words), gone=gone)


def _as_it_was(
    program: Program, part: Part, before: bytes | None, text: str, receipt: Receipt, original: bytes | None
) -> bytes | None:
    """Give back the file that was there, if `text`, without the bridge, still says just what that one said."""
    if not _is_left_alone(receipt, before):  # somebody's comments may be in it
        return None if receipt.backup is None and text.strip("\ufeff \t\r\n") in ("", "{}") else text.encode()
    old = _text(original, "")  # the bridge has read it before
    return original if means_the_same(program, part, text, old) else text.encode()


def _text(data: bytes | None, path: str) -> str:
    try:
        return "" if data is None else decode(data)
    except BadData as error:
        raise BadData(f"{path}: {error.message}", "the bridge edits UTF-8 text only; it changed nothing") from error


def _of_file(error: BadData, path: str) -> BadData:
    """Say which file it is, and that nothing happened to it."""
    hint = error.hint or "mend it, then try again; the bridge changed nothing"
    return type(error)(f"{path}: {error.message}", hint)


def _sentence(program: Program, part: Part, done: Done, path: str, executable: str) -> str:
    what = WHAT[part]
    sentences = {
        Outcome.ADDED: f"adds the {what} to {path}",
        Outcome.UPDATED: f"the {what} in {path} starts {' '.join(done.old)}; it will start {executable}",
        Outcome.ALREADY: f"the {what} is in {path} already",
        Outcome.REMOVED: f"takes the {what} out of {path}",
        Outcome.ABSENT: f"no {what} of the bridge is in {path}",
    }
    return f"{program.title}: {sentences[done.outcome]}"


# ---- receipts


def digest(data: bytes | None) -> str:
    """Name the contents of a file; a missing one has a name too."""
    return "none" if data is None else sha256(data).hexdigest()


def renewed(old: Receipt | None, done: Plan, backup: str | None) -> Receipt:
    """Write a receipt after a plan was carried out, for which the file was copied to `backup`.

    If nobody else changed the file since the last one, how it was before that goes on counting.
    """
    made = old.made if old else ()
    made += tuple(path for path in done.made if path not in made)
    if old is not None and _is_left_alone(old, done.before):
        backup = old.backup
    return Receipt(digest(done.after), backup, made)


def _is_left_alone(receipt: Receipt, data: bytes | None) -> bool:
    return receipt.after == digest(data)


def read_receipts(text: str) -> dict[str, Receipt]:
    """Read all receipts, by the paths of files. What is no receipt is left out: then only less is known."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    rows = found.items() if isinstance(found, dict) else ()
    return {path: receipt for path, row in rows if (receipt := _receipt(row)) is not None}


def _receipt(row: Any) -> Receipt | None:
    match row:
        case {"after": str(after), "backup": str() | None as backup, "made": list(made)}:
            if all(isinstance(path, list) and all(isinstance(step, str) for step in path) for path in made):
                return Receipt(after, backup, tuple(map(tuple, made)))
    return None


def write_receipts(receipts: Mapping[str, Receipt]) -> str:
    """Write all receipts."""
    rows = {path: {"after": r.after, "backup": r.backup, "made": r.made} for path, r in receipts.items()}
    return json.dumps(rows, indent=2) + "\n"


# ---- what the human sees


def shown(plan: Plan, path: str) -> str:
    """Give the change as a unified diff; hostile text, as the file is.

    CR at the ends of lines is left out, and of lines that are longer than a screen, as in a file of one line, only the
    surroundings of the change are there.
    """
    old, new = ("" if data is None else data.decode().replace("\r\n", "\n") for data in (plan.before, plan.after))
    names = (path if data is not None else "/dev/null" for data in (plan.before, plan.after))
    return "\n".join(_narrow(unified(old, new, *names).split("\n")))


def _narrow(lines: Sequence[str]) -> Iterator[str]:
    """Clip long lines: of two that take each other's place, to where they differ."""
    for index, line in enumerate(lines):
        near = lines[index + 1 : index + 3] if line[:1] == "-" else reversed(lines[max(index - 2, 0) : index])
        other = next((one for one in near if {line[:1], one[:1]} == {"+", "-"}), None)
        if len(line) <= _WIDE:
            yield line
        elif other is None:
            yield f"{line[:_WIDE]}…"
        else:
            yield _clipped(line, other)


def _clipped(line: str, other: str) -> str:
    body, rest = line[1:], other[1:]
    most = min(len(body), len(rest))
    head = next((i for i in range(most) if body[i] != rest[i]), most)
    tail = next((i for i in range(most - head) if body[-1 - i] != rest[-1 - i]), most - head)
    start, end = max(head - _ASIDE, 0), min(len(body) - tail + _ASIDE, len(body))
    return f"{line[0]}{'…' if start else ''}{body[start:end]}{'…' if end < len(body) else ''}"
