"""What happens in the daemon, told in small events, and a backlog of them that stays small. Standard library only.

An event is a dict with a ``type``, and never holds a token or a file's text:

==========  ==============================================================================================
``review``  ``id``, ``state``, ``outcome``, ``surface`` (``ide``, ``queued``, ``page`` or None), ``ide`` (name):
            proposed, shown elsewhere than before, or ended
``link``    ``ide`` (name), ``port``, ``state`` (a `bridge.core.events.LinkState`), ``reason``
``locks``   a lock directory changed: IDEs may have come or gone
``missed``  some were not told: ask for the status
==========  ==============================================================================================

Events about one thing replace each other while nobody takes them: the newest says how it is.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any, Final

    Event = dict[str, Any]

__all__ = ["MISSED", "Backlog"]

MISSED: Final = {"type": "missed"}
_NAMED_BY = {"review": ("id",), "link": ("ide", "port")}  # what such an event is about
_MOST = 256  # more things at once than a listener that reads will ever be behind


class Backlog:
    """The events that a listener has not taken yet: the newest about each thing, oldest first."""

    def __init__(self) -> None:
        self._held: dict[tuple[object, ...], Event] = {}
        self._missed = False

    def add(self, event: Event) -> None:
        """Keep an event; beyond the limit the oldest is dropped, which the listener is told."""
        if event == MISSED:
            self._missed = True
            return
        about = (event["type"], *(event.get(name) for name in _NAMED_BY.get(event["type"], ())))
        self._held.pop(about, None)
        self._held[about] = event
        if len(self._held) > _MOST:
            del self._held[next(iter(self._held))]
            self._missed = True

    def take(self) -> Event | None:
        """Give the next event; None when there is none."""
        if self._missed:
            self._missed = False
            return dict(MISSED)
        return self._held.pop(next(iter(self._held))) if self._held else None
