"""Why a path has no name on the other side: one exception, seventeen codes."""

from __future__ import annotations

import re
from enum import StrEnum

__all__ = ["Code", "PathConvError"]

_SHOWN = 200  # characters of a path in a message; a megabyte of it helps nobody


class Code(StrEnum):
    """What is wrong with a path, for programs."""

    EMPTY = "empty"
    NUL = "nul"
    RELATIVE = "relative"
    ESCAPES_ROOT = "escapes-root"
    INVALID_CHAR = "invalid-char"
    STREAM = "stream"
    DEVICE = "device"
    UNMAPPED = "unmapped"
    SHADOWED = "shadowed"
    FOREIGN_DISTRO = "foreign-distro"
    NO_DISTRO = "no-distro"
    NOT_A_URI = "not-a-uri"
    SCHEME = "scheme"
    FOREIGN_REMOTE = "foreign-remote"
    ENCODED_SEPARATOR = "encoded-separator"
    BAD_ESCAPE = "bad-escape"
    NOT_UTF8 = "not-utf8"


_SENTENCES = {
    Code.EMPTY: "the path is empty",
    Code.NUL: "a path cannot hold a NUL character",
    Code.RELATIVE: "not an absolute path of that kind",
    Code.ESCAPES_ROOT: "'..' leads out of the drive, share or distribution",
    Code.INVALID_CHAR: "holds a name that Windows forbids",
    Code.STREAM: "names an alternate data stream, not a file",
    Code.DEVICE: "names a device, not a file",
    Code.UNMAPPED: "not mounted on the other side",
    Code.SHADOWED: "another file system is mounted over it",
    Code.FOREIGN_DISTRO: "belongs to another distribution",
    Code.NO_DISTRO: "the name of this distribution is not known",
    Code.NOT_A_URI: "not a URI",
    Code.SCHEME: "neither a file: nor a vscode-remote: URI",
    Code.FOREIGN_REMOTE: "belongs to a remote machine or container",
    Code.ENCODED_SEPARATOR: "hides a path separator in a percent escape",
    Code.BAD_ESCAPE: "holds a percent sign without two hexadecimal digits",
    Code.NOT_UTF8: "not UTF-8, so the other side has no name for it",
}


# Controls, what hides or turns the text around it, lone surrogates and private use: a message is to be read.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\uf8ff]")


class PathConvError(ValueError):
    """A path that has no name of the wanted kind.

    `code` says why, to programs; `path` is the input as it came; `str()` is a sentence for people, without a full
    stop. `why` replaces the code's general sentence where more is known ("drive E: is not mounted in Ubuntu").

    >>> str(PathConvError(Code.RELATIVE, "a/b"))
    'not an absolute path of that kind: a/b'
    """

    def __init__(self, code: Code, path: str, why: str = "") -> None:
        super().__init__(code, path, why)
        self.code = code
        self.path = path
        self.why = why or _SENTENCES[code]

    def about(self, path: str) -> PathConvError:
        """Give the same error for what the caller had, of which `self.path` is a part or another spelling."""
        return PathConvError(self.code, path, self.why)

    def __str__(self) -> str:
        shown = self.path if len(self.path) <= _SHOWN else self.path[: _SHOWN - 1] + "…"
        visible = _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], shown)
        return f"{self.why}: {visible}" if visible else self.why
