"""Whose plugin is played: what differs from the official extension, one row for each plugin.

What their tools do otherwise is in `deviations`, `companions` and `jetbrains`; all else that differs is a column here.
Source: docs/protocol.md and the facts that it cites; claude-code-ide.el (``el``) and monet were run, claudecode.nvim,
the companions of Gemini CLI and Qwen Code and JetBrains' own server were read.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from . import companions, jetbrains
from .debts import Outcome
from .deviations import el_selection, el_tools, monet_tools, nvim_tools
from .listener import KEEP_ALIVE_S, MAX_FRAME_BYTES, Endpoint, Newcomer
from .lock import GeminiFile, LockFile, QwenFile, Transport
from .tools import Arguments, Tool
from .window import Window

__all__ = ["PERSONALITIES", "Personality", "PersonalityName"]

PersonalityName = Literal["official", "nvim", "el", "monet", "gemini", "qwen", "jetbrains"]

COMMUNITY_VERSION: Final = "2024-11-05"  # what each of them answers to whichever version
COMPANION_BYTES: Final = 10 * 1024 * 1024
NO_PROMPTS: Final[Mapping[str, dict[str, Any]]] = {"prompts/list": {"prompts": []}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """The traits of one plugin; by default the official VS Code extension's."""

    ide_name: str = "Visual Studio Code"
    transport: Transport = "ws"
    announcement: type[LockFile] = LockFile
    announces: bool = True  # else there is no such file
    endpoint: Endpoint = field(default_factory=Endpoint)  # over streamable HTTP
    max_frame_bytes: int = MAX_FRAME_BYTES
    keep_alive_s: float = KEEP_ALIVE_S  # over HTTP, between comments or pings
    new_token: Callable[[], str | None] = lambda: str(uuid.uuid4())
    checks_token: bool = True
    refuses_early: bool = False  # a bad token gets a 400 instead of an upgrade and 1008
    loose_lock: bool = False  # the lock file is open to all and written in place
    loses_lock: bool = False  # a client that leaves takes the lock file with it; the port goes on listening
    newcomer: Newcomer = "displaces"
    answers_newest: bool = False  # who is not the newest client is heard and told things, but gets no answers
    several_diffs: bool = False  # a new diff leaves the open one
    drops_namesakes: bool = False  # a diff that is replaced by its namesake is never answered
    own_diffs: bool = False  # a diff is its client's: nobody else closes it, and it ends when the client leaves
    refuses_dirty: bool = False  # shows no diff of a file with unsaved changes
    keeps_namesakes: bool = False  # nor does it replace one
    proposal: Callable[[Arguments], Arguments] = lambda arguments: arguments  # of ``openDiff``, in the official's words
    outcome: Outcome | None = None  # None: a decision is the answer of ``openDiff``, and no news to anybody else
    server: Mapping[str, Any] | None = None  # what ``initialize`` answers beside the version; None: the official's
    protocol_version: str | None = None  # None: the client's own
    fixed_answers: Mapping[str, dict[str, Any]] = field(default_factory=lambda: {"ping": {}})  # by method
    tools: Callable[[], dict[str, Tool]] | None = None  # None: the official ones
    selection: Callable[[dict[str, Any]], dict[str, Any]] = lambda params: params  # in ``selection_changed``
    context: Callable[[Window], dict[str, Any]] | None = None  # told instead of selections, as ``ide/contextUpdate``
    wants_introduction: bool = False  # a client gets no selection before it has said ``ide_connected``
    lists_changed: bool = False  # says so right after ``initialize``
    pushes_diagnostics: bool = False  # ``diagnostics_changed``


_COMPANION: Final = Personality(
    ide_name="VS Code",
    transport="http",
    max_frame_bytes=COMPANION_BYTES,
    keep_alive_s=60.0,
    loose_lock=True,
    newcomer="joins",
    several_diffs=True,
    keeps_namesakes=True,
    proposal=companions.proposal,
    outcome=companions.gemini_outcome,
    server=companions.server("gemini-cli-companion-mcp-server"),
    tools=companions.gemini_tools,
    context=companions.context,
)

PERSONALITIES: Final[Mapping[PersonalityName, Personality]] = {
    "official": Personality(pushes_diagnostics=True),
    "nvim": Personality(
        ide_name="Neovim",
        new_token=lambda: secrets.token_hex(16),
        refuses_early=True,
        newcomer="joins",
        several_diffs=True,
        own_diffs=True,
        refuses_dirty=True,
        protocol_version=COMMUNITY_VERSION,
        fixed_answers=NO_PROMPTS,
        tools=nvim_tools,
    ),
    "el": Personality(
        ide_name="Emacs",
        new_token=lambda: None,
        loose_lock=True,
        newcomer="usurps",
        several_diffs=True,
        drops_namesakes=True,
        protocol_version=COMMUNITY_VERSION,
        fixed_answers=NO_PROMPTS,
        tools=el_tools,
        selection=el_selection,
        lists_changed=True,
    ),
    "monet": Personality(
        ide_name="Emacs (main)",
        checks_token=False,
        loose_lock=True,
        loses_lock=True,
        protocol_version=COMMUNITY_VERSION,
        fixed_answers={**NO_PROMPTS, "resources/list": {"resources": []}},
        tools=monet_tools,
        wants_introduction=True,
    ),
    # It has one MCP server for all sessions, and that answers the one that came last (typescript-sdk issue 1405).
    "gemini": replace(_COMPANION, announcement=GeminiFile, answers_newest=True),
    "qwen": replace(
        _COMPANION,
        announcement=QwenFile,
        endpoint=Endpoint(hosts=("localhost", "127.0.0.1", "host.docker.internal")),
        keep_alive_s=30.0,
        tools=companions.qwen_tools,
        outcome=companions.qwen_outcome,
        server=companions.server("qwen-code-companion-mcp-server"),
    ),
    "jetbrains": Personality(
        ide_name="IntelliJ IDEA",
        transport="sse",
        announces=False,
        endpoint=Endpoint(path="/stream"),
        new_token=lambda: None,
        newcomer="joins",
        server=jetbrains.SERVER,
        tools=jetbrains.tools,
    ),
}
