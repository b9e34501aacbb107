"""JetBrains' MCP server: how it is asked, what its answers mean, and the stories of its link."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.core import jetbrains, jsonrpc
from bridge.core.answers import Answer
from bridge.core.asks import AskDirty, CallTool, ListTools, OpenFile
from bridge.core.dialects import Tools
from bridge.core.events import HangUp, LinkState, Refuse, Reply, Send, Tick
from bridge.core.links import HANDSHAKE_S
from bridge.core.lockfile import Family, Transport
from bridge.errors import BadData, Unavailable
from tests.core.candidates import ide
from tests.core.stories import closed
from tests.playbook import (
    ANN,
    CODE,
    Playbook,
    answers,
    asks,
    calls,
    cancels,
    dials,
    opened,
    says,
    scene,
    tools,
    withdraws,
)

_SEEN = ide(4005, name="JetBrains IDE", family=Family.JETBRAINS)
JB = replace(_SEEN, lock=_SEEN.lock.model_copy(update={"transport": Transport.SSE, "pid": None}))
OTHER = replace(JB, lock=JB.lock.model_copy(update={"port": 4006}))

PYCHARM = replace(JB, lock=JB.lock.model_copy(update={"ide_name": "JetBrains PyCharm"}))

OPEN = OpenFile(path="/w/a.py", line=2, text="one\ntwo\n")
EDITORS = CallTool(tool="getOpenEditors", arguments=b"{}")
PROBLEMS = CallTool(tool="getDiagnostics", arguments=b"{}", file="/w/a.py")
DISOWNED = (
    "`projectPath`=`/w` doesn't correspond to any open project.\n"
    ' Currently open projects: {"projects":[{"path":"/x"},{"path":"/y"}]}'
)

NOT_OURS = "what is asked about is in none of its open projects"

WELCOME = jsonrpc.dump({"serverInfo": {"name": "PyCharm MCP Server", "version": "2025.3"}})
LISTED = tools(
    "open_file_in_editor get_all_open_file_paths get_file_problems execute_terminal_command",
    open_file_in_editor=("filePath", "projectPath"),
    get_all_open_file_paths=("projectPath",),
    get_file_problems=("filePath", "errorsOnly", "timeout", "projectPath"),
    execute_terminal_command=("command", "projectPath"),
)
KNOWN = Tools.parse(jsonrpc.decode(jsonrpc.result(1, LISTED)))


# ---- asking

PUT: list[tuple[str, str | None, tuple[str, dict[str, Any]]]] = [
    ("openFile", "/w/d/a.py", ("open_file_in_editor", {"filePath": "/w/d/a.py", "projectPath": "/w/d"})),
    ("openFile", "/a.py", ("open_file_in_editor", {"filePath": "/a.py", "projectPath": "/"})),
    ("getOpenEditors", "/w/a.py", ("get_all_open_file_paths", {"projectPath": "/v"})),
    (
        "getDiagnostics",
        "/w/a.py",
        ("get_file_problems", {"filePath": "/w/a.py", "projectPath": "/w", "errorsOnly": False, "timeout": 8000}),
    ),
]


@pytest.mark.parametrize(("tool", "file", "expected"), PUT)
def test_an_official_call_is_put_in_its_words(
    tool: str, file: str | None, expected: tuple[str, dict[str, Any]]
) -> None:
    assert jetbrains.put(KNOWN, tool, file, "/v") == expected


def test_what_it_does_not_take_is_left_out() -> None:
    older = Tools({"get_file_problems": {"properties": {"filePath": {}, "projectPath": {}}}})
    assert jetbrains.put(older, "getDiagnostics", "/w/a", "/v")[1] == {"filePath": "/w/a", "projectPath": "/w"}


def test_problems_are_those_of_a_file() -> None:
    with pytest.raises(Unavailable, match="one file at a time"):
        jetbrains.put(KNOWN, "getDiagnostics", None, "/w")


def test_a_name_that_is_no_text_cannot_be_told() -> None:
    with pytest.raises(BadData):
        jetbrains.put(KNOWN, "openFile", "/w/\udcff", "/w")


def test_no_tool_that_writes_or_runs_is_ever_called() -> None:
    assert {own.name for own in jetbrains.TOOLS.values()} == {
        "open_file_in_editor",
        "get_all_open_file_paths",
        "get_file_problems",
    }


# ---- what it says

PRODUCTS: list[tuple[bytes, str]] = [
    (WELCOME, "JetBrains PyCharm"),
    (b'{"serverInfo":{"name":"IntelliJ IDEA MCP Server"}}', "JetBrains IntelliJ IDEA"),
    (b'{"serverInfo":{"name":"JetBrains Rider MCP Server"}}', "JetBrains Rider"),
    (b'{"serverInfo":{"name":"%b MCP Server"}}' % (b"x" * 5000), "JetBrains " + "x" * 100),
    (b'{"serverInfo":{"name":"weather"}}', ""),
    (b'{"serverInfo":{"name":5}}', ""),
    (b'{"serverInfo":[]}', ""),
    (b"[]", ""),
    (b"1" * 5000, ""),
]


@pytest.mark.parametrize(("result", "name"), PRODUCTS)
def test_its_product_is_read(result: bytes, name: str) -> None:
    assert jetbrains.product_of(jsonrpc.decode(jsonrpc.result(1, result))) == name


REFUSALS: list[tuple[str, str | None]] = [
    (DISOWNED, f"{NOT_OURS} (/x, /y)"),
    (
        "Unable to determine the target project for the current MCP tool call.\n"
        f" Currently open projects: {json.dumps({'projects': [{'path': f'/{n}'} for n in range(9)]})}",
        f"{NOT_OURS} (/0, /1, /2, /3, /4, …)",
    ),
    (
        f"No project opened. Currently open projects: {json.dumps({'projects': [{'path': '/' * 9000}]})}",
        f"{NOT_OURS} ({'/' * 300})",
    ),
    ("No exact project is specified while multiple projects are opened.", NOT_OURS),
    ("No project opened", NOT_OURS),
    ("Specified path '/w/a' points to the location outside of the project directory", NOT_OURS),
    ("`projectPath`=`/w` doesn't correspond to any open project. Currently open projects: {}", NOT_OURS),
    ("`projectPath`=`/w` doesn't correspond to any open project. Currently open projects: {x}", NOT_OURS),
    (f"No project opened. Currently open projects: {'{' * 3 + '}' * 3}", NOT_OURS),
    ('No project opened. Currently open projects: {"projects":[5,{"path":5}]}', NOT_OURS),
    ("File /w/a doesn't exist or can't be opened", None),
    ("MCP tool call has been failed: No project opened", None),
]


@pytest.mark.parametrize(("error", "reason"), REFUSALS)
def test_a_file_that_is_none_of_its_own_is_told_from_failures(error: str, reason: str | None) -> None:
    assert jetbrains.disowned(Answer(error=error)) == reason
    assert jetbrains.disowned(Answer((error,))) is None


def problem(**facts: Any) -> dict[str, Any]:
    return {"severity": "ERROR", "description": "bad", "lineContent": "x", "line": 3, "column": 2, **facts}


PROBLEM: list[tuple[dict[str, Any], tuple[str, str, int, int]]] = [
    (problem(), ("bad", "Error", 2, 1)),
    (problem(severity="WARNING"), ("bad", "Warning", 2, 1)),
    (problem(severity="WEAK WARNING"), ("bad", "Warning", 2, 1)),
    (problem(severity="SPELLING"), ("bad", "Information", 2, 1)),
    (problem(severity=5, description=None), ("", "Information", 2, 1)),
    (problem(line=0, column="2"), ("bad", "Error", 0, 0)),
    (problem(line=True), ("bad", "Error", 0, 1)),
]


@pytest.mark.parametrize(("said", "expected"), PROBLEM)
def test_a_problem_is_put_as_the_official_plugin_does(
    said: dict[str, Any], expected: tuple[str, str, int, int]
) -> None:
    told = jetbrains.diagnostics(Answer((json.dumps({"filePath": "a", "errors": [said, "x"]}),)), "/w/a b.py")
    assert told is not None
    ((file,),) = (json.loads(item["text"]) for item in told["content"])
    (one,) = file["diagnostics"]
    place = {"line": expected[2], "character": expected[3]}
    assert file["uri"] == "file:///w/a%20b.py"
    assert one == {"message": expected[0], "severity": expected[1], "range": {"start": place, "end": place}}


@pytest.mark.parametrize("text", ["", "[]", '{"errors":5}', "none found"])
def test_an_answer_without_a_list_of_problems_is_none(text: str) -> None:
    assert jetbrains.diagnostics(Answer((text,)), "/w/a.py") is None


# ---- its link


def no_ide(
    why: str, hint: str = "open the folder in an IDE with its Claude Code plugin, or see bridge status"
) -> Refuse:
    return Refuse(ANN, 1, Unavailable(f"no IDE can be used here: {why}", hint))


def sent(candidate: Any, frame: bytes) -> Send:
    return Send(candidate.lock.ide_id, frame)


@pytest.fixture
def live(story: Playbook) -> Playbook:
    """A story in which JB's link is live, and idle since 1000; the next id is 4."""
    bring_up(story, OPEN)
    return story.quietly(says(3, "[success]", candidate=JB))


def bring_up(story: Playbook, ask: Any, *candidates: Any, listed: bytes = LISTED) -> None:
    """ANN asks; JB has told who it is and what tools it has, and is about to answer request 3."""
    story.quietly(asks(ask, scene=scene(*(candidates or (JB,)))), opened(JB))
    story.quietly(answers(1, WELCOME, candidate=JB), answers(2, listed, candidate=JB))


def test_it_is_dialled_for_work_and_tells_which_product_it_is(story: Playbook) -> None:
    story.quietly(asks(OPEN, scene=scene(JB)), opened(JB))
    (
        story
        >> answers(1, WELCOME, candidate=JB)
        << sent(JB, jsonrpc.notification("notifications/initialized"))
        << sent(JB, jsonrpc.request(2, "tools/list"))
        >> answers(2, LISTED, candidate=JB)
        << calls("open_file_in_editor", {"projectPath": "/w", "filePath": "/w/a.py"}, 3, JB)
        >> says(3, "[success]", candidate=JB)
        << Reply(ANN, 1, {"ide": "JetBrains PyCharm", "port": 4005, "positioned": False})
    )


def test_its_product_is_what_it_is_called_from_then_on(live: Playbook) -> None:
    selection = live.router.links.choose(scene(JB, named="pycharm"), live.at)
    assert selection.chosen is not None
    assert selection.chosen.lock.ide_name == "JetBrains PyCharm"
    assert live.router.links.choose(scene(JB, named="jetbrains"), live.at).chosen == selection.chosen
    assert live.router.links.choose(scene(JB, named="webstorm"), live.at).chosen is None


def test_who_lacks_its_tool_is_another_program(story: Playbook) -> None:
    reason = "who listens there has no open_file_in_editor"
    story.quietly(asks(OPEN, scene=scene(JB)), opened(JB), answers(1, b"{}", candidate=JB))
    (
        story
        >> answers(2, tools("get_weather"), candidate=JB)
        << HangUp(JB.lock.ide_id, reason)
        << no_ide(f"port taken: {reason}")
    )
    later = story.at + 3600.0  # and is left alone while it listens
    story >> asks(OPEN, 2, scene=scene(JB), at=later) << replace(no_ide(f"port taken: {reason}"), id=2)
    story >> asks(OPEN, 3, scene=scene(replace(JB, modified=2000.0)), at=later) << dials(JB)


def test_one_that_withholds_its_tools_is_not_used(story: Playbook) -> None:
    story.quietly(asks(OPEN, scene=scene(JB)), opened(JB), answers(1, WELCOME, candidate=JB))
    reason = f"no answer within {HANDSHAKE_S:g} s"
    (story >> Tick(1000.0 + HANDSHAKE_S) << HangUp(JB.lock.ide_id, reason) << no_ide(f"not answering: {reason}"))


def test_an_older_one_might_show_the_file_in_any_window(story: Playbook) -> None:
    listed = tools("open_file_in_editor", open_file_in_editor=("filePath",))
    story.quietly(asks(OPEN, scene=scene(JB)), opened(JB), answers(1, WELCOME, candidate=JB))
    story >> answers(2, listed, candidate=JB) << no_ide("it cannot open files")


def refuses(id_: int, error: str) -> Any:
    result = {"content": [{"type": "text", "text": error}], "isError": True}
    return answers(id_, jsonrpc.dump(result), candidate=JB)


def test_a_file_of_no_open_project_goes_to_the_next(story: Playbook) -> None:
    bring_up(story, OPEN, JB, OTHER)
    story >> refuses(3, DISOWNED) << dials(OTHER)
    story >> closed(LinkState.GONE, "the IDE ended", OTHER) << no_ide("gone: the IDE ended")


def test_another_request_asks_it_again(live: Playbook) -> None:
    arguments = {"projectPath": "/w", "filePath": "/w/a.py"}
    live >> asks(OPEN, scene=scene(JB)) << calls("open_file_in_editor", arguments, 4, JB)
    live >> refuses(4, "No project opened") << no_ide(NOT_OURS)
    live >> asks(OPEN, scene=scene(JB)) << calls("open_file_in_editor", arguments, 5, JB)
    (
        live
        >> refuses(5, "MCP tool call has been failed: null")
        << Refuse(
            ANN,
            1,
            Unavailable("JetBrains PyCharm could not do it: MCP tool call has been failed: null", "bridge status"),
        )
    )


PROBE = calls("get_all_open_file_paths", {"projectPath": "/"}, 4, JB)


def test_open_editors_are_those_of_the_asker_s_project(live: Playbook) -> None:
    live >> asks(EDITORS, scene=scene(JB)) << PROBE
    listed = 'Currently open projects: {"projects":[{"path":"/"},{"path":"/w"},{"path":"/w/deeper"},{"path":"/wide"}]}'
    live >> refuses(4, listed) << calls("get_all_open_file_paths", {"projectPath": "/w"}, 5, JB)
    tabs = [
        {"uri": "file:///w/d/a.py", "fileName": "/w/d/a.py", "label": "a.py", "isActive": True},
        {"uri": "file:///v/b.py", "fileName": "/v/b.py", "label": "b.py", "isActive": False},
    ]
    text = '{"activeFilePath":"d/a.py","openFiles":["d/a.py","../v/b.py",5,"no\\u0000file"]}'
    told = jsonrpc.dump({"content": [{"type": "text", "text": json.dumps({"tabs": tabs})}]})
    live >> says(5, text, candidate=JB) << Reply(ANN, 1, told)


def test_the_root_may_be_a_project(live: Playbook) -> None:
    live >> asks(EDITORS, scene=scene(JB)) << PROBE
    live >> says(4, '{"openFiles":[]}', candidate=JB) << replace(PROBE, frame=PROBE.frame.replace(b'"id":4', b'"id":5'))
    strange = b'{"content":[{"type":"text","text":"indexing"}]}'
    live >> answers(5, strange, candidate=JB) << Reply(ANN, 1, strange)


def test_an_asker_in_no_open_project_is_sent_on(live: Playbook) -> None:
    live >> asks(EDITORS, scene=scene(JB)) << PROBE
    live >> refuses(4, DISOWNED) << no_ide(f"{NOT_OURS} (/x, /y)")
    live >> asks(EDITORS, scene=scene(JB)) << calls("get_all_open_file_paths", {"projectPath": "/"}, 5, JB)
    live >> refuses(5, 'Currently open projects: {"projects":[{"path":"/w"}]}')
    live << calls("get_all_open_file_paths", {"projectPath": "/w"}, 6, JB)
    live >> refuses(6, DISOWNED) << no_ide(f"{NOT_OURS} (/x, /y)")  # it was closed meanwhile


NO_PROJECTS = ["", "w", "/wide", "/w/d", 5, None]


@pytest.mark.parametrize("path", NO_PROJECTS)
def test_a_directory_is_in_a_project_only_below_it(path: object) -> None:
    listed = json.dumps({"projects": [{"path": path}]})
    assert jetbrains.project_of(Answer(error=f"Currently open projects: {listed}"), "/w")[0] is None


def test_a_project_that_no_text_can_name_is_told(live: Playbook) -> None:
    odd = scene(JB)
    odd = replace(odd, place=replace(odd.place, directory="/w/\udcff"))
    live >> asks(EDITORS, scene=odd) << PROBE
    listed = 'Currently open projects: {"projects":[{"path":"/w/\\udcff"}]}'
    why, hint = (
        "no IDE can be told this name: it has bytes that are not UTF-8",
        "rename the file, or use another editor",
    )
    live >> refuses(4, listed) << Refuse(ANN, 1, BadData(why, hint))


def test_who_takes_the_question_back_hears_nothing_of_either_call(live: Playbook) -> None:
    live >> asks(EDITORS, scene=scene(JB)) << PROBE
    live >> withdraws() << cancels(4, JB)
    live >> refuses(4, DISOWNED)
    live >> asks(EDITORS, scene=scene(JB)) << calls("get_all_open_file_paths", {"projectPath": "/"}, 5, JB)
    live >> refuses(5, 'Currently open projects: {"projects":[{"path":"/w"}]}')
    live << calls("get_all_open_file_paths", {"projectPath": "/w"}, 6, JB)
    live >> withdraws() << cancels(6, JB)


def test_an_agent_that_takes_us_for_its_ide_gets_the_file_opened(live: Playbook) -> None:
    posed = CallTool(tool="openFile", arguments=b'{"filePath":"/w/a.py"}', posed=True)
    arguments = {"projectPath": "/w", "filePath": "/w/a.py"}
    live >> asks(posed, scene=scene(JB)) << calls("open_file_in_editor", arguments, 4, JB)
    done = b'{"content":[{"type":"text","text":"[success]"}]}'
    live >> answers(4, done, candidate=JB) << Reply(ANN, 1, done)


def test_problems_come_as_the_official_plugin_tells_them(live: Playbook) -> None:
    arguments = {"projectPath": "/w", "errorsOnly": False, "timeout": 8000, "filePath": "/w/a.py"}
    live >> asks(PROBLEMS, scene=scene(JB)) << calls("get_file_problems", arguments, 4, JB)
    told = jsonrpc.dump({"content": [{"type": "text", "text": '[{"uri": "file:///w/a.py", "diagnostics": []}]'}]})
    live >> says(4, '{"filePath":"a.py","errors":[]}', candidate=JB) << Reply(ANN, 1, told)
    live >> asks(PROBLEMS, scene=scene(JB)) << calls("get_file_problems", arguments, 5, JB)
    strange = b'{"content":[{"type":"text","text":"indexing"}]}'
    live >> answers(5, strange, candidate=JB) << Reply(ANN, 1, strange)


def test_a_call_of_its_only_link_that_is_lost_is_told(live: Playbook) -> None:
    live.quietly(asks(EDITORS, scene=scene(JB)))
    (
        live
        >> closed(LinkState.GONE, "the IDE ended", JB)
        << Refuse(
            ANN,
            1,
            Unavailable(
                "JetBrains PyCharm could not do it: getOpenEditors: JetBrains PyCharm went away (the IDE ended)",
                "bridge status",
            ),
        )
    )


def test_another_client_takes_no_place_of_ours(live: Playbook) -> None:
    busy = replace(JB, occupied=True)
    live >> closed(LinkState.SLOT_LOST, "another client took its one place", JB)
    assert live.router.links.state_of(JB) == (LinkState.LISTENING, "")
    live >> asks(OPEN, scene=scene(busy), at=2000.0) << dials(PYCHARM)


def test_what_it_has_no_tool_for_is_refused_unasked(story: Playbook) -> None:
    selection = CallTool(tool="getCurrentSelection", arguments=b"{}")
    story >> asks(selection, scene=scene(JB)) << no_ide("it has no getCurrentSelection")
    story >> asks(AskDirty(path="/w/a.py"), scene=scene(JB)) << Reply(ANN, 1, {"dirty": None})


def test_an_agent_is_offered_what_it_serves(live: Playbook) -> None:
    names = ["openFile", "getOpenEditors", "getDiagnostics"]
    live >> asks(ListTools(), scene=scene(JB)) << Reply(ANN, 1, names)


def test_an_ide_with_the_folder_comes_first(story: Playbook) -> None:
    story >> asks(OPEN, scene=scene(JB, CODE)) << dials(CODE)
