"""What is taken for an entry of ours, and what is not."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from bridge.core.programs import PROGRAMS, Part
from bridge.core.registering import Outcome, find, install, means_the_same, uninstall
from bridge.errors import BadData

BRIDGE = "/opt/bridge/bin/bridge"
CLAUDE, CODEX, CURSOR = PROGRAMS["claude"], PROGRAMS["codex"], PROGRAMS["cursor"]


def server(value: Any) -> str:
    return json.dumps({"mcpServers": {"other": 1, "name": value}})


def hook(command: Any, **more: Any) -> str:
    return json.dumps({"hooks": {"PreToolUse": [1, {"hooks": [{"type": "command", "command": command}]}, more]}})


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        ({"command": BRIDGE, "args": ["mcp"]}, True),
        ({"command": "/elsewhere/bridge", "args": ["mcp"], "env": {"A": "b"}}, True),
        ({"command": "bridge", "args": ["mcp"]}, False),  # whichever is on the PATH
        ({"command": "/usr/sbin/bridge", "args": ["link"]}, False),
        ({"command": "/usr/sbin/bridge"}, False),
        ({"command": BRIDGE, "args": ["mcp", "--more"]}, False),
        ({"command": "/opt/footbridge", "args": ["mcp"]}, False),
        ({"command": BRIDGE, "args": [1]}, False),
        ({"command": 1, "args": ["mcp"]}, False),
        ({"url": "http://127.0.0.1/mcp"}, False),
        ("bridge", False),
    ],
)
def test_a_server_is_known_by_what_it_starts(value: Any, is_ours: bool) -> None:
    assert (find(CURSOR, Part.MCP, server(value)) is not None) is is_ours


@pytest.mark.parametrize(
    ("command", "is_ours"),
    [
        (f"{BRIDGE} hook claude --timeout 3590", True),
        (f"{BRIDGE} hook claude --strict", True),
        ("'/with space/bridge' hook claude", True),
        (f"{BRIDGE} hook codex", False),
        (f"{BRIDGE} status", False),
        ("bridge hook claude", False),
        ("sh -c 'bridge hook claude", False),
        ("", False),
        (None, False),
    ],
)
def test_a_hook_is_known_by_what_it_runs(command: Any, is_ours: bool) -> None:
    assert (find(CLAUDE, Part.HOOK, hook(command)) is not None) is is_ours


@pytest.mark.parametrize("text", ["[]", "1", '{"hooks": []}', '{"hooks": {"PreToolUse": {"a": 1}}}', '{"hooks": null}'])
def test_odd_documents_have_none(text: str) -> None:
    assert find(CLAUDE, Part.HOOK, text) is None
    assert find(CLAUDE, Part.MCP, text) is None
    assert uninstall(CLAUDE, Part.HOOK, text).outcome is Outcome.ABSENT


def test_an_update_keeps_what_the_user_made_of_the_entry() -> None:
    before = hook("/old/bridge hook claude --strict", matcher="mine")
    done = install(CLAUDE, Part.HOOK, before, "/new place/bridge")
    assert (done.outcome, done.old[0]) == (Outcome.UPDATED, "/old/bridge")
    assert done.text == before.replace("/old/bridge", "'/new place/bridge'")
    before = '[mcp_servers.ide]\nargs = ["mcp"]\nenabled = false\ncommand = "/old/bridge" # mine\n'
    done = install(CODEX, Part.MCP, before, BRIDGE)
    assert done.text == before.replace("/old/bridge", BRIDGE)


def test_a_hook_is_made_strict_and_stays_so() -> None:
    lax = install(CLAUDE, Part.HOOK, "{}", BRIDGE)
    strict = install(CLAUDE, Part.HOOK, lax.text, BRIDGE, strict=True)
    assert strict.outcome is Outcome.UPDATED
    assert strict.text == install(CLAUDE, Part.HOOK, "{}", BRIDGE, strict=True).text
    entry = find(CLAUDE, Part.HOOK, strict.text)
    assert entry is not None
    assert entry.argv[2:] == ("claude", "--timeout", "3590", "--strict")
    for also in (True, False):
        assert install(CLAUDE, Part.HOOK, strict.text, BRIDGE, strict=also).outcome is Outcome.ALREADY
    assert install(CLAUDE, Part.MCP, "{}", BRIDGE, strict=True).text == install(CLAUDE, Part.MCP, "{}", BRIDGE).text


def test_a_hook_that_stands_beside_others_goes_alone() -> None:
    group = {"matcher": "Edit", "hooks": [{"command": "true"}, {"command": f"{BRIDGE} hook claude"}]}
    text = json.dumps({"hooks": {"PreToolUse": [group]}})
    done = uninstall(CLAUDE, Part.HOOK, text, [("hooks",), ("hooks", "PreToolUse")])
    assert json.loads(done.text) == {"hooks": {"PreToolUse": [{"matcher": "Edit", "hooks": [{"command": "true"}]}]}}


def test_all_that_are_ours_are_taken_out() -> None:
    ours = {"command": BRIDGE, "args": ["mcp"]}
    text = json.dumps({"mcpServers": {"a": ours, "b": {"url": "x"}, "c": ours}})
    assert json.loads(uninstall(CURSOR, Part.MCP, text).text) == {"mcpServers": {"b": {"url": "x"}}}


def test_what_was_made_goes_only_when_it_is_empty_and_there() -> None:
    made = [("mcpServers",)]
    text = install(CURSOR, Part.MCP, "{}", BRIDGE).text
    assert uninstall(CURSOR, Part.MCP, text, made).text == "{}"
    more = install(CURSOR, Part.MCP, '{"mcpServers": {"a": {}}}', BRIDGE).text
    assert uninstall(CURSOR, Part.MCP, more, made).text == '{"mcpServers": {"a": {}}}'
    assert uninstall(CURSOR, Part.MCP, text, [("gone",)]).text == '{"mcpServers": {}}'


@pytest.mark.parametrize("text", ["mcp_servers = 1\n", "[[mcp_servers]]\na = 1\n", 'mcp_servers = ["a"]\n'])
def test_what_is_no_table_of_servers_is_not_edited(text: str) -> None:
    with pytest.raises(BadData, match="cannot be edited"):
        install(CODEX, Part.MCP, text, BRIDGE)


TOML = {
    "dotted": f'[mcp_servers]\nbridge.command = "{BRIDGE}"\nbridge.args = ["mcp"]\n',
    "inline": f'[mcp_servers]\nbridge = {{ command = "{BRIDGE}", args = ["mcp"] }}\n',
}


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
def test_a_table_without_a_header_is_left_to_its_user(text: str) -> None:
    assert tomllib.loads(text)["mcp_servers"]["bridge"]["args"] == ["mcp"]
    with pytest.raises(BadData, match=r"mcp_servers\.bridge is written in a way that cannot be edited alone"):
        uninstall(CODEX, Part.MCP, text)
    with pytest.raises(BadData, match="edited alone"):
        install(CODEX, Part.MCP, text, "/new/bridge")
    assert install(CODEX, Part.MCP, text, BRIDGE).outcome is Outcome.ALREADY


def test_a_table_that_stands_in_two_places_is_left_to_its_user() -> None:
    text = 'mcp_servers.bridge.env.A = "b"\n[mcp_servers.bridge.tools]\n[a]\n'
    assert find(CODEX, Part.MCP, text) is None
    text = f'[mcp_servers.bridge.env]\nA = "b"\n[mcp_servers]\nbridge.command = "{BRIDGE}"\nbridge.args = ["mcp"]\n'
    with pytest.raises(BadData):
        uninstall(CODEX, Part.MCP, text)


def test_twice_the_same_name_is_left_to_its_user() -> None:
    ours = f'"bridge": {{"command": "{BRIDGE}", "args": ["mcp"]}}'
    with pytest.raises(BadData, match="cannot be edited without changing more"):
        uninstall(CURSOR, Part.MCP, f'{{"mcpServers": {{"bridge": {{}}, {ours}}}}}')


def test_texts_are_compared_by_what_they_say() -> None:
    assert means_the_same(CURSOR, Part.MCP, '{"a": 1}', '{ "a":1, } // c')
    assert not means_the_same(CURSOR, Part.MCP, '{"a": 1}', "{}")
