"""Choosing an IDE: what the shell saw of each, and what the links know of it, put before `select`.

A choice is remembered with its scene, which a hundred agents may share, for as long as the links know the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple
from weakref import WeakKeyDictionary

from bridge.core import dialects, relays
from bridge.core.dialects import Tools
from bridge.core.events import LinkState, Scene
from bridge.core.link import UP, Link
from bridge.core.selection import Candidate, Listener, Selection, select

__all__ = ["Choices"]


class _Known(NamedTuple):
    """What the links know of an IDE."""

    candidate: Candidate  # as the shell saw it, or as a relay did
    shareable: bool
    last_focus: float | None
    trouble: str | None
    occupied: bool

    def informed(self) -> Candidate:
        """Give the candidate, with all that is known of it."""
        return replace(
            self.candidate,
            shareable=self.shareable,
            last_focus=self.last_focus,
            trouble=self.trouble,
            occupied=self.occupied,
        )


class _Choice(NamedTuple):
    """A choice that was made, and from what: while nothing else is known, the same scene has the same answer."""

    known: list[_Known]
    selection: Selection


class Choices:
    """Chooses with what `links` know, by the IDEs' ids."""

    def __init__(self, links: Mapping[str, Link]) -> None:
        self._links = links
        self._choices: WeakKeyDictionary[Scene, _Choice] = WeakKeyDictionary()

    def choose(self, scene: Scene, now: float, *, again: bool = False) -> Selection:
        """Choose among the scene's IDEs, with what the links know added to what the shell saw.

        `again`: nobody asks for it just now. Then an IDE that refused us, or gave our place to another client, is let
        alone even if the user named it: two that take it back by themselves would fight for ever.
        """
        spent = relays.spent_since(self._links.values(), now)
        named = bool(scene.named) and not again
        known = [self._known(candidate, named, spent, now) for candidate in scene.candidates]
        choice = self._choices.get(scene)
        if choice is None or choice.known != known:
            selection = select(
                [each.informed() for each in known],
                scene.place,
                scene.terminal,
                named=scene.named,
                pinned=scene.pinned,
                takeover=scene.takeover,
            )
            choice = self._choices[scene] = _Choice(known, selection)
        return choice.selection

    def _known(self, candidate: Candidate, named: bool, spent: float | None, now: float) -> _Known:
        link = self._links.get(candidate.lock.ide_id)
        if candidate.listener is Listener.HIDDEN:
            candidate = relays.sought(candidate, link, spent, now)
        if link is None:
            traits = dialects.traits_of(candidate.lock.ide_name, Tools())
            return _Known(candidate, traits.several_clients, None, None, candidate.occupied)
        return _Known(
            candidate,
            shareable=link.traits.several_clients,
            last_focus=link.last_focus,
            trouble=link.trouble(candidate, now, named),
            occupied=candidate.occupied and link.state not in UP,  # it is we who are connected, or about to be
        )

    def state_of(self, candidate: Candidate) -> tuple[LinkState, str]:
        """Tell what `status` says of an IDE, and why."""
        link = self._links.get(candidate.lock.ide_id)
        if candidate.listener is Listener.NONE:
            return LinkState.GONE, "nothing listens on its port"
        if candidate.listener is Listener.FOREIGN:
            return LinkState.PORT_TAKEN, "its port belongs to another user"
        if candidate.listener is Listener.UNREACHABLE:
            return LinkState.UNREACHABLE, candidate.silence.reason if candidate.silence else ""
        came_back = (LinkState.LISTENING, LinkState.GONE, LinkState.UNREACHABLE)
        if link is not None and link.state not in came_back:
            return link.state, link.reason
        if candidate.listener is Listener.HIDDEN:
            return LinkState.HIDDEN, "no way leads to it; a Windows program carries the connection when there is work"
        if candidate.occupied:
            return LinkState.OCCUPIED, "another client is connected"
        return LinkState.LISTENING, ""
