"""Asked again: which review a proposal joins that was made before, over MCP."""

from __future__ import annotations

from typing import Final

from bridge.core.reviews import Review, State

__all__ = ["REMEMBERED_S", "rejoined"]

REMEMBERED_S: Final = 3600.0  # longer than any interruption; a yes of last week must not do what was undone since


def rejoined(known: Review | None, named: bool, now: float) -> Review | None:
    """Give the review that a proposal joins, of those with the same request key; None: it is a new one.

    An undecided review is joined always. A decision stands in for another only shortly, and only if it may never have
    reached the agent; one who chose the key itself (`named`) says that it asks for the same, so it is told again.
    Whatever ended undecided is over.
    """
    if known is None or known.is_open:
        return known
    told_again = (State.DECIDED, State.DELIVERED) if named else (State.DECIDED,)
    return known if known.state in told_again and now < known.changed + REMEMBERED_S else None
