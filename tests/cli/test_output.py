"""Colour, time-outs, and words for the human."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.cli.output import say, seconds, wants_color
from tests.e2e.support import Ide, bridge

pytestmark = pytest.mark.usefixtures("started")  # whatever starts a daemon, it is ended


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "wanted"),
    [
        (Screen(), {}, True),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (Screen(), {"NO_COLOR": ""}, True),
        (Screen(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"FORCE_COLOR": ""}, False),
    ],
)
def test_colour_follows_the_environment_and_then_the_stream(
    stream: io.StringIO, environ: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert wants_color(stream) is wanted


def test_a_status_is_coloured_only_where_it_is_wanted(workspace: Path, ide: Callable[..., Ide]) -> None:
    ide()
    plain = bridge("status", cwd=workspace, NO_COLOR="", FORCE_COLOR="").stdout
    coloured = bridge("status", cwd=workspace, NO_COLOR="", FORCE_COLOR="1", TERM="xterm").stdout
    assert "\x1b" not in plain
    assert "\x1b[32m●\x1b[0m Visual Studio Code" in coloured


@pytest.mark.parametrize(("word", "value"), [("0", 0.0), ("1.5", 1.5), ("1e3", 1000.0)])
def test_a_timeout_is_a_number_of_seconds(word: str, value: float) -> None:
    assert seconds(word) == value


@pytest.mark.parametrize("word", ["-1", "nan", "inf", "", "soon"])
def test_a_timeout_that_no_clock_can_wait_for_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "wait", "x", f"--timeout={word}"]) == 2
    assert f"--timeout: invalid seconds value: {word!r}" in capsys.readouterr().err


def test_what_is_said_goes_to_stderr_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("opened in \x1b[31mVS\nCode")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "opened in \\x1b[31mVS\\x0aCode\n")
