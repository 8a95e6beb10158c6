"""The engines by name: built-in ones, and those of installed packages."""

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
        If what it needs (HTCondor, Pegasus) is not there; `PluginError` if it is one of another package that cannot be
        used.
    """
    make = ENGINES.load(name)
    with ENGINES.blamed(name):
        engine: Engine = make(**options)
        return engine
