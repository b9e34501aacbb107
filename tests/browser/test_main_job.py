"""The main job as a person does it: a command in a terminal, a click in a real browser, the answer in the terminal."""

from __future__ import annotations

import asyncio
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from bridge.client import Client
from tests.browser.conftest import Watched
from tests.e2e.conftest import ide, running, started, workspace
from tests.e2e.support import PATIENCE_S, ROOT, Ide, Running, daemon_about, kill_daemon, until
from tests.e2e.terminal import Terminal

__all__ = ["ide", "running", "started", "workspace"]  # fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LINK = re.compile(r"http://127\.0\.0\.1:\d+/r/[\w-]+/#code=[\w-]+")
PROPOSED = "one\nTWO\nthree\n"


@pytest.fixture
def file(workspace: Path) -> Path:
    """A file, and beside it what is proposed."""
    (workspace / "new.txt").write_text(PROPOSED)
    path = workspace / "f.txt"
    path.write_text("one\ntwo\nthree\n")
    return path


@pytest.fixture
async def page(watched: Watched) -> Page:
    return watched.page


def diff(file: Path, *words: str, **environ: str) -> Terminal:
    command = [sys.executable, "-m", "bridge", "diff", "f.txt", "--proposed", "new.txt", "--apply", *words]
    return Terminal(command, cwd=file.parent, **environ)


async def link(terminal: Terminal) -> str:
    await terminal.until("#code=")
    found = LINK.search(await terminal.until("\n  http"))
    assert found is not None
    return found[0]


@pytest.mark.usefixtures("started")
async def test_a_click_on_accept_changes_outcome_and_file(file: Path, page: Page) -> None:
    with diff(file) as terminal:
        await page.goto(await link(terminal))
        await page.get_by_role("button", name="Accept").click()
        assert await terminal.end() == 0
    assert "accepted\n" in terminal.screen
    assert file.read_text(encoding="utf-8") == PROPOSED


@pytest.mark.usefixtures("started")
async def test_a_click_on_reject_leaves_the_file(file: Path, page: Page) -> None:
    with diff(file) as terminal:
        await page.goto(await link(terminal))
        await page.locator("#comment").fill("use lower case")
        await page.get_by_role("button", name="Reject").click()
        assert await terminal.end() == 1
    assert "rejected\nuse lower case\n" in terminal.screen
    assert file.read_text(encoding="utf-8") == "one\ntwo\nthree\n"


@pytest.mark.usefixtures("started")
async def test_an_edit_on_the_page_is_what_is_written(file: Path, page: Page) -> None:
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\nthree")
    (file.parent / "new.txt").write_bytes(b"\xef\xbb\xbfone\r\nTWO\r\nthree")
    with diff(file) as terminal:
        await page.goto(await link(terminal))
        await page.get_by_role("button", name="Edit").click()
        await page.locator(".editor textarea").fill("one\nTWO!\nthree\n")
        await page.get_by_role("button", name="Accept").click()
        assert await terminal.end() == 0
    assert "accepted_with_edits" in terminal.screen
    assert file.read_bytes() == b"\xef\xbb\xbfone\r\nTWO!\r\nthree"  # BOM, CRLF and no final newline, as proposed


@pytest.mark.usefixtures("started")
async def test_of_several_files_one_is_rejected_and_the_others_are_written(file: Path, page: Page) -> None:
    texts = {"f.txt": PROPOSED, "other.txt": "hello\n", "new.txt": "not so\n"}
    with Client(cwd=str(file.parent)) as client:
        review = client.propose_files({"path": name, "proposed": text} for name, text in texts.items())
    command = [sys.executable, "-m", "bridge", "review"]
    with Terminal([*command, "open", review], cwd=file.parent) as terminal:
        await page.goto(await link(terminal))
    with Terminal([*command, "wait", review], cwd=file.parent) as terminal:
        await page.get_by_role("button", name="Reject file new.txt").click()
        await page.get_by_role("button", name="Accept 2 of 3").click()
        assert await terminal.end() == 0
    assert "partially_accepted\n" in terminal.screen
    with Terminal([*command, "apply", review], cwd=file.parent) as terminal:
        assert await terminal.end() == 0
    written = {name: (file.parent / name).read_text(encoding="utf-8") for name in texts}
    assert written == texts | {"new.txt": PROPOSED}  # what was there before


async def test_the_page_takes_over_when_the_ide_is_killed(file: Path, page: Page, ide: Callable[..., Ide]) -> None:
    window = ide()
    with diff(file) as terminal:
        await asyncio.to_thread(window.until, "diff")
        window.kill()
        await page.goto(await link(terminal))
        await page.get_by_role("button", name="Accept").click()
        assert await terminal.end() == 0
    assert "shown in Visual Studio Code" in terminal.screen
    assert file.read_text(encoding="utf-8") == PROPOSED


@pytest.mark.usefixtures("started")
async def test_an_open_page_survives_the_daemon(file: Path, page: Page) -> None:
    with diff(file) as terminal:
        await page.goto(await link(terminal))
        await expect(page.get_by_role("button", name="Accept")).to_be_enabled()
        old = await asyncio.to_thread(kill_daemon)  # the waiting command starts the next one
        async with asyncio.timeout(PATIENCE_S):
            while (about := daemon_about()) is None or about["pid"] == old:
                await asyncio.sleep(0.05)
        await page.reload()  # same port, same cookie, same secret
        await expect(page.locator("body")).to_contain_text("TWO")
        await page.get_by_role("button", name="Accept").click()
        assert await terminal.end() == 0
    assert file.read_text(encoding="utf-8") == PROPOSED


@pytest.mark.usefixtures("started")
async def test_the_browser_is_led_to_the_page_by_a_private_file(file: Path, page: Page, tmp_path: Path) -> None:
    told = tmp_path / "told"
    opener = tmp_path / "browser"
    opener.write_text(f'#!/bin/sh\necho "$@" > {told}\n')
    opener.chmod(0o755)
    with diff(file, BROWSER=str(opener)) as terminal:
        await terminal.until("opened the review page")
        await asyncio.to_thread(until, lambda: told.exists() and told.read_text().endswith("\n"), "no browser started")
        door = told.read_text().strip()
        assert stat.S_IMODE(Path(door.removeprefix("file://")).stat().st_mode) == 0o600
        assert "code" not in door
        await page.goto(door)
        await page.get_by_role("button", name="Accept").click()
        assert await terminal.end() == 0
    assert file.read_text(encoding="utf-8") == PROPOSED


async def test_the_demo_leads_from_a_click_to_the_file(page: Page) -> None:
    """The README's first command, as it is typed."""
    with Terminal([str(ROOT / "scripts" / "demo")], cwd=ROOT) as terminal:
        await page.goto(await link(terminal))
        await page.get_by_role("button", name="Accept").click()
        assert await terminal.end() == 0
    assert "\naccepted\n" in terminal.screen
    assert '+        print(f"Hello, {name}!")' in terminal.screen
    assert not (ROOT / ".demo/home/.local/state/bridge/daemon.json").exists()  # and leaves nothing behind


def test_a_second_review_does_not_need_the_first(
    file: Path, running: Callable[..., Running], started: list[Any]
) -> None:
    """Two commands wait at once, each for its own review."""
    first = running("diff", "f.txt", "--proposed", "new.txt", "--timeout", "0.2")
    second = running("diff", "f.txt", "--proposed", "-", "--timeout", "0.2", stdin=b"other\n")
    assert first.review_id() != second.review_id()
    assert (first.end(), second.end()) == (75, 75)
