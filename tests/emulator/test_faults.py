from __future__ import annotations

import asyncio
import json
import stat

import pytest
from websockets.exceptions import ConnectionClosed

from ide_plugins.emulator import Fault
from ide_plugins.emulator.faults import GARBAGE, Faults
from tests.emulator.agent import agent
from tests.emulator.conftest import MakeIde

SILENCE_S = 0.2  # how long nothing must come to be called silence


def test_every_fault_and_any_delay_has_a_word() -> None:
    faults = Faults.parse([*Fault, "slow:0.5"])
    assert all(fault in faults for fault in Fault)
    assert faults.delay_s == 0.5
    assert not any(fault in Faults.parse([]) for fault in Fault)


def test_two_faults_end_in_silence() -> None:
    assert [fault for fault in Fault if Faults.parse([fault]).silence] == [
        Fault.HANG_HANDSHAKE,
        Fault.HANG_AFTER_DIFF,
    ]


@pytest.mark.parametrize("word", ["", "hang", "slow", "slow:", "slow:fast"])
def test_an_unknown_fault_is_the_callers_fault(word: str) -> None:
    with pytest.raises(ValueError, match=r"not a valid Fault|could not convert"):
        Faults.parse([word])


@pytest.mark.parametrize(
    ("fault", "swallowed"),
    [
        (Fault.HANG_INITIALIZE, {"initialize"}),
        (Fault.HANG_CALLS, {"ping", "tools/call", "unknown"}),
        (Fault.GARBAGE, set()),
    ],
)
async def test_hanging_ides_forget_some_requests_and_answer_the_rest(
    make_ide: MakeIde, fault: Fault, swallowed: set[str]
) -> None:
    methods = ["initialize", "ping", "tools/call", "unknown", "tools/list"]  # the last is always answered
    async with make_ide(faults=[fault]) as ide, agent(ide) as ann:
        asked = {await ann.ask(method, {"name": "getWorkspaceFolders"}): method for method in methods}
        answered: list[str] = []
        while "tools/list" not in answered:
            frame = await ann.socket.recv()
            if frame not in GARBAGE:
                answered.append(asked[json.loads(frame)["id"]])
        assert answered == [method for method in methods if method not in swallowed]
        assert ide.calls == [("getWorkspaceFolders", {})]


async def test_an_ide_may_die_of_a_diff(make_ide: MakeIde) -> None:
    async with make_ide(faults=[Fault.DIE_ON_DIFF]) as ide, agent(ide) as ann:
        await ann.propose()
        assert (await ann.closed())[0] == 1006
        assert len(ide.diffs) == 1
    assert ide.lock_path.exists()


async def test_a_handshake_may_never_be_answered(make_ide: MakeIde) -> None:
    async with make_ide(faults=[Fault.HANG_HANDSHAKE]) as ide:
        with pytest.raises(TimeoutError):
            async with agent(ide, open_timeout=SILENCE_S):
                pass
        assert ide.connections == 0


async def test_after_a_diff_it_may_be_as_if_stopped(make_ide: MakeIde) -> None:
    async with make_ide(faults=[Fault.HANG_AFTER_DIFF]) as ide, agent(ide) as ann:
        await ann.pong()
        await ann.propose()
        await ann.ask("tools/call", {"name": "closeAllDiffTabs"})
        await ide.next_diff()
        await ide.accept()
        with pytest.raises(TimeoutError):
            await ann.pong(SILENCE_S)
        with pytest.raises(TimeoutError):
            async with agent(ide, open_timeout=SILENCE_S):
                pass
        assert [name for name, _ in ide.calls] == ["openDiff"]
        await ide.drop_client()
        with pytest.raises(ConnectionClosed):
            await ann.hear()  # nothing had been sent
    assert not ide.lock_path.exists()


async def test_garbage_precedes_every_answer(make_ide: MakeIde) -> None:
    async with make_ide(faults=[Fault.GARBAGE]) as ide, agent(ide) as ann:
        for _ in range(2):
            id_ = await ann.ask("ping")
            async with asyncio.timeout(5):
                assert tuple([await ann.socket.recv() for _ in GARBAGE]) == GARBAGE
            assert (await ann.hear())["id"] == id_


async def test_a_slow_ide_answers_late(make_ide: MakeIde) -> None:
    loop = asyncio.get_running_loop()
    async with make_ide(faults=["slow:0.05"]) as ide, agent(ide) as ann:
        before = loop.time()
        await ann.call("ping")
        assert loop.time() - before >= 0.05
        await ann.pong()  # its WebSocket library is as quick as ever


async def test_half_a_lock_file_can_be_completed(make_ide: MakeIde) -> None:
    async with make_ide(faults=[Fault.HALF_LOCK]) as ide:
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(ide.lock_path.read_bytes())
        await ide.complete_lock()
        assert json.loads(ide.lock_path.read_bytes())["authToken"] == ide.token


@pytest.mark.parametrize(("faults", "mode"), [([], 0o600), ([Fault.LOOSE_LOCK], 0o644)])
async def test_the_lock_file_may_be_open_to_all(make_ide: MakeIde, faults: list[Fault], mode: int) -> None:
    async with make_ide(faults=faults) as ide:
        assert stat.S_IMODE(ide.lock_path.stat().st_mode) == mode


async def test_a_selection_may_be_cut_inside_an_emoji(make_ide: MakeIde) -> None:
    async with make_ide(faults=[Fault.SURROGATE]) as ide, agent(ide) as ann:
        await ann.call("ping")
        await ide.select(ide.workspace / "a.py", "x")
        frame = await ann.socket.recv()
        assert isinstance(frame, str)
        assert r"x\ud83d" in frame
        assert json.loads(frame)["params"]["text"] == "x\ud83d"


async def test_open_file_may_call_its_failure_a_success(make_ide: MakeIde) -> None:
    async with make_ide(faults=[Fault.OPENFILE_LIES]) as ide, agent(ide) as ann:
        arguments = {"filePath": "/a.py", "startText": "", "endText": ""}
        assert await ann.call("tools/call", {"name": "openFile", "arguments": arguments}) == {
            "result": {"content": [{"type": "text", "text": "Error opening file: /a.py"}]}
        }
