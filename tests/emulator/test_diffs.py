from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ide_plugins.emulator.diffs import Diff, DiffTabs


def diff(tab_name: str = "t", contents: str = "new\n") -> Diff:
    arguments = {"old_file_path": "/a", "new_file_path": "/b", "tab_name": tab_name}
    return Diff.of_call(None, 1, {**arguments, "new_file_contents": contents})


def opened(*diffs: Diff, **options: Any) -> tuple[DiffTabs, list[Diff]]:
    """Tabs with `diffs` opened one after the other, and the list that decided ones are put in."""
    decided: list[Diff] = []
    tabs = DiffTabs(decided=decided.append, **options)
    for each in diffs:
        tabs.open(each)
    return tabs, decided


Act = Callable[[DiffTabs, Diff], object]

# what happens                                    answer                        does the tab stay?
ENDS: list[tuple[str, Act, dict[str, Any], tuple[str, ...], bool]] = [
    ("accept", lambda t, d: t.accept(d), {}, ("FILE_SAVED", "new\n"), True),
    ("accept edited", lambda t, d: t.accept(d, "mine"), {}, ("FILE_SAVED", "mine"), True),
    ("accept emptied", lambda t, d: t.accept(d, ""), {}, ("FILE_SAVED", ""), True),
    ("reject", lambda t, d: t.reject(d), {}, ("DIFF_REJECTED", "t"), True),
    ("close", lambda t, d: t.close(d), {}, ("DIFF_REJECTED", "t"), False),
    ("close, own word", lambda t, d: t.close(d), {"close_says": "tab_closed"}, ("TAB_CLOSED",), False),
    ("close_tab", lambda t, d: t.close_named("t"), {"close_says": "tab_closed"}, ("DIFF_REJECTED", "t"), False),
    ("close_tab of another", lambda t, d: t.close_named("u"), {}, (), True),
    ("closeAllDiffTabs", lambda t, d: t.close_all(), {}, ("DIFF_REJECTED", "t"), False),
    ("another opens", lambda t, d: t.open(diff("u")), {}, ("DIFF_REJECTED", "t"), False),
    ("another beside it", lambda t, d: t.open(diff("u")), {"several": True}, (), True),
    ("its namesake", lambda t, d: t.open(diff("t")), {"several": True}, ("DIFF_REJECTED", "t"), False),
]


@pytest.mark.parametrize(("act", "options", "answer", "stays"), [e[1:] for e in ENDS], ids=[e[0] for e in ENDS])
def test_each_end_has_its_answer(act: Act, options: dict[str, Any], answer: tuple[str, ...], stays: bool) -> None:
    shown = diff()
    tabs, decided = opened(shown, **options)
    act(tabs, shown)
    assert shown.answer == answer
    assert (shown in tabs.tabs) == stays
    assert (shown in tabs.pending) == (not answer)
    assert decided == ([shown] if answer else [])


def test_the_first_decision_wins() -> None:
    shown = diff()
    tabs, decided = opened(shown)
    tabs.accept(shown)
    tabs.reject(shown)
    tabs.close_named("t")
    assert shown.answer == ("FILE_SAVED", "new\n")
    assert (decided, tabs.tabs) == ([shown], [])


def test_only_the_official_agents_tabs_are_counted_but_all_are_closed() -> None:
    tabs, _ = opened(diff("[d2] app.py"), diff("✻ [Claude Code] app.py (1f2e3d) ⧉"), several=True)
    assert (tabs.close_all(), tabs.tabs) == (1, [])


def test_the_oldest_undecided_comes_first() -> None:
    first, second, third = diff("1"), diff("2"), diff("3")
    tabs, _ = opened(first, second, third, several=True)
    tabs.reject(first)
    assert tabs.pending == [second, third]
    assert tabs.oldest() is second


def test_a_namesake_may_leave_no_answer() -> None:
    first, second, other = diff("t"), diff("t"), diff("u")
    tabs, decided = opened(first, second, other, several=True, drops_namesakes=True)
    assert (tabs.tabs, decided) == ([second, other], [])


def test_the_tabs_of_one_client_can_be_closed_alone() -> None:
    anns, bobs = diff("ann"), diff("bob")
    anns.client, bobs.client = "ann", "bob"
    tabs, decided = opened(anns, bobs, several=True)
    assert not tabs.of("ann").close_named("bob")
    tabs.of("ann").close_all()
    assert (tabs.tabs, decided) == ([bobs], [anns])
    assert tabs.close_named("bob")


def test_what_is_abandoned_undecided_is_rejected() -> None:
    saved, undecided, bobs = diff("1"), diff("2"), diff("3")
    saved.client = undecided.client = "ann"
    tabs, decided = opened(saved, undecided, bobs, several=True)
    tabs.accept(saved)
    tabs.of("ann").abandon()
    assert (tabs.tabs, decided) == ([saved, bobs], [saved, undecided])
    assert undecided.answer == ("DIFF_REJECTED", "2")


def test_without_a_diff_there_is_nothing_to_decide() -> None:
    with pytest.raises(LookupError, match="no diff waits"):
        opened()[0].oldest()


@pytest.mark.parametrize(
    ("contents", "shown"),
    [
        ("a\nb\n", "a\nb\n"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("\ufeffa", "a\n"),
        ("a\ufeff\n", "a\ufeff\n"),  # not at the start, so not a byte order mark
        ("", "\n"),
    ],
)
def test_an_editor_may_normalise_what_it_shows(contents: str, shown: str) -> None:
    assert opened()[0].shown(diff(contents=contents)) == contents
    assert opened(normalises=True)[0].shown(diff(contents=contents)) == shown
