"""Reading an event stream (Server-Sent Events) as its bytes come, and the address that MCP's first event names.

What is not kept: ids and retry times, since a link that ended is made anew. Data stays bytes: whoever reads it finds
out whether it is UTF-8.

Sources: WHATWG HTML, "Parsing an event stream" and "Interpreting an event stream"; MCP 2024-11-05, "HTTP with SSE".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

__all__ = ["MESSAGE", "Event", "EventStream", "TooLarge", "post_address"]

MESSAGE: Final = "message"  # the type of an event that names none
_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_ADDRESS: Final = re.compile(rb"[!-~]+")  # all else has to be escaped in a URL (RFC 3986)
_NO_ADDRESS: Final = "names no address to post to"


class TooLarge(ValueError):
    """An event, or a line of it, is larger than agreed."""


class Event(NamedTuple):
    """One event; `data` has its lines joined by LF."""

    type: str
    data: bytes


class EventStream:
    """Takes the stream's bytes, cut anywhere, and gives its events.

    Args:
        most: bytes of an event that is not complete; three times that is the most that is kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()  # its end has not come
        self._type = b""
        self._data = bytearray()  # every line with an LF behind it
        self._after_cr = False  # an LF that comes now belongs to it
        self._begun = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Give the events that end in `chunk`. Raises `TooLarge`; there is no going on then."""
        if self._after_cr and chunk:
            chunk, self._after_cr = chunk.removeprefix(b"\n"), False
        first, *others = _LINE_END.split(chunk)
        events: list[Event] = []
        self._grow(first)
        for piece in others:
            self._end_line(events)
            self._grow(piece)
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        return events

    def _grow(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) + len(self._data) > self._most:
            raise TooLarge(f"an event of more than {self._most} bytes")

    def _end_line(self, events: list[Event]) -> None:
        line, self._line = bytes(self._line), bytearray()
        if not self._begun:
            line, self._begun = line.removeprefix(_BOM), True
        if line:
            self._field(line)
        else:
            self._end_event(events)

    def _field(self, line: bytes) -> None:
        """Read ``name: value``, ``name:value`` or ``name``; a comment has an empty name."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data += value + b"\n"
        elif name == b"event":
            self._type = value

    def _end_event(self, events: list[Event]) -> None:
        """Give what has come since the last empty line, if it had data."""
        if self._data:
            events.append(Event(self._type.decode(errors="replace") or MESSAGE, bytes(self._data[:-1])))
        self._data, self._type = bytearray(), b""


def post_address(stream: str, data: bytes) -> str:
    """Resolve what an ``endpoint`` event names, to post messages to; the query stays as it is.

    Args:
        stream: the URL of the stream, ``http://host:port/path``.
        data: an absolute or relative URL; hostile.

    Raises `ValueError`, in words that follow "it": it is of another origin, or no address at all.
    """
    if not _ADDRESS.fullmatch(data):
        raise ValueError(_NO_ADDRESS)
    try:
        address = urljoin(stream, data.decode("ascii"))
        ours, theirs = ((url.scheme, url.netloc) for url in map(urlsplit, (stream, address)))
    except ValueError:
        raise ValueError(_NO_ADDRESS) from None
    if ours != theirs:
        raise ValueError("wants messages posted to another server")
    return address.partition("#")[0]
