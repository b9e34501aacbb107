"""Traits: which plugin an IDE has, and what it cannot do."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from bridge.core.dialects import Tools
from bridge.core.lockfile import Family
from bridge.core.official import TOOLS
from bridge.core.traits import OFFICIAL, SHORTFALLS, Traits, lacks, offers, traits_of

OPENS = Tools({"openFile": {"properties": {"filePath": {}}}})
OPENS_URIS = Tools({"openFile": {"properties": {"uri": {}}}})
DIFFS = Tools({"openDiff": {}, "closeDiff": {}})

NVIM = Traits(several_clients=True, several_diffs=True)
COMPANION = traits_of(Family.QWEN, "", Tools())
GEMINI = replace(COMPANION, several_clients=False)
JETBRAINS = traits_of(Family.JETBRAINS, "", Tools())

PLUGINS = [
    (Family.CLAUDE, "Visual Studio Code", OPENS, OFFICIAL),
    (Family.CLAUDE, "PyCharm", Tools(), OFFICIAL),
    (Family.CLAUDE, "Neovim", OPENS, NVIM),
    (Family.CLAUDE, "Emacs (monet)", OPENS_URIS, Traits(keep_open=True)),
    (Family.CLAUDE, "Emacs", OPENS, Traits(one_based=True)),
    (Family.QWEN, "Neovim", DIFFS, COMPANION),
    (Family.GEMINI, "Emacs", OPENS_URIS, GEMINI),
    (Family.JETBRAINS, "JetBrains PyCharm", Tools(), JETBRAINS),
]


@pytest.mark.parametrize(("family", "name", "tools", "traits"), PLUGINS)
def test_a_plugin_is_known_by_its_family_its_name_and_its_tools(
    family: Family, name: str, tools: Tools, traits: Traits
) -> None:
    assert traits_of(family, name, tools) == traits


class Lack(NamedTuple):
    traits: Traits
    tools: Tools | None
    tool: str
    said: str | None


LACKS = [
    Lack(OFFICIAL, None, "openFile", None),
    Lack(OFFICIAL, Tools(), "openFile", None),  # it withheld its tools
    Lack(OFFICIAL, DIFFS, "openFile", "it cannot open files"),
    Lack(OFFICIAL, OPENS, "openFile", None),
    Lack(OFFICIAL, OPENS, "openDiff", None),  # absence from the list does not mean absence
    Lack(COMPANION, None, "openDiff", None),
    Lack(COMPANION, Tools(), "openDiff", "it shows no diffs"),
    Lack(COMPANION, Tools({"openDiff": {}}), "openDiff", "it shows no diffs"),
    Lack(COMPANION, DIFFS, "openDiff", None),
    Lack(COMPANION, Tools(), "getCurrentSelection", None),  # it tells that unasked
    Lack(COMPANION, OPENS, "getWorkspaceFolders", "it has no getWorkspaceFolders"),
    Lack(JETBRAINS, None, "openDiff", "it shows no diffs"),
    Lack(JETBRAINS, None, "openFile", None),
    Lack(JETBRAINS, OPENS, "openFile", "it cannot open files"),
    Lack(JETBRAINS, Tools({"open_file_in_editor": {}}), "openFile", None),
]


@pytest.mark.parametrize("lack", LACKS, ids=str)
def test_what_an_ide_cannot_do_is_said_in_words(lack: Lack) -> None:
    assert lacks(lack.traits, lack.tools, lack.tool) == lack.said


def test_the_words_are_of_tools_that_work_may_need() -> None:
    assert TOOLS.keys() >= SHORTFALLS.keys()


def test_agents_are_offered_what_it_serves() -> None:
    assert list(offers(OFFICIAL, OPENS)) == ["openFile"]
    assert "openDiff" in offers(COMPANION, DIFFS)
    assert "openDiff" not in offers(COMPANION, OPENS)
