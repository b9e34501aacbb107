"""Text that strangers wrote: shown without deceiving, read without guessing, and given back as it was.

Titles, paths, messages of IDEs and the files themselves are hostile until shown otherwise. `visible` is the
one sanitizer for terminals and logs, `hidden` says what the reader of a diff must be warned of, and `settle`
undoes what editors do to a text that they only showed.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Final

from bridge.core.lines import edits, split
from bridge.errors import BadData

__all__ = ["Hidden", "decode", "hidden", "normalise", "settle", "visible"]

BOM: Final = "\ufeff"


class Hidden(StrEnum):
    """What a text may hold that its reader does not see; the value is a phrase for the human."""

    BIDI = "bidirectional controls"  # Trojan Source, CVE-2021-42574: the order shown is not the order read
    INVISIBLE = "invisible characters"
    CONTROL = "control characters"


_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Drawn as nothing, although Unicode calls them letters, marks or symbols. U+FE0E and U+FE0F are not here:
# they belong to ordinary emoji.
_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0)]))
)
_KINDS: Final = {"Cc": Hidden.CONTROL, "Cs": Hidden.CONTROL, "Zl": Hidden.CONTROL, "Zp": Hidden.CONTROL} | {
    "Cf": Hidden.INVISIBLE
}
_UNPRINTABLE: Final = frozenset({*_KINDS, "Co", "Cn"})

_ESCAPES: Final = ((0x100, r"\x%02x"), (0x10000, r"\u%04x"), (0x110000, r"\U%08x"))
_ODD: Final = re.compile(r"[^ -~]")
_ODD_IN_LINES: Final = re.compile(r"[^ -~\n\t]")
_ODD_IN_FILES: Final = re.compile(r"[^ -~\n\t\r]")


def visible(text: str, *, multiline: bool = False) -> str:
    r"""Make `text` safe for a terminal or a log: what cannot be seen is shown as its escape.

    Escaped, as ``\x1b`` or ``\u202e``: C0 (ESC, CR and, unless `multiline`, LF and TAB), DEL, C1,
    bidirectional controls, zero-width and other invisible characters, line and paragraph separators, private
    and unassigned code points, lone surrogates. An undecodable byte of a path (``surrogateescape``) is shown
    as the byte. Everything else stays. Not reversible: a backslash of `text` is left alone.
    """
    return (_ODD_IN_LINES if multiline else _ODD).sub(_show, text)


def _show(match: re.Match[str]) -> str:
    return _shown(match[0])


@lru_cache(4096)
def _shown(char: str) -> str:
    if char not in _BLANK and unicodedata.category(char) not in _UNPRINTABLE:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return next(form % code for limit, form in _ESCAPES if code < limit)


def hidden(text: str) -> tuple[Hidden, ...]:
    """Name the kinds of deceptive characters in a file's text, in the order of `Hidden`, each once.

    LF, CR, TAB and a BOM at the very start are what files are made of, and not counted.
    """
    odd = set(_ODD_IN_FILES.findall(text.removeprefix(BOM)))
    kinds = {_kind(char) for char in odd}
    return tuple(kind for kind in Hidden if kind in kinds)


def _kind(char: str) -> Hidden | None:
    if char in _BIDI:
        return Hidden.BIDI
    if char in _BLANK:
        return Hidden.INVISIBLE
    return _KINDS.get(unicodedata.category(char))


def decode(data: bytes) -> str:
    """Read a file's bytes as UTF-8, with its BOM (as U+FEFF) and its line endings as they are.

    Raises `BadData` for what cannot be shown and given back exactly: a NUL byte (binary, or UTF-16) and
    bytes that are not UTF-8; the message has the 0-based offset of the first.
    """
    hint = "only UTF-8 text can be reviewed: convert the file, or change it without the bridge"
    nul = data.find(b"\0")
    if nul >= 0:
        raise BadData(f"binary file: NUL byte at offset {nul}", hint)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadData(f"not UTF-8 text: byte 0x{data[exc.start]:02x} at offset {exc.start}", hint) from exc


def normalise(text: str) -> str:
    """Drop what surfaces change by themselves: the BOM, CR and CRLF (now LF), one newline at the end.

    A blank line more or less at the end is the human's, so this is not idempotent: two newlines become one.
    """
    return text.lstrip(BOM).replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def settle(proposal: str, returned: str) -> str:
    """Bring what a surface `returned` back to the line endings, BOM and final newline of `proposal`.

    When both are equal once normalised, the human changed nothing and `proposal` itself comes back. Else the
    lines that the human did not touch stay exactly as proposed, mixed endings included; new lines end as
    most lines of `proposal` do (LF if it has none). The BOM and the newline at the end are as in `proposal`;
    if that is empty, the newline is as in `returned`. Always ``normalise(settle(p, r)) == normalise(r)``.
    """
    edited, before = normalise(returned), normalise(proposal)
    if edited == before:
        return proposal
    body = proposal.lstrip(BOM)
    bom = proposal[: len(proposal) - len(body)]
    if not edited:
        return bom
    lines = _merge(body, before.split("\n"), edited.split("\n"))
    last = lines[-1].rstrip("\r\n")
    # Without the newline at its end an empty last line would be gone.
    if last and not (body or returned).endswith(("\n", "\r")):
        lines[-1] = last
    return bom + "".join(lines)


def _merge(body: str, old_keys: list[str], new_keys: list[str]) -> list[str]:
    """Take unchanged lines from `body` and the rest from `new_keys`; each has an ending."""
    usual = _usual_ending(body)
    old = split(body)
    if not body.endswith(("\n", "\r")):
        old[len(old_keys) - 1 :] = [old_keys[-1] + usual]
    lines: list[str] = []
    at = 0
    for edit in edits(old_keys, new_keys):
        lines += old[at : edit.old_start]
        lines += [key + usual for key in new_keys[edit.new_start : edit.new_end]]
        at = edit.old_end
    lines += old[at:]
    return _keep_apart(lines) if "\r" in body else lines


def _usual_ending(body: str) -> str:
    both = body.count("\r\n")
    counts = {"\n": body.count("\n") - both, "\r\n": both, "\r": body.count("\r") - both}
    return max(counts, key=lambda end: counts[end])


def _keep_apart(lines: list[str]) -> list[str]:
    """End an empty line with CR where its LF would fuse with the CR of the line before."""
    apart: list[str] = []
    for line in lines:
        apart.append("\r" if line == "\n" and apart and apart[-1].endswith("\r") else line)
    return apart
