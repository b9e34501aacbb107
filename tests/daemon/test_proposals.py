"""Files that agents speak of, on a real disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bridge.agents.requests import MOST_TEXT, File
from bridge.core.reviews import Trigger, decide, digest
from bridge.daemon import proposals
from bridge.daemon.proposals import (
    MOST_FILES,
    change_of,
    changed_since,
    changes_of,
    new_review,
    text_of,
    text_to_search,
)
from bridge.errors import BadData, BridgeError, Usage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\ntwo\n")
    return path


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A directory of what is no text file."""
    (tmp_path / "binary").write_bytes(b"\0\xff")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


def test_a_file_is_read_to_find_a_line_in_it(file: Path) -> None:
    assert text_to_search(str(file), True) == "one\r\ntwo\n"
    assert text_to_search(str(file), False) is None


def test_what_is_no_text_or_too_large_is_opened_without_a_place(
    strange: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text_to_search(str(strange / "binary"), True) is None
    assert text_to_search(str(strange / "latin"), True) is None
    monkeypatch.setattr(proposals, "_MOST_TO_POSITION", 8)
    assert text_to_search(str(file), True) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone", "No such file"),
        ("fifo", "not a regular file"),
        ("folder", "not a regular file"),
        ("a.txt/b", "Not a directory"),
        ("loop", "Too many levels"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_is_not_there_is_not_opened(strange: Path, file: Path, name: str, why: str) -> None:
    with pytest.raises(BadData, match=why):
        text_to_search(str(strange / name), True)


def test_a_change_is_between_what_is_there_and_what_is_proposed(file: Path) -> None:
    change = change_of(str(file), "new\n")
    assert (change.path, change.base, change.proposed) == (os.fsencode(file), "one\r\ntwo\n", "new\n")
    assert change.base_hash == digest(file.read_bytes())


def test_a_change_may_be_compared_with_something_else(file: Path) -> None:
    change = change_of(str(file), "new\n", "old \ud83d\n")
    assert (change.base, change.base_hash) == ("old \ud83d\n", digest(b"old \xed\xa0\xbd\n"))
    assert change_of(str(file), "new\n", "").base_hash is None


def test_a_new_file(tmp_path: Path) -> None:
    change = change_of(str(tmp_path / "new"), "new\n")
    assert (change.base, change.base_hash) == ("", None)
    assert change_of(str(tmp_path / "empty"), "").proposed == ""  # that it is there is a change
    with pytest.raises(BadData, match="no directory"):
        change_of(str(tmp_path / "no" / "new"), "new\n")
    assert change_of(str(tmp_path / "no" / "new"), "new\n", new_directories=True).base_hash is None


def test_a_link_stands_for_its_file(tmp_path: Path, file: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    assert change_of(str(tmp_path / "link"), "new\n").path == os.fsencode(file)


@pytest.mark.parametrize(
    ("name", "proposed", "why"),
    [
        ("folder", "x", "is a directory"),
        ("binary", "x", "binary"),
        ("latin", "x", "UTF-8"),
        ("a.txt", "\0", "the proposed text is binary"),
        ("a.txt", "one\r\ntwo\n", "nothing would change"),
        ("fifo", "x", "not a regular file"),
    ],
)
def test_what_cannot_be_changed(strange: Path, file: Path, name: str, proposed: str, why: str) -> None:
    with pytest.raises(BadData, match=why):
        change_of(str(strange / name), proposed)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST_TEXT * 8)
    for ask in (lambda path: change_of(path, "x"), text_of):
        with pytest.raises(BadData):
            ask(str(tmp_path / "large"))


def test_the_text_of_a_file_and_of_none(file: Path, strange: Path) -> None:
    assert text_of(str(file)) == "one\r\ntwo\n"
    assert text_of(str(strange / "gone")) == ""
    with pytest.raises(BadData, match="binary: "):
        text_of(str(strange / "binary"))


def test_whether_a_file_is_still_what_the_human_saw(file: Path, strange: Path) -> None:
    """What was accepted may be there already, and what was rejected may be anything."""
    new = strange / "new"
    changes = changes_of([File(str(file), "final\n"), File(str(new), "new\n")])
    review = decide(new_review(changes, b"/"), 0, finals=("final\n", "new\n"), trigger=Trigger.ACCEPTED_ON_PAGE)
    assert changed_since(review) == []
    file.write_bytes(b"final\n")
    assert changed_since(review) == []
    file.write_bytes(b"by the human\n")
    assert [change.path for change in changed_since(review)] == [os.fsencode(file)]
    new.mkdir()
    assert len(changed_since(review)) == 2
    file.unlink()
    assert len(changed_since(review)) == 2
    rejected = decide(new_review(changes, b"/"), 0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    assert changed_since(rejected) == []


def test_a_review_gets_a_name_that_can_be_read_out(file: Path) -> None:
    more: dict[str, Any] = {"agent": "ann", "request_key": "k"}
    reviews = [new_review((change_of(str(file), "new\n"),), b"/w", **more) for _ in range(200)]
    assert len({review.id for review in reviews}) == 200
    assert not set("".join(review.id for review in reviews)) & set("il1o0")
    assert (reviews[0].agent, reviews[0].request_key, reviews[0].created) == ("ann", "k", reviews[0].changed)


def proposes(*paths: Path, text: str = "new\n") -> list[File]:
    return [File(path=str(path), proposed=text) for path in paths]


def test_many_files_are_compared_each_with_what_is_there(file: Path, tmp_path: Path) -> None:
    based = File(path=str(tmp_path / "b"), proposed="new\n", base="old\n")
    changes = changes_of([*proposes(file, tmp_path / "a b"), based])
    assert [os.path.basename(change.path) for change in changes] == [b"a.txt", b"a b", b"b"]
    assert [change.base for change in changes] == ["one\r\ntwo\n", "", "old\n"]
    assert [change.base_hash for change in changes] == [digest(b"one\r\ntwo\n"), None, digest(b"old\n")]
    assert changes_of(proposes(file)) == (change_of(str(file), "new\n"),)


def test_files_that_would_not_change_are_left_out_of_many(file: Path, tmp_path: Path) -> None:
    (tmp_path / "same").write_text("new\n", encoding="utf-8")
    (tmp_path / "also").write_text("new\n", encoding="utf-8")
    (change,) = changes_of(proposes(tmp_path / "same", file, tmp_path / "also"))
    assert change.path == os.fsencode(file)
    with pytest.raises(BadData, match="in any of the files"):
        changes_of(proposes(tmp_path / "same", tmp_path / "also"))
    with pytest.raises(BadData, match="nothing would change in "):
        changes_of(proposes(tmp_path / "same"))


# (names, text, error, what is said); each with a.txt first
MANY: list[tuple[list[str], str, type[BridgeError], str]] = [
    (["a.txt"], "new\n", Usage, r"a\.txt is in the proposal twice$"),
    (["link"], "new\n", Usage, r"link is in the proposal twice, as .*a\.txt too"),
    (["other"], "new\n", Usage, r"other is in the proposal twice, as .*a\.txt too"),
    (["new", "folder/../new"], "new\n", Usage, r"folder/\.\./new is in the proposal twice, as .*/new too"),
    (["binary"], "new\n", BadData, "binary: binary file"),
    (["no/such"], "new\n", BadData, "no directory"),
    ([str(n) for n in range(MOST_FILES)], "new\n", Usage, f"{MOST_FILES + 1} files are more than"),
    (["new"], "x" * (MOST_TEXT // 2 + 1), BadData, "more than 8 Mi characters in all"),
]


@pytest.mark.parametrize(("names", "text", "error", "said"), MANY)
def test_many_files_are_refused_with_a_reason(
    strange: Path, file: Path, names: list[str], text: str, error: type[BridgeError], said: str
) -> None:
    (strange / "link").symlink_to(file)
    (strange / "other").hardlink_to(file)
    with pytest.raises(error, match=said):
        changes_of(proposes(file, *(strange / name for name in names), text=text))


def test_a_proposal_is_about_something() -> None:
    with pytest.raises(Usage, match="one file at least"):
        changes_of([])


def test_as_many_files_and_as_much_text_as_may_be_are_taken(tmp_path: Path) -> None:
    most = proposes(*(tmp_path / str(n) for n in range(MOST_FILES)), text="x" * (MOST_TEXT // MOST_FILES))
    assert len(changes_of(most)) == MOST_FILES


def test_what_is_there_counts_as_the_proposed_text_does(tmp_path: Path) -> None:
    large = [File(path=str(tmp_path / name), proposed="", base="x" * (MOST_TEXT // 2 + 1)) for name in ("a", "b")]
    assert len(changes_of(large[:1])) == 1
    with pytest.raises(BadData, match="in all"):
        changes_of(large)
