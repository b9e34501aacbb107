"""Every agent with every IDE: each cell of `tests.e2e.matrix.rules` passes, or refuses with its typed reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tests.e2e.matrix.fronts import Doors, doors
from tests.e2e.matrix.play import play
from tests.e2e.matrix.rules import CELLS, FRONTS, IDES, STORIES, expected, render
from tests.e2e.matrix.windows import world
from tests.e2e.support import ROOT


@pytest.fixture(scope="module")
def open_doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with world(tmp_path_factory.mktemp("matrix")) as one, doors(one) as opened:
        yield opened


@pytest.mark.parametrize(("front", "ide"), list(product(FRONTS, IDES)))
async def test_each_agent_hears_from_each_ide_what_the_rules_say(
    front: str, ide: str, open_doors: Doors, record_property: Callable[[str, object], None]
) -> None:
    seen = await play(front, ide, open_doors)
    record_property("matrix", [front, ide, dict(seen)])
    assert seen == {story: expected((front, ide, story)) for story in STORIES}


def test_the_table_says_what_the_rules_say() -> None:
    """And the rules say what is seen, as the tests above show."""
    assert (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8") == render({cell: expected(cell) for cell in CELLS})
