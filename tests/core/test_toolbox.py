"""The MCP tools: their schemas, and how their arguments are read."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from bridge.core import toolbox
from bridge.core.schemas import schema_of
from bridge.core.toolanswers import WAIT_MS
from bridge.core.toolbox import TOOLS, ProposeChanges, Tool, read_arguments
from bridge.daemon import proposals
from bridge.errors import Usage

FILE = {"path": "a", "content": "x"}


def objects(schema: Any) -> list[dict[str, Any]]:
    """Find every object in a schema, at whatever depth."""
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    inner = [found for value in schema.values() for found in objects(value)]
    return [schema, *inner] if schema.get("type") == "object" else inner


def test_there_are_exactly_these_and_none_decides() -> None:
    assert list(TOOLS) == [
        "open_file",
        "propose_changes",
        "get_review",
        "cancel_review",
        "get_selection",
        "get_open_editors",
        "get_diagnostics",
        "list_ides",
    ]


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_what_a_host_is_told_of_a_tool(tool: Tool) -> None:
    listed = tool.listed
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", listed["name"])
    hints = listed["annotations"]
    assert [hints[f"{name}Hint"] for name in ("readOnly", "destructive", "idempotent", "openWorld")] == [
        tool.name not in ("propose_changes", "cancel_review"),
        tool.name == "cancel_review",
        True,
        False,
    ]
    for schema in (listed["inputSchema"], listed["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert "$ref" not in str(schema)  # some models' hosts follow none
        assert all(found["additionalProperties"] is False for found in objects(schema))
        patterns = re.findall(r"'pattern': '([^']*)'", str(schema))
        assert all("\\Z" not in pattern for pattern in patterns)  # no word of JSON Schema's language
    for name, described in listed["inputSchema"]["properties"].items():
        assert described.get("description"), name


# (tool, arguments, what the complaint says; None: they are taken)
ARGUMENTS: list[tuple[str, dict[str, Any] | None, str | None]] = [
    ("list_ides", None, None),
    ("list_ides", {"workspace": "/w"}, None),
    ("list_ides", {"ide": "x"}, "unknown field `ide`"),
    ("open_file", {}, "missing required field `path`"),
    ("open_file", {"path": ""}, "length >= 1"),
    ("open_file", {"path": "a", "line": 1, "column": 2**31}, None),
    ("open_file", {"path": "a", "line": None}, None),  # as some models say that they have none
    ("open_file", {"path": "a", "line": 0}, "`int` >= 1 - at `$.line`"),
    ("open_file", {"path": "a", "line": "1"}, "Expected `int`, got `str` - at `$.line`"),
    ("open_file", {"path": "a", "line": True}, "Expected `int`, got `bool` - at `$.line`"),
    ("propose_changes", {"files": [FILE]}, None),
    ("propose_changes", {"files": []}, "length >= 1 - at `$.files`"),
    ("propose_changes", {"files": [FILE] * 201}, "length <= 200"),
    ("propose_changes", {"files": [{**FILE, "mode": 1}]}, "unknown field `mode` - at `$.files[0]`"),
    ("propose_changes", {"files": [{"path": "a"}]}, "missing required field `content` - at `$.files[0]`"),
    ("propose_changes", {"files": [FILE], "wait_ms": WAIT_MS + 1}, "<= 45000"),
    ("propose_changes", {"files": [FILE], "supersedes": "../x"}, "at `$.supersedes`"),
    ("get_review", {"review_id": "abc", "include_texts": True, "wait_ms": 45_000}, None),
    ("get_review", {"review_id": "a b"}, "at `$.review_id`"),
    ("cancel_review", {"review_id": ""}, "at `$.review_id`"),
]


@pytest.mark.parametrize(("name", "arguments", "complaint"), ARGUMENTS)
def test_arguments_are_read_strictly(name: str, arguments: dict[str, Any] | None, complaint: str | None) -> None:
    tool = TOOLS[name]
    schema = Draft202012Validator(tool.listed["inputSchema"])
    given = {key: value for key, value in (arguments or {}).items() if value is not None}
    if complaint is None:
        read_arguments(tool, arguments)
        schema.validate(given)
        return
    with pytest.raises(Usage) as caught:
        read_arguments(tool, arguments)
    assert complaint in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"{name} takes: ")
    with pytest.raises(ValidationError):  # what we refuse, the schema forbids
        schema.validate(given)


def test_no_more_files_are_taken_than_a_review_may_have() -> None:
    assert toolbox.MOST_FILES == proposals.MOST_FILES


def test_what_is_not_given_has_its_default() -> None:
    read = read_arguments(TOOLS["propose_changes"], {"files": [FILE]})
    assert isinstance(read, ProposeChanges)
    assert (read.title, read.wait_ms, read.request_key, read.workspace) == (
        "",
        WAIT_MS,
        msgspec.UNSET,
        msgspec.UNSET,
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is not a failure
@given(
    st.sampled_from(list(TOOLS.values())),
    st.dictionaries(st.sampled_from(["path", "files", "line", "review_id", "workspace", "wait_ms", "x"]), json_values),
)
def test_whatever_a_model_sends_is_read_or_refused(tool: Tool, arguments: dict[str, Any]) -> None:
    try:
        read = read_arguments(tool, arguments)
    except Usage:
        return
    assert isinstance(read, tool.arguments)
    given = {key: value for key, value in arguments.items() if value is not None}
    Draft202012Validator(tool.listed["inputSchema"]).validate(given)


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A part."""

    title: str


class Whole(msgspec.Struct, forbid_unknown_fields=True):
    """A whole."""

    parts: Annotated[list[Part], msgspec.Meta(description="its parts")]
    best: Annotated[Part | None, msgspec.Meta(description="the best of them")] = None


def test_parts_stand_in_the_place_of_references() -> None:
    part = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    assert schema_of(Whole) == {
        "type": "object",
        "properties": {
            "parts": {"description": "its parts", "type": "array", "items": part},
            "best": {"description": "the best of them", "anyOf": [part, {"type": "null"}], "default": None},
        },
        "required": ["parts"],
        "additionalProperties": False,
    }
