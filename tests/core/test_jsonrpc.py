import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import jsonrpc
from bridge.core.jsonrpc import Message, compact, decode, dump, load

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FRAMES = (
    st.binary()
    | st.text()
    | JSON.map(json.dumps)
    | st.dictionaries(st.sampled_from(["id", "method", "result", "error"]), JSON).map(dump)
)
SURROGATE = rb'"\ud83d"'


def kind(message: Message) -> str:
    kinds = {"request": message.is_request, "notification": message.is_notification, "response": message.is_response}
    (found,) = (name for name, is_one in kinds.items() if is_one)
    return found


READABLE = [
    (b'{"jsonrpc":"2.0","id":1,"method":"m"}', "request"),
    (b'{"id":"one","method":"m","params":{}}', "request"),
    (b'{"method":"m"}', "notification"),
    (b'{"id":null,"method":"m"}', "notification"),
    (b'{"id":1,"result":null}', "response"),
    (b'{"id":1,"error":{}}', "response"),
    (b'{"id":1,"result":2,"error":{}}', "response"),
    (b'{"id":1,"result":2,"error":null}', "response"),
    (b'{"id":1,"result":%b}' % SURROGATE, "response"),
    (b'{"method":"m","params":[%b],"extra":1}' % SURROGATE, "notification"),
    ('{"method":"ä"}', "notification"),
]


@pytest.mark.parametrize(("frame", "is_a"), READABLE, ids=repr)
def test_a_message_is_of_exactly_one_kind(frame: bytes | str, is_a: str) -> None:
    assert kind(decode(frame)) == is_a


@pytest.mark.parametrize("id_", [0, -1, "", "1", "\ud83d", 2**63, 2**64, -(2**63) - 1, 10**100], ids=ascii)
def test_an_id_is_any_integer_or_text(id_: int | str) -> None:
    for frame in (jsonrpc.request(id_, "m"), jsonrpc.request(id_, "m", b"[%b]" % SURROGATE)):
        found = decode(frame).id
        assert (type(found), found) == (type(id_), id_)


REFUSED = [
    b"",
    b"[]",
    b"5",
    b"{}",
    b'{"id":1}',
    b'{"id":1,"error":null}',
    b'{"id":null,"result":1}',
    b'{"id":1.5,"method":"m"}',
    b'{"id":true,"method":"m"}',
    b'{"id":1,"method":5}',
    b"[%b]" % SURROGATE,
    b'{"id":1.5,"method":"m","params":%b}' % SURROGATE,
    b'{"id":1,"result":NaN,"x":%b}' % SURROGATE,
    b'{"id":1,"result":"\xff"}',
    b'{"id":1,"result":"\xed\xa0\xbd"}',
    b'{"id":1,"result":"x"',
    b'{"id":1,"result":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"id":1,"result":' + b"[" * 5000 + SURROGATE + b"]" * 5000 + b"}",
]


@pytest.mark.parametrize("frame", REFUSED, ids=lambda frame: repr(frame[:40]))
def test_what_is_no_message_is_a_value_error(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(frame)


@given(FRAMES)
@settings(deadline=None)
def test_any_bytes_are_a_message_or_a_value_error(frame: bytes | str) -> None:
    try:
        message = decode(frame)
    except ValueError:
        return
    assert kind(message)


def test_an_error_that_is_null_is_none() -> None:
    message = decode(b'{"id":1,"result":2,"error":null}')
    assert (load(message.result), load(message.error)) == (2, None)
    assert not message.error


@given(JSON)
@settings(deadline=None)
def test_a_body_comes_back_as_it_was_sent(value: Any) -> None:
    assert load(decode(jsonrpc.result(1, dump(value))).result) == value
    assert load(decode(jsonrpc.error("x", dump([value]))).error) == [value]
    assert load(decode(jsonrpc.request(2, "m", dump(value))).params) == value
    assert load(decode(jsonrpc.notification("m", dump(value))).params) == value


def test_half_of_a_surrogate_pair_survives_and_leaves_as_ascii() -> None:
    message = decode(b'{"id":1,"result":[%b,"\xc3\xa4"]}' % SURROGATE)
    assert load(message.result) == ["\ud83d", "ä"]
    assert bytes(message.result).isascii()
    assert dump("\ud83d") == SURROGATE
    assert load(b"[1.5,%b]" % SURROGATE) == [1.5, "\ud83d"]


def test_an_absent_member_is_none() -> None:
    assert load(decode(b'{"method":"m"}').params) is None


def _short(value: Any) -> str:
    return repr(value[:9]) if isinstance(value, bytes) else str(value.__name__)


NO_JSON = [b"[", b"NaN", b"-Infinity", b"[" * 5000 + b"]" * 5000]
UNREADABLE = [*NO_JSON, b'"\xff"', b"1" * 5000, b"[-1e999]"]  # `compact` needs not understand these


@pytest.mark.parametrize(
    ("read", "data"),
    [*((load, data) for data in UNREADABLE), *((compact, data) for data in NO_JSON)],
    ids=_short,
)
def test_what_is_no_json_is_a_value_error(read: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"a":\n [1,\r\n\t"x  y\\n"]}', b'{"a":[1,"x  y\\n"]}'),
        (b"[ 1.50, 10000000000000000000000 ]", b"[1.50,10000000000000000000000]"),
        (b'[\n"\\ud83d"]', b'["\\ud83d"]'),
    ],
)
def test_a_body_is_written_on_one_line(data: bytes, line: bytes) -> None:
    assert compact(data) == line
    assert compact(msgspec.Raw(data)) == line


def test_frames_are_what_json_rpc_says() -> None:
    frames = {
        jsonrpc.request(1, "m"): {"jsonrpc": "2.0", "id": 1, "method": "m", "params": {}},
        jsonrpc.notification("ä"): {"jsonrpc": "2.0", "method": "ä", "params": {}},
        jsonrpc.result("x"): {"jsonrpc": "2.0", "id": "x", "result": {}},
        jsonrpc.error(1, b'{"code":1}'): {"jsonrpc": "2.0", "id": 1, "error": {"code": 1}},
    }
    assert [json.loads(frame) for frame in frames] == list(frames.values())
