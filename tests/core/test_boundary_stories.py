"""An IDE beyond the Windows boundary is told its own names for our files, and we are told ours for its files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge.core import jsonrpc, translate
from bridge.core.asks import AskDirty, CallTool, OpenFile, Propose
from bridge.core.dialects import Tools, tab_name
from bridge.core.events import Command, Dial, LinkMessage, Refuse, Reply, Save, Send, Tick, Watch
from bridge.core.links import CALL_S
from bridge.core.ranking import Candidate
from bridge.core.reach import NO_DISTRO, Route
from bridge.core.reviews import Review, Surface, Trigger, decide
from bridge.core.unmappable import Unmappable
from bridge.errors import BadData
from pathconv import PathMapper
from tests.core.boundaries import WSL, boundary
from tests.core.stories import ID, NAME, WAIT, could_not, ends, saved, tell, then, unshown
from tests.playbook import ANN, CODE, Playbook, answers, asks, bring_up, calls, review, says, scene, tools

HERE, THERE = "/mnt/c/w/a.py", "C:\\w\\a.py"
LISTED = tools(
    "openFile openDiff close_tab checkDocumentDirty getDiagnostics getCurrentSelection",
    openFile=("filePath", "preview"),
    checkDocumentDirty=("filePath",),
)
LOOK = CallTool(tool="getOpenEditors", arguments=b"{}")
NO_NAME = "the IDE has no name for this path (no-distro): the name of this distribution is not known: /w/a.py"
HINT = NO_DISTRO


def beyond(mapper: PathMapper = WSL) -> Candidate:
    """An IDE on Windows: CODE, reached by another route."""
    return replace(CODE, route=Route(mapper=mapper))


@pytest.fixture
def live(story: Playbook) -> Playbook:
    """A story in which the link to an IDE on Windows is live; the next id is 4."""
    world = scene(beyond())
    story >> asks(LOOK, 90, scene=world) << Dial(CODE.lock, Route(mapper=WSL))
    bring_up(story, listed=LISTED)
    return story.quietly(answers(3))


@pytest.fixture
def nameless(story: Playbook) -> Playbook:
    """The same, but the IDE has no name for ``/w/a.py``: the distribution's is not known."""
    story.quietly(asks(LOOK, 90, scene=scene(beyond(boundary(distro=None)))))
    bring_up(story, listed=LISTED)
    return story.quietly(answers(3))


def test_a_file_is_opened_by_the_name_that_it_has_there(live: Playbook) -> None:
    opened = {"ide": NAME, "port": 4001, "positioned": True}
    live >> asks(OpenFile(path=HERE), scene=scene(beyond()))
    live << calls("openFile", {"filePath": THERE, "preview": False}, 4)
    live >> says(4, f"Opened file: {THERE}") << Reply(ANN, 1, opened)


def test_a_file_without_a_name_there_is_not_opened_and_the_asker_is_told(nameless: Playbook) -> None:
    nameless >> asks(OpenFile(path="/w/a.py"), scene=scene(beyond(boundary(distro=None))))
    nameless << Refuse(ANN, 1, Unmappable(NO_NAME, HINT, path="/w/a.py", reason="no-distro"))
    assert nameless.link().calls == {}
    assert nameless.link().idle_since == 1000.0


def test_an_ide_has_not_opened_what_it_has_no_name_for(nameless: Playbook) -> None:
    nameless >> asks(AskDirty(path="/w/a.py"), scene=scene(beyond(boundary(distro=None))))
    nameless << Reply(ANN, 1, {"dirty": None})


def open_diff(id_: int, path: str, contents: str, tab: str) -> Send:
    arguments = {"old_file_path": path, "new_file_path": path, "new_file_contents": contents, "tab_name": tab}
    return calls("openDiff", arguments, id_)


def test_a_diff_has_the_ides_path_and_our_contents_both_ways(live: Playbook) -> None:
    new = review(path=HERE.encode(), proposed=f"open('{HERE}')\n")
    live.quietly(asks(Propose(review=new), 1, scene=scene(beyond())), saved(new))
    live.quietly(asks(WAIT, 2))
    shown = live.router.desk.seats["r1"].review
    live >> saved(shown) << open_diff(4, THERE, f"open('{HERE}')\n", tab_name(HERE, "r1"))
    live << Watch(ID, closely=True) << tell("ide", NAME)
    final = '{"filePath": "C:\\\\w\\\\a.py"}\n'
    decided = decide(shown, 1000.0, finals=(final,), trigger=Trigger.ACCEPTED_IN_IDE)
    live >> says(4, "FILE_SAVED", final) << Watch(ID, closely=False) << Save(decided)
    then(live >> saved(decided), *ends(decided, (ANN, 2)), calls("close_tab", {"tab_name": tab_name(HERE, "r1")}, 5))


def test_a_diff_of_a_file_without_a_name_there_goes_to_the_page_with_the_reason(nameless: Playbook) -> None:
    new = review()
    nameless.quietly(asks(Propose(review=new), 1, scene=scene(beyond(boundary(distro=None)))), saved(new))
    open_: Review = nameless.router.desk.seats["r1"].review
    back = unshown(open_, surface=Surface.PAGE)
    nameless >> asks(WAIT, 2) >> saved(open_) << Watch(ID, closely=False) << Save(back) << tell("page", reason=NO_NAME)
    assert nameless.link().idle_since == 1000.0


MISREAD = "the IDE would open 'C:\\w\\a.py' instead of this path (trailing-dot-or-space): '/mnt/c/w/a.py.'"
RENAME = "rename the file, or decide on the page, or use an IDE in WSL, which takes every name"


def test_a_file_that_windows_takes_for_another_is_not_opened_and_the_asker_is_told(live: Playbook) -> None:
    misread = Unmappable(MISREAD, RENAME, path=HERE + ".", reason="trailing-dot-or-space")
    live >> asks(OpenFile(path=HERE + "."), scene=scene(beyond())) << Refuse(ANN, 1, misread)
    live >> asks(AskDirty(path=HERE + "."), 2, scene=scene(beyond())) << Reply(ANN, 2, {"dirty": None})


def test_a_diff_of_a_file_that_windows_takes_for_another_goes_to_the_page_with_the_reason(live: Playbook) -> None:
    new = review(path=HERE.encode() + b".")
    live.quietly(asks(Propose(review=new), 1, scene=scene(beyond())), saved(new))
    back = unshown(live.router.desk.seats["r1"].review, surface=Surface.PAGE)
    open_ = live.router.desk.seats["r1"].review
    live >> asks(WAIT, 2) >> saved(open_) << Watch(ID, closely=False) << Save(back) << tell("page", reason=MISREAD)


def relays(live: Playbook, tool: str, asked: dict[str, str], sent: dict[str, str], said: str, told: str) -> None:
    """Tell how a call goes there and how its answer, JSON in a string, comes back."""
    live >> asks(CallTool(tool=tool, arguments=jsonrpc.dump(asked)), scene=scene(beyond())) << calls(tool, sent, 4)
    result = jsonrpc.dump({"content": [{"type": "text", "text": told}]})
    live >> says(4, said) << Reply(ANN, 1, result)


def test_diagnostics_are_asked_for_by_the_ides_uri_and_told_by_ours(live: Playbook) -> None:
    here, there = "file:///mnt/c/w/a.py", "file:///c%3A/w/a.py"
    problems = [{"uri": there, "diagnostics": [{"message": f"see {THERE}"}]}]
    told = json.dumps([{**problems[0], "uri": here}], indent=2)
    relays(live, "getDiagnostics", {"uri": here}, {"uri": there}, json.dumps(problems, indent=2), told)


def test_a_selection_is_told_by_our_name_and_its_text_is_contents(live: Playbook) -> None:
    selection = {"success": True, "text": THERE, "filePath": "c:\\w\\a.py", "fileUrl": "file:///c%3A/w/a.py"}
    told = selection | {"filePath": HERE, "fileUrl": f"file://{HERE}"}
    relays(live, "getCurrentSelection", {}, {}, json.dumps(selection), json.dumps(told))
    assert live.router.links.untranslated == 0


def test_a_path_of_theirs_without_a_name_here_passes_and_is_counted(live: Playbook) -> None:
    selection = json.dumps({"success": True, "text": "", "filePath": "E:\\a.py", "fileUrl": "file:///e%3A/a.py"})
    relays(live, "getCurrentSelection", {}, {}, selection, selection)
    assert live.router.links.untranslated == 2


def test_an_agent_that_names_what_has_no_name_there_is_told_why(live: Playbook) -> None:
    ask = CallTool(tool="saveDocument", arguments=b'{"filePath": "a.py"}')
    why = "the IDE has no name for this path (relative): not an absolute path of that kind: a.py"
    error = Unmappable(why, "give the absolute path", path="a.py", reason="relative")
    live >> asks(ask, scene=scene(beyond())) << Refuse(ANN, 1, error)


def test_an_error_of_the_ide_is_told_in_its_words(live: Playbook) -> None:
    live.quietly(asks(CallTool(tool="getDiagnostics", arguments=b"{}"), scene=scene(beyond())))
    error = jsonrpc.error(4, jsonrpc.dump({"code": -32001, "message": f"not open: {THERE}"}))
    (refusal,) = live.router.handle(LinkMessage(1000.0, ID, jsonrpc.decode(error)))
    assert told(refusal) == f"{NAME} could not do it: getDiagnostics: not open: {THERE}"


def told(command: Command) -> str:
    assert isinstance(command, Refuse)
    return command.error.message


# ---- whatever an IDE answers, the asker is answered (design.md D10)

URIS = '{"tabs":[{"uri":"file:///c%3A/x"}]}'
UNREADABLE = [b"[" * 5000 + b"]" * 5000, b"NaN", b"1e999", b"1" * 5000, b"oops"]


def answered(live: Playbook, result: bytes) -> Command:
    """Let the IDE answer getOpenEditors with `result`; give what the asker is told."""
    live.quietly(asks(LOOK, scene=scene(beyond())))
    frame = jsonrpc.result(live.next_id(), result)
    (command,) = live.router.handle(LinkMessage(1000.0, ID, jsonrpc.decode(frame)))
    assert not live.link().calls
    return command


@pytest.mark.parametrize("more", UNREADABLE, ids=lambda raw: repr(raw[:9]))
def test_an_answer_that_cannot_be_translated_answers_the_asker_all_the_same(live: Playbook, more: bytes) -> None:
    body = jsonrpc.dump({"content": [{"type": "text", "text": URIS}]})[:-1] + b',"x":%b}' % more
    try:
        jsonrpc.decode(jsonrpc.result(1, body))
    except ValueError:
        return  # no message at all: the link drops it, and the call has its deadline
    command = answered(live, body)
    assert isinstance(command, Reply | Refuse)
    assert live.router.links.untranslated == 1


def test_an_answer_that_is_too_big_is_passed_on_untranslated_and_counted(live: Playbook) -> None:
    text = json.dumps({"tabs": [{"uri": "file:///c%3A/x"}] * 100_000})
    body = jsonrpc.dump({"content": [{"type": "text", "text": text}]})
    assert answered(live, body) == Reply(ANN, 1, body)
    assert live.router.links.untranslated == 1


def test_a_bug_in_translating_leaves_the_call_its_deadline(live: Playbook, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a bug")

    live >> asks(LOOK, scene=scene(beyond())) << calls("getOpenEditors", {}, 4)
    monkeypatch.setattr(translate, "to_agent_result", fail)
    with pytest.raises(KeyError):
        live.router.handle(answers(4))
    live >> Tick(1000.0 + CALL_S) << could_not(1, f"getOpenEditors: {NAME} did not answer getOpenEditors in time")


def test_arguments_that_cannot_be_read_are_refused_and_nothing_is_sent(live: Playbook) -> None:
    ask = CallTool(tool="saveDocument", arguments=b'{"filePath":"/mnt/c/x","x":1e999}')
    why = "the arguments of saveDocument are not JSON: 1e999 is too big a number"
    live >> asks(ask, scene=scene(beyond())) << Refuse(ANN, 1, BadData(why))
    assert not live.link().calls


def test_a_plugin_that_wants_a_path_of_its_own_to_close_a_tab_keeps_the_tab(live: Playbook) -> None:
    required = {"required": ["path"], "properties": {"path": {"default": "no path"}}}
    live.link().tools = Tools({"close_tab": required})
    live.router.links.close_tab(live.link(), "a tab", 1000.0)
    assert (live.link().calls, live.link().idle_since) == ({}, 1000.0)
