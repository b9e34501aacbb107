"""Reading what agents say to an IDE: tables."""

from __future__ import annotations

import msgspec
import pytest

from bridge.core.calls import CloseTabArguments, InvalidArguments, ToolCall, member, read_arguments, read_call

HALF = '"\\ud83d"'  # of an emoji; `msgspec` refuses it, and selections hold it
DEEP = b"[" * 100_000 + b"]" * 100_000

# (the parameters, name, arguments, meta)
CALLS = [
    (b'{"name":"a"}', "a", b"{}", b""),
    (b'{"name":"a","arguments":{"b": [1, 2]}}', "a", b'{"b": [1, 2]}', b""),  # as they came
    (b'{"name":"a","arguments":null}', "a", b"null", b""),
    (b'{"name":"a","_meta":{"progressToken":1},"more":2}', "a", b"{}", b'{"progressToken":1}'),
    (b'{"name":"a","arguments":{"b":%b}}' % HALF.encode(), "a", b'{"b":%b}' % HALF.encode(), b""),
    (b'{"name":%b}' % HALF.encode(), "\ud83d", b"{}", b""),
    (b'{"name":%b,"arguments":{"c": 1},"_meta":{}}' % HALF.encode(), "\ud83d", b'{"c":1}', b"{}"),
]


@pytest.mark.parametrize(("params", "name", "arguments", "meta"), CALLS)
def test_a_call(params: bytes, name: str, arguments: bytes, meta: bytes) -> None:
    for given in (params, msgspec.Raw(params)):
        call = read_call(given)
        assert isinstance(call, ToolCall)
        assert (call.name, bytes(call.arguments), bytes(call.meta)) == (name, arguments, meta)


@pytest.mark.parametrize(
    "params",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"a"',
        b"{}",
        b'{"name":1}',
        b'{"name":null}',
        b"{",
        b"\xff",
        DEEP,
        b'{"name":"a","x":%b}' % DEEP,
    ],
    ids=lambda params: repr(params[:20]),
)
def test_no_call(params: bytes) -> None:
    with pytest.raises(InvalidArguments, match="no parameters of tools/call"):
        read_call(params)


@pytest.mark.parametrize(
    ("arguments", "tab"), [(b'{"tab_name":"t","more":[1]}', "t"), (b'{"tab_name":%b}' % HALF.encode(), "\ud83d")]
)
def test_arguments(arguments: bytes, tab: str) -> None:
    assert read_arguments("close_tab", CloseTabArguments, arguments).tab_name == tab
    assert read_arguments("close_tab", CloseTabArguments, msgspec.Raw(arguments)).tab_name == tab


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (b"{}", "missing required field `tab_name`"),
        (b"null", "Expected `object`, got `null`"),
        (b'{"tab_name":1}', "Expected `str`, got `int`"),
        (b'{"tab_name":"a"', ""),
        (b'{"x":%b}' % HALF.encode(), "missing required field `tab_name`"),
        (b'{"tab_name":"a","x":%b}' % DEEP, "nested too deeply"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_wrong_arguments(arguments: bytes, complaint: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read_arguments("close_tab", CloseTabArguments, arguments)
    assert str(caught.value).startswith("MCP error -32602: Invalid arguments for tool close_tab: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("params", "names", "found"),
    [
        (b'{"pid":1}', ["pid"], 1),
        (b'{"a":{"b":"c"}}', ["a", "b"], "c"),
        (b'{"a":{"b":"c"}}', ["a"], {"b": "c"}),
        (b'{"a":1}', ["a", "b"], None),
        (b'{"a":1}', ["b"], None),
        (b"[1]", ["a"], None),
        (b"null", ["a"], None),
        (b"", ["a"], None),
        (b"{", ["a"], None),
        (DEEP, ["a"], None),
        (HALF.encode(), [], "\ud83d"),
    ],
)
def test_a_member(params: bytes, names: list[str], found: object) -> None:
    assert member(params, *names) == found
