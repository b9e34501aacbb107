"""Files of every kind, and every reason why an accepted change cannot be written at once: the decision is kept."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ide_plugins.emulator import Emulator
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import PATIENCE_S, Ide, Running, bridge

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended

StartCommand = Callable[..., Running]
Undo = Callable[[], object]

OLD, NEW = b"a\nb\n", b"a\nB\n"


@pytest.fixture
def accepted(running: StartCommand) -> Callable[..., Running]:
    """Run a `diff` and accept on the page; give the command that goes on."""

    def run(*words: str, stdin: bytes = NEW, then: Callable[[], Any] = lambda: None) -> Running:
        diff = running("diff", *words, stdin=stdin)
        review_id = diff.review_id()
        diff.err.until(lambda line: "the review page" in line)
        then()
        decide_on_page(review_id)
        return diff

    return run


def complaint(command: Running) -> str:
    """Give the error and the hint of a command, in one line."""
    command.err.until(lambda line: line.startswith("hint:"))
    return " ".join(line for line in command.err.seen if line.startswith(("error:", "hint:")))


# ---- names

NAMES = {
    "spaces": b"a file with spaces.txt",
    "newline": b"a\nerror: everything is lost.txt",
    "escape sequence": b"\x1b[31mred\x1b]0;title\x07.txt",
    "C1 control": "\u009b31m.txt".encode(),
    "not UTF-8": b"caf\xe9\xff.txt",
    "right-to-left mark": "\u202egpj.exe\u2066".encode(),
    "leading dashes": b"--apply",
    "looks like a place": b"f.txt:3",
}


def is_harmless(text: str) -> bool:
    """Tell whether a terminal would only print this: no control, no invisible character, no line that a name began."""
    odd = [char for char in text if unicodedata.category(char)[0] == "C" or char == "\ufffd"]
    return set(odd) <= {"\n", "\t"} and "\nerror: everything is lost" not in text


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_shown_without_harm_and_written_exactly(workspace: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(workspace), name)
    Path(os.fsdecode(path)).write_bytes(OLD)
    argument = b"./" + name
    asked = bridge("diff", argument, "--proposed", "-", "--timeout", "0", cwd=workspace, stdin=NEW)
    review_id = asked.stderr.split()[1]
    outputs = [
        asked,
        bridge("open", argument, cwd=workspace),
        bridge("open", argument + b"-missing", cwd=workspace),
        bridge("diff", argument, "--proposed", argument, cwd=workspace),
        bridge("diff", argument, argument + b"-missing", cwd=workspace),
        bridge("review", "ls", cwd=workspace),
        bridge("review", "show", review_id, cwd=workspace),
        bridge("status", cwd=workspace),
        bridge("status", "--json", cwd=workspace),
    ]
    assert [done.returncode for done in outputs] == [75, 69, 65, 65, 65, 0, 0, 0, 0]
    decide_on_page(review_id)
    outputs += [bridge("review", "apply", review_id, cwd=workspace), bridge("review", "ls", "--all", cwd=workspace)]
    assert [done.stdout + done.stderr for done in outputs if not is_harmless(done.stdout + done.stderr)] == []
    assert Path(os.fsdecode(path)).read_bytes() == NEW
    assert os.listdir(os.fsencode(workspace)) == [name], "nothing is left beside it"


def test_a_name_that_no_ide_can_be_told_goes_to_the_page(
    workspace: Path, ide: Callable[..., Ide], running: StartCommand
) -> None:
    window = ide()
    name = os.fsdecode(b"caf\xe9")
    (workspace / name).write_bytes(OLD)
    diff = running("diff", name, "--proposed", "-", "--surface", "ide", stdin=NEW)
    diff.err.until(lambda line: "the review page (no IDE can be told this name" in line)
    opened = bridge("open", name, cwd=workspace)
    assert (opened.returncode, "no IDE can be told this name" in opened.stderr) == (65, True)
    assert not [event for event in window.events if event["event"] == "diff"]


# ---- endings: an editor returns LF, no BOM and a newline at the end, whatever it was given

ENDINGS = {
    "CRLF": (b"a\r\nb\r\n", b"a\r\nB\r\n", "a\nB\nc\n", b"a\r\nB\r\nc\r\n"),
    "BOM": (b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfa\nB\n", "a\nB\nc\n", b"\xef\xbb\xbfa\nB\nc\n"),
    "no final newline": (b"a\nb", b"a\nB", "a\nX\n", b"a\nX"),
    "mixed": (b"a\r\nb\nc\rd", b"a\r\nB\nc\rd", "a\nB\nc\nD\n", b"a\r\nB\nc\rD"),
}


@pytest.mark.parametrize("edited", [False, True], ids=["as proposed", "edited"])
@pytest.mark.parametrize("case", ENDINGS.values(), ids=ENDINGS)
async def test_line_endings_survive_an_editor_that_normalises(
    workspace: Path, case: tuple[bytes, bytes, str, bytes], edited: bool
) -> None:
    old, new, typed, written = case
    (workspace / "f.txt").write_bytes(old)
    lock_dir = Path(os.environ["HOME"]) / ".claude" / "ide"
    async with (
        Emulator(workspace=workspace, lock_dir=lock_dir, editor_normalises=True) as ide,
        asyncio.TaskGroup() as tasks,
    ):
        words = ("diff", "f.txt", "--proposed", "-", "--apply")
        diff = tasks.create_task(asyncio.to_thread(bridge, *words, cwd=workspace, stdin=new))
        await ide.until(lambda: ide.pending, PATIENCE_S)
        await ide.accept(typed if edited else None)
        done = await diff
    assert (done.returncode, done.stdout) == (0, "accepted_with_edits\n" if edited else "accepted\n")
    assert (workspace / "f.txt").read_bytes() == (written if edited else new)


# ---- what is refused before any human is asked


def _binary(path: Path) -> None:
    path.write_bytes(b"GIF89a\0\1")


def _latin_1(path: Path) -> None:
    path.write_bytes(b"caf\xe9\n")


REFUSED = {
    "binary": (_binary, "NUL byte at offset 6"),
    "not UTF-8": (_latin_1, "not UTF-8 text: byte 0xe9 at offset 3"),
    "directory": (Path.mkdir, "is a directory"),
    "FIFO": (os.mkfifo, "is not a regular file"),
}


@pytest.mark.parametrize(("make", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_text_is_refused_in_clear_words(
    workspace: Path, file: Path, make: Callable[[Path], None], why: str
) -> None:
    make(workspace / "odd")
    for words in [("odd", "--proposed", "-"), ("odd", "f.txt")]:
        done = bridge("diff", *words, cwd=workspace, stdin=NEW)
        assert (done.returncode, done.stdout) == (65, "")
        assert f"{workspace}/odd" in done.stderr or "error: odd" in done.stderr
        assert why in done.stderr or "is not a regular file" in done.stderr
        assert "\nhint: " in done.stderr


@pytest.mark.parametrize(("data", "why"), [(b"GIF89a\0\1", "NUL byte at offset 6"), (b"\xe9", "not UTF-8 text")])
def test_a_proposal_that_is_no_text_is_refused(file: Path, data: bytes, why: str) -> None:
    done = bridge("diff", "f.txt", "--proposed", "-", cwd=file.parent, stdin=data)
    assert done.returncode == 65
    assert "error: standard input: " in done.stderr
    assert why in done.stderr


# ---- writing


def test_the_mode_of_the_file_is_kept(file: Path, accepted: StartCommand) -> None:
    file.chmod(0o751)
    assert accepted("f.txt", "--proposed", "-", "--apply").end() == 0
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (NEW, 0o751)


def test_the_target_of_a_symlink_is_written(file: Path, accepted: StartCommand) -> None:
    link = file.with_name("link")
    link.symlink_to("f.txt")
    assert accepted("link", "--proposed", "-", "--apply").end() == 0
    assert (os.readlink(link), file.read_bytes()) == ("f.txt", NEW)


def test_a_new_file_is_made_with_the_mode_that_the_user_gives_new_files(
    workspace: Path, accepted: StartCommand
) -> None:
    usual = os.umask(0o027)
    try:
        assert accepted("new.txt", "--proposed", "-", "--apply").end() == 0
    finally:
        os.umask(usual)
    made = workspace / "new.txt"
    assert (made.read_bytes(), stat.S_IMODE(made.stat().st_mode)) == (NEW, 0o640)


def _link(file: Path) -> Undo:
    other = file.with_name("other")
    other.hardlink_to(file)
    return other.unlink


def _change(file: Path) -> Undo:
    file.write_bytes(b"somebody else's\n")
    return lambda: file.write_bytes(OLD)


def _lose_directory(file: Path) -> Undo:
    away = file.parent.with_name("away")
    file.parent.rename(away)
    return lambda: away.rename(file.parent)


HINDRANCES = {
    "hard link": (_link, 65, "has 2 names (hard links)"),
    "changed meanwhile": (_change, 65, "changed since the change was proposed"),
    "gone with its directory": (_lose_directory, 65, "changed since the change was proposed"),
}


@pytest.mark.parametrize(("hinder", "code", "why"), HINDRANCES.values(), ids=HINDRANCES)
def test_what_cannot_be_written_is_kept_and_applied_later(
    workspace: Path, accepted: StartCommand, hinder: Callable[[Path], Undo], code: int, why: str
) -> None:
    file = workspace / "sub" / "f.txt"
    file.parent.mkdir()
    file.write_bytes(OLD)
    mends: list[Undo] = []
    diff = accepted("sub/f.txt", "--proposed", "-", "--apply", then=lambda: mends.append(hinder(file)))
    said = complaint(diff)
    assert (diff.end(), f"accepted, but {file}" in said, why in said) == (code, True, True)
    review_id = diff.err.seen[0].split()[1]
    assert review_id in said.partition("hint:")[2]
    again = bridge("review", "apply", review_id, cwd=workspace)
    assert (again.returncode, again.stdout) == (code, "")
    mends[0]()
    assert bridge("review", "apply", review_id, cwd=workspace).returncode == 0
    assert file.read_bytes() == NEW


def test_a_full_disk_keeps_text_and_file(file: Path, workspace: Path, started: list[Any]) -> None:
    asked = bridge("diff", "f.txt", "--proposed", "-", "--timeout", "0", cwd=workspace, stdin=NEW)
    review_id = asked.stderr.split()[1]
    decide_on_page(review_id)
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "review", "apply", review_id],
        cwd=workspace,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),  # stops root, too
    )
    assert (done.returncode, done.stdout) == (74, "")
    assert f"accepted, but {file} could not be written: File too large" in done.stderr
    assert f"bridge review apply {review_id}" in done.stderr
    assert (file.read_bytes(), os.listdir(workspace)) == (OLD, ["f.txt"])
    assert bridge("review", "apply", review_id, cwd=workspace).returncode == 0
    assert file.read_bytes() == NEW


async def test_a_file_with_unsaved_changes_in_the_ide_is_not_written(workspace: Path, file: Path) -> None:
    lock_dir = Path(os.environ["HOME"]) / ".claude" / "ide"
    async with Emulator(workspace=workspace, lock_dir=lock_dir) as ide, asyncio.TaskGroup() as tasks:
        ide.window.open(file)
        words = ("diff", "f.txt", "--proposed", "-", "--apply")
        diff = tasks.create_task(asyncio.to_thread(bridge, *words, cwd=workspace, stdin=NEW))
        await ide.until(lambda: ide.pending, PATIENCE_S)
        ide.dirty.add(file)
        await ide.accept()
        done = await diff
        assert (done.returncode, file.read_bytes()) == (65, OLD)
        assert f"accepted, but {file} has unsaved changes in an IDE" in done.stderr
        ide.dirty.remove(file)
        review_id = done.stderr.split()[1]
        applied = await asyncio.to_thread(bridge, "review", "apply", review_id, cwd=workspace)
    assert (applied.returncode, file.read_bytes()) == (0, NEW)


async def test_unsaved_changes_count_wherever_they_are_and_not_only_in_the_ide_that_is_pinned(
    workspace: Path, file: Path
) -> None:
    lock_dir = Path(os.environ["HOME"]) / ".claude" / "ide"
    async with Emulator(workspace=workspace, lock_dir=lock_dir) as ide:
        ide.dirty.add(file)
        await asyncio.to_thread(bridge, "use", "pycharm", "--workspace", cwd=workspace)
        words = ("diff", "f.txt", "--proposed", "-", "--apply", "--surface", "page", "--timeout", "0")
        asked = await asyncio.to_thread(bridge, *words, cwd=workspace, stdin=NEW)
        review_id = asked.stderr.split()[1]
        await asyncio.to_thread(decide_on_page, review_id)
        applied = await asyncio.to_thread(bridge, "review", "apply", review_id, cwd=workspace)
    assert (applied.returncode, file.read_bytes()) == (65, OLD)
    assert "has unsaved changes in an IDE" in applied.stderr


# ---- OLD NEW


@pytest.mark.parametrize(
    ("old", "new", "base", "proposed"),
    [
        ("f.txt", "new.txt", OLD, NEW),
        ("/dev/null", "new.txt", b"", NEW),
        ("f.txt", "/dev/null", OLD, b""),
    ],
)
def test_two_files_are_compared_and_none_is_written(
    file: Path, accepted: StartCommand, old: str, new: str, base: bytes, proposed: bytes
) -> None:
    (file.parent / "new.txt").write_bytes(NEW)
    diff = accepted(old, new)
    diff.out.until(lambda line: line == "accepted")
    assert diff.end() == 0
    shown = bridge("review", "show", diff.err.seen[0].split()[1], "--json", cwd=file.parent)
    assert f'"base": {base.decode()!r}'.replace("'", '"') in shown.stdout
    assert f'"final": {proposed.decode()!r}'.replace("'", '"') in shown.stdout
    assert (file.read_bytes(), (file.parent / "new.txt").read_bytes()) == (OLD, NEW)


def test_a_change_that_changes_nothing_is_refused(file: Path) -> None:
    (file.parent / "same.txt").write_bytes(OLD)
    done = bridge("diff", "f.txt", "same.txt", cwd=file.parent)
    assert (done.returncode, f"nothing would change in {file}" in done.stderr) == (65, True)
