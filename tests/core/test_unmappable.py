"""Paths by whose Windows name an IDE would open another file than the one that was meant."""

from __future__ import annotations

import pytest

from bridge.core import jsonrpc
from bridge.core.text import visible
from bridge.core.translate import map_message, to_ide
from bridge.core.unmappable import AMBIGUOUS, Unmappable
from pathconv import Env, Facts, Mount, PathMapper
from tests.core.boundaries import WSL, boundary

DOT, DEVICE = "trailing-dot-or-space", "reserved-name"

MISREAD = [
    ("/mnt/c/p/app.py.", DOT, r"'C:\p\app.py'"),
    ("/mnt/c/p/app.py ", DOT, r"'C:\p\app.py'"),
    ("/mnt/c/p/app.py. . ", DOT, r"'C:\p\app.py'"),
    ("/mnt/c/p./app.py", DOT, r"'C:\p\app.py'"),
    ("C:\\p\\app.py.", DOT, r"'C:\p\app.py'"),
    ("file:///mnt/c/p/app.py%20", DOT, r"'C:\p\app.py'"),
    ("_claude_fs_right:/mnt/c/p/app.py.", DOT, r"'C:\p\app.py'"),
    ("/home/u/app.py.", DOT, r"'\\wsl.localhost\Ubuntu\home\u\app.py'"),
    ("/mnt/c/p/aux.c", DEVICE, "the device AUX"),
    ("/mnt/c/con/a.py", DEVICE, "the device CON"),
    ("/mnt/c/p/nul.", DEVICE, "the device NUL"),
    ("/home/u/a\uf03ab", AMBIGUOUS, "'/home/u/a:b'"),
    ("file:///home/u/a%EF%80%BAb", AMBIGUOUS, "'/home/u/a:b'"),
]


def ask(path: str, mapper: PathMapper = WSL) -> str:
    told: str = jsonrpc.load(to_ide(mapper, "openFile", jsonrpc.dump({"filePath": path})))["filePath"]
    return told


@pytest.mark.parametrize(("path", "reason", "instead"), MISREAD, ids=lambda value: ascii(value))
def test_a_path_that_means_another_file_there_is_an_error_to_the_asker(path: str, reason: str, instead: str) -> None:
    with pytest.raises(Unmappable) as caught:
        ask(path)
    error = caught.value
    assert error.message == f"the IDE would open {instead} instead of this path ({reason}): '{visible(path)}'"
    data = error.to_json()["data"]
    assert (data["code"], data["path"], data["reason"]) == ("bad_data", visible(path), reason)
    assert "rename the file, or decide on the page, or use an IDE in WSL" in (error.hint or "")


def test_a_long_path_in_the_message_is_cut() -> None:
    with pytest.raises(Unmappable) as caught:
        ask("/mnt/c/" + "x" * 5000 + ".")
    assert len(caught.value.message) < 500


TOLD = [
    ("/home/u/a:b", "\\\\wsl.localhost\\Ubuntu\\home\\u\\a\uf03ab"),
    ("/mnt/c/a\uf03ab", "C:\\a\uf03ab"),  # on a drive both spellings are one file
    ("/mnt/c/" + "x" * 300, "C:\\" + "x" * 300),  # merely long
    ("/mnt/c/console.py", "C:\\console.py"),
    ("/mnt/c/...x", "C:\\...x"),
    ("/mnt/c", "C:\\"),
    ("/mnt/c/p/", "C:\\p\\"),
]


@pytest.mark.parametrize(("path", "name"), TOLD, ids=lambda value: ascii(value[:20]))
def test_a_path_that_means_itself_there_is_told(path: str, name: str) -> None:
    assert ask(path) == name


def test_a_second_mount_of_a_directory_makes_no_other_file_of_it() -> None:
    mounts = (Mount("/", None), Mount("/mnt/c", "C:\\"), Mount("/home/u/win", "C:\\Users\\u"))
    mapper = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", mounts))
    assert mapper.to_local(mapper.to_peer("/mnt/c/Users/u/a.py")) == "/home/u/win/a.py"
    assert ask("/mnt/c/Users/u/a.py", mapper) == "C:\\Users\\u\\a.py"


def test_an_ide_in_linux_opens_what_it_is_told() -> None:
    assert ask("\\\\wsl.localhost\\Ubuntu\\home\\u\\aux.c", boundary(local="windows")) == "/home/u/aux.c"


def test_a_message_is_mapped_by_names_alone() -> None:
    message = {"method": "tools/call", "params": {"name": "openFile", "arguments": {"filePath": "/mnt/c/aux.c"}}}
    assert map_message(WSL, "to_ide", message)["params"]["arguments"] == {"filePath": "C:\\aux.c"}
