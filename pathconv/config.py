"""Two small files: ``/etc/wsl.conf`` and ``/proc/net/route``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["WslConf", "parse_route", "parse_wsl_conf"]

_NAME = "[A-Za-z][A-Za-z0-9]*+"
_QUOTED = r'"(?:[^"\\\n]++|\\[\\"bnt\n])*'  # without its closing quote
# One line, which a backslash at its end continues. It is invalid if its rest is no comment, or a quote is left open.
_LINE = re.compile(
    rf"[ \t]*+(?:\[(?P<section>{_NAME})\][ \t]*+"
    rf'|(?P<key>{_NAME})[ \t]*+=[ \t]*+(?P<value>(?:[^"\\#\n]++|\\[\\"bnt\n]|{_QUOTED}")*)(?P<open>{_QUOTED})?)?'
    r"(?P<rest>[^\n]*+)(?:\n|\Z)"
)
_MARK = re.compile(r'"|\\.', re.DOTALL)
_MARKS = {'"': "", '\\"': '"', "\\\\": "\\", "\\b": "\b", "\\n": "\n", "\\t": "\t", "\\\n": ""}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class WslConf:
    """What a distribution is told to do when it starts next; how it is now, only its mount table knows."""

    automount: bool = True
    root: str = "/mnt/"  # with a closing slash; below it lie the drives, by lower-case letter
    interop: bool = True  # may Windows programs be started


def parse_wsl_conf(text: str) -> WslConf:
    """Read ``/etc/wsl.conf`` as WSL does, not as others think: the first of two equal keys counts, only ``"`` quotes,
    ``#`` comments anywhere and ``;`` nowhere, case of names does not matter, a backslash continues a line. An invalid
    line counts for nothing: one with a quote left open, with an escape other than ``\\\\ \\" \\b \\n \\t``, or without
    a name of letters and digits before its ``=``.

    >>> parse_wsl_conf('[AutoMount]\\nroot = "/my drives" # here')
    WslConf(automount=True, root='/my drives/', interop=True)
    """
    found: dict[tuple[str, str], str] = {}
    for where, value in _settings(text):
        found.setdefault(where, value)
    root = found.get(("automount", "root"), WslConf().root)
    return WslConf(
        _BOOLEANS.get(found.get(("automount", "enabled"), "").lower(), True),
        root if root.endswith("/") else root + "/",
        _BOOLEANS.get(found.get(("interop", "enabled"), "").lower(), True),
    )


def _settings(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Give section, key and value of all valid lines; after an invalid section line there is no section."""
    section = ""
    for line in _LINE.finditer(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")):
        name, key, value, left_open, rest = line.group("section", "key", "value", "open", "rest")
        valid = left_open is None and rest[:1] in ("", "#")
        if name is not None or rest.startswith("["):
            section = name.lower() if valid else ""
        elif key is not None and valid:
            yield (section, key.lower()), _MARK.sub(_meant, value.rstrip(" \t"))


def _meant(mark: re.Match[str]) -> str:
    return _MARKS[mark[0]]


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
