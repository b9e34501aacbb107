from __future__ import annotations

import json
from typing import Any

import pytest

from ide_plugins.emulator.debts import Debts
from ide_plugins.emulator.diffs import Diff

ANN, BOB, CID = "ann", "bob", "cid"  # clients are only compared here, and given to `send`


def owing(clients: list[Any], *, deaf: str = "", inherited: bool = True) -> tuple[Debts, list[tuple[Any, int]]]:
    """Debts, and the list that says who got which answer; `deaf` leaves when it is sent something."""
    sent: list[tuple[Any, int]] = []

    async def send(client: Any, frame: str) -> bool:
        if client == deaf:
            clients.remove(client)
            return False
        sent.append((client, json.loads(frame)["id"]))
        return True

    return Debts(clients=clients, send=send, inherited=inherited), sent


def decided(client: str, id_: int) -> Diff:
    arguments = {"old_file_path": "/a", "new_file_path": "/a", "tab_name": "t", "new_file_contents": ""}
    diff = Diff.of_call(client, id_, arguments)
    diff.answer = ("DIFF_REJECTED", "t")
    return diff


@pytest.mark.parametrize(
    ("clients", "inherited", "deaf", "got"),
    [
        ([ANN, BOB], True, "", [(ANN, 1), (BOB, 2)]),
        ([BOB, CID], True, "", [(CID, 1), (BOB, 2)]),  # the newest inherits
        ([BOB, CID], False, "", [(BOB, 2)]),
        ([ANN, BOB], True, ANN, [(BOB, 1), (BOB, 2)]),
        ([ANN, BOB], False, ANN, [(BOB, 2)]),
        ([], True, "", []),
    ],
)
async def test_who_asked_gets_the_answer(
    clients: list[str], inherited: bool, deaf: str, got: list[tuple[str, int]]
) -> None:
    debts, sent = owing(list(clients), inherited=inherited, deaf=deaf)
    debts.owe(decided(ANN, 1))
    debts.owe(decided(BOB, 2))
    await debts.pay()
    assert sent == got
    await debts.pay()
    assert sent == got  # and once


async def test_what_nobody_can_take_waits_for_the_next() -> None:
    clients: list[Any] = []
    debts, sent = owing(clients)
    debts.owe(decided(ANN, 1))
    await debts.pay()
    clients.append(BOB)
    await debts.pay()
    assert sent == [(BOB, 1)]
