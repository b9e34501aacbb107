from typing import NamedTuple

import pytest

from bridge.core.attaching import port_for_agents
from bridge.core.lockfile import Family as Lock
from bridge.core.ranking import Candidate, Listener, Pid, Place
from bridge.core.terminal import Family, Group, Terminal
from tests.core.candidates import ide

PLACE = Place(directory="/w/app")


class Case(NamedTuple):
    title: str
    ides: list[Candidate]
    port: int | None
    terminal: Terminal = Terminal()
    named: str | None = None


TWO = [ide(4001, "/w/app"), ide(4002, "/x", name="Cursor")]
CASES = [
    Case("nobody is there", [], None, Terminal(port=4001)),
    Case("a window that holds the directory is not the terminal's own for that", TWO, None),
    Case("nor is one of its kind", TWO, None, Terminal(family=Family.CURSOR, group=Group.VSCODE)),
    Case("the port variable names it, whatever its folder", TWO, 4002, Terminal(port=4002)),
    Case("the variable went stale", TWO, None, Terminal(port=4003)),
    Case("the terminal runs inside it", [*TWO, ide(4003, "/x", ancestor=True)], 4003),
    Case("the variable goes before ancestry", [TWO[0], ide(4003, ancestor=True)], 4001, Terminal(port=4001)),
    Case("ancestry takes the place of a variable that went stale", [ide(4003, ancestor=True)], 4003, Terminal(port=1)),
    Case(
        "of two windows of one process the better is taken",
        [ide(4001, "/x", ancestor=True), ide(4002, "/w/app", ancestor=True)],
        4002,
    ),
    Case("what the user named goes before all", TWO, 4002, Terminal(port=4001), "cursor"),
    Case("and is that or none", TWO, None, Terminal(port=4001), "pycharm"),
    Case("a companion is of another family", [ide(4001, family=Lock.GEMINI, ancestor=True)], None, Terminal(port=4001)),
    Case("also where it is named", [ide(4001, family=Lock.QWEN)], None, Terminal(), "4001"),
    Case("no name is none", TWO, 4001, Terminal(port=4001), " "),
    *(
        Case(f"a listener that is {listener} is none", [ide(4001, listener=listener)], None, Terminal(port=4001))
        for listener in (Listener.NONE, Listener.FOREIGN, Listener.UNKNOWN, Listener.UNREACHABLE)
    ),
    Case("nor is a dead one that was named", [ide(4001, listener=Listener.NONE)], None, named="4001"),
    Case("one that is perhaps in Windows is", [ide(4001, listener=Listener.HIDDEN)], 4001, Terminal(port=4001)),
    Case("a PID that is dead does not matter", [ide(4001, pid=Pid.DEAD)], 4001, Terminal(port=4001)),
    Case("another distribution's is none", [ide(4001, foreign="it is in Debian")], None, Terminal(port=4001)),
    Case("that an agent holds it does not matter", [ide(4001, occupied=True)], 4001, Terminal(port=4001)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_an_agent_attaches_to_the_ide_that_its_terminal_belongs_to(case: Case) -> None:
    assert port_for_agents(case.ides, PLACE, case.terminal, case.named) == case.port
    assert port_for_agents(case.ides[::-1], PLACE, case.terminal, case.named) == case.port
