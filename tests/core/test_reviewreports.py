"""What agents are told of their reviews: above all, what they may write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core import reviewreports
from bridge.core.reviewreports import Where, of_review, whereabouts
from bridge.core.reviews import Change, Comment, Review, Step, Trigger, advance, decide, digest
from bridge.core.summary import LIMIT
from tests.core.promises import HOSTILE, TOLD, checked

NOW = 1_000_000.0
A = Change(path=b"/w/a.py", base_hash=digest(b"a\nb\n"), base="a\nb\n", proposed="a\nB\n")
NEW = Change(path=b"/w/new.py", base_hash=None, base="", proposed="x\n")
REVIEW = Review(id="r1", files=(A, NEW), workspace=b"/w", created=NOW, changed=NOW)
SAID = (Comment(text="shorter"), Comment(text="why?", file=0, line=1), Comment(text="odd", file=7))


def decided(finals: tuple[str | None, ...] | None, comments: tuple[Comment, ...] = ()) -> Review:
    trigger = Trigger.ACCEPTED_ON_PAGE if finals else Trigger.REJECTED_ON_PAGE
    return decide(REVIEW, NOW, finals=finals, trigger=trigger, comments=comments)


# (review, status, what may be written, words in `next`)
REVIEWS = [
    (REVIEW, "pending", "nothing", "Do not write anything; call get_review with review_id r1 and wait_ms 45000"),
    (decided(("a\nB\n", "x\n")), "accepted", "proposal", "Write the proposed text to each file now"),
    (decided(("a\nX\n", "x\n")), "accepted_with_edits", "final_texts", "Do not write your own text: call get_review"),
    (
        decided(("a\nX\n", None)),
        "partially_accepted",
        "final_texts",
        "Leave those alone that were rejected; of the others call get_review",
    ),
    (decided(None), "rejected", "nothing", "The human said no. Do not write anything"),
    (advance(REVIEW, Step.CANCEL, NOW), "cancelled", "nothing", "ended undecided (cancelled)"),
    (advance(REVIEW, Step.SUPERSEDE, NOW), "superseded", "nothing", "do not write anything"),
    (advance(REVIEW, Step.EXPIRE, NOW), "expired", "nothing", "Nobody accepted it"),
]


@pytest.mark.parametrize(("review", "status", "write", "words"), REVIEWS, ids=lambda value: str(value)[:12])
def test_what_may_be_written_is_said_plainly(review: Review, status: str, write: str, words: str) -> None:
    answer = of_review(review)
    data = checked("propose_changes", answer)
    assert (data["status"], data["write"]) == (status, write)
    assert words in data["next"]
    assert words in answer.text
    assert (data["shown"] is None) == (status != "pending")
    assert not any("final_text" in file for file in data["files"])
    assert "a\nB" not in answer.text  # a summary, and no text


def test_texts_are_given_when_they_are_wanted() -> None:
    data = checked("get_review", answer := of_review(decided(("a\nX\n", "x\n")), texts=True))
    assert [file["final_text"] for file in data["files"]] == ["a\nX\n", "x\n"]
    assert "write each final_text exactly" in data["next"]
    assert "Final text of /w/a.py, to the end:\na\nX\n" in answer.text
    assert not any("final_text" in file for file in checked("get_review", of_review(REVIEW, texts=True))["files"])


@pytest.mark.parametrize("finals", [("a\nB\n", "x\n"), ("a\nX\n", "x\n"), ("a\nB\n", None)])
def test_what_changed_since_the_human_saw_it_is_not_written_over(finals: tuple[str | None, ...]) -> None:
    data = checked("get_review", answer := of_review(decided(finals), texts=True, changed=[A]))
    assert data["write"] == "nothing"
    assert "meanwhile /w/a.py changed on disk. Do not write anything" in data["next"]
    assert "final_text" not in str(data)
    assert data["next"] in answer.text


def test_a_tab_that_may_have_been_closed_is_not_told_as_a_no() -> None:
    review = decide(REVIEW, NOW, finals=None, trigger=Trigger.REJECTED_OR_CLOSED)
    data = checked("get_review", of_review(review))
    assert data["next"].startswith("The human said no, or closed the tab (the IDE answers both alike). Do not write")


def test_a_no_stays_a_no_whatever_changed() -> None:
    data = checked("get_review", of_review(decided(None), changed=[A]))
    assert "The human said no" in data["next"]


def test_of_a_partial_acceptance_only_what_was_accepted_is_given() -> None:
    data = checked("get_review", of_review(decided(("a\nB\n", None)), texts=True))
    assert [(file["verdict"], file.get("final_text")) for file in data["files"]] == [
        ("accepted", "a\nB\n"),
        ("rejected", None),
    ]
    assert "of the others write each final_text exactly" in data["next"]


def test_texts_that_are_too_long_for_a_result_are_written_by_the_human(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewreports, "MOST_TEXTS", 5)
    data = checked("get_review", of_review(decided(("a\nX\n", "x\n")), texts=True))
    assert "bridge review apply r1" in data["next"]
    assert not any("final_text" in file for file in data["files"])


def test_files_and_what_the_human_changed_are_told() -> None:
    data = checked("get_review", answer := of_review(decided(("a\nX\n", "x\n"), SAID)))
    assert [(f["path"], f["is_new"], f["added"], f["removed"], f["verdict"]) for f in data["files"]] == [
        ("/w/a.py", False, 1, 1, "edited"),
        ("/w/new.py", True, 1, 0, "accepted"),
    ]
    assert data["diff"] == "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n a\n-B\n+X\n"
    assert data["comments"] == [
        {"text": "shorter", "path": None, "line": None},
        {"text": "why?", "path": "/w/a.py", "line": 2},
        {"text": "odd", "path": None, "line": None},
    ]
    assert answer.text.splitlines()[1:6] == [
        "- /w/a.py (+1 -1, edited by the human)",
        "- /w/new.py (+1 -0, new, accepted)",
        "Comment: shorter",
        "Comment on /w/a.py:2: why?",
        "Comment: odd",
    ]


def test_a_long_diff_is_cut_at_a_line() -> None:
    final = "".join(f"line {n}\n" for n in range(LIMIT))
    data = checked("get_review", answer := of_review(decided((final, "x\n"), (Comment(text="c" * 50_000),))))
    assert len(data["diff"]) <= LIMIT + 100
    assert data["diff"].endswith("more lines of this diff left out\n")
    assert data["diff"] in answer.text
    assert data["comments"][0]["text"].endswith("… (30000 characters more)")


# (where it is, how that is said)
PLACES = [
    (Where("ide", "Vim"), "shown in Vim"),
    (Where("queued", "Vim"), "queued in Vim; the human can open it at once with: bridge review open r1"),
    (
        Where("page", None, "no IDE"),
        "on the review page in the browser (no IDE); the human opens it with: bridge review open r1",
    ),
    (Where(None), "not shown yet; the human opens it with: bridge review open r1"),
]


@pytest.mark.parametrize(("where", "words"), PLACES)
def test_where_the_human_finds_it(where: Where, words: str) -> None:
    assert whereabouts("r1", where) == words
    assert checked("get_review", of_review(REVIEW, where))["shown"] == words


def test_half_characters_are_replaced() -> None:
    """A file's name that is not UTF-8, and a selection that was cut in an emoji, cannot be sent."""
    odd = replace(REVIEW, files=(replace(A, path=b"/w/\xff.py"),))
    answer = of_review(odd)
    assert checked("get_review", answer)["files"][0]["path"] == "/w/\ufffd.py"
    assert r"- /w/\xff.py (" in answer.text


def test_a_name_adds_no_line_to_what_is_said() -> None:
    change = replace(A, path=HOSTILE.encode())
    review = replace(REVIEW, files=(change,))
    said = (Comment(text="so", file=0, line=1),)
    accepted = decide(review, NOW, finals=("x",), trigger=Trigger.ACCEPTED_ON_PAGE, comments=said)
    pending = of_review(review, Where("ide", HOSTILE))
    assert pending.text.count(TOLD) == 2
    assert "\nReview" not in pending.text
    written, not_written = of_review(accepted, texts=True), of_review(accepted, changed=[change])
    assert [answer.text.partition("What the human changed")[0].count(TOLD) for answer in (written, not_written)] == [
        2,
        3,
    ]
    assert f"Final text of {TOLD}, to the end" in written.text
    assert "\nReview r1: accepted.\x1b" not in written.text + not_written.text
