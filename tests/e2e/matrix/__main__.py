"""Play every story with every pair, print the table, and keep it in docs/matrix.md if all is as the rules say."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.e2e.matrix.rules import CELLS, Cell, render
from tests.e2e.support import ROOT

PLAYED = ROOT / "tests" / "e2e" / "test_agents_and_ides.py"
PAGE = ROOT / "docs" / "matrix.md"


class Seen:
    """What the tests saw, taken from their reports."""

    def __init__(self) -> None:
        self.cells: dict[Cell, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what one pair's test saw."""
        if report.when == "call":
            pairs: list[Any] = [value for name, value in report.user_properties if name == "matrix"]
            for front, ide, heard in pairs:
                self.cells |= {(front, ide, story): said for story, said in heard.items()}


def main() -> int:
    """Give the exit code: 0 if the page is written."""
    seen = Seen()
    code = pytest.main(["-q", str(PLAYED), "-k", "hears", *sys.argv[1:]], plugins=[seen])
    if seen.cells.keys() != set(CELLS):
        return int(code) or 1  # words for pytest chose some of the pairs, or one broke down
    page = render(seen.cells)
    print(page)
    if code == pytest.ExitCode.OK:
        PAGE.write_text(page, encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
