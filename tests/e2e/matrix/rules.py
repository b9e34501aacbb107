"""What each front must hear from each IDE in each story, by rule; a rule that is no plain success has its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

__all__ = ["CELLS", "FRONTS", "IDES", "STORIES", "Cell", "expected", "render"]

FRONTS: Final = (
    *("control socket", "WebSocket", "SSE"),
    *("MCP stdio, old era", "MCP stdio, new era", "MCP over HTTP"),
    "hook",
)
IDES: Final = ("official", "official over SSE", "monet", "el", "nvim", "Gemini", "Qwen", "JetBrains MCP", "page")
STORIES: Final = ("open", "accept", "edit", "reject", "close")

TITLES: Final[Mapping[str, str]] = {
    "open": "The agent opens a file",
    "accept": "The human accepts the diff",
    "edit": "The human edits the proposal and accepts it",
    "reject": "The human rejects the diff",
    "close": "The human closes the diff, and decides nothing else",
}

Cell = tuple[str, str, str]  # front, IDE, story
CELLS: Final[tuple[Cell, ...]] = tuple(product(FRONTS, IDES, STORIES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is heard where; None means everywhere."""

    heard: str
    story: str
    fronts: frozenset[str] | None = None
    ides: frozenset[str] | None = None
    why: str = ""

    def fits(self, cell: Cell) -> bool:
        """Tell whether the rule is about the cell."""
        front, ide, story = cell
        return story == self.story and (
            (self.fronts is None or front in self.fronts) and (self.ides is None or ide in self.ides)
        )


COMPANIONS: Final = frozenset({"Gemini", "Qwen"})
NO_DIFFS: Final = frozenset({"JetBrains MCP", "page"})  # the review page shows them instead

HOOK: Final = frozenset({"hook"})

RULES: Final = (
    Rule(story="open", fronts=HOOK, heard="not asked", why="a hook is run before a file is written, and never else"),
    Rule(story="open", ides=frozenset({"page"}), heard="unavailable", why="there is no IDE, and the page is no editor"),
    Rule(
        story="open",
        ides=COMPANIONS,
        heard="unavailable",
        why="companions have no tool that opens a file; `bridge open` starts the editor's own command",
    ),
    Rule(story="open", heard="opened"),
    *(
        Rule(story=story, ides=ides, heard=heard, why=why)
        for story, heard in {"accept": "accepted", "edit": "edited", "reject": "rejected"}.items()
        for ides, why in (
            (frozenset({"JetBrains MCP"}), "its server shows no diffs: the human decides on the review page"),
            (None, ""),
        )
    ),
    Rule(
        story="close",
        fronts=HOOK,
        ides=NO_DIFFS,
        heard="asked by the agent",
        why="closing the page decides nothing; before its time is over the hook lets the agent ask its user itself",
    ),
    Rule(
        story="close",
        ides=NO_DIFFS,
        heard="taken back",
        why="closing the page decides nothing: the review waits, until the agent takes it back",
    ),
    Rule(
        story="close",
        heard="rejected",
        why="these plugins say the same of a closed diff and of a rejected one",
    ),
)
"""The first that fits counts."""


def expected(cell: Cell) -> str:
    """Give what must be heard in a cell."""
    return _rule(cell).heard


def _rule(cell: Cell) -> Rule:
    return next(rule for rule in RULES if rule.fits(cell))


def render(seen: Mapping[Cell, str]) -> str:
    """Write what was seen as a page of tables, one for each story, with the reasons below."""
    return "\n".join([HEAD, *(line for story in STORIES for line in _story(story, seen))])


HEAD: Final = f"""\
# Agents and IDEs

What an agent hears, by its way in (rows) and by the IDE that the human sits at (columns), as played against the real
daemon: {len(CELLS)} stories. Written by `python -m tests.e2e.matrix`, which plays them;
`tests/e2e/test_agents_and_ides.py` plays them too, and fails when this page says anything else.

In italics stands the type of a refusal (`bridge/errors.py`), which says why and what to do, or that a hook leaves the
matter to its agent."""


def _story(story: str, seen: Mapping[Cell, str]) -> Iterable[str]:
    reasons: list[str] = []

    def word(cell: Cell) -> str:
        heard, why = seen[cell], _rule(cell).why
        shown = heard if heard in SUCCESSES else f"*{heard}*"
        if not why:
            return shown
        if why not in reasons:
            reasons.append(why)
        return f"{shown} ({reasons.index(why) + 1})"

    yield from ("", f"## {TITLES[story]}", "")
    yield _row("", IDES)
    yield _row("---", ["---"] * len(IDES))
    for front in FRONTS:
        yield _row(front, [word((front, ide, story)) for ide in IDES])
    if reasons:
        yield ""
    for number, why in enumerate(reasons, 1):
        yield f"{number}. {why}."


SUCCESSES: Final = frozenset({"opened", "accepted", "edited", "rejected", "taken back"})


def _row(head: str, words: Iterable[str]) -> str:
    return "| " + " | ".join([head, *words]) + " |"
