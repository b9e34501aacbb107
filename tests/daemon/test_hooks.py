"""Hooks, asked of a real daemon on the control socket: what the golden files of ``bridge hook`` do not say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from bridge.errors import BridgeError, Unavailable, Usage
from tests.e2e.outsiders import decide_on_page
from tests.e2e.support import everything_ends, until


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "work" / "f.txt"
    path.parent.mkdir()
    path.write_bytes(b"a\n")
    return path


@pytest.fixture
def bridge(file: Path) -> Iterator[Client]:
    with everything_ends([]), Client(cwd=str(file.parent)) as client:
        yield client


def write(file: Path, **more: Any) -> dict[str, Any]:
    """What is asked when Claude Code is about to write ``b`` into the file."""
    said = {
        "session_id": "s",
        "tool_use_id": "t",
        "cwd": str(file.parent),
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": {"file_path": str(file), "content": "b\n"},
    }
    return {"agent": "claude", "said": json.dumps(said | more)}


def patch(file: Path, *lines: str) -> dict[str, Any]:
    """What is asked when Codex is about to apply a patch."""
    given = {"command": "\n".join(["*** Begin Patch", *lines, "*** End Patch"])}
    return write(file, tool_name="apply_patch", tool_input=given) | {"agent": "codex"}


def why_out(bridge: Client, asked: dict[str, Any]) -> str:
    """Let it stay out, and give the reason."""
    begun: dict[str, Any] = bridge.request("hook/begin", asked)
    assert (begun["stdout"], begun["code"]) == ("", 0)
    return str(begun["stderr"]).removeprefix("bridge: stays out: ")


def test_an_agent_without_hooks_is_refused(bridge: Client, file: Path) -> None:
    with pytest.raises(Usage, match="no hooks for cobol"):
        bridge.request("hook/begin", write(file) | {"agent": "cobol"})


def test_files_that_cannot_be_are_stayed_out_of(bridge: Client, file: Path) -> None:
    for name in ("\0", "\ud83d", "x" * 20_000):
        given = {"file_path": name, "content": "b"}
        assert why_out(bridge, write(file, tool_input=given)) == "it names a file that there cannot be"
    given = {"file_path": str(file.parent), "content": "b"}
    assert "is not a regular file" in why_out(bridge, write(file, tool_input=given))
    assert "the proposed text is binary" in why_out(
        bridge, write(file, tool_input={"file_path": str(file), "content": "\0"})
    )


def test_a_name_that_leads_to_two_files_is_stayed_out_of(bridge: Client, file: Path) -> None:
    """Some agents take ``link/..`` for nothing; to the system it is the directory above the target."""
    other = file.parent.parent / "elsewhere" / "deep"
    other.mkdir(parents=True)
    os.symlink(other, file.parent / "link")
    for name in (f"{file.parent}/link/../f.txt", "link/../f.txt"):
        given = {"file_path": name, "content": "b"}
        assert "may mean another file" in why_out(bridge, write(file, tool_input=given))
    assert "id" in bridge.request("hook/begin", write(file, tool_input={"file_path": "x/../f.txt", "content": "b"}))


@pytest.mark.parametrize("name", ["~/f.txt", "~", " f.txt", "f.txt ", "\tf.txt"])
def test_a_name_that_agents_may_read_in_their_own_way_is_stayed_out_of(bridge: Client, file: Path, name: str) -> None:
    """The home directory, or blanks that are taken away: it could be another file than the one that is shown."""
    assert "may mean another file" in why_out(bridge, write(file, tool_input={"file_path": name, "content": "b"}))


def test_one_file_under_two_names_is_no_review(bridge: Client, file: Path) -> None:
    os.symlink(file, file.parent / "link")
    twice = patch(file, "*** Add File: f.txt", "+x", "*** Add File: link", "+y")
    assert "twice" in why_out(bridge, twice)


def test_more_files_than_a_human_looks_at_are_not_even_read(bridge: Client, file: Path) -> None:
    lines = [line for number in range(201) for line in (f"*** Add File: {number}", "+x")]
    assert "201 files, more than a human can review" in why_out(bridge, patch(file, *lines))


def test_what_a_file_name_does_to_a_terminal_is_shown(bridge: Client, file: Path) -> None:
    assert why_out(bridge, write(file, tool_name="Write\x1b[2J")) == r"the bridge does not review Write\x1b[2J"


def test_a_call_that_is_asked_about_again_is_the_same_review(bridge: Client, file: Path) -> None:
    """Also when the file is another by now: then what the human says to it is told, and nothing is written."""
    begun = bridge.request("hook/begin", write(file))
    file.write_bytes(b"by somebody else\n")
    with Client(cwd=str(file.parent)) as again:
        assert again.request("hook/begin", write(file)) == {"id": begun["id"]}
    decide_on_page(begun["id"])
    answer = bridge.request("hook/answer", write(file) | {"id": begun["id"]})
    assert "changed on disk" in answer["stdout"]


def test_a_decision_that_the_agent_has_is_for_one_call_only(bridge: Client, file: Path) -> None:
    """Ids come again, from models that count their calls; what was undone since is not done again by an old yes."""
    begun = bridge.request("hook/begin", write(file))
    decide_on_page(begun["id"])
    assert bridge.request("hook/begin", write(file))["id"] == begun["id"]  # the agent may not have it
    other = write(file, tool_input={"file_path": str(file), "content": "other\n"})
    assert bridge.request("hook/begin", other)["id"] != begun["id"]
    bridge.delivered(begun["id"])
    assert bridge.request("hook/begin", write(file))["id"] != begun["id"]


def test_a_file_that_is_no_text_any_more_has_changed(bridge: Client, file: Path) -> None:
    begun = bridge.request("hook/begin", write(file))
    file.write_bytes(b"\0")
    decide_on_page(begun["id"])
    assert "changed on disk" in bridge.request("hook/answer", write(file) | {"id": begun["id"]})["stdout"]


def test_a_name_that_leads_elsewhere_by_now_has_changed(bridge: Client, file: Path) -> None:
    """The human saw one file, and the agent would write another with the very same text."""
    link = file.parent / "link"
    link.symlink_to(file)
    asked = write(file, tool_input={"file_path": str(link), "content": "b\n"})
    begun = bridge.request("hook/begin", asked)
    link.unlink()
    link.write_bytes(b"a\n")
    decide_on_page(begun["id"])
    assert "changed on disk" in bridge.request("hook/answer", asked | {"id": begun["id"]})["stdout"]


def test_of_two_accepted_calls_for_one_file_the_second_is_asked_again(bridge: Client, file: Path) -> None:
    """Both were made from the same text: after the first the second would make what nobody has seen."""
    other = write(file, tool_use_id="u", tool_input={"file_path": str(file), "content": "c\n"})
    begun = [bridge.request("hook/begin", asked)["id"] for asked in (write(file), other)]
    for review in begun:
        decide_on_page(review)
    first = write(file) | {"id": begun[0]}
    assert '"allow"' in bridge.request("hook/answer", first)["stdout"]
    assert "changed on disk" in bridge.request("hook/answer", other | {"id": begun[1]})["stdout"]
    assert '"allow"' in bridge.request("hook/answer", first)["stdout"]  # asked again, by way of another connection


def test_an_answer_is_about_a_review_that_there_is(bridge: Client, file: Path) -> None:
    with pytest.raises(Unavailable):
        bridge.request("hook/answer", write(file) | {"id": "none"})


def test_a_hook_that_is_killed_before_it_waits_leaves_no_review(bridge: Client, file: Path) -> None:
    """Whoever decided that would have decided nothing."""
    with Client(cwd=str(file.parent)) as hook:
        begun = hook.request("hook/begin", write(file))
    until(lambda: state_of(bridge, begun["id"]) == "cancelled", "it stays open")


def state_of(bridge: Client, review_id: str) -> Any:
    return bridge.request("review/get", {"id": review_id})["state"]


@pytest.mark.parametrize("bound", [False, True])
def test_a_bound_review_ends_with_who_waits_for_it(bridge: Client, file: Path, bound: bool) -> None:
    """Others stay: their asker may come back."""
    review = bridge.propose(str(file), "b\n", surface="page")
    done: Callable[[], dict[str, Any]] = lambda: bridge.request("review/get", {"id": review})  # noqa: E731
    with Client(cwd=str(file.parent)) as other, pytest.raises(BridgeError, match="still undecided"):
        other.wait(review, 0.0, bound=bound)
    if bound:
        until(lambda: done()["state"] == "cancelled", "it stays open")
    else:
        assert done()["state"] == "proposed"


def test_a_bound_review_keeps_its_decision(bridge: Client, file: Path) -> None:
    review = bridge.propose(str(file), "b\n", surface="page")
    with Client(cwd=str(file.parent)) as other:
        with pytest.raises(BridgeError, match="still undecided"):
            other.wait(review, 0.0, bound=True)
        decide_on_page(review)
    assert bridge.request("review/get", {"id": review})["state"] == "decided"
