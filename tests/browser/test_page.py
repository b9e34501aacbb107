import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from playwright.async_api import BrowserContext, Page, expect

from bridge.core.reviews import Outcome, Step, Trigger, decide
from bridge.surfaces.page import Invitation, PageServer
from tests.browser.conftest import Watched
from tests.surfaces.desk import MemoryDesk, MemoryStore, change, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

BASE = "".join(f"line {number}\n" for number in range(1, 101))
PROPOSED = BASE.replace("line 10\n", "line ten\nand more\n").replace("line 90\n", "")


@pytest.fixture
def desk() -> MemoryDesk:
    desk = MemoryDesk()
    desk.propose(change("src/a.py", BASE, PROPOSED), title="Count in words")
    return desk


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def server(desk: MemoryDesk, store: MemoryStore) -> AsyncIterator[PageServer]:
    async with serving(desk, store) as server:
        yield server


@pytest.fixture
async def page(server: PageServer, watched: Watched) -> AsyncIterator[Page]:
    """A tab that has followed a link to the review; nothing may have gone wrong in it at the end."""
    await follow(watched.page, await server.invite("r1"))
    yield watched.page
    assert watched.complaints == []


async def follow(page: Page, invitation: Invitation) -> None:
    await page.goto(invitation.link)
    await expect(page.locator("#accept")).to_be_visible()


async def keys_awake(page: Page) -> None:
    await expect(page.locator("html[data-keys]")).to_be_attached()


# ------------------------------------------------------------------ reading


async def test_the_change_is_shown_with_numbers_marks_and_counts(page: Page) -> None:
    await expect(page.locator("h1#title")).to_have_text("Count in words")
    await expect(page.locator("#about")).to_contain_text("Proposed by an agent in /home/me/project · +2 \u22122")
    await expect(page.locator(".file h2")).to_have_text("src/a.py")
    await expect(page.locator("tbody.hunk")).to_have_count(2)
    rows = page.locator("tr.add, tr.del")
    assert await rows.all_inner_texts() == [
        "10\t\t\u2212\tline 10",
        "\t10\t+\tline ten",
        "\t11\t+\tand more",
        "90\t\t\u2212\tline 90",
    ]
    await expect(page.locator("#live")).to_contain_text("waiting for your decision")


async def test_the_code_leaves_the_address_and_a_reload_works(page: Page) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/r/[\w-]{22}/", page.url)
    await page.reload()
    await expect(page.locator("#accept")).to_be_visible()
    assert "code" not in await page.evaluate("JSON.stringify(performance.getEntries().map(e => e.name))")


async def test_a_new_link_works_in_a_tab_that_is_open(page: Page, server: PageServer) -> None:
    await page.goto((await server.invite("r1")).link)
    await expect(page.locator("#accept")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/$"))


async def test_two_tabs_of_one_browser_both_work(
    page: Page, server: PageServer, context: BrowserContext, desk: MemoryDesk
) -> None:
    second = await context.new_page()
    await follow(second, await server.invite("r1"))
    await page.locator("#accept").click()
    for tab in (page, second):
        await expect(tab.locator("#outcome")).to_contain_text("Accepted. You can close this tab.")


@pytest.mark.parametrize("used", [False, True], ids=["without a code", "with a used code"])
async def test_without_access_the_page_says_what_to_do(server: PageServer, watched: Watched, used: bool) -> None:
    invitation = await server.invite("r1")
    if used:
        await follow(watched.page, invitation)
        await watched.page.evaluate("sessionStorage.clear()")
        await watched.page.goto("about:blank")
    await watched.page.goto(invitation.link if used else invitation.address)
    told = watched.page.locator("#no-access")
    await expect(told).to_contain_text("bridge review open")
    await expect(told).to_contain_text("used before" if used else "opens nothing")
    await expect(watched.page.locator("#accept")).to_be_hidden()


# ------------------------------------------------------------------ deciding


async def test_accept_decides(page: Page, desk: MemoryDesk) -> None:
    await page.get_by_role("button", name="Accept").click()
    await expect(page.locator("#outcome")).to_have_text("Accepted. You can close this tab.")
    await expect(page.locator("#actions")).to_be_hidden()
    assert desk.reviews["r1"].outcome is Outcome.ACCEPTED
    assert desk.reviews["r1"].files[0].final == PROPOSED


async def test_reject_sends_the_comment(page: Page, desk: MemoryDesk) -> None:
    await page.get_by_label("Comment").fill("not like this\n<b>please</b>")
    await page.get_by_role("button", name="Reject").click()
    await expect(page.locator("#outcome")).to_contain_text("Rejected. You can close this tab.")
    await expect(page.locator("#outcome p")).to_have_text("not like this\n<b>please</b>")
    assert desk.reviews["r1"].outcome is Outcome.REJECTED
    assert desk.reviews["r1"].comments[0].text == "not like this\n<b>please</b>"


async def test_an_edited_text_arrives_with_the_files_own_line_endings(page: Page, desk: MemoryDesk) -> None:
    desk.propose(change("w.txt", "a\r\nb\r\n", "a\r\nB\r\n"))
    await page.reload()
    await page.get_by_role("button", name="Edit").click()
    editor = page.get_by_label("Proposed text of w.txt")
    await expect(editor).to_be_focused()
    assert await editor.input_value() == "a\nB\n"
    await editor.fill("a\nB\nc\n")
    await expect(page.locator("tr.add .code")).to_have_text(["BCRLF", "cCRLF"])  # the preview
    await expect(page.locator(".file .stats")).to_have_text("+2 \u22121")
    await editor.press("Control+Enter")
    await expect(page.locator("#outcome")).to_contain_text("Accepted with your edits.")
    assert desk.reviews["r1"].files[0].final == "a\r\nB\r\nc\r\n"


async def test_opening_the_editor_is_no_edit(page: Page, desk: MemoryDesk) -> None:
    desk.propose(change("w.txt", "a\r\n", "\ufeffb\r\nc"))
    await page.reload()
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Proposed text of w.txt").press_sequentially("x")
    await expect(page.locator("#accept-label")).to_have_text("Accept with edits")
    await page.get_by_role("button", name="Discard edits").click()
    await expect(page.locator("#accept-label")).to_have_text("Accept")
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted.")
    assert desk.reviews["r1"].outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(("key", "outcome"), [("a", Outcome.ACCEPTED), ("r", Outcome.REJECTED)])
async def test_a_key_decides(page: Page, desk: MemoryDesk, key: str, outcome: Outcome) -> None:
    await keys_awake(page)
    await page.keyboard.press(key)
    await expect(page.locator("#outcome")).to_be_visible()
    assert desk.reviews["r1"].outcome is outcome


async def test_a_key_on_its_way_to_another_window_decides_nothing(page: Page, desk: MemoryDesk) -> None:
    """The page comes to the front while the human types in a terminal."""
    await keys_awake(page)
    await page.evaluate(
        """() => {
            dispatchEvent(new Event("focus"));
            document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "a", bubbles: true}));
        }"""
    )
    await keys_awake(page)
    assert desk.reviews["r1"].is_open


async def test_letters_in_a_comment_are_only_letters(page: Page, desk: MemoryDesk) -> None:
    await keys_awake(page)
    await page.get_by_label("Comment").press_sequentially("are per")
    assert desk.reviews["r1"].is_open
    assert await page.get_by_label("Comment").input_value() == "are per"


async def test_keys_walk_through_the_hunks_and_explain_themselves(page: Page) -> None:
    for key, hunk in [("n", "Hunk 1 of 2, line 7"), ("n", "Hunk 2 of 2, line 88"), ("p", "Hunk 1 of 2, line 7")]:
        await page.keyboard.press(key)
        await expect(page.locator("tbody.here th")).to_have_attribute("aria-label", hunk)
        await expect(page.locator("tbody.here th")).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_contain_text("next, previous hunk")
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).to_be_hidden()
    await page.keyboard.press("e")
    await expect(page.locator(".editor")).to_be_visible()


# ------------------------------------------------------------------ what happens elsewhere


ENDS = [
    (Step.CANCEL, "withdrew"),
    (Step.SUPERSEDE, "newer proposal"),
    (Step.EXPIRE, "Nobody decided"),
]


@pytest.mark.parametrize(("step", "says"), ENDS)
async def test_an_end_elsewhere_is_shown_at_once(page: Page, desk: MemoryDesk, step: Step, says: str) -> None:
    await desk.step("r1", step)
    await expect(page.locator("#outcome")).to_contain_text(says)
    await expect(page.locator("#live")).to_contain_text(says)
    await expect(page.locator("#accept")).to_be_hidden()


async def test_a_decision_in_the_ide_is_shown_and_the_click_after_it_is_late(page: Page, desk: MemoryDesk) -> None:
    # Not through `update`: the page hears of it from the answer to its own decision.
    desk.reviews["r1"] = decide(desk.reviews["r1"], 1e9, finals=None, trigger=Trigger.REJECTED_IN_IDE)
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Rejected. In the IDE.")
    assert desk.reviews["r1"].outcome is Outcome.REJECTED


async def test_a_change_of_display_does_not_make_a_click_late(page: Page, desk: MemoryDesk) -> None:
    review = desk.reviews["r1"]
    desk.reviews["r1"] = type(review)(**{name: getattr(review, name) for name in review.__slots__} | {"version": 9})
    await page.locator("#accept").click()
    await expect(page.locator("#outcome")).to_contain_text("Accepted.")


async def test_the_page_outlives_a_restart_of_the_bridge(
    desk: MemoryDesk, store: MemoryStore, watched: Watched
) -> None:
    async with serving(desk, store) as server:
        await follow(watched.page, await server.invite("r1"))
        await watched.page.get_by_label("Comment").fill("kept")
    await expect(watched.page.locator("#offline")).to_contain_text("not reachable, trying again")
    await desk.step("r1", Step.UNSHOW)
    async with serving(desk, store) as server:
        await server.resume()
        await expect(watched.page.locator("#offline")).to_be_hidden()
        await watched.page.locator("#accept").click()
        await expect(watched.page.locator("#outcome")).to_contain_text("Accepted.")
        assert desk.reviews["r1"].comments[0].text == "kept"


# ------------------------------------------------------------------ hostile text


PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</textarea></td></table><svg onload=alert(1)>",
    "\"'><iframe srcdoc='<script>parent.alert(1)</script>'>",
    "javascript:alert(1)",
    "<a href=javascript:alert(1)>x</a><base href=//evil.example>",
    "<style>@import '//evil.example'</style><link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "{{constructor.constructor('alert(1)')()}}${alert(1)}",
    "<form action=decision method=post><button id=accept></form>",
    "<!--\x00--><math><mtext></mtext><script>alert(1)</script>",
    "\u202e<script>\u2066alert(1)\u200b</script>\x1b[31m",
]


async def test_hostile_text_is_only_text(server: PageServer, watched: Watched, desk: MemoryDesk) -> None:
    everything = "\n".join(PAYLOADS)
    files = [
        change(f"{number}{payload}", everything, f"{payload}\n{payload}\n") for number, payload in enumerate(PAYLOADS)
    ]
    desk.ide = everything
    desk.propose(*files, title=everything, agent=everything)
    page = watched.page
    await follow(page, await server.invite("r1"))
    await page.get_by_role("button", name="Edit").click()
    await expect(page.locator(".editor textarea")).to_have_count(len(PAYLOADS))
    await page.locator(".editor textarea").first.fill(everything)
    await expect(page.locator("#accept-label")).to_have_text("Accept with edits")
    for payload in PAYLOADS[:-2]:
        assert payload in await page.locator("h1#title").inner_text()
        await expect(page.locator("tr.add", has_text=payload).first).to_be_visible()
    assert await page.locator("script, iframe, svg, img, base, style, meta[http-equiv], a").count() == 1  # app.js
    await page.get_by_label("Comment").fill(everything)
    await page.locator("#reject").click()
    await expect(page.locator("#outcome")).to_contain_text("Rejected.")
    assert watched.complaints == []


async def test_what_cannot_be_seen_is_shown_and_warned_of(page: Page, desk: MemoryDesk) -> None:
    desk.propose(change("a.py", "ok = 1\n", "ok\u202e = 1\u200b\x1b\tend\ud83d\n"))
    await page.reload()
    await expect(page.locator("tr.add .hidden-char")).to_have_text([r"\u202e", r"\u200b", r"\x1b", r"\ud83d"])
    await expect(page.locator(".warnings")).to_contain_text("bidirectional controls")


async def test_a_large_change_does_not_freeze_the_page(page: Page, desk: MemoryDesk) -> None:
    lines = [f"{number}" for number in range(50_000)]
    many = [f"{line} changed" if index % 50 == 0 else line for index, line in enumerate(lines)]
    desk.propose(
        change("all.txt", "\n".join(lines), "\n".join(line + "!" for line in lines)),
        change("many.txt", "\n".join(lines), "\n".join(many)),
        change("wide.min.js", "x", "y" * 1_000_000),
    )
    await page.reload()
    await expect(page.locator("#about")).to_contain_text("+51001 \u221251001")
    assert await page.locator("tr").count() < 2_500
    every, hunks, wide = (page.locator(".file").nth(index) for index in range(3))
    await every.get_by_role("button", name="Show 99600 more lines").click()
    await expect(every.get_by_role("button", name="Show 95600 more lines")).to_be_visible()
    await hunks.get_by_role("button", name="Show more hunks (900 left)").click()
    await expect(hunks.locator("tbody.hunk")).to_have_count(200)
    assert len(await wide.inner_text()) < 5_000
    await wide.get_by_role("button", name="Show 998000 more characters").click()
    await expect(wide.locator("tr.add button")).to_have_count(0)


# ------------------------------------------------------------------ other origins


EVIL = """<!doctype html><iframe src="{address}"></iframe>
<script>
const tried = [];
const attempt = (name, promise) => tried.push(promise.then(() => name + " worked", () => name + " failed"));
const headers = {{"Content-Type": "application/json", "X-Bridge-Secret": "x"}};
const body = '{{"version": 2, "accept": true}}';
attempt("read", fetch("{address}review", {{credentials: "include"}}));
attempt("read the shell", fetch("{address}"));
attempt("decide", fetch("{address}decision", {{method: "POST", credentials: "include", headers, body}}));
attempt("import", import("{address}../../static/app.js"));
attempt("embed", new Promise((done, failed) => {{
  const script = document.createElement("script");
  [script.src, script.onload, script.onerror] = ["{address}review", done, failed];
  document.head.append(script);
}}));
fetch("{address}decision", {{method: "POST", mode: "no-cors", credentials: "include", body}});
navigator.sendBeacon("{address}decision", new Blob([body], {{type: "application/json"}}));
navigator.sendBeacon("{address}decision", body);
Promise.all(tried).then((results) => {{ document.title = results.join(", "); }});
</script>
<form action="{address}decision" method="post" enctype="text/plain" target="there">
  <input name='{{"version":2,"accept":true,"comment":"' value='"}}'>
</form>
<iframe name="there"></iframe>
<script>document.forms[0].submit();</script>"""


async def test_a_page_of_another_origin_can_do_nothing(page: Page, context: BrowserContext, desk: MemoryDesk) -> None:
    """It runs in the same browser, on the same host, so it has the cookie; only the port differs."""

    async def evil(_: web.Request) -> web.Response:
        return web.Response(text=EVIL.format(address=page.url), content_type="text/html")

    app = web.Application()
    app.router.add_get("/", evil)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        attacker = await context.new_page()
        await attacker.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        failed = "read failed, read the shell failed, decide failed, import failed, embed failed"
        await expect(attacker).to_have_title(failed)
        async with asyncio.timeout(10):
            while len(attacker.frames) < 3 or any(frame.url == "about:blank" for frame in attacker.frames):
                await attacker.wait_for_event("framenavigated", timeout=10_000)
        for frame in attacker.frames[1:]:
            assert await frame.locator("#accept").count() == 0
    finally:
        await runner.cleanup()
    assert desk.reviews["r1"].is_open
