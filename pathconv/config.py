"""Two small files: ``/etc/wsl.conf`` and ``/proc/net/route``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["WslConf", "parse_route", "parse_wsl_conf"]

_SECTION = re.compile(r"\s*\[\s*([A-Za-z0-9]+)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9]+)\s*=\s*")
# A value, piece by piece: an escape, a quoted part (it may lack its end), what is plain; ``#`` ends it.
_PIECE = re.compile(r'\\(.)|"((?:[^"\\]|\\.)*)"?|([^"#\\]+)')
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class WslConf:
    """What a distribution is told to do when it starts next; how it is now, only its mount table knows."""

    automount: bool = True
    root: str = "/mnt/"  # with a closing slash; below it lie the drives, by lower-case letter
    interop: bool = True  # may Windows programs be started


def parse_wsl_conf(text: str) -> WslConf:
    """Read ``/etc/wsl.conf`` as WSL does, not as others think: the first of two equal keys counts, only ``"`` quotes,
    ``#`` comments anywhere and ``;`` nowhere, ``\\`` escapes, case of names does not matter.

    >>> parse_wsl_conf('[AutoMount]\\nroot = "/my drives" # here')
    WslConf(automount=True, root='/my drives/', interop=True)
    """
    found: dict[tuple[str, str], str] = {}
    for where, value in _settings(text):
        found.setdefault(where, value)
    root = found.get(("automount", "root")) or WslConf().root
    return WslConf(
        _BOOLEANS.get(found.get(("automount", "enabled"), "").lower(), True),
        root if root.endswith("/") else root + "/",
        _BOOLEANS.get(found.get(("interop", "enabled"), "").lower(), True),
    )


def _settings(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    section = ""
    for line in text.removeprefix("\ufeff").replace("\r", "").split("\n"):
        if line.lstrip().startswith("["):
            header = _SECTION.fullmatch(line)
            section = header[1].lower() if header else ""
        elif key := _KEY.match(line):
            yield (section, key[1].lower()), _value(line[key.end() :])


def _value(text: str) -> str:
    """Take quotes, escapes and a comment off; blanks at the end count only where they are quoted."""
    pieces, at = [""], 0
    while piece := _PIECE.match(text, at):
        escape, quoted, plain = piece.groups()
        at = piece.end()
        if plain is None:
            pieces.append(_ESCAPES.get(escape, escape) if escape else _ESCAPED.sub(_unescaped, quoted))
        else:
            pieces.append(plain if text[at : at + 1] in ('"', "\\") else plain.rstrip())
    return "".join(pieces)


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPES.get(escape[1], escape[1])


_UP, _GATEWAY, _REJECT = 0x1, 0x2, 0x200  # flags of a route, from linux/route.h


def parse_route(text: str) -> str | None:
    """Give the default gateway of ``/proc/net/route``: of several the one with the lowest metric; None without one.

    >>> parse_route("eth0 00000000 016015AC 0003 0 0 0 00000000 0 0 0")
    '172.21.96.1'
    """
    ways = [way for line in text.splitlines() if (way := _default(line.split()))]
    return min(ways, key=lambda way: way[0])[1] if ways else None


def _default(fields: list[str]) -> tuple[int, str] | None:
    """Give metric and gateway of a route, or None if it is not a usable default one."""
    try:
        _, destination, gateway, flags, _, _, metric, mask = fields[:8]
        wanted = int(flags, 16) & (_UP | _GATEWAY | _REJECT) == _UP | _GATEWAY
        if int(destination, 16) or int(mask, 16) or not wanted or len(gateway) != 8:
            return None
        octets = bytes.fromhex(gateway)[::-1]  # as the machine has it, and WSL runs on little-endian ones only
        return int(metric), ".".join(map(str, octets))
    except ValueError:
        return None
