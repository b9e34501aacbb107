"""Writing what was accepted: whole or not at all, and only over what the human saw."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.reviews import digest
from bridge.errors import BadData, Conflict, WriteFailed
from bridge.store.files import Accepted, read_file, write_all, write_whole

PATIENCE_S = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


def write(path: Path, text: str, base: bytes | None) -> None:
    write_all([Accepted(os.fsencode(path), text, None if base is None else digest(base))])


def contents(folder: Path) -> dict[str, bytes]:
    """Every regular file of the folder, so that no temporary one is left unseen."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.is_symlink()}


TEXTS = {
    "plain": "new\n",
    "empty": "",
    "CRLF, BOM and no final newline": "\ufeffa\r\nb",
    "characters of every width": "ä€😀\u202e\n",
    "large": "x" * 2**21,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_text_replaces_the_file_byte_by_byte(folder: Path, text: str) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    write(file, text, b"old")
    assert contents(folder) == {"f": text.encode()}


NAMES = [b"with space", b"new\nline", b"\x1b[31m", b"\xff\xfe", "\u202etxt.exe".encode(), b"-rf"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_read_and_written(folder: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(folder), name)
    assert read_file(path) is None
    write_all([Accepted(path, "text", None)])
    assert read_file(path) == b"text"
    assert os.listdir(os.fsencode(folder)) == [name]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o444, 0o4711])
def test_the_mode_is_kept(folder: Path, mode: int) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    file.chmod(mode)
    write(file, "new", b"old")
    assert file.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_any_program_would_give_it(folder: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write(folder / "f", "new", None)
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert (folder / "f").stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_root_leaves_a_user_s_file_to_that_user(folder: Path) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    os.chown(file, 65534, 65534)
    file.chmod(0o640)
    write(file, "new", b"old")
    found = file.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o640)


def test_a_symlink_s_target_is_written_and_the_link_stays(folder: Path) -> None:
    (folder / "there").mkdir()
    target = folder / "there" / "target"
    target.write_bytes(b"old")
    link = folder / "link"
    link.symlink_to("there/target")
    write(link, "new", b"old")
    assert (target.read_bytes(), os.readlink(link)) == (b"new", "there/target")
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_symlink_that_leads_nowhere_yet_makes_its_target(folder: Path) -> None:
    link = folder / "link"
    link.symlink_to("target")
    write(link, "new", None)
    assert link.is_symlink()
    assert contents(folder) == {"target": b"new"}


def test_a_file_with_several_names_is_refused(folder: Path) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    (folder / "g").hardlink_to(file)
    with pytest.raises(Conflict, match="2 names"):
        write(file, "new", b"old")
    assert contents(folder) == {"f": b"old", "g": b"old"}


# (what is there, what the proposal was made from)
CONFLICTS = [(b"changed", b"old"), (None, b"old"), (b"there now", None), (b"", None)]


@pytest.mark.parametrize(("there", "base"), CONFLICTS)
def test_a_file_that_the_human_did_not_see_is_left_alone(folder: Path, there: bytes | None, base: bytes | None) -> None:
    file = folder / "f"
    if there is not None:
        file.write_bytes(there)
    with pytest.raises(Conflict, match="changed since the change"):
        write(file, "new", base)
    assert contents(folder) == ({} if there is None else {"f": there})


def test_writing_again_is_harmless(folder: Path) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    write(file, "new", b"old")
    before = file.stat()
    write(file, "new", b"old")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_half_a_character_cannot_be_written(folder: Path) -> None:
    with pytest.raises(BadData, match="at character 4"):
        write(folder / "f", "half\ud83d", None)
    assert contents(folder) == {}


@settings(deadline=None, max_examples=50)
@given(text=st.text(), base=st.none() | st.binary(max_size=50))
def test_the_file_is_the_text_or_what_it_was(
    tmp_path_factory: pytest.TempPathFactory, text: str, base: bytes | None
) -> None:
    file = tmp_path_factory.mktemp("any") / "f"
    if base is not None:
        file.write_bytes(base)
    write(file, text, base)
    assert contents(file.parent) == {"f": text.encode()}


# ---- what is no file


def _directory(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_directory, _fifo, _loop, _device])
def test_what_is_no_regular_file_is_neither_read_nor_written(folder: Path, make: Callable[[Path], None]) -> None:
    path = folder / "f"
    make(path)
    with pytest.raises(BadData, match=r"regular file|cannot read"):
        read_file(os.fsencode(path))
    with pytest.raises(BadData, match=r"regular file|cannot read"):
        write(path, "new", None)
    assert contents(folder) == {}


# ---- a system that refuses


def test_a_directory_that_is_gone_is_no_place_for_a_file(folder: Path) -> None:
    with pytest.raises(WriteFailed, match="could not be written") as caught:
        write(folder / "gone" / "f", "new", None)
    assert caught.value.hint is not None
    assert "review apply" in caught.value.hint


_LIMITED = """
import resource, sys
from bridge.core.reviews import digest
from bridge.errors import WriteFailed
from bridge.store.files import Accepted, write_all
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_all([Accepted(sys.argv[1].encode(), "x" * 5000, digest(b"old"))])
except WriteFailed as error:
    print(error.message)
"""


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(folder: Path) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(file)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
        env=environ,
    )
    assert done.stdout.startswith(f"accepted, but {file} could not be written: File too large")
    assert contents(folder) == {"f": b"old"}


_WRITE = """
import os, sys
from bridge.core.reviews import digest
from bridge.errors import BridgeError
from bridge.store.files import Accepted, write_all
os.setgid(65534)
os.setuid(65534)
try:
    write_all([Accepted(sys.argv[1].encode(), "new", digest(b"old"))])
except BridgeError as error:
    print(error.code)
else:
    print("written")
"""

# (mode of the directory, what its owner gets, what the file holds then)
DIRECTORIES = [(0o700, "written", b"new"), (0o500, "write_failed", b"old"), (0o300, "written", b"new")]


@pytest.mark.parametrize(("mode", "said", "text"), DIRECTORIES)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_unwritable_directory_keeps_the_file_and_an_unreadable_one_does_not(
    folder: Path, mode: int, said: str, text: bytes
) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    for path in (file, folder):
        os.chown(path, 65534, 65534)
    _open_the_way(folder)
    folder.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-c", _WRITE, str(file)], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert (done.stdout.strip(), contents(folder)) == (said, {"f": text})


def _open_the_way(folder: Path) -> None:
    """Let another user pass through the test's own directories."""
    for path in folder.parents:
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)


def test_what_changes_at_the_last_moment_is_not_overwritten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No real race can be held open so long; the moment is played by the sync before the rename."""
    file = folder / "f"
    for meanwhile, lost in ((b"an edit of the last moment", True), (b"new\n", False)):
        file.write_bytes(b"old")

        def edit(_: int, text: bytes = meanwhile) -> None:
            file.write_bytes(text)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", edit)
            if lost:
                with pytest.raises(Conflict, match="changed a moment ago"):
                    write(file, "new\n", b"old")
            else:
                write(file, "new\n", b"old")
        assert contents(folder) == {"f": meanwhile}


# ---- several files


def accepted(path: Path, text: str = "new\n", base: bytes | None = b"old\n") -> Accepted:
    return Accepted(os.fsencode(path), text, None if base is None else digest(base))


@pytest.fixture
def three(folder: Path) -> list[Path]:
    paths = [folder / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_bytes(b"old\n")
    return paths


OLD = {"a": b"old\n", "b": b"old\n", "c": b"old\n"}


def test_several_files_are_written_and_those_that_are_so_already_left_alone(folder: Path, three: list[Path]) -> None:
    three[1].write_bytes(b"new\n")
    before = three[1].stat().st_ino
    files = [*map(accepted, three), accepted(folder / "d", base=None)]
    assert write_all(files) == [os.fsencode(folder / name) for name in ("a", "c", "d")]
    assert contents(folder) == dict.fromkeys("abcd", b"new\n")
    assert three[1].stat().st_ino == before
    assert write_all(files) == []


def _changed(path: Path) -> None:
    path.write_bytes(b"other\n")


def _gone(path: Path) -> None:
    path.unlink()


def _named_twice(path: Path) -> None:
    (path.parent.parent / "second name").hardlink_to(path)


@pytest.mark.parametrize("spoil", [_changed, _gone, _named_twice])
@pytest.mark.parametrize("which", range(3))
def test_nothing_is_written_when_one_file_is_not_what_the_human_saw(
    folder: Path, three: list[Path], spoil: Callable[[Path], None], which: int
) -> None:
    spoil(three[which])
    before = contents(folder)
    with pytest.raises(Conflict, match=f"/folder/{three[which].name} "):
        write_all(map(accepted, three))
    assert contents(folder) == before


def test_nothing_is_written_when_one_text_cannot_be(folder: Path, three: list[Path]) -> None:
    with pytest.raises(BadData, match="as UTF-8"):
        write_all([*map(accepted, three[:2]), accepted(three[2], "\ud83d")])
    assert contents(folder) == OLD
    with pytest.raises(WriteFailed, match="gone/x could not be written"):
        write_all([*map(accepted, three), accepted(folder / "gone" / "x", base=None)])
    assert contents(folder) == OLD


def test_a_change_of_the_last_moment_stops_all(
    folder: Path, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment is played by the sync of the last temporary file."""
    monkeypatch.setattr(os, "fsync", lambda _: three[2].write_bytes(b"an edit"))
    with pytest.raises(Conflict, match="c changed a moment ago") as caught:
        write_all(map(accepted, three))
    assert "written" not in caught.value.message
    assert contents(folder) == OLD | {"c": b"an edit"}


def test_what_parted_the_files_says_which_were_written_and_may_be_done_again(folder: Path, three: list[Path]) -> None:
    """A system that lets a file be made and not be renamed: the target became a directory after the last look."""
    real = os.rename

    def rename(source: bytes, target: bytes) -> None:
        if target.endswith(b"b"):
            three[1].unlink()
            three[1].mkdir()
        real(source, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "rename", rename)
        with pytest.raises(
            WriteFailed, match=f"/b could not be written: Is a directory; written before that: {three[0]}$"
        ):
            write_all(map(accepted, three))
    assert contents(folder) == {"a": b"new\n", "c": b"old\n"}
    three[1].rmdir()
    three[1].write_bytes(b"old\n")
    assert write_all(map(accepted, three)) == [os.fsencode(path) for path in three[1:]]
    assert contents(folder) == dict.fromkeys("abc", b"new\n")


# ---- other programs' files


def test_another_programs_file_is_replaced_as_it_was(folder: Path) -> None:
    file, link = folder / "f", folder / "link"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to("f")
    write_whole(os.fsencode(link), b"\xffnew", b"old")
    assert contents(folder) == {"f": b"\xffnew"}
    assert (link.is_symlink(), file.stat().st_mode & 0o777) == (True, 0o640)


def test_a_new_file_is_this_users_alone(folder: Path) -> None:
    write_whole(os.fsencode(folder / "f"), b"new", None)
    assert (folder / "f").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("now", "seen"), [(b"else", b"old"), (b"else", None), (None, b"old"), (b"new", b"old")])
def test_only_what_the_human_has_seen_is_written_over(folder: Path, now: bytes | None, seen: bytes | None) -> None:
    if now is not None:
        (folder / "f").write_bytes(now)
    with pytest.raises(Conflict, match="f changed meanwhile: nothing was written"):
        write_whole(os.fsencode(folder / "f"), b"new", seen)
    assert contents(folder) == ({} if now is None else {"f": now})


def test_a_change_at_the_last_moment_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "f"
    file.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: file.write_bytes(b"somebody else's"))
    with pytest.raises(Conflict, match="changed meanwhile"):
        write_whole(os.fsencode(file), b"new", b"old")
    assert contents(folder) == {"f": b"somebody else's"}


def test_a_file_of_two_names_is_not_parted(folder: Path) -> None:
    (folder / "f").write_bytes(b"old")
    os.link(folder / "f", folder / "g")
    with pytest.raises(Conflict, match="hard links"):
        write_whole(os.fsencode(folder / "f"), b"new", b"old")


def test_a_directory_that_is_not_there_is_a_failure_to_write(folder: Path) -> None:
    with pytest.raises(WriteFailed, match=r"cannot write .*: No such file or directory"):
        write_whole(os.fsencode(folder / "no/f"), b"new", None)
