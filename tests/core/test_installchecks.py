"""What doctor says of the entries in other programs."""

from __future__ import annotations

from dataclasses import replace

from bridge.core.findings import Finding, Level
from bridge.core.installchecks import Registration, examine
from bridge.core.programs import Part
from bridge.errors import BadData, ExitCode

HOOK = Registration(program="claude", part=Part.HOOK, path="/s", starts="/b/bridge", runs=True, is_this=True)


def one(found: Registration) -> Finding:
    (finding,) = examine([found])
    return finding


def test_this_bridge_is_fine() -> None:
    assert (one(HOOK).level, one(HOOK).found) == (Level.OK, "Claude Code: the hook is in /s")


def test_not_to_be_registered_is_nobodys_fault() -> None:
    finding, *more = examine([replace(HOOK, starts=None), replace(HOOK, part=Part.MCP, starts=None)])
    assert (more, finding.level) == ([], Level.OK)
    assert finding.found == "not registered, see bridge install: Claude Code (hook), Claude Code (MCP server)"
    assert examine([]) == []


def test_another_bridge_works_too() -> None:
    finding = one(replace(HOOK, is_this=False))
    assert (finding.level, finding.code) == (Level.WARN, ExitCode.DONE)
    assert "starts another bridge, /b/bridge" in finding.found
    assert finding.fix == "if you want this one: bridge install claude --only hook"


def test_a_hook_that_cannot_start_lets_everything_through() -> None:
    finding = one(replace(HOOK, runs=False))
    assert (finding.level, finding.code) == (Level.FAIL, ExitCode.CONFIGURATION)
    assert finding.fix == "bridge install claude --only hook"
    assert one(replace(HOOK, part=Part.MCP, runs=False)).level is Level.WARN


def test_a_file_that_cannot_be_read_is_the_programs_trouble() -> None:
    finding = one(replace(HOOK, starts=None, trouble=BadData("/s: line 3, column 1: Expecting value")))
    assert (finding.level, finding.fix) == (Level.WARN, "mend /s")
    assert one(replace(HOOK, trouble=BadData("no", "do that"))).fix == "do that"
