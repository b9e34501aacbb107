"""Answers of the MCP tools."""

from __future__ import annotations

from bridge.core.toolanswers import Answer, failed
from bridge.errors import BadData


def test_a_failure_says_what_to_do() -> None:
    refused = BadData("it is binary", "send text")
    words = "it is binary\nWhat to do: send text"
    assert failed(refused) == Answer(words, None, True, refused.to_json())
    assert failed(BadData("it is binary")).text == "it is binary"
    assert failed(BadData("no file a\nb")).text == r"no file a\x0ab"
    assert failed(BadData("x")).structured is None
