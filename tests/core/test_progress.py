"""How far a call is: heard by who made it, under its own token, whatever an IDE says."""

import json
from dataclasses import replace

import msgspec
import pytest

from bridge.core import jsonrpc
from bridge.core.asks import CallTool
from bridge.core.events import Asked, LinkMessage, Notify, Reply, Send, SessionId
from bridge.core.jsonrpc import Message
from tests.playbook import ANN, BOB, CODE, Playbook, answers, asks, bring_up, hears, notifies, scene, withdraws

CALL = CallTool(tool="getDiagnostics", arguments=b'{"uri": "file:///w/a.py"}')


def asks_with(meta: bytes, id_: int = 1, who: SessionId = ANN) -> Asked:
    return asks(replace(CALL, meta=meta), id_, who=who, scene=scene(CODE))


def progress(token: object, **more: object) -> LinkMessage:
    return notifies("notifications/progress", jsonrpc.dump({"progressToken": token, "progress": 1, **more}))


def heard(token: object, who: SessionId = ANN) -> Notify:
    return hears("notifications/progress", jsonrpc.dump({"progressToken": token, "progress": 1}), who=who)


@pytest.fixture
def live(story: Playbook) -> Playbook:
    """A story in which CODE's link is live; the next id is 4."""
    story.quietly(asks(CALL, scene=scene(CODE)))
    bring_up(story)
    return story.quietly(answers(3))


@pytest.mark.parametrize("token", [7, "7", 0, "", 10**30, "cut \ud83d", None, 1.5, [1], {"a": 1}], ids=ascii)
def test_progress_is_told_under_the_askers_own_token(live: Playbook, token: object) -> None:
    meta = {"progressToken": token, "other": 1}
    (sent,) = live.router.handle(asks_with(jsonrpc.dump(meta)))
    assert isinstance(sent, Send)
    assert json.loads(sent.frame)["params"]["_meta"] == {"progressToken": 4, "other": 1}
    live >> progress(4) << heard(token) >> answers(4) << Reply(ANN, 1, b"{}") >> progress(4)


def test_equal_tokens_of_two_agents_are_two_tokens(live: Playbook) -> None:
    live.quietly(asks_with(b'{"progressToken":1}'), asks_with(b'{"progressToken":1}', who=BOB))
    live >> progress(5) << heard(1, BOB) >> progress(4) << heard(1)


def test_nobody_hears_of_a_call_that_was_taken_back_or_wanted_no_progress(live: Playbook) -> None:
    live.quietly(asks_with(b'{"progressToken":1}', 1), asks_with(b'{"a":1}', 2), asks_with(b"", 3), withdraws(1))
    live >> progress(4) >> progress(5) >> progress(6)


@pytest.mark.parametrize("token", ["4", True, 4.0, None, [4], {"4": 4}], ids=ascii)
def test_a_token_that_we_did_not_give_is_nobodys(live: Playbook, token: object) -> None:
    live.quietly(asks_with(b'{"progressToken":1}'))
    live >> progress(token)


def test_true_is_not_the_call_of_id_one(story: Playbook) -> None:
    story.quietly(asks_with(b'{"progressToken":7}'))
    bring_up(story)
    link = story.link()
    link.calls[1] = link.calls[3]
    story >> progress(True) >> progress(1) << heard(7)


@pytest.mark.parametrize("params", [b"5", b"{}", b"[4]", b'{"progressToken":4,"x":1e999}', b"%b4%b"], ids=repr)
def test_progress_that_makes_no_sense_is_told_to_nobody(live: Playbook, params: bytes) -> None:
    live.quietly(asks_with(b'{"progressToken":1}'))
    raw = Message(method="notifications/progress", params=msgspec.Raw(params))
    live >> LinkMessage(1000.0, CODE.lock.ide_id, raw)


@pytest.mark.parametrize("depth", range(960, 1000, 3))
def test_no_depth_of_what_is_said_breaks_the_router(live: Playbook, depth: int) -> None:
    """Between what can be read and what can be written lie a few levels."""
    nested = b"[" * depth + b"]" * depth
    live.quietly(asks_with(b'{"progressToken":%b}' % nested))
    raw = msgspec.Raw(b'{"progressToken":4,"x":%b}' % nested)
    live.quietly(LinkMessage(1000.0, CODE.lock.ide_id, Message(method="notifications/progress", params=raw)))
    assert len(live.link().calls) == 1


def test_meta_that_is_no_object_crosses_and_what_is_no_json_does_not(live: Playbook) -> None:
    sent = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"getDiagnostics","arguments":%b%b}}'
    for id_, meta, crossed in ((4, b"5", b',"_meta":5'), (5, b"1e999", b"")):
        live >> asks_with(meta, id_) << Send(CODE.lock.ide_id, sent % (id_, CALL.arguments, crossed))
