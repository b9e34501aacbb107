"""What the user may set, and how a mistake is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.daemon.settings import Settings, jetbrains_of, read_settings
from bridge.errors import BadConfiguration
from bridge.ides.jetbrains import PORTS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


READ = [
    ("", Settings(takeover=False, idle_minutes=30.0)),
    ("takeover = true", Settings(takeover=True)),
    ("idle_minutes = 5", Settings(idle_minutes=5.0)),
    ("# mine\nidle_minutes = 0.5\ntakeover = false\n", Settings(idle_minutes=0.5)),
    ("idle_minutes = inf", Settings(idle_minutes=float("inf"))),
    ("ide_host = '10.0.0.5'", Settings(ide_host="10.0.0.5")),
    ("ide_host = 'build-7.example'", Settings(ide_host="build-7.example")),
    ("container_host = true", Settings(container_host=True)),
    ("windows_profile = ''", Settings(windows_profile="")),
    ("mcp_http = 7347", Settings(mcp_http=7347)),
    ("jetbrains_mcp = true", Settings(jetbrains_mcp=True)),
    ("jetbrains_mcp = [64342, 7000, 64342]", Settings(jetbrains_mcp=(64342, 7000))),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_what_is_set_counts_and_the_rest_has_its_default(file: Path, text: str, expected: Settings) -> None:
    file.write_text(text, encoding="utf-8")
    assert read_settings(file) == expected


def test_no_file_means_the_defaults(file: Path) -> None:
    assert read_settings(file) == Settings()


# (contents, what the message names)
WRONG = [
    (b"takeovr = true", "takeovr: there is no such setting"),
    (b"takeover = 'yes'", "takeover: "),
    (b"takeover = 1", "takeover: "),
    (b"idle_minutes = '5'", "idle_minutes: "),
    (b"idle_minutes = 0", "idle_minutes: "),
    (b"idle_minutes = -1.5", "idle_minutes: "),
    (b"idle_minutes = nan", "idle_minutes: "),
    (b"[takeover]\nx = 1", "takeover: "),
    (b"ide_host = 'localhost'", "ide_host: "),  # may be ::1
    (b"ide_host = 'LocalHost'", "ide_host: "),
    (b"ide_host = 'a..b'", "ide_host: "),
    (b"ide_host = '::1'", "ide_host: "),
    (b"ide_host = 'http://10.0.0.5'", "ide_host: "),
    (b"ide_host = ''", "ide_host: "),
    (b"jetbrains_mcp = 1", "jetbrains_mcp: Value error, neither true nor false nor a list of ports"),
    (b"jetbrains_mcp = 'true'", "jetbrains_mcp: "),
    (b"jetbrains_mcp = [0]", "jetbrains_mcp: "),
    (b"jetbrains_mcp = [65536]", "jetbrains_mcp: "),
    (b"jetbrains_mcp = [true]", "jetbrains_mcp: "),
    (b"jetbrains_mcp = ['64342']", "jetbrains_mcp: "),
    (b"mcp_http = 0", "mcp_http: "),
    (b"mcp_http = 65536", "mcp_http: "),
    (b"mcp_http = true", "mcp_http: "),
    (b"mcp_http = '7347'", "mcp_http: "),
    (b"takeover =", "is not TOML"),
    (b"takeover = true\ntakeover = true", "is not TOML"),
    (b"# \xff", "cannot read"),
]


@pytest.mark.parametrize(("data", "named"), WRONG)
def test_a_mistake_is_told_with_its_place(file: Path, data: bytes, named: str) -> None:
    file.write_bytes(data)
    with pytest.raises(BadConfiguration) as caught:
        read_settings(file)
    assert str(file) in caught.value.message
    assert named in caught.value.message
    assert caught.value.hint == f"edit {file}"


def test_what_is_no_file_is_told(file: Path) -> None:
    os.mkdir(file)
    with pytest.raises(BadConfiguration, match="cannot read"):
        read_settings(file)


def test_jetbrains_server_is_looked_for_where_the_user_says_so() -> None:
    assert jetbrains_of(Settings()).ports == ()
    assert jetbrains_of(Settings(jetbrains_mcp=True)).ports == PORTS
    assert jetbrains_of(Settings(jetbrains_mcp=(7000,))).ports == (7000,)
