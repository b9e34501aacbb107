"""Every word that `bridge status` has for an IDE, and what none of its words ever is: a token."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.client import Client
from bridge.core.events import LinkState
from tests.e2e.outsiders import (
    NOT_FOUND,
    another_agent,
    decide_on_page,
    program,
    row,
    status,
    token_of,
    until_status,
)
from tests.e2e.support import Ide, Running, bridge, daemon_about
from tests.ides.lockfiles import TOKEN, ide_directory, write_lock


@dataclass
class Scene:
    """What a state is made from."""

    workspace: Path
    home: Path
    ide: Callable[..., Ide]
    running: Callable[..., Running]
    until_the_end: ExitStack

    def opened(self, *words: str) -> Ide:
        """Start an IDE and open a file there, whatever comes of it."""
        window = self.ide(*words)
        bridge("open", "f.txt", cwd=self.workspace)
        return window


@pytest.fixture
def scene(workspace: Path, home: Path, ide: Callable[..., Ide], running: Callable[..., Running]) -> Iterator[Scene]:
    (workspace / "f.txt").write_bytes(b"old\n")
    with ExitStack() as stack:
        yield Scene(workspace, home, ide, running, stack)


# ---- how each state comes about; every function gives the IDE's port


def listening(scene: Scene) -> int:
    return scene.ide().port


def occupied(scene: Scene) -> int:
    window = scene.ide()
    scene.until_the_end.enter_context(another_agent(window))
    return window.port


def connecting(scene: Scene) -> int:
    """It takes two seconds to give up on it; meanwhile it is asked about."""
    window = scene.ide("--fault", "hang-handshake")
    scene.running("open", "f.txt")
    return window.port


def live(scene: Scene) -> int:
    return scene.opened().port


def refused(scene: Scene) -> int:
    window = scene.ide()
    window.lock.write_bytes(window.lock.read_bytes().replace(token_of(window).encode(), TOKEN.encode()))
    bridge("open", "f.txt", cwd=scene.workspace)
    return window.port


def port_taken(scene: Scene) -> int:
    other = scene.until_the_end.enter_context(program(lambda _: NOT_FOUND))
    write_lock(ide_directory(scene.home / ".claude"), other.port, workspaceFolders=[str(scene.workspace)])
    bridge("open", "f.txt", cwd=scene.workspace)
    return other.port


def not_answering(scene: Scene) -> int:
    return scene.opened("--fault", "hang-initialize").port


def slot_lost(scene: Scene) -> int:
    window = scene.opened()
    scene.until_the_end.enter_context(another_agent(window))
    return window.port


def gone(scene: Scene) -> int:
    window = scene.ide()
    window.kill()
    return window.port


def unreachable(scene: Scene) -> int:
    """The configuration names a host on which nobody listens either: an address of loopback, as all others here."""
    config = scene.home / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('ide_host = "127.0.0.2"\n', "utf-8")
    assert bridge("restart", cwd=scene.workspace).returncode == 0
    return gone(scene)


STATES: dict[LinkState, Callable[[Scene], int]] = {
    LinkState.LISTENING: listening,
    LinkState.OCCUPIED: occupied,
    LinkState.CONNECTING: connecting,
    LinkState.LIVE: live,
    LinkState.REFUSED: refused,
    LinkState.PORT_TAKEN: port_taken,
    LinkState.NOT_ANSWERING: not_answering,
    LinkState.SLOT_LOST: slot_lost,
    LinkState.GONE: gone,
    LinkState.UNREACHABLE: unreachable,
}


# Its scene needs a WSL machine: tests/wsl/test_reach_stories.py.
BEYOND = {LinkState.HIDDEN}


@pytest.mark.parametrize("state", [state for state in LinkState if state not in BEYOND])
def test_status_has_a_word_for_it(state: LinkState, scene: Scene) -> None:
    assert bridge("up", cwd=scene.workspace).returncode == 0
    with Client(spawn=False, cwd=str(scene.workspace)) as client:
        port = STATES[state](scene)
        until_status(client, lambda said: row(said, port)["state"] == state)


def test_asking_for_the_status_touches_nobody(scene: Scene) -> None:
    window = scene.ide()
    assert row(status(scene.workspace), window.port)["state"] == "listening"
    assert bridge("status", cwd=scene.workspace).returncode == 0
    window.do("was anybody there")
    window.until("error")
    assert [event["event"] for event in window.events] == ["ready", "error"]


# ---- secrets


def test_no_token_is_in_any_output_file_or_argument(scene: Scene, home: Path, tmp_path: Path) -> None:
    """A whole run: a decision in the IDE, a refused token, a decision on the page, every report there is."""
    window = scene.ide("--human", "accept")
    token = token_of(window)
    cwd = scene.workspace
    propose = ("diff", "f.txt", "--proposed", "-")
    said = [
        bridge(*propose, "--apply", "--json", cwd=cwd, stdin=b"new\n"),
        bridge("open", "f.txt", "--json", cwd=cwd),
    ]
    window.lock.write_bytes(window.lock.read_bytes().replace(token.encode(), TOKEN.encode()))
    waiting = scene.running(*propose, stdin=b"newer\n")
    review = waiting.review_id()
    waiting.err.until(lambda line: "the review page" in line)
    reports = [
        ("status",),
        ("status", "--json"),
        ("review", "show", review, "--json"),
        ("review", "ls", "--all"),
        ("logs",),
    ]
    said += [bridge(*words, cwd=cwd) for words in reports]
    decide_on_page(review)
    assert waiting.end() == 0
    assert [done.returncode for done in said] == [0] * len(said)

    outputs = "".join(done.stdout + done.stderr for done in said) + "".join(waiting.err.seen + waiting.out.seen)
    about = daemon_about()
    assert about is not None
    arguments = Path(f"/proc/{about['pid']}/cmdline").read_bytes() + Path(f"/proc/{about['pid']}/environ").read_bytes()
    for secret in (token, TOKEN):
        assert secret not in outputs
        assert secret.encode() not in arguments
    assert holders(token, home, tmp_path, Path(about["socket"]).parent) == set()
    assert holders(TOKEN, home, tmp_path, Path(about["socket"]).parent) == {window.lock}


def holders(secret: str, *directories: Path) -> set[Path]:
    """Find the files that hold a secret."""
    return {
        Path(parent, name)
        for directory in directories
        for parent, _, names in os.walk(directory)
        for name in names
        if Path(parent, name).is_file() and secret.encode() in Path(parent, name).read_bytes()
    }
