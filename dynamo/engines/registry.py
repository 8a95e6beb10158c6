"""Registry of engines: a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from dynamo.engines.base import Engine
from dynamo.errors import NotFoundError

#: Module and class of each engine, by name.
ENGINES: Mapping[str, tuple[str, str]] = {
    "local": ("dynamo.engines.local", "LocalEngine"),
    "condor": ("dynamo.engines.condor.engine", "CondorEngine"),
    "pegasus": ("dynamo.engines.pegasus", "PegasusEngine"),
}


def create_engine(name: str, **options: Any) -> Engine:
    """Return a new engine.

    Raises
    ------
    NotFoundError
        If no engine has that name.
    MissingPartError
        If it needs something that is missing (HTCondor, Pegasus).
    """
    if name not in ENGINES:
        raise NotFoundError(f"unknown engine {name!r:.60}", expected=", ".join(ENGINES))
    module, kind = ENGINES[name]
    engine: Engine = getattr(import_module(module), kind)(**options)
    return engine
