"""Errands: what an agent asks of an IDE and nothing more."""

from dataclasses import replace

import pytest

from bridge.core import jsonrpc
from bridge.core.asks import Ask, AskDirty, CallTool, ListTools, OpenFile
from bridge.core.errands import MOST_ARGUMENTS, NOT_RELAYED, RELAYED
from bridge.core.events import (
    Left,
    LinkClosed,
    LinkState,
    Refuse,
    Reply,
    Tick,
)
from bridge.core.links import CALL_S
from bridge.core.ranking import Candidate, Listener
from bridge.errors import BadData, Unavailable, Usage
from tests.core.stories import closed
from tests.playbook import (
    ANN,
    BOB,
    CODE,
    GEMINI,
    IDEA,
    Playbook,
    answers,
    asks,
    bring_up,
    calls,
    cancels,
    dials,
    fails,
    opened,
    says,
    scene,
    tools,
    withdraws,
)

CALL = CallTool(tool="getDiagnostics", arguments=b'{"uri": "file:///w/a.py"}')
OPEN = OpenFile(path="/w/a.py", line=2, text="one\ntwo\nthree\n")
DIRTY = AskDirty(path="/w/a.py")
NO_IDE = Unavailable(
    "no IDE can be used here", "open the folder in an IDE with its Claude Code plugin, or see bridge status"
)
TYPED = "bridge open FILE in a terminal has the editor's own command do it: code"

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


# ---- what an IDE cannot do


def test_an_ide_that_cannot_do_it_is_passed_over(story: Playbook) -> None:
    story >> asks(CALL, scene=scene(GEMINI, CODE)) << dials(CODE)


def test_without_another_it_is_told_what_the_best_one_lacks(story: Playbook) -> None:
    error = Unavailable(f"{NO_IDE.message}: it has no diagnostics", NO_IDE.hint)
    story >> asks(CALL, scene=scene(GEMINI)) << Refuse(ANN, 1, error)
    story >> asks(DIRTY, scene=scene(GEMINI)) << Reply(ANN, 1, {"dirty": None})


def test_what_only_its_list_of_tools_shows_sends_the_errand_to_the_next(story: Playbook) -> None:
    story.quietly(asks(OPEN, scene=scene(CODE, IDEA)), opened(), answers(1))
    story >> answers(2, tools("getDiagnostics")) << dials(IDEA)
    error = Unavailable(f"{NO_IDE.message}: it cannot open files", TYPED)
    story >> asks(OPEN, 2, scene=scene(CODE)) << Refuse(ANN, 2, error)
    other = CallTool(tool="getWorkspaceFolders", arguments=b"{}")
    story >> asks(other, 3, scene=scene(CODE)) << calls("getWorkspaceFolders", {}, 3)


def test_a_choice_is_remembered_for_what_was_asked(story: Playbook) -> None:
    world = scene(replace(GEMINI, ancestor=True), CODE)
    for tool, chosen in [("getDiagnostics", CODE), ("getOpenEditors", GEMINI), ("", GEMINI)] * 2:
        found = story.router.links.choose(world, 1000.0, tool).chosen
        assert found is not None
        assert found.lock == chosen.lock


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


# ---- having the asker start the editor's own command

LAUNCH = replace(OPEN, may_launch=True)


def launched(name: str = "VS Code", port: int = 4004) -> Reply:
    words = ["code", "-r", "-g", "/w/a.py:2:1"]
    return Reply(ANN, 1, {"ide": name, "port": port, "positioned": True, "launch": words})


def test_where_a_plugin_opens_no_files_the_editors_own_command_is_the_answer(story: Playbook) -> None:
    story >> asks(LAUNCH, scene=scene(GEMINI)) << launched()
    assert not story.router.errands._under_way
    odd = replace(LAUNCH, path="/w/a:1")
    words = ["code", "-r", "/w/a:1"]
    reply = {"ide": "VS Code", "port": 4004, "positioned": False, "launch": words}
    story >> asks(odd, 2, scene=scene(GEMINI)) << Reply(ANN, 2, reply)


def test_who_may_start_nothing_is_told_how_it_is_done(story: Playbook) -> None:
    error = Unavailable(f"{NO_IDE.message}: it cannot open files", TYPED)
    story >> asks(OPEN, scene=scene(GEMINI)) << Refuse(ANN, 1, error)


def test_a_plugin_that_opens_files_is_preferred(story: Playbook) -> None:
    story >> asks(LAUNCH, scene=scene(GEMINI, CODE)) << dials(CODE)
    story >> closed(LinkState.GONE) << launched()  # only when that one is no more


def test_what_only_its_list_of_tools_shows_may_be_launched_too(story: Playbook) -> None:
    story.quietly(asks(LAUNCH, scene=scene(CODE)), opened(), answers(1))
    story >> answers(2, tools("getDiagnostics")) << launched("Visual Studio Code", 4001)


def test_an_agent_that_is_connected_does_not_stand_in_the_way_of_a_command(story: Playbook) -> None:
    story >> asks(LAUNCH, scene=scene(replace(CODE, occupied=True), replace(GEMINI, occupied=True))) << launched()
    assert not story.router.links.links


@pytest.mark.parametrize(
    ("candidates", "named", "why"),
    [
        ((), None, ""),
        (
            (replace(GEMINI, lock=GEMINI.lock.model_copy(update={"ide_name": "Antigravity"})),),
            None,
            "it cannot open files",
        ),
        ((replace(GEMINI, listener=Listener.FOREIGN),), None, "port 4004 belongs to another user"),
        ((GEMINI,), "qwen", ""),
        ((replace(CODE, occupied=True),), None, "occupied by another client"),  # its plugin does open files
    ],
)
def test_nothing_is_launched_for_an_ide_that_could_not_be_used(
    story: Playbook, candidates: tuple[Candidate, ...], named: str | None, why: str
) -> None:
    (refusal,) = story.router.handle(asks(LAUNCH, scene=scene(*candidates, named=named)))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, Unavailable)
    assert refusal.error.message.endswith(why)
    assert "bridge open" not in (refusal.error.hint or "")


def test_a_name_that_the_editor_would_misread_is_refused(story: Playbook) -> None:
    error = BadData("code drops the space at the end of a file's name", "rename the file")
    story >> asks(replace(LAUNCH, path="/w/a "), scene=scene(GEMINI)) << Refuse(ANN, 1, error)
    assert not story.router.errands._under_way


# ---- asking whether a file is dirty


@pytest.mark.parametrize(("said", "dirty"), [('{"isDirty": true}', True), ('{"success": false}', None)])
def test_a_dirty_file_is_asked_for(story: Playbook, said: str, dirty: bool | None) -> None:
    start(story, DIRTY)
    story >> says(3, said) << Reply(ANN, 1, {"dirty": dirty})


# ---- posing as an IDE

POSED = CallTool(tool="openFile", arguments=b'{"filePath": "/w/a.py", "startText": "x"}', posed=True)


def test_an_agent_that_takes_us_for_its_ide_may_open_files(story: Playbook) -> None:
    start(story, POSED)
    assert story.router.errands._under_way
    story >> says(3, "Opened file: /w/a.py")
    story << Reply(ANN, 1, b'{"content":[{"type":"text","text":"Opened file: /w/a.py"}]}')


def test_its_arguments_are_named_as_the_plugin_names_them(story: Playbook) -> None:
    monet = replace(CODE, lock=CODE.lock.model_copy(update={"ide_name": "Emacs (monet)"}))
    story.quietly(asks(POSED, scene=scene(monet)))
    bring_up(story, monet, tools("openFile", openFile=("uri",)))
    story >> asks(POSED, 2, scene=scene(monet)) << calls("openFile", {"uri": "file:///w/a.py"}, 4)


@pytest.mark.parametrize("arguments", [b"5", b"1e999", b"[" * 5000], ids=lambda value: repr(value)[:20])
def test_arguments_that_cannot_be_fitted_are_refused(story: Playbook, arguments: bytes) -> None:
    start(story, DIRTY, tools("openFile", openFile=("uri",)))
    (refusal,) = story.router.handle(asks(replace(POSED, arguments=arguments), 2, scene=scene(CODE)))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, BadData)


@pytest.mark.parametrize("said", ["Error opening file: gone", '{"success": false, "message": "gone"}'])
def test_a_file_that_was_not_opened_is_not_reported_as_opened(story: Playbook, said: str) -> None:
    start(story, POSED)
    (refusal,) = story.router.handle(says(3, said))
    assert isinstance(refusal, Refuse)
    assert "gone" in refusal.error.message


@pytest.mark.parametrize("tool", ["openDiff", "close_tab", "closeAllDiffTabs", "executeCode", "acceptDiff"])
def test_posing_relays_no_more_than_that(story: Playbook, tool: str) -> None:
    (refusal,) = story.router.handle(asks(CallTool(tool=tool, arguments=b"{}", posed=True), scene=scene(CODE)))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, Usage)
    assert not story.router.errands._under_way


# ---- which tools there are


def test_the_tools_are_those_of_the_ide_that_would_be_asked(story: Playbook) -> None:
    story >> asks(ListTools(), scene=scene(CODE)) << dials()
    bring_up(story, listed=tools("openFile acceptDiff"))
    story >> asks(ListTools(), 2, scene=scene(CODE)) << Reply(ANN, 2, ["openFile", "acceptDiff"])
    story >> asks(ListTools(), 3, scene=scene()) << Reply(ANN, 3, None)


def test_with_the_ide_gone_in_the_handshake_there_are_no_tools(story: Playbook) -> None:
    story >> asks(ListTools(), scene=scene(CODE)) << dials() >> closed(LinkState.GONE) << Reply(ANN, 1, None)


# ---- ids


@pytest.mark.parametrize(
    "id_", [0, -1, "", "1", "é", "cut \ud83d", 2**53, 2**64, -(2**64), 10**40], ids=lambda value: ascii(value)
)
def test_an_answer_comes_back_under_the_very_id(story: Playbook, id_: int | str) -> None:
    frame = jsonrpc.request(id_, "tools/call")
    asked = jsonrpc.decode(frame).id
    assert (type(asked), asked) == (type(id_), id_)
    story.quietly(asks(CALL, id_, scene=scene(CODE)))
    bring_up(story, listed=LISTED)
    story >> answers(3) << Reply(ANN, id_, b"{}")
    assert jsonrpc.result(id_) == b'{"jsonrpc":"2.0","id":%b,"result":{}}' % jsonrpc.dump(id_)


def test_equal_ids_of_different_agents_and_kinds_are_different_requests(story: Playbook) -> None:
    start(story, CALL)
    world = scene(CODE)
    for who, id_ in ((BOB, 1), (ANN, "1"), (BOB, "1")):
        story.quietly(asks(CALL, id_, who=who, scene=world))
    story >> answers(6, b"6") << Reply(BOB, "1", b"6") >> answers(5, b"5") << Reply(ANN, "1", b"5")
    story >> answers(4, b"4") << Reply(BOB, 1, b"4") >> answers(3, b"3") << Reply(ANN, 1, b"3")
    assert not story.router.errands._under_way


def test_an_id_used_again_before_it_was_answered_is_answered_twice(story: Playbook) -> None:
    start(story, CALL)
    story.quietly(asks(CALL, 1, scene=scene(CODE)))
    story >> answers(3, b"3") << Reply(ANN, 1, b"3")
    story >> withdraws(1) << cancels(4) >> answers(4, b"4")
    assert not story.router.errands._under_way


# ---- taking back


def test_what_is_taken_back_gets_no_answer_and_the_ide_is_told(story: Playbook) -> None:
    start(story, CALL)
    story >> withdraws(2) >> withdraws(1, who=BOB) >> withdraws("1")  # not that
    story >> withdraws(1) << cancels(3) >> withdraws(1)
    story >> answers(3)
    assert story.link().idle_since == 1000.0


def test_what_is_taken_back_and_never_answered_is_forgotten_in_time(story: Playbook) -> None:
    start(story, CALL)
    story.quietly(withdraws(1))
    story >> Tick(1000.0 + CALL_S)
    assert not story.link().calls


def test_what_is_taken_back_while_its_link_is_opened_is_not_even_asked(story: Playbook) -> None:
    story.quietly(asks(CALL, scene=scene(CODE)))
    story >> withdraws(1)
    bring_up(story)
    assert not story.link().calls


def test_what_is_taken_back_is_not_tried_elsewhere(story: Playbook) -> None:
    story >> asks(CALL, scene=scene(CODE, IDEA)) << dials() >> withdraws(1) >> closed(LinkState.GONE)


def test_who_leaves_takes_everything_back(story: Playbook) -> None:
    start(story, CALL)
    story.quietly(asks(DIRTY, 2, scene=scene(CODE)), asks(CALL, 3, who=BOB, scene=scene(CODE)))
    story >> Left(1000.0, ANN) << cancels(3) << cancels(4)
    story >> answers(3) >> answers(4) >> answers(5) << Reply(BOB, 3, b"{}")


# ---- a link that is lost


def test_a_call_whose_link_is_lost_is_made_once_more_on_another(story: Playbook) -> None:
    story.quietly(asks(CALL, scene=scene(CODE, IDEA)))
    bring_up(story)
    story >> closed(LinkState.GONE, "the IDE ended") << dials(IDEA)
    bring_up(story, IDEA)
    assert story.next_id(IDEA) == 6
    (
        story
        >> closed(LinkState.GONE, "it too", IDEA)
        << could_not("getDiagnostics: IntelliJ IDEA went away (it too)", "IntelliJ IDEA")
    )


def test_a_call_made_once_more_is_answered_and_taken_back_like_any_other(story: Playbook) -> None:
    for id_ in (1, 2):
        story.quietly(asks(CALL, id_, scene=scene(CODE, IDEA)))
    bring_up(story)
    story.quietly(closed(LinkState.GONE))
    bring_up(story, IDEA)
    story >> withdraws(1) << cancels(7, IDEA) >> answers(8, candidate=IDEA) << Reply(ANN, 2, b"{}")


def test_a_call_made_once_more_keeps_the_time_that_it_had(story: Playbook) -> None:
    story.quietly(asks(CALL, scene=scene(CODE, IDEA)))
    bring_up(story)
    end = 1000.0 + CALL_S
    story.quietly(closed(LinkState.GONE, at=1005.0))
    bring_up(story, IDEA, at=1006.0)
    story >> Tick(end - 0.1)
    (
        story
        >> Tick(end)
        << could_not("getDiagnostics: IntelliJ IDEA did not answer getDiagnostics in time", "IntelliJ IDEA")
    )


def test_a_call_that_finds_no_other_ide_in_its_time_is_refused(story: Playbook) -> None:
    story.quietly(asks(CALL, scene=scene(CODE, IDEA)))
    bring_up(story)
    end = 1000.0 + CALL_S
    story >> closed(LinkState.GONE, at=end - 0.5) << dials(IDEA)
    assert story.router.deadline() == end
    why = "the IDE went away, and no other took the call in time"
    story >> Tick(end) << Refuse(ANN, 1, Unavailable(why, "bridge status"))
    bring_up(story, IDEA, at=end)  # and the call is not made after all
    assert list(story.link(IDEA).calls) == []


def test_what_an_ide_is_asked_is_short(story: Playbook) -> None:
    long = CallTool(tool="getDiagnostics", arguments=b'"%b"' % (b"x" * MOST_ARGUMENTS))
    said = BadData(f"the arguments of getDiagnostics are {MOST_ARGUMENTS + 2} bytes", f"at most {MOST_ARGUMENTS}")
    story >> asks(long, scene=scene(CODE)) << Refuse(ANN, 1, said)


def test_with_no_other_ide_the_asker_hears_what_happened_to_the_first(story: Playbook) -> None:
    start(story, CALL)
    story >> closed(LinkState.SLOT_LOST, "taken")
    story << could_not("getDiagnostics: Visual Studio Code went away (taken)")


def test_an_ide_that_is_slow_is_not_asked_twice(story: Playbook) -> None:
    story.quietly(asks(CALL, scene=scene(CODE, IDEA)))
    bring_up(story)
    late = "getDiagnostics: Visual Studio Code did not answer getDiagnostics in time"
    story >> Tick(1000.0 + CALL_S) << could_not(late)


def test_opening_a_file_and_asking_if_it_is_dirty_are_answered_when_the_link_is_lost(story: Playbook) -> None:
    start(story, OPEN)
    story.quietly(asks(DIRTY, 2, scene=scene(CODE)))
    story >> closed(LinkState.GONE, "why") << could_not("Visual Studio Code went away (why)")
    story << Reply(ANN, 2, {"dirty": None})
