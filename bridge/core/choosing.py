"""Choosing an IDE: what the shell saw of each, and what the links know of it, put before `select`.

What is asked for is part of the question: an IDE that lacks the tool for it is passed over. A choice is remembered with
its scene, which a hundred agents may share, and with that tool, for as long as the links know the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

from bridge.core import relays
from bridge.core.dialects import Tools
from bridge.core.events import LinkState, Scene
from bridge.core.link import UP, Link
from bridge.core.lockfile import Family
from bridge.core.selection import Candidate, Listener, Selection, select
from bridge.core.traits import SHORTFALLS, Traits, lacks, traits_of

__all__ = ["Choices"]


class _Known(NamedTuple):
    """What the links know of an IDE."""

    candidate: Candidate  # as the shell saw it, or as a relay did
    shareable: bool
    last_focus: float | None
    trouble: str | None
    occupied: bool
    lacks: str | None

    def informed(self) -> Candidate:
        """Give the candidate, with all that is known of it."""
        return replace(
            self.candidate,
            shareable=self.shareable,
            last_focus=self.last_focus,
            trouble=self.trouble,
            occupied=self.occupied,
            lacks=self.lacks,
        )


class _Choice(NamedTuple):
    """A choice that was made, and from what: while nothing else is known, the same scene has the same answer."""

    known: list[_Known]
    selection: Selection


class Choices:
    """Chooses with what `links` know, by the IDEs' ids."""

    def __init__(self, links: Mapping[str, Link]) -> None:
        self._links = links
        self._choices: WeakKeyDictionary[Scene, dict[str, _Choice]] = WeakKeyDictionary()

    def choose(self, scene: Scene, now: float, tool: str = "", *, again: bool = False) -> Selection:
        """Choose among the scene's IDEs, with what the links know added to what the shell saw.

        `tool`: the official tool that the work needs, ``openDiff`` for a review; empty if it needs none.

        `again`: nobody asks for it just now. Then an IDE that refused us, or gave our place to another client, is let
        alone even if the user named it: two that take it back by themselves would fight for ever.
        """
        spent = relays.spent_since(self._links.values(), now)
        named = bool(scene.named) and not again
        known = [self._known(candidate, tool, named, spent, now) for candidate in scene.candidates]
        choices = self._choices.setdefault(scene, {})
        choice = choices.get(tool)
        if choice is None or choice.known != known:
            selection = select(
                [each.informed() for each in known],
                scene.place,
                scene.terminal,
                named=scene.named,
                pinned=scene.pinned,
                takeover=scene.takeover,
            )
            choice = choices[tool] = _Choice(known, selection)
        return choice.selection

    def _known(self, candidate: Candidate, tool: str, named: bool, spent: float | None, now: float) -> _Known:
        link = self._links.get(candidate.lock.ide_id)
        if candidate.listener is Listener.HIDDEN:
            candidate = relays.sought(candidate, link, spent, now)
        if link is not None and link.product:
            candidate = replace(candidate, lock=candidate.lock.model_copy(update={"ide_name": link.product}))
        traits = link.traits if link is not None and link.listed else _traits(candidate)
        if link is None:
            return _Known(
                candidate,
                shareable=traits.several_clients,
                last_focus=None,
                trouble=None,
                occupied=candidate.occupied,
                lacks=lacks(traits, None, tool) if tool else None,
            )
        return _Known(
            candidate,
            shareable=traits.several_clients,
            last_focus=link.last_focus,
            trouble=link.trouble(candidate, now, named),
            occupied=candidate.occupied and link.state not in UP,  # it is we who are connected, or about to be
            lacks=link.lacks(tool) if tool else None,
        )

    def lacking(self, candidate: Candidate) -> list[str]:
        """Say in words what an IDE cannot do, as far as is known before it is asked for its tools."""
        link = self._links.get(candidate.lock.ide_id)
        words = (lacks(_traits(candidate), None, tool) if link is None else link.lacks(tool) for tool in SHORTFALLS)
        return [each for each in words if each is not None]

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


def _traits(candidate: Candidate) -> Traits:
    """Know the plugin by its name alone: its tools are not known, or not yet."""
    return _by_name(candidate.lock.family, candidate.lock.ide_name)


@lru_cache(maxsize=256)  # asked for every IDE at every choice
def _by_name(family: Family, ide_name: str) -> Traits:
    return traits_of(family, ide_name, Tools())
