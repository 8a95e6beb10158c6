"""Engines by name: built-in ones and those of installed packages."""

from __future__ import annotations

from typing import Any

from dynamo.doors import ENGINES
from dynamo.engines.base import Engine


def create_engine(name: str, **options: Any) -> Engine:
    """Return a new engine.

    Raises
    ------
    NotFoundError
        If no engine has that name.
    MissingPartError
        If it needs something that is missing (HTCondor, Pegasus); `PluginError` if an engine from another package is
        broken.
    """
    make = ENGINES.load(name)
    with ENGINES.blamed(name):
        engine: Engine = make(**options)
        return engine
