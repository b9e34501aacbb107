"""Files that agents speak of, on a real disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bridge.agents.requests import MOST_TEXT
from bridge.core.reviews import digest
from bridge.daemon import proposals
from bridge.daemon.proposals import change_of, new_review, text_of, text_to_search
from bridge.errors import BadData


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


def test_a_review_gets_a_name_that_can_be_read_out(file: Path) -> None:
    more: dict[str, Any] = {"agent": "ann", "request_key": "k"}
    reviews = [new_review(change_of(str(file), "new\n"), b"/w", **more) for _ in range(200)]
    assert len({review.id for review in reviews}) == 200
    assert not set("".join(review.id for review in reviews)) & set("il1o0")
    assert (reviews[0].agent, reviews[0].request_key, reviews[0].created) == ("ann", "k", reviews[0].changed)
