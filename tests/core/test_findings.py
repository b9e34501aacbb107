"""What `bridge doctor` says of a finding, and what it exits with."""

from __future__ import annotations

import pytest

from bridge.core.findings import Finding, Level, exit_code, refusal
from bridge.errors import BadConfiguration, BridgeError, ExitCode, NotTrusted, Usage

FINE = Finding(check="a", found="b")
WARNING = Finding(check="a", found="b", fix="c")


def failure(code: ExitCode) -> Finding:
    return Finding(check="a", found="b", fix="c", code=code)


@pytest.mark.parametrize(
    ("finding", "level"),
    [(FINE, Level.OK), (WARNING, Level.WARN), (failure(ExitCode.UNAVAILABLE), Level.FAIL)],
)
def test_the_level_follows_from_what_it_takes_to_mend_it(finding: Finding, level: Level) -> None:
    assert finding.level is level
    assert finding.to_json() == {"check": "a", "level": level.value, "found": "b", "fix": finding.fix}


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([], 0),
        ([69], 69),
        ([69, 78], 78),
        ([78, 69, 77], 77),
    ],
)
def test_the_worst_failure_decides_the_exit_code(codes: list[int], worst: int) -> None:
    assert exit_code([FINE, *(failure(ExitCode(code)) for code in codes), WARNING]) == worst


@pytest.mark.parametrize(
    ("error", "fix", "code"),
    [
        (NotTrusted("no", "chmod"), "chmod", 77),
        (BadConfiguration("no", "edit it"), "edit it", 78),
        (Usage("no", "upgrade"), "upgrade", 69),
        (BridgeError("no"), "bridge logs", 69),
    ],
)
def test_what_refuses_to_work_is_a_failure_with_its_own_hint(error: BridgeError, fix: str, code: int) -> None:
    assert refusal("part", error) == Finding(check="part", found="no", fix=fix, code=ExitCode(code))
