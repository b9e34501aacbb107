"""The agents that have hooks: what they call things, and the words of the answers that they want.

Facts and their sources are in docs/protocol.md "Hooks".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.core.hooktools import CLAUDE_TOOLS, CODEX_TOOLS, GEMINI_TOOLS, Given, Tool

__all__ = ["AGENTS", "Agent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent: what it calls things, and the words of its answers.

    `go_on` gets the input to go on with (None: as it is) and what the agent should know; `refuse` gets the reason, and
    so does `ask`, which makes the agent ask its user itself.
    """

    name: str
    event: str
    tools: Mapping[str, Tool]
    patience_s: float  # until it kills a hook, less what an answer needs: the default of ``--timeout``
    ide_port: str | None  # the variable that says at which port its IDE is
    go_on: Callable[[Given | None, str], dict[str, Any]]
    refuse: Callable[[str], dict[str, Any]]
    ask: Callable[[str], dict[str, Any]]
    ide_announced: bool = True  # whether its IDE is known by a lock file
    repeats_input: bool = False  # whether it wants the input also where that stays as it is


def _pre_tool_use(decision: str, **more: Any) -> dict[str, Any]:
    said = {"hookEventName": "PreToolUse", "permissionDecision": decision, **more}
    return {"hookSpecificOutput": {name: value for name, value in said.items() if value}}


def _allow(given: Given | None, context: str) -> dict[str, Any]:
    return _pre_tool_use("allow", updatedInput=given, additionalContext=context)


def _deny(reason: str) -> dict[str, Any]:
    return _pre_tool_use("deny", permissionDecisionReason=reason)


def _ask(reason: str) -> dict[str, Any]:
    return _pre_tool_use("ask", permissionDecisionReason=reason)


def _gemini_allow(given: Given | None, context: str) -> dict[str, Any]:
    """Give all of the input: some versions merge it with the old one, some put it in its place.

    The model is told by its tools what the user changed (``modified_by_user``); the context is for the user.
    """
    more: dict[str, Any] = {"systemMessage": context} if context else {}
    if given is not None:
        more["hookSpecificOutput"] = {"hookEventName": "BeforeTool", "tool_input": given}
    return {"decision": "allow", **more}


AGENTS: Final[Mapping[str, Agent]] = {
    "claude": Agent(
        name="Claude Code",
        event="PreToolUse",
        tools=CLAUDE_TOOLS,
        patience_s=590.0,  # of 600 s
        ide_port="CLAUDE_CODE_SSE_PORT",
        go_on=_allow,
        refuse=_deny,
        ask=_ask,
    ),
    "codex": Agent(
        name="Codex",
        event="PreToolUse",
        tools=CODEX_TOOLS,
        patience_s=590.0,  # of 600 s
        ide_port=None,
        go_on=_allow,
        refuse=_deny,
        # It has no such word: ``ask`` is an error there, after which it goes on, in most modes without asking anybody.
        ask=lambda reason: _deny(f"{reason} Nothing was written: ask the user what to do, or propose it again."),
        repeats_input=True,  # ``allow`` alone is an error there
    ),
    "gemini": Agent(
        name="Gemini CLI",
        event="BeforeTool",
        tools=GEMINI_TOOLS,
        patience_s=50.0,  # of 60,000 ms
        ide_port="GEMINI_CLI_IDE_SERVER_PORT",
        ide_announced=False,
        go_on=_gemini_allow,
        refuse=lambda reason: {"decision": "deny", "reason": reason},
        ask=lambda reason: {"decision": "ask", "reason": reason, "systemMessage": reason},
    ),
}
