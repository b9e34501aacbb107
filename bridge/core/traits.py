"""Traits: what an IDE's plugin does that its tools' schemas do not say, and what it cannot do at all.

One row per plugin. Work asks for an IDE by the *official tool* that it needs (`bridge.core.official.TOOLS`), also where
the IDE has no tool of that name and the bridge makes it of others, or of what it was told. An IDE that lacks it is
passed over, with the reason in words. Facts and their certainty: docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.core import jetbrains
from bridge.core.dialects import Tools
from bridge.core.lockfile import Family

__all__ = ["OFFICIAL", "SHORTFALLS", "Traits", "is_told", "lacks", "offers", "traits_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a plugin does that its schema does not say."""

    several_clients: bool = False  # a second client is served beside the first
    several_diffs: bool = False  # a second openDiff leaves the first one open
    keep_open: bool = False  # a client that leaves makes the plugin undiscoverable
    one_based: bool = False  # positions in what it says count from 1
    diffs_by_file: bool = False  # openDiff is answered at once; a notification names the file that was decided

    mark: str = ""
    """A tool without which another program listens there: nothing else tells."""

    argument: str = ""
    """What each tool must take, else it is not used."""

    made_of: Mapping[str, frozenset[str]] | None = None
    """The official tools that it can serve, and which of its own each is made of; None: it serves what it lists."""


OFFICIAL: Final = Traits()
_NOTHING: Final = frozenset[str]()  # it takes no tool: the IDE told what we answer
_COMPANION: Final = Traits(
    several_clients=True,  # whatever happens is told to all of them
    several_diffs=True,  # one for each file
    diffs_by_file=True,
    made_of={
        "openDiff": frozenset({"openDiff", "closeDiff"}),  # the CLI itself shows no diffs unless both are there
        "getCurrentSelection": _NOTHING,
        "getLatestSelection": _NOTHING,
        "getOpenEditors": _NOTHING,
    },
)  # [CODE]

_JETBRAINS: Final = Traits(
    several_clients=True,
    mark=jetbrains.MARK,
    argument=jetbrains.PROJECT,
    made_of={tool: frozenset({own.name}) for tool, own in jetbrains.TOOLS.items()},
)  # [CODE]

# (family, beginning of the IDE's name, argument of openFile that gives it away or None, traits); the first that fits
TRAITS: Final[tuple[tuple[Family, str, str | None, Traits], ...]] = (
    (Family.CLAUDE, "neovim", None, Traits(several_clients=True, several_diffs=True)),  # claudecode.nvim [CODE]
    (Family.CLAUDE, "emacs", "uri", Traits(keep_open=True)),  # monet deletes its lock when a client leaves [RUN]
    (Family.CLAUDE, "emacs", None, Traits(one_based=True)),  # claude-code-ide.el [CODE]
    (Family.GEMINI, "", None, replace(_COMPANION, several_clients=False)),  # only the newest is answered [CODE]
    (Family.QWEN, "", None, _COMPANION),
    (Family.JETBRAINS, "", None, _JETBRAINS),
)


def traits_of(family: Family, ide_name: str, tools: Tools) -> Traits:
    """Find the plugin's row by its family, the name in its lock file, and the tools that it lists."""
    name = ide_name.casefold()
    known = tools.properties("openFile")
    return next(
        (
            traits
            for kin, beginning, mark, traits in TRAITS
            if kin is family and name.startswith(beginning) and (mark is None or mark in known)
        ),
        OFFICIAL,
    )


SHORTFALLS: Final = {
    "openFile": "it cannot open files",
    "openDiff": "it shows no diffs",
    "getDiagnostics": "it has no diagnostics",
    "checkDocumentDirty": "it does not tell what is unsaved",
    "saveDocument": "it saves nothing for others",
}
"""What is said of an IDE without these tools; of any other tool, that it has none."""


def lacks(traits: Traits, tools: Tools | None, tool: str) -> str | None:
    """Say in words why an IDE cannot serve an official tool; None: it can, as far as is known.

    Args:
        tools: those that it lists; None: it was not asked yet.
        tool: the tool's name.
    """
    if traits.made_of is None:
        # Absence from the list means little (the Neovim plugin hides close_tab, and answers it), but for this one.
        there = tool != "openFile" or tools is None or not tools.schemas or tool in tools.schemas
    else:
        parts = traits.made_of.get(tool)
        there = parts is not None and (tools is None or parts <= tools.schemas.keys())
    return None if there else SHORTFALLS.get(tool, f"it has no {tool}")


def is_told(traits: Traits, tool: str) -> bool:
    """Tell whether an official tool is answered from what the IDE told unasked."""
    return traits.made_of is not None and traits.made_of.get(tool) == _NOTHING


def offers(traits: Traits, tools: Tools) -> Collection[str]:
    """Name the tools that an agent of this IDE is offered."""
    if traits.made_of is None:
        return tools.schemas
    return [tool for tool in traits.made_of if lacks(traits, tools, tool) is None]
