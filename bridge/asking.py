"""What agents may ask of the daemon, described once for `bridge.client.Client` and `bridge.asyncclient.AsyncClient`.

Each function here is a method of both: it says what is asked and how the answer is read, as an `Ask` (the method on
the control socket, its parameters, the reader of its result). Its first argument is the client, which it does not
need. Standard library only, and little of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping

from bridge.errors import StillPending, Unavailable

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from bridge.connection import Notified

    T = TypeVar("T")
    Ask = tuple[str, dict[str, Any], Callable[[Any], T]]

__all__ = [
    "REPEATABLE",
    "Deaths",
    "Endurance",
    "about_surface",
    "call_tool",
    "cancel",
    "delivered",
    "is_dirty",
    "open_file",
    "propose",
    "propose_files",
    "status",
]

# Asked again if the daemon dies: harmless, however far the first one came.
REPEATABLE = frozenset(
    {"status", "dirty", "review/propose", "review/cancel", "review/delivered", "hook/begin", "hook/answer"}
)
GRACE_S = 30.0  # for the answer to a wait, beyond its time-out
_SHORT_LIFE_S = 5.0
_MOST_DEATHS = 5  # daemons that lived shorter than that, one after the other


def _whole(result: Any) -> Any:
    return result


def open_file(
    client: object, path: str, line: int | None = None, column: int | None = None, *, ide: str | None = None
) -> Ask[dict[str, Any]]:
    """Open a file in the IDE that the user works in.

    Args:
        path: relative to `cwd`, or absolute.
        line, column: 1-based.
        ide: a port, or the beginning of an IDE's name; default: the daemon chooses.

    Returns ``ide`` (name), ``port``, and ``positioned``: whether the IDE went to the line.
    Raises `BadData` when there is no such file, `Unavailable` when no IDE can be used.
    """
    return "open", {"path": path, "line": line, "column": column, "ide": ide}, _whole


def call_tool(
    client: object,
    tool: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    path: str | None = None,
    file: str | None = None,
    ide: str | None = None,
) -> Ask[dict[str, Any]]:
    """Call one of the IDE's own tools (``getDiagnostics``, ``getCurrentSelection``, …).

    Args:
        arguments: as the IDE's plugin names them; paths in them are absolute.
        path: a file whose IDE is meant; default: the one for `cwd`.
        file: the one file that the tool is about, relative to `cwd` or absolute, in place of `arguments` and
            `path`: the daemon knows what the plugin calls that argument.
        ide: a port, or the beginning of an IDE's name; default: the daemon chooses.

    Returns the tool's MCP result as the IDE gave it, with our names for its files.
    """
    params = {"tool": tool, "arguments": dict(arguments or {}), "path": path, "file": file, "ide": ide}
    return "call", params, _whole


def is_dirty(client: object, path: str) -> Ask[bool | None]:
    """Tell whether an IDE has unsaved changes in the file; None: no IDE has it open, or none is there."""
    return "dirty", {"path": path}, lambda result: result["dirty"]


def propose(
    client: object,
    path: str,
    proposed: str,
    *,
    title: str = "",
    request_key: str | None = None,
    surface: str = "auto",
    ide: str | None = None,
    base: str | None = None,
    supersedes: str | None = None,
) -> Ask[str]:
    """Show the human a change of one file and return the review's id at once; the file is not touched.

    Args:
        proposed: the whole new text.
        title: one line for the human.
        request_key: your own name for this proposal: the same key with the same change joins the same
            review, also after a crash of yours. Another change under the same key is a `Conflict`.
        surface: ``auto`` (an IDE, else the page), ``ide`` or ``page``.
        base: the text to compare with; default: what is on disk.
        supersedes: the id of an undecided review that this one replaces.

    Raises `BadData` for binary files and for a change that changes nothing.
    """
    return propose_files(
        client,
        [{"path": path, "proposed": proposed, "base": base}],
        title=title,
        request_key=request_key,
        surface=surface,
        ide=ide,
        supersedes=supersedes,
    )


def propose_files(
    client: object,
    files: Iterable[Mapping[str, Any]],
    *,
    title: str = "",
    request_key: str | None = None,
    surface: str = "auto",
    ide: str | None = None,
    supersedes: str | None = None,
) -> Ask[str]:
    """Show the human a change of several files as one review, as `propose` does for one.

    It is shown on the review page, since no IDE's diff shows several files as one. The human may reject some of them
    and accept the others (``partially_accepted``): ``files[].final`` of the decision is null for those.

    Args:
        files: each with ``path``, ``proposed`` (the whole new text) and, if it is not what is on disk, ``base``; 200
            at most, with 8 Mi characters in all. Those that would not change are left out, so find a file of the
            decision by its path, not by its place.
        surface: ``auto`` or ``page``; ``ide`` is a `Usage` error for more than one file.

    The other arguments are those of `propose`. Raises `Usage` for a file that is there twice too, and `BadData` for
    binary files and when no file would change.
    """
    params = {
        "files": [dict(file) for file in files],
        "title": title,
        "request_key": request_key or os.urandom(16).hex(),  # so that asking again is harmless
        "surface": surface,
        "ide": ide,
        "supersedes": supersedes,
    }
    return "review/propose", params, lambda result: result["id"]


def cancel(client: object, review_id: str) -> Ask[dict[str, Any]]:
    """End an undecided review; one that has ended stays as it is. Returns how it ended."""
    return "review/cancel", {"id": review_id}, _whole


def delivered(client: object, review_id: str) -> Ask[None]:
    """Acknowledge the decision: the file is written, or need not be."""
    return "review/delivered", {"id": review_id}, lambda result: None


def status(client: object) -> Ask[dict[str, Any]]:
    """Return what the daemon sees; the shape is `bridge.core.status.Status`."""
    return "status", {}, _whole


def about_surface(review_id: str, on_surface: Callable[[dict[str, Any]], None] | None) -> Notified:
    """Pass on where the review is shown, of all that the daemon says out of turn."""

    def notified(method: str, params: dict[str, Any]) -> None:
        if method == "review/surface" and params.get("id") == review_id and on_surface is not None:
            on_surface(params)

    return notified


class Deaths:
    """Counts daemons that die, for who goes on with the next one."""

    def __init__(self) -> None:
        self._count = 0
        self._begun = 0.0

    def begin(self) -> None:
        """Begin with the next daemon."""
        self._begun = time.monotonic()

    def lost(self, why: Exception) -> None:
        """Take note that it died; raises `Unavailable` after many short lives."""
        self._count = self._count + 1 if time.monotonic() - self._begun < _SHORT_LIFE_S else 1
        if self._count > _MOST_DEATHS:
            raise Unavailable(f"the bridge dies again and again: {why}", "bridge logs") from None


class Endurance:
    """How long a wait for a review goes on, over the deaths of daemons; `left` is None, or seconds."""

    def __init__(self, review_id: str, timeout: float | None, bound: bool = False, grace: float = GRACE_S) -> None:
        self._review_id = review_id
        self._bound = bound
        self._grace = grace
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._deaths = Deaths()

    def begin(self) -> tuple[dict[str, Any], float | None]:
        """Begin to wait with the next daemon: give the request's parameters, and the seconds it has to answer."""
        self._deaths.begin()
        self._left = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)
        patience = None if self._left is None else self._left + self._grace
        bound = {"bound": True} if self._bound else {}
        return {"id": self._review_id, "timeout": self._left, **bound}, patience

    def lost(self, why: Exception) -> None:
        """Take note that the daemon died; raises `StillPending` when it is time, `Unavailable` after many deaths."""
        if self._left == 0.0:
            pending = f"review {self._review_id} is still undecided"
            raise StillPending(pending, f"bridge review wait {self._review_id}") from None
        self._deaths.lost(why)
