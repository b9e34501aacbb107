"""Which version is newer."""

from __future__ import annotations

import doctest

import pytest

from bridge import versions
from bridge.versions import newer, restart

# (older, newer)
ORDER = [
    ("0.1.0", "0.1.1"),
    ("0.9", "0.10"),
    ("0.1.9", "0.2"),
    ("0.1", "0.1.0.1"),
    ("0.2.0rc1", "0.2.1rc1"),
    ("", "0.1.0"),
    ("nonsense", "0.0.1"),
    ("1", "2" * 10_000),
]
SAME = [
    ("0.1", "0.1.0"),
    ("0.1.0", "0.1.0+local"),
    ("0.2.0.dev3", "0.2.0"),
    ("", "x"),
    ("0.1..5", "0.1"),
    ("\u0663", ""),
]


@pytest.mark.parametrize(("older", "later"), ORDER)
def test_one_is_newer(older: str, later: str) -> None:
    assert (newer(later, older), newer(older, later), newer(later, later)) == (True, False, False)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_neither_is_newer(one: str, other: str) -> None:
    assert not newer(one, other)
    assert not newer(other, one)


def test_others_are_waited_for() -> None:
    assert [restart(n) for n in range(3)] == [
        "bridge restart",
        "bridge restart, when its other session is done",
        "bridge restart, when its 2 other sessions are done",
    ]


def test_the_examples_are_true() -> None:
    assert doctest.testmod(versions).failed == 0
