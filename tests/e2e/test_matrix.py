"""Every story with and without the bridge: direct, bridged, and bridged twice, whatever speaks at either end.

The agent knows nothing of the bridge and speaks WebSocket or SSE; the IDE is one of five plugins. What each of them
says to an agent directly, and what the bridge makes of that, with the reason, is in `STORIES`. Once or twice through a
bridge, and over which transport, makes no difference to the agent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from ide_plugins.emulator import Emulator
from tests.e2e.agents import Address, Agent, Message, Run, agent, read_lock, soon, words
from tests.e2e.support import PATIENCE_S, Home

# ---- the two ends, and what is between them

IDES: Final[Mapping[str, dict[str, Any]]] = {
    "official": {},
    "official over SSE": {"transport": "sse"},
    "monet": {"personality": "monet"},
    "el": {"personality": "el"},
    "nvim": {"personality": "nvim"},
}
ROUTES: Final = {
    # hops, how the agent speaks; directly it speaks as the IDE wants it
    "direct": (0, ""),
    "bridged, WebSocket": (1, "ws"),
    "bridged, SSE": (1, "sse"),
    "bridged twice, WebSocket": (2, "ws"),
    "bridged twice, SSE": (2, "sse"),
}


@dataclass
class Route:
    """How an agent gets to its IDE."""

    hops: int
    workspace: Path
    lock_dir: Path  # where the IDE announces itself
    door: Address | None = None  # the bridge that poses as an IDE; None: the IDE itself is found
    renew: Callable[[], None] = lambda: None  # lets the second bridge meet the first one anew
    files: Iterator[int] = field(default_factory=count)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Home, Path]]:
    """Two homes and where the daemon of the first is published, the only place where that of the second looks."""
    base = tmp_path_factory.mktemp("homes")
    with ExitStack() as stack:
        first, second = Home(base / "a"), Home(base / "b", CLAUDE_CONFIG_DIR=str(base / "published"))
        stack.callback(first.close)
        stack.callback(second.close)
        yield first, second, base / "published"


@pytest.fixture(scope="module", params=ROUTES)
def route(
    request: pytest.FixtureRequest, homes: tuple[Home, Home, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Route]:
    hops, transport = ROUTES[request.param]
    first, second, published = homes
    workspace = tmp_path_factory.mktemp("work")
    if hops == 0:
        yield Route(hops, workspace, tmp_path_factory.mktemp("locks"))
        return
    with ExitStack() as stack:
        run = Run(*(["--sse"] if transport == "sse" else []), cwd=workspace, environ=(first, second)[hops - 1].environ)
        stack.callback(run.close)
        there = Route(hops, workspace, first.lock_dir, run.address)
        if hops == 2:
            client = stack.enter_context(first.client(CLAUDE_CONFIG_DIR=str(published)))

            def renew() -> None:
                for on in (False, True):
                    client.request("publish/set", {"on": on, "transport": transport})

            there.renew = renew
            stack.callback(lambda: client.request("publish/set", {"on": False}))
        yield there


@dataclass
class Stage:
    """What a story is played on."""

    ide: Emulator
    agent: Agent
    file: Path  # holds "one\ntwo\n"

    def plain(self, said: Any) -> Any:
        """Give what was said with ``FILE`` in place of the file's path, and ``URI`` in place of its URI."""
        text = json.dumps(said, ensure_ascii=False)
        return json.loads(text.replace(self.file.as_uri(), "URI").replace(str(self.file), "FILE"))


@pytest.fixture
async def stage(route: Route, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    ide_name, story_name = request.param
    file = route.workspace / f"{next(route.files)} é#%20 {{x}}.txt"
    file.write_text("one\ntwo\n")
    options = {**IDES[ide_name], **STORIES[story_name].options}
    async with Emulator(workspace=route.workspace, lock_dir=route.lock_dir, **options) as ide:
        route.renew()
        async with agent(route.door or read_lock(ide.lock_path)) as ann:
            await ann.until_offered("openFile")
            yield Stage(ide, ann, file)
            assert ann.strays == []


# ---- the stories; each gives what the agent heard, and what came of it in the IDE

Heard = Any


async def open_file(s: Stage) -> Heard:
    said = await _open(s, s.file)
    shown = s.ide.window.selection
    return *said, None if shown is None else shown.text


async def open_missing_file(s: Stage) -> Heard:
    missing = s.file.with_name("missing.txt")
    return tuple(word.replace(str(missing), "MISSING") for word in await _open(s, missing))


async def _open(s: Stage, path: Path) -> tuple[str, ...]:
    texts = {"startText": "two", "endText": "two", "selectToEndOfLine": False}
    return words(await s.agent.call("openFile", filePath=str(path), preview=False, makeFrontmost=True, **texts))


async def accept(s: Stage) -> Heard:
    return await _decide(s, s.ide.accept())


async def edit(s: Stage) -> Heard:
    return await _decide(s, s.ide.accept("mine\n"))


async def reject(s: Stage) -> Heard:
    return await _decide(s, s.ide.reject())


async def close(s: Stage) -> Heard:
    return await _decide(s, s.ide.close_tab_by_user())


async def _decide(s: Stage, deed: Awaitable[None]) -> Heard:
    """Propose a change, let the human decide, write what was accepted, and close the tab."""
    proposed = await s.agent.propose(s.file, "new\n")
    diff = await s.ide.next_diff()
    assert (diff.new_file_path, diff.contents) == (str(s.file), "new\n")
    await deed
    answer = words(await soon(proposed))
    if answer[0] == "FILE_SAVED":
        s.file.write_text(answer[1])
    closed = await s.agent.close_tab()
    await s.ide.until(lambda: not s.ide.diffs)
    return *answer, *closed


async def accept_new_file(s: Stage) -> Heard:
    """In a directory that is not there either: the agent makes it."""
    s.file = s.file.with_suffix("") / "new" / "file.txt"
    proposed = await s.agent.propose(s.file, "new\n")
    diff = await s.ide.next_diff()
    assert diff.new_file_path == str(s.file)
    await s.ide.accept()
    return *words(await soon(proposed)), *(await s.agent.close_tab())


async def change_nothing(s: Stage) -> Heard:
    return words(await soon(await s.agent.propose(s.file, "one\ntwo\n")))


async def accept_strange_text(s: Stage) -> Heard:
    """What ends a line to some but not to JSON, what is no character at all, and much of it."""
    proposed = await s.agent.propose(s.file, STRANGE)
    await s.ide.next_diff()
    await s.ide.accept()
    ((kind, final),) = [words(await soon(proposed))]
    await s.agent.close_tab()
    return kind, final == STRANGE


async def select_half_an_emoji(s: Stage) -> Heard:
    await s.ide.select(s.file, "two", (1, 0))
    await s.agent.call("getDiagnostics")
    return tuple(params["text"] for params in _heard(s, "selection_changed"))


async def close_and_mean_nothing(s: Stage) -> Heard:
    """The human closes a tab whose plugin tells that from a rejection; the agent takes its proposal back then."""
    proposed = await s.agent.propose(s.file, "new\n")
    await s.ide.next_diff()
    await s.ide.close_tab_by_user()
    await s.agent.close_tab()
    answer = await soon(proposed)
    return *words(answer), _outcome(answer)


def _outcome(answer: Message) -> str | None:
    outcome: str | None = answer["result"].get("_meta", {}).get("bridge/review", {}).get("outcome")
    return outcome


async def two_diffs(s: Stage) -> Heard:
    """One agent shows two changes at once; the human accepts whatever there is to accept."""
    other = s.file.with_name(f"other-{s.file.name}")
    first = await s.agent.propose(s.file, "first\n", "tab 1")
    await s.ide.next_diff()
    second = await s.agent.propose(other, "second\n", "tab 2")
    await s.agent.tools()  # by now the IDE, or the bridge, has the second one
    human = asyncio.ensure_future(_accept_all(s.ide))
    answers = *words(await soon(first)), *words(await soon(second))
    human.cancel()
    return answers


async def _accept_all(ide: Emulator) -> None:
    while True:
        await ide.until(lambda: ide.pending, PATIENCE_S)
        with suppress(LookupError):  # it was decided meanwhile
            await ide.accept()


async def selection(s: Stage) -> Heard:
    await s.ide.select(s.file, "two", (1, 0))
    said = words(await s.agent.call("getCurrentSelection"))
    (pushed,) = _heard(s, "selection_changed")
    return *_selected(s, pushed), *(said if said[0] in ("error", "refused") else _selected(s, json.loads(said[0])))


def _selected(s: Stage, said: Message) -> tuple[str, str, int]:
    return said["text"], s.plain(said["filePath"]), said["selection"]["start"]["line"]


async def mention(s: Stage) -> Heard:
    """The human mentions a part of a file; and the plugin says something that nobody knows yet."""
    for method in ("at_mentioned", "of_tomorrow"):
        await s.ide.notify(method, {"filePath": str(s.file), "lineStart": 1, "lineEnd": 2})
    await s.agent.call("getDiagnostics")
    return *_heard(s, "at_mentioned"), *_heard(s, "of_tomorrow")


async def diagnostics(s: Stage) -> Heard:
    place = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 3}}
    await s.ide.diagnose(s.file, [{"message": "odd", "severity": "Error", "range": place}])
    (said,) = words(await s.agent.call("getDiagnostics", uri=s.file.as_uri()))
    ((found,),) = [one["diagnostics"] for one in json.loads(said) if one["uri"] == s.file.as_uri()]
    return found["message"], found["range"]["start"]["line"], _heard(s, "diagnostics_changed")


async def save(s: Stage) -> Heard:
    s.ide.dirty.add(s.file)
    asked = words(await s.agent.call("checkDocumentDirty", filePath=str(s.file)))
    await s.agent.call("saveDocument", filePath=str(s.file))
    dirty = asked if asked[0] in ("error", "refused") else (json.loads(asked[0])["isDirty"],)
    return *dirty, s.file in s.ide.dirty


async def tools(s: Stage) -> Heard:
    return frozenset(await s.agent.tools())


async def execute_code(s: Stage) -> Heard:
    return words(await s.agent.call("executeCode", code="1"))


async def begin_turn(s: Stage) -> Heard:
    return await s.agent.begin_turn()


def _heard(s: Stage, method: str) -> list[Message]:
    """What was said unasked, in the order of the answers: what came before an answer is here by now."""
    return [s.plain(said["params"]) for said in s.agent.heard if said["method"] == method]


@dataclass(frozen=True, kw_only=True)
class Story:
    """What an agent hears, by plugin; a plugin that is not named says what the official one says.

    Args:
        bridged: where the bridge makes a difference, and why. ``*`` is every plugin that is not named.
        options: of the emulator.
    """

    play: Callable[[Stage], Awaitable[Heard]]
    direct: Mapping[str, Heard]
    bridged: Mapping[str, tuple[Heard, str]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def expected(self, ide: str, hops: int) -> Heard:
        """Give what the agent must hear."""
        plugin = ide.partition(" ")[0]
        directly = self.direct.get(plugin, self.direct["official"])
        if hops == 0:
            return directly
        return self.bridged.get(plugin, self.bridged.get("*", (directly, "")))[0]


OPENED: Final = 'Opened file and selected text from "two" to "two"'
NO_SUCH_TOOL: Final = ("error", "-32602")
REFUSED: Final = ("refused", "unavailable")  # the typed reason of the bridge: this IDE cannot do it
NO_FILE: Final = ("refused", "bad_data")
IT_HAS_NONE: Final = "its plugin has no such tool, and the bridge names the IDE that could not"
EL_TOOLS: Final = frozenset({"openFile", "openDiff", "close_tab", "closeAllDiffTabs", "getDiagnostics"})
FILE_TOOLS: Final = frozenset({"checkDocumentDirty", "saveDocument", "getOpenEditors", "getWorkspaceFolders"})
ALL_TOOLS: Final = EL_TOOLS | FILE_TOOLS | {"getCurrentSelection", "getLatestSelection"}
MENTIONED: Final = {"filePath": "FILE", "lineStart": 1, "lineEnd": 2}

STRANGE: Final = '\u2028 \u0085 \v\f\x1c 😀 \ud83d \\u0041 \\" \x7f\n' + "x" * 2**20 + "\n"

STORIES: Final[Mapping[str, Story]] = {
    "a file is opened": Story(
        play=open_file,
        direct={
            "official": (OPENED, "two"),
            "monet": ("Error opening file: None", None),
            "el": (*NO_SUCH_TOOL, None),  # it takes no preview, and says so
        },
        bridged={
            "monet": ((OPENED, "two"), "monet wants a URI, and gets one"),
            "el": (("FILE_OPENED", "two"), "arguments that a plugin does not take are left out"),
        },
    ),
    "a missing file is opened": Story(
        play=open_missing_file,
        direct={
            "official": ("failed", "File not found: MISSING"),
            "monet": ("Error opening file: None",),
            "el": NO_SUCH_TOOL,
            "nvim": ("error", "-32000"),
        },
        bridged={"*": (NO_FILE, "some plugins call it a success, so the bridge looks first")},
    ),
    "a diff is accepted": Story(play=accept, direct={"official": ("FILE_SAVED", "new\n", "TAB_CLOSED")}),
    "a diff is edited": Story(play=edit, direct={"official": ("FILE_SAVED", "mine\n", "TAB_CLOSED")}),
    "a diff is rejected": Story(play=reject, direct={"official": ("DIFF_REJECTED", "tab", "TAB_CLOSED")}),
    "a diff is closed": Story(
        play=close,
        direct={
            "official": ("DIFF_REJECTED", "tab", "TAB_CLOSED"),
            "monet": ("DIFF_REJECTED", "tab", "TAB_NOT_DIFF"),
            "el": ("DIFF_REJECTED", "tab", "error", "-32603"),
        },
        bridged={"*": (("DIFF_REJECTED", "tab", "TAB_CLOSED"), "that a tab is closed already is no failure")},
    ),
    "a diff is closed, which decides nothing": Story(
        play=close_and_mean_nothing,
        direct={"official": ("TAB_CLOSED", None)},
        bridged={
            "*": (
                ("DIFF_REJECTED", "tab", "cancelled"),
                "the review goes to the page, and ends when the agent closes its tab; what agents make of TAB_CLOSED "
                "is not known, and nothing must be written",
            )
        },
        options={"close_says": "tab_closed"},
    ),
    "a new file is accepted": Story(play=accept_new_file, direct={"official": ("FILE_SAVED", "new\n", "TAB_CLOSED")}),
    "a diff changes nothing": Story(
        play=change_nothing,
        direct={"official": ("FILE_SAVED", "one\ntwo\n")},
        bridged={"*": (("refused", "bad_data"), "there is nothing to decide")},
        options={"human": "accept"},
    ),
    "a diff of strange text is accepted": Story(play=accept_strange_text, direct={"official": ("FILE_SAVED", True)}),
    "half an emoji is selected": Story(
        play=select_half_an_emoji, direct={"official": ("two\ud83d",)}, options={"faults": ["surrogate"]}
    ),
    "two diffs at once": Story(
        play=two_diffs,
        direct={
            "official": ("DIFF_REJECTED", "tab 1", "FILE_SAVED", "second\n"),
            "el": ("FILE_SAVED", "first\n", "FILE_SAVED", "second\n"),
            "nvim": ("FILE_SAVED", "first\n", "FILE_SAVED", "second\n"),
        },
        bridged={"*": (("FILE_SAVED", "first\n", "FILE_SAVED", "second\n"), "the second one waits for its turn")},
    ),
    "something is selected": Story(
        play=selection,
        direct={"official": ("two", "FILE", 1, "two", "FILE", 1), "el": ("two", "FILE", 2, *NO_SUCH_TOOL)},
        bridged={"el": (("two", "FILE", 1, *REFUSED), f"agents count from 0; {IT_HAS_NONE}")},
    ),
    "something is mentioned": Story(play=mention, direct={"official": (MENTIONED, MENTIONED)}),
    "a file has problems": Story(
        play=diagnostics,
        direct={
            "official": ("odd", 1, [{"uris": ["URI"]}]),
            "monet": ("odd", 1, []),
            "el": ("odd", 2, []),
            "nvim": ("odd", 1, []),
        },
        bridged={"el": (("odd", 1, []), "agents count from 0")},
    ),
    "a changed file is saved": Story(
        play=save,
        direct={"official": (True, False), "monet": (False, True), "el": (*NO_SUCH_TOOL, True)},
        bridged={
            "monet": ((True, False), "monet wants a URI, and gets one"),
            "el": ((*REFUSED, True), IT_HAS_NONE),
        },
    ),
    "the tools are listed": Story(
        play=tools,
        direct={
            "official": ALL_TOOLS | {"executeCode"},
            "monet": ALL_TOOLS,
            "el": EL_TOOLS,
            "nvim": ALL_TOOLS - {"close_tab"},  # which it answers all the same
        },
        bridged={"el": (EL_TOOLS, ""), "*": (ALL_TOOLS, "the bridge runs no code, and closes tabs itself")},
    ),
    "code is to be run": Story(
        play=execute_code,
        direct={
            "official": ("No active notebook editor found.",),
            "monet": NO_SUCH_TOOL,
            "el": NO_SUCH_TOOL,
            "nvim": NO_SUCH_TOOL,
        },
        bridged={"*": (NO_SUCH_TOOL, "the bridge runs no code")},
    ),
    "a turn begins": Story(play=begin_turn, direct={"official": ("CLOSED_0_DIFF_TABS",)}),
}


@pytest.mark.parametrize("stage", [(ide, story) for ide in IDES for story in STORIES], indirect=True, ids="; ".join)
async def test_the_agent_hears_what_the_table_says(stage: Stage, route: Route, request: pytest.FixtureRequest) -> None:
    ide, name = request.node.callspec.params["stage"]
    story = STORIES[name]
    async with asyncio.timeout(PATIENCE_S):
        assert await story.play(stage) == story.expected(ide, route.hops)
