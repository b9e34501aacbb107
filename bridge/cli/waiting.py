"""Waiting for the human: what ``diff``, ``review wait`` and ``review open`` share."""

from __future__ import annotations

import json
import sys
from typing import Any

from bridge.cli.output import drop_stdout, say
from bridge.client import Client, Stopped
from bridge.errors import BridgeError, Conflict, ExitCode, StillPending

__all__ = ["EXIT_OF", "Guide", "apply", "await_decision", "print_decision"]

EXIT_OF = {
    "accepted": ExitCode.DONE,
    "accepted_with_edits": ExitCode.DONE,
    "partially_accepted": ExitCode.DONE,
    "rejected": ExitCode.REJECTED,
    "cancelled": ExitCode.UNDECIDED,
    "superseded": ExitCode.UNDECIDED,
    "expired": ExitCode.UNDECIDED,
}


class Guide:
    """Leads the human to where the review is shown, each time it moves."""

    def __init__(self, review_id: str, spawn: bool) -> None:
        self._review_id = review_id
        self._spawn = spawn
        self._led_to_page = False

    def __call__(self, where: dict[str, Any]) -> None:
        """Say where it is; on the page, open it."""
        reason = f" ({where['reason']})" if where.get("reason") else ""
        match where.get("surface"):
            case "ide":
                say(f"shown in {where['ide']}")
            case "queued":
                say(f"waits in {where['ide']}{reason}; or: bridge review open {self._review_id} --surface page")
            case "page":
                self._to_the_page(reason)
            case _:
                say(f"no IDE shows it now{reason}; it waits")

    def _to_the_page(self, reason: str) -> None:
        if self._led_to_page:
            say(f"it is on the review page{reason}")
            return
        self._led_to_page = True
        from bridge.cli.browser import open_browser

        try:
            with Client(spawn=self._spawn) as client:  # the other connection is busy waiting
                way = client.request("review/link", {"id": self._review_id})
        except BridgeError as error:  # decided a moment ago, or the page has trouble: waiting goes on
            say(f"the review page cannot be opened: {error}; bridge review open {self._review_id}")
            return
        opened = open_browser(way["door"])
        say(f"{'opened' if opened else 'open'} the review page{reason}:")
        if sys.stderr.isatty():
            say(f"  {way['link']}")
        else:  # a code in a log or a pipe would be read by others, agents among them
            say(f"  {way['address']}  (if it asks for access: bridge review open {self._review_id})")


def await_decision(client: Client, review_id: str, timeout: float | None, spawn: bool) -> dict[str, Any]:
    """Wait for the review's end, and guide the human meanwhile.

    Raises `StillPending` at the time-out, and, with the review's id in its words, when the bridge is stopped.
    """
    try:
        return client.wait(review_id, timeout, on_surface=Guide(review_id, spawn))
    except Stopped as exc:
        raise StillPending(f"{exc}; review {review_id} stays undecided", f"bridge review wait {review_id}") from None
    except KeyboardInterrupt:
        say(f"review {review_id} stays open: bridge review wait {review_id}")
        raise


def print_decision(decision: dict[str, Any], as_json: bool) -> None:
    """Print the outcome on stdout: one word, then the comments; or everything as JSON.

    A reader that has gone changes nothing: the exit code, which callers rely on, still says how it ended.
    """
    try:
        print(json.dumps(decision) if as_json else _in_words(decision), flush=True)
    except BrokenPipeError:
        drop_stdout()
    if as_json:
        return
    if decision["trigger"] == "rejected_or_closed":
        say("(or its tab was closed: this IDE answers both alike)")
    if decision["outcome"] == "partially_accepted":
        for file in decision["files"]:
            if file["final"] is None:
                say(f"rejected: {file['path']}")


def _in_words(decision: dict[str, Any]) -> str:
    from bridge.core.text import visible

    comments = (visible(comment["text"], multiline=True) for comment in decision["comments"])
    return "\n".join([decision["outcome"] or decision["state"], *comments])


def apply(client: Client, decision: dict[str, Any]) -> None:
    """Write what was accepted, then acknowledge it; a rejection leaves nothing to do.

    No file is written before all were found to be what the human saw. Raises `Conflict`, `BadData` or `WriteFailed`;
    the decision is kept, and this may be repeated.
    """
    from bridge.store.files import Accepted, write_all

    files = [file for file in decision["files"] if file["final"] is not None]
    for file in files:
        if _is_dirty(client, file["path"]):
            raise Conflict(
                f"accepted, but {file['path']} has unsaved changes in an IDE",
                f"save or revert it there, then: bridge review apply {decision['id']}",
            )
    # Names as the daemon has them, whatever our locale.
    names = [file["path"].encode("utf-8", "surrogateescape") for file in files]
    write_all(
        [Accepted(name, file["final"], file["base_hash"]) for name, file in zip(names, files, strict=True)],
        decision["id"],
    )
    if decision["state"] == "decided":
        client.delivered(decision["id"])


def _is_dirty(client: Client, path: str) -> bool:
    """Ask the IDE; one that cannot be asked has nothing to say."""
    try:
        return client.is_dirty(path) is True
    except BridgeError:
        return False
