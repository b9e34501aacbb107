"""The shapes of what may be asked, and how a wrong one is told."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.agents import requests
from bridge.agents.requests import Call, File, Hello, List, Nothing, One, Open, Propose, Status, Stop, Wait, parse
from bridge.core.reviews import Surface
from bridge.errors import Usage


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


PARSED = [
    (Nothing, {}, Nothing()),
    (Hello, {"cwd": "/w"}, Hello(cwd="/w", environ={}, version="", name="")),
    (Hello, {"cwd": "/\udcff", "name": "cut \ud83d"}, Hello(cwd="/\udcff", name="cut \ud83d")),
    (Status, {}, Status(render=False, color=False, columns=100, ide=None)),
    (Open, {"path": "a", "line": None}, Open(path="a")),
    (Open, {"path": "\udcff", "line": 3, "column": 1, "ide": "code"}, Open("\udcff", 3, 1, "code")),
    (Wait, {"id": "r", "timeout": 2}, Wait(id="r", timeout=2.0)),
    (One, {"id": "r", "from a newer client": [1, {}]}, One(id="r")),
    (List, {"all": True}, List(all=True, most=100)),
    (Stop, {"restart": True}, Stop(restart=True)),
    (
        Propose,
        {"files": [{"path": "a", "proposed": "\ud83d", "base": None}], "surface": "page"},
        Propose(files=[File(path="a", proposed="\ud83d")], surface=Surface.PAGE),
    ),
]


@pytest.mark.parametrize(("kind", "params", "expected"), PARSED)
def test_parameters_become_their_shape(kind: type[Any], params: dict[str, Any], expected: Any) -> None:
    assert parse(kind, raw(params)) == expected


def test_no_parameters_are_an_empty_object() -> None:
    assert parse(List, msgspec.Raw()) == List()


@pytest.mark.parametrize("arguments", [{"a": [1, 2.5, None]}, {"text": "cut \ud83d"}, {}])
def test_a_tool_s_arguments_stay_json(arguments: dict[str, Any]) -> None:
    call = parse(Call, raw({"tool": "t", "arguments": arguments}))
    assert (call.tool, json.loads(bytes(call.arguments))) == ("t", arguments)


def test_a_tool_without_arguments_gets_an_empty_object_also_when_a_name_is_odd() -> None:
    for tool in ("t", "\ud83d"):
        assert bytes(parse(Call, raw({"tool": tool})).arguments) == b"{}"


# (shape, parameters, what the message names)
WRONG = [
    (requests.PublishRun, {"transport": "http"}, "http"),  # no agent speaks to an IDE so
    (requests.PublishSet, {"on": True, "transport": "http"}, "http"),
    (One, {}, "id"),
    (One, {"id": 7}, "$.id"),
    (One, [], "object"),
    (One, None, "object"),
    (One, "r", "object"),
    (Open, {"path": "a", "line": "3"}, "$.line"),
    (Open, {"path": "a\ud83d", "line": "3"}, "$.line"),
    (Open, {"path": "a", "line": 1.5}, "$.line"),
    (Hello, {"cwd": "/", "environ": {"A": 1}}, "$.environ"),
    (Propose, {"files": [{"path": "a"}]}, "$.files[0]"),
    (Propose, {"files": [], "surface": "wall"}, "$.surface"),
]


@pytest.mark.parametrize(("kind", "params", "named"), WRONG)
def test_wrong_parameters_are_the_asker_s_fault_and_the_message_says_where(
    kind: type[Any], params: Any, named: str
) -> None:
    with pytest.raises(Usage, match=r"^wrong parameters: ") as caught:
        parse(kind, raw(params))
    assert named in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=10,
)
SHAPES = [kind for kind in map(requests.__dict__.get, requests.__all__) if isinstance(kind, type)]


@settings(deadline=None)
@given(st.sampled_from(SHAPES), JSON)
def test_whatever_is_asked_is_understood_or_refused(kind: type[Any], params: Any) -> None:
    with suppress(Usage):
        assert isinstance(parse(kind, raw(params)), kind)


@pytest.mark.parametrize("params", [b"{", b"nonsense", b'{"id": NaN}', b"\xff"])
def test_what_is_no_json_is_refused(params: bytes) -> None:
    with pytest.raises(Usage):
        parse(One, msgspec.Raw(params))
