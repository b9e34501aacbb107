"""The examples in the docstrings do what they say."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import pathconv

README = Path(__file__).parents[2] / "README.md"
MODULES = ["pathconv", *(f"pathconv.{module.name}" for module in pkgutil.iter_modules(pathconv.__path__))]
WITHOUT_EXAMPLES = {"pathconv.probe", "pathconv.crossing", "pathconv.table"}  # on the machine; for `mapper` alone


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name))
    assert failed == 0
    assert (tried > 0) == (name not in WITHOUT_EXAMPLES)


def test_the_example_in_the_readme() -> None:
    failed, tried = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert (failed, tried >= 7) == (0, True)
