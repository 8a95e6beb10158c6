"""Engines by name: built-in ones and those of installed packages."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dynamo.documents.problems import MistakesError, did_you_mean
from dynamo.doors import ENGINES
from dynamo.engines.base import Engine
from dynamo.errors import DynamoError

#: The models of the options of built-in engines; of those from other packages only the names are known.
_OPTIONS = {
    "local": "dynamo.engines.local:LocalEngineOptions",
    "condor": "dynamo.engines.condor.options:CondorOptions",
    "pegasus": "dynamo.workflows.pegasus.settings:PegasusSettings",
}


def create_engine(name: str, **options: Any) -> Engine:
    """Return a new engine.

    Raises
    ------
    NotFoundError
        If no engine has that name.
    MistakesError
        If options are unknown or have the wrong type; names all.
    MissingPartError
        If it needs something that is missing (HTCondor, Pegasus); `PluginError` if an engine from another package is
        broken.
    """
    make = ENGINES.load(name)
    if mistakes := option_mistakes(name, options):
        raise MistakesError(mistakes, hint="dynamo config docs")
    with ENGINES.blamed(name):
        engine: Engine = make(**options)
        return engine


def option_mistakes(name: str, options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of an engine, without creating it.

    Raises
    ------
    NotFoundError, PluginError
        If no engine has that name, or one from another package cannot be used.
    """
    where = f"engines.{name}.options"
    part = ENGINES.load(name)
    if name in _OPTIONS:
        module, _, attribute = _OPTIONS[name].partition(":")
        part = getattr(import_module(module), attribute)
    parameters = inspect.signature(part).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return []
    mistakes = [
        f"{where}.{option}: unknown option{did_you_mean(option, parameters)}, expected one of {', '.join(parameters)}"
        for option in options
        if option not in parameters
    ]
    if name not in _OPTIONS:
        return mistakes
    try:
        known = {option: value for option, value in options.items() if option in parameters}
        # As JSON, because from Python data a strict dataclass takes only an object of its own.
        TypeAdapter(part).validate_json(json.dumps(known, default=str), strict=True)
    except ValidationError as error:
        mistakes += [
            f"{'.'.join((where, *map(str, problem['loc'])))}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
            for problem in error.errors(include_url=False)
        ]
    except DynamoError as error:
        mistakes.append(str(error))
    return mistakes
