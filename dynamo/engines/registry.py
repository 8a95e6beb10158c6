"""Engines by name: built-in ones and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, signature
from typing import Any

from dynamo.doors import ENGINES
from dynamo.engines.base import Engine
from dynamo.errors import UsageError


def create_engine(name: str, **options: Any) -> Engine:
    """Return a new engine.

    Raises
    ------
    NotFoundError
        If no engine has that name.
    MissingPartError
        If it needs something that is missing (HTCondor, Pegasus); `PluginError` if an engine from another package is
        broken.
    UsageError
        If it has no such option.
    """
    make = ENGINES.load(name)
    _check_options(name, make, options)
    with ENGINES.blamed(name):
        engine: Engine = make(**options)
        return engine


def _check_options(name: str, make: Callable[..., Engine], options: Iterable[str]) -> None:
    known = signature(make).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in known):
        return
    names = [parameter.name for parameter in known if parameter.kind is not Parameter.VAR_POSITIONAL]
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise UsageError(
            f"unknown option {', '.join(unknown):.100}",
            where=f"engines.{name}.options",
            expected=", ".join(names) or "no options",
        )
