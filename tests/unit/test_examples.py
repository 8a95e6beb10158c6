"""The examples in docstrings are right."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import dynamo

ROOT = Path(dynamo.__file__).parent
MODULES = [
    ".".join(("dynamo", *path.relative_to(ROOT).with_suffix("").parts))
    for path in sorted(ROOT.rglob("*.py"))
    if "_data" not in path.parts and ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name: str) -> None:
    outcome = doctest.testmod(import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_the_main_packages_have_examples() -> None:
    packages = {name.rpartition(".")[0] for name in MODULES}
    assert {"dynamo.radar", "dynamo.formats", "dynamo.workflows", "dynamo"} <= packages
