"""Pins: which IDE the user wants in a terminal or in a workspace, until told otherwise (``bridge use``)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final, NamedTuple

from bridge.core.selection import Pinned, Place

__all__ = ["SETTING", "Pin", "Pins", "workspace_of"]

SETTING: Final = "pins"  # where the journal keeps them
MOST: Final = 100  # of either kind; then the oldest is forgotten


class Pin(NamedTuple):
    """An IDE, as the user named it, and what it is pinned for."""

    name: str
    kind: Pinned


def workspace_of(place: Place) -> str:
    """Say which workspace the asker stands in: the project of the working directory, else that directory itself."""
    return place.cwd_project or place.directory


class Pins:
    """Every pin there is. Keys are names of terminals (`processes.terminal_of`) and paths of workspaces.

    Args:
        kept: what `kept` gave in an earlier life; anything else is as good as nothing.
    """

    def __init__(self, kept: Any = None) -> None:
        tables = kept if isinstance(kept, dict) else {}
        self._tables: dict[Pinned, dict[str, str]] = {kind: dict(tables.get(kind) or {}) for kind in Pinned}
        self.changes = 0  # so that nobody trusts what was looked up before

    def named_for(self, terminal: str | None, workspace: str) -> Pin | None:
        """Say which IDE is pinned: for the terminal, else for the workspace. None: the bridge chooses."""
        keys = ((Pinned.TERMINAL, terminal or ""), (Pinned.WORKSPACE, workspace))
        return next((Pin(self._tables[kind][key], kind) for kind, key in keys if key in self._tables[kind]), None)

    def pin(self, kind: Pinned, key: str, name: str | None) -> None:
        """Pin the IDE called `name`; None removes the pin."""
        table = self._tables[kind]
        table.pop(key, None)
        if name is not None:
            table[key] = name
        self._keep(kind, dict(islice(table.items(), max(len(table) - MOST, 0), None)))

    def forget_terminals(self, lives: Callable[[str], bool]) -> None:
        """Drop the pins of terminals that are gone."""
        table = self._tables[Pinned.TERMINAL]
        self._keep(Pinned.TERMINAL, {key: name for key, name in table.items() if lives(key)})

    def _keep(self, kind: Pinned, table: dict[str, str]) -> None:
        self._tables[kind] = table
        self.changes += 1

    def rows(self, terminal: str | None, workspace: str) -> list[dict[str, Any]]:
        """Describe every pin, as it looks from a terminal and a workspace; the terminals' come first."""
        used, here = self.named_for(terminal, workspace), {Pinned.TERMINAL: terminal, Pinned.WORKSPACE: workspace}
        return [
            {
                "ide": name,
                "for": kind,
                "workspace": key if kind is Pinned.WORKSPACE else None,
                "here": key == here[kind],
                "used": key == here[kind] and used is not None and used.kind is kind,
            }
            for kind, table in self._tables.items()
            for key, name in table.items()
        ]

    def kept(self) -> dict[str, dict[str, str]]:
        """Give what is to be kept, as JSON."""
        return {str(kind): table for kind, table in self._tables.items()}
