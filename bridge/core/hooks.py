"""Agents' hooks: what an agent is about to write, and how it is told what the human says to that.

An agent runs ``bridge hook`` before it runs a tool, gives it the call as JSON, and reads an answer: go on, go on with
another input, do not, or ask the user yourself. Where the bridge has nothing to say it *stays out*: nothing on stdout,
exit code 0, and one line on stderr. Then the agent does what it would have done without us. How each agent says all
that is in `bridge.core.hookagents`, what its tools do in `bridge.core.hooktools`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bridge.core.edits import CannotTell
from bridge.core.hookagents import Agent
from bridge.core.hooktools import Given, Tool, WouldBe
from bridge.core.reviews import Change, Comment, Outcome, Review, Trigger
from bridge.core.summary import changes_made, name_within

__all__ = ["Call", "Say", "Unasked", "answer", "read", "stay_out", "undecided"]

_MOST_TOLD: Final = 8000  # characters of a diff; Claude Code cuts off what has more than 10,000 in all
# What the user chose in these modes is not to be asked (acceptEdits, …), or that nothing is written (plan).
_UNASKED: Final = frozenset({"acceptEdits", "auto", "bypassPermissions", "dontAsk", "plan"})


class Say(NamedTuple):
    """What the hook process says, and ends with.

    `taken`: the agent has the human's decision with that; `writes`: it goes on, and writes.
    """

    stdout: str = ""
    stderr: str = ""
    code: int = 0
    taken: bool = False
    writes: bool = False


# ---- what the agent says


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a tool that is about to write files; `names` are the files as the call names them."""

    agent: Agent
    tool_name: str
    tool: Tool
    given: Given
    mode: str
    cwd: str
    key: str  # the same for the same call, also in another process
    names: tuple[str, ...]

    @property
    def title(self) -> str:
        """One line for the human."""
        first = self.names[0].rpartition("/")[2]
        return f"{self.tool_name}: {first}" + (f" and {len(self.names) - 1} more" if len(self.names) > 1 else "")

    def would_be(self, there: Mapping[str, str | None]) -> WouldBe:
        """Say what the tool would write; `there` has each file's text, None where there is no file.

        Raises `CannotTell`.
        """
        made = self.tool.would_be(self.given, there)
        if any(not _is_text(text) for text in made.texts.values()):
            raise CannotTell("it would write half a character, which no file can hold")
        return made


def read(agent: Agent, said: str, *, always: bool = False) -> Call:
    """Read what an agent says to its hook; `always`: also where its user is not to be asked.

    Raises `CannotTell` for what the bridge stays out of.
    """
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        raise CannotTell("its input is not JSON") from None
    event, name, given = (_member(value, key) for key in ("hook_event_name", "tool_name", "tool_input"))
    if event != agent.event or not isinstance(name, str) or not isinstance(given, dict):
        raise CannotTell(f"its input is no {agent.event} of {agent.name}")
    tool = agent.tools.get(name)
    if tool is None:
        raise CannotTell(f"the bridge does not review {name}")
    mode = str(_member(value, "permission_mode") or "")
    if mode in _UNASKED and not always:
        raise Unasked(mode)
    names = tool.names(given)
    if any(name.endswith(".ipynb") for name in names):
        raise CannotTell("notebooks are left to the agent")
    cwd = _member(value, "cwd")
    return Call(
        agent=agent,
        tool_name=name,
        tool=tool,
        given=given,
        mode=mode,
        cwd=cwd if isinstance(cwd, str) and cwd.startswith("/") else "",
        key=_key(agent, value, said),
        names=names,
    )


class Unasked(CannotTell):
    """The agent's permission mode says that the user is not to be asked."""

    def __init__(self, mode: str) -> None:
        super().__init__(f"the user is not asked in mode {mode} (hook_always = true in config.toml reviews there too)")


def _key(agent: Agent, value: Any, said: str) -> str:
    """Name the call: by its id, or, where it has none, by all that was said, which has the time in it.

    Some models count their calls, and begin anew when a session is taken up again: so what is written counts too.
    """
    named = [_member(value, key) for key in ("session_id", "tool_use_id")]
    if all(isinstance(name, str) and name for name in named):
        named += [_member(value, key) for key in ("cwd", "tool_name", "tool_input")]
    else:
        named = [said]
    return f"hook {agent.name} {hashlib.sha256(json.dumps(named).encode()).hexdigest()}"


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# ---- what the agent is told


def stay_out(reason: str) -> Say:
    """Stay out, and say why."""
    return Say(stderr=f"bridge: stays out: {reason}")


def undecided(agent: Agent, reason: str) -> Say:
    """Let the agent ask its user itself: nobody decided, or the bridge is gone."""
    return Say(stdout=_json(agent.ask(f"bridge: {reason}.")))


_UNDECIDED: Final = {
    Trigger.MOVED_TO_TERMINAL: "nobody decided in time",
    Trigger.CANCELLED: "the review was cancelled",
    Trigger.NEWER_PROPOSAL: "a newer proposal took its place",
    Trigger.AGE: "nobody decided for days",
}

_NO: Final = "The human rejected this change."
_NO_OR_CLOSED: Final = "The human rejected this change, or closed its tab: the IDE answers both alike."


def answer(call: Call, review: Review, there: Mapping[str, str | None], reviewed: Mapping[str, Change]) -> Say:
    """Tell the agent how its review ended.

    Args:
        there: the text of each file that the call names, as it is now; None where there is no file.
        reviewed: what the review says of each of them; those that would not have changed are not in it.
    """
    agent = call.agent
    if not review.accepted and review.outcome is not Outcome.REJECTED:
        return undecided(agent, _UNDECIDED.get(review.trigger or Trigger.CANCELLED, "nobody decided"))
    if not review.accepted:
        return _refused(agent, _NO if review.trigger is not Trigger.REJECTED_OR_CLOSED else _NO_OR_CLOSED, review)
    changed = [name for name, one in reviewed.items() if one.final is not None and (there[name] or "") != one.base]
    if changed or len(reviewed) < len(review.files):  # or a name leads to another file now
        why = f"The human accepted this change, but meanwhile {', '.join(changed or call.names)} changed on disk."
        return _refused(agent, f"{why} Read it again, then propose the change anew.", review)
    if all(change.final in (None, change.base) for change in reviewed.values()):
        return _refused(agent, "The human took back all of this change: nothing is to be written.", review)
    return _accepted(call, review, there, reviewed)


def _accepted(call: Call, review: Review, there: Mapping[str, str | None], reviewed: Mapping[str, Change]) -> Say:
    agent = call.agent
    wanted = {name: change.final for name, change in reviewed.items()}
    edited = any(change.final != change.proposed for change in reviewed.values())
    try:
        exact = not edited and _leaves_no_doubt(call, there, reviewed)
        given = call.given if exact else call.tool.rewritten(call.given, there, wanted)
    except CannotTell:  # what the human wants cannot be said in a call of this tool
        return _refused(agent, _with_texts(review), review)
    told = [*(_edits(review) if edited else ()), *_comments(review)]
    again = None if exact and not agent.repeats_input else given
    return Say(stdout=_json(agent.go_on(again, "\n\n".join(told))), taken=True, writes=True)


def _leaves_no_doubt(call: Call, there: Mapping[str, str | None], reviewed: Mapping[str, Change]) -> bool:
    """Tell whether the call as it is does what the human saw, and nothing else, in any version of the agent."""
    made = call.would_be(there)
    seen = {name: reviewed[name].proposed if name in reviewed else there[name] for name in call.names}
    return made.exact and made.texts == seen


def _refused(agent: Agent, why: str, review: Review) -> Say:
    return Say(stdout=_json(agent.refuse("\n\n".join([why, *_comments(review)]))), taken=True)


def _comments(review: Review) -> list[str]:
    """Give the human's comments, with the place that each is about."""
    return [f"The human says{_place(review, said)}: {said.text}" for said in review.comments]


def _place(review: Review, said: Comment) -> str:
    if said.file is None:
        return ""
    name = name_within(review.workspace, review.files[said.file].path)
    return f" about {name}" + ("" if said.line is None else f", line {said.line + 1}")


def _edits(review: Review) -> Iterator[str]:
    """Say what the human changed in the proposal."""
    if changes := changes_made(review, _MOST_TOLD).removesuffix("\n"):
        yield f"The human changed the proposal, then accepted it. From it to what is written now:\n\n{changes}"
    rejected = [name_within(review.workspace, change.path) for change in review.files if change.final is None]
    if rejected:
        yield f"The human rejected what was proposed for {', '.join(rejected)}: that is not written."


def _with_texts(review: Review) -> str:
    """Say what the human wants to be written; the agent has to propose it."""
    texts = (
        f"{name_within(review.workspace, change.path)}:\n\n{change.final}"
        for change in review.files
        if change.final is not None
    )
    why = "The human accepted this change with edits that this call cannot make. Write exactly this instead:"
    return "\n\n".join([why, *texts])


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value) + "\n"
