"""A review of several files on the page: listed, edited, rejected one by one, decided together."""

import pytest
from playwright.async_api import Page, expect

from bridge.core.reviews import Outcome
from tests.browser.test_page import keys_awake, page, server, store
from tests.surfaces.desk import MemoryDesk, change

__all__ = ["page", "server", "store"]  # fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

BASE = "".join(f"line {number}\n" for number in range(1, 41))


@pytest.fixture
def desk() -> MemoryDesk:
    desk = MemoryDesk()
    desk.propose(
        change("src/a.py", BASE, BASE.replace("line 5\n", "five\n").replace("line 35\n", "")),
        change("src/b.py", "one\r\ntwo\r\n", "one\r\n2\r\n"),
        change("new.txt", "", "hello\n", new=True),
    )
    return desk


def finals(desk: MemoryDesk) -> list[str | None]:
    return [file.final for file in desk.reviews["r1"].files]


async def test_all_files_are_listed_each_with_its_hunks(page: Page, desk: MemoryDesk) -> None:
    await expect(page.locator("h1#title")).to_have_text("3 files")
    await expect(page.locator("#about")).to_contain_text("3 files \u00b7 +3 \u22123")
    rows = page.locator("#contents li")
    await expect(rows).to_have_text(["src/a.py+1 \u22122", "src/b.py+1 \u22121", "new.txt+1 \u22120"])
    await expect(page.locator(".file h2")).to_have_text(["src/a.py", "src/b.py", "new.txt"])
    for index, hunks in enumerate((2, 1, 1)):
        await expect(page.locator(".file").nth(index).locator("tbody.hunk")).to_have_count(hunks)
    await expect(page.locator("#reject-label")).to_have_text("Reject all")
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted.")
    assert desk.reviews["r1"].outcome is Outcome.ACCEPTED
    assert finals(desk) == [file.proposed for file in desk.reviews["r1"].files]


async def test_the_list_leads_to_a_file(page: Page) -> None:
    await page.locator("#contents").get_by_role("button", name="new.txt").click()
    await expect(page.locator(".file h2", has_text="new.txt")).to_be_focused()
    await expect(page.locator(".file h2", has_text="new.txt")).to_be_in_viewport()


async def test_keys_walk_through_the_hunks_of_all_files(page: Page) -> None:
    await page.get_by_role("button", name="Reject file src/b.py").click()
    for where in ["src/a.py", "src/a.py", "new.txt", "new.txt"]:
        await page.keyboard.press("n")
        await expect(page.locator(f".file[aria-label='{where}'] tbody.here")).to_have_count(1)


async def test_an_edit_of_one_file_leaves_the_others_as_proposed(page: Page, desk: MemoryDesk) -> None:
    await page.get_by_role("button", name="Edit").click()
    await expect(page.locator(".editor textarea")).to_have_count(3)
    await page.get_by_label("Proposed text of src/b.py").fill("one\n2\n3\n")
    await expect(page.locator("#contents li").nth(1)).to_have_text("src/b.py+2 \u22121")  # the preview
    await expect(page.locator("#about")).to_contain_text("+4 \u22123")
    await expect(page.locator(".file").nth(1).locator("tr.add .code")).to_have_text(["2CRLF", "3CRLF"])
    await expect(page.locator("#accept-label")).to_have_text("Accept with edits")
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted with your edits.")
    first, _, last = (file.proposed for file in desk.reviews["r1"].files)
    assert desk.reviews["r1"].outcome is Outcome.ACCEPTED_WITH_EDITS
    assert finals(desk) == [first, "one\r\n2\r\n3\r\n", last]


async def test_a_discarded_edit_is_shown_as_proposed_again(page: Page) -> None:
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Proposed text of new.txt").fill("hello\nyou\n")
    await expect(page.locator("#contents li").nth(2)).to_have_text("new.txt+2 \u22120")
    await page.locator(".file").nth(2).get_by_role("button", name="Discard edits").click()
    await expect(page.locator("#contents li").nth(2)).to_have_text("new.txt+1 \u22120")
    await expect(page.locator("#accept-label")).to_have_text("Accept")


async def test_one_file_is_rejected_and_the_others_are_accepted(page: Page, desk: MemoryDesk) -> None:
    button = page.get_by_role("button", name="Reject file src/a.py")
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".file").first.locator(".diff")).to_be_hidden()
    await expect(page.locator("#about")).to_contain_text("+2 \u22121")
    await expect(page.locator("#live")).to_have_text("Rejected: src/a.py")
    await expect(page.locator("#accept-label")).to_have_text("Accept 2 of 3")
    await page.get_by_label("Comment").fill("a is fine as it is")
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted in part.")
    await expect(page.locator(".file").first.locator(".chip")).to_have_text("rejected")
    await expect(button).to_have_count(0)
    assert desk.reviews["r1"].outcome is Outcome.PARTIALLY_ACCEPTED
    assert finals(desk) == [None, "one\r\n2\r\n", "hello\n"]
    assert desk.reviews["r1"].comments[0].text == "a is fine as it is"
    await page.reload()  # and whoever comes later sees the same
    await expect(page.locator(".file.rejected h2")).to_have_text("src/a.py")


async def test_edits_and_rejections_of_files_go_together(page: Page, desk: MemoryDesk) -> None:
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Proposed text of src/a.py").fill("mine\n")
    await page.get_by_label("Proposed text of new.txt").fill("good day\n")
    await page.get_by_role("button", name="Reject file src/a.py").click()
    await expect(page.locator("#accept-label")).to_have_text("Accept 2 of 3 with edits")
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted in part.")
    assert finals(desk) == [None, "one\r\n2\r\n", "good day\n"]


async def test_a_rejected_file_is_taken_back_with_its_edit(page: Page, desk: MemoryDesk) -> None:
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Proposed text of new.txt").fill("good day\n")
    button = page.get_by_role("button", name="Reject file new.txt")
    await button.click()
    await expect(page.locator("#accept-label")).to_have_text("Accept 2 of 3")
    await button.click()
    await expect(page.locator("#accept-label")).to_have_text("Accept with edits")
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted with your edits.")
    assert finals(desk)[2] == "good day\n"


async def test_nothing_is_accepted_when_every_file_is_rejected(page: Page, desk: MemoryDesk) -> None:
    await keys_awake(page)
    for button in await page.get_by_role("button", name="Reject file").all():
        await button.click()
    await expect(page.locator("#accept")).to_be_disabled()
    await page.keyboard.press("a")
    await expect(page.locator("#problem")).to_contain_text("there is nothing to accept")
    assert desk.reviews["r1"].is_open
    await page.locator("#reject").click()
    await expect(page.locator("#outcome")).to_contain_text("Rejected.")
    assert finals(desk) == [None, None, None]


async def test_many_large_files_do_not_freeze_the_page(page: Page, desk: MemoryDesk) -> None:
    text = "".join(f"{number}\n" for number in range(1000))
    desk.propose(*(change(f"{number:03}.txt", "", text, new=True) for number in range(200)))
    await page.reload()
    await expect(page.locator("#about")).to_contain_text("200 files \u00b7 +200000 \u22120")
    await expect(page.locator("#contents li")).to_have_count(200)
    assert await page.locator("tr").count() < 12_000
    last = page.locator(".file").last
    await last.get_by_role("button", name="Show this file").click()
    await expect(last.get_by_role("button", name="Show 600 more lines")).to_be_visible()
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted.")
    assert finals(desk) == [text] * 200
