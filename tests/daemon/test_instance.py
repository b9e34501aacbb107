"""One daemon per user: who may claim the place, and what is found there."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bridge.daemon import instance
from bridge.daemon.instance import AlreadyRunning, claim, write_private
from bridge.errors import BadConfiguration, NotTrusted, Unavailable
from bridge.paths import Paths

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """A daemon sets its umask for good; the tests share theirs."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_claim_makes_everything_for_this_user_alone_and_leaves_nothing_that_lies(places: Paths) -> None:
    with claim(places, os.environ) as mine:
        mine.announce({"pid": 7})
        assert json.loads(Path(places.address).read_text(encoding="utf-8")) == {"socket": mine.address, "pid": 7}
        private = (places.state, places.lock, places.address, mine.address, os.path.dirname(mine.address))
        assert [mode(path) for path in private] == [0o700, 0o600, 0o600, 0o600, 0o700]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(mine.address)
    assert not os.path.exists(places.address)
    assert not os.path.exists(mine.address)


def test_on_tcp_a_port_of_loopback_is_claimed_and_the_token_lies_where_only_this_user_reads(places: Paths) -> None:
    with claim(places, os.environ, tcp=True) as mine:
        mine.announce({"pid": 7})
        said = json.loads(Path(places.address).read_text(encoding="utf-8"))
        assert said == {"socket": mine.address, "token": mine.token, "pid": 7}
        assert (mode(places.state), mode(places.address)) == (0o700, 0o600)
        assert mine.address == f"127.0.0.1:{mine.listener.getsockname()[1]}"
        assert len(mine.token or "") == 64
        assert not os.path.exists(os.path.join(os.environ["XDG_RUNTIME_DIR"], "bridge"))
    assert not os.path.exists(places.address)
    with claim(places, os.environ, tcp=True) as next_:
        assert next_.token != mine.token


def test_who_took_the_port_of_a_dead_daemon_is_not_taken_for_it(places: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        os.makedirs(places.state, mode=0o700)
        stale = {"socket": f"127.0.0.1:{stranger.getsockname()[1]}", "token": "x" * 64, "pid": 7}
        write_private(places.address, json.dumps(stale).encode())
        with claim(places, os.environ, tcp=True) as mine:
            assert mine.address != stale["socket"]


def test_the_second_is_told_that_the_first_is_there(places: Paths) -> None:
    with claim(places, os.environ) as mine:
        mine.announce({})
        with pytest.raises(AlreadyRunning), claim(places, os.environ):
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(mine.address)


def test_another_runtime_directory_is_no_way_around_the_first(places: Paths, tmp_path: Path) -> None:
    other = tmp_path / "run"
    other.mkdir(mode=0o700)
    with claim(places, os.environ) as mine:
        mine.announce({})
        with pytest.raises(AlreadyRunning), claim(places, {**os.environ, "XDG_RUNTIME_DIR": str(other)}):
            pass
        assert list(other.iterdir()) == []


def test_a_live_socket_is_not_replaced_although_its_lock_file_was_removed(places: Paths, tmp_path: Path) -> None:
    other = tmp_path / "run"
    other.mkdir(mode=0o700)
    with claim(places, os.environ) as mine:
        mine.announce({})
        os.unlink(places.lock)
        for environ in (os.environ, {**os.environ, "XDG_RUNTIME_DIR": str(other)}):
            with pytest.raises(AlreadyRunning, match="lock file was removed"), claim(places, environ):
                pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(mine.address)


def _hold(places: Paths, claimed: Any, go: Any) -> None:
    with claim(places, os.environ):
        claimed.set()
        go.wait(PATIENCE_S)
        os._exit(9)  # as by kill -9: everything is left behind


def test_what_a_dead_daemon_left_is_replaced(places: Paths) -> None:
    context = multiprocessing.get_context("fork")
    claimed, go = context.Event(), context.Event()
    dead = context.Process(target=_hold, args=(places, claimed, go))
    dead.start()
    assert claimed.wait(PATIENCE_S)
    go.set()
    dead.join(PATIENCE_S)
    write_private(places.address, b'{"socket": "/nowhere"}')
    with claim(places, os.environ) as mine, socket.socket(socket.AF_UNIX) as client:
        client.connect(mine.address)


def test_a_daemon_that_is_going_is_waited_for(places: Paths) -> None:
    with ExitStack() as going:
        going.enter_context(claim(places, os.environ)).listener.close()
        claimed: list[str] = []

        def come() -> None:
            with claim(places, os.environ) as mine:
                claimed.append(mine.address)

        coming = threading.Thread(target=come)
        coming.start()
    coming.join(PATIENCE_S)
    assert len(claimed) == 1


def test_a_daemon_that_neither_goes_nor_answers_is_not_waited_for_for_ever(
    places: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "_PATIENCE_S", 0.1)
    with (
        claim(places, os.environ),
        pytest.raises(Unavailable, match="does not say where it answers"),
        claim(places, os.environ),
    ):
        pass


@pytest.mark.parametrize("said", ["", "nonsense", "[]", "{}", '{"socket": 7}', '{"socket": "a\\u0000b"}', '"x"'])
def test_an_announcement_that_makes_no_sense_keeps_nobody_out(places: Paths, said: str) -> None:
    os.makedirs(places.state, mode=0o700)
    Path(places.address).write_text(said, encoding="utf-8")
    with claim(places, os.environ) as mine:
        mine.announce({})


def test_a_state_directory_that_others_enter_is_refused(places: Paths) -> None:
    os.makedirs(places.state)
    with pytest.raises(NotTrusted) as caught, claim(places, os.environ):
        pass
    assert caught.value.hint == f"chmod 700 '{places.state}'"


def test_a_runtime_directory_that_others_enter_is_refused_and_the_lock_given_back(places: Paths) -> None:
    runtime = Path(os.environ["XDG_RUNTIME_DIR"]) / "bridge"
    runtime.mkdir()
    runtime.chmod(0o755)
    with pytest.raises(NotTrusted) as caught, claim(places, os.environ):
        pass
    assert caught.value.hint == f"chmod 700 '{runtime}'"
    runtime.chmod(0o700)
    with claim(places, os.environ):
        pass


def test_a_place_where_no_socket_can_be_is_told(places: Paths) -> None:
    with claim(places, os.environ) as mine:
        address = mine.address
    os.mkdir(address)
    with pytest.raises(BadConfiguration, match="cannot bind"), claim(places, os.environ):
        pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_private(str(file), b"one")
    write_private(str(file), b"two")
    assert (file.read_bytes(), mode(str(file))) == (b"two", 0o600)
    folder = tmp_path / "folder"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_private(str(folder), b"three")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["f", "folder"]


def test_the_listener_does_not_block(places: Paths) -> None:
    with claim(places, os.environ) as mine, pytest.raises(BlockingIOError):
        mine.listener.accept()
