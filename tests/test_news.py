"""The backlog of events: the newest about each thing, and never many."""

from __future__ import annotations

from typing import Any

import pytest

from bridge import news
from bridge.news import MISSED, Backlog


def review(id_: str, surface: str) -> dict[str, Any]:
    return {"type": "review", "id": id_, "surface": surface}


def link(ide: str, port: int, state: str) -> dict[str, Any]:
    return {"type": "link", "ide": ide, "port": port, "state": state}


LOCKS = {"type": "locks"}

# (what happens, what a listener hears that comes late)
HEARD = [
    ([], []),
    ([review("a", "ide"), review("b", "ide")], [review("a", "ide"), review("b", "ide")]),
    ([review("a", "ide"), review("b", "ide"), review("a", "page")], [review("b", "ide"), review("a", "page")]),
    ([link("x", 1, "live"), link("x", 2, "live"), link("y", 1, "live")], [
        link("x", 1, "live"), link("x", 2, "live"), link("y", 1, "live")
    ]),
    ([link("x", 1, "connecting"), LOCKS, link("x", 1, "live"), LOCKS], [link("x", 1, "live"), LOCKS]),
    ([LOCKS, MISSED, MISSED], [MISSED, LOCKS]),
    ([{"type": "newer", "id": 1}, {"type": "newer", "id": 2}], [{"type": "newer", "id": 2}]),
]  # fmt: skip


def heard(backlog: Backlog) -> list[dict[str, Any]]:
    return list(iter(backlog.take, None))


@pytest.mark.parametrize(("happened", "expected"), HEARD)
def test_the_newest_about_each_thing_is_heard(happened: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    backlog = Backlog()
    for event in happened:
        backlog.add(event)
    assert heard(backlog) == expected
    assert heard(backlog) == []


def test_what_is_too_much_is_dropped_and_told() -> None:
    backlog = Backlog()
    for n in range(news._MOST + 2):
        backlog.add(review(str(n), "page"))
    assert heard(backlog) == [MISSED, *(review(str(n), "page") for n in range(2, news._MOST + 2))]
