"""The methods of the control socket, asked of a real daemon by the real client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from bridge.client import Client
from bridge.errors import BadData, BridgeError, Conflict, StillPending, Unavailable, Usage
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import Ide, everything_ends, kill_daemon

BINARY = b"\x00\xff\x00"


@pytest.fixture
def workspace(home: Path) -> Path:
    path = home / "work"
    path.mkdir()
    (path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    (path / "binary").write_bytes(BINARY)
    (path / "folder").mkdir()
    os.mkfifo(path / "fifo")
    return path


@pytest.fixture(autouse=True)
def started() -> Iterator[list[Any]]:
    things: list[Any] = []
    with everything_ends(things):
        yield things


@pytest.fixture
def bridge(workspace: Path, started: list[Any]) -> Iterator[Client]:
    with Client(name="me", cwd=str(workspace)) as client:
        yield client


def file(path: str, proposed: str = "new\n", base: str | None = None) -> dict[str, Any]:
    return {"path": path, "proposed": proposed, "base": base}


# (method, parameters, error, a word of the message)
REFUSED: list[tuple[str, dict[str, Any], type[BridgeError], str]] = [
    ("hello", {"cwd": "relative"}, Usage, "not an absolute path"),
    ("hello", {"cwd": "/\0"}, Usage, "NUL"),
    ("open", {"path": "gone"}, BadData, "No such file"),
    ("open", {"path": "folder"}, BadData, "not a regular file"),
    ("open", {"path": "fifo", "line": 1}, BadData, "not a regular file"),
    ("open", {"path": "\ud83d"}, Usage, "half a character"),
    ("open", {"path": "a.txt"}, Unavailable, "no IDE"),
    ("call", {"tool": "getDiagnostics"}, Unavailable, "no IDE"),
    ("call", {"tool": "openDiff"}, Usage, "not relayed"),
    ("review/propose", {"files": []}, Usage, "one file at least"),
    ("review/propose", {"files": [file("a.txt"), file("./a.txt")]}, Usage, "twice"),
    ("review/propose", {"files": [file("a.txt"), file("")]}, Usage, "a path is empty"),
    ("review/propose", {"files": [file("a.txt"), file("b.txt")], "surface": "ide"}, Usage, "it has 2 files"),
    ("review/propose", {"files": [file("folder")]}, BadData, "is a directory"),
    ("review/propose", {"files": [file("fifo")]}, BadData, "not a regular file"),
    ("review/propose", {"files": [file("binary")]}, BadData, "binary"),
    ("review/propose", {"files": [file("a.txt", "a\0b")]}, BadData, "binary"),
    ("review/propose", {"files": [file("a.txt", "one\ntwo\n")]}, BadData, "nothing would change"),
    ("review/propose", {"files": [file("gone", "x", base="x")]}, BadData, "nothing would change"),
    ("review/propose", {"files": [file("a.txt")], "surface": "ide"}, Unavailable, "no IDE"),
    *((f"review/{what}", {"id": "r9"}, Unavailable, "r9") for what in ("get", "wait", "open", "link", "delivered")),
]


def test_what_makes_no_sense_is_refused_and_the_daemon_goes_on(bridge: Client) -> None:
    for method, params, kind, word in REFUSED:
        with pytest.raises(kind) as caught:
            bridge.request(method, params)
        assert word in caught.value.message, (method, params)
    assert bridge.request("review/list")["reviews"] == []
    assert bridge.is_dirty("a.txt") is None


def test_an_ide_s_tools_are_called_for_the_asker(bridge: Client, workspace: Path, started: list[Any]) -> None:
    started.append(ide := Ide(workspace))
    assert bridge.open_file("a.txt", 2)["positioned"] is True
    assert bridge.open_file("binary", 2) == {"ide": "Visual Studio Code", "port": ide.port, "positioned": False}
    assert bridge.is_dirty("a.txt") is False
    folders = bridge.call_tool("getWorkspaceFolders", path="a.txt")
    assert str(workspace) in folders["content"][0]["text"]


def test_a_review_is_listed_read_shown_and_delivered(bridge: Client, workspace: Path) -> None:
    review = bridge.propose("a.txt", "one\n2\n", title="Count", surface="page", request_key="k")
    assert bridge.propose("a.txt", "one\n2\n", request_key="k") == review
    with pytest.raises(Conflict, match="request key"):
        bridge.propose("a.txt", "one\n3\n", request_key="k")
    whole = bridge.request("review/get", {"id": review})
    assert (whole["agent"], whole["title"]) == ("me", "Count")
    assert [(shown["base"], shown["proposed"]) for shown in whole["files"]] == [("one\ntwo\n", "one\n2\n")]
    assert bridge.request("review/open", {"id": review, "surface": "page"})["surface"] == "page"
    where = bridge.request("review/link", {"id": review})
    assert where["link"].startswith(where["address"] + "#")
    assert Path(where["door"]).stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict, match="nothing to deliver"):
        bridge.delivered(review)
    other = bridge.propose("new.txt", "x\n", supersedes=review, surface="page")
    assert bridge.wait(review)["outcome"] == "superseded"
    assert [row["id"] for row in bridge.request("review/list")["reviews"]] == [other]
    assert [row["id"] for row in bridge.request("review/list", {"all": True})["reviews"]] == [other, review]


def test_status_is_data_or_text_and_never_a_token(bridge: Client, workspace: Path, started: list[Any]) -> None:
    started.append(ide := Ide(workspace))
    token = ide.lock.read_text(encoding="utf-8").partition('"authToken":')[2].split('"')[1]
    bridge.open_file("a.txt")
    said = [str(bridge.status()), bridge.request("status", {"render": True})["text"]]
    for text in said:
        assert str(ide.port) in text
        assert token not in text
    assert "\x1b" not in said[1]


def test_only_a_newer_client_takes_a_daemon_s_place(bridge: Client) -> None:
    pid = bridge.status()["daemon"]["pid"]
    for version in ("", "0.0.1", __version__, "nonsense"):
        answer = bridge.request("daemon/replace", {"version": version})
        assert answer == {"replacing": False, "reason": "it is not older", "sessions": 0}
    with Client(cwd="/") as other:
        other.status()
        answer = bridge.request("daemon/replace", {"version": "99.0"})
        assert (answer["replacing"], answer["sessions"], "sessions are attached" in answer["reason"]) == (
            False,
            1,
            True,
        )
    assert bridge.status()["daemon"]["pid"] == pid


def test_many_files_are_one_review_that_survives_the_daemon(bridge: Client, workspace: Path) -> None:
    files = [file("a.txt", "one\n2\n"), file("new.txt", "x\n", base="")]
    review = bridge.propose_files(files, title="Both", request_key="k")
    assert bridge.propose_files(files, request_key="k") == review
    for others in (files[:1], files[::-1], [file("a.txt", "one\n3\n"), files[1]]):
        with pytest.raises(Conflict, match="request key"):
            bridge.propose_files(others, request_key="k")
    kill_daemon()
    bridge.status()  # the next one
    shown = bridge.request("review/open", {"id": review, "surface": "ide"})
    assert (shown["surface"], "it has 2 files" in shown["reason"]) == ("page", True)
    decide_on_page(review, texts=[None, "mine\n"])
    told = bridge.wait(review)
    assert (told["outcome"], told["trigger"]) == ("partially_accepted", "accepted_on_page")
    assert [(one["path"], one["final"]) for one in told["files"]] == [
        (str(workspace / "a.txt"), None),
        (str(workspace / "new.txt"), "mine\n"),
    ]
    bridge.delivered(review)
    assert bridge.propose_files(files, request_key="k") == review, "asking again joins what was decided"


def test_taking_back_a_request_that_nobody_waits_for_does_no_harm(bridge: Client) -> None:
    review = bridge.propose("a.txt", "new\n", surface="page")
    with pytest.raises(StillPending):
        bridge.wait(review, 0)
    assert [bridge.request("request/cancel", {"id": id_}) for id_ in (1, "x", 99)] == [{}] * 3
    assert bridge.request("review/list")["reviews"][0]["id"] == review
