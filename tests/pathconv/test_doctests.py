"""The examples in the docstrings do what they say."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import pathconv

MODULES = ["pathconv", *(f"pathconv.{module.name}" for module in pkgutil.iter_modules(pathconv.__path__))]
WITHOUT_EXAMPLES = {"pathconv.probe", "pathconv.table"}  # depends on the machine; is for `pathconv.mapper` only


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name))
    assert failed == 0
    assert (tried > 0) == (name not in WITHOUT_EXAMPLES)
