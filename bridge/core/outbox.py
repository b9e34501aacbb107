"""The outbox: what waits for an agent that does not read as fast as it is written to.

Answers keep their order and none is lost. Of news only the latest count: the newest selection says all that the ones
before it said, and problems that changed are one set of files. So an agent that reads nothing costs a bounded amount,
until its unread answers make it one that is cut off. An agent that keeps up never has anything in here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bridge.core import jsonrpc

__all__ = ["MOST_BYTES", "MOST_NEWS", "MOST_NEWS_BYTES", "MOST_URIS", "Outbox", "Parcel"]

MOST_BYTES: Final = 64 * 2**20
MOST_NEWS: Final = 200  # of kinds that cannot be joined; beyond that the oldest go
MOST_NEWS_BYTES: Final = 4 * 2**20  # of the same
MOST_URIS: Final = 2000  # of files with other problems; beyond that the oldest go

Join = Callable[[bytes, bytes], bytes]  # the older and the newer parameters


def _latest(_: bytes, newer: bytes) -> bytes:
    return newer


def _uris(older: bytes, newer: bytes) -> bytes:
    """Join two ``diagnostics_changed``: the newer with the files of both, its own last.

    Of other shapes than are known the newer stands alone.
    """
    try:
        params = jsonrpc.load(newer)
        both = [*_newest_first(params), *_newest_first(jsonrpc.load(older))]
        return jsonrpc.dump(params | {"uris": [*dict.fromkeys(both)][:MOST_URIS][::-1]})
    except (LookupError, TypeError, ValueError, RecursionError):
        return newer


def _newest_first(params: Any) -> list[Any]:
    uris = params["uris"]
    if not isinstance(uris, list):
        raise TypeError("no list of files")
    return uris[::-1]


# How news of one kind are joined; all others are told one by one.
_JOINS: Final[dict[str, Join]] = {
    "selection_changed": _latest,
    "diagnostics_changed": _uris,
    "notifications/tools/list_changed": _latest,
}


class Parcel(NamedTuple):
    """A frame, and what to call when it has left."""

    frame: bytes
    sent: Callable[[], None] | None = None


class Outbox:
    """Frames for one agent, oldest first.

    Attributes:
        size: bytes that wait.
    """

    def __init__(self) -> None:
        self.size = 0
        self._count = 0
        self._parcels: dict[int | str, Parcel] = {}  # by number, or by what it is news of
        self._news: dict[str, bytes] = {}  # the parameters of those that may be joined
        self._others: dict[int, int] = {}  # how long those are that may not
        self._others_size = 0

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._parcels)

    @property
    def full(self) -> bool:
        """Whether the agent has left too much unread."""
        return self.size > MOST_BYTES

    def answer(self, frame: bytes, sent: Callable[[], None] | None = None) -> None:
        """Take what must arrive; `sent` is for who sends it to call."""
        self._put(self._next(), Parcel(frame, sent))

    def tell(self, method: str, params: bytes) -> None:
        """Take news; `params` is JSON."""
        join = _JOINS.get(method)
        if join is None:
            self._tell_other(jsonrpc.notification(method, params))
            return
        if method in self._parcels:
            params = join(self._news[method], params)
            self._take(method)
        self._news[method] = params
        self._put(method, Parcel(jsonrpc.notification(method, params)))

    def _tell_other(self, frame: bytes) -> None:
        number = self._next()
        self._others[number] = len(frame)
        self._others_size += len(frame)
        self._put(number, Parcel(frame))
        while len(self._others) > MOST_NEWS or (self._others_size > MOST_NEWS_BYTES and len(self._others) > 1):
            self._take(next(iter(self._others)))

    def next(self) -> Parcel:
        """Take out the oldest; there must be one."""
        return self._take(next(iter(self._parcels)))

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _put(self, key: int | str, parcel: Parcel) -> None:
        self._parcels[key] = parcel
        self.size += len(parcel.frame)

    def _take(self, key: int | str) -> Parcel:
        parcel = self._parcels.pop(key)
        self.size -= len(parcel.frame)
        if isinstance(key, str):
            del self._news[key]
        else:
            self._others_size -= self._others.pop(key, 0)
        return parcel
