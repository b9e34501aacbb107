"""Single names: the 39 characters that Windows forbids, letter case, and what Win32 programs stumble over.

WSL writes a forbidden character of a Linux name as U+F000 plus its code. Exactly those are read back: full-width
punctuation is somebody's text, and U+F000 itself would become a NUL. Facts:
docs/protocol.md "Paths between Windows and WSL".
"""

from __future__ import annotations

import re

from pathconv.errors import Code, PathConvError
from pathconv.values import WinPath

__all__ = ["escape", "fold", "hazards", "to_posix_names", "to_windows_names", "unescape"]

_FORBIDDEN = (*range(1, 32), *map(ord, '"*:<>?\\|'))
_ESCAPE: dict[int, int] = {code: 0xF000 + code for code in _FORBIDDEN}
_UNESCAPE: dict[int, int] = {escaped: code for code, escaped in _ESCAPE.items()}
_TO_WINDOWS = _ESCAPE | {ord("/"): ord("\\")}
_TO_POSIX = _UNESCAPE | {ord("\\"): ord("/")}
_NEEDS_ESCAPE = re.compile(r'[\x01-\x1f"*:<>?\\|]')

_MIMICS = frozenset("\u0131\u017f")  # dotless i, long s: Python makes ASCII letters of them, NTFS does not
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
_RESERVED = frozenset(_DEVICES | {port + digit for port in ("COM", "LPT") for digit in "123456789¹²³"})
_MAX_PATH = 260  # UTF-16 units, the closing NUL included


def escape(name: str) -> str:
    r"""Write one Linux name as Windows can store it.

    >>> ascii(escape("a:b"))
    "'a\\uf03ab'"

    Raises `PathConvError` for what no name on either side holds: ``nul``, and ``invalid-char`` for a slash.
    """
    if "\0" in name:
        raise PathConvError(Code.NUL, name)
    if "/" in name:
        raise PathConvError(Code.INVALID_CHAR, name, "a name cannot hold a slash")
    return name.translate(_ESCAPE)


def unescape(name: str) -> str:
    r"""Read one Windows name as the Linux name it stands for; never gives a slash or a NUL.

    >>> unescape("a\uf03ab")
    'a:b'
    """
    return name if name.isascii() else name.translate(_UNESCAPE)


def to_windows_names(names: str) -> str:
    """Turn ``/``-separated Linux names into ``\\``-separated Windows ones."""
    return names.translate(_TO_WINDOWS) if _NEEDS_ESCAPE.search(names) else names.replace("/", "\\")


def to_posix_names(names: str) -> str:
    """Turn ``\\``-separated Windows names into ``/``-separated Linux ones."""
    return names.replace("\\", "/") if names.isascii() else names.translate(_TO_POSIX)


def fold(text: str) -> str:
    """Upper-case as NTFS compares: one character for one, and no other letter becomes an ASCII one.

    >>> fold("straße")
    'STRAßE'
    """
    upper = text.upper()
    if text.isascii() or (len(upper) == len(text) and _MIMICS.isdisjoint(text)):
        return upper  # the rule below, quickly: nothing became longer, or ASCII
    return "".join(map(_fold_one, text))


def _fold_one(character: str) -> str:
    upper = character.upper()
    return upper if len(upper) == 1 and (upper > "\x7f" or character <= "\x7f") else character


def hazards(path: WinPath) -> list[str]:
    r"""Say, sorted, why an ordinary Win32 program cannot open `path`, although it is a lawful name.

    ``long-path``: 260 UTF-16 units or more; ``reserved-name``: a DOS device, with any extension;
    ``trailing-dot-or-space``: Win32 cuts these off and opens another file.

    >>> hazards(WinPath("C:", r"\src\aux.c")), hazards(WinPath("C:", r"\console"))
    (['reserved-name'], [])
    """
    names = path.tail.split("\\")
    found = set()
    if len(str(path).encode("utf-16-le", "surrogatepass")) // 2 >= _MAX_PATH:
        found.add("long-path")
    if any(name.partition(".")[0].rstrip(" ").upper() in _RESERVED for name in names):
        found.add("reserved-name")
    if any(name.endswith((".", " ")) for name in names):
        found.add("trailing-dot-or-space")
    return sorted(found)
