"""Decisions that have not left yet, and who gets them: the answer of a call, or news to everybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import rpc
from .diffs import Diff
from .listener import Client
from .tools import text_result

__all__ = ["Debts", "Notices", "Outcome"]

Outcome = Callable[[Diff], tuple[str, dict[str, Any]]]  # the notification that tells a decision


@dataclass(kw_only=True)
class Debts:
    """The answers of ``openDiff`` that wait for a client to take them."""

    clients: Sequence[Client]  # who is there now, oldest first
    send: Callable[[Client, str], Awaitable[bool]]  # tells whether it left
    inherited: bool  # whether the newest client gets what was owed to one that is gone, under the old id
    _owed: list[Diff] = field(init=False, default_factory=list)

    def owe(self, diff: Diff) -> None:
        """Take on the answer of `diff`."""
        self._owed.append(diff)

    async def pay(self) -> None:
        """Send what is owed, as far as there is somebody to send it to."""
        while self._owed and self.clients:
            diff = self._owed.pop(0)  # before anything is awaited: it shall not be sent twice
            heir = self.clients[-1] if self.inherited else None
            client = next((client for client in self.clients if client is diff.client), heir)
            if client is None or await self.send(client, rpc.result(diff.request_id, text_result(*diff.answer))):
                continue
            self._owed.insert(0, diff)
            if client in self.clients:
                return  # it is about to leave; who comes next is welcomed with what is owed


@dataclass(kw_only=True)
class Notices:
    """Decisions that nobody waits for: whoever is there hears of them, and nobody else ever does."""

    clients: Sequence[Client]
    send: Callable[[Client, str], Awaitable[bool]]
    outcome: Outcome
    _owed: list[Diff] = field(init=False, default_factory=list)

    def owe(self, diff: Diff) -> None:
        """Take on the news of `diff`."""
        self._owed.append(diff)

    async def pay(self) -> None:
        """Tell everybody what was decided."""
        while self._owed:
            frame = rpc.notification(*self.outcome(self._owed.pop(0)))
            for client in list(self.clients):
                await self.send(client, frame)
