"""Every directory of the bridge, and when one is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import BadConfiguration, BridgeError, NotTrusted
from bridge.paths import make_private, paths, socket_path
from tests.ides.listeners import STRANGER

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give things away")

# (environment beside HOME=/h, state directory, configuration file)
PLACES = [
    ({}, "/h/.local/state/bridge", "/h/.config/bridge/config.toml"),
    ({"XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"}, "/s/bridge", "/c/bridge/config.toml"),
    ({"XDG_STATE_HOME": "/s/", "XDG_CONFIG_HOME": "/c//"}, "/s/bridge", "/c/bridge/config.toml"),
    ({"XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "/"}, "/h/.local/state/bridge", "/h/.config/bridge/config.toml"),
    ({"XDG_STATE_HOME": "s", "XDG_CONFIG_HOME": "../c"}, "/h/.local/state/bridge", "/h/.config/bridge/config.toml"),
    ({"TMPDIR": "/t", "XDG_RUNTIME_DIR": "/r"}, "/h/.local/state/bridge", "/h/.config/bridge/config.toml"),
]


@pytest.mark.parametrize(("environ", "state", "config"), PLACES)
def test_the_directories_follow_home_and_the_xdg_variables(environ: dict[str, str], state: str, config: str) -> None:
    found = paths({"HOME": "/h", **environ})
    assert (found.home, found.state, found.config) == ("/h", state, config)
    inside = (found.journal, found.lock, found.address, found.log, found.doors)
    assert {path[: len(state) + 1] for path in inside} == {f"{state}/"}
    assert len(set(inside)) == len(inside)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_without_a_home_there_is_nothing_to_do(environ: dict[str, str]) -> None:
    with pytest.raises(BadConfiguration, match="HOME"):
        paths(environ)


def test_computing_creates_nothing(home: Path) -> None:
    socket_path({}, paths(os.environ).state)
    assert list(home.iterdir()) == []


# ---- the socket


@pytest.fixture
def runtime(home: Path) -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"])


def test_the_socket_lies_in_the_runtime_directory_and_its_name_in_that_of_the_state(runtime: Path) -> None:
    one, other = (socket_path(os.environ, state) for state in ("/s/one", "/s/other"))
    assert one == socket_path(os.environ, "/s/one")
    assert one != other
    assert {os.path.dirname(path) for path in (one, other)} == {f"{runtime}/bridge"}


def _gone(runtime: Path) -> None:
    runtime.rmdir()


def _open_to_others(runtime: Path) -> None:
    runtime.chmod(0o750)


def _a_file(runtime: Path) -> None:
    runtime.rmdir()
    runtime.touch()


def _a_symlink(runtime: Path) -> None:
    runtime.rmdir()
    runtime.symlink_to("/tmp")


def _a_stranger_s(runtime: Path) -> None:
    os.chown(runtime, STRANGER, STRANGER)


BAD_RUNTIMES = [_gone, _open_to_others, _a_file, _a_symlink, pytest.param(_a_stranger_s, marks=needs_root)]


@pytest.mark.parametrize("spoil", BAD_RUNTIMES)
def test_a_runtime_directory_that_is_not_ours_alone_is_passed_over(runtime: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(runtime)
    try:
        found = socket_path(os.environ, "/s")
    finally:
        if not runtime.is_dir() or runtime.is_symlink():
            runtime.unlink(missing_ok=True)
    assert not found.startswith(f"{runtime}/")
    assert os.path.isabs(found)
    assert len(os.fsencode(found)) <= 100


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_a_runtime_directory_with_too_long_a_name_is_passed_over(tmp_path: Path, letter: str) -> None:
    long = tmp_path / (letter * 90)
    long.mkdir(mode=0o700)
    found = socket_path({"XDG_RUNTIME_DIR": str(long)}, "/s")
    assert not found.startswith(str(long))


# ---- private directories


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose_umask")
def test_a_missing_directory_is_made_for_us_alone_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "above" / "it"
    for _ in range(2):
        make_private(str(path))
        assert path.stat().st_mode & 0o7777 == 0o700


def _loose(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)


def _entered_by_the_group(path: Path) -> None:
    path.mkdir()
    path.chmod(0o710)


def _file(path: Path) -> None:
    path.touch()


def _link(path: Path) -> None:
    target = path.with_name("target")
    target.mkdir(mode=0o700)
    path.symlink_to(target)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _strangers(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, STRANGER, STRANGER)


def _below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


# (what is there, the error, its message, the command that mends it)
REFUSED = [
    (_loose, NotTrusted, r"others \(mode 0755\)", "chmod 700 '{path}'"),
    (_entered_by_the_group, NotTrusted, r"others \(mode 0710\)", "chmod 700 '{path}'"),
    (_file, NotTrusted, "not a directory", "rm '{path}'"),
    (_link, NotTrusted, "not a directory", "rm '{path}'"),
    (_dangling, NotTrusted, "not a directory", "rm '{path}'"),
    pytest.param(_strangers, NotTrusted, f"belongs to user {STRANGER}", "ask its owner", marks=needs_root),
    (_below_a_file, BadConfiguration, "cannot create", "check HOME"),
]


@pytest.mark.parametrize(("make", "kind", "message", "hint"), REFUSED)
def test_a_directory_that_others_may_have_touched_is_refused_with_the_mending_command(
    tmp_path: Path, make: object, kind: type[BridgeError], message: str, hint: str
) -> None:
    path = tmp_path / "above" / "it"
    path.parent.mkdir()
    assert callable(make)
    make(path)
    with pytest.raises(kind, match=message) as caught:
        make_private(str(path))
    assert caught.value.hint is not None
    assert hint.format(path=path) in caught.value.hint
