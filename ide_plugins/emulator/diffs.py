"""Diff tabs: what ``openDiff`` opens, and how each call is answered exactly once.

A tab and its call end apart from each other. The human's decision answers the call and leaves the tab, until
the client has written the file and sends ``close_tab``. Closing a tab answers a call that is still pending.
And the call outlives its socket: whoever is connected then gets the answer, under the old id.
Source: docs/protocol.md, "The official VS Code extension" (observed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from .rpc import RequestId

__all__ = ["CloseSays", "Diff", "DiffTabs"]

CloseSays = Literal["rejected", "tab_closed"]

BOM: Final = "\ufeff"


@dataclass(eq=False, slots=True, kw_only=True)
class Diff:
    """One ``openDiff`` call and its tab."""

    request_id: RequestId
    client: object = field(repr=False)  # the socket that asked
    tab_name: str
    old_file_path: str
    new_file_path: str
    contents: str  # what the agent proposes
    answer: tuple[str, ...] = ()  # the result's text items; none while the human thinks

    @classmethod
    def of_call(cls, client: object, request_id: RequestId, arguments: dict[str, Any]) -> Diff:
        """Take a call's arguments, which fit the tool's schema."""
        return cls(
            request_id=request_id,
            client=client,
            tab_name=arguments.get("tab_name", arguments["new_file_path"]),  # some plugins do without it
            old_file_path=arguments["old_file_path"],
            new_file_path=arguments["new_file_path"],
            contents=arguments["new_file_contents"],
        )


@dataclass(kw_only=True)
class DiffTabs:
    """The tabs that are open, oldest first; `decided` is called when a call gets its answer."""

    decided: Callable[[Diff], None]
    close_says: CloseSays = "rejected"
    several: bool = False  # whether a new diff leaves the others open
    normalises: bool = False  # whether accepting gives LF, no BOM and a final newline
    drops_namesakes: bool = False  # whether a diff that is replaced by its namesake is never answered
    keeps_namesakes: bool = False  # whether it is not even replaced
    vanishing: bool = False  # whether a decided diff leaves its tab
    owner: object | None = None  # whose tabs `close_named`, `close_all` and `abandon` are about; None: everybody's
    tabs: list[Diff] = field(default_factory=list)

    @property
    def pending(self) -> list[Diff]:
        """The diffs that wait for the human, oldest first."""
        return [diff for diff in self.tabs if not diff.answer]

    def oldest(self) -> Diff:
        """Give the first diff that waits for the human; raises `LookupError` if none does."""
        if not self.pending:
            raise LookupError("no diff waits for a decision")
        return self.pending[0]

    def of(self, client: object) -> DiffTabs:
        """Give the same tabs, of which those of other clients cannot be closed."""
        return replace(self, owner=client)  # the list is shared

    def open(self, diff: Diff) -> None:
        """Show `diff` in place of the open one or, if several fit, of its namesake."""
        for old in list(self.tabs):
            if self.drops_namesakes and old.tab_name == diff.tab_name:
                self.tabs.remove(old)
            elif not self.several or (old.tab_name == diff.tab_name and not self.keeps_namesakes):
                self._close(old, "DIFF_REJECTED", old.tab_name)
        self.tabs.append(diff)

    def shown(self, diff: Diff) -> str:
        """Give the text that the editor holds for `diff` before anybody types."""
        if not self.normalises:
            return diff.contents
        text = diff.contents.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")
        return text if text.endswith("\n") else text + "\n"

    def accept(self, diff: Diff, text: str | None = None) -> None:
        """The human saves: the text as shown or, if edited, `text`. The tab stays, unless it is `vanishing`."""
        self._decide(diff, "FILE_SAVED", self.shown(diff) if text is None else text)

    def reject(self, diff: Diff) -> None:
        """The human rejects. The tab stays, unless it is `vanishing`."""
        self._decide(diff, "DIFF_REJECTED", diff.tab_name)

    def close(self, diff: Diff) -> None:
        """The human closes the tab; whether that is a rejection differs by IDE (`close_says`)."""
        if self.close_says == "rejected":
            self._close(diff, "DIFF_REJECTED", diff.tab_name)
        else:
            self._close(diff, "TAB_CLOSED")

    def withdraw(self, diff: Diff) -> None:
        """Close the tab of `diff` and tell nobody."""
        self.tabs.remove(diff)

    def close_named(self, tab_name: str) -> bool:
        """Do what ``close_tab`` asks; no tab of that name is fine, but told."""
        named = [diff for diff in self._owned() if diff.tab_name == tab_name]
        for diff in named:
            self._close(diff, "DIFF_REJECTED", diff.tab_name)
        return bool(named)

    def close_all(self) -> int:
        """Do what ``closeAllDiffTabs`` asks; return how many tabs the IDE says it closed.

        It counts the names that the official agent gives (``✻ [Claude Code] a.py (1f2e3d) ⧉``) and no others
        (observed). That it closes the others too is our reading.
        """
        tabs = self._owned()
        for diff in tabs:
            self._close(diff, "DIFF_REJECTED", diff.tab_name)
        return sum(diff.tab_name.startswith("✻ [Claude Code]") and diff.tab_name.endswith("⧉") for diff in tabs)

    def abandon(self) -> None:
        """Close what is undecided, because nobody waits for it any more."""
        for diff in self._owned():
            if not diff.answer:
                self._close(diff, "DIFF_REJECTED", diff.tab_name)

    def _owned(self) -> list[Diff]:
        return [diff for diff in self.tabs if self.owner in (None, diff.client)]

    def _close(self, diff: Diff, *answer: str) -> None:
        self.tabs.remove(diff)
        self._decide(diff, *answer)

    def _decide(self, diff: Diff, *answer: str) -> None:
        """Answer the call, unless it has its answer: the first decision wins."""
        if not diff.answer:
            diff.answer = answer
            if self.vanishing and diff in self.tabs:
                self.tabs.remove(diff)
            self.decided(diff)
