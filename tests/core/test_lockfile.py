import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.core import strictjson
from bridge.core.lockfile import MAX_BYTES, IncompleteLockFile, LockFile, Transport
from bridge.errors import LockFileError

TOKEN = "0d1c5a52-secret-9c1e"
MEMBERS: dict[str, Any] = {
    "pid": 4242,
    "workspaceFolders": ["/home/me/app", "C:\\src\\é"],
    "ideName": "Visual Studio Code",
    "transport": "ws",
    "authToken": TOKEN,
    "runningInWindows": False,
}
NESTED_TOO_DEEP = json.loads("[" * 16 + "]" * 16)


def lock(**changes: Any) -> bytes:
    """A lock file with other values; one that is `...` is left out."""
    members = {key: value for key, value in {**MEMBERS, **changes}.items() if value is not ...}
    return json.dumps(members).encode()


def refusal(data: bytes, name: str = "31439.lock") -> LockFileError:
    with pytest.raises(LockFileError) as caught:
        LockFile.parse(name, data)
    return caught.value


def test_a_whole_lock_file_is_read() -> None:
    assert LockFile.parse("31439.lock", lock()) == LockFile(
        port=31439,
        pid=4242,
        workspace_folders=("/home/me/app", "C:\\src\\é"),
        ide_name="Visual Studio Code",
        transport=Transport.WEBSOCKET,
        auth_token=TOKEN,
        running_in_windows=False,
    )


def test_the_least_that_a_plugin_may_write_is_enough() -> None:
    assert LockFile.parse("1.lock", b'{"pid":1,"workspaceFolders":[]}') == LockFile(
        port=1, pid=1, workspace_folders=(), ide_name="IDE", transport=Transport.WEBSOCKET, auth_token=None
    )


# (what the file says,          the field,            what we take it for)
ACCEPTED: list[tuple[dict[str, Any], str, Any]] = [
    ({"transport": "sse"},      "transport",          Transport.SSE),
    ({"transport": None},       "transport",          Transport.WEBSOCKET),
    ({"authToken": ""},         "auth_token",         None),
    ({"authToken": None},       "auth_token",         None),
    ({"authToken": "!~"},       "auth_token",         "!~"),
    ({"ideName": ""},           "ide_name",           "IDE"),
    ({"ideName": "Emacs (é)"},  "ide_name",           "Emacs (é)"),
    ({"runningInWindows": True}, "running_in_windows", True),
    ({"pid": 2**31 - 1},        "pid",                2**31 - 1),
    ({"workspaceFolders": ["/a\nb"]}, "workspace_folders", ("/a\nb",)),
    ({"workspaceFolders": ["/" + "x" * 4095]}, "workspace_folders", ("/" + "x" * 4095,)),
    ({"workspaceFolders": ["/x"] * 64}, "workspace_folders", ("/x",) * 64),
    ({"version": 1.5, "added": {"later": [None]}}, "pid", 4242),
    ({"added": json.loads("[" * 15 + "]" * 15)}, "pid", 4242),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "value"), ACCEPTED)
def test_a_member_is_read(changes: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(LockFile.parse("31439.lock", lock(**changes)), field) == value


WRONG_MEMBER: list[tuple[dict[str, Any], str]] = [
    ({"pid": ...}, "pid: missing"),
    ({"pid": ""}, "pid: missing"),
    ({"pid": None}, "pid: missing"),
    ({"pid": True}, "pid: not a process number"),
    ({"pid": "4242"}, "pid: not a process number"),
    ({"pid": 4242.0}, "pid: not a process number"),
    ({"pid": 0}, "pid: not a process number"),  # would mean the caller's own process group
    ({"pid": -1}, "pid: not a process number"),
    ({"pid": 2**31}, "pid: not a process number"),  # no C `int`: `os.kill` would overflow
    ({"workspaceFolders": ...}, "workspaceFolders: missing"),
    ({"workspaceFolders": "/app"}, "workspaceFolders: not a list of at most 64 paths"),
    ({"workspaceFolders": {"/app": 1}}, "workspaceFolders: not a list of at most 64 paths"),
    ({"workspaceFolders": [1]}, "workspaceFolders: not a list of at most 64 paths"),
    ({"workspaceFolders": ["/app", ""]}, "workspaceFolders: not a list of at most 64 paths"),
    ({"workspaceFolders": ["/a\0b"]}, "workspaceFolders: not a list of at most 64 paths"),
    ({"workspaceFolders": ["/x"] * 65}, "workspaceFolders: not a list of at most 64 paths"),
    ({"ideName": 7}, "ideName: not a string"),
    ({"transport": "pipe"}, "transport: unknown transport"),
    ({"transport": "http"}, "transport: unknown transport"),  # companions speak it, and no agent of this family
    ({"transport": 1}, "transport: unknown transport"),
    ({"authToken": 7}, "authToken: not printable ASCII without spaces"),
    ({"authToken": "two words"}, "authToken: not printable ASCII without spaces"),
    ({"authToken": "line\r\nbreak"}, "authToken: not printable ASCII without spaces"),
    ({"authToken": "final\n"}, "authToken: not printable ASCII without spaces"),
    ({"authToken": "tökén"}, "authToken: not printable ASCII without spaces"),
    ({"runningInWindows": 1}, "runningInWindows: neither true nor false"),
    ({"runningInWindows": "false"}, "runningInWindows: neither true nor false"),
    ({"added": "x" * 4097}, "a string is longer than 4 KiB"),
    ({"added": "é" * 2049}, "a string is longer than 4 KiB"),
    ({"added": {"x" * 4097: 1}}, "a string is longer than 4 KiB"),
    ({"added": NESTED_TOO_DEEP}, "nested more than 16 levels deep"),
    ({"added": 10**19}, "a number is too large"),
    ({"added": "\ud83d"}, "a string holds half a surrogate pair"),
    ({"added": "x" * MAX_BYTES}, "larger than 64 KiB"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG_MEMBER)
def test_a_wrong_member_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    error = refusal(lock(**changes))
    assert error.reason == reason
    assert not isinstance(error, IncompleteLockFile)


WRONG_FILE = [
    (b"[]", "not a JSON object"),
    (b'"text"', "not a JSON object"),
    (b'{"pid":1,"pid":1,"workspaceFolders":[]}', "an object has the same key twice"),
    (b'{"pid":1,"workspaceFolders":[],"x":[{"a":1,"\\u0061":2}]}', "an object has the same key twice"),
    (b'{"pid":NaN}', "NaN and Infinity are not JSON"),
    (b'{"pid":-Infinity}', "NaN and Infinity are not JSON"),
    (b'{"x":1e999}', "a number is too large"),
    (b'{"x":' + b"9" * 5000 + b"}", "a number is too large"),
    (b'{"x":"\xff"}', "not UTF-8"),
    (json.dumps(MEMBERS).encode("utf-16"), "not UTF-8"),
    (b"[" * MAX_BYTES, "nested more than 16 levels deep"),
]


@pytest.mark.parametrize(("data", "reason"), WRONG_FILE)
def test_a_file_that_breaks_a_rule_is_refused(data: bytes, reason: str) -> None:
    error = refusal(data)
    assert error.reason == reason
    assert not isinstance(error, IncompleteLockFile)


@pytest.mark.parametrize("data", [b"", b" \n", b"\0\0", b'{"pid":1}}', b"\xef\xbb\xbf{}", b'{"a":"\n"}'])
def test_what_is_not_json_may_be_half_written(data: bytes) -> None:
    assert isinstance(refusal(data), IncompleteLockFile)


WRITTEN_IN_PLACE = json.dumps(MEMBERS, ensure_ascii=False).encode()  # the é is cut in half once


@pytest.mark.parametrize("length", range(len(WRITTEN_IN_PLACE)))
def test_every_beginning_of_a_lock_file_asks_for_a_second_look(length: int) -> None:
    assert isinstance(refusal(WRITTEN_IN_PLACE[:length]), IncompleteLockFile)


@pytest.mark.parametrize(
    "name",
    [
        "0.lock",
        "65536.lock",
        "080.lock",
        "-1.lock",
        "1.lock\n",
        "\u0661.lock",
        "1.lock.tmp",
        "1.LOCK",
        ".lock",
        "",
    ],
)
def test_a_name_that_is_no_port_is_refused(name: str) -> None:
    error = refusal(lock(), name)
    assert (error.name, error.reason) == (name, "the name is not <port>.lock")


SECRETIVE = [
    *(lock(**changes) for changes, _ in WRONG_MEMBER if "authToken" not in changes),
    lock(authToken=f"{TOKEN} "),
    lock(authToken=[TOKEN]),
    lock()[:-1],
    lock() + b"}",
    lock() + b"\xff",
    lock() + b"\xc3",
]


@pytest.mark.parametrize("data", SECRETIVE)
def test_no_refusal_quotes_the_file_or_leads_to_it(data: bytes) -> None:
    error = refusal(data)
    assert TOKEN not in f"{error} {error!r} {error.__dict__}"
    assert error.__cause__ is None
    assert error.__context__ is None


def test_neither_a_lock_file_nor_its_own_validation_shows_the_token() -> None:
    read = LockFile.parse("31439.lock", lock())
    assert TOKEN not in f"{read} {read!r} {read.ide_id}"
    with pytest.raises(ValidationError) as caught:
        LockFile(port=1, pid=1, workspace_folders=(), auth_token=f"{TOKEN} ")
    assert TOKEN not in f"{caught.value} {caught.value!r}"


def test_a_lock_file_does_not_change() -> None:
    with pytest.raises(ValidationError):
        LockFile.parse("31439.lock", lock()).pid = 1  # type: ignore[misc]


def test_an_ide_is_the_same_as_long_as_port_and_token_are() -> None:
    first = LockFile.parse("31439.lock", lock())
    assert first.ide_id == "31439-1c3b8da5b0d9"
    assert LockFile.parse("31439.lock", lock(pid=1, workspaceFolders=[])).ide_id == first.ide_id
    assert LockFile.parse("31439.lock", lock(authToken="another")).ide_id != first.ide_id
    assert LockFile.parse("31440.lock", lock()).ide_id != first.ide_id
    assert LockFile.parse("31439.lock", lock(authToken=None)).ide_id == "31439-e3b0c44298fc"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
PLAUSIBLE = st.fixed_dictionaries(
    {},
    optional={key: JSON | st.just(value) for key, value in MEMBERS.items()},
).map(lambda members: json.dumps(members).encode())
DAMAGED = st.tuples(st.integers(0, len(lock()) - 1), st.binary(max_size=3)).map(
    lambda cut: lock()[: cut[0]] + cut[1] + lock()[cut[0] + 1 :]
)


@settings(deadline=None)
@given(name=st.text() | st.just("31439.lock"), data=st.binary() | PLAUSIBLE | DAMAGED)
def test_whatever_a_file_holds_it_is_read_or_refused(name: str, data: bytes) -> None:
    try:
        read = LockFile.parse(name, data)
    except LockFileError:
        return
    assert name == f"{read.port}.lock"
    assert read.auth_token is None or (read.auth_token.isascii() and read.auth_token.isprintable())


def _nested(value: Any) -> st.SearchStrategy[Any]:
    return st.integers(0, 20).map(lambda levels: json.loads("[" * levels + json.dumps(value) + "]" * levels))


NEAR_THE_LIMITS = st.one_of(
    JSON,
    JSON.flatmap(_nested),
    st.text(st.characters()).map(lambda text: {"added": text}),  # with lone surrogates
    st.integers(4000, 4200).map(lambda length: {"x" * length: "é" * (length // 2)}),
)


@settings(deadline=None)
@given(value=NEAR_THE_LIMITS, ascii_only=st.booleans(), indent=st.none() | st.just(1))
def test_what_need_not_be_checked_is_within_the_limits(value: Any, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    try:
        read = json.loads(data.decode())
    except UnicodeDecodeError:
        return  # is refused before anything is checked
    if not strictjson._may_exceed(data):
        strictjson._check(read)
