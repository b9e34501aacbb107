"""The documents say what is: names that they cite exist, and tables agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.cli import COMMANDS
from bridge.daemon.settings import Settings
from bridge.errors import ExitCode

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/decisions.md", "docs/protocol.md"]
PLACE = re.compile(r"`((?:bridge|pathconv|ide_plugins|tests|benchmarks|scripts|docs)/[\w./]+)(?::(\w+))?`")
SOURCES = [path for folder in ("bridge", "pathconv", "ide_plugins") for path in (ROOT / folder).rglob("*.py")]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = {name.rstrip("/") for name, _ in PLACE.findall(read(page))}
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_section_of_the_protocol_that_code_cites_is_there() -> None:
    cited = {
        " ".join(section.split())  # a citation may be wrapped
        for source in SOURCES
        for section in re.findall(r'docs/protocol\.md "([^"]+)"', source.read_text(encoding="utf-8"))
    }
    sections = set(re.findall(r"^#+ (.+)$", read("docs/protocol.md"), re.MULTILINE))
    assert cited - sections == set()


def test_the_readme_lists_the_exit_codes_that_there_are() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", read("README.md"), re.MULTILINE)}
    assert listed == {int(code) for code in ExitCode}


def test_the_readme_lists_the_settings_that_there_are() -> None:
    listed = set(re.findall(r"^(\w+) = ", read("README.md"), re.MULTILINE))
    assert listed == set(Settings.model_fields)


def test_the_readme_uses_commands_that_there_are() -> None:
    used = set(re.findall(r"^\$ bridge (\w+)", read("README.md"), re.MULTILINE))
    assert used <= set(COMMANDS)
    assert {"status", "open", "diff", "review", "doctor"} <= used


def test_every_dependency_has_its_reason() -> None:
    project = read("pyproject.toml")
    wanted = set(re.findall(r'^  "([\w-]+)>=', project, re.MULTILINE))
    explained = set(re.findall(r"`([\w-]+)`", read("CONTRIBUTING.md").split("## Dependencies")[1]))
    assert wanted - explained == set()
