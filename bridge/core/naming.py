"""One string of a message: the name that the other side of the Windows boundary has for the file that it means.

Whose style a path is in is seen from each string, in both directions, since the two styles of absolute paths have
nothing in common: an IDE on Windows may write ``/mnt/c/…`` (JetBrains does), and an agent may hand back what it
read elsewhere. What an IDE on Windows calls ``/mnt/c`` is its drive C:, wherever that is mounted here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from bridge.core.unmappable import refuse_misread
from pathconv import Code, PathConvError, PathMapper, is_uri, parse_uri

__all__ = ["Direction", "Kind", "Names"]

Direction = Literal["to_ide", "to_agent"]


class Kind(Enum):
    """What a field holds. Lists and JSON in a string are said by the field's name, see `bridge.core.translate.Row`."""

    PATH = auto()  # an absolute path; also, where a plugin writes that instead, a ``file`` URI
    URI = auto()  # a URI; also, where a plugin writes that instead, a path


_DIFF_URI: Final = re.compile(r"(_claude_\w+:)(//?[^/].*)", re.DOTALL)  # a side of official's diff: its own scheme
_OTHER_URI: Final = re.compile(r"\w[\w+.-]+:")  # two letters at least: one is a drive
_SAYS_NOTHING: Final = frozenset({Code.RELATIVE, Code.EMPTY})  # the same on both sides


@dataclass(slots=True)
class Names:
    """Finds the other side's names for what the strings of one message mean; `direction` says whose are wanted."""

    mapper: PathMapper
    direction: Direction
    strict: bool = False  # a path without a name is an error
    exact: bool = False  # and so is one whose name means another file to an IDE on Windows
    untranslated: int = 0  # otherwise: such paths, that passed unchanged

    def other(self, text: str, kind: Kind) -> str:
        """Give the other side's name, `text` itself if that is it.

        Raises `PathConvError` if strict, and `Unmappable` if exact.
        """
        try:
            name = self._other(text, kind)
        except PathConvError as exc:
            if self.strict and exc.code is not Code.EMPTY:
                raise PathConvError(exc.code, text, exc.why) from exc  # in the asker's own spelling
            self.untranslated += exc.code not in _SAYS_NOTHING
            return text
        return text if name == text else name

    def _other(self, text: str, kind: Kind) -> str:
        if is_uri(text):
            return self._uri(text, text)
        if diff := _DIFF_URI.match(text):
            uri = "file:" + ("" if diff[2].startswith("//") else "//") + diff[2]
            rest = self._uri(uri, text).removeprefix("file:")
            return diff[1] + (rest.removeprefix("//") if rest.startswith("///") else rest)
        if kind is Kind.URI and _OTHER_URI.match(text):
            return text  # untitled:, git:, output:, … name no file
        return self._path(text)

    def _uri(self, uri: str, asked: str) -> str:
        here = self.mapper.local_uri(uri)
        if self.direction == "to_agent":
            return here
        self._check(str(parse_uri(here)), asked)
        return self.mapper.peer_uri(here)

    def _path(self, path: str) -> str:
        if self.direction == "to_ide":
            here = self.mapper.to_local(path)
            self._check(here, path)
            return self.mapper.to_peer(here)
        ide_in_windows = self.mapper.facts.local == "linux"
        return self.mapper.ide_folder(path, True) if ide_in_windows else self.mapper.to_local(path)

    def _check(self, here: str, asked: str) -> None:
        if self.exact and self.mapper.facts.local == "linux":
            refuse_misread(self.mapper, here, asked)
