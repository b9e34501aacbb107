"""What one IDE window knows apart from diffs: its folder, open documents, selection, diagnostics.

Positions are zero-based: line, then UTF-16 unit, as in VS Code. Files are read when they are opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .names import HERE, Names

__all__ = ["Document", "Position", "Selection", "Window", "position"]

Position = tuple[int, int]

LANGUAGES: Final = {".json": "json", ".md": "markdown", ".py": "python", ".ts": "typescript"}


@dataclass(frozen=True, slots=True)
class Document:
    """A file in an editor tab, with its text at the time it was opened."""

    path: Path
    text: str
    is_preview: bool = False

    @property
    def language_id(self) -> str:
        """VS Code's name of the language, judged by the suffix."""
        return LANGUAGES.get(self.path.suffix, "plaintext")

    @property
    def line_count(self) -> int:
        """The number of lines as editors count them: an empty file has one."""
        return self.text.count("\n") + 1


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected part of a document, or the cursor when `start` equals `end`."""

    path: Path
    text: str = ""
    start: Position = (0, 0)
    end: Position = (0, 0)

    @classmethod
    def of_text(cls, path: Path, text: str, start: Position) -> Selection:
        """Select `text`, which begins at `start`."""
        lines, last = position(text, len(text))
        line, character = start
        return cls(path, text, start, (line + lines, last if lines else character + last))

    def to_json(self, names: Names = HERE) -> dict[str, Any]:
        """Give the shape that notifications and results share, with the path as `names` has it."""
        bounds = {"start": as_json(self.start), "end": as_json(self.end), "isEmpty": self.start == self.end}
        return {
            "text": self.text,
            "filePath": names.path(self.path),
            "fileUrl": names.uri(self.path),
            "selection": bounds,
        }


@dataclass(kw_only=True)
class Window:
    """The state that the tools show and change."""

    workspace: Path
    names: Names = HERE  # what the IDE calls the files, which are all by their real paths here
    documents: dict[Path, Document] = field(default_factory=dict)  # in the order of the tabs
    selection: Selection | None = None  # its document is the active one; set by `select`
    visited: dict[Path, float] = field(default_factory=dict)  # when each was the active one last, the latest at the end
    dirty: set[Path] = field(default_factory=set)  # counts as open
    diagnostics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by URI

    def find(self, name: str) -> Path | None:
        """Find the file that the IDE's client names; None for what is no name of a file to this IDE."""
        try:
            return self.names.real(self.workspace, name)
        except ValueError:
            return None

    def problems(self, uri: str) -> list[dict[str, Any]]:
        """Give the diagnostics of one file, in whichever of its spellings `uri` is."""
        wanted = self.meant(uri)
        return next((found for key, found in self.diagnostics.items() if self.meant(key) == wanted), [])

    def meant(self, uri: str) -> Path | str:
        """Find the file that a URI means, else give the URI: it names an untitled text, or nothing at all."""
        try:
            return self.names.real_of_uri(uri)
        except ValueError:
            return uri

    def open(self, path: Path, *, preview: bool = False) -> Document:
        """Open the file `path`, or read it again.

        Raises `OSError` if that cannot be, `ValueError` if no file can have that name.
        """
        document = Document(path, path.read_bytes().decode("utf-8", "replace"), preview)
        self.documents[path] = document
        return document

    def select(self, selection: Selection, now: float) -> None:
        """Make `selection` the current one at `now`, in seconds of the clock."""
        self.selection = selection
        self.visited.pop(selection.path, None)
        self.visited[selection.path] = now

    def is_open(self, path: Path | str) -> bool:
        """Whether an editor holds `path`."""
        return path in self.documents or path in self.dirty


def position(text: str, offset: int) -> Position:
    """Turn an offset in `text` into a position."""
    line_start = text.rfind("\n", 0, offset) + 1
    units = len(text[line_start:offset].encode("utf-16-le", "surrogatepass")) // 2
    return text.count("\n", 0, offset), units


def as_json(at: Position) -> dict[str, int]:
    """Give a position in its shape on the wire."""
    return {"line": at[0], "character": at[1]}
