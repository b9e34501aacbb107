import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import jsonrpc, posing
from bridge.core.official import OWN, TOOLS
from bridge.core.reviews import Comment, Review, Step, Trigger, advance, decide, decision
from bridge.errors import Conflict, Unavailable
from tests.playbook import review

# ---- the first words


@pytest.mark.parametrize(
    ("params", "version"),
    [
        (b'{"protocolVersion":"2025-06-18"}', "2025-06-18"),
        (b'{"protocolVersion":"9999-01-01","x":1}', "9999-01-01"),
        (b'{"protocolVersion":5}', posing.PROTOCOL_VERSION),
        (b"{}", posing.PROTOCOL_VERSION),
        (b"[]", posing.PROTOCOL_VERSION),
        (b"", posing.PROTOCOL_VERSION),
        (b"1e999", posing.PROTOCOL_VERSION),
        (b"[" * 5000 + b"]" * 5000, posing.PROTOCOL_VERSION),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_initialize_is_answered_with_the_version_asked_for(params: bytes, version: str) -> None:
    assert json.loads(posing.initialize_result(params, "1.0")) == {
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "bridge", "version": "1.0"},
    }


# ---- tools


OFFERED: list[tuple[list[str] | None, list[str]]] = [
    (None, ["openDiff", "close_tab", "closeAllDiffTabs"]),
    ([], ["openDiff", "close_tab", "closeAllDiffTabs"]),
    (
        ["saveDocument", "openFile", "acceptDiff"],
        ["openFile", "openDiff", "close_tab", "closeAllDiffTabs", "saveDocument"],
    ),
    ([*TOOLS, "executeCode"], [*TOOLS]),
]


@pytest.mark.parametrize(("names", "offered"), OFFERED)
def test_an_agent_is_offered_what_its_ide_has_and_what_needs_none(names: list[str] | None, offered: list[str]) -> None:
    assert list(posing.offered(names)) == offered
    assert [tool["name"] for tool in json.loads(posing.tool_list(names))["tools"]] == offered


@given(st.frozensets(st.text() | st.sampled_from([*TOOLS, "executeCode"])))
def test_whatever_an_ide_lists_only_official_tools_are_offered_in_one_order(names: frozenset[str]) -> None:
    offered = posing.offered(names)
    assert OWN <= set(offered) <= OWN | (names & TOOLS.keys())
    assert list(offered) == [name for name in TOOLS if name in offered]


def test_a_tool_is_listed_with_the_schema_of_its_arguments() -> None:
    listed = {tool.pop("name"): tool for tool in json.loads(posing.tool_list(["getOpenEditors"]))["tools"]}
    text = {"type": "string"}
    usual = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": False}
    assert listed["close_tab"] == {
        "description": "Close a diff's tab",
        "inputSchema": usual | {"properties": {"tab_name": text}, "required": ["tab_name"]},
    }
    assert listed["getOpenEditors"]["inputSchema"] == usual | {"properties": {}}


# ---- answers


def texts(result: dict[str, Any]) -> list[str]:
    assert all(item["type"] == "text" for item in result["content"])
    return [item["text"] for item in result["content"]]


def ended(how: str) -> Review:
    record = review()
    match how:
        case "as proposed":
            return decide(record, 1001.0, finals=("new\n",), trigger=Trigger.ACCEPTED_IN_IDE)
        case "edited":
            return decide(record, 1001.0, finals=("mine\n",), trigger=Trigger.ACCEPTED_ON_PAGE)
        case "emptied":
            return decide(record, 1001.0, finals=("",), trigger=Trigger.ACCEPTED_IN_IDE)
        case "rejected":
            said = (Comment(text="why?", file=0, line=3),)
            return decide(record, 1001.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE, comments=said)
    return advance(record, Step(how), 1001.0)


@pytest.mark.parametrize(
    ("how", "said", "outcome"),
    [
        ("as proposed", ["FILE_SAVED", "new\n"], "accepted"),
        ("edited", ["FILE_SAVED", "mine\n"], "accepted_with_edits"),
        ("emptied", ["FILE_SAVED", ""], "accepted_with_edits"),
        ("rejected", ["DIFF_REJECTED", "a tab"], "rejected"),
        ("cancel", ["DIFF_REJECTED", "a tab"], "cancelled"),
        ("supersede", ["DIFF_REJECTED", "a tab"], "superseded"),
        ("expire", ["DIFF_REJECTED", "a tab"], "expired"),
    ],
)
def test_only_what_a_human_accepted_is_saved_and_the_rest_is_rejected(how: str, said: list[str], outcome: str) -> None:
    result = posing.diff_result(decision(ended(how)), "a tab")
    assert texts(result) == said
    assert "isError" not in result
    assert result["_meta"]["bridge/review"]["outcome"] == outcome


def test_what_a_human_said_beyond_yes_or_no_is_in_the_meta() -> None:
    about = posing.diff_result(decision(ended("rejected")), "a tab")["_meta"]["bridge/review"]
    assert about == {
        "id": "r1",
        "outcome": "rejected",
        "trigger": "rejected_on_page",
        "comments": [{"text": "why?", "file": 0, "line": 3}],
    }


def test_closing_all_tells_the_number() -> None:
    assert posing.closed_tabs(3) == {"content": [{"type": "text", "text": "CLOSED_3_DIFF_TABS"}]}


@pytest.mark.parametrize(
    ("error", "words"), [(Unavailable("gone", "bridge status"), "gone (bridge status)"), (Conflict("taken"), "taken")]
)
def test_a_refusal_is_a_result_in_words_with_the_typed_error_beside(error: Unavailable, words: str) -> None:
    result = posing.call_refused(error)
    assert (texts(result), result["isError"]) == ([words], True)
    assert result["_meta"] == {"bridge/error": error.to_json()}
    json.dumps(result)


def test_an_error_of_the_protocol_is_an_object() -> None:
    assert jsonrpc.load(posing.rpc_error(posing.METHOD_NOT_FOUND, "é")) == {"code": -32601, "message": "é"}


def test_the_arguments_of_a_diff_are_four_texts() -> None:
    assert set(posing.OpenDiff.__struct_fields__) == set(TOOLS["openDiff"].arguments)
