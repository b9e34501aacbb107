from __future__ import annotations

import pytest

from ide_plugins.emulator.diffs import Diff, DiffTabs
from ide_plugins.emulator.human import Human

SAVED, REJECTED, UNDECIDED = ("FILE_SAVED", "new\n"), ("DIFF_REJECTED", "t"), ()


def react(human: Human, *, normalises: bool = False) -> tuple[str, ...]:
    """What `human` makes of the next diff."""
    tabs = DiffTabs(decided=lambda _: None, close_says="tab_closed", normalises=normalises)
    arguments = {"old_file_path": "/a", "new_file_path": "/a", "tab_name": "t", "new_file_contents": "new\n"}
    diff = Diff.of_call(None, 1, arguments)
    tabs.open(diff)
    human.react(tabs, diff)
    return diff.answer


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        ("never", [UNDECIDED, UNDECIDED]),
        ("accept", [SAVED, SAVED]),
        ("reject", [REJECTED]),
        ("close", [("TAB_CLOSED",)]),
        ("edit:# é: mine", [("FILE_SAVED", "new\n# é: mine")]),
        ("edit:", [SAVED]),
        ("close,accept", [("TAB_CLOSED",), SAVED, SAVED]),
        ("never,reject,accept", [UNDECIDED, REJECTED, SAVED]),
    ],
)
def test_a_script_decides_one_diff_a_word(script: str, answers: list[tuple[str, ...]]) -> None:
    human = Human(script)
    assert [react(human) for _ in answers] == answers


@pytest.mark.parametrize("script", ["", "yes", "accept,", "edit", "accept:x", "accept, reject"])
def test_an_unknown_word_is_the_callers_fault(script: str) -> None:
    with pytest.raises(ValueError, match="not a word"):
        Human(script)
