"""What the bridge poses with is what the official extension lists."""

from typing import Any

import pytest

from bridge.core.errands import RELAYED
from bridge.core.official import OWN, TOOLS, Kind, Tool
from ide_plugins.emulator.tools import official_tools

# Written from the wire, by others, for tests: the same facts a second time.
SEEN: dict[str, dict[str, Any]] = {name: tool.to_json()["inputSchema"] for name, tool in official_tools().items()}


def test_the_tools_are_the_official_ones_but_for_running_code() -> None:
    assert TOOLS.keys() == SEEN.keys() - {"executeCode"}


@pytest.mark.parametrize("name", TOOLS)
def test_arguments_are_the_official_ones_and_no_more_is_insisted_on(name: str) -> None:
    seen, tool = SEEN[name], TOOLS[name]
    assert {argument: dict(schema) for argument, schema in tool.arguments.items()} == seen["properties"]
    lax = {"startText", "endText"}  # agents leave them out, and other plugins do not know them
    assert set(tool.required) == set(seen.get("required", ())) - lax


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_what_is_required_or_names_the_file_is_an_argument(tool: Tool) -> None:
    assert {*tool.required, *filter(None, [tool.file])} <= tool.arguments.keys()


def test_what_becomes_of_a_call_is_what_the_bridge_allows() -> None:
    """A tool that a front would relay is one that is relayed; those of the bridge's own never are."""
    assert {name for name, tool in TOOLS.items() if tool.kind is Kind.RELAY} == RELAYED
    assert [name for name, tool in TOOLS.items() if tool.kind is Kind.OPEN] == ["openFile"]
    assert {"openDiff", "close_tab", "closeAllDiffTabs"} == OWN
