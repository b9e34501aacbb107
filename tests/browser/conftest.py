"""A real Chromium, driven through playwright; each test has a context of its own, as fresh as a new user's."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, async_playwright, expect

PATIENCE_S = 20.0  # a busy machine is not a failure
expect.set_options(timeout=PATIENCE_S * 1000)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; on a build host it must be there."""
    found = shutil.which("chromium")
    if found is None:
        reason = "no `chromium` on PATH: the page's browser tests need one"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
async def context(chromium: str, tmp_path: Path) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            args=ARGUMENTS,
            env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
            viewport={"width": 1200, "height": 800},
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        yield context
        await context.close()


@dataclass
class Watched:
    """A tab and everything that went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
async def watched(context: BrowserContext) -> Watched:
    """A tab whose errors, console complaints (a policy's violations among them) and dialogs are kept."""
    tab = Watched(await context.new_page())

    def on_console(message: ConsoleMessage) -> None:
        # Chromium reports every answer above 399 so; here they are part of the story.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            tab.complaints.append(message.text)

    tab.page.on("pageerror", lambda error: tab.complaints.append(f"error: {error}"))
    tab.page.on("dialog", lambda dialog: tab.complaints.append(f"dialog: {dialog.message}"))
    tab.page.on("console", on_console)
    return tab
