import json
from typing import Any

import pytest

from bridge.core import answers, jsonrpc
from bridge.core.answers import Answer, Verdict


def message(*, result: Any = None, error: Any = None) -> jsonrpc.Message:
    body = jsonrpc.error(1, jsonrpc.dump(error)) if error is not None else jsonrpc.result(1, jsonrpc.dump(result))
    return jsonrpc.decode(body)


def content(*texts: Any, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text} for text in texts], **more}


VAGUE = "the IDE reports an error"
ANSWERS: list[tuple[jsonrpc.Message, Answer]] = [
    (message(result=content("a", "b")), Answer(("a", "b"))),
    (message(result=content("a", 5)), Answer(("a",))),
    (message(result={"content": ["a", {"type": "image"}]}), Answer()),
    (message(result={"content": "a"}), Answer()),
    (message(result=None), Answer()),
    (message(result=content("no", "way", isError=True)), Answer(error="no way")),
    (message(result={"isError": True}), Answer(error=VAGUE)),
    (message(result=content("a", isError="yes")), Answer(("a",))),
    (message(error={"code": 1, "message": "no"}), Answer(error="no")),
    (message(error={"code": 1, "message": ""}), Answer(error=VAGUE)),
    (message(error={"message": 5}), Answer(error=VAGUE)),
    (message(error="no"), Answer(error=VAGUE)),
    (jsonrpc.decode(b'{"id":1,"result":{},"error":{"message":"no"}}'), Answer(error="no")),
    (jsonrpc.decode(b'{"id":1,"result":%b}' % (b"1" * 5000)), Answer(error="the IDE's answer is not JSON")),
]


@pytest.mark.parametrize(("said", "answer"), ANSWERS)
def test_an_answer_is_read_in_both_error_styles(said: jsonrpc.Message, answer: Answer) -> None:
    assert answers.read_answer(said) == answer


VERDICTS = [
    (Answer(("FILE_SAVED", "text")), Verdict.SAVED, "text"),
    (Answer(("FILE_SAVED", "")), Verdict.SAVED, ""),
    (Answer(("FILE_SAVED", "text", "more")), Verdict.SAVED, "text"),
    (Answer(("FILE_SAVED",)), Verdict.FAILED, "the IDE did not say which text was accepted"),
    (Answer(("DIFF_REJECTED", "tab")), Verdict.REJECTED, ""),
    (Answer(("DIFF_REJECTED",)), Verdict.REJECTED, ""),
    (Answer(("TAB_CLOSED",)), Verdict.CLOSED, ""),
    (Answer(("file_saved", "text")), Verdict.FAILED, "the IDE's answer to openDiff is not understood"),
    (Answer(()), Verdict.FAILED, "the IDE's answer to openDiff is not understood"),
    (Answer(("FILE_SAVED", "text"), error="no"), Verdict.FAILED, "no"),
]


@pytest.mark.parametrize(("answer", "verdict", "said"), VERDICTS)
def test_no_decision_is_guessed(answer: Answer, verdict: Verdict, said: str) -> None:
    assert answers.read_verdict(answer) == (verdict, said)


OPENED: list[tuple[Answer, str | None, bool]] = [
    (Answer(("Opened file: /w/a.py",)), None, True),
    (Answer(("FILE_OPENED",)), None, True),
    (Answer(('{"success": true}',)), None, True),
    (Answer(), None, True),
    (Answer(('Opened file, but text "x" not found',)), None, False),
    (Answer(("Error opening file: no such file",)), "Error opening file: no such file", False),
    (Answer((" failed to open",)), " failed to open", False),
    (Answer(("Errors.py opened",)), None, True),
    (Answer(('{"success": false, "message": "no"}',)), "no", False),
    (Answer(('{"success": false}',)), "the IDE could not open the file", False),
    (Answer(error="no"), "no", False),
]


@pytest.mark.parametrize(("answer", "failure", "found"), OPENED)
def test_a_success_may_be_a_failure_in_disguise(answer: Answer, failure: str | None, found: bool) -> None:
    assert answers.read_open_file(answer) == (failure, found)


@pytest.mark.parametrize(
    ("text", "dirty"),
    [('{"isDirty": true}', True), ('{"isDirty": false}', False), ('{"isDirty": 1}', None), ("[]", None), ("{", None)],
)
def test_dirty_is_what_the_ide_says_or_unknown(text: str, dirty: bool | None) -> None:
    assert answers.read_dirty(Answer((text,))) is dirty


def test_a_text_that_is_nested_too_deeply_is_no_value() -> None:
    assert Answer(("[" * 100_000,)).value() is None
    assert Answer().value() is None


SHIFTED: list[tuple[Any, Any]] = [
    ({"line": 3, "character": 1}, {"line": 2, "character": 0}),
    ({"line": 0, "character": 0, "x": 1}, {"line": 0, "character": 0, "x": 1}),
    ([{"range": {"start": {"line": 1, "character": 5}}}], [{"range": {"start": {"line": 0, "character": 4}}}]),
    ({"line": 3}, {"line": 3}),
    ({"line": True, "character": 1}, {"line": True, "character": 1}),
    ({"line": "3", "character": 1}, {"line": "3", "character": 1}),
    (5, 5),
]


@pytest.mark.parametrize(("value", "shifted"), SHIFTED)
def test_positions_and_nothing_else_are_shifted(value: Any, shifted: Any) -> None:
    assert answers.zero_based(value) == shifted
    result = content(json.dumps(value), "plain text")
    assert answers.zero_based_result(result) == content(json.dumps(shifted), "plain text")


@pytest.mark.parametrize("odd", [None, [], {}, {"content": 5}, {"content": [5, {"type": "image"}]}], ids=repr)
def test_a_result_of_another_shape_stays_as_it_is(odd: Any) -> None:
    assert answers.zero_based_result(odd) == odd
