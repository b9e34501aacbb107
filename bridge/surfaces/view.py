"""A review as the page's JSON: names made visible, files as hunks, and what the reader must be warned of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final

from bridge.core.hunks import diff, stats
from bridge.core.reviews import Change, Review
from bridge.core.summary import name_within, verdict_on
from bridge.core.text import hidden, normalise, settle, visible

__all__ = ["file_view", "preview", "review_view", "warnings"]

# Files that run commands by being there: editors, build hosts, hooks and agents read them unasked.
_SENSITIVE: Final = re.compile(
    r"/(\.git/|\.github/workflows/|\.gitlab-ci\.yml$|\.husky/|\.idea/|\.vscode/|\.envrc$|\.claude/|\.mcp\.json$"
    r"|\.(ba|z)sh(rc|env)$|\.(bash_)?profile$|\.(z|bash_)(profile|login)$|\.ssh/|\.gitconfig$|\.npmrc$|\.config/"
    r"|\.pre-commit-config\.yaml$|\.devcontainer/|\.cursor/)"
)


def review_view(review: Review, shown_in: str | None) -> dict[str, Any]:
    """Everything that the page shows of a review. Slow for large files: call it in a thread.

    Texts are the files' own, lone surrogates included; titles, paths and names have passed `visible`.
    """
    return {
        "id": review.id,
        "version": review.version,
        "state": review.state,
        "open": review.is_open,
        "outcome": review.outcome,
        "trigger": review.trigger,
        "title": visible(review.title),
        "agent": visible(review.agent),
        "workspace": visible(os.fsdecode(review.workspace)),
        "created": review.created,
        "shown_in": None if shown_in is None else visible(shown_in),
        "comments": [visible(comment.text, multiline=True) for comment in review.comments],
        "files": [file_view(review, file) for file in review.files],
    }


def file_view(review: Review, file: Change) -> dict[str, Any]:
    """One file of a review: what was accepted if it was, else what is proposed, against what was there."""
    path = os.fsdecode(file.path)
    return {
        "path": visible(name_within(review.workspace, file.path)),
        "verdict": verdict_on(review, file),
        "kind": "create" if file.base_hash is None else "modify",
        "proposed": file.proposed,
        "final": file.final,
        "warnings": warnings(file, path),
        **_changes(file.base, file.proposed if file.final is None else file.final),
    }


def preview(review: Review, texts: Iterable[str | None]) -> list[dict[str, Any] | None]:
    """Show what accepting the edited `texts` would change, in the review's order; None for a file without an edit."""
    return [
        None if text is None else _changes(file.base, settle(file.proposed, text))
        for file, text in zip(review.files, texts, strict=True)
    ]


def _changes(base: str, text: str) -> dict[str, Any]:
    hunks = diff(base, text)
    added, removed = stats(hunks)
    return {
        "added": added,
        "removed": removed,
        "hunks": [
            {
                "id": hunk.id,
                "old": [hunk.old_start, hunk.old_count],
                "new": [hunk.new_start, hunk.new_count],
                "lines": hunk.lines,
            }
            for hunk in hunks
        ],
    }


def warnings(file: Change, path: str) -> list[str]:
    """Say what the diff alone does not make plain, one sentence each."""
    found = []
    kinds = hidden(file.proposed)
    if kinds:
        found.append(f"The text holds {' and '.join(kinds)}; they are shown as escapes.")
    if hidden(path):
        found.append("The file's name holds characters that cannot be seen; they are shown as escapes.")
    if _SENSITIVE.search(path):
        found.append("Programs on this machine may run what this file says, unasked.")
    if file.base_hash is not None and normalise(file.base) == normalise(file.proposed):
        found.append("Only line endings, the BOM or the newline at the end change.")
    return found
