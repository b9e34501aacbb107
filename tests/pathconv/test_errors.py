from __future__ import annotations

import pickle

import pytest

from pathconv import Code, PathConvError
from pathconv.parse import parse_windows


def test_there_are_seventeen_codes_and_each_has_a_sentence() -> None:
    assert len(Code) == 17
    sentences = {PathConvError(code, "x").why for code in Code}
    assert len(sentences) == 17
    assert not any(sentence.endswith(".") for sentence in sentences)


def test_an_error_tells_programs_and_people() -> None:
    with pytest.raises(PathConvError) as caught:
        parse_windows("a\\b")
    assert (caught.value.code, caught.value.path) == ("relative", "a\\b")
    assert str(caught.value) == "not an absolute path of that kind: a\\b"
    assert isinstance(caught.value, ValueError)


def test_what_is_known_better_is_said() -> None:
    error = PathConvError(Code.UNMAPPED, "E:\\x", "E: is not mounted here")
    assert str(error) == "E: is not mounted here: E:\\x"
    assert str(error.about("file:///e:/x")) == "E: is not mounted here: file:///e:/x"
    assert error.about("y").code is Code.UNMAPPED


def test_a_megabyte_is_not_repeated_to_people() -> None:
    error = PathConvError(Code.UNMAPPED, "C:\\" + "a" * 1_000_000)
    assert len(str(error)) < 300
    assert len(error.path) > 1_000_000


def test_errors_survive_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(PathConvError(Code.DEVICE, "x", "y")))
    assert (error.code, error.path, error.why) == (Code.DEVICE, "x", "y")
