"""What agents and humans may ask of the router; an `Asked` of `bridge.core.events` brings it.

Every ask is answered: with a result, with an error, or, where a human decides, when that has happened. Which front
takes which is the shell's business: none for agents builds a `Decide`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core.reviews import Comment, Review, Surface, Trigger

__all__ = [
    "Ask",
    "AskDirty",
    "CallTool",
    "Cancel",
    "CloseTab",
    "CloseTabs",
    "Decide",
    "ListTools",
    "OpenFile",
    "Propose",
    "Reopen",
    "ShowDiff",
    "Wait",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """Open a file; `line` and `column` are 1-based; `text` is the file's, to find the line by.

    With `may_launch` the answer may be a command for the asker to start (`bridge.core.launching`).
    """

    path: str
    line: int | None = None
    column: int | None = None
    text: str | None = None
    may_launch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTool:
    """Call one of the IDE's own tools; `arguments` is JSON and crosses untouched, but for paths (`core.translate`).

    With `file`, the one file that the tool is about, it gets that alone, in the argument that its plugin has for it.
    `posed` is a call by an agent that takes us for its IDE: its arguments are named as the official plugin does and
    fitted to this one's, and the file of an ``openFile`` was seen to be there. `meta` is the call's ``_meta``, JSON.
    """

    tool: str
    arguments: bytes
    file: str | None = None
    posed: bool = False
    meta: bytes = b""


@dataclass(frozen=True, slots=True)
class ListTools:
    """Name the tools that the session's IDE has; the answer is a list of names, or None where there is no IDE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowDiff:
    """Show a change as an IDE does, and answer when it is decided; the asker knows it by the name of its `tab`.

    The review's request key is that of all diffs of the same change, and of nothing else: by it a review is found again
    that an agent left behind. `known` is a decision of the same change that nobody has taken yet.
    """

    review: Review
    tab: str
    known: Review | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTab:
    """Close a tab that this session opened: an undecided review is cancelled, a decision is delivered."""

    tab: str


@dataclass(frozen=True, slots=True)
class CloseTabs:
    """Close every tab that this session opened; the answer is their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDirty:
    """Ask whether the document has unsaved changes in its IDE."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Propose a change: the review as it would begin, and the one that its request key named before."""

    review: Review
    known: Review | None = None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Answer when the review has ended, or at `until` (epoch seconds; None: no limit)."""

    review_id: str
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End an undecided review; `trigger` says why."""

    review_id: str
    trigger: Trigger = Trigger.CANCELLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Show an undecided review again, there where the human wants it."""

    review_id: str
    surface: Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """The human's decision on the page; no front for agents builds this.

    `finals` has the accepted text of each file, None for one that is rejected; None rejects all.
    """

    review_id: str
    finals: tuple[str | None, ...] | None
    comments: tuple[Comment, ...] = ()


Ask = (
    OpenFile
    | CallTool
    | AskDirty
    | ListTools
    | Propose
    | Wait
    | Cancel
    | Reopen
    | Decide
    | ShowDiff
    | CloseTab
    | CloseTabs
)
