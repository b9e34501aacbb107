"""A human by script: one word for each diff, in the order they open; the last word is for all that follow.

======================  ==========================================
``accept``              saves as proposed
``edit:TEXT``           types TEXT (no comma) at the end and saves
``reject``              rejects
``close``               closes the tab
``never``               does nothing
======================  ==========================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Final

from .diffs import Diff, DiffTabs

__all__ = ["Human"]

Reaction = Callable[[DiffTabs, Diff, str], None]

REACTIONS: Final[dict[str, Reaction]] = {
    "accept": lambda tabs, diff, _: tabs.accept(diff),
    "edit": lambda tabs, diff, typed: tabs.accept(diff, tabs.shown(diff) + typed),
    "reject": lambda tabs, diff, _: tabs.reject(diff),
    "close": lambda tabs, diff, _: tabs.close(diff),
    "never": lambda tabs, diff, _: None,
}


class Human:
    """Reacts to a diff as soon as it opens.

    Args:
        script: words as above, separated by commas, such as ``close,accept``.

    Raises:
        ValueError: a word is unknown, or only `edit` may have a text; the caller's fault.
    """

    def __init__(self, script: str) -> None:
        steps = [_step(word) for word in script.split(",")]
        self._steps: Iterator[tuple[Reaction, str]] = chain(steps, repeat(steps[-1]))

    def react(self, tabs: DiffTabs, diff: Diff) -> None:
        """Do what the script says for `diff`, which has just opened in `tabs`."""
        reaction, typed = next(self._steps)
        reaction(tabs, diff, typed)


def _step(word: str) -> tuple[Reaction, str]:
    name, colon, typed = word.partition(":")
    if name not in REACTIONS or bool(colon) != (name == "edit"):
        raise ValueError(f"not a word of the human's script: {word}")
    return REACTIONS[name], typed
