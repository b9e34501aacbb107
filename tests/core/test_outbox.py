"""What waits for a slow agent: every answer, in order, and of news the latest."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import jsonrpc
from bridge.core.outbox import MOST_BYTES, MOST_NEWS, MOST_NEWS_BYTES, MOST_URIS, Outbox


def drained(box: Outbox) -> list[bytes]:
    frames = []
    while box:
        frames.append(box.next().frame)
    return frames


def said(frame: bytes) -> tuple[str, Any]:
    message = json.loads(frame)
    return message["method"], message["params"]


@pytest.fixture
def box() -> Outbox:
    return Outbox()


def test_answers_keep_their_order(box: Outbox) -> None:
    assert not box
    for number in range(3):
        box.answer(b"%d" % number)
    assert box
    assert drained(box) == [b"0", b"1", b"2"]
    assert (bool(box), box.size) == (False, 0)


def test_who_sends_an_answer_can_tell_that_it_has_left(box: Outbox) -> None:
    left: list[str] = []
    box.answer(b"a", lambda: left.append("a"))
    box.answer(b"b")
    frame, sent = box.next()
    assert (frame, left) == (b"a", [])
    assert sent is not None
    sent()
    assert (left, box.next().sent) == (["a"], None)


def test_the_newest_selection_takes_the_place_of_those_before_it(box: Outbox) -> None:
    box.tell("selection_changed", b'{"text":"a"}')
    box.answer(b"between")
    box.tell("selection_changed", b'{"text":"b"}')
    assert drained(box) == [b"between", jsonrpc.notification("selection_changed", b'{"text":"b"}')]


def test_a_change_of_tools_is_told_once(box: Outbox) -> None:
    for _ in range(3):
        box.tell("notifications/tools/list_changed", b"{}")
    assert drained(box) == [jsonrpc.notification("notifications/tools/list_changed")]


JOINED: list[tuple[Any, Any, Any]] = [
    (["a", "b"], ["c"], ["a", "b", "c"]),
    (["a", "b"], ["a"], ["b", "a"]),  # the newer last
    (["a", "a"], [], ["a"]),
    ([], ["a"], ["a"]),
]


@pytest.mark.parametrize(("older", "newer", "both"), JOINED)
def test_problems_that_changed_are_one_set_of_files(box: Outbox, older: Any, newer: Any, both: Any) -> None:
    box.tell("diagnostics_changed", jsonrpc.dump({"uris": older, "gone": 1}))
    box.tell("diagnostics_changed", jsonrpc.dump({"uris": newer, "kept": 1}))
    assert [said(frame) for frame in drained(box)] == [("diagnostics_changed", {"uris": both, "kept": 1})]


@pytest.mark.parametrize(
    "strange", [b"5", b"[]", b"{}", b'{"uris":"ab"}', b'{"uris":[{}]}', b'{"uris":[],"x":1e999}', b"not JSON"]
)
def test_of_a_shape_that_is_not_known_the_newer_stands_alone(box: Outbox, strange: bytes) -> None:
    box.tell("diagnostics_changed", b'{"uris":["a"]}')
    box.tell("diagnostics_changed", strange)
    assert drained(box) == [jsonrpc.notification("diagnostics_changed", strange)]
    box.tell("diagnostics_changed", strange)
    box.tell("diagnostics_changed", b'{"uris":["a"]}')
    assert drained(box) == [jsonrpc.notification("diagnostics_changed", b'{"uris":["a"]}')]


def test_files_with_other_problems_are_bounded_and_the_oldest_go(box: Outbox) -> None:
    for number in range(0, 2 * MOST_URIS, 500):
        box.tell("diagnostics_changed", jsonrpc.dump({"uris": [str(number + i) for i in range(500)]}))
    ((_, params),) = map(said, drained(box))
    assert params["uris"] == [str(number) for number in range(MOST_URIS, 2 * MOST_URIS)]


def test_news_that_cannot_be_joined_are_told_one_by_one_up_to_a_number(box: Outbox) -> None:
    box.answer(b"first")
    for number in range(MOST_NEWS + 5):
        box.tell("at_mentioned", b"%d" % number)
    box.answer(b"last")
    first, *news, last = drained(box)
    assert (first, last) == (b"first", b"last")
    assert [said(frame) for frame in news] == [("at_mentioned", number) for number in range(5, MOST_NEWS + 5)]


def test_big_news_push_out_what_came_before_them_but_never_answers(box: Outbox) -> None:
    box.answer(b"an answer")
    box.tell("x", b'"old"')
    big = b'"%b"' % (b"x" * MOST_NEWS_BYTES)
    box.tell("x", big)
    assert drained(box) == [b"an answer", jsonrpc.notification("x", big)]
    box.tell("x", b'"new"')  # what was taken out counts no more
    box.tell("x", b'"newer"')
    assert len(drained(box)) == 2


def test_only_unread_answers_make_it_full(box: Outbox) -> None:
    big = b"x" * (MOST_BYTES // 64)
    for _ in range(1000):
        for method in ("selection_changed", "whatever"):
            box.tell(method, b'"%b"' % big)
    assert not box.full
    while not box.full:
        box.answer(big)
    assert MOST_BYTES < box.size <= MOST_BYTES + len(big)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.integers()),
        st.tuples(st.sampled_from(["selection_changed", "diagnostics_changed", "at_mentioned", "x"]), st.integers()),
        st.just(("next", 0)),
    )
)


@given(STEPS)
def test_whatever_comes_answers_arrive_in_order_and_the_last_word_of_each_kind_too(
    steps: list[tuple[str, int]],
) -> None:
    box, out = Outbox(), []
    answers, last = [], {}
    for word, number in steps:
        if word == "answer":
            box.answer(b"%d" % number)
            answers.append(number)
        elif word == "next":
            if box:
                out.append(box.next().frame)
        else:
            box.tell(word, b"%d" % number)
            last[word] = number
        assert box.size == sum(len(parcel.frame) for parcel in box._parcels.values())  # what it says of its size is so
    told = [json.loads(frame) for frame in [*out, *drained(box)]]
    assert [value for value in told if isinstance(value, int)] == answers
    assert {value["method"]: value["params"] for value in told if isinstance(value, dict)} == last
    assert (box.size, box._news, box._others, box._others_size) == (0, {}, {}, 0)
