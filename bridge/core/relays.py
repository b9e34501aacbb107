"""Relays, rationed: how many Windows programs one request may start to look for IDEs (design.md D10).

Where no way leads to an IDE, only a relay can tell whether it is there, and each is a program started in Windows that
may take its whole time and find nobody. Stale lock files may be many. So after `RELAYS_MOST` that missed, the
other hidden IDEs are not looked for until `RELAY_PAUSE_S` have passed; then the next ones have their turn, for those
that were missed pause longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from bridge.core.events import LinkState
from bridge.core.link import FAILED, RELAY_PAUSE_S, UP, Link
from bridge.core.ranking import Candidate, Listener
from bridge.core.reach import ENDED, Diagnosis

__all__ = ["RELAYS_MOST", "TRY_AGAIN", "sought", "spent_since"]

RELAYS_MOST: Final = 2  # two that take their whole time end before the client's patience of 30 s does
SPENT: Final = "a relay found nobody twice a moment ago"
TRY_AGAIN: Final = f"try again in {RELAY_PAUSE_S:g} s, or remove stale lock files: bridge doctor"


def spent_since(links: Iterable[Link], now: float) -> float | None:
    """Tell when the last of as many relays missed as one request may start; None: they may start."""
    missed = [link.missed_at for link in links if link.missed_at is not None and now < link.missed_at + RELAY_PAUSE_S]
    return max(missed) if len(missed) >= RELAYS_MOST else None


def sought(candidate: Candidate, link: Link | None, spent: float | None, now: float) -> Candidate:
    """Add to a hidden candidate what a relay found, where the shell could not look.

    What it found holds until the link need not pause any more. When the relays are `spent`, one that a relay got to
    before is let try, and so is one that announced itself since: it has just started.
    """
    if link is not None and link.state in UP:
        return replace(candidate, listener=Listener.OURS, silence=None)
    if link is not None and (now < link.relay_at or (link.state in FAILED and now < link.retry_at)):
        if link.state is LinkState.GONE:  # the relay works, and nothing listens there: no way needs mending
            return replace(candidate, listener=Listener.UNREACHABLE, silence=Diagnosis(link.reason, ENDED))
        why = link.reason
    elif spent is not None and candidate.modified <= spent and not _is_proven(link):
        return replace(candidate, listener=Listener.UNREACHABLE, silence=Diagnosis(SPENT, TRY_AGAIN))
    else:
        return candidate
    before, fix = candidate.silence or Diagnosis("")
    both = "; ".join(filter(None, (before, why)))  # the first is what the user can mend
    return replace(candidate, listener=Listener.UNREACHABLE, silence=Diagnosis(both, fix))


def _is_proven(link: Link | None) -> bool:
    return link is not None and link.state is LinkState.LISTENING and not link.failures
