"""``bridge review`` for a review of several files."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.client import Client
from ide_plugins.emulator import Emulator
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import PATIENCE_S, Ide, bridge

pytestmark = pytest.mark.usefixtures("started")

WHY = "it has 4 files, which an IDE's diff cannot show as one"


@pytest.fixture
def folder(workspace: Path) -> Path:
    """A workspace with three files."""
    for name in ("a.txt", "b.txt"):
        (workspace / name).write_bytes(b"old\n")
    (workspace / "c.txt").write_bytes(b"old\r\n")
    return workspace


@pytest.fixture
def review(folder: Path) -> str:
    """Three files that change, one of them new, and one that stays as it is."""
    texts = {"a.txt": "A\n", "new.txt": "hello\n", "b.txt": "B\n", "c.txt": "C\r\n"}
    with Client(name="me", cwd=str(folder)) as client:
        return client.propose_files(
            [{"path": path, "proposed": text} for path, text in texts.items()], title="Shout", request_key="k"
        )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


OLD = {"a.txt": b"old\n", "b.txt": b"old\n", "c.txt": b"old\r\n"}


def test_all_accepted_files_are_written_and_the_rejected_one_stays(folder: Path, review: str) -> None:
    decide_on_page(review, texts=["mine\n", "hello\n", None, "C\n"])
    waited = bridge("review", "wait", review, cwd=folder)
    assert (waited.returncode, waited.stdout) == (0, "partially_accepted\n")
    assert waited.stderr == f"rejected: {folder / 'b.txt'}\n"
    done = bridge("review", "apply", review, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "partially_accepted\n")
    wrote = "".join(f"wrote {folder / name}\n" for name in ("a.txt", "new.txt", "c.txt"))
    assert done.stderr == f"{wrote}rejected: {folder / 'b.txt'}\n"
    assert files(folder) == {"a.txt": b"mine\n", "b.txt": b"old\n", "c.txt": b"C\r\n", "new.txt": b"hello\n"}
    assert json.loads(bridge("review", "show", review, "--json", cwd=folder).stdout)["state"] == "delivered"
    assert bridge("review", "apply", review, cwd=folder).returncode == 0, "twice does no harm"


def test_a_file_that_changed_meanwhile_stops_all_until_it_is_mended(folder: Path, review: str) -> None:
    decide_on_page(review)
    (folder / "c.txt").write_bytes(b"changed\n")
    before = files(folder)
    done = bridge("review", "apply", review, cwd=folder)
    assert (done.returncode, done.stdout) == (65, "")
    assert f"{folder / 'c.txt'} changed since the change was proposed" in done.stderr
    assert files(folder) == before
    (folder / "c.txt").write_bytes(b"old\r\n")
    assert bridge("review", "apply", review, cwd=folder).returncode == 0
    assert files(folder) == {"a.txt": b"A\n", "b.txt": b"B\n", "c.txt": b"C\r\n", "new.txt": b"hello\n"}


async def test_a_file_with_unsaved_changes_in_an_ide_stops_all(folder: Path, review: str) -> None:
    await asyncio.to_thread(decide_on_page, review)
    async with Emulator(workspace=folder, lock_dir=Path(os.environ["HOME"]) / ".claude" / "ide") as window:
        window.dirty.add(folder / "b.txt")
        done = await asyncio.to_thread(bridge, "review", "apply", review, cwd=folder)
    assert (done.returncode, f"{folder / 'b.txt'} has unsaved changes in an IDE" in done.stderr) == (65, True)
    assert files(folder) == OLD


def result(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run it with bytes: line endings are part of what is printed."""
    command = [sys.executable, "-m", "bridge", "review", "result", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=PATIENCE_S)


def test_the_text_of_one_file_is_printed(folder: Path, review: str) -> None:
    decide_on_page(review, texts=["A\n", "hello\n", None, "mine\n"])
    (folder / "link").symlink_to("c.txt")
    for name in ("c.txt", "./c.txt", str(folder / "c.txt"), "link"):
        done = result(folder, review, "--file", name)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"mine\r\n", b"")
    done = result(folder, review, "--file", "b.txt")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"{folder / 'b.txt'} was rejected: there is no text\n".encode()
    done = result(folder, review, "--file", "d.txt")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(f"error: d.txt is not in review {review}\n".encode())
    done = result(folder, review)
    assert (done.returncode, done.stdout) == (2, b"")
    said = f"error: review {review} has 4 files\n\nhint: bridge review result {review} --file PATH, or --json for all\n"
    assert done.stderr == said.encode()
    told = json.loads(result(folder, review, "--json").stdout)
    assert [file["final"] for file in told["files"]] == ["A\n", "hello\n", None, "mine\r\n"]


def test_the_one_file_of_a_review_may_be_named(folder: Path) -> None:
    with Client(cwd=str(folder)) as client:
        review = client.propose("a.txt", "A\n")
    decide_on_page(review)
    assert result(folder, review, "--file", "a.txt").stdout == b"A\n"
    assert result(folder, review, "--file", "b.txt").returncode == 2


def test_a_rejection_of_all_has_no_text_of_any(folder: Path, review: str) -> None:
    decide_on_page(review, accept=False)
    done = result(folder, review)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"review {review} is rejected: there is no text\n".encode()
    assert bridge("review", "apply", review, cwd=folder).returncode == 1
    assert files(folder) == OLD


def test_the_diff_of_every_file_is_shown(folder: Path, review: str) -> None:
    at = str(folder)
    shown = bridge("review", "show", review, cwd=folder).stdout
    assert shown.startswith(f"review {review}: proposed  Shout\n--- a{at}/a.txt\n+++ b{at}/a.txt\n")
    assert [line for line in shown.splitlines() if line.startswith("+++")] == [
        f"+++ b{at}/{name}" for name in ("a.txt", "new.txt", "b.txt", "c.txt")
    ]
    decide_on_page(review, texts=["A\n", None, None, "C\n"])
    shown = bridge("review", "show", review, cwd=folder).stdout
    assert [line for line in shown.splitlines() if line.startswith(("accepted", "rejected"))] == [
        f"accepted: {at}/a.txt",
        f"rejected: {at}/new.txt",
        f"rejected: {at}/b.txt",
        f"accepted: {at}/c.txt",
    ]


def test_several_files_are_on_the_page_whatever_is_wanted(folder: Path, review: str, ide: Callable[..., Ide]) -> None:
    ide()
    for surface in ("auto", "ide"):
        done = bridge("review", "open", review, "--surface", surface, "--json", cwd=folder)
        assert (done.returncode, json.loads(done.stdout)["surface"]) == (0, "page")
        assert f"open the review page ({WHY}):" in done.stderr
    listed = bridge("review", "ls", cwd=folder).stdout
    names = f"{folder / 'a.txt'}, {folder / 'new.txt'} and 2 more"
    assert listed == f"{review}  proposed on the page  {names}  Shout\n"
    assert f"review {review} waits: a.txt, new.txt and 2 more\n" in bridge("status", cwd=folder).stdout


def test_files_that_stay_as_they_are_are_no_part_of_the_review(folder: Path) -> None:
    with Client(cwd=str(folder)) as client:
        review = client.propose_files([{"path": name, "proposed": "old\n"} for name in ("a.txt", "b.txt", "c.txt")])
        told = client.request("review/get", {"id": review})
    assert [os.path.basename(file["path"]) for file in told["files"]] == ["c.txt"]
