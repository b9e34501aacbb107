from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.ides.files import read_regular


def _link(path: Path) -> None:
    path.with_name("target").write_bytes(b"secret")
    path.symlink_to("target")


NOT_READ: list[tuple[str, Callable[[Path], None], int]] = [
    ("a FIFO that nobody writes to", os.mkfifo, errno.EINVAL),
    ("a directory", Path.mkdir, errno.EINVAL),
    ("a link to an endless device", lambda path: path.symlink_to("/dev/zero"), errno.EINVAL),
    ("nothing", lambda _: None, errno.ENOENT),
]


@pytest.mark.parametrize(("make", "code"), [row[1:] for row in NOT_READ], ids=[row[0] for row in NOT_READ])
def test_only_regular_files_are_read(tmp_path: Path, make: Callable[[Path], None], code: int) -> None:
    make(tmp_path / "file")
    with pytest.raises(OSError, match=rf"^\[Errno {code}\]"):
        read_regular(str(tmp_path / "file"), 100)


def test_a_link_is_followed_unless_told_otherwise(tmp_path: Path) -> None:
    _link(tmp_path / "file")
    assert read_regular(str(tmp_path / "file"), 100)[1] == b"secret"
    with pytest.raises(OSError, match=rf"^\[Errno {errno.ELOOP}\]"):
        read_regular(str(tmp_path / "file"), 100, flags=os.O_NOFOLLOW)


@pytest.mark.parametrize(("limit", "data"), [(3, b"012"), (10, b"0123456789"), (11, b"0123456789")])
def test_no_more_is_read_than_the_limit(tmp_path: Path, limit: int, data: bytes) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    status, read = read_regular(str(tmp_path / "file"), limit)
    assert (status.st_size, read) == (10, data)


def test_a_name_is_looked_up_in_the_directory_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"here")
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        assert read_regular("file", 100, dir_fd=handle)[1] == b"here"
    finally:
        os.close(handle)
