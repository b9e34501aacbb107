"""The manual page: what roff makes of it, and that it leaves nothing out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.cli import COMMANDS, EXIT_CODES
from bridge.cli.grammar import grammar
from bridge.cli.man import _text
from tests.e2e.support import PATIENCE_S, bridge


@pytest.fixture
def page(workspace: Path) -> str:
    done = bridge("man", cwd=workspace)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_page_is_plain_ascii_with_all_sections_and_commands(page: str) -> None:
    assert page.isascii()
    sections = ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES"]
    assert re.findall(r"^\.SH (.*)$", page, re.MULTILINE) == sections
    commands = re.findall(r'^\.SS "bridge (.*)"$', page, re.MULTILINE)
    assert [name.replace("\\-", "-") for name in commands] == list(COMMANDS)


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_roff_reads_it_without_a_complaint_and_shows_everything(page: str) -> None:
    words = ["groff", "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=200n"]
    done = subprocess.run(words, input=page, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout
    _, *parts = re.split(r"\n   bridge (\S+)\n", shown)
    described = dict(zip(parts[::2], parts[1::2], strict=True))
    for command in grammar():
        said = " ".join(described[command.name].split())
        assert " ".join(command.usage.replace("…", "...").split()) in said
        assert all(flag in said for option in command.options for flag in option.flags if flag not in ("-h", "--help"))
    for line in EXIT_CODES.splitlines()[1:]:
        assert line.strip() in shown


# (text, how roff must be told)
ESCAPED = [
    (".so /etc/passwd", r"\&.so /etc/passwd"),
    ("'quoted'", r"\&\(aqquoted\(aq"),
    (r"a\b", r"a\eb"),
    ("--json", r"\-\-json"),
    ("one\n.two", "one\n\\&.two"),
    ("of …", "of ..."),
    ("…", r"\&..."),
]


@pytest.mark.parametrize(("text", "escaped"), ESCAPED)
def test_no_text_is_read_as_a_request(text: str, escaped: str) -> None:
    assert _text(text) == escaped
