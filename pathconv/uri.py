"""``file:`` and ``vscode-remote:`` URIs, written as VS Code writes them and read as several programs do."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from pathconv.errors import Code, PathConvError
from pathconv.parse import checked, parse_posix, parse_windows, utf8
from pathconv.values import PosixPath, WinPath, WslPath

__all__ = ["parse_uri", "split_uri", "to_uri"]

_SAFE = "/-._~"  # VS Code encodes everything else but letters and digits, also ``:``, ``$`` and parentheses
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # one letter is a drive
_END = re.compile(r"[?#]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DRIVE = re.compile(r"/[A-Za-z]:(?=[/\\]|$)")
_DRIVE_AS_HOST = re.compile(r"[A-Za-z]:", re.ASCII)
_DISTRO = re.compile(r"wsl\+([A-Za-z0-9._-]+)", re.IGNORECASE | re.ASCII)


def to_uri(path: WinPath | PosixPath | WslPath | str) -> str:
    r"""Give the URI of a path; a `str` is an absolute POSIX path, whose ``..`` and doubled slashes stay.

    >>> to_uri("/home/me/a b#1.py"), to_uri(WinPath("C:", "\\a")), to_uri(WinPath(r"\\wsl$\Ubuntu", "\\a"))
    ('file:///home/me/a%20b%231.py', 'file:///c%3A/a', 'file://wsl%24/Ubuntu/a')
    >>> to_uri(WslPath("Ubuntu", "/srv"))
    'vscode-remote://wsl%2Bubuntu/srv'

    VS Code lower-cases drives, hosts and distributions. Raises `PathConvError`: ``empty``, ``nul`` and ``relative``
    for a text that is no absolute POSIX path, and ``not-utf8`` for a name with bytes that are not UTF-8 (surrogate
    escapes), which no URI can carry to an editor that reads UTF-8.
    """
    match path:
        case WinPath():
            names = path.tail.replace("\\", "/")
            where = f"//{path.host.lower()}/{path.share}" if path.host else f"///{path.root.lower()}"
            text = (where + names) if path.host and path.share else where.rstrip("/") + names
            return "file:" + _quoted(text)
        case WslPath():
            return f"vscode-remote://wsl%2B{path.distro.lower()}" + _quoted(path.path)
        case PosixPath():
            return "file://" + _quoted(path.path)
    if not checked(path).startswith("/"):
        raise PathConvError(Code.RELATIVE, path)
    return "file://" + _quoted("/" + path.lstrip("/"))  # VS Code refuses a fourth slash


def parse_uri(uri: str) -> WinPath | PosixPath | WslPath:
    r"""Read a URI of a file: of Windows where it has a drive or a host, else of POSIX; of WSL for a remote window.

    Escapes are decoded once; query and fragment are dropped; ``localhost`` is no host. Java's fourth slash before a
    host is accepted.

    >>> parse_uri("file:///c%3A/a%2525#L10"), parse_uri("file://localhost/srv")
    (WinPath(root='C:', tail='\\a%25'), PosixPath(path='/srv'))
    >>> parse_uri("vscode-remote://wsl%2Bubuntu/home/me")
    WslPath(distro='ubuntu', path='/home/me')

    Raises `PathConvError`: ``not-a-uri``, ``scheme`` (no file), ``foreign-remote`` (SSH, a container),
    ``encoded-separator``, ``bad-escape``, ``not-utf8``, and whatever is wrong with the path inside.
    """
    scheme = _SCHEME.match(utf8(checked(uri)))
    if scheme is None:
        raise PathConvError(Code.NOT_A_URI, uri)
    if (kind := scheme[1].lower()) not in ("file", "vscode-remote"):
        raise PathConvError(Code.SCHEME, uri)
    try:
        authority, path = _parts(split_uri(uri)[0][scheme.end() :])
        return _remote(authority, path) if kind == "vscode-remote" else _file(authority, path)
    except PathConvError as error:
        raise error.about(uri) from None


def split_uri(uri: str) -> tuple[str, str]:
    """Split a URI into what names the file, and its query and fragment."""
    end = _END.search(uri)
    return (uri[: end.start()], uri[end.start() :]) if end else (uri, "")


def _quoted(text: str) -> str:
    return quote(utf8(text).encode(), safe=_SAFE)


def _parts(rest: str) -> tuple[str, str]:
    """Take the authority off; ``file://C:/x``, a common mistake, has none (as browsers read it)."""
    if not rest.startswith("//"):
        return "", rest
    authority, slash, path = rest[2:].partition("/")
    if _DRIVE_AS_HOST.fullmatch(_decoded(authority)):
        return "", f"/{authority}{slash}{path}"
    return _decoded(authority), slash + path


def _file(authority: str, raw: str) -> WinPath | PosixPath:
    path = _decoded(raw)
    if not path and not authority:
        raise PathConvError(Code.RELATIVE, raw)
    if authority.lower() not in ("", "localhost"):
        return parse_windows(f"//{authority}{_no_separators(raw, path)}")
    if _DRIVE.match(path):
        return parse_windows(_no_separators(raw, path)[1:] + ("/" if len(path) == len("/c:") else ""))
    if path.startswith("//"):
        return parse_windows("//" + _no_separators(raw, path).lstrip("/"))
    return parse_posix(path)


def _remote(authority: str, raw: str) -> WslPath:
    distro = _DISTRO.fullmatch(authority)
    if distro is None:
        raise PathConvError(Code.FOREIGN_REMOTE, raw)
    return WslPath(distro[1], parse_posix(_decoded(raw) or "/").path)


def _no_separators(raw: str, path: str) -> str:
    """Refuse ``%5C`` where a backslash separates; on Linux it is a character like others."""
    if "%5c" in raw.lower():
        raise PathConvError(Code.ENCODED_SEPARATOR, raw)
    return path


def _decoded(raw: str) -> str:
    if "%" not in raw:
        return raw
    if _BAD_ESCAPE.search(raw):
        raise PathConvError(Code.BAD_ESCAPE, raw)
    if "%2f" in raw.lower():
        raise PathConvError(Code.ENCODED_SEPARATOR, raw)
    try:
        return checked(unquote_to_bytes(raw).decode())
    except UnicodeDecodeError:
        raise PathConvError(Code.NOT_UTF8, raw) from None
