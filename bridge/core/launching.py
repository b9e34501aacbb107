"""Launching: a file opened by the editor's own command, where the IDE's plugin has no tool for that.

The daemon only words the command. Who asked starts it, for only its terminal has the PATH, the display and the
variables by which an editor's command finds its window. A row for each editor whose command is known for certain;
sources: docs/protocol.md G13.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from bridge.core.dialects import utf8
from bridge.core.events import Scene
from bridge.core.ranking import Candidate, Own, stand
from bridge.core.selection import Selection
from bridge.core.terminal import Family, family_of_name, related
from bridge.errors import BadData

__all__ = ["EDITORS", "INSIDERS", "Editor", "editor_of", "find_editor"]


class Editor(NamedTuple):
    """How an editor's own command is told a file and a place in it."""

    program: str

    before: tuple[str, ...] = ("-r",)
    """The words before the path: in a window that is there."""

    goto: tuple[str, ...] | None = ("-g",)
    """More of them, only with which ``:LINE:COLUMN`` is looked for behind the path; None: it always is."""

    def command(self, path: str, line: int | None = None, column: int | None = None) -> tuple[list[str], bool]:
        """Give the command's words, which no shell is to read, and whether they name the line, if one was wanted.

        Args:
            path: absolute, so it is never taken for an option.
            line, column: 1-based.

        Raises `BadData` for a name that the editor would take for another.
        """
        if path != path.strip():
            raise BadData(f"{self.program} drops the space at the end of a file's name", "rename the file")
        as_it_is = [self.program, *self.before, utf8(path)]
        if ":" in path:  # numbers between colons are taken for the place, wherever they stand
            if self.goto is None:
                raise BadData(f"{self.program} takes what is behind a colon for a line", "rename the file")
            return as_it_is, line is None
        if line is None:
            return as_it_is, True
        return [self.program, *self.before, *(self.goto or ()), f"{path}:{line}:{column or 1}"], True


# Not here: Antigravity, whose `agy` is an agent by now; code-server, which takes no line; Trae and Void: no source.
EDITORS: Final[dict[Family, Editor]] = {
    Family.VSCODE: Editor("code"),
    Family.VSCODIUM: Editor("codium"),
    Family.CURSOR: Editor("cursor"),
    Family.WINDSURF: Editor("windsurf"),
    Family.POSITRON: Editor("positron"),
    Family.KIRO: Editor("kiro"),
    Family.ZED: Editor("zed", before=(), goto=None),
}
INSIDERS: Final = Editor("code-insiders")  # the same family as VS Code


def editor_of(candidate: Candidate, scene: Scene) -> Editor | None:
    """Tell which editor an IDE is; None: none that is known, or on the other side of a boundary.

    A companion that does not tell its IDE's name is called VS Code, also in a fork: then the terminal knows better, if
    it is the IDE's own.
    """
    if not candidate.route.here:
        return None
    name = candidate.lock.ide_name
    family, told = family_of_name(name), scene.terminal.family
    if family is Family.VSCODE and "insiders" in name.casefold():
        return INSIDERS
    if family is not told and related(family, told):
        own = stand(candidate, scene.place, scene.terminal).rank.own
        family = told if own <= Own.ANCESTRY else family
    return None if family is None else EDITORS.get(family)


def find_editor(openers: Selection, others: Selection, scene: Scene) -> tuple[Candidate, Editor] | None:
    """Find the best IDE that is an editor with a command.

    Args:
        openers: the choice for opening files, which has found none.
        others: the choice whatever for; only of these, and only one whose plugin opens no files, is a command used.
    """
    lacking = {verdict.candidate.lock.ide_id for verdict in openers.verdicts if verdict.candidate.lacks is not None}
    usable = (each.candidate for each in others.verdicts if each.usable and each.candidate.lock.ide_id in lacking)
    found = ((candidate, editor_of(candidate, scene)) for candidate in usable)
    return next(((candidate, editor) for candidate, editor in found if editor is not None), None)
