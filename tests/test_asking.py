"""What both clients ask, described once."""

from __future__ import annotations

import inspect

import pytest

from bridge import asking
from bridge.client import Client
from bridge.errors import StillPending, Unavailable

DESCRIBED = {name: getattr(asking, name) for name in asking.__all__ if inspect.isfunction(getattr(asking, name))}
METHODS = [name for name, one in DESCRIBED.items() if "client" in inspect.signature(one).parameters]


@pytest.mark.parametrize("name", METHODS)
def test_help_shows_a_method_as_it_is_called(name: str) -> None:
    described, method = getattr(asking, name), getattr(Client, name)
    assert method.__doc__ == described.__doc__
    assert inspect.signature(method) == inspect.signature(described)
    assert "client" not in inspect.signature(getattr(Client(cwd="/"), name)).parameters


def test_a_wait_without_a_limit_has_none() -> None:
    assert asking.Endurance("r1", None).begin() == ({"id": "r1", "timeout": None}, None)


def test_a_wait_ends_at_its_time_or_after_many_deaths_in_a_row() -> None:
    at_once = asking.Endurance("r1", 0)
    params, patience = at_once.begin()
    assert (params, patience) == ({"id": "r1", "timeout": 0.0}, asking.GRACE_S)
    with pytest.raises(StillPending):
        at_once.lost(OSError("gone"))
    patient = asking.Endurance("r1", None)
    for _ in range(asking._MOST_DEATHS):
        patient.begin()
        patient.lost(OSError("gone"))
    patient.begin()
    with pytest.raises(Unavailable, match="again and again: gone"):
        patient.lost(OSError("gone"))
