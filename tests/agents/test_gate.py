"""Who may come in, as a table; the raw client's tests show that the fronts ask."""

from __future__ import annotations

import pytest

from bridge.agents.gate import Refusal, refusal

PORT, TOKEN = 4711, "right"
HERE = f"127.0.0.1:{PORT}"

# (origins, hosts, tokens, the status; None: welcome)
CASES: list[tuple[list[str], list[str], list[str], int | None]] = [
    ([], [HERE], [TOKEN], None),
    ([], [f"localhost:{PORT}"], [TOKEN], None),
    ([], [f"LOCALHOST:{PORT}"], [TOKEN], None),
    ([], [f"[::1]:{PORT}"], [TOKEN], None),
    (["http://a"], [HERE], [TOKEN], 403),
    ([""], [HERE], [TOKEN], 403),
    (["null"], ["evil.example"], ["wrong"], 403),  # the first reason is the one that is told
    ([], [], [TOKEN], 421),
    ([], [HERE, HERE], [TOKEN], 421),
    ([], ["127.0.0.1"], [TOKEN], 421),
    ([], ["127.0.0.1:47110"], [TOKEN], 421),
    ([], [f"127.0.0.1.evil.example:{PORT}"], [TOKEN], 421),
    ([], [f"::1:{PORT}"], [TOKEN], 421),
    ([], [f"localhost.:{PORT}"], [TOKEN], 421),
    ([], [f" {HERE}"], [TOKEN], 421),
    ([], [HERE], [], 401),
    ([], [HERE], [""], 401),
    ([], [HERE], ["Right"], 401),
    ([], [HERE], ["righ"], 401),
    ([], [HERE], ["righter"], 401),
    ([], [HERE], [TOKEN, TOKEN], 401),
    ([], [HERE], ["\xe9\udcff"], 401),
]


@pytest.mark.parametrize(("origins", "hosts", "tokens", "status"), CASES)
def test_who_may_come_in(origins: list[str], hosts: list[str], tokens: list[str], status: int | None) -> None:
    found = refusal(origins=origins, hosts=hosts, tokens=tokens, port=PORT, token=TOKEN)
    assert (found and found.status) == status


def test_a_refusal_tells_no_token() -> None:
    found = refusal(origins=[], hosts=[HERE], tokens=["wrong"], port=PORT, token=TOKEN)
    assert isinstance(found, Refusal)
    assert "wrong" not in found.words
    assert TOKEN not in found.words
