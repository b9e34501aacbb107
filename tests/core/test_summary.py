import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.lines import split_lf
from bridge.core.reviews import Change, Outcome, Review, Step, Trigger, advance, decide
from bridge.core.summary import LIMIT, FileSummary, Verdict, changes_made, name_within, some_names, summary
from tests.playbook import review

NEW = Change(path=b"/w/src/new.py", base_hash=None, base="", proposed="one\ntwo\n")
OLD = Change(path=b"/etc/old.conf", base_hash="0", base="a\nb\nc\n", proposed="a\nB\nc\n")


def of(*files: Change) -> Review:
    return replace(review(), files=files, workspace=b"/w")


def decided(before: Review, *finals: str | None) -> Review:
    return decide(before, 2000.0, finals=finals or None, trigger=Trigger.ACCEPTED_ON_PAGE)


def told(name: str, verdict: Verdict | None, added: int, removed: int) -> FileSummary:
    return FileSummary(name=name, new=name == "src/new.py", verdict=verdict, added=added, removed=removed)


def test_each_file_is_told_of_in_brief() -> None:
    both = of(NEW, OLD)
    assert summary(both) == (told("src/new.py", None, 2, 0), told("/etc/old.conf", None, 1, 1))
    assert summary(decided(both, "one\ntwo\n", "a\nc\n")) == (
        told("src/new.py", Verdict.ACCEPTED, 2, 0),
        told("/etc/old.conf", Verdict.EDITED, 0, 1),
    )
    assert summary(decided(both)) == (
        told("src/new.py", Verdict.REJECTED, 2, 0),
        told("/etc/old.conf", Verdict.REJECTED, 1, 1),
    )
    assert [file.verdict for file in summary(advance(both, Step.CANCEL, 2000.0))] == [None, None]


def test_a_file_that_was_rejected_beside_others_says_so() -> None:
    kept = decided(of(NEW, OLD), NEW.proposed, None)
    assert kept.outcome is Outcome.PARTIALLY_ACCEPTED
    assert [file.verdict for file in summary(kept)] == [Verdict.ACCEPTED, Verdict.REJECTED]
    assert changes_made(kept) == ""


def test_what_the_human_changed_is_a_diff_from_the_proposal() -> None:
    edited = decided(of(NEW, OLD, replace(OLD, path=b"/w/same")), "one\n2\n", "a\nB\nC", "a\nB\nc\n")
    assert changes_made(edited) == (
        "--- a/src/new.py\n+++ b/src/new.py\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
        "--- a/etc/old.conf\n+++ b/etc/old.conf\n@@ -1,3 +1,3 @@\n a\n B\n-c\n+C\n\\ No newline at end of file\n"
    )


def test_nothing_is_said_to_have_changed_where_no_human_changed_anything() -> None:
    both = of(NEW, OLD)
    assert changes_made(both) == ""
    assert changes_made(decided(both)) == ""
    assert changes_made(decided(both, NEW.proposed, OLD.proposed)) == ""


NO_NEWLINE = "\\ No newline at end of file\n"
FEW = st.text(st.sampled_from("ab\n\r"), max_size=30)

# (name, before, after, what the diff holds)
TEXTS = [
    ("x",      "a\r\nb\r\n", "a\r\nc\r\n",    "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n"),
    ("x",      "a\ud800\n",  "a\n",           "--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-a\ud800\n+a\n"),
    ("a b",    "a\n",        "a",             "--- a/a b\t\n+++ b/a b\t\n@@ -1,1 +1,1 @@\n-a\n+a\n" + NO_NEWLINE),
    ("/abs",   "a\n",        "",              "--- a/abs\n+++ b/abs\n@@ -1,1 +0,0 @@\n-a\n"),
    ("x",      "a\n",        "a\n",           ""),
]  # fmt: skip


def change_made(name: str, before: str, after: str, limit: int = LIMIT) -> str:
    """What is told of one file that was proposed as `before` and accepted as `after`."""
    change = Change(path=os.path.join(b"/w", os.fsencode(name)), base_hash="0", base="", proposed=before)
    return changes_made(decided(of(change), after), limit)


@pytest.mark.parametrize(("name", "before", "after", "expected"), TEXTS)
def test_texts_are_shown_as_they_are(name: str, before: str, after: str, expected: str) -> None:
    assert change_made(name, before, after) == expected


def test_a_long_diff_is_cut_at_a_line_and_says_so() -> None:
    whole = change_made("x", "", "one\ntwo\n")
    assert change_made("x", "", "one\ntwo\n", limit=len(whole)) == whole
    assert change_made("x", "", "one\ntwo\n", limit=len(whole) - 1) == whole.removesuffix("+two\n") + (
        "\\ 1 more line of this diff left out\n"
    )
    assert change_made("x", "", "one\ntwo\n", limit=0) == "\\ 5 more lines of this diff left out\n"


@given(
    st.text(st.sampled_from("ab\n\r"), max_size=30), st.text(st.sampled_from("ab\n\r"), max_size=30), st.integers(0, 99)
)
def test_what_is_cut_and_what_is_left_are_the_whole(before: str, after: str, limit: int) -> None:
    whole = change_made("x", before, after, limit=1000)
    *kept, last = split_lf(change_made("x", before, after, limit=limit)) or [""]
    if last.endswith("of this diff left out\n"):
        assert len("".join(kept)) <= limit < len(whole)
        assert split_lf(whole)[: len(kept)] == kept
        assert int(last.split()[1]) == len(split_lf(whole)) - len(kept)
    else:
        assert "".join([*kept, last]) == whole
        assert len(whole) <= limit


@pytest.mark.parametrize(
    ("workspace", "path", "name"),
    [
        (b"/w", b"/w/a", "a"),
        (b"/w/", b"/w/a", "a"),
        (b"/w", b"/wide/a", "/wide/a"),
        (b"/", b"/a", "a"),
        (b"/w", b"/w/\xff", "\udcff"),
    ],
)
def test_a_file_is_named_as_the_workspace_sees_it(workspace: bytes, path: bytes, name: str) -> None:
    assert name_within(workspace, path) == name


@pytest.mark.parametrize(
    ("names", "said"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d"], "a, b and 2 more")],
)
def test_many_names_are_said_in_few_words(names: list[str], said: str) -> None:
    assert some_names(names) == said
