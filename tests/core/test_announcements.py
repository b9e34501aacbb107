from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import announcements
from bridge.core.announcements import FORMATS, lock_directories
from bridge.core.lockfile import Family, IncompleteLockFile, LockFile, Transport
from bridge.errors import LockFileError

TOKEN = "0d1c5a52-secret-9c1e"
GEMINI_NAME = "gemini-ide-server-4242-31439.json"
LEGACY = "gemini-ide-server-4242.json"
GEMINI: dict[str, Any] = {"port": 31439, "workspacePath": "/home/me/app:/home/me/é", "authToken": TOKEN}
QWEN_NAME = "31439.lock"
QWEN: dict[str, Any] = {**GEMINI, "ppid": 4242, "ideName": "Visual Studio Code"}
NAMES = {Family.GEMINI: GEMINI_NAME, Family.QWEN: QWEN_NAME}
MEMBERS = {Family.GEMINI: GEMINI, Family.QWEN: QWEN}
BOTH = [Family.GEMINI, Family.QWEN]


def written(family: Family, **changes: Any) -> bytes:
    """A file with other values; one that is `...` is left out."""
    members = {key: value for key, value in {**MEMBERS[family], **changes}.items() if value is not ...}
    return json.dumps(members).encode()


def read(family: Family, name: str | None = None, **changes: Any) -> LockFile:
    return FORMATS[family].parse(name or NAMES[family], written(family, **changes))


def refusal(family: Family, data: bytes, name: str | None = None) -> LockFileError:
    with pytest.raises(LockFileError) as caught:
        FORMATS[family].parse(name or NAMES[family], data)
    return caught.value


# ---- where

CLAUDE, QWENS = ("/h/.claude/ide", Family.CLAUDE), ("/h/.qwen/ide", Family.QWEN)


def gemini(temporary: str) -> tuple[str, Family]:
    return f"{temporary}/gemini/ide", Family.GEMINI


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        (None, [CLAUDE, QWENS]),
        ({}, [CLAUDE, QWENS, gemini("/usual")]),
        ({"TEMP": "/c"}, [CLAUDE, QWENS, gemini("/c")]),
        ({"TEMP": "/c", "TMP": "/b"}, [CLAUDE, QWENS, gemini("/b")]),
        ({"TEMP": "/c", "TMP": "/b", "TMPDIR": "/a/"}, [CLAUDE, QWENS, gemini("/a")]),
        ({"TMP": "/b", "TMPDIR": ""}, [CLAUDE, QWENS, gemini("/b")]),
        ({"TMPDIR": "/"}, [CLAUDE, QWENS, gemini("")]),
        ({"CLAUDE_CONFIG_DIR": "/x"}, [("/x/ide", Family.CLAUDE), CLAUDE, QWENS, gemini("/usual")]),
        ({"CLAUDE_CONFIG_DIR": ""}, [CLAUDE, QWENS, gemini("/usual")]),
    ],
)
def test_where_ides_of_each_family_announce_themselves(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str] | None, found: list[tuple[str, Family]]
) -> None:
    monkeypatch.setattr(announcements, "USUAL_TEMPORARY", "/usual")
    assert lock_directories(environ, "/h") == found


# (family, name, whether a file that is called so is looked into)
CALLED = [
    (Family.CLAUDE, "31439.lock", True),
    (Family.CLAUDE, GEMINI_NAME, False),
    (Family.QWEN, "31439.lock", True),
    (Family.QWEN, "65536.lock", False),
    (Family.QWEN, "qwen-code-ide-server-31439.json", False),
    (Family.GEMINI, GEMINI_NAME, True),
    (Family.GEMINI, LEGACY, True),
    (Family.GEMINI, "gemini-ide-server-2147483647-65535.json", True),
    (Family.GEMINI, "gemini-ide-server-2147483648-1.json", False),
    (Family.GEMINI, "gemini-ide-server-1-65536.json", False),
    (Family.GEMINI, "gemini-ide-server-1-0.json", False),
    (Family.GEMINI, "gemini-ide-server-01.json", False),
    (Family.GEMINI, "gemini-ide-server-.json", False),
    (Family.GEMINI, "gemini-ide-server-1-2-3.json", False),
    (Family.GEMINI, "gemini-ide-server-\u0661.json", False),
    (Family.GEMINI, "gemini-ide-server-1.json\n", False),
    (Family.GEMINI, "gemini-ide-server-1.json.tmp", False),
    (Family.GEMINI, "31439.lock", False),
]


@pytest.mark.parametrize(("family", "name", "looked_into"), CALLED)
def test_a_name_tells_whose_file_it_is(family: Family, name: str, looked_into: bool) -> None:
    assert FORMATS[family].is_name(name) is looked_into
    if not looked_into:
        how = "gemini-ide-server-<PID>-<PORT>.json" if family is Family.GEMINI else "<port>.lock"
        assert refusal(family, b"{}", name).reason == f"the name is not {how}"


# ---- what


def test_a_whole_file_of_gemini_s_companion_is_read() -> None:
    assert read(Family.GEMINI) == LockFile(
        port=31439,
        pid=4242,
        workspace_folders=("/home/me/app", "/home/me/é"),
        ide_name="Visual Studio Code (Gemini companion)",
        transport=Transport.HTTP,
        family=Family.GEMINI,
        auth_token=TOKEN,
    )
    assert read(Family.GEMINI, LEGACY) == read(Family.GEMINI)


def test_a_whole_file_of_qwen_s_companion_is_read() -> None:
    assert read(Family.QWEN) == LockFile(
        port=31439,
        pid=4242,
        workspace_folders=("/home/me/app", "/home/me/é"),
        ide_name="Visual Studio Code (Qwen companion)",
        transport=Transport.HTTP,
        family=Family.QWEN,
        auth_token=TOKEN,
    )


FOLDERS = [
    ("", ()),
    (None, ()),
    (..., ()),
    ("/a", ("/a",)),
    ("/a:/b;c", ("/a", "/b;c")),
    ("/a::/b:", ("/a", "/b")),
    ("C:\\a;d:/b", ("C:\\a", "d:/b")),
    ("c:/a", ("c:/a",)),
    ("\\\\wsl.localhost\\U\\a;C:\\b", ("\\\\wsl.localhost\\U\\a", "C:\\b")),
    (":".join(["/x"] * 64), ("/x",) * 64),
]


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize(("joined", "folders"), FOLDERS)
def test_folders_are_taken_apart_as_the_ide_s_system_joined_them(
    family: Family, joined: Any, folders: tuple[str, ...]
) -> None:
    assert read(family, workspacePath=joined).workspace_folders == folders


@pytest.mark.parametrize(
    ("family", "changes", "name"),
    [
        (Family.GEMINI, {"ideInfo": {"name": "zed", "displayName": "Zed"}}, "Zed (Gemini companion)"),
        (Family.GEMINI, {"ideInfo": {"name": "zed"}}, "zed (Gemini companion)"),
        (Family.GEMINI, {"ideInfo": {"name": 7}}, "Visual Studio Code (Gemini companion)"),
        (Family.GEMINI, {"ideInfo": "Zed"}, "Visual Studio Code (Gemini companion)"),
        (Family.QWEN, {"ideName": "Zed"}, "Zed (Qwen companion)"),
        (Family.QWEN, {"ideName": ...}, "Visual Studio Code (Qwen companion)"),
    ],
)
def test_an_ide_is_named_so_that_its_plugins_are_told_apart(family: Family, changes: dict[str, Any], name: str) -> None:
    assert read(family, **changes).ide_name == name


def test_a_companion_may_have_no_token_and_say_more() -> None:
    for family in BOTH:
        assert read(family, authToken="", added=[None]).auth_token is None


WRONG: list[tuple[Family, dict[str, Any], str]] = [
    *((family, {"port": ...}, "port: missing") for family in BOTH),
    *((family, {"port": "31439"}, "port: another one than in its name") for family in BOTH),
    *((family, {"port": 31440}, "port: another one than in its name") for family in BOTH),
    *((family, {"workspacePath": ["/a"]}, "workspacePath: not at most 64 paths in one string") for family in BOTH),
    *((family, {"workspacePath": 1}, "workspacePath: not at most 64 paths in one string") for family in BOTH),
    *((family, {"workspacePath": "/a\0"}, "workspacePath: not at most 64 paths in one string") for family in BOTH),
    *(
        (family, {"workspacePath": ":".join(["/x"] * 65)}, "workspacePath: not at most 64 paths in one string")
        for family in BOTH
    ),
    *((family, {"workspacePath": "x" * 4097}, "a string is longer than 4 KiB") for family in BOTH),
    *((family, {"authToken": "two words"}, "authToken: not printable ASCII without spaces") for family in BOTH),
    *((family, {"authToken": 7}, "authToken: not printable ASCII without spaces") for family in BOTH),
    (
        Family.GEMINI,
        {"port": ..., "stdio": {"command": "x", "args": [TOKEN]}},
        "wants a program started and spoken to over stdio, which the bridge does not do",
    ),
    (Family.QWEN, {"ppid": ...}, "ppid: missing"),
    (Family.QWEN, {"ppid": 0}, "ppid: not a process number"),
    (Family.QWEN, {"ppid": "4242"}, "ppid: not a process number"),
    (Family.QWEN, {"ideName": 7}, "ideName: not a string"),
]


@pytest.mark.parametrize(("family", "changes", "reason"), WRONG)
def test_a_wrong_member_is_refused_by_name(family: Family, changes: dict[str, Any], reason: str) -> None:
    error = refusal(family, written(family, **changes))
    assert error.reason == reason
    assert not isinstance(error, IncompleteLockFile)
    assert TOKEN not in f"{error} {error!r} {error.__dict__}"
    assert (error.__cause__, error.__context__) == (None, None)


@pytest.mark.parametrize("port", [0, 65536, "1", 1.0, True])
def test_a_legacy_file_s_port_is_its_content_s(port: Any) -> None:
    assert read(Family.GEMINI, LEGACY, port=7).port == 7
    assert refusal(Family.GEMINI, written(Family.GEMINI, port=port), LEGACY).reason == "port: not a port"


def test_where_to_listen_is_named_beside_a_program_the_port_is_used() -> None:
    assert read(Family.GEMINI, stdio={"command": "x"}).port == 31439


@pytest.mark.parametrize("family", BOTH)
def test_what_is_cut_off_asks_for_a_second_look(family: Family) -> None:
    assert isinstance(refusal(family, written(family)[:-1]), IncompleteLockFile)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
PLAUSIBLE = st.fixed_dictionaries(
    {}, optional={**{key: JSON | st.just(value) for key, value in QWEN.items()}, "ideInfo": JSON, "stdio": JSON}
).map(lambda members: json.dumps(members).encode())


@settings(deadline=None)
@given(family=st.sampled_from(BOTH), legacy=st.booleans(), data=st.binary() | PLAUSIBLE)
def test_whatever_a_file_holds_it_is_read_or_refused(family: Family, legacy: bool, data: bytes) -> None:
    name = LEGACY if legacy and family is Family.GEMINI else NAMES[family]
    try:
        found = FORMATS[family].parse(name, data)
    except LockFileError:
        return
    assert (found.family, found.transport) == (family, Transport.HTTP)
    assert name == LEGACY or found.port == 31439
