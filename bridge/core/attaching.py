"""Which IDE an agent should attach to by itself when it is started in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.core.lockfile import Family
from bridge.core.ranking import Candidate, Own, Place, Standing, stand
from bridge.core.selection import is_named
from bridge.core.terminal import Terminal

__all__ = ["port_for_agents"]


def port_for_agents(
    candidates: Sequence[Candidate], place: Place, terminal: Terminal, named: str | None = None
) -> int | None:
    """Say what ``CLAUDE_CODE_SSE_PORT`` should be in a terminal; agents that read it speak to no other family.

    The port of the IDE that the user named, or else of the one that the terminal belongs to: by its variable, or by
    ancestry. Not by its kind alone: of two windows it may be the other. Only one that lives counts, so a port that
    went stale is None. An agent keeps what it attaches to; a work's own IDE is chosen anew each time (`select`).
    """
    wanted = (named or "").strip()

    def fits(standing: Standing) -> bool:
        own = standing.rank.own <= Own.ANCESTRY
        return is_named(standing.candidate.lock, wanted) if wanted else own

    spoken = (one for one in candidates if one.foreign is None and one.lock.family is Family.CLAUDE)
    standings = (stand(candidate, place, terminal) for candidate in spoken)
    best = min((s for s in standings if s.lives and fits(s)), key=lambda s: s.rank, default=None)
    return None if best is None else best.candidate.lock.port
