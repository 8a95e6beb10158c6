"""The modules by name: a new one is one file and one line here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module

from dynamo.contract import Module
from dynamo.errors import NotFoundError

#: Maps a module's name to the Python module that defines it as ``MODULE``.
MODULES: Mapping[str, str] = {
    "split": "dynamo.modules.split",
    "contour": "dynamo.modules.contour",
    "plot": "dynamo.modules.plot",
    "hydroclass": "dynamo.modules.hydroclass",
    "hail": "dynamo.modules.hail",
    "grid": "dynamo.modules.grid",
    "composite": "dynamo.modules.composite",
    "hail_plot": "dynamo.modules.hail_plot",
    "hail_contour": "dynamo.modules.hail_contour",
}


def find_module(name: str) -> Module:
    """Return the module ``name``.

    Raises
    ------
    NotFoundError
        If the module does not exist.
    """
    if name not in MODULES:
        raise NotFoundError(f"no module {name!r:.60}", expected=", ".join(sorted(MODULES)))
    module: Module = import_module(MODULES[name]).MODULE
    return module


@functools.cache
def contracts() -> Mapping[str, Module]:
    """Return every module by name."""
    return {name: find_module(name) for name in MODULES}
