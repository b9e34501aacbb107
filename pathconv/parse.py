"""Text into paths: what is absolute, what ``..`` may do, what Windows forbids. Lexical only, in linear time."""

from __future__ import annotations

import re

from pathconv.errors import Code, PathConvError
from pathconv.values import PosixPath, WinPath

__all__ = ["checked", "parse_posix", "parse_windows"]

_DRIVE = re.compile(r"[A-Za-z]:\\")
_UNC = re.compile(r"\\\\([^\\]+)(?:\\+([^\\]+))?")
_DEVICES = re.compile(r"\\\\[.?](?:\\|$)|\\\?\?\\")
_VERBATIM = "\\\\?\\"
_VERBATIM_UNC = re.compile(r"\\\\\?\\UNC\\", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x01-\x1f"*:<>?|]')
_DOTS = re.compile(r"\\\.\.?(?:\\|$)")


def parse_windows(text: str) -> WinPath:
    r"""Read an absolute Windows path: of a drive or a share, with either slash, with or without ``\\?\``.

    >>> str(parse_windows("c:/Users//me/../you")), str(parse_windows(r"\\?\UNC\nas\media\x"))
    ('C:\\Users\\you', '\\\\nas\\media\\x')

    Raises `PathConvError`: ``relative`` for ``C:x``, ``\x`` and all that has no root; ``device``; ``escapes-root``;
    ``invalid-char`` and ``stream`` for names that no file has; also ``.`` and ``..`` after ``\\?\``, where they are
    no directions but names; ``empty``, ``nul``, ``not-utf8``.
    """
    flat = utf8(checked(text)).replace("/", "\\")
    verbatim = flat.startswith(_VERBATIM)
    if verbatim:
        flat = _without_prefix(flat)
    if _DEVICES.match(flat):
        raise PathConvError(Code.DEVICE, text)
    root, end = _root(flat, text)
    if found := _FORBIDDEN.search(flat, 2):
        stream = found[0] == ":" and found.start() >= end  # not one in a host
        raise PathConvError(Code.STREAM if stream else Code.INVALID_CHAR, text)
    if verbatim and _DOTS.search(flat, 2):
        raise PathConvError(Code.INVALID_CHAR, text)
    return WinPath(root, collapse(flat[end:], "\\", text))


def parse_posix(text: str) -> PosixPath:
    """Read an absolute POSIX path; ``..`` is resolved in the text, symbolic links are the caller's business.

    >>> str(parse_posix("/mnt//c/../d/"))
    '/mnt/d/'

    Raises `PathConvError`: ``empty``, ``nul``, ``relative``, ``escapes-root``.
    """
    if not checked(text).startswith("/"):
        raise PathConvError(Code.RELATIVE, text)
    return PosixPath(collapse(text, "/", text))


def checked(text: str) -> str:
    """Refuse what no path can be: ``empty``, ``nul``."""
    if not text:
        raise PathConvError(Code.EMPTY, text)
    if "\0" in text:
        raise PathConvError(Code.NUL, text)
    return text


def utf8(text: str) -> str:
    """Refuse lone surrogates: bytes of a Linux name, or halves of a Windows one, that no other side can spell."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise PathConvError(Code.NOT_UTF8, text) from None
    return text


def _without_prefix(flat: str) -> str:
    r"""Take ``\\?\`` off a path; a path that only this prefix can name stays as it is, and is a device."""
    if unc := _VERBATIM_UNC.match(flat):
        return "\\\\" + flat[unc.end() :]
    return flat[4:] if _DRIVE.match(flat, 4) else flat


def _root(flat: str, text: str) -> tuple[str, int]:
    """Give the root of a path with backslashes only, and where its tail begins."""
    if _DRIVE.match(flat):
        return flat[:2].upper(), 2
    unc = _UNC.match(flat)
    if unc is None:
        raise PathConvError(Code.RELATIVE, text)
    host, share = unc.groups("")
    if ".." in (host, share):
        raise PathConvError(Code.ESCAPES_ROOT, text)
    if share == ".":
        raise PathConvError(Code.INVALID_CHAR, text)
    return f"\\\\{host}\\{share}".rstrip("\\"), unc.end()


def collapse(tail: str, separator: str, text: str) -> str:
    """Resolve ``.``, ``..`` and doubled separators in `tail`, which is empty or begins with one."""
    if separator + separator not in tail and separator + "." not in tail:
        return tail
    names: list[str] = []
    for name in tail.split(separator):
        if name == "..":
            if not names:
                raise PathConvError(Code.ESCAPES_ROOT, text)
            names.pop()
        elif name not in ("", "."):
            names.append(name)
    closing = separator if names and tail.endswith(separator) else ""
    return separator + separator.join(names) + closing
