"""Which programs `bridge install` knows: where each keeps MCP servers and hooks, and in which words.

The tables are the whole knowledge; sources and how certain each row is stand in docs/protocol.md. A program whose file
does not tell which of two shapes it wants (opencode, versions 1 and 2) has no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from bridge.errors import BadConfiguration

__all__ = ["HOOK_S", "PROGRAMS", "Hooks", "Part", "Place", "Program", "Servers", "locate"]

HOOK_S: Final = 3600
"""How long an agent is told to wait for its hook: a human takes longer than the minute or ten that are the default."""

ANSWER_S: Final = HOOK_S - 10
"""When the hook answers by itself at the latest: one that is cut off lets the edit through."""


class Part(StrEnum):
    """What can be registered."""

    MCP = "mcp"
    HOOK = "hook"


@dataclass(frozen=True, slots=True)
class Place:
    """A file: ``$variable/under`` where that is set, else ``~/default``; on macOS ``~/mac`` if that is given."""

    variable: str | None
    under: str
    default: str
    mac: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where MCP servers are listed: objects with ``command`` and ``args``, by name."""

    place: Place
    path: tuple[str, ...] = ("mcpServers",)
    toml: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)  # what else stands in an entry, before the command
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Where hooks are listed: groups of a matcher and its commands, for the event before a tool runs. JSON."""

    place: Place
    event: str
    matcher: str  # the tools that edit files
    units_a_second: int = 1  # of the time-out
    more: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""  # what is left to do in the program itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that speaks MCP."""

    name: str  # as one types it
    title: str
    commands: tuple[str, ...]  # on the PATH, where it is installed
    mcp: Servers
    hook: Hooks | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """What can be registered with it."""
        return (Part.MCP,) if self.hook is None else (Part.MCP, Part.HOOK)

    def place(self, part: Part) -> Place:
        """Where a part, one of `parts`, is registered."""
        if part is Part.MCP:
            return self.mcp.place
        assert self.hook is not None
        return self.hook.place


_STDIO: Final = {"type": "stdio"}
_GEMINI: Final = Place("GEMINI_CLI_HOME", ".gemini/settings.json", ".gemini/settings.json")


def _vscode(name: str, title: str, command: str, directory: str) -> Program:
    under = f"{directory}/User/mcp.json"
    mac = f"Library/Application Support/{under}"
    place = Place("XDG_CONFIG_HOME", under, f".config/{under}", mac)
    servers = Servers(place=place, path=("servers",), before=_STDIO)
    return Program(name=name, title=title, commands=(command,), mcp=servers)


_ALL: Final = (
    Program(
        name="claude",
        title="Claude Code",
        commands=("claude",),
        mcp=Servers(place=Place("CLAUDE_CONFIG_DIR", ".claude.json", ".claude.json"), before=_STDIO),
        hook=Hooks(
            place=Place("CLAUDE_CONFIG_DIR", "settings.json", ".claude/settings.json"),
            event="PreToolUse",
            matcher="Edit|MultiEdit|Write",
        ),
    ),
    Program(
        name="codex",
        title="Codex",
        commands=("codex",),
        mcp=Servers(place=Place("CODEX_HOME", "config.toml", ".codex/config.toml"), path=("mcp_servers",), toml=True),
        hook=Hooks(
            place=Place("CODEX_HOME", "hooks.json", ".codex/hooks.json"),
            event="PreToolUse",
            matcher="apply_patch",
            note="Codex runs a new or changed hook only after you have trusted it: type /hooks in it",
        ),
    ),
    Program(
        name="gemini",
        title="Gemini CLI",
        commands=("gemini",),
        mcp=Servers(place=_GEMINI),
        hook=Hooks(
            place=_GEMINI,
            event="BeforeTool",
            matcher="write_file|replace",
            units_a_second=1000,
            more={"name": "bridge"},
        ),
    ),
    Program(
        name="qwen",
        title="Qwen Code",
        commands=("qwen",),
        mcp=Servers(place=Place("QWEN_HOME", "settings.json", ".qwen/settings.json")),
    ),
    Program(
        name="copilot",
        title="GitHub Copilot CLI",
        commands=("copilot",),
        mcp=Servers(
            place=Place("COPILOT_HOME", "mcp-config.json", ".copilot/mcp-config.json"),
            before={"type": "local"},
            after={"tools": ["*"]},
        ),
    ),
    _vscode("vscode", "Visual Studio Code", "code", "Code"),
    _vscode("vscode-insiders", "Visual Studio Code Insiders", "code-insiders", "Code - Insiders"),
    Program(
        name="cursor",
        title="Cursor",
        commands=("cursor", "cursor-agent"),
        mcp=Servers(place=Place(None, "", ".cursor/mcp.json")),
    ),
    Program(
        name="windsurf",
        title="Windsurf",
        commands=("windsurf",),
        mcp=Servers(place=Place(None, "", ".codeium/windsurf/mcp_config.json")),
    ),
    Program(
        name="kiro",
        title="Kiro",
        commands=("kiro",),
        mcp=Servers(place=Place(None, "", ".kiro/settings/mcp.json")),
    ),
)

PROGRAMS: Final = {program.name: program for program in _ALL}


def locate(place: Place, environ: Mapping[str, str], home: str, platform: str) -> str:
    """Give the absolute path of a file, which may not exist. `platform` is `sys.platform`'s word.

    Raises `BadConfiguration` where the program's own variable has a relative path: that is another place in every
    directory that the program is started from.
    """
    if place.mac is not None and platform == "darwin":
        return f"{home}/{place.mac}"
    value = environ.get(place.variable, "") if place.variable else ""
    if not value.startswith("/"):
        if value and place.variable != "XDG_CONFIG_HOME":  # whose specification says to ignore that
            raise BadConfiguration(f"{place.variable} is {value}, which is not an absolute path", "make it one")
        return f"{home}/{place.default}"
    return f"{value.rstrip('/')}/{place.under}"
