from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ide_plugins.emulator.rpc import Refused, Request, error, notification, parse, result, told

REQUESTS: list[tuple[str | bytes, Request]] = [
    ('{"jsonrpc":"2.0","id":1,"method":"ping"}', Request(1, "ping", {})),
    (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":{"x":1}}', Request("a", "ping", {"x": 1})),
    ('{"id":0,"method":"ping","params":[1]}', Request(0, "ping", {})),  # lists are not MCP
]

NOT_REQUESTS: list[str | bytes] = [
    "not JSON",
    b"\xff",
    "[" * 100_000,
    "[]",
    '{"jsonrpc":"2.0","method":"ide_connected","params":{"pid":1}}',
    '{"jsonrpc":"2.0","id":null,"method":"ping"}',
    '{"jsonrpc":"2.0","id":true,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"result":{}}',
    '{"jsonrpc":"2.0","id":1,"method":7}',
]


@pytest.mark.parametrize(("frame", "request_"), REQUESTS)
def test_a_request_is_read(frame: str | bytes, request_: Request) -> None:
    assert parse(frame) == request_


@pytest.mark.parametrize("frame", NOT_REQUESTS)
def test_everything_else_wants_no_answer(frame: str | bytes) -> None:
    assert parse(frame) is None


@pytest.mark.parametrize("frame", [*NOT_REQUESTS, *(frame for frame, _ in REQUESTS), '{"method":7}'])
def test_a_notification_tells_its_method(frame: str | bytes) -> None:
    assert told(frame) == ("ide_connected" if "ide_connected" in str(frame) else None)


@settings(deadline=None)
@given(st.text() | st.binary())
def test_no_frame_makes_it_raise(frame: str | bytes) -> None:
    parse(frame)
    told(frame)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (result("a", {"x": 1}), {"id": "a", "result": {"x": 1}}),
        (error(1, Refused(-32601, "no")), {"id": 1, "error": {"code": -32601, "message": "no"}}),
        (notification("m", {"cut": "\ud83d"}), {"method": "m", "params": {"cut": "\ud83d"}}),
    ],
)
def test_frames_are_ascii(frame: str, message: dict[str, Any]) -> None:
    assert frame.isascii()
    assert json.loads(frame) == {"jsonrpc": "2.0", **message}
