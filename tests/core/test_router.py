"""What the router does itself: the asks that need an IDE and nothing more."""

from dataclasses import replace

import pytest

from bridge.core import jsonrpc
from bridge.core.asks import Ask, AskDirty, CallTool, OpenFile, Propose, Wait
from bridge.core.errands import NOT_RELAYED, RELAYED
from bridge.core.events import (
    Left,
    LinkClosed,
    LinkState,
    Look,
    Refuse,
    Reply,
    Restored,
    Save,
    Saved,
    SaveFailed,
    Seen,
    Surveyed,
    Tick,
)
from bridge.core.reviews import Outcome, Showing, State
from bridge.errors import BadData, Unavailable, Usage
from tests.playbook import (
    ANN,
    CODE,
    IDEA,
    Playbook,
    answers,
    asks,
    bring_up,
    calls,
    dials,
    fails,
    review,
    says,
    scene,
    tools,
)

CALL = CallTool(tool="getDiagnostics", arguments=b'{"uri": "file:///w/a.py"}')
OPEN = OpenFile(path="/w/a.py", line=2, text="one\ntwo\nthree\n")
DIRTY = AskDirty(path="/w/a.py")
NO_IDE = Unavailable(
    "no IDE can be used here", "open the folder in an IDE with its Claude Code plugin, or see bridge status"
)

LISTED = tools(
    "openFile checkDocumentDirty getDiagnostics",
    openFile=("filePath", "startText", "endText", "preview", "makeFrontmost"),
    checkDocumentDirty=("filePath",),
)


def could_not(why: str, name: str = "Visual Studio Code") -> Refuse:
    return Refuse(ANN, 1, Unavailable(f"{name} could not do it: {why}", "bridge status"))


def start(story: Playbook, ask: Ask, listed: bytes = LISTED) -> None:
    """ANN asks, and CODE is about to be called by request 3."""
    story.quietly(asks(ask, scene=scene(CODE)))
    bring_up(story, listed=listed)


def test_a_plugin_s_own_tool_is_not_relayed(story: Playbook) -> None:
    hint = f"what an IDE may be asked: {', '.join(sorted(RELAYED))}"
    ask = CallTool(tool="acceptDiff", arguments=b"{}")
    story >> asks(ask, scene=scene(CODE)) << Refuse(ANN, 1, Usage("acceptDiff is not relayed", hint))


@pytest.mark.parametrize("tool", NOT_RELAYED)
def test_tools_that_would_bypass_reviews_are_not_relayed(story: Playbook, tool: str) -> None:
    error = Usage(f"{tool} is not relayed", NOT_RELAYED[tool])
    story >> asks(CallTool(tool=tool, arguments=b"{}"), scene=scene(CODE)) << Refuse(ANN, 1, error)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [(CALL, Refuse(ANN, 1, NO_IDE)), (OPEN, Refuse(ANN, 1, NO_IDE)), (DIRTY, Reply(ANN, 1, {"dirty": None}))],
)
def test_without_an_ide_the_answer_comes_at_once(story: Playbook, ask: Ask, answer: Reply | Refuse) -> None:
    story >> asks(ask, scene=scene()) << answer


def test_the_reason_of_the_best_candidate_is_told(story: Playbook) -> None:
    occupied = scene(replace(CODE, occupied=True))
    error = Unavailable(f"{NO_IDE.message}: occupied by another client", NO_IDE.hint)
    story >> asks(CALL, scene=occupied) << Refuse(ANN, 1, error)


# ---- calling a tool


def test_arguments_cross_untouched_and_the_result_comes_back_on_one_line(story: Playbook) -> None:
    story.quietly(asks(CALL, scene=scene(CODE)))
    bring_up(story)
    sent = b'{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"getDiagnostics","arguments":%b}}'
    commands = story.router.handle(asks(CALL, 2, scene=scene(CODE)))
    assert [getattr(command, "frame", None) for command in commands] == [sent % CALL.arguments]
    story >> answers(3, b'{"content": [\n 1,\r\n 2]}') << Reply(ANN, 1, b'{"content":[1,2]}')
    story >> answers(4, rb'"cut \ud83d"') << Reply(ANN, 2, rb'"cut \ud83d"')


def test_the_one_file_that_a_tool_is_about_gets_the_plugins_own_argument(story: Playbook) -> None:
    start(story, CALL)
    world = scene(CODE)
    about = CallTool(tool="getDiagnostics", arguments=b"{}", file="/w/a b.py")
    story >> asks(about, 2, scene=world) << calls("getDiagnostics", {"uri": "file:///w/a%20b.py"}, 4)
    about = CallTool(tool="checkDocumentDirty", arguments=b"{}", file="/w/a b.py")
    story >> asks(about, 3, scene=world) << calls("checkDocumentDirty", {"filePath": "/w/a b.py"}, 5)


@pytest.mark.parametrize("listed", [tools("getDiagnostics"), tools("getDiagnostics openFile", openFile=("filePath",))])
def test_positions_that_count_from_one_are_shifted(story: Playbook, listed: bytes) -> None:
    emacs = replace(CODE, lock=CODE.lock.model_copy(update={"ide_name": "Emacs"}))
    story.quietly(asks(CALL, scene=scene(emacs)))
    bring_up(story, emacs, listed)
    given = {"content": [{"type": "text", "text": '{"line": 3, "character": 1}'}]}
    wanted = {"content": [{"type": "text", "text": '{"line": 2, "character": 0}'}]}
    story >> answers(3, jsonrpc.dump(given)) << Reply(ANN, 1, jsonrpc.dump(wanted))


def test_a_result_that_says_it_is_an_error_is_passed_on_as_it_is(story: Playbook) -> None:
    start(story, CALL)
    story >> answers(3, b'{"isError":true}') << Reply(ANN, 1, b'{"isError":true}')


@pytest.mark.parametrize("body", [b"1" * 5000, b"[" * 999 + b"]" * 999], ids=["long number", "deep"])
@pytest.mark.parametrize("name", ["Visual Studio Code", "Emacs"])
def test_no_answer_of_an_ide_breaks_the_router(story: Playbook, name: str, body: bytes) -> None:
    hostile = replace(CODE, lock=CODE.lock.model_copy(update={"ide_name": name}))
    story.quietly(asks(CALL, scene=scene(hostile)))
    bring_up(story, hostile)
    try:
        event = answers(3, body)
    except ValueError:
        return  # refused as a frame already
    (answer,) = story.router.handle(event)
    assert isinstance(answer, Reply | Refuse)


def test_an_error_is_told_in_the_ides_words(story: Playbook) -> None:
    start(story, CALL)
    story >> fails(3, "not open") << could_not("getDiagnostics: not open")


# ---- opening a file


def test_a_file_is_opened_at_a_text_where_the_ide_takes_no_line(story: Playbook) -> None:
    story.quietly(asks(OPEN, scene=scene(CODE)))
    bring_up(story, listed=LISTED)
    story.quietly(says(3, "Opened file: /w/a.py"))
    arguments = {"filePath": "/w/a.py", "preview": False, "makeFrontmost": True, "startText": "tw", "endText": "tw"}
    story >> asks(OPEN, 2, scene=scene(CODE)) << calls("openFile", arguments, 4)
    story >> says(4, "Opened file") << Reply(ANN, 2, {"ide": "Visual Studio Code", "port": 4001, "positioned": True})


@pytest.mark.parametrize(
    ("ask", "said", "positioned"),
    [
        (OPEN, 'Opened file, but text "tw" not found', False),
        (replace(OPEN, text=None), "Opened file", False),
        (replace(OPEN, line=None), "Opened file", True),
    ],
)
def test_the_answer_says_if_the_place_was_found(story: Playbook, ask: OpenFile, said: str, positioned: bool) -> None:
    start(story, ask)
    answer = {"ide": "Visual Studio Code", "port": 4001, "positioned": positioned}
    story >> says(3, said) << Reply(ANN, 1, answer)


def test_a_success_that_is_a_failure_is_refused(story: Playbook) -> None:
    start(story, OPEN)
    story >> says(3, "Error opening file: gone") << could_not("Error opening file: gone")


def test_a_name_that_no_ide_can_be_told_is_refused(story: Playbook) -> None:
    story.quietly(asks(CALL, scene=scene(CODE)))
    bring_up(story)
    bad = BadData(
        "no IDE can be told this name: it has bytes that are not UTF-8", "rename the file, or use another editor"
    )
    story >> asks(OpenFile(path="/w/\udcff"), 2, scene=scene(CODE)) << Refuse(ANN, 2, bad)


def test_an_errand_goes_to_the_next_ide_when_the_first_is_gone(story: Playbook) -> None:
    gone = LinkClosed(1000.0, CODE.lock.ide_id, LinkState.GONE, "nobody")
    story >> asks(OPEN, scene=scene(CODE, IDEA)) << dials(CODE) >> gone << dials(IDEA)
    story >> replace(gone, ide_id=IDEA.lock.ide_id)
    story << Refuse(ANN, 1, Unavailable(f"{NO_IDE.message}: gone: nobody", NO_IDE.hint))


# ---- asking whether a file is dirty


@pytest.mark.parametrize(("said", "dirty"), [('{"isDirty": true}', True), ('{"success": false}', None)])
def test_a_dirty_file_is_asked_for(story: Playbook, said: str, dirty: bool | None) -> None:
    start(story, DIRTY)
    story >> says(3, said) << Reply(ANN, 1, {"dirty": dirty})


# ---- time and surveys


def test_there_is_no_deadline_and_nobody_to_look_for_at_first(story: Playbook) -> None:
    assert story.router.deadline() is None
    assert story.router.look_again() == []


def test_a_review_that_no_ide_shows_is_looked_around_for(story: Playbook) -> None:
    story.quietly(asks(Propose(review=review()), scene=scene()), Saved(1000.0, "r1", 1))
    story.quietly(asks(Wait(review_id="r1"), 2))
    assert story.router.look_again() == [Look(("r1",))]
    story.quietly(Surveyed(1000.0, {"r1": scene(CODE)}))
    bring_up(story)
    assert story.router.look_again() == []


def test_what_was_decided_before_a_bug_struck_is_said_to_nobody(
    story: Playbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    story.quietly(asks(Propose(review=review()), scene=scene()))
    with monkeypatch.context() as patched:
        patched.setattr(story.router.presenter, "place", bug)
        with pytest.raises(ZeroDivisionError):
            story.router.handle(Saved(1000.0, "r1", 1))
    story >> Tick(1000.0)


def test_every_kind_of_event_finds_its_way(story: Playbook) -> None:
    """A review's life over a restart: shown, lost, read, decided late, and decided again."""
    before = replace(review(), showings=(Showing(ide_id=CODE.lock.ide_id, request_id=40, tab_name="t"),))
    shown = replace(before, state=State.SHOWN)
    story.quietly(Restored(1000.0, (shown,)), Surveyed(1000.0, {"r1": scene(CODE)}))
    bring_up(story)
    story.quietly(Left(1000.0, ANN), Seen(1000.0, "r1"))
    late = says(40, "FILE_SAVED", "mine\n")
    (save,) = story.router.handle(late)
    assert isinstance(save, Save)
    assert save.review.outcome is Outcome.ACCEPTED_WITH_EDITS
    story.quietly(SaveFailed(1000.0, "r1", save.review.version, "disk full"))
    story >> Tick(1002.0) << save
    story.quietly(Saved(1002.0, "r1", save.review.version))
    assert not story.router.desk.seats
