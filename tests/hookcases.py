"""The golden files of ``bridge hook``: what an agent says, what the human does, and what the agent is told.

``tests/golden/hooks/<agent>/<tool>/<case>.json`` with the members

* ``files``: name and text of each file in the workspace; the hook's own words say ``WORK`` for that directory
* ``said``: what the agent says, an object, or a string that is none
* ``options``: further words of the command
* ``human``: ``accept``, ``reject``, ``never``, ``{"edit": text}`` in the IDE; ``{"accept": …, "files": …, "comment":
  …}`` on the page; null where there is no review
* ``page``: the review is shown on the page, since it is of many files
* ``meanwhile``: files that somebody else writes before the human decides
* ``stdout`` (an object, or null for nothing), ``stderr`` (its only line, or ""), ``state`` (of the review, or null)

The core's tests and those of the real command read the same files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

GOLDEN: Final = Path(__file__).parent / "golden" / "hooks"
WORK: Final = "WORK"


@dataclass(frozen=True, kw_only=True)
class Case:
    agent: str
    tool: str
    name: str
    files: dict[str, str]
    said: dict[str, Any] | str
    human: Any
    stdout: dict[str, Any] | None
    stderr: str
    state: str | None
    options: list[str] = field(default_factory=list)
    page: bool = False
    meanwhile: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.agent}/{self.tool}/{self.name}"

    def in_words(self, work: Path) -> str:
        """Give what the agent says in this workspace."""
        said = self.said if isinstance(self.said, str) else json.dumps(self.said)
        return said.replace(WORK, str(work))

    def write(self, work: Path) -> None:
        """Put the files there."""
        for name, text in self.files.items():
            (work / name).write_bytes(text.encode())


def shorten(said: str, work: Path) -> str:
    """Say WORK for the workspace again."""
    return said.replace(str(work), WORK)


def cases() -> list[Case]:
    """Read all of them."""
    return [
        Case(agent=path.parts[-3], tool=path.parts[-2], name=path.stem, **json.loads(path.read_bytes()))
        for path in sorted(GOLDEN.rglob("*.json"))
    ]
