"""Where programs keep their configuration."""

from __future__ import annotations

import pytest

from bridge.core.programs import ANSWER_S, HOOK_S, PROGRAMS, Part, locate
from bridge.errors import BadConfiguration

PLACES = [
    ("claude", Part.MCP, {}, "/h/.claude.json"),
    ("claude", Part.MCP, {"CLAUDE_CONFIG_DIR": "/c/"}, "/c/.claude.json"),
    ("claude", Part.HOOK, {}, "/h/.claude/settings.json"),
    ("claude", Part.HOOK, {"CLAUDE_CONFIG_DIR": "/c"}, "/c/settings.json"),
    ("codex", Part.MCP, {"CODEX_HOME": ""}, "/h/.codex/config.toml"),
    ("codex", Part.HOOK, {"CODEX_HOME": "/x"}, "/x/hooks.json"),
    ("gemini", Part.MCP, {"GEMINI_CLI_HOME": "/g"}, "/g/.gemini/settings.json"),
    ("gemini", Part.HOOK, {}, "/h/.gemini/settings.json"),
    ("qwen", Part.MCP, {"QWEN_HOME": "/q"}, "/q/settings.json"),
    ("copilot", Part.MCP, {"XDG_CONFIG_HOME": "/x"}, "/h/.copilot/mcp-config.json"),
    ("copilot", Part.MCP, {"COPILOT_HOME": "/x"}, "/x/mcp-config.json"),
    ("vscode", Part.MCP, {}, "/h/.config/Code/User/mcp.json"),
    ("vscode", Part.MCP, {"XDG_CONFIG_HOME": "/x"}, "/x/Code/User/mcp.json"),
    ("vscode", Part.MCP, {"XDG_CONFIG_HOME": "relative"}, "/h/.config/Code/User/mcp.json"),
    ("vscode-insiders", Part.MCP, {}, "/h/.config/Code - Insiders/User/mcp.json"),
    ("cursor", Part.MCP, {"": "/x"}, "/h/.cursor/mcp.json"),
    ("windsurf", Part.MCP, {}, "/h/.codeium/windsurf/mcp_config.json"),
    ("kiro", Part.MCP, {}, "/h/.kiro/settings/mcp.json"),
]


@pytest.mark.parametrize(("name", "part", "environ", "path"), PLACES)
def test_a_file_is_where_the_program_looks_for_it(name: str, part: Part, environ: dict[str, str], path: str) -> None:
    assert locate(PROGRAMS[name].place(part), environ, "/h", "linux") == path


def test_every_program_has_been_looked_up() -> None:
    assert {(name, part) for name, part, *_ in PLACES} == {
        (p.name, part) for p in PROGRAMS.values() for part in p.parts
    }


def test_macos_keeps_vscodes_elsewhere() -> None:
    place = PROGRAMS["vscode"].place(Part.MCP)
    path = "/Users/a/Library/Application Support/Code/User/mcp.json"
    assert locate(place, {"XDG_CONFIG_HOME": "/x"}, "/Users/a", "darwin") == path
    assert locate(PROGRAMS["codex"].place(Part.MCP), {}, "/Users/a", "darwin") == "/Users/a/.codex/config.toml"


def test_a_relative_directory_is_another_one_everywhere() -> None:
    with pytest.raises(BadConfiguration, match="CODEX_HOME is conf, which is not an absolute path"):
        locate(PROGRAMS["codex"].place(Part.MCP), {"CODEX_HOME": "conf"}, "/h", "linux")


def test_the_hook_answers_before_it_is_cut_off() -> None:
    assert ANSWER_S < HOOK_S
