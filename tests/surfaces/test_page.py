import asyncio
import io
import json
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from bridge import web
from bridge.core.reviews import Comment, Outcome, State, Step
from bridge.surfaces import page
from bridge.surfaces.page import Invitation, PageServer
from tests.surfaces.desk import MemoryDesk, MemoryStore, change, serving

pytestmark = pytest.mark.timeout(20)


@dataclass
class Browser:
    """What the page's script does, without a browser."""

    http: aiohttp.ClientSession
    address: str
    cookie: str = ""
    secret: str = ""

    @property
    def origin(self) -> str:
        return self.address.partition("/r/")[0]

    async def ask(self, path: str, body: Any = None, headers: dict[str, str | None] | None = None) -> tuple[int, Any]:
        """Send one request of the page, with `headers` replaced or (None) left out; return status and JSON."""
        own = {"Cookie": f"bridge={self.cookie}", "X-Bridge-Secret": self.secret, "Sec-Fetch-Site": "same-origin"}
        own |= {} if body is None else {"Origin": self.origin, "Content-Type": "application/json"}
        sent = {key: value for key, value in (own | (headers or {})).items() if value is not None}
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        skip = ["Content-Type"] if "Content-Type" not in sent else []
        async with self.http.request(
            method,
            self.address + path,
            data=raw and io.BytesIO(raw),
            headers=sent,
            skip_auto_headers=skip,
            allow_redirects=False,
        ) as answer:
            text = await answer.text()
            if "bridge" in answer.cookies:
                self.cookie = answer.cookies["bridge"].value
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def enter(self, link: str) -> int:
        status, answer = await self.ask("session", {"code": link.partition("#code=")[2]})
        self.secret = answer.get("secret", "")
        return status


@asynccontextmanager
async def browsing(invitation: Invitation, *, enter: bool = True) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        browser = Browser(http, invitation.address)
        if enter:
            assert await browser.enter(invitation.link) == 200
        yield browser


@pytest.fixture
def desk() -> MemoryDesk:
    desk = MemoryDesk()
    desk.propose(change("src/a.py", "one\r\ntwo\r\n", "one\r\n2\r\n"), title="Count")
    return desk


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def server(desk: MemoryDesk, store: MemoryStore) -> AsyncIterator[PageServer]:
    async with serving(desk, store) as server:
        yield server


@pytest.fixture
async def browser(server: PageServer) -> AsyncIterator[Browser]:
    async with browsing(await server.invite("r1")) as browser:
        yield browser


# ------------------------------------------------------------------ what the page shows


async def test_the_review_as_the_page_sees_it(browser: Browser, desk: MemoryDesk) -> None:
    desk.ide = "VS\x1b Code"
    status, review = await browser.ask("review")
    assert status == 200
    assert review == {
        "id": "r1",
        "version": 2,
        "state": "shown",
        "open": True,
        "outcome": None,
        "trigger": None,
        "title": "Count",
        "agent": "an agent",
        "workspace": "/home/me/project",
        "created": 1e9,
        "shown_in": r"VS\x1b Code",
        "comments": [],
        "files": [
            {
                "path": "src/a.py",
                "verdict": None,
                "kind": "modify",
                "added": 1,
                "removed": 1,
                "hunks": [
                    {
                        "id": "h1",
                        "old": [1, 2],
                        "new": [1, 2],
                        "lines": [
                            [" ", "one", "\r\n", 1, 1],
                            ["-", "two", "\r\n", 2, None],
                            ["+", "2", "\r\n", None, 2],
                        ],
                    }
                ],
                "proposed": "one\r\n2\r\n",
                "final": None,
                "warnings": [],
            }
        ],
    }


WARNED = [
    ("a.py", "x\n", "x\u202e\x1b\n", "bidirectional controls and control characters"),
    ("a\u200b.py", "x\n", "y\n", "file's name holds characters that cannot be seen"),
    (".vscode/tasks.json", "{}\n", "{ }\n", "Programs on this machine may run"),
    ("sub/.git/hooks/pre-commit", "", "exit\n", "Programs on this machine may run"),
    ("a.py", "x\r\ny\r\n", "x\ny", "Only line endings"),
]


@pytest.mark.parametrize(("path", "base", "proposed", "warning"), WARNED)
async def test_the_reader_is_warned(
    browser: Browser, desk: MemoryDesk, path: str, base: str, proposed: str, warning: str
) -> None:
    desk.propose(change(path, base, proposed))
    _, review = await browser.ask("review")
    assert [text for text in review["files"][0]["warnings"] if warning in text]


async def test_a_cut_emoji_and_an_undecodable_path_get_through(browser: Browser, desk: MemoryDesk) -> None:
    desk.propose(change("caf\udce9", "", "cut \ud83d\n", new=True))
    _, review = await browser.ask("review")
    assert review["files"][0]["path"] == r"caf\xe9"
    assert review["files"][0]["kind"] == "create"
    assert review["files"][0]["proposed"] == "cut \ud83d\n"
    body = {"version": review["version"], "accept": True, "files": ["cut \ud83d!\n"], "comment": ""}
    _, review = await browser.ask("decision", body)
    assert review["files"][0]["final"] == "cut \ud83d!\n"


async def test_a_preview_shows_what_an_edit_would_change(browser: Browser) -> None:
    """The browser's own line endings are not an edit."""
    status, answer = await browser.ask("preview", {"files": ["one\n2\n3\n"]})
    assert status == 200
    assert (answer["files"][0]["added"], answer["files"][0]["removed"]) == (2, 1)
    assert answer["files"][0]["hunks"][0]["lines"][-1] == ["+", "3", "\r\n", None, 3]


async def test_a_preview_is_of_the_edited_files_alone(browser: Browser, desk: MemoryDesk) -> None:
    desk.propose(change("a", "1\n", "2\n"), change("b", "1\n", "2\n"))
    _, answer = await browser.ask("preview", {"files": [None, "1\n3\n"]})
    assert answer["files"][0] is None
    assert (answer["files"][1]["added"], answer["files"][1]["removed"]) == (1, 0)


# ------------------------------------------------------------------ waiting for news


async def test_news_arrive_at_once(browser: Browser, desk: MemoryDesk) -> None:
    await browser.ask("review")
    waiting = asyncio.ensure_future(browser.ask("review?after=2"))
    await desk.step("r1", Step.CANCEL)
    status, review = await waiting
    assert (status, review["outcome"], review["open"]) == (200, "cancelled", False)


async def test_no_news_are_an_empty_answer(browser: Browser, desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.surfaces.routes.POLL_S", 0.01)
    assert await browser.ask("review?after=7") == (204, "")


async def test_stopping_answers_whoever_waits(server: PageServer, browser: Browser) -> None:
    await browser.ask("review")
    waiting = asyncio.ensure_future(browser.ask("review?after=2"))
    async with asyncio.timeout(5):
        while not server.busy:
            await asyncio.sleep(0)
        await server.stop()
        assert await waiting == (204, "")
    assert not server.running
    assert not server.busy


# ------------------------------------------------------------------ deciding


@pytest.mark.parametrize(
    ("accept", "files", "comment", "outcome", "final"),
    [
        (True, None, "", Outcome.ACCEPTED, "one\r\n2\r\n"),
        (True, ["one\n2\n"], " ", Outcome.ACCEPTED, "one\r\n2\r\n"),
        (True, ["one\nzwei"], "why?", Outcome.ACCEPTED_WITH_EDITS, "one\r\nzwei\r\n"),
        (False, None, "no\nmore", Outcome.REJECTED, None),
        (False, ["one\nzwei"], "", Outcome.REJECTED, None),
    ],
)
async def test_a_decision_reaches_the_desk(
    browser: Browser,
    desk: MemoryDesk,
    accept: bool,
    files: list[str] | None,
    comment: str,
    outcome: Outcome,
    final: str | None,
) -> None:
    body = {"version": 1, "accept": accept, "files": files, "comment": comment}
    status, review = await browser.ask("decision", body)
    decided = desk.reviews["r1"]
    assert (status, review["outcome"], decided.outcome) == (200, outcome, outcome)
    assert (decided.files[0].final, review["files"][0]["final"]) == (final, final)
    assert decided.comments == ((Comment(text=comment),) if comment.strip() else ())


SEVERAL: list[tuple[list[str | None] | None, Outcome, list[str | None]]] = [
    (None, Outcome.ACCEPTED, ["accepted", "accepted"]),
    (["2\n", "3"], Outcome.ACCEPTED_WITH_EDITS, ["accepted", "edited"]),
    ([None, "2"], Outcome.PARTIALLY_ACCEPTED, ["rejected", "accepted"]),
    (["3", None], Outcome.PARTIALLY_ACCEPTED, ["edited", "rejected"]),
    ([None, None], Outcome.REJECTED, ["rejected", "rejected"]),
]


@pytest.mark.parametrize(("files", "outcome", "verdicts"), SEVERAL)
async def test_a_decision_is_about_each_of_several_files(
    browser: Browser, desk: MemoryDesk, files: list[str | None] | None, outcome: Outcome, verdicts: list[str | None]
) -> None:
    desk.propose(change("a", "1\n", "2\n"), change("b", "1\n", "2\n"))
    _, review = await browser.ask("review")
    assert [file["verdict"] for file in review["files"]] == [None, None]
    _, review = await browser.ask("decision", {"version": 2, "accept": True, "files": files, "comment": ""})
    assert desk.reviews["r1"].outcome is outcome
    assert [file["verdict"] for file in review["files"]] == verdicts


async def test_a_late_decision_learns_what_was_decided(browser: Browser, desk: MemoryDesk) -> None:
    await browser.ask("review")
    await desk.decide("r1", 2, None, ())
    body = {"version": 2, "accept": True, "files": None, "comment": ""}
    status, answer = await browser.ask("decision", body)
    assert status == 409
    assert "already rejected" in answer["error"]["message"]
    assert answer["review"]["outcome"] == "rejected"
    assert desk.reviews["r1"].outcome is Outcome.REJECTED


async def test_the_first_of_two_decisions_wins(browser: Browser, desk: MemoryDesk) -> None:
    yes = {"version": 1, "accept": True, "files": None, "comment": ""}
    answers = await asyncio.gather(browser.ask("decision", yes), browser.ask("decision", yes | {"accept": False}))
    assert sorted(status for status, _ in answers) == [200, 409]
    assert desk.reviews["r1"].version == 2


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b'{"version": 1}',
    b'{"version": "1", "accept": true}',
    b'{"version": 1, "accept": true, "files": []}',
    b'{"version": 1, "accept": true, "files": ["a", "b"]}',
    b'{"version": 1, "accept": true, "files": [NaN]}',
    b'{"version": 1, "accept": 1}',
    b"[" * 100_000,
    b"\xff",
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:40]))
async def test_a_malformed_decision_decides_nothing(browser: Browser, desk: MemoryDesk, body: bytes) -> None:
    status, answer = await browser.ask("decision", body)
    assert status == 400
    assert answer["error"]["message"]
    assert desk.reviews["r1"].is_open


async def test_two_large_texts_pass_and_more_does_not(browser: Browser, desk: MemoryDesk) -> None:
    large = "é" * (2 * 2**20)
    desk.propose(change("a", "", large), change("b", "", large))
    body = {"version": 1, "accept": True, "files": [large + "!", large], "comment": ""}
    assert len(json.dumps(body)) > 24 * 2**20
    status, _ = await browser.ask("preview", json.dumps({"files": [large * 2, large]}).encode())
    assert status == 413
    status, _ = await browser.ask("decision", body)
    assert status == 200
    assert desk.reviews["r1"].files[0].final == large + "!"


@pytest.mark.parametrize("after", ["x", "-1", "1e9", "9" * 40, ""])
async def test_a_malformed_version_is_refused(browser: Browser, after: str) -> None:
    status, _ = await browser.ask(f"review?after={after}")
    assert status == 400


async def test_a_review_that_is_gone_is_said_to_be(browser: Browser, desk: MemoryDesk) -> None:
    waiting = asyncio.ensure_future(browser.ask("review?after=1"))
    async with asyncio.timeout(5):
        while not desk.waiting:
            await asyncio.sleep(0)
        await desk.purge("r1")
        assert (await waiting)[0] == 404
    status, answer = await browser.ask("preview", {"files": []})
    assert (status, answer["error"]["hint"]) == (404, "bridge review ls")


# ------------------------------------------------------------------ who may ask


async def test_a_code_works_once(server: PageServer) -> None:
    invitation = await server.invite("r1")
    async with browsing(invitation) as first, browsing(invitation, enter=False) as second:
        assert await second.enter(invitation.link) == 403
        assert (await first.ask("review"))[0] == 200


async def test_two_racing_uses_of_a_code_have_one_winner(server: PageServer) -> None:
    invitation = await server.invite("r1")
    async with browsing(invitation, enter=False) as browser:
        statuses = await asyncio.gather(*(browser.enter(invitation.link) for _ in range(5)))
    assert sorted(statuses) == [200, 403, 403, 403, 403]


async def test_a_code_dies_with_its_review_but_a_reader_reads_the_end(server: PageServer, desk: MemoryDesk) -> None:
    late = await server.invite("r1")
    async with browsing(await server.invite("r1")) as reader, browsing(late, enter=False) as latecomer:
        await desk.step("r1", Step.EXPIRE)
        await server.forget("r1")
        assert await latecomer.enter(late.link) == 403
        status, review = await reader.ask("review")
        assert (status, review["outcome"]) == (200, "expired")


REQUESTS = [
    ("review", None),
    ("review?after=0", None),
    ("preview", {"files": ["x"]}),
    ("decision", {"version": 1, "accept": True, "files": None, "comment": ""}),
]


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": None},
        {"X-Bridge-Secret": None},
        {"Cookie": None, "X-Bridge-Secret": None},
        {"Cookie": "bridge=\xe9"},
        {"X-Bridge-Secret": "é" * 43},
        {"X-Bridge-Secret": "x" * 43},
    ],
)
async def test_cookie_and_secret_are_both_needed(
    browser: Browser, desk: MemoryDesk, headers: dict[str, str | None]
) -> None:
    for path, body in REQUESTS:
        status, answer = await browser.ask(path, body, headers)
        assert (status, answer["error"]["hint"]) == (403, "bridge review open")
    assert desk.reviews["r1"].state is State.PROPOSED


async def test_the_keys_of_one_page_do_not_open_another(server: PageServer, browser: Browser, desk: MemoryDesk) -> None:
    desk.propose(change("b", "", "private"), review_id="r2")
    browser.address = (await server.invite("r2")).address
    for path, body in REQUESTS:
        status, answer = await browser.ask(path, body)
        assert status == 403
        assert "private" not in json.dumps(answer)
    assert desk.reviews["r2"].state is State.PROPOSED


HOSTS = [
    "",
    "localhost:{port}",
    "LOCALHOST:{port}",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:80",
    "127.0.0.1:{port}1",
    "127.0.0.1:0{port}",
    "127.0.0.1.:{port}",
    "127.1:{port}",
    "127.0.0.2:{port}",
    "0.0.0.0:{port}",
    "2130706433:{port}",
    "0x7f.0.0.1:{port}",
    "[::1]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[fe80::1%25lo]:{port}",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "user@127.0.0.1:{port}",
    "127.0.0.1:{port}@evil.example",
    "127.0.0.1:{port}, evil.example",
    "http://127.0.0.1:{port}",
]


@pytest.mark.parametrize("host", HOSTS)
async def test_only_the_exact_host_is_answered(browser: Browser, host: str) -> None:
    port = browser.origin.rpartition(":")[2]
    for path in ("", "review", "../../static/app.js"):
        status, answer = await browser.ask(path, headers={"Host": host.format(port=port)})
        assert (status, answer) == (421, "this address is not ours")


@pytest.mark.parametrize("lines", [[], ["Host: 127.0.0.1:{port}", "Host: evil.example"]], ids=["none", "two"])
async def test_a_request_names_exactly_one_host(browser: Browser, lines: list[str]) -> None:
    port = int(browser.origin.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [f"GET {browser.address.removeprefix(browser.origin)} HTTP/1.0", *lines, "", ""]
    writer.write("\r\n".join(head).format(port=port).encode())
    async with asyncio.timeout(5):
        status = (await reader.readline()).split()[1]
        writer.close()
        await writer.wait_closed()
    assert status in (b"400", b"421")


OWN = "http://127.0.0.1:{port}"
# (Origin,                      Sec-Fetch-Site,   GET,  POST)
ORIGINS = [
    (OWN,                        "same-origin",    200,  200),
    (OWN,                        None,             200,  200),
    (None,                       "same-origin",    200,  403),
    (None,                       None,             200,  403),
    (None,                       "cross-site",     403,  403),
    (None,                       "same-site",      403,  403),
    (None,                       "none",           403,  403),
    (OWN,                        "cross-site",     403,  403),
    (OWN,                        "same-site",      403,  403),
    ("null",                     "same-origin",    403,  403),
    ("",                         "same-origin",    403,  403),
    ("http://localhost:{port}",  "same-origin",    403,  403),
    ("https://127.0.0.1:{port}", "same-origin",    403,  403),
    ("http://127.0.0.1:1",       "same-origin",    403,  403),
    (OWN + ".evil.example",      "same-origin",    403,  403),
    ("http://evil.example",      None,             403,  403),
]  # fmt: skip


@pytest.mark.parametrize(("origin", "site", "get", "post"), ORIGINS)
async def test_only_the_page_itself_may_ask(
    browser: Browser, origin: str | None, site: str | None, get: int, post: int
) -> None:
    port = browser.origin.rpartition(":")[2]
    headers = {"Origin": origin and origin.format(port=port), "Sec-Fetch-Site": site}
    assert (await browser.ask("review", headers=headers))[0] == get
    assert (await browser.ask("preview", {"files": ["x"]}, headers))[0] == post


@pytest.mark.parametrize("site", ["none", "same-origin", "cross-site", None])
async def test_any_navigation_reaches_the_shell_and_no_data(browser: Browser, site: str | None) -> None:
    status, shell = await browser.ask("", headers={"Sec-Fetch-Site": site, "Cookie": None, "X-Bridge-Secret": None})
    assert status == 200
    assert "Count" not in shell
    assert "a.py" not in shell


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_a_form_cannot_decide(browser: Browser, desk: MemoryDesk, kind: str | None) -> None:
    body = {"version": 1, "accept": True, "files": None, "comment": ""}
    status, _ = await browser.ask("decision", body, {"Content-Type": kind})
    assert status == 415
    assert desk.reviews["r1"].is_open


@pytest.mark.parametrize(
    "path", ["", "review", "nothing", "session", "/static/app.js", "/static/../page.py", "/static/%2e%2e/page.py"]
)
async def test_every_answer_forbids_what_the_page_does_not_need(browser: Browser, path: str) -> None:
    base = browser.origin if path.startswith("/") else browser.address
    async with browser.http.get(base + path) as answer:
        assert "page" not in await answer.text() or answer.status == 200
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]:
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert not {"Server", "Date", "Access-Control-Allow-Origin"} & set(headers)


async def test_the_cookie_is_for_this_page_and_no_script(server: PageServer) -> None:
    invitation = await server.invite("r1")
    body = {"code": invitation.link.partition("#code=")[2]}
    origin = invitation.address.partition("/r/")[0]
    async with (
        aiohttp.ClientSession() as http,
        http.post(invitation.address + "session", json=body, headers={"Origin": origin}) as answer,
    ):
        (cookie,) = answer.headers.getall("Set-Cookie")
    path = invitation.address.removeprefix(origin)
    assert re.fullmatch(r"bridge=[\w-]{43}; HttpOnly; Path=" + path + "; SameSite=strict", cookie)
    assert re.fullmatch(r"/r/[\w-]{22}/", path)
    assert "r1" not in path


# ------------------------------------------------------------------ lives of the server


async def test_a_restart_on_the_same_port_keeps_the_session(desk: MemoryDesk, store: MemoryStore) -> None:
    async with serving(desk, store) as server:
        unused = await server.invite("r1")
        entered = await server.invite("r1")
        async with browsing(entered) as browser:
            keys = browser.cookie, browser.secret
    async with serving(desk, store) as server:
        await server.resume()
        async with browsing(unused) as newcomer, browsing(entered, enter=False) as browser:
            assert (await newcomer.ask("review"))[0] == 200
            browser.cookie, browser.secret = keys
            assert (await browser.ask("review"))[0] == 200


async def test_a_port_that_was_taken_ends_all_access(desk: MemoryDesk, store: MemoryStore) -> None:
    async with serving(desk, store) as server:
        unused = await server.invite("r1")
        async with browsing(await server.invite("r1")) as browser:
            keys = browser.cookie, browser.secret
    port = int(browser.origin.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        async with serving(desk, store) as server:
            fresh = await server.invite("r1")
            new_port = fresh.address.partition("/r/")[0].rpartition(":")[2]
            assert int(new_port) != port
            moved = Invitation(*(part.replace(f":{port}/", f":{new_port}/") for part in unused))
            async with browsing(moved, enter=False) as browser:
                assert await browser.enter(moved.link) == 403
                for address in (moved.address, fresh.address):
                    browser.address, browser.cookie, browser.secret = address, *keys
                    assert (await browser.ask("review"))[0] == 403
    async with serving(desk, store) as server:  # and they stay dead on their own port
        assert (await server.invite("r1")).address.startswith(f"http://127.0.0.1:{new_port}/")


async def test_the_server_resumes_only_for_open_pages(desk: MemoryDesk, store: MemoryStore) -> None:
    async with serving(desk, store) as server:
        await server.forget("r1")  # nobody was ever invited
        await server.resume()
        assert not server.running
        await server.invite("r1")
        assert server.running
    async with serving(desk, store) as server:
        await server.forget("r1")  # the review ended while the server was down
        await server.resume()
        assert not server.running


async def test_starting_and_stopping_twice_is_harmless(server: PageServer, store: MemoryStore) -> None:
    await asyncio.gather(server.start(), server.start())
    before = store.state
    assert server.running
    await asyncio.gather(server.stop(), server.stop())
    assert not server.running
    await server.start()
    assert store.state == before


async def test_the_daemon_keeps_its_signals_and_learns_when_the_page_was_used(
    desk: MemoryDesk, store: MemoryStore
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    now = 100.0
    async with asyncio.TaskGroup() as tasks:
        server = PageServer(desk, store, tasks, admits=lambda *_: True, clock=lambda: now)
        async with browsing(await server.invite("r1")) as browser:
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
            now = 200.0
            await browser.ask("review")
        assert server.last_used == 200.0
        await server.stop()


async def test_no_token_and_no_path_is_ever_logged_or_printed(
    desk: MemoryDesk, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(desk, store) as server:
        invitation = await server.invite("r1")
        async with browsing(invitation) as browser:
            await browser.ask("review")
            await browser.ask("review", headers={"Host": "evil.example"})
            await browser.ask("decision", b"{")
            await browser.enter(invitation.link)
        keys = browser.cookie, browser.secret
    code = invitation.link.partition("#code=")[2]
    records = [record.getMessage() for record in caplog.records if not record.name.startswith("asyncio")]
    told = "\n".join([*records, repr(invitation), json.dumps(store.state)])
    assert not [token for token in (code, *filter(None, keys)) if token in told]
    assert "/r/" not in "\n".join(records)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
async def test_a_connection_of_another_user_is_cut_off(server: PageServer) -> None:
    """He may have stood on the port while the daemon was away, and been shown cookie and secret."""
    address = (await server.invite("r1")).address
    said = []
    for uid in (os.getuid(), 65534):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", VISITOR, str(uid), address, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        said.append(out.decode().strip())
    assert said == ["HTTP/1.1 200", "nothing"]


VISITOR = """
import os, socket, sys, urllib.parse
"".encode("idna")  # a codec that is loaded when it is wanted, and then cannot be read
os.setuid(int(sys.argv[1]))
url = urllib.parse.urlsplit(sys.argv[2])
with socket.create_connection((url.hostname, url.port), timeout=10) as visit:
    try:
        visit.sendall(f"GET {url.path} HTTP/1.1\\r\\nHost: {url.netloc}\\r\\n\\r\\n".encode())
        print(visit.recv(12).decode() or "nothing")
    except ConnectionError:
        print("nothing")
"""


async def test_a_connection_that_asks_nothing_is_cut_off(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "FIRST_REQUEST_S", 0.05)
    address = urlsplit((await server.invite("r1")).address)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_connections_beyond_the_limit_are_cut_off_and_the_others_served(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "CONNECTIONS", 2)
    address = urlsplit((await server.invite("r1")).address)
    ends = [await asyncio.open_connection(address.hostname, address.port) for _ in range(3)]
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await ends[2][0].read() == b""
    ends[0][1].write(f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    async with asyncio.timeout(10):
        assert (await ends[0][0].readline()).startswith(b"HTTP/1.1 200")
    for _, writer in ends:
        writer.close()
