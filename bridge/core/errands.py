"""Errands: what an agent asks of an IDE and nothing more, from choosing the IDE to passing its answer on.

An errand goes to the best IDE there is; each link that cannot be opened leaves one fewer. One whose link is lost before
the answer is made once more on whatever link there is then, for all that is relayed may be repeated; otherwise its
asker hears what happened. Whoever takes an errand back, or leaves, gets no answer, and the IDE is told. What an IDE
tells unasked is answered from that; one that was connected to for this very question has a moment to tell it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from bridge.core import answers, context, dialects, jsonrpc
from bridge.core.answers import Answer
from bridge.core.asks import AskDirty, CallTool, ListTools, OpenFile
from bridge.core.events import Asked, Command, Refuse, Reply, Scene, SessionId
from bridge.core.following import Followers
from bridge.core.jsonrpc import Message, RequestId
from bridge.core.launching import find_editor
from bridge.core.link import UP, Link
from bridge.core.links import CALL_S, Links
from bridge.core.posing import offered
from bridge.core.selection import Place, Selection, no_ide
from bridge.core.traits import is_told
from bridge.core.translate import Unmappable
from bridge.core.wording import disowned, opening, placed, preliminary, relayed, worded
from bridge.errors import BadData, BridgeError, Unavailable, Usage

__all__ = ["MOST_ARGUMENTS", "NOT_RELAYED", "RELAYED", "TOLD_S", "Errands"]

_TOOLS: Final[dict[type, str]] = {OpenFile: "openFile", AskDirty: "checkDocumentDirty"}
TOLD_S: Final = 2.0  # from when a link is live until the IDE has told how its window is; it does so at once
MOST_ARGUMENTS: Final = 2**20  # bytes, JSON; all of an IDE's agents share what it has not read yet

# Tools that show or save, and decide nothing; a plugin's own tool might accept a diff in the human's place (D11).
RELAYED: Final = frozenset(
    {
        "checkDocumentDirty",
        "getCurrentSelection",
        "getDiagnostics",
        "getLatestSelection",
        "getOpenEditors",
        "getWorkspaceFolders",
        "saveDocument",
    }
)
NOT_RELAYED: Final = {
    "openFile": "use open: it checks the file and finds the line",
    "openDiff": "use propose: a proposed change is a review",
    "close_tab": "use cancel: a tab belongs to its review",
    "closeAllDiffTabs": "use cancel: the tabs belong to reviews, of other agents too",
    "executeCode": "the bridge runs no code",
}


class Errands:
    """All errands that are under way. Commands go to `out`."""

    def __init__(self, out: list[Command], links: Links, followers: Followers) -> None:
        self._out = out
        self._links = links
        self._followers = followers
        self._under_way: dict[tuple[SessionId, RequestId], _Errand] = {}

    # ---- sending

    def send(self, asked: Asked, ask: OpenFile | CallTool | AskDirty | ListTools) -> None:
        """Send somebody to the best IDE there is.

        Raises `Usage` for a tool that is not relayed, `BadData` for too long arguments, `Unavailable` when there is no
        IDE.
        """
        if isinstance(ask, CallTool) and len(ask.arguments) > MOST_ARGUMENTS:
            raise BadData(f"the arguments of {ask.tool} are {len(ask.arguments)} bytes", f"at most {MOST_ARGUMENTS}")
        if isinstance(ask, CallTool) and not (ask.tool in RELAYED or (ask.posed and ask.tool == "openFile")):
            may = f"what an IDE may be asked: {', '.join(sorted(RELAYED))}"
            raise Usage(f"{ask.tool} is not relayed", NOT_RELAYED.get(ask.tool, may))
        errand = self._under_way[asked.session, asked.id] = _Errand(self, asked)
        try:
            self._try(errand, asked.now)
        except BridgeError:
            self._forget(errand)
            raise

    def _try(self, errand: _Errand, now: float) -> None:
        """Choose among the IDEs that are left."""
        asked = errand.asked
        assert asked.scene is not None
        selection = self._links.choose(asked.scene, now, errand.tool)
        if selection.chosen is not None:
            self._links.use(selection.chosen, errand, now)
        elif isinstance(asked.ask, AskDirty):
            self._reply(errand, {"dirty": None})
        elif isinstance(asked.ask, ListTools):
            self._list(errand, None)
        elif isinstance(asked.ask, OpenFile):
            self._launch(errand, asked.ask, asked.scene, selection, now)
        else:
            raise no_ide(selection, asked.scene.named)

    def _launch(self, errand: _Errand, ask: OpenFile, scene: Scene, openers: Selection, now: float) -> None:
        """Have the asker start an editor's own command, where an IDE would do but that its plugin opens no files."""
        unlinked = replace(scene, takeover=True)  # its link is not needed, so whoever has its place may keep it
        found = find_editor(openers, self._links.choose(unlinked, now), scene)
        refusal = no_ide(openers, scene.named)
        if found is None:
            raise refusal
        candidate, editor = found
        if not ask.may_launch:
            hint = f"bridge open FILE in a terminal has the editor's own command do it: {editor.program}"
            raise Unavailable(refusal.message, hint)
        lock = candidate.lock
        launch, positioned = editor.command(ask.path, ask.line, ask.column)
        self._reply(errand, {"ide": lock.ide_name, "port": lock.port, "positioned": positioned, "launch": launch})

    def begin(self, errand: _Errand, link: Link, now: float) -> None:
        """Make the call that the errand is about, on a live link."""
        if errand.tool and link.lacks(errand.tool) is not None:  # which its list of tools has shown only now
            self.choose_again(errand, now)
            return
        asked = errand.asked
        try:
            errand.sent = self._call(errand, link, now)
        except BridgeError as error:
            if isinstance(error, Unmappable) and isinstance(asked.ask, AskDirty):  # then the IDE has not opened it
                self._reply(errand, {"dirty": None})
            else:
                self._refuse(errand, error)

    def _call(self, errand: _Errand, link: Link, now: float) -> tuple[Link, int] | None:
        asked = errand.asked
        call = partial(self._links.call, link, now=now)
        match asked.ask:
            case CallTool() as ask if is_told(link.traits, ask.tool):
                until = (link.live_since or 0.0) + TOLD_S
                if link.context is None and now < until:
                    errand.hears = link, until
                else:
                    self._reply(errand, context.answer(ask.tool, link.context))
                return None
            case CallTool() as ask:
                errand.until = errand.until or now + CALL_S
                if (first := preliminary(link, ask)) is None:
                    return link, self._call_tool(errand, ask, errand.place, link, now)
                done = partial(self._placed, errand, ask)
                return link, call(first.tool, first.arguments, done, patience=errand.until - now)
            case AskDirty(path=path):
                arguments = jsonrpc.dump(dialects.file_arguments(link.tools, "checkDocumentDirty", path))
                return link, call("checkDocumentDirty", arguments, partial(self._dirty, errand))
            case OpenFile() as ask:
                tool, arguments, positioned = opening(link, ask)
                return link, call(tool, arguments, partial(self._opened, errand, positioned))
        self._list(errand, link)
        return None

    def _call_tool(self, errand: _Errand, ask: CallTool, place: Place, link: Link, now: float) -> int:
        tool, arguments, _ = worded(link, ask, place)
        done = partial(self._relay, errand, ask, place)
        patience = (errand.until or now) - now
        session = errand.asked.session
        return self._links.call(
            link, tool, arguments, done, now, patience=patience, session=session, raw=True, meta=ask.meta
        )

    def choose_again(self, errand: _Errand, now: float) -> None:
        """Try the next IDE: the link to this one could not be opened, or cannot do it."""
        try:
            self._try(errand, now)
        except BridgeError as error:
            self._refuse(errand, error)

    def told(self, link: Link, now: float) -> None:
        """Answer those who wait for what an IDE tells of its window: it has."""
        waiting = [e for e in self._under_way.values() if e.hears is not None and e.hears[0] is link]
        for errand in waiting:
            self.begin(errand, link, now)

    # ---- taking back

    def withdraw(self, session: SessionId, id_: RequestId) -> None:
        """Take an errand back, if there is one of that id."""
        errand = self._under_way.pop((session, id_), None)
        if errand is not None:
            errand.withdrawn = True
            if errand.sent is not None:
                self._links.take_back(*errand.sent)

    def left(self, session: SessionId) -> None:
        """Take back what a session that ended has not heard of."""
        for asker, id_ in [key for key in self._under_way if key[0] == session]:
            self.withdraw(asker, id_)

    # ---- time

    def tick(self, now: float) -> None:
        """Refuse what is made again and has found no IDE in the time that was left; wait no more to be told."""
        late = [e for e in self._under_way.values() if e.seeks_until is not None and now >= e.seeks_until]
        for errand in late:
            errand.withdrawn = True
            self._refuse(errand, Unavailable("the IDE went away, and no other took the call in time", "bridge status"))
        for errand in list(self._under_way.values()):
            if errand.hears is not None and now >= errand.hears[1]:
                link, errand.hears = errand.hears[0], None
                if link.ready:
                    self.begin(errand, link, now)
                else:
                    self.choose_again(errand, now)

    def deadlines(self) -> Iterator[float]:
        """Give every moment at which `tick` has something to do."""
        yield from (e.seeks_until for e in self._under_way.values() if e.seeks_until is not None)
        yield from (e.hears[1] for e in self._under_way.values() if e.hears is not None)

    # ---- answers

    def _placed(
        self, errand: _Errand, ask: CallTool, link: Link, answer: Answer, message: Message | None, now: float
    ) -> None:
        """Make the call, now that the IDE has told what its words depend on."""
        if message is None:
            self._relay(errand, ask, errand.place, link, answer, message, now)
            return
        place = placed(errand.place, answer)
        if isinstance(place, str):
            self._pass_over(errand, link, place, now)
            return
        try:
            errand.sent = link, self._call_tool(errand, ask, place, link, now)
        except BridgeError as error:
            self._refuse(errand, error)

    def _relay(
        self,
        errand: _Errand,
        ask: CallTool,
        place: Place,
        link: Link,
        answer: Answer,
        message: Message | None,
        now: float,
    ) -> None:
        """Pass a tool's result on, as it is where the IDE speaks as agents expect."""
        failure = answer.error
        if (reason := disowned(link, message)) is not None:
            self._pass_over(errand, link, reason, now)
            return
        if message is None and link.state not in UP and not errand.again:
            if self._sent_again(errand, now):
                return
        elif message is not None and message.error:
            failure = answers.read_answer(message).error
        elif message is not None:
            if ask.posed and ask.tool == "openFile":
                failure = answers.read_open_file(answers.read_answer(message))[0]
            try:
                result = relayed(link, ask, place, message)
            except (ValueError, RecursionError):
                failure = "its answer is not JSON that can be passed on"
            if failure is None:
                self._reply(errand, result)
                return
        self._fail(errand, link, f"{ask.tool}: {failure}")

    def _sent_again(self, errand: _Errand, now: float) -> bool:
        errand.again, errand.sent = True, None
        try:
            self._try(errand, now)
        except BridgeError:  # what happened to the first one says more
            return False
        return True

    def _dirty(self, errand: _Errand, link: Link, answer: Answer, message: Message | None, now: float) -> None:
        self._reply(errand, {"dirty": answers.read_dirty(answer)})

    def _opened(
        self, errand: _Errand, positioned: bool, link: Link, answer: Answer, message: Message | None, now: float
    ) -> None:
        if (reason := disowned(link, message)) is not None:
            self._pass_over(errand, link, reason, now)
            return
        failure, found = answers.read_open_file(answer)
        if failure is not None:
            self._fail(errand, link, failure)
            return
        self._reply(errand, {"ide": link.name, "port": link.lock.port, "positioned": positioned and found})

    def _pass_over(self, errand: _Errand, link: Link, reason: str, now: float) -> None:
        """Try the next IDE: this one says that what is asked about is none of its own."""
        scene = errand.asked.scene
        assert scene is not None
        others = tuple(
            replace(seen, foreign=reason) if seen.lock.ide_id == link.id else seen for seen in scene.candidates
        )
        errand.asked, errand.sent = replace(errand.asked, scene=replace(scene, candidates=others)), None
        self.choose_again(errand, now)

    def _list(self, errand: _Errand, link: Link | None) -> None:
        names = None if link is None else list(link.offers)
        self._followers.asked_for_tools(errand.asked.session, offered(names))
        self._reply(errand, names)

    def _reply(self, errand: _Errand, result: Any) -> None:
        self._forget(errand)
        self._out.append(Reply(errand.asked.session, errand.asked.id, result))

    def _refuse(self, errand: _Errand, error: BridgeError) -> None:
        self._forget(errand)
        self._out.append(Refuse(errand.asked.session, errand.asked.id, error))

    def _forget(self, errand: _Errand) -> None:
        key = errand.asked.session, errand.asked.id
        if self._under_way.get(key) is errand:  # else its asker used the id again before this was answered
            del self._under_way[key]

    def _fail(self, errand: _Errand, link: Link, reason: str) -> None:
        self._refuse(errand, Unavailable(f"{link.name} could not do it: {reason}", "bridge status"))


@dataclass(slots=True, eq=False)
class _Errand:
    """The job of asking one IDE one thing for one session."""

    errands: Errands
    asked: Asked
    sent: tuple[Link, int] | None = None  # where to, and under which id
    hears: tuple[Link, float] | None = None  # who is to tell what it asks for, and until when that is waited for
    until: float | None = None  # when it must be answered, since it was first made
    again: bool = False  # it is made a second time
    withdrawn: bool = False

    @property
    def tool(self) -> str:
        """The official tool that it needs; empty for none."""
        ask = self.asked.ask
        return ask.tool if isinstance(ask, CallTool) else _TOOLS.get(type(ask), "")

    @property
    def place(self) -> Place:
        """Where its asker is, and what it is about."""
        assert self.asked.scene is not None
        return self.asked.scene.place

    @property
    def seeks_until(self) -> float | None:
        """When it must have found another IDE, if it is on its way to one again."""
        return self.until if self.again and self.sent is None else None

    def start(self, link: Link, now: float) -> None:
        if not self.withdrawn:
            self.errands.begin(self, link, now)

    def failed(self, link: Link, now: float) -> None:
        if not self.withdrawn:
            self.errands.choose_again(self, now)
