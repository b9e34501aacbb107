"""What the table's columns do, each over a socket; what the tools do otherwise is in test_deviations."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.core.dialects import Tools
from bridge.core.lockfile import Family
from bridge.core.traits import OFFICIAL, Traits, traits_of
from ide_plugins.emulator.personality import PERSONALITIES, PersonalityName
from tests.emulator.agent import TOKEN_HEADER, agent, sse_agent, texts
from tests.emulator.conftest import MakeIde

LOCK_FAMILY = [name for name, plugin in PERSONALITIES.items() if plugin.transport == "ws"]  # see test_companions
ALL = pytest.mark.parametrize("personality", LOCK_FAMILY)


@ALL
async def test_each_can_be_found_initialized_and_asked_for_its_tools(
    make_ide: MakeIde, personality: PersonalityName
) -> None:
    async with make_ide(personality=personality) as ide:
        lock = json.loads(ide.lock_path.read_bytes())
        assert lock["ideName"] == PERSONALITIES[personality].ide_name
        async with agent(ide.port, lock.get("authToken")) as ann:
            answer = await ann.call("initialize", {"protocolVersion": "2025-06-18"})
            spoken = "2025-06-18" if personality == "official" else "2024-11-05"
            assert answer["result"]["protocolVersion"] == spoken
            if personality == "el":
                pushed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}
                assert await ann.hear() == pushed
            assert (await ann.call("tools/list"))["result"]["tools"]


@ALL
async def test_each_decides_a_diff_over_events_too(make_ide: MakeIde, personality: PersonalityName) -> None:
    async with make_ide(personality=personality, transport="sse", human="accept") as ide, sse_agent(ide) as ann:
        await ann.propose()
        assert texts(await ann.hear()) == ["FILE_SAVED", "new\n"]


# plugin      token                                  file   directory
LOCKS = [
    ("official", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", 0o600, 0o700),
    ("nvim", r"[0-9a-f]{32}", 0o600, 0o700),
    ("el", None, 0o644, 0o755),
    ("monet", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", 0o644, 0o755),
]


@pytest.mark.parametrize(("personality", "token", "file_mode", "directory_mode"), LOCKS)
async def test_each_announces_itself_as_its_plugin_does(
    make_ide: MakeIde, lock_dir: Path, personality: str, token: str | None, file_mode: int, directory_mode: int
) -> None:
    async with make_ide(personality=personality) as ide:
        lock = json.loads(ide.lock_path.read_bytes())
        if token is None:
            assert "authToken" not in lock
        else:
            assert re.fullmatch(token, lock["authToken"])
        assert stat.S_IMODE(ide.lock_path.stat().st_mode) == file_mode
        assert stat.S_IMODE(lock_dir.stat().st_mode) == directory_mode


async def test_options_go_before_the_personality(make_ide: MakeIde) -> None:
    ide = make_ide(personality="el", name="Emacs (work)", token="secret")
    assert (ide.name, ide.token) == ("Emacs (work)", "secret")
    assert make_ide(personality="nvim", token=None).token is None


@pytest.mark.parametrize("personality", ["official", "nvim", "monet"])
def test_each_ide_has_a_token_of_its_own_and_hides_it(make_ide: MakeIde, personality: str) -> None:
    one, other = make_ide(personality=personality), make_ide(personality=personality)
    assert one.token
    assert one.token != other.token
    assert one.token not in repr(one)


@pytest.mark.parametrize(
    ("personality", "traits"),
    [
        ("official", OFFICIAL),
        ("nvim", Traits(several_clients=True, several_diffs=True)),
        ("el", Traits(one_based=True)),
        ("monet", Traits(keep_open=True)),
    ],
)
async def test_the_bridge_knows_each_by_its_name_and_tools(make_ide: MakeIde, personality: str, traits: Traits) -> None:
    async with make_ide(personality=personality) as ide, agent(ide) as ann:
        listed = (await ann.call("tools/list"))["result"]["tools"]
        tools = Tools({tool["name"]: tool["inputSchema"] for tool in listed})
        assert traits_of(Family.CLAUDE, ide.name, tools) == traits


def test_an_unknown_personality_is_the_callers_fault(make_ide: MakeIde) -> None:
    with pytest.raises(ValueError, match="no such personality: vim"):
        make_ide(personality="vim")


@pytest.mark.parametrize("personality", ["el", "monet"])
async def test_some_let_everybody_in(make_ide: MakeIde, personality: str) -> None:
    async with make_ide(personality=personality) as ide, agent(ide, headers={TOKEN_HEADER: "anything"}) as ann:
        assert (await ann.call("prompts/list"))["result"] == {"prompts": []}
        assert ide.unauthorised == 0


async def test_nvim_refuses_a_bad_token_before_the_upgrade(make_ide: MakeIde) -> None:
    async with make_ide(personality="nvim") as ide:
        with pytest.raises(InvalidStatus) as caught:
            async with agent(ide, headers={}):
                pass
        assert caught.value.response.status_code == 400
        assert (ide.connections, ide.unauthorised) == (0, 1)


@pytest.mark.parametrize(
    ("personality", "answered"), [("official", True), ("nvim", False), ("el", False), ("monet", False)]
)
async def test_only_the_official_one_knows_ping(make_ide: MakeIde, personality: str, answered: bool) -> None:
    async with make_ide(personality=personality) as ide, agent(ide) as ann:
        refused = {"error": {"code": -32601, "message": "Method not found"}}
        assert await ann.call("ping") == ({"result": {}} if answered else refused)


# ---- several clients


async def test_nvim_serves_several_and_tells_all(make_ide: MakeIde, workspace: Path) -> None:
    async with make_ide(personality="nvim") as ide, agent(ide) as ann, agent(ide) as bob:
        assert "result" in await ann.call("tools/list")
        assert "result" in await bob.call("tools/list")
        await ide.select(workspace / "a.py", "one")
        assert await ann.hear() == await bob.hear()


async def test_nvim_closes_a_clients_own_diffs_only(make_ide: MakeIde) -> None:
    async with make_ide(personality="nvim") as ide, agent(ide) as ann, agent(ide) as bob:
        anns = await ann.propose(tab="ann's")
        await ide.until(lambda: len(ide.pending) == 1)
        await bob.propose(tab="bob's")
        await bob.propose(tab="bob's other")
        await ide.until(lambda: len(ide.pending) == 3)
        close = await ann.ask("tools/call", {"name": "closeAllDiffTabs"})
        first, second = await ann.hear(), await ann.hear()
        assert (first["id"], texts(first), second["id"]) == (anns, ["DIFF_REJECTED", "ann's"], close)
        assert [diff.tab_name for diff in ide.pending] == ["bob's", "bob's other"]


async def test_nvim_rejects_what_a_client_leaves_undecided(make_ide: MakeIde) -> None:
    async with make_ide(personality="nvim") as ide, agent(ide) as bob:
        async with agent(ide) as ann:
            await ann.propose(tab="decided")
            await ide.next_diff()
            await ide.accept()
            await ann.hear()
            await ann.propose(tab="undecided")
            left = await ide.next_diff()
        await ide.until(lambda: left.answer)
        assert left.answer == ("DIFF_REJECTED", "undecided")
        assert [diff.tab_name for diff in ide.diffs] == ["decided"]  # its text may live here alone
        assert "result" in await bob.call("tools/list")  # and no answer that was not his


async def test_nvim_sends_nobody_an_answer_that_met_a_closed_socket(make_ide: MakeIde) -> None:
    async with make_ide(personality="nvim", faults=["slow:0.1"]) as ide, agent(ide) as bob:
        async with agent(ide) as ann:
            await ann.propose()
            diff = await ide.next_diff()
            ann.socket.transport.abort()
            await ide.accept(diff=diff)
        assert "result" in await bob.call("tools/list")


@pytest.mark.parametrize(("personality", "refused"), [("official", False), ("nvim", True)])
async def test_nvim_shows_no_diff_of_a_file_with_unsaved_changes(
    make_ide: MakeIde, personality: str, refused: bool
) -> None:
    async with make_ide(personality=personality, human="reject") as ide, agent(ide) as ann:
        ide.dirty.add(Path("/w/a.py"))
        await ann.propose()
        assert (await ann.hear()).get("error", {}).get("code") == (-32000 if refused else None)


async def test_el_lets_the_first_client_wait_for_ever(make_ide: MakeIde) -> None:
    async with make_ide(personality="el") as ide, agent(ide) as ann:
        await ann.call("tools/list")
        await ann.propose(id_="old")
        await ide.next_diff()
        async with agent(ide) as bob:
            await ann.ask("tools/call", {"name": "closeAllDiffTabs"})
            await ann.pong()  # it has been read
            assert "result" in await bob.call("tools/list")
            await ide.accept()
            assert (await bob.hear())["id"] == "old"
        await ide.until(lambda: not ide._listener.clients)
        await ann.ask("tools/call", {"name": "closeAllDiffTabs"})
        await ann.pong()
        assert [name for name, _ in ide.calls] == ["openDiff"]
        await ide.stop()
        with pytest.raises(ConnectionClosed):
            await ann.socket.recv()  # nothing had been sent


async def test_el_keeps_a_diff_for_the_next_client(make_ide: MakeIde) -> None:
    async with make_ide(personality="el") as ide:
        async with agent(ide) as ann:
            await ann.propose(id_="old")
            await ide.next_diff()
        await ide.until(lambda: not ide._listener.clients)
        async with agent(ide) as bob:
            await bob.call("tools/list")
            await ide.accept()
            late = await bob.hear()
            assert (late["id"], texts(late)) == ("old", ["FILE_SAVED", "new\n"])


async def test_el_never_answers_a_diff_that_its_namesake_replaced(make_ide: MakeIde) -> None:
    async with make_ide(personality="el") as ide, agent(ide) as ann:
        await ann.propose("old\n")
        second = await ann.propose("new\n")
        await ide.until(lambda: [diff.request_id for diff in ide.pending] == [second])
        await ide.accept()
        assert (await ann.hear())["id"] == second
        assert "result" in await ann.call("tools/list")


@pytest.mark.parametrize("ends", ["leaves", "displaced"])
async def test_monet_cannot_be_found_after_a_client_left(make_ide: MakeIde, ends: str) -> None:
    async with make_ide(personality="monet") as ide:
        async with agent(ide) as ann:
            await ann.call("tools/list")
            assert ide.lock_path.exists()
            if ends == "displaced":
                async with agent(ide) as bob:
                    await ann.closed()
                    await ide.until(lambda: not ide.lock_path.exists())
                    assert "result" in await bob.call("tools/list")
        await ide.until(lambda: not ide.lock_path.exists())
        async with agent(ide) as cid:  # who knows the port
            assert "result" in await cid.call("tools/list")


async def test_a_monet_that_dies_leaves_its_lock(make_ide: MakeIde) -> None:
    async with make_ide(personality="monet") as ide, agent(ide) as ann:
        await ann.call("tools/list")
        ide.die()
        await ann.closed()
    assert ide.lock_path.exists()


# ---- selections and diagnostics


async def test_monet_tells_a_selection_to_whom_it_was_introduced(make_ide: MakeIde, workspace: Path) -> None:
    async with make_ide(personality="monet") as ide, agent(ide) as ann:
        await ann.call("tools/list")
        await ide.select(workspace / "a.py", "one")
        await ann.call("tools/list")  # and nothing before its answer
        await ann.say('{"jsonrpc":"2.0","method":"ide_connected","params":{"pid":1}}')
        assert (await ann.hear())["params"]["text"] == "one"
        await ide.select(workspace / "a.py", "two")
        assert (await ann.hear())["params"]["text"] == "two"


async def test_monet_has_nothing_to_tell_without_a_selection(make_ide: MakeIde) -> None:
    async with make_ide(personality="monet") as ide, agent(ide) as ann:
        await ann.say('{"jsonrpc":"2.0","method":"ide_connected"}')
        assert "result" in await ann.call("tools/list")


async def test_el_counts_from_one_and_says_less(make_ide: MakeIde, workspace: Path) -> None:
    async with make_ide(personality="el") as ide, agent(ide) as ann:
        await ann.call("tools/list")
        await ide.select(workspace / "a.py", "two", (1, 0))
        assert (await ann.hear())["params"] == {
            "text": "two",
            "filePath": str(workspace / "a.py"),
            "selection": {"start": {"line": 2, "character": 1}, "end": {"line": 2, "character": 4}},
        }


@pytest.mark.parametrize("personality", ["nvim", "el", "monet"])
async def test_only_the_official_one_pushes_diagnostics(make_ide: MakeIde, workspace: Path, personality: str) -> None:
    async with make_ide(personality=personality) as ide, agent(ide) as ann:
        await ann.call("tools/list")
        await ide.diagnose(workspace / "a.py", [])
        assert "result" in await ann.call("tools/list")
