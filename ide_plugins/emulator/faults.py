"""How an IDE misbehaves on purpose. Each fault was met in real ones; docs/protocol.md says where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["FOREIGN_ORIGIN", "GARBAGE", "Fault", "Faults"]


class Fault(StrEnum):
    """The faults by their names; `Faults` adds ``slow:SECONDS``."""

    DIE_ON_DIFF = "die-on-diff"  # openDiff kills the IDE; its lock file stays
    HANG_HANDSHAKE = "hang-handshake"  # takes the TCP connection, never answers the upgrade
    HANG_INITIALIZE = "hang-initialize"
    HANG_AFTER_DIFF = "hang-after-diff"  # from the first openDiff on neither reads, writes nor pongs
    HANG_CALLS = "hang-calls"  # answers initialize and tools/list alone
    GARBAGE = "garbage"  # frames that make no sense before every answer
    HALF_LOCK = "half-lock"  # half a lock file, until it is told to complete it
    LOOSE_LOCK = "loose-lock"  # a lock file that everybody may read, written in place
    SURROGATE = "surrogate"  # every selection is cut inside an emoji
    OPENFILE_LIES = "openfile-lies"  # openFile reports its failure as a success
    NO_PROJECT = "no-project"  # JetBrains: its windows are closed, the server listens on
    TOOL_ERROR = "tool-error"  # JetBrains: every tool fails inside the IDE
    FOREIGN_ENDPOINT = "foreign-endpoint"  # SSE: sends its clients, with the token, to another server


FOREIGN_ORIGIN: Final = "http://attacker.invalid"
GARBAGE: Final = ("this is not JSON", "[]", '{"jsonrpc":"2.0","id":"nobody-asked","result":{}}')


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of one IDE."""

    kinds: frozenset[Fault]
    delay_s: float  # before every answer

    @classmethod
    def parse(cls, words: Iterable[str]) -> Faults:
        """Read names of faults and ``slow:SECONDS``; raises `ValueError` on anything else."""
        kinds, delay_s = set(), 0.0
        for word in words:
            if word.startswith("slow:"):
                delay_s = float(word.removeprefix("slow:"))
            else:
                kinds.add(Fault(word))
        return cls(frozenset(kinds), delay_s)

    def __contains__(self, fault: Fault) -> bool:
        return fault in self.kinds

    @property
    def silence(self) -> bool:
        """Whether the IDE is mute to everybody, now or later."""
        return not self.kinds.isdisjoint({Fault.HANG_HANDSHAKE, Fault.HANG_AFTER_DIFF})

    def swallow(self, method: str) -> bool:
        """Whether requests of `method` are read and then forgotten."""
        if method == "initialize":
            return Fault.HANG_INITIALIZE in self
        return Fault.HANG_CALLS in self and method != "tools/list"
