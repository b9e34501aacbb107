"""IDEs that hang, die, refuse or belong to somebody else: the work goes on elsewhere, and `status` says why."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from bridge.core.lockfile import LockFile
from tests.e2e.outsiders import (
    NOT_FOUND,
    Stranger,
    age,
    another_agent,
    chosen,
    decide_on_page,
    is_connected,
    look_at_page,
    program,
    row,
    status,
    token_of,
    until_status,
)
from tests.e2e.support import Ide, Running, bridge
from tests.ides.lockfiles import TOKEN, ide_directory, write_lock

StartIde = Callable[..., Ide]
StartCommand = Callable[..., Running]

PROPOSE = ("diff", "f.txt", "--proposed", "-", "--json")
OLD, NEW = b"a\nb\n", b"a\nB\n"


@pytest.fixture
def propose(running: StartCommand, file: Path) -> Callable[..., Running]:
    """Propose the change of `file`, as an agent does."""
    return lambda *words: running(*PROPOSE, *words, stdin=NEW)


def moved_to_page(diff: Running) -> str:
    """Wait until the asker is told that the review is on the page, and give its words."""
    return diff.err.until(lambda line: "the review page" in line)


def decision(diff: Running) -> dict[str, Any]:
    """Wait for the decision that the asker prints."""
    said: dict[str, Any] = json.loads(diff.out.until(lambda line: line.startswith("{")))
    return said


# ---- IDEs that are silent


@pytest.mark.parametrize("fault", ["hang-handshake", "hang-initialize"])
def test_an_ide_that_hangs_at_the_handshake_is_passed_over(
    fault: str, workspace: Path, file: Path, ide: StartIde
) -> None:
    sound = ide()
    mute = ide("--fault", fault)  # the newer one, so it is asked first
    done = bridge("open", "f.txt", "--json", cwd=workspace)
    assert (done.returncode, json.loads(done.stdout)["port"]) == (0, sound.port)
    said = status(workspace)
    assert (row(said, mute.port)["state"], row(said, sound.port)["state"]) == ("not answering", "live")
    assert row(said, mute.port)["detail"] == "no answer within 2 s"


def stop_reading(window: Ide) -> None:
    """Nothing to do: the emulator falls silent by itself."""


def stop_process(window: Ide) -> None:
    """Stop the whole process, as a debugger or a laptop's lid does."""
    window.process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize(
    ("words", "silence"), [(("--fault", "hang-after-diff"), stop_reading), ((), stop_process)], ids=["mute", "stopped"]
)
def test_an_ide_that_falls_silent_over_a_diff_loses_it_to_the_page(
    words: tuple[str, ...], silence: Callable[[Ide], None], file: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide(*words)
    diff = propose("--apply")
    review = diff.review_id()
    window.until("diff")
    silence(window)
    assert "it did not answer a ping" in moved_to_page(diff)
    decide_on_page(review)
    assert (decision(diff)["outcome"], diff.end(), file.read_bytes()) == ("accepted", 0, NEW)
    window.kill()  # a stopped process would not end otherwise


def test_an_ide_that_was_silent_before_the_diff_came_loses_it_too(
    workspace: Path, file: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide()
    assert bridge("open", "f.txt", cwd=workspace).returncode == 0  # from now on there is a link
    stop_process(window)
    diff = propose()
    review = diff.review_id()
    assert "it did not answer a ping" in moved_to_page(diff)
    decide_on_page(review, accept=False)
    assert (decision(diff)["outcome"], diff.end()) == ("rejected", 1)
    window.kill()


# ---- IDEs that die


def by_kill(window: Ide) -> None:
    window.kill()


def by_itself(window: Ide) -> None:
    """Nothing to do: the diff killed it."""


@pytest.mark.parametrize(
    ("words", "die"), [((), by_kill), (("--fault", "die-on-diff"), by_itself)], ids=["killed", "crashed"]
)
@pytest.mark.parametrize(
    ("accept", "outcome", "code", "text"), [(True, "accepted", 0, NEW), (False, "rejected", 1, OLD)]
)
def test_the_page_takes_over_from_an_ide_that_dies_mid_review(
    words: tuple[str, ...],
    die: Callable[[Ide], None],
    accept: bool,
    outcome: str,
    code: int,
    text: bytes,
    workspace: Path,
    file: Path,
    ide: StartIde,
    propose: Callable[..., Running],
) -> None:
    window = ide(*words)
    diff = propose("--apply")
    review = diff.review_id()
    window.until("diff")
    die(window)
    assert "went away" in moved_to_page(diff)
    assert row(status(workspace), window.port)["state"] == "gone"
    decide_on_page(review, accept=accept)
    said = decision(diff)
    assert (said["id"], said["outcome"], said["trigger"]) == (review, outcome, f"{outcome}_on_page")
    assert (diff.end(), file.read_bytes()) == (code, text)


def test_an_ide_that_comes_back_on_another_port_is_offered_the_review(
    file: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide()
    diff = propose()
    window.until("diff")
    window.kill()
    moved_to_page(diff)
    again = ide()
    assert again.port != window.port
    again.until("diff", path=str(file))
    diff.err.until(lambda line: line == "shown in Visual Studio Code")
    again.do("accept")
    assert (decision(diff)["trigger"], diff.end()) == ("accepted_in_ide", 0)


def test_a_review_under_the_eyes_of_the_human_stays_on_the_page(
    workspace: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    """An IDE that starts meanwhile does not pull it away; `bridge review open` does."""
    diff = propose()
    review = diff.review_id()
    moved_to_page(diff)
    with Client(spawn=False, cwd=str(workspace)) as client:
        look_at_page(review)
        window = ide()
        until_status(client, lambda said: bool(said["ides"]))
        assert bridge("review", "open", review, "--surface", "ide", cwd=workspace).returncode == 0
    window.until("diff")
    window.do("accept")
    assert (decision(diff)["outcome"], diff.end()) == ("accepted", 0)


# ---- answers that come late


@pytest.mark.parametrize("words", [(), ("--fault", "slow:0.2")], ids=["at once", "before the handshake's end"])
def test_an_answer_on_a_new_socket_decides_by_its_old_id(
    words: tuple[str, ...], file: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide(*words)
    diff = propose("--apply")
    window.until("diff")
    window.do("drop")
    window.do("accept")
    said = decision(diff)
    assert (said["outcome"], said["trigger"]) == ("accepted", "accepted_in_ide")
    assert (diff.end(), file.read_bytes()) == (0, NEW)
    window.until("call", tool="close_tab")
    assert [event["event"] for event in window.events].count("diff") == 1  # it was not shown again


def test_a_late_rejection_is_no_decision_and_the_review_is_shown_again(
    ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide()
    diff = propose()
    window.until("diff")
    window.do("drop")
    window.do("reject")
    window.until("diff")
    window.do("accept")
    assert (decision(diff)["outcome"], diff.end()) == ("accepted", 0)


# ---- IDEs that somebody else uses


def test_an_occupied_ide_is_left_to_its_client(
    workspace: Path, file: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide()
    with another_agent(window) as agent:
        said = row(status(workspace), window.port)
        assert (said["state"], said["chosen"], said["reason"]) == ("occupied", False, "occupied by another client")
        diff = propose()
        review = diff.review_id()
        assert "occupied by another client" in moved_to_page(diff)
        assert bridge("open", "f.txt", cwd=workspace).returncode == 69
        assert is_connected(agent)
        decide_on_page(review)
        assert diff.end() == 0
        assert is_connected(agent)


def test_an_occupied_ide_is_taken_when_the_user_names_it(workspace: Path, file: Path, ide: StartIde) -> None:
    window = ide()
    with another_agent(window):
        done = bridge("open", "f.txt", "--json", "--ide", str(window.port), cwd=workspace)
        assert (done.returncode, json.loads(done.stdout)["port"]) == (0, window.port)
        window.until("disconnected")


def test_a_slot_that_was_lost_is_not_fought_for(
    workspace: Path, file: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide()
    diff = propose()
    review = diff.review_id()
    window.until("diff")
    with another_agent(window) as agent:
        assert "another client took its one place" in moved_to_page(diff)
        assert row(status(workspace), window.port)["state"] == "slot lost"
        decide_on_page(review)
        assert diff.end() == 0
        assert is_connected(agent)


# ---- ports that are not the IDE's


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
def test_another_user_on_a_dead_ides_port_hears_nothing(
    workspace: Path, file: Path, ide: StartIde, propose: Callable[..., Running], started: list[Any]
) -> None:
    window = ide()
    window.kill()
    started.append(stranger := Stranger(window.port))
    diff = propose()
    review = diff.review_id()
    moved_to_page(diff)
    assert bridge("open", "f.txt", "--ide", str(window.port), cwd=workspace).returncode == 69
    said = row(status(workspace), window.port)
    assert (said["state"], said["detail"]) == ("port taken", "its port belongs to another user")
    assert f"port {window.port} belongs to another user" in said["reason"]
    decide_on_page(review)
    assert diff.end() == 0
    assert stranger.heard() == b""


STRANGE_ANSWERS = [
    # what the program says, state, why
    (lambda _: NOT_FOUND, "port taken", "it answered HTTP 404"),
    (lambda piece: piece, "port taken", "no WebSocket server"),
    (lambda _: b"SSH-2.0-OpenSSH_9.6\r\n" * 9, "port taken", "no WebSocket server"),
    (lambda _: b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "refused", "it answered HTTP 401"),
]


@pytest.mark.parametrize(("answer", "state", "why"), STRANGE_ANSWERS, ids=["http", "echo", "ssh", "401"])
def test_another_program_on_the_port_gets_the_token_once_at_most(
    answer: Callable[[bytes], bytes],
    state: str,
    why: str,
    home: Path,
    workspace: Path,
    file: Path,
    propose: Callable[..., Running],
) -> None:
    with program(answer) as other:
        lock = write_lock(ide_directory(home / ".claude"), other.port, workspaceFolders=[str(workspace)])
        diff = propose()
        review = diff.review_id()
        assert why in moved_to_page(diff)
        assert bridge("open", "f.txt", cwd=workspace).returncode == 69
        assert other.heard.count(TOKEN.encode()) == 1
        said = row(status(workspace), other.port)
        assert (said["state"], said["chosen"]) == (state, False)
        assert why in said["detail"]
        age(lock, 60)  # the file changed: whoever wrote it may be an IDE again, after a pause
        with Client(spawn=False, cwd=str(workspace)) as client:
            until_status(client, lambda said: chosen(said) == other.port)
        assert bridge("open", "f.txt", cwd=workspace).returncode == 69
        assert other.heard.count(TOKEN.encode()) == 2
        decide_on_page(review)
        assert diff.end() == 0


def test_a_refused_token_is_not_sent_again(
    workspace: Path, file: Path, ide: StartIde, propose: Callable[..., Running]
) -> None:
    window = ide()
    right = token_of(window)
    window.lock.write_text(window.lock.read_text().replace(right, TOKEN))
    assert LockFile.parse(window.lock.name, window.lock.read_bytes()).auth_token == TOKEN
    diff = propose()
    review = diff.review_id()
    assert "it refused the token" in moved_to_page(diff)
    assert row(status(workspace), window.port)["state"] == "refused"
    assert bridge("open", "f.txt", cwd=workspace).returncode == 69
    window.do("and now")
    window.until("error")
    assert [event["event"] for event in window.events].count("unauthorised") == 1
    window.lock.write_text(window.lock.read_text().replace(TOKEN, right))  # the plugin mends its file
    assert bridge("open", "f.txt", cwd=workspace).returncode == 0
    decide_on_page(review)
    assert diff.end() == 0
