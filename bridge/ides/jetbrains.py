"""The MCP server that JetBrains IDEs have built in: it announces itself nowhere, so its ports are looked at.

Off unless the user turns it on. A port counts when somebody listens there; who, the socket tables say, and nothing is
sent to find out what: whether it is such an IDE shows when there is work for one (`bridge.core.links`). It asks for no
token. Facts and their certainty: docs/protocol.md "JetBrains' MCP server".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from bridge.core.lockfile import Family, LockFile, Transport
from bridge.core.selection import Listener
from bridge.ides.admission import AdmittedLock
from bridge.ides.ports import PortFacts

__all__ = ["NOWHERE", "PORTS", "JetBrains"]

NAME: Final = "JetBrains IDE"  # which of them it is it says in its handshake
_FIRST: Final = 64342  # IntelliJ IDEA's; 2025.2 gave it to every product, which took the next that was free
# Since then each product has a port of its own, 20 apart: CLion 64362, GoLand 64422, PyCharm 64462, WebStorm 64542, …
PORTS: Final = (*range(_FIRST, _FIRST + 4), *range(_FIRST + 20, _FIRST + 20 * 13, 20))


class JetBrains:
    """The ports where such an IDE may listen, and since when whoever listens there now was seen.

    Args:
        ports: the user's, or `PORTS`; none where he has not turned it on.
        clock: seconds of the epoch.
    """

    def __init__(self, ports: Iterable[int] = (), clock: Callable[[], float] = time.time) -> None:
        self.ports = tuple(ports)
        self._clock = clock
        self._since: dict[int, tuple[frozenset[int], float]] = {}

    def announced(self, facts: Mapping[int, PortFacts], named: Collection[int]) -> Iterator[AdmittedLock]:
        """Give, for each port that somebody listens on, what an IDE there would announce.

        What was refused there is left alone while the same socket listens: `modified` changes only with that.

        Args:
            facts: of each of `ports`.
            named: ports that a lock file names, which says more.
        """
        seen = {port: facts[port] for port in self.ports if facts[port].listener is not Listener.NONE}
        known, now = self._since, self._clock()
        self._since = {}
        for port, found in seen.items():
            inodes, since = known.get(port, (found.inodes, now))
            self._since[port] = found.inodes, (since if inodes == found.inodes else now)
            if port not in named:
                yield AdmittedLock(lock=_lock(port), path="", modified=self._since[port][1])


NOWHERE: Final = JetBrains()


def _lock(port: int) -> LockFile:
    return LockFile(
        port=port,
        pid=None,
        workspace_folders=(),
        ide_name=NAME,
        transport=Transport.SSE,
        family=Family.JETBRAINS,
    )
