"""Stories of the router: ``story >> event << command``, compared as a whole when the test ends.

``>>`` says what the shell reports, ``<<`` the next command that must follow from it; log lines do not count. A
story that went otherwise fails with a diff of the two.
"""

from __future__ import annotations

import difflib
import itertools
import json
from typing import Any, Self

from bridge.core import jsonrpc
from bridge.core.asks import Ask
from bridge.core.dialects import tab_name
from bridge.core.events import (
    Asked,
    Command,
    Dial,
    Event,
    Follows,
    LinkMessage,
    LinkOpened,
    Log,
    Notify,
    Scene,
    Send,
    SessionId,
    Withdrawn,
)
from bridge.core.link import Link
from bridge.core.lockfile import Family
from bridge.core.ranking import Candidate, Place
from bridge.core.reviews import Change, Review, digest
from bridge.core.router import Router
from bridge.core.terminal import Terminal
from tests.core.candidates import ide

ANN, BOB = SessionId(1), SessionId(2)
PAGE = SessionId(0)

CODE = ide(4001, "/w", token="secret-code")
IDEA = ide(4002, "/w", name="IntelliJ IDEA", token="secret-idea", modified=900.0)
GEMINI = ide(4004, "/w", name="VS Code", token="secret-gemini", family=Family.GEMINI)
COMPANION = "openDiff closeDiff"
NVIM = ide(4003, "/w", name="Neovim", token="secret-nvim")
WIDE = "openFile openDiff close_tab checkDocumentDirty"


class Playbook:
    """A story and the router that lives it. `at` is the story's clock, in seconds."""

    def __init__(self, router: Router | None = None) -> None:
        self.router = router or Router(itertools.count(1), pid=77, version="1.0")
        self.at = 1000.0
        self._expected: list[object] = []
        self._actual: list[object] = []

    def __rshift__(self, event: Event) -> Self:
        """The shell reports `event`."""
        self._expected.append(event)
        self._actual += [event, *(c for c in self.router.handle(event) if not isinstance(c, Log))]
        self.at = max(self.at, event.now)
        return self

    def __lshift__(self, command: Command) -> Self:
        """The router answers with `command`, next and in this order."""
        self._expected.append(command)
        return self

    def check(self) -> None:
        """Compare what happened with what was told."""
        if self._expected != self._actual:
            told, happened = (
                [f"{_arrow(step)} {step!r}" for step in steps] for steps in (self._expected, self._actual)
            )
            raise AssertionError("the story went otherwise\n" + "\n".join(difflib.ndiff(told, happened)))

    def quietly(self, *events: Event) -> Self:
        """Live through `events` without telling what follows from them: other stories do."""
        for event in events:
            self.router.handle(event)
            self.at = max(self.at, event.now)
        return self

    def link(self, candidate: Candidate = CODE) -> Link:
        """Give the router's link to an IDE."""
        return self.router.links.links[candidate.lock.ide_id]

    def next_id(self, candidate: Candidate = CODE) -> int:
        """Give the id of the newest unanswered call of an IDE."""
        return max(self.link(candidate).calls)


def _arrow(step: object) -> str:
    return ">>" if isinstance(step, Event) else "<<"


# ---- what there is


def scene(*candidates: Candidate, **more: Any) -> Scene:
    """The world with these IDEs, seen from ``/w``, about the file ``/w/a.py``."""
    place = Place(directory="/w", file="/w/a.py", project="/w")
    return Scene(candidates=candidates, place=place, terminal=Terminal(), **more)


def review(id_: str = "r1", *, base: str = "old\n", proposed: str = "new\n", at: float = 1000.0, **more: Any) -> Review:
    """A proposal that changes ``/w/a.py``."""
    path = more.pop("path", b"/w/a.py")
    change = Change(path=path, base_hash=digest(base.encode()), base=base, proposed=proposed)
    return Review(id=id_, files=(change,), workspace=b"/w", created=at, changed=at, **more)


# ---- what is said


def asks(
    ask: Ask, id_: int | str = 1, *, who: SessionId = ANN, scene: Scene | None = None, at: float = 1000.0
) -> Asked:
    """A session asks."""
    return Asked(at, who, id_, ask, scene)


def withdraws(id_: int | str = 1, *, who: SessionId = ANN, at: float = 1000.0) -> Withdrawn:
    """A session takes a request back."""
    return Withdrawn(at, who, id_)


def follows(*candidates: Candidate, who: SessionId = ANN, at: float = 1000.0, **more: Any) -> Follows:
    """A session wants to hear the IDE that it works with, among these."""
    return Follows(at, who, scene(*candidates, **more))


def hears(method: str, params: bytes = b"{}", *, who: SessionId = ANN) -> Notify:
    """A session hears what its IDE said."""
    return Notify(who, method, params)


def dials(candidate: Candidate = CODE) -> Dial:
    """The router wants this IDE's line."""
    return Dial(candidate.lock)


def calls(tool: str, arguments: dict[str, Any], id_: int, candidate: Candidate = CODE) -> Send:
    """The router calls an IDE's tool."""
    params = b'{"name":%b,"arguments":%b}' % (json.dumps(tool).encode(), jsonrpc.dump(arguments))
    return Send(candidate.lock.ide_id, jsonrpc.request(id_, "tools/call", params))


def shows(id_: int, candidate: Candidate = CODE, *, of: str = "r1", proposed: str = "new\n") -> Send:
    """The router opens the diff of a review."""
    arguments = {
        "old_file_path": "/w/a.py",
        "new_file_path": "/w/a.py",
        "new_file_contents": proposed,
        "tab_name": tab_name("/w/a.py", of),
    }
    return calls("openDiff", arguments, id_, candidate)


def closes_tab(id_: int, candidate: Candidate = CODE, *, of: str = "r1") -> Send:
    """The router closes the tab of a review."""
    return calls("close_tab", {"tab_name": tab_name("/w/a.py", of)}, id_, candidate)


def shows_file(id_: int, *, path: str = "/w/a.py", proposed: str = "new\n", candidate: Candidate = GEMINI) -> Send:
    """The router opens the diff of a file, as companions want it."""
    return calls("openDiff", {"filePath": path, "newContent": proposed}, id_, candidate)


def closes_file(id_: int, *, path: str = "/w/a.py", candidate: Candidate = GEMINI) -> Send:
    """The router closes the diff of a file."""
    return calls("closeDiff", {"filePath": path, "suppressNotification": True}, id_, candidate)


def tells(
    what: str, content: str | None = None, *, path: str = "/w/a.py", candidate: Candidate = GEMINI, at: float = 1000.0
) -> LinkMessage:
    """A companion tells what became of a file's diff: ``diffAccepted``, ``diffRejected`` or ``diffClosed``."""
    params = {"filePath": path} | ({} if content is None else {"content": content})
    return notifies(f"ide/{what}", jsonrpc.dump(params), candidate=candidate, at=at)


def says(id_: int, *texts: str, candidate: Candidate = CODE, at: float = 1000.0) -> LinkMessage:
    """An IDE answers a tool call with texts."""
    result = {"content": [{"type": "text", "text": text} for text in texts]}
    return answers(id_, jsonrpc.dump(result), candidate=candidate, at=at)


def answers(id_: int, result: bytes = b"{}", *, candidate: Candidate = CODE, at: float = 1000.0) -> LinkMessage:
    """An IDE answers a request."""
    return LinkMessage(at, candidate.lock.ide_id, jsonrpc.decode(jsonrpc.result(id_, result)))


def fails(id_: int, message: str, *, candidate: Candidate = CODE, at: float = 1000.0) -> LinkMessage:
    """An IDE answers a request with an error."""
    error = jsonrpc.dump({"code": -32000, "message": message})
    return LinkMessage(at, candidate.lock.ide_id, jsonrpc.decode(jsonrpc.error(id_, error)))


def notifies(method: str, params: bytes = b"{}", *, candidate: Candidate = CODE, at: float = 1000.0) -> LinkMessage:
    """An IDE says something unasked."""
    return LinkMessage(at, candidate.lock.ide_id, jsonrpc.decode(jsonrpc.notification(method, params)))


def cancels(id_: int, candidate: Candidate = CODE) -> Send:
    """The router tells an IDE that nobody wants an answer any more."""
    params = b'{"requestId":%d}' % id_
    return Send(candidate.lock.ide_id, jsonrpc.notification("notifications/cancelled", params))


def opened(candidate: Candidate = CODE, at: float = 1000.0) -> LinkOpened:
    """An IDE accepted the WebSocket."""
    return LinkOpened(at, candidate.lock.ide_id)


def tools(names: str = WIDE, **properties: tuple[str, ...]) -> bytes:
    """The result of ``tools/list``: `names`, and the arguments of some of them."""
    listed = [
        {
            "name": name,
            "inputSchema": {"properties": {argument: {"type": "string"} for argument in properties.get(name, ())}},
        }
        for name in names.split()
    ]
    return jsonrpc.dump({"tools": listed})


def bring_up(story: Playbook, candidate: Candidate = CODE, listed: bytes | None = None, at: float = 1000.0) -> None:
    """Let a dialled IDE go through the handshake, untold."""
    story.quietly(opened(candidate, at))
    story.quietly(answers(story.next_id(candidate), candidate=candidate, at=at))
    listing = tools() if listed is None else listed
    # The answer to tools/list starts what waited, so that the caller may tell it.
    story.quietly(answers(story.next_id(candidate), listing, candidate=candidate, at=at))
